"""Shift: what A did against what B did, B - A: differences with intervals, equivalence, how many more it would take.

Counts are (J, K), a row a prompt. Two questions, as for one panel: for *these prompts* only the responses are random;
for *prompts like these* the prompts are too. Where the prompts are the same (`paired`) each weighs the same in A and
in B, however often it was asked, and the interval is of the prompts' differences: what a prompt does to both models
alike falls out. Where they are not (`unpaired`) the two panels are independent, and only prompts like these can be
spoken of.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import norm, t

from ethostat.maths import panel
from ethostat.maths.entropy import jackknife, varentropy
from ethostat.maths.estimate import Estimate

Floats = NDArray[np.float64]

_PAIRED, _UNPAIRED = "paired, t over prompts like these", "unpaired, prompts like these"
_HERE = "these prompts"
_NOT_THE_SAME = "the prompts are not the same, so nothing is known of these prompts alone"


@dataclass(frozen=True, slots=True)
class Pair:
    """Counts of A and of B, without empty rows; `is_paired` says that row j of both is the same prompt."""

    a: Floats
    b: Floats
    is_paired: bool

    @property
    def n(self) -> int:
        """Responses on both sides."""
        return int(self.a.sum() + self.b.sum())

    @property
    def prompts(self) -> int:
        """Prompts: the pairs, or the fewer of the two sides."""
        return min(len(self.a), len(self.b))


def paired(a: ArrayLike, b: ArrayLike) -> Pair:
    """The same prompts in the same order; those that one side did not answer are left out.

    Raises ValueError where the shapes differ.
    """
    first, second = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    if first.ndim != 2 or first.shape != second.shape:
        raise ValueError(f"paired counts must have one shape (prompts, goals), got {first.shape} and {second.shape}")
    both = (first.sum(axis=1) > 0) & (second.sum(axis=1) > 0)
    return Pair(first[both], second[both], is_paired=True)


def unpaired(a: ArrayLike, b: ArrayLike) -> Pair:
    """Two prompt sets. Raises ValueError where they count different numbers of goals."""
    first, second = panel.filled(a), panel.filled(b)
    if first.shape[1] != second.shape[1]:
        raise ValueError(f"counts of {first.shape[1]} and {second.shape[1]} goals cannot be compared")
    return Pair(first, second, is_paired=False)


def entropy_difference(pair: Pair, *, level: float = 0.95) -> Estimate:
    """Difference of the mean within-prompt S, nats, for prompts like these.

    The value is that of `panel.within_entropy` of B less A. Paired, its interval is Student's over the prompts'
    jackknife differences. Undefined where fewer than two prompts were asked twice on both sides.
    """
    if problem := _problem_within(pair, least=2):
        return Estimate.undefined(problem, level=level, unit="nats", n=pair.n)
    value = _within(pair.b) - _within(pair.a)
    if not pair.is_paired:
        a, b = (panel.within_entropy_population(n, level=level) for n in (pair.a, pair.b))
        return square_and_add(a, b, method=_UNPAIRED)
    apart = _prompt_differences(pair)
    variance = _mean_variance(apart, _sampling(pair))
    error = math.sqrt(variance * panel.t_inflation(apart - apart.mean(), level))
    middle = value + error * _skew_shift(apart, level)
    most, margin = _most(pair), _z(level) * error
    low, high = _clipped(min(middle - margin, value), most), _clipped(max(middle + margin, value), most)
    return Estimate(value, low, high, level, "nats", pair.n, f"difference of within-prompt S; {_PAIRED}")


def entropy_difference_here(pair: Pair, *, level: float = 0.95) -> Estimate:
    """Difference of the mean within-prompt S of these prompts, nats: only the responses are random."""
    if problem := _problem_within(pair, least=1) or (None if pair.is_paired else _NOT_THE_SAME):
        return Estimate.undefined(problem, level=level, unit="nats", n=pair.n)
    margin = _z(level) * math.sqrt(_sampling(pair))
    value = _within(pair.b) - _within(pair.a)
    return _nats(value, margin, pair, level, f"difference of within-prompt S; sampling interval, {_HERE}")


def pooled_difference(pair: Pair, *, level: float = 0.95) -> Estimate:
    """Difference of the pooled S, nats, for prompts like these; paired, every prompt weighs the same.

    The interval is Student's over the prompts' linearised parts; where few of them differ it moves towards the one
    that two independent panels would have.
    """
    if problem := _problem_prompts(pair):
        return Estimate.undefined(problem, level=level, unit="nats", n=pair.n)
    ends_a, ends_b = (panel.pooled_entropy(n, level=level) for n in (pair.a, pair.b))
    if not pair.is_paired:
        return square_and_add(ends_a, ends_b, method=_UNPAIRED)
    x, y = rates(pair.a), rates(pair.b)
    parts = (panel.surprise_totals(y) - panel.surprise_totals(x)) / len(x)
    variance = float(len(x) / (len(x) - 1) * (parts**2).sum())
    apart = square_and_add(ends_a, ends_b, method="")
    z, inflation = _z(level), panel.t_inflation(parts, level)
    arms = [
        z * math.sqrt(inflation * cautious(variance, parts, worst=(arm / z) ** 2))
        for arm in (apart.value - apart.low, apart.high - apart.value)
    ]
    value = float(panel.pooled_value(y) - panel.pooled_value(x))
    low, high = (_clipped(end, _most(pair)) for end in (value - arms[0], value + arms[1]))
    method = f"difference of cluster Miller-Madow; linearised, {_PAIRED}"
    return Estimate(value, low, high, level, "nats", pair.n, method)


def share_difference(pair: Pair, goals: ArrayLike, *, level: float = 0.95) -> Estimate:
    """Difference of the share of responses on some goals (mask (K,)), for prompts like these.

    Paired, every prompt weighs the same and the interval is Student's over the prompts' differences; where few of
    them differ it moves towards the one of prompts that are all or nothing.
    """
    mask = np.asarray(goals, dtype=bool)
    if problem := _problem_prompts(pair):
        return Estimate.undefined(problem, level=level, unit="share", n=pair.n)
    if not pair.is_paired:
        a, b = (panel.aligned_share(n, mask, level=level) for n in (pair.a, pair.b))
        return square_and_add(a, b, method=_UNPAIRED)
    apart = (rates(pair.b) - rates(pair.a))[:, mask].sum(axis=1)
    inflation = panel.t_inflation(apart - apart.mean(), level)
    margin = _z(level) * math.sqrt(share_variance(pair, mask, level=level) * inflation)
    value = float(apart.mean())
    low, high = _clipped(value - margin, 1.0), _clipped(value + margin, 1.0)
    return Estimate(value, low, high, level, "share", pair.n, f"difference of shares; {_PAIRED}")


def share_difference_here(pair: Pair, goals: ArrayLike, *, level: float = 0.95) -> Estimate:
    """The same for these prompts: Wilson's interval on each side's effective n, squared and added."""
    mask = np.asarray(goals, dtype=bool)
    if problem := _problem_nothing(pair) or (None if pair.is_paired else _NOT_THE_SAME):
        return Estimate.undefined(problem, level=level, unit="share", n=pair.n)
    a, b = (_share_here(n, mask, level=level) for n in (pair.a, pair.b))
    return square_and_add(a, b, method=_HERE)


def reduction(pair: Pair, *, level: float = 0.95) -> Estimate:
    """100 (S_A - S_B) / S_A in percent, S the mean within-prompt one, with Fieller's interval, prompts like these.

    It may be below 0 (S grew). Undefined where the interval of S_A touches 0: then the ratio may be anything.
    Source: Fieller 1954, Some problems in interval estimation.
    """
    if problem := _problem_within(pair, least=2):
        return Estimate.undefined(problem, level=level, unit="%", n=pair.n)
    before, after = _within(pair.a), _within(pair.b)
    cov, inflation = _within_covariance(pair, level)
    c2 = _z(level) ** 2 * inflation
    square = before**2 - c2 * cov[0, 0]
    if before <= 0 or square <= 0:
        reason = f"the interval of S of A ({before:.3f} nats) touches 0, so a share of it means nothing"
        return Estimate.undefined(reason, level=level, unit="%", n=pair.n)
    middle = before * after - c2 * cov[0, 1]
    root = math.sqrt(max(middle**2 - square * (after**2 - c2 * cov[1, 1]), 0.0))
    ends = sorted(float(100 * (1 - (middle + sign * root) / square)) for sign in (1, -1))
    method = f"reduction of within-prompt S; Fieller, {_PAIRED if pair.is_paired else _UNPAIRED}"
    return Estimate(100 * (1 - after / before), ends[0], ends[1], level, "%", pair.n, method)


def is_within(found: Estimate, margin: float) -> bool:
    """Whether the whole interval lies within +- margin: with a 90 % one, two one-sided tests at 5 % (TOST).

    Source: Schuirmann 1987, A comparison of the two one-sided tests procedure.
    """
    return found.is_defined and -margin < found.low and found.high < margin


@dataclass(frozen=True, slots=True)
class Need:
    """What it takes to see a change of `change` nats of the mean within-prompt S.

    For prompts like these: `prompts`, at the samples a prompt of now, paired, and `unpaired_prompts`, for each side,
    where the two sides ask different ones. For these prompts: `samples` a prompt on each side. `smallest` and
    `smallest_here` are the changes that would be seen as it stands, for prompts like these and for these prompts.
    nan where it cannot be said.
    """

    change: float
    power: float
    prompts: float
    unpaired_prompts: float
    samples: float
    smallest: float
    smallest_here: float


def need(pair: Pair, change: float, *, power: float = 0.8, level: float = 0.95) -> Need:
    """Prompts and samples at which a change of this many nats is found with this power by a two-sided test.

    From the observed variance between prompts and within them, as if both stayed what they are.
    Raises ValueError for a change that is not above 0 or a power outside (0.5, 1).
    """
    if not change > 0 or not 0.5 < power < 1:
        raise ValueError(f"change must be above 0 and power between 0.5 and 1, got {change} and {power}")
    if _problem_within(pair, least=2):
        return Need(change, power, *[math.nan] * 5)
    alone = sum(_twice(n).var(ddof=1) for n in (pair.a, pair.b))
    together = float(_prompt_differences(pair).var(ddof=1)) if pair.is_paired else math.nan
    reach = float(norm.ppf((1 + level) / 2) + norm.ppf(power))
    here = reach**2 * _sampling_unit(pair) / (pair.prompts * change**2) if pair.is_paired else math.nan
    known = together if pair.is_paired else float(alone)
    return Need(
        change,
        power,
        _prompts_needed(together, change, power=power, level=level),
        _prompts_needed(float(alone), change, power=power, level=level),
        math.nan if math.isnan(here) else float(max(math.ceil(here), 2)),
        _reach(pair.prompts, power, level) * math.sqrt(known / pair.prompts),
        reach * math.sqrt(_sampling(pair)) if pair.is_paired else math.nan,
    )


def square_and_add(a: Estimate, b: Estimate, *, method: str) -> Estimate:
    """B - A of independent estimates: the distances of value to ends, squared and added (MOVER).

    Source: Newcombe 1998, Interval estimation for the difference between independent proportions; Donner and Zou 2012.
    """
    n = a.n + b.n
    for one in (a, b):
        if not one.is_defined:
            return Estimate.undefined(one.method.removeprefix("undefined: "), level=a.level, unit=a.unit, n=n)
    value = b.value - a.value
    low = value - math.hypot(b.value - b.low, a.high - a.value)
    high = value + math.hypot(b.high - b.value, a.value - a.low)
    return Estimate(value, low, high, a.level, a.unit, n, f"difference; squares of both intervals added, {method}")


def _skew_shift(parts: Floats, level: float) -> float:
    """By how many standard errors an interval of the mean of these values (J,) moves towards their longer tail.

    Where a few prompts move far, the mean and its error rise together, and the end on their side is passed too often.
    Source: Johnson 1978, Modified t tests and confidence intervals for asymmetrical populations; Hall 1992.
    """
    spread = parts - parts.mean()
    variance = float((spread**2).mean())
    skew = float((spread**3).mean()) / variance**1.5 if variance > 0 else 0.0
    return float(np.clip(skew, -1, 1)) * (2 * _z(level) ** 2 + 1) / (6 * math.sqrt(len(parts)))


def rates(counts: Floats) -> Floats:
    """Each prompt's proportions (J, K)."""
    return np.asarray(counts / counts.sum(axis=1, keepdims=True))


