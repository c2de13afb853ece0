"""Check: what is promised, what a simulation measured, and whether the one holds in the light of the other.

An interval decides, never the figure alone: *broken* where all of it lies beyond the promise, *holds* where all of it
lies within the promise and a stated slack, else *cannot tell*. The slack is there because many promises are kept
exactly (a test at 5 % errs in 5 %), where no number of simulations would ever put an interval on one side.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import beta, chi2, t

from ethostat.maths.estimate import Estimate

LEVEL = 0.99
"""Of all intervals here: a promise that is kept exactly is found broken once in 200 times, by chance."""
HOLDS, BROKEN, CANNOT_TELL = "holds", "broken", "cannot tell"
VERDICTS = (HOLDS, CANNOT_TELL, BROKEN)

Generator = np.random.Generator
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Bounds:
    """What is promised: a figure of at least `least`, at most `most`, judged to within `slack`."""

    least: float = -math.inf
    most: float = math.inf
    slack: float = 0.0

    def verdict(self, found: Estimate) -> str:
        """Whether the promise holds, given this estimate."""
        if not found.is_defined:
            return CANNOT_TELL
        if found.high < self.least or found.low > self.most:
            return BROKEN
        is_within = found.low >= self.least - self.slack and found.high <= self.most + self.slack
        return HOLDS if is_within else CANNOT_TELL

    def words(self, unit: str) -> str:
        """The promise in words, without its slack."""
        shown = [_shown(bound, unit) for bound in (self.least, self.most)]
        if math.isinf(self.least):
            return f"at most {shown[1]}"
        return f"at least {shown[0]}" if math.isinf(self.most) else f"{shown[0]} to {shown[1]}"

    def to_dict(self) -> dict[str, float | None]:
        """Plain values; no bound is None."""
        return {
            "least": None if math.isinf(self.least) else self.least,
            "most": None if math.isinf(self.most) else self.most,
            "slack": self.slack,
        }


@dataclass(frozen=True, slots=True)
class Check:
    """One promise and its measurement. `beside` has what the paper's way gives for the same thing, by what that is."""

    family: str
    name: str
    bounds: Bounds
    measured: Estimate
    beside: Mapping[str, Estimate] = field(default_factory=dict)

    @property
    def verdict(self) -> str:
        """`holds`, `broken` or `cannot tell`."""
        return self.bounds.verdict(self.measured)

    @property
    def promise(self) -> str:
        """What is promised, in words."""
        return self.bounds.words(self.measured.unit)

    @property
    def slack(self) -> str:
        """How finely it is judged, in words; "" where to the digit."""
        return _shown(self.bounds.slack, self.measured.unit, points=True) if self.bounds.slack else ""

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "family": self.family,
            "name": self.name,
            "promise": self.promise,
            "bounds": self.bounds.to_dict(),
            "measured": self.measured.to_dict(),
            "simulations": self.measured.n,
            "verdict": self.verdict,
            "beside": {name: one.to_dict() for name, one in self.beside.items()},
        }


Checks = Iterator[Check]
Family = Callable[[Generator, bool], Checks]
"""Simulates with (rng, full) and gives its checks as they are done."""


def share_of(hits: float, n: int, *, of: str) -> Estimate:
    """The share of n simulations that hit, with Clopper and Pearson's interval; `of` says what was simulated.

    `hits` may be a sum of weights, as where simulations with the same counts are judged once.
    """
    if n < 1:
        return Estimate.undefined("nothing was simulated", level=LEVEL, unit="share", n=0)
    tail = (1 - LEVEL) / 2
    low = 0.0 if hits <= 0 else float(beta.ppf(tail, hits, n - hits + 1))
    high = 1.0 if hits >= n else float(beta.ppf(1 - tail, hits + 1, n - hits))
    return Estimate(float(hits) / n, low, high, LEVEL, "share", n, f"share of {of}; Clopper-Pearson")


def mean_of(values: ArrayLike, *, unit: str, of: str) -> Estimate:
    """The mean of independent simulations (n,), with Student's interval."""
    seen = np.asarray(values, dtype=np.float64)
    n = len(seen)
    if n < 2:
        return Estimate.undefined("two simulations at least make an interval", level=LEVEL, unit=unit, n=n)
    spread = float(t.ppf((1 + LEVEL) / 2, n - 1) * seen.std(ddof=1) / np.sqrt(n))
    mean = float(seen.mean())
    return Estimate(mean, mean - spread, mean + spread, LEVEL, unit, n, f"mean of {of}; Student's interval")


def ratio_of(above: ArrayLike, below: ArrayLike, *, of: str, root: bool = False) -> Estimate:
    """Mean of one figure over the mean of another in the same simulations (n,), linearised on the log scale.

    With `root` the square root of that, for ratios of mean squares.
    """
    a, b = np.asarray(above, dtype=np.float64), np.asarray(below, dtype=np.float64)
    n = len(a)
    if n < 2 or a.mean() <= 0 or b.mean() <= 0:
        return Estimate.undefined("the simulations make no ratio", level=LEVEL, unit="times", n=n)
    power = 0.5 if root else 1.0
    value = float((a.mean() / b.mean()) ** power)
    spread = power * float((a / a.mean() - b / b.mean()).std(ddof=1) / np.sqrt(n) * t.ppf((1 + LEVEL) / 2, n - 1))
    ends = value * math.exp(-spread), value * math.exp(spread)
    return Estimate(value, *ends, LEVEL, "times", n, f"ratio of means of {of}; linearised on the log scale")


def rate_of(seen: float, events: int, *, nominal: float, n: int, of: str) -> Estimate:
    """What was seen between two events on average, as a multiple of `nominal`; the interval of an exponential law.

    Where there was no event the value is that of one at the very end: the true one is larger, and its lower end is
    that of none.
    """
    tail = (1 - LEVEL) / 2
    low = 2 * seen / float(chi2.ppf(1 - tail, 2 * events + 2)) / nominal
    high = 2 * seen / float(chi2.ppf(tail, 2 * max(events, 1))) / nominal
    method = f"{of}; exponential interval" if events else f"{of}: none in {seen:.0f}, taken as one at their end"
    return Estimate(seen / max(events, 1) / nominal, low, high, LEVEL, "times", n, method)


def holds(found: Estimate, truth: float) -> bool:
    """Whether an interval holds the truth, rounding aside."""
    return found.low - 1e-9 <= truth <= found.high + 1e-9


def _shown(number: float, unit: str, *, points: bool = False) -> str:
    if unit == "share":
        return f"{100 * number:g} {'points' if points else '%'}"
    return f"{number:g} {unit}"
