"""Entropy of one profile: estimators in nats, and the likelihood interval around them.

The shape convention is (..., K) counts in, (...,) nats out. The interval is the range of S over all profiles
that the counts do not contradict: sum n_i ln(n_i / (N p_i)) <= r. It needs no variance, so it keeps its width
when every response agrees, where Wald and bootstrap intervals collapse to a point.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import digamma, gammaln, logsumexp, polygamma, wrightomega, xlogy
from scipy.stats import chi2

from ethostat.maths.estimate import Estimate

Floats = NDArray[np.float64]
Estimator = Callable[[ArrayLike], Floats]

FIXED_RADIUS = 2.1
STRICT_RADIUS = 2.5

_NSB_GRID = np.geomspace(1e-4, 1e3, 80)
_HALVINGS = 56


class Interval(NamedTuple):
    """Lower and upper ends in nats, shape (J,)."""

    low: Floats
    high: Floats


def entropy_of(proportions: ArrayLike) -> Floats:
    """S = -sum p ln p in nats of proportions (..., K).

    >>> round(float(entropy_of([0.8, 0.1, 0.1])), 3)
    0.639
    """
    p = np.asarray(proportions, dtype=np.float64)
    return np.asarray(-xlogy(p, p).sum(axis=-1))


def varentropy(proportions: ArrayLike) -> Floats:
    """V = sum p ln^2 p - S^2, nats squared: V / n is the Cramer-Rao bound on the variance of S from n responses."""
    p = np.asarray(proportions, dtype=np.float64)
    log_p = np.log(np.where(p > 0, p, 1.0))
    return np.asarray(np.maximum((p * log_p**2).sum(axis=-1) - entropy_of(p) ** 2, 0.0))


def plug_in(counts: ArrayLike) -> Floats:
    """S of the observed proportions, nats. Biased low by about (goals seen - 1) / 2n; the paper's estimator."""
    n, size = _with_size(counts)
    return entropy_of(n / size[..., None])


def miller_madow(counts: ArrayLike) -> Floats:
    """Plug-in S + (K - 1) / 2n, nats, with all K goals counted as possible, seen or not.

    The closed form to use where NSB is too slow and n >= 50. It may exceed ln K at small n.
    Source: Miller 1955, Note on the bias of information estimates.
    """
    n, size = _with_size(counts)
    return np.asarray(plug_in(n) + (n.shape[-1] - 1) / (2 * size))


def jackknife(counts: ArrayLike) -> Floats:
    """n S - (n - 1) x mean of S with one response left out, nats. May exceed ln K at small n.

    Source: Zahl 1977, Jackknifing an index of diversity.
    """
    n, size = _with_size(counts)
    total = xlogy(n, n).sum(axis=-1)
    fewer = np.maximum(n - 1, 0)
    rest = np.maximum(size - 1, 1)
    left_out = np.log(rest)[..., None] - (total[..., None] - xlogy(n, n) + xlogy(fewer, fewer)) / rest[..., None]
    return np.asarray(size * plug_in(n) - (size - 1) / size * (n * left_out).sum(axis=-1))


def grassberger(counts: ArrayLike) -> Floats:
    """ln n - sum n_i G(n_i) / n, nats; G(n) = psi(n) + (-1)^n / 2 [psi((n + 1) / 2) - psi(n / 2)].

    It carries a parity artefact: a prompt whose n responses all agree scores about 0 for even n and about 1/n
    for odd n, which does not average out over a panel. Use it with even n only.
    Source: Grassberger 2003, Entropy estimates from insufficient samplings (arXiv physics/0307138).
    """
    n, size = _with_size(counts)
    seen = np.maximum(n, 1.0)
    sign = 1.0 - 2.0 * (np.round(seen) % 2)
    terms = digamma(seen) + 0.5 * sign * (digamma((seen + 1) / 2) - digamma(seen / 2))
    return np.asarray(np.log(size) - (n * terms).sum(axis=-1) / size)


def nsb(counts: ArrayLike) -> Floats:
    """Posterior mean of S, nats, under a mixture of symmetric Dirichlet priors that is nearly flat in S.

    The default for one profile: RMSE within 5 % of the Cramer-Rao bound from n = 20 on. Between 0 and ln K.
    Source: Nemenman, Shafee and Bialek 2002, Entropy and inference, revisited (arXiv physics/0108025).
    """
    n, size = _with_size(counts)
    goals, grid = n.shape[-1], _NSB_GRID
    width = grid * (goals * polygamma(1, goals * grid + 1) - polygamma(1, grid + 1))
    log_weight = np.log(width) + gammaln(goals * grid) - gammaln(size[..., None] + goals * grid)
    expected = np.zeros_like(log_weight)
    for goal in range(goals):
        shifted = n[..., goal, None] + grid
        log_weight += gammaln(shifted) - gammaln(grid)
        expected += shifted * digamma(shifted + 1)
    total = size[..., None] + goals * grid
    means = digamma(total + 1) - expected / total
    return np.asarray((np.exp(log_weight - logsumexp(log_weight, axis=-1, keepdims=True)) * means).sum(axis=-1))