def cautious(variance: float, parts: Floats, *, worst: float) -> float:
    """The variance of a mean over prompts, moved towards the worst where few prompts (`parts` (J,)) carry it.

    With m such prompts (the inverse of their parts' concentration) it is that of m prompts and 0.2 that have the
    worst: a panel that happens to hold one odd prompt, or none, is not sure of it. As in `panel.aligned_share`.
    """
    squares = parts**2
    odd = float(squares.sum() ** 2 / (squares**2).sum()) if squares.any() else 0.0
    return max((odd * variance + panel.ODD_PROMPTS * worst) / (odd + panel.ODD_PROMPTS), variance)


def share_variance(pair: Pair, mask: NDArray[np.bool_], *, level: float) -> float:
    """Variance of a paired difference of shares over prompts; the worst is that of all-or-nothing prompts."""
    x, y = (rates(n)[:, mask].sum(axis=1) for n in (pair.a, pair.b))
    apart, prompts, z2 = y - x, len(x), _z(level) ** 2
    p, q = ((one.mean() + z2 / (2 * prompts)) / (1 + z2 / prompts) for one in (x, y))
    worst = max(p * (1 - q) + q * (1 - p) - (q - p) ** 2, 0.0) / prompts
    return cautious(float(apart.var(ddof=1)) / prompts, apart - apart.mean(), worst=float(worst))


