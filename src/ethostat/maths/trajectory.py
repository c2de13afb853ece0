"""Trajectory: S over time, and what its change may be called. n replicates (conversations, seeds), T steps each.

A path is one replicate's S(t). Points of one path are not independent, so the replicate is the unit: every rate is
computed in each replicate, and the interval is Student's over replicates. What one path alone can say is kept apart:
its own rate, with the sampling of its responses as the only chance, or a line through the means of long stretches.

S cannot leave [0, ln K]. A rate that would take it out before the horizon was not constant, whatever a line fitted to
it says; `constant_rate` says so. Rates are in nats a step, with the step that the caller counts in.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import norm, t

from ethostat.maths.entropy import Estimator, jackknife, varentropy
from ethostat.maths.estimate import Estimate

Floats = NDArray[np.float64]

RATE = "nats/step"
NEEDS_REPLICATES = "one path says nothing about paths like it; run at least two replicates"
_STRETCHES = 6
_LEAST_POINTS = 4 * _STRETCHES
_WINDOWS = 5


@dataclass(frozen=True, eq=False)
class Paths:
    """S of n replicates at T steps, nats.

    `entropy` is (n, T), `steps` (T,) ascending, `goals` K, `responses` the number behind all of it, `variance` (n, T)
    that of each S over repeated sampling of its responses (nats squared), None where it is not known. Raises
    ValueError where shapes or values do not fit.
    """

    entropy: Floats
    steps: Floats
    goals: int
    responses: int
    variance: Floats | None = None

    def __post_init__(self) -> None:
        if self.entropy.ndim != 2 or self.steps.shape != self.entropy.shape[1:]:
            raise ValueError(f"entropy must be (n, T) and steps (T,), got {self.entropy.shape} and {self.steps.shape}")
        if len(self.entropy) < 1 or len(self.steps) < 2 or not (np.diff(self.steps) > 0).all():
            raise ValueError("paths need a replicate and two steps, the steps ascending")
        if self.variance is not None and self.variance.shape != self.entropy.shape:
            raise ValueError(f"variance must have the shape {self.entropy.shape}, got {self.variance.shape}")
        if self.goals < 2 or not np.isfinite(self.entropy).all():
            raise ValueError(f"paths need 2 or more goals and an S at every step; got {self.goals} goals")

    @classmethod
    def from_counts(cls, counts: ArrayLike, steps: ArrayLike, *, estimator: Estimator = jackknife) -> Paths:
        """From counts (n, T, K) over goals.

        The default estimator's bias hardly changes with S, so that it leaves rates alone. The variance is V / (k - 1)
        from proportions smoothed by one response spread over the goals. Raises ValueError where a step has fewer than
        two responses.
        """
        table = np.asarray(counts, dtype=np.float64)
        if table.ndim != 3:
            raise ValueError(f"counts must have shape (replicates, steps, goals), got {table.shape}")
        size = table.sum(axis=2)
        if size.min(initial=0 if size.size == 0 else np.inf) < 2:
            raise ValueError("every step needs two responses or more for an S")
        smooth = (table + 1 / table.shape[2]) / (size + 1)[..., None]
        variance = varentropy(smooth) / (size - 1)
        return cls(estimator(table), np.asarray(steps, dtype=np.float64), table.shape[2], int(size.sum()), variance)

    @property
    def replicates(self) -> int:
        """n."""
        return len(self.entropy)

    @property
    def horizon(self) -> float:
        """Steps from the first point to the last."""
        return float(self.steps[-1] - self.steps[0])

    @property
    def most(self) -> float:
        """ln K, the largest S, nats."""
        return float(np.log(self.goals))


@dataclass(frozen=True, eq=False)
class Rates:
    """A figure of the population of replicates, and each replicate's part in it.

    `value` is the estimate; `each` (n,) holds the replicates' own values (their jackknife pseudo-values where the
    figure is fitted to all together), whose spread is that of the estimate. `is_quotient` says that a replicate's value
    is one number over another, so that large values spread more than small ones.
    """

    value: float
    each: Floats
    is_quotient: bool = False

    @property
    def error(self) -> float:
        """The standard error of `value`; nan for one replicate."""
        return float(self.each.std(ddof=1) / np.sqrt(len(self.each))) if len(self.each) > 1 else np.nan

    def margin(self, level: float) -> float:
        """Half of the width of Student's interval, n - 1 degrees of freedom."""
        return float(t.ppf((1 + level) / 2, len(self.each) - 1)) * self.error

    def lean(self, level: float) -> float:
        """How far the middle of a quotient's interval lies from its value: as on the log scale, to second order.

        It is r^2 / 2 of the value, with r the relative margin, at most 1; 0 for what is no quotient.
        """
        if not self.is_quotient or self.value == 0:
            return 0.0
        return self.value * min(self.margin(level) / abs(self.value), 1.0) ** 2 / 2

    def estimate(self, *, level: float, unit: str, n: int, method: str) -> Estimate:
        """With Student's interval, leaning where it has to. Undefined for one replicate."""
        if len(self.each) < 2:
            return Estimate.undefined(NEEDS_REPLICATES, level=level, unit=unit, n=n)
        margin, middle = self.margin(level), self.value + self.lean(level)
        title = f"{method}; t interval over {len(self.each)} replicates"
        return Estimate(self.value, middle - margin, middle + margin, level, unit, n, title)