ESTIMATORS: dict[str, Estimator] = {
    "nsb": nsb,
    "miller-madow": miller_madow,
    "jackknife": jackknife,
    "grassberger": grassberger,
    "plug-in": plug_in,
}
_TITLES: dict[Estimator, str] = {
    nsb: "NSB",
    miller_madow: "Miller-Madow",
    jackknife: "jackknife",
    grassberger: "Grassberger",
    plug_in: "plug-in",
}


def title_of(estimator: Estimator) -> str:
    """The estimator's name as it stands in `Estimate.method`."""
    return _TITLES.get(estimator, "custom estimator")


def fixed_radius(counts: ArrayLike, *, level: float = 0.95, at_95: float = FIXED_RADIUS) -> Floats:
    """Radius r, nats, of a likelihood set of this level, for a number of responses fixed beforehand.

    Half the chi-square(1) quantile (1.92 at 95 %) is right when every goal is seen often, and 2.1 (strict: 2.5)
    corrects it at n in the hundreds. When all responses agree the exact radius is -ln(1 - level), the rule of
    three. With m responses outside the most frequent goal, the radius moves from the second to the first as
    2 / (m + 2). Counts (..., K); gives (...,). Tuned by simulation; docs/decisions/interval-radius.md.
    Raises ValueError for a level outside (0, 1).
    """
    if not 0 < level < 1:
        raise ValueError(f"level must be between 0 and 1, got {level}")
    n = np.asarray(counts, dtype=np.float64)
    usual = at_95 * chi2.ppf(level, 1) / chi2.ppf(0.95, 1)
    elsewhere = n.sum(axis=-1) - n.max(axis=-1)
    return np.asarray(usual + (max(-np.log(1 - level), usual) - usual) * 2 / (elsewhere + 2))


def time_uniform_radius(counts: ArrayLike, *, alpha: float = 0.05) -> Floats:
    """Radius r, nats, of a likelihood set that may be looked at after every response.

    The chance that it ever leaves out the true profile is at most alpha: r = ln(1 / alpha) + maximal log
    likelihood - log marginal likelihood under Dirichlet(1/2), by Ville's inequality. It costs about 2.7 times
    the width of the fixed one at n = 100.
    Source: Lindon and Malek 2020, arXiv 2011.03567.
    """
    n, size = _with_size(counts)
    goals = n.shape[-1]
    best = xlogy(n, n).sum(axis=-1) - xlogy(size, size)
    beta = (gammaln(n + 0.5) - gammaln(0.5)).sum(axis=-1)
    marginal = gammaln(goals / 2) - gammaln(size + goals / 2) + beta
    return np.asarray(np.log(1 / alpha) + best - marginal)


def likelihood_interval(counts: ArrayLike, radius: ArrayLike) -> Interval:
    """Range of S, nats, over {p: sum n_i ln(n_i / (N p_i)) <= radius}, row by row.

    `counts` is (J, K) or (K,), whole or not; `radius` one number or (J,). A row without responses gives
    [nan, nan]. Along either end the extreme profiles form a curve of one parameter (the multiplier of the
    constraint), on which the divergence is monotone: the end is found by bisection.
    """
    everyone = np.atleast_2d(np.asarray(counts, dtype=np.float64))
    radii = np.broadcast_to(np.asarray(radius, dtype=np.float64), everyone.shape[:1])
    filled = everyone.sum(axis=-1) > 0
    n, size = _with_size(everyone[filled])
    log_counts = np.where(n > 0, np.log(np.where(n > 0, n, 1.0)), -np.inf)
    log_counts -= log_counts.max(axis=-1, keepdims=True)
    low, high = np.full(filled.shape, np.nan), np.full(filled.shape, np.nan)
    low[filled] = _lowest(n, size, log_counts, radii[filled])
    high[filled] = _highest(n, size, log_counts, radii[filled])
    return Interval(low, high)