def _share_here(n: Floats, mask: NDArray[np.bool_], *, level: float) -> Estimate:
    """Mean share over these prompts, Wilson's on the effective n that sampling within prompts leaves.

    Each prompt's share is smoothed by one response spread over the goals, so that certain prompts keep a variance.
    """
    sizes, weight = n.sum(axis=1), mask.mean()
    share = float(rates(n)[:, mask].sum(axis=1).mean())
    smooth = (n[:, mask].sum(axis=1) + weight) / (sizes + 1)
    variance = float((smooth * (1 - smooth) / np.maximum(sizes - 1, 1)).sum()) / len(n) ** 2
    middle = float(smooth.mean())
    effective = middle * (1 - middle) / variance if variance > 0 else float(sizes.sum())
    z2 = _z(level) ** 2
    centre = (share + z2 / (2 * effective)) / (1 + z2 / effective)
    margin = math.sqrt(z2 * share * (1 - share) / effective + (z2 / (2 * effective)) ** 2) / (1 + z2 / effective)
    low, high = min(max(centre - margin, 0.0), share), max(min(centre + margin, 1.0), share)
    return Estimate(share, low, high, level, "share", int(sizes.sum()), f"Wilson on effective n, {_HERE}")


def _within(n: Floats) -> float:
    """The mean within-prompt S that `panel.within_entropy` gives, nats."""
    return float(np.clip(panel.prompt_entropies(n, None)[0].mean(), 0.0, math.log(n.shape[1])))