def slope(paths: Paths, *, level: float = 0.95) -> Estimate:
    """Slope of the straight line through S(t), nats a step, the mean over replicates.

    When to use it: S moves little and steadily. Of a path that rises and levels off it is far below the early rate
    (`relaxation`), and below the mean rate too. With one path of 24 points or more: a line through the means of 6
    stretches, t with 4 degrees of freedom, which allows for noise that lasts less than a stretch. With a shorter one
    whose variance is known: this path's slope, sampling interval. Else undefined.
    """
    if paths.replicates > 1:
        return slopes(paths).estimate(level=level, unit=RATE, n=paths.responses, method="least-squares line")
    if len(paths.steps) >= _LEAST_POINTS:
        return _slope_of_stretches(paths, level)
    return _this_path(paths, _line_weights(paths.steps), level, method="least-squares line")


def slopes(paths: Paths) -> Rates:
    """Each replicate's least-squares slope, nats a step."""
    return _mean_of(paths.entropy @ _line_weights(paths.steps))


def horizon_mean(paths: Paths, *, window: int = 1, level: float = 0.95) -> Estimate:
    """Mean rate over the horizon, nats a step: (S at the end - S at the start) / steps between.

    It holds for every shape of path, and times the horizon it is what S gained. `window` averages so many points at
    each end: the noise falls by up to its square root, and the rate is then that between the windows' middles, which
    for a path that moves fast at first is not that of the horizon: keep 1 unless the path is slow. One path: its own
    rate, sampling interval, where the variance is known; else undefined. Raises ValueError for windows that overlap.
    """
    weights = _end_weights(paths, window)
    ends = "the first and last point" if window == 1 else f"the means of {window} points at each end"
    if paths.replicates == 1:
        return _this_path(paths, weights, level, method=f"difference of {ends}")
    rates = _mean_of(paths.entropy @ weights)
    return rates.estimate(level=level, unit=RATE, n=paths.responses, method=f"difference of {ends}")


def horizon_means(paths: Paths, *, window: int = 1) -> Rates:
    """Each replicate's mean rate over the horizon, nats a step."""
    return _mean_of(paths.entropy @ _end_weights(paths, window))


@dataclass(frozen=True, slots=True)
class Constancy:
    """Whether a rate can have been constant: `lasts` is the number of steps after which S would leave its range."""

    is_possible: bool
    lasts: float
    words: str


def constant_rate(rate: float, *, start: float, horizon: float, goals: int) -> Constancy:
    """Whether S can have changed by `rate` (nats a step) over the whole horizon (steps) from `start` (nats).

    >>> round(constant_rate(0.013, start=0.7, horizon=1000, goals=5).lasts)
    70
    """
    most = float(np.log(goals))
    room = most - start if rate > 0 else start
    if abs(rate) * horizon <= room:
        return Constancy(True, np.inf if rate == 0 else room / abs(rate), "the rate may have been constant")
    lasts = max(room, 0.0) / abs(rate)
    end = f"ln {goals} = {most:.3f}, the largest S there is," if rate > 0 else "0, the least S there is,"
    return Constancy(
        False,
        lasts,
        f"{rate:.3g} nats a step cannot have been constant over {horizon:g} steps: from S = {start:.3g} it reaches "
        f"{end} after {lasts:.0f} steps.",
    )


