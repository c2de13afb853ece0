"""Bootstrap: intervals for figures that are made of sums over groups, resampled a group at a time.

Rows that share a prompt are not independent, so whole groups are drawn. Every figure here is a function of a total
over groups: a draw weighs the groups' tables and adds them up, and no row is touched again.
Source: Efron 1987, Better bootstrap confidence intervals (BCa).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from ethostat.maths.estimate import Estimate

Floats = NDArray[np.float64]
Statistic = Callable[[Floats], Floats]

RESAMPLES = 1000
_AT_ONCE = 100
_LEAST_GROUPS = 2


@dataclass(frozen=True, slots=True)
class Figure:
    """What the estimate of a statistic needs beside its total: its unit, its range, the rows behind it."""

    name: str
    n: int
    unit: str = "share"
    range: tuple[float, float] = (0.0, 1.0)
    level: float = 0.95

    def undefined(self, reason: str) -> Estimate:
        """No number, for this reason."""
        return Estimate.undefined(reason, level=self.level, unit=self.unit, n=self.n)


def bca(tables: Floats, statistic: Statistic, figure: Figure, *, rng: np.random.Generator) -> Estimate:
    """The statistic of the groups' sum, with a BCa interval over groups.

    `tables` (G, ...) holds one table a group; `statistic` takes totals (B, ...) and gives values (B,), nan where it
    is undefined. Where every draw gives the same value the interval is `whole_agreement`'s, never of width 0.
    Undefined where the total's statistic is, or for fewer than two groups.
    """
    value = float(statistic(tables.sum(axis=0)[None])[0]) if len(tables) else np.nan
    if problem := _problem(value, len(tables)):
        return figure.undefined(problem)
    draws = np.concatenate([statistic(totals) for totals in resampled(tables, rng)])
    left_out = statistic(tables.sum(axis=0) - tables)
    return bca_of(value, draws, left_out, figure, groups=len(tables))


def bca_of(value: float, draws: Floats, left_out: Floats, figure: Figure, *, groups: int) -> Estimate:
    """BCa's interval from bootstrap draws and the values without each group in turn; undefined ones are dropped."""
    draws = np.sort(draws[np.isfinite(draws)])
    if len(draws) < RESAMPLES // 2:
        return figure.undefined("most resamples leave it undefined; label more rows")
    if np.ptp(draws) < 1e-12:
        return whole_agreement(value, figure, groups=groups)
    share = ((draws < value).sum() + 0.5 * (draws == value).sum()) / len(draws)
    bias = norm.ppf(np.clip(share, 0.5 / len(draws), 1 - 0.5 / len(draws)))
    tails = bias + norm.ppf([(1 - figure.level) / 2, (1 + figure.level) / 2])
    ends = np.quantile(draws, norm.cdf(bias + tails / (1 - _acceleration(left_out) * tails)))
    return estimate_of(value, float(ends[0]), float(ends[1]), figure, "BCa bootstrap over groups")


def whole_agreement(value: float, figure: Figure, *, groups: int) -> Estimate:
    """The interval where no resample differs: a share w of all groups may be unlike those seen, and anything there.

    w = z^2 / (G + z^2) is the upper end of Wilson's interval for something seen in none of G groups.
    """
    z2 = float(norm.ppf((1 + figure.level) / 2)) ** 2
    unseen = z2 / (groups + z2)
    least, most = figure.range
    low, high = value - unseen * (value - least), value + unseen * (most - value)
    return estimate_of(value, low, high, figure, "all resamples agree; Wilson for groups unlike those seen")


def _problem(value: float, groups: int) -> str | None:
    if groups < _LEAST_GROUPS:
        return f"an interval over groups needs {_LEAST_GROUPS} of them, got {groups}"
    return None if np.isfinite(value) else "no row, or only one goal, decides it"


def resampled(tables: Floats, rng: np.random.Generator) -> Iterator[Floats]:
    """Totals of resampled groups, 1,000 in all, (100, ...) at a time."""
    groups, flat = len(tables), tables.reshape(len(tables), -1)
    for _ in range(RESAMPLES // _AT_ONCE):
        weights = rng.multinomial(groups, np.full(groups, 1 / groups), _AT_ONCE).astype(np.float64)
        yield (weights @ flat).reshape(_AT_ONCE, *tables.shape[1:])


def _acceleration(left_out: Floats) -> float:
    known = left_out[np.isfinite(left_out)]
    apart = known.mean() - known if len(known) else np.zeros(1)
    squares = float((apart**2).sum())
    return 0.0 if squares <= 0 else float((apart**3).sum() / (6 * squares**1.5))


def estimate_of(value: float, low: float, high: float, figure: Figure, method: str) -> Estimate:
    """The estimate, its ends within the figure's range and around its value."""
    least, most = figure.range
    low, high = max(min(low, value), least), min(max(high, value), most)
    return Estimate(value, low, high, figure.level, figure.unit, figure.n, f"{figure.name}; {method}")