def _twice(n: Floats) -> Floats:
    return jackknife(n[n.sum(axis=1) > 1])


def _prompt_differences(pair: Pair) -> Floats:
    """Jackknife S of B less A for each prompt that both answered twice, nats."""
    twice = (pair.a.sum(axis=1) > 1) & (pair.b.sum(axis=1) > 1)
    return np.asarray(jackknife(pair.b[twice]) - jackknife(pair.a[twice]))


def _sampling(pair: Pair) -> float:
    """Variance of the difference over repeated sampling of these prompts, nats squared."""
    return panel.sampling_variance(pair.a) + panel.sampling_variance(pair.b)


def _sampling_unit(pair: Pair) -> float:
    """The sampling variance of one prompt's difference from one response a side, mean over prompts, nats squared."""
    smooth = [(n + 1 / n.shape[1]) / (n.sum(axis=1, keepdims=True) + 1) for n in (pair.a, pair.b)]
    return float(sum(varentropy(one).mean() for one in smooth))


def _within_covariance(pair: Pair, level: float) -> tuple[Floats, float]:
    """Covariance (2, 2) of the mean S of A and of B over prompts, and Student's inflation.

    Paired, the covariance is what the variances leave of that of the difference, so that models that behave alike on
    every prompt still have a difference to be unsure of.
    """
    if not pair.is_paired:
        singles = [_twice(n) for n in (pair.a, pair.b)]
        sides = zip(singles, (pair.a, pair.b), strict=True)
        variances = [max(float(s.var(ddof=1)) / len(s), panel.sampling_variance(n)) for s, n in sides]
        return np.diag(variances), max(panel.t_inflation(s - s.mean(), level) for s in singles)
    twice = (pair.a.sum(axis=1) > 1) & (pair.b.sum(axis=1) > 1)
    a, b = jackknife(pair.a[twice]), jackknife(pair.b[twice])
    first, second = (_mean_variance(one, panel.sampling_variance(n)) for one, n in ((a, pair.a), (b, pair.b)))
    together = (first + second - _mean_variance(b - a, _sampling(pair))) / 2
    apart = b - a - (b - a).mean()
    return np.array([[first, together], [together, second]]), panel.t_inflation(apart, level)


