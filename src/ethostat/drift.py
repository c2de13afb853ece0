"""Drift: how S moved over time, every rate with its interval, and in words what may be said of it.

Paths are parts that have two responses or more at every step; they are what counts as one observation. Where no part
is whole, all responses together are one path, and intervals then speak of that path only.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ethostat.errors import TooLittleEvidence
from ethostat.maths.estimate import Estimate
from ethostat.maths.relaxation import Relaxation, relaxation
from ethostat.maths.trajectory import (
    Constancy,
    Direction,
    Equivalence,
    Paths,
    constant_rate,
    direction,
    horizon_mean,
    no_drift,
    slope,
)

Counts = NDArray[np.int64]

MARGIN = 0.1
"""Change of S over the horizon, nats, that counts as no drift unless told otherwise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """How S moved.

    `slope` is of the straight line, `mean_rate` what S gained from the first step to the last over the steps between,
    `relaxation` holds the early rate, S_inf and tau. `constancy` says whether the early rate (the slope, where that is
    unknown) can have lasted; `stillness` is the test that S stayed within a margin; `direction` holds each goal's
    change of share. `goals` are their keys, `paths` the number of paths, `notes` what a reader has to know.
    """

    goals: tuple[str, ...]
    paths: int
    slope: Estimate
    mean_rate: Estimate
    relaxation: Relaxation
    constancy: Constancy
    stillness: Equivalence
    direction: Direction
    notes: tuple[str, ...] = ()

    @property
    def early_rate(self) -> Estimate:
        """The rate at the beginning, nats a step."""
        return self.relaxation.early_rate

    def where(self) -> str:
        """Where the mass went, in a sentence: the goals whose share changed beyond chance, all goals at once."""
        parts = []
        for verb, places in (("went to", self.direction.rose), ("came from", self.direction.fell)):
            if places:
                changes = ((self.goals[k], self.direction.changes[k]) for k in places)
                named = (f"{goal} ({one.value:+.0%}, {one.low:+.0%} to {one.high:+.0%})" for goal, one in changes)
                parts.append(f"{verb} {', '.join(named)}")
        return f"mass {' and '.join(parts)}" if parts else "no goal's share changed beyond chance"

    def to_dict(self) -> dict[str, Any]:
        """Plain values; None for what is not a finite number."""
        fitted, still = self.relaxation, self.stillness
        return {
            "paths": self.paths,
            "slope": self.slope.to_dict(),
            "mean_rate": self.mean_rate.to_dict(),
            "early_rate": self.early_rate.to_dict(),
            "relaxation": {
                "is_curved": fitted.is_curved,
                "tau": fitted.tau.to_dict(),
                "start": fitted.start.to_dict(),
                "limit": fitted.limit.to_dict(),
                "words": list(fitted.words),
            },
            "constant_rate": asdict(self.constancy) | {"lasts": _finite(self.constancy.lasts)},
            "no_drift": {
                "holds": still.holds,
                "margin": still.margin,
                "p_value": _finite(still.p_value),
                "drift": still.drift.to_dict(),
                "largest": still.largest.to_dict(),
                "words": still.words,
            },
            "direction": {
                "words": self.where(),
                "rose": [self.goals[k] for k in self.direction.rose],
                "fell": [self.goals[k] for k in self.direction.fell],
                "changes": {
                    goal: change.to_dict() for goal, change in zip(self.goals, self.direction.changes, strict=True)
                },
            },
            "notes": list(self.notes),
        }


def drift_of(
    counts: Counts,
    steps: Sequence[float] | NDArray[np.float64],
    goals: Sequence[str],
    *,
    part: str = "part",
    margin: float = MARGIN,
    level: float = 0.95,
) -> Drift:
    """How S moved over these counts, shape (parts, steps, goals). Raises TooLittleEvidence for fewer than two steps."""
    table, notes = whole_paths(counts, part=part)
    if table.shape[1] < 2:
        raise TooLittleEvidence(f"a rate needs at least two steps, got {table.shape[1]}")
    paths = Paths.from_counts(table, steps)
    line, curve = slope(paths, level=level), relaxation(paths, level=level)
    fastest = curve.early_rate if curve.early_rate.is_defined else line
    start = float(np.clip(paths.entropy[:, 0].mean(), 0, paths.most))
    return Drift(
        goals=tuple(goals),
        paths=paths.replicates,
        slope=line,
        mean_rate=horizon_mean(paths, level=level),
        relaxation=curve,
        constancy=_constancy(fastest, start, paths),
        stillness=no_drift(paths, margin=margin),
        direction=direction(table, paths.steps, level=level),
        notes=notes,
    )


def whole_paths(counts: Counts, *, part: str = "part") -> tuple[Counts, tuple[str, ...]]:
    """The counts of the parts that are paths, shape (n, T, K), and what is left out, in words.

    Raises TooLittleEvidence where even all responses together are fewer than two at a step.
    """
    whole = (counts.sum(axis=2) > 1).all(axis=1)
    if whole.all():
        return counts, ()
    if whole.any():
        left = int((~whole).sum())
        names = f"{part}{'s' if left > 1 else ''}"
        return counts[whole], (f"rates leave out {left} {names} without two responses at every step",)
    together = counts.sum(axis=0, keepdims=True)
    if (together.sum(axis=2) < 2).any():
        raise TooLittleEvidence("a rate needs at least two responses at every step; use wider windows or more samples")
    return together, (f"no {part} has two responses at every step: rates are of S of all responses together",)


def _constancy(rate: Estimate, start: float, paths: Paths) -> Constancy:
    if not rate.is_defined:
        return Constancy(True, math.inf, f"whether a rate was constant is not known: {rate.method}")
    return constant_rate(rate.value, start=start, horizon=paths.horizon, goals=paths.goals)


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