@dataclass(frozen=True, slots=True)
class Equivalence:
    """Whether S did not drift: `drift` is the fitted line's change over the horizon (nats, interval of 1 - 2 alpha),
    `largest` the largest change that was looked at, `p_value` that of the least certain one."""

    drift: Estimate
    largest: Estimate
    margin: float
    p_value: float
    holds: bool
    words: str


def no_drift(paths: Paths, *, margin: float, alpha: float = 0.05) -> Equivalence:
    """Test that S stayed within `margin` nats of where it began, over the horizon (TOST).

    Every change that is looked at must lie within the margin, each by two one-sided t tests over replicates: that of
    the fitted line, and from the first point to the mean of each fifth of them. Since all must pass,
    the level stays alpha (an intersection-union test). A line alone would pass a path that leaps and stays.
    The margin is yours: how much change you would not mind. Undefined, and not held, for one replicate.
    Raises ValueError for a margin that is not above 0.
    Source: Schuirmann 1987; Berger 1982 (intersection-union tests).
    """
    if not margin > 0:
        raise ValueError(f"the margin must be above 0 nats, got {margin}")
    level = 1 - 2 * alpha
    if paths.replicates < 2:
        nothing = Estimate.undefined(NEEDS_REPLICATES, level=level, unit="nats", n=paths.responses)
        return Equivalence(nothing, nothing, margin, np.nan, False, f"undefined: {NEEDS_REPLICATES}")
    looks = [_mean_of(paths.entropy @ weights) for weights in _drift_weights(paths.steps)]
    p_values = [_equivalence_p(look, margin) for look in looks]
    drift, *_ = found = [
        look.estimate(level=level, unit="nats", n=paths.responses, method=title)
        for look, title in zip(looks, ("change of the fitted line", *["change from the start"] * _WINDOWS), strict=True)
    ]
    largest = max(found, key=lambda one: max(abs(one.low), abs(one.high)))
    p_value, holds = max(p_values), max(p_values) <= alpha
    said = f"S stayed within {margin:g} nats of where it began" if holds else _why_not(largest, margin)
    return Equivalence(drift, largest, margin, p_value, holds, said)


@dataclass(frozen=True, slots=True)
class Direction:
    """Where the mass went: each goal's change of share over the horizon, and which goals rose and fell beyond doubt."""

    changes: tuple[Estimate, ...]
    rose: tuple[int, ...]
    fell: tuple[int, ...]


def direction(counts: ArrayLike, steps: ArrayLike, *, level: float = 0.95) -> Direction:
    """Each goal's change of share over the horizon, by a straight line through its shares, in the goals' order.

    `counts` (n, T, K). Student's interval over replicates; for one path that of the sampling of its responses. A goal
    rose or fell where its interval at level 1 - (1 - level) / K, so for all goals at once, leaves 0 out.
    """
    table = np.asarray(counts, dtype=np.float64)
    size = table.sum(axis=2, keepdims=True)
    shares, smooth = table / size, (table + 1 / table.shape[2]) / (size + 1)
    variance = smooth * (1 - smooth) / size
    at = np.asarray(steps, dtype=np.float64)
    goals = range(table.shape[2])
    lines = [Paths(shares[:, :, k], at, table.shape[2], int(table.sum()), variance[:, :, k]) for k in goals]
    sure = [_share_change(line, 1 - (1 - level) / len(lines)) for line in lines]
    return Direction(
        tuple(_share_change(line, level) for line in lines),
        tuple(k for k in goals if sure[k].low > 0),
        tuple(k for k in goals if sure[k].high < 0),
    )


