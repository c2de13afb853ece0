"""Alignment work: what tuning did to drift, gamma = sigma_base - dS/dt_tuned, and its sum over the horizon.

Two groups of paths under the same schedule, base and tuned. `paired` says that replicate i of both shares its seed
or conversation, so that differences are taken replicate by replicate; else the groups are independent (Welch).
Work W is the integral of gamma over time: what S gained in the base model beyond what it gained in the tuned one.
W needs no model of how S moves. Source: arXiv 2512.03047, eq. 4; Welch 1947.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import combinations
from math import comb

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import norm, t

from ethostat.maths.estimate import Estimate
from ethostat.maths.relaxation import LEAST_REPLICATES, early_rates
from ethostat.maths.trajectory import NEEDS_REPLICATES, RATE, Paths, Rates, horizon_mean, horizon_means

Floats = NDArray[np.float64]

_EXACT = 2**14
_DRAWS = 9_999


@dataclass(frozen=True, slots=True)
class AlignmentWork:
    """gamma over the horizon and early on, nats a step; their sum over the horizon; and the test that gamma > 0.

    `work` is in nats, `work_bits` the same in bits. `p_value` is one-sided, never 0, nan where it is undefined; `test`
    names how it was found.
    """

    rate: Estimate
    early_rate: Estimate
    work: Estimate
    work_bits: Estimate
    p_value: float
    test: str


def alignment_work(
    base: Paths, tuned: Paths, *, paired: bool, rng: np.random.Generator, window: int = 1, level: float = 0.95
) -> AlignmentWork:
    """What tuning held back. Both groups run over the same horizon; they need not share their number of points.

    The early rate is that of each group's relaxation where its paths bend beyond chance, of its line where they do not.
    With one replicate a group only the two paths' own gamma is known (sampling interval), and the test is undefined.
    Raises ValueError where horizons differ, or replicates of pairs do.
    """
    if not np.isclose(base.horizon, tuned.horizon):
        raise ValueError(f"both must run over the same horizon, got {base.horizon:g} and {tuned.horizon:g} steps")
    if paired and base.replicates != tuned.replicates:
        raise ValueError(f"pairs need as many replicates of both, got {base.replicates} and {tuned.replicates}")
    ends = horizon_means(base, window=window), horizon_means(tuned, window=window)
    responses = base.responses + tuned.responses
    if min(base.replicates, tuned.replicates) < 2:
        rate, p_value, test = _two_paths(base, tuned, window, level), np.nan, f"undefined: {NEEDS_REPLICATES}"
    else:
        rate = _difference(*ends, paired=paired, level=level, n=responses, method="gamma, mean over the horizon")
        p_value, test = _test(ends[0].each, ends[1].each, paired, rng)
    return AlignmentWork(
        rate, _early(base, tuned, paired, level), *_work(rate, base.horizon), p_value=p_value, test=test
    )


def work_path(base: Paths, tuned: Paths, *, paired: bool, level: float = 0.95) -> list[Estimate]:
    """Work accumulated until each step, nats, T of them; intervals hold step by step, not for all at once.

    Raises ValueError where the steps of the two differ, or a group has one replicate.
    """
    if not np.array_equal(base.steps, tuned.steps):
        raise ValueError("both must be measured at the same steps")
    if min(base.replicates, tuned.replicates) < 2:
        raise ValueError(NEEDS_REPLICATES)
    gains = [[paths.entropy[:, k] - paths.entropy[:, 0] for paths in (base, tuned)] for k in range(len(base.steps))]
    n = base.responses + tuned.responses
    return [
        replace(
            _difference(
                *(Rates(float(gain.mean()), gain) for gain in pair), paired=paired, level=level, n=n, method="work"
            ),
            unit="nats",
        )
        for pair in gains
    ]


def sign_flip_test(differences: ArrayLike, *, rng: np.random.Generator) -> tuple[float, str]:
    """One-sided p of a mean above 0 for differences (n,) that are symmetric about 0 if nothing changed, and its name.

    Exact over all 2^n signs for n <= 14, so that the least p is 2^-n (with n = 4 it cannot fall below 6 %); beyond,
    9,999 random signs and the observed ones. Never 0. Source: Fisher 1935, section 21; Phipson and Smyth 2010.
    """
    values = np.asarray(differences, dtype=np.float64)
    n = len(values)
    is_exact = 2**n <= _EXACT
    signs = (np.arange(2**n)[:, None] >> np.arange(n) & 1) * 2 - 1 if is_exact else rng.choice([-1, 1], (_DRAWS, n))
    as_large = int((signs @ values >= values.sum() - 1e-12 * np.abs(values).sum()).sum())
    if is_exact:
        return as_large / 2**n, f"sign-flip test, all {2**n} signs"
    return (1 + as_large) / (1 + _DRAWS), f"sign-flip test, {_DRAWS:,} random signs"


def permutation_test(base: ArrayLike, tuned: ArrayLike, *, rng: np.random.Generator) -> tuple[float, str]:
    """One-sided p of a mean of base above that of tuned, groups relabelled, Welch's t as the statistic; and its name.

    Exact where there are at most 16,384 relabellings; else 9,999 random ones and the observed one. Never 0.
    Source: Janssen 1997 (studentised, it holds for groups of unequal variance too, approximately).
    """
    first, both = len(np.asarray(base)), np.concatenate([np.asarray(base, float), np.asarray(tuned, float)])
    ways = comb(len(both), first)
    is_exact = ways <= _EXACT
    mask = _divisions(len(both), first) if is_exact else _random_divisions(len(both), first, rng)
    observed = np.arange(len(both)) < first
    as_large = int((_welch(both, mask) >= _welch(both, observed[None]) - 1e-9).sum())
    if is_exact:
        return as_large / ways, f"permutation test, all {ways} ways to divide the replicates"
    return (1 + as_large) / (1 + _DRAWS), f"permutation test, {_DRAWS:,} random divisions of the replicates"


@lru_cache(maxsize=8)
def _divisions(total: int, first: int) -> NDArray[np.bool_]:
    """Every way to choose `first` of `total`, one a row."""
    return _as_mask(np.array(list(combinations(range(total), first))), total)


def _random_divisions(total: int, first: int, rng: np.random.Generator) -> NDArray[np.bool_]:
    return _as_mask(rng.random((_DRAWS, total)).argsort(axis=1)[:, :first], total)


def _as_mask(chosen: NDArray[np.int64], total: int) -> NDArray[np.bool_]:
    mask = np.zeros((len(chosen), total), dtype=bool)
    np.put_along_axis(mask, chosen, True, axis=1)
    return mask


def _welch(values: Floats, mask: NDArray[np.bool_]) -> Floats:
    """Welch's t of the chosen against the others, for each row of a mask (B, n)."""
    sides = []
    for side in (mask, ~mask):
        size = side.sum(axis=1)
        mean = side @ values / size
        sides.append((mean, (side @ values**2 / size - mean**2) / np.maximum(size - 1, 1)))
    (mean, variance), (other, its) = sides
    return np.asarray((mean - other) / np.sqrt(np.maximum(variance + its, 1e-24)))


