"""Divergence: how far two profiles lie apart, whichever goals moved; bias-corrected, with intervals that start at 0.

An observed distance is never below 0 and, of equal profiles, always above it: noise looks like distance. Here every
distance is a norm of the difference of shares, and its estimate and interval are found by asking which true length,
in the direction that was seen, would make the observed one the median, or a tail, of its law with the noise that the
prompts show.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import gammaln, xlogy
from scipy.stats import norm

from ethostat.maths import panel
from ethostat.maths.entropy import entropy_of
from ethostat.maths.estimate import Estimate
from ethostat.maths.shift import Pair, cautious, rates, share_variance

Floats = NDArray[np.float64]
Norm = Callable[[Floats], Floats]

LARGEST = math.log(2)
"""Jensen-Shannon divergence of two profiles that share no goal, nats."""
_DRAWS = 2000
_HALVINGS = 25
_PAIRED, _UNPAIRED = "paired, prompts like these", "unpaired, prompts like these"


def jensen_shannon(p: Floats, q: Floats) -> Floats:
    """Jensen-Shannon divergence of proportions (..., K), both weighing the same, nats.

    >>> round(float(jensen_shannon(np.array([1.0, 0.0]), np.array([0.0, 1.0]))), 3)
    0.693
    """
    return np.asarray(np.maximum(entropy_of((p + q) / 2) - (entropy_of(p) + entropy_of(q)) / 2, 0.0))


def pooled_divergence(pair: Pair, *, rng: np.random.Generator, level: float = 0.95) -> Estimate:
    """Jensen-Shannon divergence of the two pooled profiles, nats, between 0 and ln 2; median-unbiased.

    Paired, every prompt weighs the same. Blind to prompts that swap what they get: `prompt_divergence` is not.
    """
    if problem := _problem(pair):
        return Estimate.undefined(problem, level=level, unit="nats", n=pair.n)
    seen = _Seen.of(pair, level=level, rng=rng)
    scale = np.maximum((seen.p + seen.q) / 2, seen.spread)
    lengths = _lengths(seen, lambda apart: np.sqrt((apart**2 / scale).sum(axis=-1)), level=level)
    observed = float(np.sqrt(((seen.q - seen.p) ** 2 / scale).sum()))
    unit = float(jensen_shannon(seen.p, seen.q)) / observed**2 if observed > 0 else 1 / 8
    value, low, high = (min(unit * length**2, LARGEST) for length in lengths)
    return Estimate(value, low, high, level, "nats", pair.n, f"Jensen-Shannon of pooled profiles; {_kind(pair)}")


def total_variation(pair: Pair, *, rng: np.random.Generator, level: float = 0.95) -> Estimate:
    """Half the sum of the absolute differences of the pooled shares: the share of responses that moved, at least."""
    if problem := _problem(pair):
        return Estimate.undefined(problem, level=level, unit="share", n=pair.n)
    seen = _Seen.of(pair, level=level, rng=rng)
    lengths = _lengths(seen, lambda apart: np.asarray(np.abs(apart).sum(axis=-1) / 2), level=level)
    value, low, high = (min(length, 1.0) for length in lengths)
    return Estimate(value, low, high, level, "share", pair.n, f"total variation of pooled profiles; {_kind(pair)}")


def prompt_divergence(pair: Pair, *, here: bool = False, level: float = 0.95) -> Estimate:
    """Mean over prompts of the Jensen-Shannon divergence between A's and B's profile, nats.

    The value is the divergence beyond chance: each prompt's less its exact mean when its responses are swapped between
    the sides, so that prompts that behave alike average 0 however few or rare their responses. Of goals seen once or
    twice it cannot tell a change from chance and is low; the jackknife is high there, and the upper end is taken from
    it. The interval is of prompts like these, or with `here` of these prompts: the delta method plus the spread that
    equal profiles leave. Undefined unless the prompts are the same and were asked twice on both sides.
    """
    twice = (pair.a.sum(axis=1) > 1) & (pair.b.sum(axis=1) > 1) if pair.is_paired else np.zeros(0, dtype=bool)
    if twice.sum() < (1 if here else 2):
        reason = "a divergence of prompts needs the same prompts, asked twice on both sides"
        return Estimate.undefined(reason, level=level, unit="nats", n=pair.n)
    a, b = pair.a[twice], pair.b[twice]
    beyond = jensen_shannon(rates(a), rates(b)) - swapped_divergence(a, b)
    left_out = jackknifed_divergence(a, b)
    least = float(_sampling_variance(a, b).sum()) / len(a) ** 2
    margins = [
        float(norm.ppf((1 + level) / 2)) * math.sqrt(least if here else _spread(single, least, level))
        for single in (beyond, left_out)
    ]
    value = float(np.clip(beyond.mean(), 0.0, LARGEST))
    low = max(value - margins[0], 0.0)
    high = min(max(value + margins[0], float(left_out.mean()) + margins[1]), LARGEST)
    method = f"mean Jensen-Shannon of prompts beyond chance; {'these prompts' if here else _PAIRED}"
    return Estimate(value, low, high, level, "nats", int(a.sum() + b.sum()), method)


def swapped_divergence(a: Floats, b: Floats) -> Floats:
    """The mean of each prompt's divergence (J,), nats, over all swaps of its responses between the sides; exact."""
    sizes = np.stack([a.sum(axis=1), b.sum(axis=1)], axis=1)
    cells = np.column_stack([(a + b).ravel(), np.repeat(sizes, a.shape[1], axis=0)])
    distinct, place = np.unique(cells, axis=0, return_inverse=True)
    values = np.array([_expected_part(int(both), int(n), int(m)) for both, n, m in distinct])
    return np.asarray(values[np.ravel(place)].reshape(a.shape).sum(axis=1))


