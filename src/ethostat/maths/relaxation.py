"""Relaxation: S(t) = S_inf - (S_inf - S_0) exp(-t / tau), the path of something that drifts until it is spent.

S is bounded, so drift saturates; the early rate (S_inf - S_0) / tau is what a short run would call the drift rate, and
a straight line over a long one understates it many times over. Replicates differ in tau: it is log-normal over them,
and each replicate's curve is read with what the others say of tau (empirical Bayes on a grid), so that noise in a
single path does not pass for a fast start. For a given tau the curve is linear in S_0 and S_inf, both within [0, ln K].
Source: Golub and Pereyra 1973 (variable projection); Efron and Tibshirani 1993, chapter 11 (jackknife).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ethostat.maths.estimate import Estimate
from ethostat.maths.trajectory import RATE, Paths, Rates, seen_beyond_chance, slope, slopes

Floats = NDArray[np.float64]

LEAST_REPLICATES = 3
_GRID = 80
_COARSE, _FINE, _ZOOMS = 40, 9, 2
_ROUNDS = 25
_MOST_FOLDS = 40
_PRIOR_ROWS, _PRIOR_SPREAD = 2.0, 0.25
_LEAST_SPREAD = 0.05
_LOOKS = (2, 4, 8, 16, 32)
_STRETCHES = 8
_TOO_FEW = f"a relaxation needs {LEAST_REPLICATES} replicates for its interval"


@dataclass(frozen=True, slots=True)
class Curve:
    """One path's curve: tau in steps, start S_0 and limit S_inf in nats."""

    tau: float
    start: float
    limit: float

    @property
    def early_rate(self) -> float:
        """(S_inf - S_0) / tau, nats a step."""
        return (self.limit - self.start) / self.tau


@dataclass(frozen=True, slots=True)
class Relaxation:
    """The relaxation of a population of replicates.

    `tau` (steps) is the geometric mean over replicates, `start`, `limit` and `early_rate` are means. Where `is_curved`
    is false a straight line does as well: tau and limit are undefined, and `early_rate` is the line's. Where tau is
    longer than the horizon, limit and tau are undefined: the run ended before S did. `curves` holds each replicate's
    own least-squares curve, `words` what a reader has to know.
    """

    tau: Estimate
    start: Estimate
    limit: Estimate
    early_rate: Estimate
    is_curved: bool
    curves: tuple[Curve, ...]
    words: tuple[str, ...]


def relaxation(paths: Paths, *, level: float = 0.95) -> Relaxation:
    """The fitted relaxation, each figure with a jackknife t interval over replicates.

    Up to 40 replicates are left out one at a time, more in 40 groups. With fewer than three replicates the curves are
    given and every estimate is undefined.
    """
    curves = tuple(Curve(*map(float, row)) for row in zip(*fit_curves(paths.entropy, paths), strict=True))
    if paths.replicates < LEAST_REPLICATES:
        return _without_intervals(paths, curves, level)
    if not is_curved(paths):
        return _straight(paths, curves, level)
    tau, start, limit, early = _population(paths)
    horizon, first = paths.horizon, float(np.diff(paths.steps).min())
    words, reason = [], None
    if np.exp(tau.value) > horizon:
        reason = f"tau is longer than the horizon of {horizon:g} steps, so S_inf and tau are not identified; run longer"
    elif np.exp(tau.value) < first:
        reason = f"S changed within its first step ({first:g}), so tau is not identified; measure more often early on"
    if reason:
        words.append(reason)
    if _misfits(paths, curves):
        words.append("S leaves the fitted curve by more than chance: it does not relax, so do not read tau as its time")
    return Relaxation(
        tau=_undefined(reason, "steps", level, paths) if reason else _exponential(tau, level, paths),
        start=_within_range(start, paths, level),
        limit=_undefined(reason, "nats", level, paths) if reason else _within_range(limit, paths, level),
        early_rate=_undefined(reason, RATE, level, paths)
        if reason and np.exp(tau.value) < first
        else early.estimate(
            unit=RATE, method="relaxation, (S_inf - S_0) / tau; jackknife", level=level, n=paths.responses
        ),
        is_curved=True,
        curves=curves,
        words=tuple(words),
    )


def early_rates(paths: Paths) -> Rates:
    """The early rate, nats a step: of the relaxation where the paths are curved beyond chance, else of the line.

    Raises ValueError for fewer than three replicates.
    """
    if paths.replicates < LEAST_REPLICATES:
        raise ValueError(f"{_TOO_FEW}, got {paths.replicates}")
    return _population(paths)[3] if is_curved(paths) else slopes(paths)