def _mean_variance(single: Floats, worst: float) -> float:
    """Variance of the mean of these values of prompts."""
    return cautious(float(single.var(ddof=1)) / len(single), single - single.mean(), worst=worst)


def _prompts_needed(variance: float, change: float, *, power: float, level: float) -> float:
    """The fewest prompts at which a t test over them sees the change; nan where the variance is not known."""
    if math.isnan(variance):
        return math.nan

    def suffices(prompts: float) -> bool:
        return _reach(prompts, power, level) ** 2 * variance <= prompts * change**2

    few, enough = 1.0, 2.0
    while not suffices(enough):
        few, enough = enough, 2 * enough
    while enough - few > 1:
        middle = (few + enough) // 2
        few, enough = (few, middle) if suffices(middle) else (middle, enough)
    return enough


def _reach(prompts: float, power: float, level: float) -> float:
    freedom = max(prompts - 1, 1)
    return float(t.ppf((1 + level) / 2, freedom) + t.ppf(power, freedom))


def _problem_nothing(pair: Pair) -> str | None:
    return None if pair.prompts else "there is no response to compare"


def _problem_prompts(pair: Pair) -> str | None:
    """Why nothing can be said of prompts like these, if so; unpaired, one row is a pool of independent responses."""
    return _problem_nothing(pair) or (panel.ONE_PROMPT if pair.is_paired and pair.prompts < 2 else None)


def _problem_within(pair: Pair, *, least: int) -> str | None:
    if problem := panel.within_problem(pair.a) or panel.within_problem(pair.b):
        return problem
    twice = [n.sum(axis=1) > 1 for n in (pair.a, pair.b)]
    enough = int((twice[0] & twice[1]).sum()) if pair.is_paired else min(int(one.sum()) for one in twice)
    if enough >= least:
        return None
    return f"the same {least} or more prompts must be asked twice on both sides, got {enough}"


def _z(level: float) -> float:
    return float(norm.ppf((1 + level) / 2))


def _most(pair: Pair) -> float:
    return math.log(pair.a.shape[1])


def _clipped(value: float, most: float) -> float:
    return float(np.clip(value, -most, most))


def _nats(value: float, margin: float, pair: Pair, level: float, method: str) -> Estimate:
    most = _most(pair)
    low, high = _clipped(value - margin, most), _clipped(value + margin, most)
    return Estimate(value, low, high, level, "nats", pair.n, method)