def seen_beyond_chance(looks: Floats, *, alpha: float = 0.05) -> bool:
    """Whether the mean over replicates of one of m looks (n, m) differs from 0; t tests, Bonferroni. n of 2 or more."""
    error = looks.std(axis=0, ddof=1) / np.sqrt(len(looks))
    ratio = np.abs(looks.mean(axis=0)) / np.maximum(error, 1e-12)
    return bool(2 * t.sf(ratio.max(), len(looks) - 1) < alpha / looks.shape[1])


def _share_change(line: Paths, level: float) -> Estimate:
    weights = _line_weights(line.steps) * line.horizon
    if line.replicates == 1:
        return replace(_this_path(line, weights, level, method="least-squares line"), unit="share")
    found = _mean_of(line.entropy @ weights)
    return found.estimate(level=level, unit="share", n=line.responses, method="least-squares line")


def _mean_of(each: Any) -> Rates:
    values = np.asarray(each, dtype=np.float64)
    return Rates(float(values.mean()), values)


def _line_weights(steps: Floats) -> Floats:
    """Weights (T,) whose sum with S(t) is the least-squares slope."""
    centred = steps - steps.mean()
    return np.asarray(centred / (centred @ centred))


def _end_weights(paths: Paths, window: int) -> Floats:
    """Weights (T,) whose sum with S(t) is the mean rate between the two ends."""
    points = len(paths.steps)
    if not 1 <= window <= points // 2:
        raise ValueError(f"window must be 1 to {points // 2} of the {points} points, got {window}")
    ends = _mean_weights(points, points - window, points) - _mean_weights(points, 0, window)
    return np.asarray(ends / (ends @ paths.steps))


def _mean_weights(points: int, first: int, last: int) -> Floats:
    weights = np.zeros(points)
    weights[first:last] = 1 / (last - first)
    return weights


def _drift_weights(steps: Floats) -> Iterator[Floats]:
    points = len(steps)
    yield _line_weights(steps) * (steps[-1] - steps[0])
    start = _mean_weights(points, 0, 1)
    edges = np.linspace(0, points, _WINDOWS + 1).round().astype(int)
    for first, last in pairwise(edges):
        yield _mean_weights(points, first, max(last, first + 1)) - start


def _equivalence_p(look: Rates, margin: float) -> float:
    if look.error == 0:
        return 0.0 if abs(look.value) < margin else 1.0
    return float(t.sf((margin - abs(look.value)) / look.error, len(look.each) - 1))


def _why_not(largest: Estimate, margin: float) -> str:
    if largest.low > margin or largest.high < -margin:
        return f"S drifted: by {largest.value:.3g} nats, beyond the margin of {margin:g}"
    return (
        f"not shown: S may have changed by as much as {max(abs(largest.low), abs(largest.high)):.3g} nats, the margin "
        f"is {margin:g}; add replicates or responses, or widen the margin"
    )


def _this_path(paths: Paths, weights: Floats, level: float, *, method: str) -> Estimate:
    """A weighted sum of one path's points, with the sampling of their responses as the only chance."""
    if paths.variance is None:
        return Estimate.undefined(NEEDS_REPLICATES, level=level, unit=RATE, n=paths.responses)
    value = float(paths.entropy[0] @ weights)
    margin = float(norm.ppf((1 + level) / 2) * np.sqrt(paths.variance[0] @ weights**2))
    title = f"{method}; sampling interval, this path only"
    return Estimate(value, value - margin, value + margin, level, RATE, paths.responses, title)


def _slope_of_stretches(paths: Paths, level: float) -> Estimate:
    """A line through the means of 6 stretches of one path: their residuals carry the noise that lasts."""
    parts = zip(np.array_split(paths.entropy[0], _STRETCHES), np.array_split(paths.steps, _STRETCHES), strict=True)
    means, at = np.array([(s.mean(), x.mean()) for s, x in parts]).T
    weights = _line_weights(at)
    value, freedom = float(means @ weights), _STRETCHES - 2
    residual = means - means.mean() - value * (at - at.mean())
    margin = float(t.ppf((1 + level) / 2, freedom) * np.sqrt(residual @ residual / freedom * (weights @ weights)))
    title = (
        f"line through the means of {_STRETCHES} stretches of one path; t interval, this path and noise like its own"
    )
    return Estimate(value, value - margin, value + margin, level, RATE, paths.responses, title)
