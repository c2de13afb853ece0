"""Curves: loss, accuracy and macro-F1 of each epoch, each with its interval over groups."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ethostat.maths import agreement
from ethostat.maths.bootstrap import Figure, bca
from ethostat.maths.estimate import Estimate
from ethostat.training.recipe import Watched

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Figures:
    """Of some rows: mean loss (nats), accuracy and macro-F1."""

    loss: Estimate
    accuracy: Estimate
    macro_f1: Estimate

    def watched(self, which: Watched) -> tuple[float, ...]:
        """What decides, the higher the better; of equal macro-F1 the lower loss is better."""
        loss = -self.loss.value
        return (self.macro_f1.value, loss) if which is Watched.MACRO_F1 else (loss,)

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> Figures:
        """From plain values."""
        return cls(*(Estimate.from_dict(fields[name]) for name in ("loss", "accuracy", "macro_f1")))


@dataclass(frozen=True, slots=True)
class Epoch:
    """One pass over the training rows: `training` as the network was when it met each row, `validation` after it."""

    number: int
    steps: int
    training: Figures
    validation: Figures

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        figures = {
            part: {name: each.to_dict() for name, each in _by_name(found).items()}
            for part, found in (("training", self.training), ("validation", self.validation))
        }
        return {"epoch": self.number, "steps": self.steps, **figures}

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> Epoch:
        """The inverse of `to_dict`."""
        parts = (Figures.from_dict(fields[name]) for name in ("training", "validation"))
        return cls(fields["epoch"], fields["steps"], *parts)


def figures_of(
    losses: Floats, said: NDArray[np.int64], truth: NDArray[np.int64], group: NDArray[np.int64], *, goals: int
) -> Figures:
    """The figures of rows (N,): their losses in nats, the goals that were said and the true ones, their groups."""
    rng = np.random.default_rng(0)
    tables = agreement.confusion_tables(truth, said, goals=goals, groups=group)
    sums = np.stack([np.bincount(group, losses), np.bincount(group)], axis=1).astype(np.float64)
    mean_loss = Figure("mean loss", len(losses), unit="nats", range=(0.0, float(max(losses.max(), 1e-9))))
    return Figures(
        loss=bca(sums, lambda totals: totals[:, 0] / totals[:, 1], mean_loss, rng=rng),
        accuracy=agreement.accuracy(tables),
        macro_f1=agreement.macro_f1(tables, rng=rng),
    )


def lines_of(epochs: tuple[Epoch, ...]) -> dict[str, dict[str, list[Estimate]]]:
    """For each figure the training and the validation rows' estimates, epoch by epoch."""
    return {
        name: {
            "training": [_by_name(epoch.training)[name] for epoch in epochs],
            "validation": [_by_name(epoch.validation)[name] for epoch in epochs],
        }
        for name in ("loss", "accuracy", "macro_f1")
    }


def _by_name(figures: Figures) -> dict[str, Estimate]:
    return {"loss": figures.loss, "accuracy": figures.accuracy, "macro_f1": figures.macro_f1}