def _test(base: Floats, tuned: Floats, paired: bool, rng: np.random.Generator) -> tuple[float, str]:
    return sign_flip_test(base - tuned, rng=rng) if paired else permutation_test(base, tuned, rng=rng)


def _difference(base: Rates, tuned: Rates, *, paired: bool, level: float, n: int, method: str) -> Estimate:
    """Difference with Student's interval over pairs, or Welch's over independent groups."""
    value = base.value - tuned.value
    middle = value + base.lean(level) - tuned.lean(level)
    if paired:
        pairs = Rates(value, base.each - tuned.each)
        margin, title = pairs.margin(level), f"{method}; t interval over {len(pairs.each)} pairs"
        return Estimate(value, middle - margin, middle + margin, level, RATE, n, title)
    parts = np.array([base.error**2, tuned.error**2])
    freedom = parts.sum() ** 2 / max((parts**2 / [len(base.each) - 1, len(tuned.each) - 1]).sum(), 1e-300)
    margin = float(t.ppf((1 + level) / 2, max(freedom, 1.0)) * np.sqrt(parts.sum()))
    counted = f"{len(base.each)} and {len(tuned.each)} replicates"
    return Estimate(value, middle - margin, middle + margin, level, RATE, n, f"{method}; Welch interval over {counted}")


def _early(base: Paths, tuned: Paths, paired: bool, level: float) -> Estimate:
    n = base.responses + tuned.responses
    if min(base.replicates, tuned.replicates) < LEAST_REPLICATES:
        reason = f"an early rate needs {LEAST_REPLICATES} replicates of both models"
        return Estimate.undefined(reason, level=level, unit=RATE, n=n)
    rates = early_rates(base), early_rates(tuned)
    return _difference(*rates, paired=paired, level=level, n=n, method="gamma, early; relaxation or line")


def _two_paths(base: Paths, tuned: Paths, window: int, level: float) -> Estimate:
    """The two paths' own gamma, where the variance of both is known."""
    n = base.responses + tuned.responses
    if base.variance is None or tuned.variance is None or max(base.replicates, tuned.replicates) > 1:
        return Estimate.undefined(NEEDS_REPLICATES, level=level, unit=RATE, n=n)
    one, other = (horizon_mean(paths, window=window, level=level) for paths in (base, tuned))
    value, quantile = one.value - other.value, float(norm.ppf((1 + level) / 2))
    margin = float(np.hypot(one.half_width / quantile, other.half_width / quantile)) * quantile
    return Estimate(value, value - margin, value + margin, level, RATE, n, "gamma; sampling interval, these paths only")


def _work(rate: Estimate, horizon: float) -> tuple[Estimate, Estimate]:
    """The rate summed over the horizon, in nats and in bits."""
    if not rate.is_defined:
        return replace(rate, unit="nats"), replace(rate, unit="bits")
    scaled = [
        replace(rate, value=rate.value * by, low=rate.low * by, high=rate.high * by, unit=unit)
        for by, unit in ((horizon, "nats"), (horizon / float(np.log(2)), "bits"))
    ]
    return scaled[0], scaled[1]