def _expected_part(both: int, n: int, m: int) -> float:
    """Mean part of a goal in the divergence of n and m responses, when chance decides whose its `both` are."""
    mine = np.arange(max(both - m, 0), min(both, n) + 1)
    p, q = mine / n, (both - mine) / m
    middle = (p + q) / 2
    parts = (xlogy(p, p) + xlogy(q, q)) / 2 - xlogy(middle, middle)
    ways = _log_ways(both, mine) + _log_ways(n + m - both, n - mine) - _log_ways(n + m, n)
    return float(np.exp(ways) @ parts)


def _log_ways(of: int, some: ArrayLike) -> Floats:
    """Logarithm of the binomial coefficient."""
    chosen = np.asarray(some, dtype=np.float64)
    return np.asarray(gammaln(of + 1) - gammaln(chosen + 1) - gammaln(of - chosen + 1))


def _spread(single: Floats, least: float, level: float) -> float:
    """Variance of the mean over prompts like these, Student's correction in it; the worst are all or nothing."""
    prompts, rest = len(single), single - single.mean()
    z2 = float(norm.ppf((1 + level) / 2)) ** 2
    odd = (max(float(single.mean()), 0.0) / LARGEST + z2 / (2 * prompts)) / (1 + z2 / prompts)
    worst = LARGEST**2 * odd * (1 - odd) / prompts
    variance = max(cautious(float(single.var(ddof=1)) / prompts, rest, worst=worst), least)
    return variance * panel.t_inflation(rest, level)


def jackknifed_divergence(a: Floats, b: Floats) -> Floats:
    """Each prompt's Jensen-Shannon divergence (J,), nats, less its bias; counts (J, K), two or more a row and side."""
    whole = jensen_shannon(rates(a), rates(b))
    found = whole.copy()
    for one, other in ((a, b), (b, a)):
        size = one.sum(axis=1)
        rest = np.zeros_like(whole)
        for goal in range(one.shape[1]):
            fewer = one.copy()
            fewer[:, goal] = np.maximum(fewer[:, goal] - 1, 0.0)
            left = fewer / fewer.sum(axis=1, keepdims=True)
            rest += one[:, goal] / size * jensen_shannon(left, rates(other))
        found -= (size - 1) * (rest - whole)
    return found