def is_curved(paths: Paths) -> bool:
    """Whether the paths bend beyond chance: t tests over replicates of what exp(-t / tau) adds to a straight line.

    Looked at for tau = horizon / 2, / 4, ... / 32; Bonferroni, 5 %. Two replicates or more.
    """
    at = (paths.steps - paths.steps[0]) / paths.horizon
    line = np.stack([np.ones_like(at), at], axis=1)
    bends = np.exp(-at[:, None] * np.array(_LOOKS))
    bends -= line @ np.linalg.lstsq(line, bends, rcond=None)[0]
    return len(at) > 3 and seen_beyond_chance(paths.entropy @ bends)


def fit_curves(entropy: Floats, paths: Paths) -> tuple[Floats, Floats, Floats]:
    """Least-squares tau, S_0 and S_inf (each (B,)) of rows (B, T) at the paths' steps.

    tau lies between half a step and ten horizons.
    """
    row = np.arange(len(entropy))
    coarse = np.geomspace(np.diff(paths.steps).min() / 2, 10 * paths.horizon, _COARSE)
    best = _profile(entropy, paths, coarse)[2].argmin(axis=1)
    grid = np.broadcast_to(coarse, (len(entropy), _COARSE))
    for _ in range(_ZOOMS):
        ends = grid[row, np.maximum(best - 1, 0)], grid[row, np.minimum(best + 1, grid.shape[1] - 1)]
        grid = np.geomspace(*ends, _FINE, axis=1)
        best = _profile(entropy, paths, grid)[2].argmin(axis=1)
    limit, start, _ = _profile(entropy, paths, grid)
    return grid[row, best], start[row, best], limit[row, best]


def _tau_grid(paths: Paths) -> Floats:
    """Where the curves of all replicates put tau, and a factor of 2.5 beyond: the finer, the more is known."""
    tau = fit_curves(paths.entropy, paths)[0]
    return np.geomspace(tau.min() / 2.5, tau.max() * 2.5, _GRID)


def _profile(entropy: Floats, paths: Paths, grid: Floats) -> tuple[Floats, Floats, Floats]:
    """S_inf, S_0 and the residual sum of squares of each row at each tau, (B, G), both within [0, ln K].

    `grid` is (G,), or (B, G) where each row has its own. Least squares in a box of two dimensions: the free solution,
    else the best of the four edges.
    """
    decay = np.exp(-(paths.steps - paths.steps[0]) / grid[..., None])
    gain = 1 - decay
    rows, together = entropy[:, None], grid.ndim == 1
    yu, yv = (entropy @ one.T if together else (rows * one).sum(axis=-1) for one in (gain, decay))
    yy = (entropy**2).sum(axis=1)[:, None]
    uu, uv, vv = (gain**2).sum(axis=-1), (gain * decay).sum(axis=-1), (decay**2).sum(axis=-1)
    area = np.maximum(uu * vv - uv**2, 1e-12 * uu * vv)

    def loss(limit: Floats, start: Floats) -> Floats:
        cross = limit * (limit * uu - 2 * yu) + start * (start * vv - 2 * yv) + 2 * limit * start * uv
        return np.asarray(np.maximum(yy + cross, 0.0))

    limit, start = (vv * yu - uv * yv) / area, (uu * yv - uv * yu) / area
    outside = (np.minimum(limit, start) < 0) | (np.maximum(limit, start) > paths.most)
    found = np.where(outside, np.inf, loss(limit, start))
    for edge in (0.0, paths.most):
        at_edge = np.full_like(limit, edge)
        along_start = at_edge, np.clip((yv - edge * uv) / vv, 0, paths.most)
        along_limit = np.clip((yu - edge * uv) / uu, 0, paths.most), at_edge
        for candidate in (along_start, along_limit):
            value = loss(*candidate)
            better = outside & (value < found)
            limit, start = np.where(better, candidate[0], limit), np.where(better, candidate[1], start)
            found = np.where(better, value, found)
    return limit, start, found


def _population(paths: Paths) -> tuple[Rates, Rates, Rates, Rates]:
    """log tau, S_0, S_inf and the early rate of the population, each with its jackknife pseudo-values."""
    grid = _tau_grid(paths)
    limit, start, loss = _profile(paths.entropy, paths, grid)
    likelihood = np.exp(-(loss - loss.min(axis=1, keepdims=True)) / (2 * _lasting_variance(paths)))
    weights = _folds(paths.replicates)
    means = weights @ paths.entropy / weights.sum(axis=1, keepdims=True)
    centre, posterior = _learn(likelihood, weights, np.log(grid), np.log(fit_curves(means, paths)[0]))
    share = weights / weights.sum(axis=1, keepdims=True)
    averages = [
        np.einsum("jn,jng,ng->j", share, posterior, values) for values in (start, limit, (limit - start) / grid)
    ]
    log_tau, *others = (_pseudo(values) for values in (centre, *averages))
    return log_tau, others[0], others[1], replace(others[2], is_quotient=True)