def entropy(
    counts: ArrayLike, *, estimator: Estimator = nsb, level: float = 0.95, radius: float | None = None
) -> Estimate:
    """S of one profile of K counts, nats, with its likelihood interval.

    `radius` replaces `fixed_radius`, for instance by `time_uniform_radius`. The estimator and the interval
    have different sources, so a value that falls outside the interval is moved to its nearer end.
    """
    n = np.asarray(counts, dtype=np.float64)
    size = int(n.sum())
    if size == 0:
        return Estimate.undefined("there is no response", level=level, unit="nats", n=0)
    r = float(fixed_radius(n, level=level)) if radius is None else radius
    ends = likelihood_interval(n, r)
    low, high = float(ends.low[0]), float(ends.high[0])
    value = min(max(float(estimator(n)), low), high)
    return Estimate(value, low, high, level, "nats", size, f"{title_of(estimator)}; profile likelihood r={r:.3g}")


def _with_size(counts: ArrayLike) -> tuple[Floats, Floats]:
    """Counts as floats, and their sum, nan where there is no response."""
    n = np.asarray(counts, dtype=np.float64)
    size = n.sum(axis=-1)
    return n, np.asarray(np.where(size > 0, size, np.nan))


def _divergence(n: Floats, size: Floats, log_p: Floats) -> Floats:
    """Sum n_i ln(n_i / (N p_i)), nats."""
    seen = n > 0
    fit = xlogy(n, n).sum(axis=-1) - xlogy(size, size)
    return np.asarray(fit - np.where(seen, n * np.where(seen, log_p, 0.0), 0.0).sum(axis=-1))


def _entropy_of_logs(log_p: Floats) -> Floats:
    return entropy_of(np.exp(log_p))


def _bisect(curve: Callable[[Floats], Floats], n: Floats, r: Floats, near: Floats, far: Floats) -> Floats:
    """Log profiles (J, K) on `curve` at divergence r, between parameters `near` (inside) and `far` (outside)."""
    size = n.sum(axis=-1)
    for _ in range(_HALVINGS):
        middle = (near + far) / 2
        inside = _divergence(n, size, curve(middle)) <= r
        near, far = np.where(inside, middle, near), np.where(inside, far, middle)
    return curve(near)


def _highest(n: Floats, size: Floats, log_counts: Floats, r: Floats) -> Floats:
    """Largest S in the set.

    Stationary profiles solve n_i / (lambda p_i) - ln p_i = c. Up to the scale, which normalisation fixes, that is
    ln p_i = omega(ln n_i + t) with Wright's omega: uniform as t -> -inf, n / N as t -> inf.
    """

    def curve(parameter: Floats) -> Floats:
        logs = wrightomega(log_counts + np.sinh(parameter)[:, None])
        return np.asarray(logs - logsumexp(logs, axis=-1, keepdims=True))

    goals = n.shape[-1]
    uniform = np.full_like(n, -np.log(goals))
    near = np.arcsinh(20 * np.log(size + 2) * np.sqrt(size / r + 1) + 50)
    ends = _bisect(curve, n, r, near, np.full_like(size, -np.arcsinh(60.0)))
    everything = _divergence(n, size, uniform) <= r
    return np.asarray(np.where(everything, np.log(goals), _entropy_of_logs(ends)))


def _lowest(n: Floats, size: Floats, log_counts: Floats, r: Floats) -> Floats:
    """Smallest S in the set.

    Stationary profiles solve n_i / (a p_i) + ln p_i = c; unseen goals have p_i = 0. With ln p_i = -y_i up to the
    scale: y_i - ln y_i = s - ln n_i, on the branch y_i >= 1 except for one largest goal, whose y runs from
    infinity (n / N) to 0 (all mass on it) and parametrises the curve.
    """
    rows = np.arange(len(n))
    largest = log_counts.argmax(axis=-1)
    seen = n > 0

    def curve(parameter: Floats) -> Floats:
        y_largest = np.exp(-parameter)
        levels = (y_largest + parameter)[:, None] - np.where(seen, log_counts, 0.0)
        y = _outer_root(levels)
        y[rows, largest] = y_largest
        logs = np.where(seen, -y, -np.inf)
        return np.asarray(logs - logsumexp(logs, axis=-1, keepdims=True))

    near = -np.log(20 * np.log(size + 2) * np.sqrt(size / r + 1) + 50)
    ends = _bisect(curve, n, r, near, r + np.log(size) + 30)
    return np.asarray(np.where(seen.sum(axis=-1) <= 1, 0.0, _entropy_of_logs(ends)))


def _outer_root(level: Floats) -> Floats:
    """Root y >= 1 of y - ln y = level, for level >= 1, by Newton from an upper bound (Chatzigeorgiou 2013)."""
    excess = np.maximum(level - 1, 0.0)
    y = np.asarray(1 + np.sqrt(2 * excess) + excess)
    for _ in range(6):
        slope = np.maximum(1 - 1 / y, 1e-300)
        y = np.maximum(y - np.where(excess > 0, (y - np.log(y) - level) / slope, 0.0), 1.0)
    return np.asarray(y)