class _Seen:
    """Mean profiles p and q (K,), draws (B, K) of the noise in q - p, and its root mean square a goal (K,)."""

    def __init__(self, p: Floats, q: Floats, cov: Floats, inflation: float, rng: np.random.Generator) -> None:
        self.p, self.q = p, q
        self.spread = np.sqrt(np.diag(cov))
        values, vectors = np.linalg.eigh(cov * inflation)
        root = vectors * np.sqrt(np.maximum(values, 0.0))
        self.noise = rng.standard_normal((_DRAWS, len(p))) @ root.T
        self.main = vectors[:, -1]

    @classmethod
    def of(cls, pair: Pair, *, level: float, rng: np.random.Generator) -> _Seen:
        if pair.is_paired:
            x, y = rates(pair.a), rates(pair.b)
            apart = y - x
            cov = np.cov(apart.T) / len(apart)
            goals = np.eye(apart.shape[1], dtype=bool)
            least = np.array([share_variance(pair, goal, level=level) for goal in goals])
            cov += np.diag(np.maximum(least - np.diag(cov), 0.0))
            centred = apart - apart.mean(axis=0)
            weights = 1 / np.maximum((x.mean(axis=0) + y.mean(axis=0)) / 2, np.sqrt(np.diag(cov)))
            parts = np.sqrt((centred**2 * weights).sum(axis=1))
            return cls(x.mean(axis=0), y.mean(axis=0), cov, panel.t_inflation(parts, level), rng)
        p, first, one = _profile(pair.a, level)
        q, second, other = _profile(pair.b, level)
        return cls(p, q, first + second, max(one, other), rng)


def _profile(n: Floats, level: float) -> tuple[Floats, Floats, float]:
    """Pooled shares (K,), their covariance (K, K), at least that of `panel.goal_shares`, and Student's inflation."""
    share = n.sum(axis=0) / n.sum()
    if len(n) == 1 or n.sum(axis=1).max() <= 1:
        cov, inflation = (np.diag(share) - np.outer(share, share)) / n.sum(), 1.0
    else:
        parts = (n - n.sum(axis=1, keepdims=True) * share) / n.sum()
        cov = len(n) / (len(n) - 1) * parts.T @ parts
        inflation = panel.t_inflation(np.sqrt((parts**2).sum(axis=1)), level)
    z = float(norm.ppf((1 + level) / 2))
    least = np.array([(one.half_width / z) ** 2 / inflation for one in panel.goal_shares(n, level=level)])
    return share, cov + np.diag(np.maximum(least - np.diag(cov), 0.0)), inflation


def _lengths(seen: _Seen, norm_of: Norm, *, level: float) -> tuple[float, float, float]:
    """True length, low and high, for the observed one, along its direction.

    A high end is found for a length that is at least the noise's median: an observation luckily close to 0 does not
    prove that there is nothing.
    """
    apart = seen.q - seen.p
    observed = float(norm_of(apart[None])[0])
    along = apart if observed > 0 else seen.main
    unit = along / float(norm_of(along[None])[0])
    pure = norm_of(seen.noise)
    tail = (1 - level) / 2

    def length(target: float, chance: float) -> float:
        """The true length at which an observed one up to `target` has this chance."""
        if (pure <= target).mean() <= chance:
            return 0.0
        near, far = 0.0, target + 2 * float(pure.max()) + 1e-12
        for _ in range(_HALVINGS):
            middle = (near + far) / 2
            likely = (norm_of(middle * unit + seen.noise) <= target).mean()
            near, far = (middle, far) if likely > chance else (near, middle)
        return (near + far) / 2

    value = length(observed, 0.5)
    low, high = length(observed, 1 - tail), length(max(observed, float(np.median(pure))), tail)
    return value, min(low, value), max(high, value)


def _sampling_variance(a: Floats, b: Floats) -> Floats:
    """Variance of each prompt's jackknifed divergence over its responses (J,), nats squared."""
    goals = a.shape[1]
    smooth = [(n + 1 / goals) / (n.sum(axis=1, keepdims=True) + 1) for n in (a, b)]
    middle = (smooth[0] + smooth[1]) / 2
    first = np.zeros(len(a))
    for one, n in zip(smooth, (a, b), strict=True):
        surprise = np.log(one / middle)
        spread = (one * surprise**2).sum(axis=1) - (one * surprise).sum(axis=1) ** 2
        first += np.maximum(spread, 0.0) / (4 * np.maximum(n.sum(axis=1) - 1, 1))
    seen = np.maximum(((a + b) > 0).sum(axis=1) - 1, 1)
    second = 2 * seen * ((1 / a.sum(axis=1) + 1 / b.sum(axis=1)) / 8) ** 2
    return np.asarray(first + second)


def _problem(pair: Pair) -> str | None:
    if not pair.prompts:
        return "there is no response to compare"
    return panel.ONE_PROMPT if pair.is_paired and pair.prompts < 2 else None


def _kind(pair: Pair) -> str:
    return f"test inversion, {_PAIRED if pair.is_paired else _UNPAIRED}"
