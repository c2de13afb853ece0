"""Standing: an alert that stands, and the evidence that it is over."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Self

import numpy as np

from ethostat.maths.detector import Floats
from ethostat.maths.estimate import Estimate

_SHRINK = 30.0


@dataclass(slots=True)
class Standing:
    """An alert that stands: since when, the counts of its window by stratum, the evidence that it is over.

    `back` is that evidence, nats, of the responses in `back_window`, which are no part of `window` until it is 0 again.
    """

    since: Estimate | None
    window: dict[str, list[float]]
    reading: list[float]
    back: float = 0.0
    back_since: int = 0
    back_window: dict[str, list[float]] = field(default_factory=dict)
    notify_at: int | None = None
    sent: int = 0
    acknowledged: bool = False

    def take(self, row: Floats, stratum: str, *, step: int, shares: Callable[[str], Floats]) -> None:
        """One response: a CUSUM of the baseline against what came before it began to rise; Page 1954.

        `shares` gives the baseline (K,) of a stratum.
        """
        if self.back <= 0:
            for name, counts in self.back_window.items():
                add(self.window, name, np.array(counts))
            self.back_since, self.back_window = step, {}
        self.back = max(self.back - self._log_ratio(row, stratum, shares), 0.0)
        add(self.back_window, stratum, row)

    def seen(self) -> dict[str, list[float]]:
        """All counts since the change by stratum, those of a recovery that may have begun included."""
        both = dict(self.window)
        for name, counts in self.back_window.items():
            add(both, name, np.array(counts))
        return both

    def _log_ratio(self, row: Floats, stratum: str, shares: Callable[[str], Floats]) -> float:
        """Log of how much likelier a response is after the change than before, nats.

        After it a goal is as many times likelier as in the window, whatever the stratum; 30 responses of the baseline
        are added to the window, since it was chosen for how far from the baseline it is.
        """
        n = float(sum(map(sum, self.window.values())))
        usual = sum(sum(counts) * shares(name) for name, counts in self.window.items()) / n
        times = (np.sum(list(self.window.values()), axis=0) + _SHRINK * usual) / ((n + _SHRINK) * usual)
        return math.log(float(row @ times) / float(shares(stratum) @ times))

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {**asdict(self), "since": None if self.since is None else self.since.to_dict()}

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> Self:
        """The inverse of `to_dict`."""
        since = None if fields["since"] is None else Estimate.from_dict(fields["since"])
        return cls(**{**fields, "since": since})


def add(counts: dict[str, list[float]], stratum: str, row: Floats) -> None:
    """Add a row (K,) to the counts of a stratum."""
    before = counts.get(stratum, [0.0] * len(row))
    counts[stratum] = [count + part for count, part in zip(before, row.tolist(), strict=True)]