def _learn(likelihood: Floats, weights: Floats, log_tau: Floats, centre: Floats) -> tuple[Floats, Floats]:
    """EM for the normal law of log tau: its mean for each weighting (J,), and each replicate's posterior (J, n, G).

    Its spread begins at 0.25 and is held there by two replicates' worth of belief.
    """
    total = weights.sum(axis=1)
    spread = np.full(len(centre), _PRIOR_SPREAD)
    posterior = np.empty(0)
    for _ in range(_ROUNDS):
        law = np.exp(-0.5 * ((log_tau - centre[:, None]) / spread[:, None]) ** 2)
        posterior = likelihood * law[:, None] + 1e-300
        posterior /= posterior.sum(axis=2, keepdims=True)
        first, second = posterior @ log_tau, posterior @ log_tau**2
        centre = (weights * first).sum(axis=1) / total
        squares = (weights * second).sum(axis=1) - total * centre**2
        spread = np.sqrt((np.maximum(squares, 0) + _PRIOR_ROWS * _PRIOR_SPREAD**2) / (total + _PRIOR_ROWS))
        spread = np.maximum(spread, _LEAST_SPREAD)
    return centre, posterior


def _lasting_variance(paths: Paths) -> float:
    """Variance of the noise around the curves as sums over long stretches see it: times (1 + phi) / (1 - phi)."""
    tau, start, limit = (values[:, None] for values in fit_curves(paths.entropy, paths))
    residual = paths.entropy - limit + (limit - start) * np.exp(-(paths.steps - paths.steps[0]) / tau)
    points = len(paths.steps)
    squares = max(float((residual**2).sum()), 1e-12)
    phi = np.clip((residual[:, 1:] * residual[:, :-1]).sum() / squares + 3 / points, 0, 0.97)
    return float(squares / (len(residual) * max(points - 3, 1)) * (1 + phi) / (1 - phi))


def _folds(replicates: int) -> Floats:
    """Weights (1 + folds, n): all replicates, then all without each fold."""
    folds = np.array_split(np.arange(replicates), min(replicates, _MOST_FOLDS))
    weights = np.ones((len(folds) + 1, replicates))
    for place, fold in enumerate(folds, 1):
        weights[place, fold] = 0
    return weights


def _pseudo(values: Floats) -> Rates:
    """From the value of all and those without each fold."""
    whole, without = float(values[0]), values[1:]
    spread = len(without) * whole - (len(without) - 1) * without
    return Rates(whole, np.asarray(spread - spread.mean() + whole))


def _exponential(log_tau: Rates, level: float, paths: Paths) -> Estimate:
    margin = log_tau.margin(level)
    low, value, high = np.exp([log_tau.value - margin, log_tau.value, log_tau.value + margin])
    method = "relaxation, geometric mean over replicates; jackknife t interval"
    return Estimate(float(value), float(low), float(high), level, "steps", paths.responses, method)


def _within_range(found: Rates, paths: Paths, level: float) -> Estimate:
    whole = found.estimate(level=level, unit="nats", n=paths.responses, method="relaxation; jackknife")
    low, high = (float(np.clip(end, 0, paths.most)) for end in (whole.low, whole.high))
    return Estimate(whole.value, low, high, level, "nats", whole.n, whole.method)


def _undefined(reason: str, unit: str, level: float, paths: Paths) -> Estimate:
    return Estimate.undefined(reason, level=level, unit=unit, n=paths.responses)


def _misfits(paths: Paths, curves: tuple[Curve, ...]) -> bool:
    """Whether the mean over replicates leaves its curve in one of eight stretches beyond chance."""
    tau, start, limit = np.array([(one.tau, one.start, one.limit) for one in curves]).T[..., None]
    residual = paths.entropy - limit + (limit - start) * np.exp(-(paths.steps - paths.steps[0]) / tau)
    parts = np.array_split(residual, min(_STRETCHES, len(paths.steps)), axis=1)
    return seen_beyond_chance(np.stack([part.mean(axis=1) for part in parts], axis=1), alpha=0.01)


def _straight(paths: Paths, curves: tuple[Curve, ...], level: float) -> Relaxation:
    reason = "the paths do not bend beyond chance: a straight line does as well, so tau and S_inf are not identified"
    ends = slopes(paths)
    start = Rates(
        float(paths.entropy.mean() - ends.value * (paths.steps.mean() - paths.steps[0])),
        paths.entropy.mean(axis=1) - ends.each * (paths.steps.mean() - paths.steps[0]),
    )
    return Relaxation(
        tau=_undefined(reason, "steps", level, paths),
        start=_within_range(start, paths, level),
        limit=_undefined(reason, "nats", level, paths),
        early_rate=slope(paths, level=level),
        is_curved=False,
        curves=curves,
        words=(reason,),
    )


def _without_intervals(paths: Paths, curves: tuple[Curve, ...], level: float) -> Relaxation:
    tau, nats, rate = (_undefined(_TOO_FEW, unit, level, paths) for unit in ("steps", "nats", RATE))
    return Relaxation(tau, nats, nats, rate, False, curves, (f"{_TOO_FEW}, got {paths.replicates}",))
