"""Panel: a set of prompts, each answered several times; counts (J, K), one row a prompt.

Three entropies must not be confused. *Within* is the mean over prompts of each prompt's S: how undecided the model
is about what it is asked. *Pooled* is S of all responses together, and moves with the mix of prompts. Their
difference, *between*, is the information that the prompt carries about the goal (a Jensen-Shannon divergence).

Two questions give two intervals. For *these prompts* only the responses are random; for *prompts like these* the
prompts are too, and each prompt is one independent observation however often it was asked. Rows may differ in
size; rows without responses are ignored.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import norm, t

from ethostat.maths.entropy import (
    Estimator,
    entropy,
    entropy_of,
    fixed_radius,
    jackknife,
    likelihood_interval,
    plug_in,
    title_of,
    varentropy,
)
from ethostat.maths.estimate import Estimate
from ethostat.maths.mixture import fit_mixture

Floats = NDArray[np.float64]

LEAST_PROMPTS_FOR_MIXTURE = 30
ODD_PROMPTS = 0.2
_ONE_EACH = "only one response a prompt: within-prompt entropy is not identifiable; ask each prompt at least twice"
ONE_PROMPT = "one prompt says nothing about prompts like it; measure at least two"
_NOTHING = "there is no response"


@dataclass(frozen=True, slots=True)
class VarianceParts:
    """Shares of the variance of the mean within-prompt S, summing to 1, and that variance, nats squared."""

    sampling: float
    prompts: float
    classifier: float
    total: float


def within_entropy(counts: ArrayLike, *, level: float = 0.95, estimator: Estimator | None = None) -> Estimate:
    """Mean within-prompt S of these prompts, nats: the headline.

    Without an estimator: an empirical-Bayes Dirichlet mixture from 30 prompts on, the jackknife below that; with
    one, its mean over prompts. The interval covers the sampling of responses only:
    +- z times the root of `sampling_variance`, which never collapses. Prompts with a single response enter only
    through the mixture. Undefined where no prompt was asked twice.
    """
    n = filled(counts)
    if problem := within_problem(n):
        return Estimate.undefined(problem, level=level, unit="nats", n=_size(n))
    values, title = prompt_entropies(n, estimator)
    margin = float(norm.ppf((1 + level) / 2)) * np.sqrt(sampling_variance(n))
    value, method = _bounded(float(values.mean()), n), f"{title}; sampling interval, these prompts"
    return _nats(value, value - margin, value + margin, n, level=level, method=method)


def within_entropy_population(
    counts: ArrayLike, *, level: float = 0.95, estimator: Estimator | None = None
) -> Estimate:
    """Mean within-prompt S, nats, with a Student-t interval for prompts like these.

    The value is that of `within_entropy`. The spread over prompts is that of the jackknife, which (unlike a
    shrunken estimate) keeps both the prompts' differences and the sampling noise. Undefined for fewer than two
    prompts asked twice.
    """
    n = filled(counts)
    if problem := within_problem(n) or (ONE_PROMPT if (n.sum(axis=1) > 1).sum() < 2 else None):
        return Estimate.undefined(problem, level=level, unit="nats", n=_size(n))
    values, title = prompt_entropies(n, estimator)
    single = jackknife(n[n.sum(axis=1) > 1])
    variance = max(float(single.var(ddof=1)) / len(single), sampling_variance(n))
    inflation = t_inflation(single - single.mean(), level)
    margin = float(norm.ppf((1 + level) / 2)) * np.sqrt(variance * inflation)
    value, method = _bounded(float(values.mean()), n), f"{title}; t interval, prompts like these"
    return _nats(value, value - margin, value + margin, n, level=level, method=method)


def pooled_entropy(counts: ArrayLike, *, level: float = 0.95) -> Estimate:
    """S of all responses together, nats, for prompts like these.

    The value is the plug-in plus half of sum Var(p_i) / p_i, the variance taken over prompts (Miller-Madow for
    clusters). The interval is the likelihood set on the effective number of responses, N divided by the design
    effect; where all responses agree that number is J. One prompt, or one response a prompt: the responses are
    independent, and `entropy` of the pool applies.
    Source: Rao and Scott 1981, The analysis of categorical data from complex sample surveys.
    """
    n = filled(counts)
    if len(n) <= 1 or n.sum(axis=1).max() <= 1:
        return entropy(n.sum(axis=0), level=level)
    shares = n.sum(axis=0) / n.sum()
    totals = surprise_totals(n)
    effective = _effective_size(totals, n, float(varentropy(shares)))
    radius = fixed_radius(shares * effective, level=level) * t_inflation(totals, level)
    ends = likelihood_interval(shares * effective, radius)
    method = "cluster Miller-Madow; likelihood on effective n, prompts like these"
    return _nats(pooled_value(n), float(ends.low[0]), float(ends.high[0]), n, level=level, method=method)


def between_prompts(counts: ArrayLike, *, level: float = 0.95, estimator: Estimator | None = None) -> Estimate:
    """Jensen-Shannon divergence between prompts, nats: pooled S minus within S, for prompts like these.

    It is the mutual information of prompt and goal. Prompts weigh as they do in the pool, by their responses, so
    that the three numbers add up where rows differ in size. The interval takes the linearised difference over
    prompts, plus the spread that remains when all prompts behave alike, at the likelihood set's radius with
    Student's correction. Never below 0. The estimator is that of `within_entropy`, so that a bias of a within is
    found, with the other sign, here.
    """
    n = filled(counts)
    if problem := within_problem(n) or (ONE_PROMPT if len(n) < 2 else None):
        return Estimate.undefined(problem, level=level, unit="nats", n=_size(n))
    values, title = prompt_entropies(n, estimator)
    sizes = n.sum(axis=1)
    within = float(values @ sizes / sizes.sum())
    value = max(pooled_value(n) - within, 0.0)
    single, _ = prompt_entropies(n, jackknife)
    totals = surprise_totals(n) - sizes * (single - float(single @ sizes / sizes.sum()))
    variance = _cluster_variance(totals, n) + _variance_without_difference(n)
    radius = fixed_radius(n.sum(axis=0), level=level) * t_inflation(totals, level)
    margin = float(np.sqrt(2 * radius * variance))
    everyone_agrees = (n.sum(axis=0) > 0).sum() == 1
    high = pooled_entropy(n, level=level).high if everyone_agrees else value + margin
    method = f"cluster Miller-Madow - {title}; t interval, prompts like these"
    return _nats(value, value - margin, high, n, level=level, method=method)


def aligned_share(counts: ArrayLike, aligned: ArrayLike, *, level: float = 0.95) -> Estimate:
    """Share of responses whose goal is aligned (mask (K,)), for prompts like these.

    Responses weigh equally (a ratio estimate over prompts). The interval is Wilson's on the effective
    number of responses, less where few prompts differ from the rest; where every response or none is aligned, that
    number is J.
    """
    n = filled(counts)
    mask = np.asarray(aligned, dtype=bool)
    if len(n) == 0:
        return Estimate.undefined(_NOTHING, level=level, unit="share", n=0)
    return _share(n[:, mask].sum(axis=1), n, level=level)


def goal_shares(counts: ArrayLike, *, level: float = 0.95) -> list[Estimate]:
    """Share of each of the K goals, in order, as `aligned_share` of that goal alone."""
    goals = np.asarray(counts).shape[1]
    return [aligned_share(counts, np.arange(goals) == goal, level=level) for goal in range(goals)]


def sampling_variance(counts: ArrayLike) -> float:
    """Variance of the mean within-prompt S over repeated sampling of these prompts, nats squared.

    Sum V_j / (n_j - 1) / J^2, each V_j from proportions smoothed by one response spread over the K goals: prompts
    whose responses all agree keep a variance, and few responses a prompt count as fewer. Where a profile is even, V
    is 0 and the second order, (K - 1) / 2n^2, stands for it. From 30 prompts on it is at least the mixture's
    posterior V / n_j, which is the larger where all prompts are undecided and too small elsewhere (85 % coverage).
    """
    n = filled(counts)
    smoothed = _smoothed_variance(n)
    return max(smoothed, learnt_variance(n)) if len(n) >= LEAST_PROMPTS_FOR_MIXTURE else smoothed


def learnt_variance(counts: ArrayLike) -> float:
    """Sum V_j / n_j / J^2, nats squared, with the mixture's posterior mean of each V_j."""
    n = filled(counts)
    return float((fit_mixture(n).expected_varentropy(n) / n.sum(axis=1)).sum() / len(n) ** 2)


def _smoothed_variance(n: Floats) -> float:
    sizes = n.sum(axis=1)
    smooth = (n + 1 / n.shape[1]) / (sizes + 1)[:, None]
    unit = np.maximum(varentropy(smooth), (n.shape[1] - 1) / (2 * sizes))
    return float((unit / np.maximum(sizes - 1, 1)).sum() / len(n) ** 2)


def variance_shares(
    counts: ArrayLike, prompts: ArrayLike, probabilities: ArrayLike, *, rng: np.random.Generator, redraws: int = 50
) -> VarianceParts:
    """Where the variance of the mean within-prompt S, as an estimate for prompts like these, comes from.

    `prompts` (N,) holds each response's row in `counts`, `probabilities` (N, K) its classifier's verdict.
    Sampling is `sampling_variance`; prompts what the spread of S_j keeps beyond sampling, over J; classifier the
    variance of the mean when every label is redrawn from its verdict. Prompts with a single response are left out.
    Raises ValueError where fewer than two prompts were asked twice.
    """
    table = np.asarray(counts, dtype=np.float64)
    asked_twice = table.sum(axis=1) > 1
    n = table[asked_twice]
    if len(n) < 2:
        raise ValueError(f"a variance decomposition needs two prompts with two responses each, got {len(n)}")
    sampling = sampling_variance(n)
    spread = max(float(jackknife(n).var(ddof=1)) / len(n) - sampling, 0.0)
    place, verdicts = np.asarray(prompts, dtype=np.int64), np.asarray(probabilities, dtype=np.float64)
    classifier = _redraw_variance(asked_twice, place, verdicts, rng=rng, redraws=redraws)
    total = sampling + spread + classifier
    return VarianceParts(sampling / total, spread / total, classifier / total, total)


def _redraw_variance(
    asked_twice: NDArray[np.bool_],
    place: NDArray[np.int64],
    verdicts: Floats,
    *,
    rng: np.random.Generator,
    redraws: int,
) -> float:
    """Variance of the mean within-prompt S over labels drawn from their verdicts, nats squared."""
    shape = len(asked_twice), verdicts.shape[1]
    cells, goals = shape[0] * shape[1], shape[1]
    uncertain = verdicts.max(axis=1) < 1
    if not uncertain.any():
        return 0.0
    sure = np.bincount(place[~uncertain] * goals + verdicts[~uncertain].argmax(axis=1), minlength=cells)
    edges = verdicts[uncertain].cumsum(axis=1)[:, :-1]
    rows = place[uncertain] * goals
    means = np.empty(redraws)
    for turn in range(redraws):
        labels = (rng.random(len(rows))[:, None] > edges).sum(axis=1)
        drawn = sure + np.bincount(rows + labels, minlength=cells)
        means[turn] = jackknife(drawn.reshape(shape)[asked_twice]).mean()
    return float(means.var(ddof=1))


def filled(counts: ArrayLike) -> Floats:
    """The rows that have a response, as floats. Raises ValueError where counts are not (J, K)."""
    n = np.asarray(counts, dtype=np.float64)
    if n.ndim != 2:
        raise ValueError(f"panel counts must have shape (prompts, goals), got {n.shape}")
    return np.asarray(n[n.sum(axis=1) > 0])


def _size(n: Floats) -> int:
    return int(n.sum())


def within_problem(n: Floats) -> str | None:
    """Why within-prompt S cannot be known, if it cannot."""
    if len(n) == 0:
        return _NOTHING
    return None if n.sum(axis=1).max() > 1 else _ONE_EACH


def prompt_entropies(n: Floats, estimator: Estimator | None) -> tuple[Floats, str]:
    """S of each prompt (J,), nats, and the name of the method; a lone response is given the mean of the others."""
    if estimator is None and len(n) >= LEAST_PROMPTS_FOR_MIXTURE:
        return fit_mixture(n).expected_entropy(n), "empirical-Bayes Dirichlet mixture"
    chosen = estimator or jackknife
    twice = n.sum(axis=1) > 1
    values = np.full(len(n), np.nan)
    values[twice] = chosen(n[twice])
    values[~twice] = values[twice].mean()
    return values, f"mean of {title_of(chosen)}"


def _cluster_variance(totals: Floats, n: Floats) -> float:
    """Variance over prompts of a ratio whose linearised prompt totals (J,) sum to 0."""
    prompts = len(totals)
    return float(prompts / (prompts - 1) * (totals**2).sum() / n.sum() ** 2)


def _variance_without_difference(n: Floats) -> float:
    """Variance of the bias-corrected divergence when all prompts share one profile: chi-square over 2N."""
    seen = max(int((n.sum(axis=0) > 0).sum()), 2)
    return float((len(n) - 1) * (seen - 1) / (2 * n.sum() ** 2))


def t_inflation(totals: Floats, level: float) -> float:
    """Squared ratio of the Student-t to the normal quantile, for a variance estimated from prompt totals.

    The degrees of freedom follow Satterthwaite: 2J / (kurtosis - 1), so a variance that rests on a few prompts
    counts as one of few.
    """
    prompts, squares = len(totals), totals**2
    freedom = float(prompts - 1)
    if squares.any():
        kurtosis = prompts * (squares**2).sum() / squares.sum() ** 2
        freedom = float(np.clip(2 * prompts / max(kurtosis - 1, 1e-9), 1, prompts - 1))
    tail = (1 + level) / 2
    return float((t.ppf(tail, freedom) / norm.ppf(tail)) ** 2)


def _effective_size(totals: Floats, n: Floats, unit_variance: float) -> float:
    """Independent responses that would know as much: N over the design effect, at least 1 and at most N.

    Where all responses agree there is no variance to compare, and the number of prompts (Kish's, for uneven rows)
    stands for it.
    """
    sizes, tiny = n.sum(axis=1), 1e-12
    if unit_variance <= tiny:
        return float(sizes.sum() ** 2 / (sizes**2).sum())
    variance = _cluster_variance(totals, n)
    return float(np.clip(unit_variance / max(variance, tiny / n.sum()), 1.0, n.sum()))


def _cautious_size(totals: Floats, n: Floats, unit_variance: float) -> float:
    """`_effective_size`, moved towards the number of prompts where few prompts carry the variance.

    When m prompts alone differ from the rest (the inverse of their parts' concentration), the variance is that of m
    prompts and 0.2 that are all or nothing: a panel that happens to hold one odd prompt is not sure of it.
    """
    effective = _effective_size(totals, n, unit_variance)
    squares, sizes = totals**2, n.sum(axis=1)
    if not squares.any():
        return effective
    odd = float(squares.sum() ** 2 / (squares**2).sum())
    worst = min(float(sizes.sum() ** 2 / (sizes**2).sum()), effective)
    return (odd + ODD_PROMPTS) / (odd / effective + ODD_PROMPTS / worst)


def surprise_totals(n: Floats) -> Floats:
    """Each prompt's part (J,) in the linearised pooled S: sum n_ji (-ln p_i - S)."""
    shares = n.sum(axis=0) / n.sum()
    surprise = -np.log(np.where(shares > 0, shares, 1.0))
    return np.asarray(n @ surprise - n.sum(axis=1) * entropy_of(shares))


def pooled_value(n: Floats) -> float:
    """Plug-in pooled S plus half of sum Var(p_i) / p_i with variances over prompts, nats."""
    shares = n.sum(axis=0) / n.sum()
    seen = shares > 0
    residuals = (n - n.sum(axis=1, keepdims=True) * shares)[:, seen]
    prompts = len(n)
    variances = prompts / (prompts - 1) * (residuals**2).sum(axis=0) / n.sum() ** 2
    return float(plug_in(n.sum(axis=0)) + 0.5 * (variances / shares[seen]).sum())


def _share(hits: Floats, n: Floats, *, level: float) -> Estimate:
    """Wilson's interval for a share on the effective number of responses."""
    sizes = n.sum(axis=1)
    share = float(hits.sum() / sizes.sum())
    effective, inflation = float(sizes.sum()), 1.0
    if len(n) > 1 and sizes.max() > 1:
        totals = hits - sizes * share
        effective = _cautious_size(totals, n, share * (1 - share))
        inflation = t_inflation(totals, level)
    z2 = float(norm.ppf((1 + level) / 2)) ** 2 * inflation
    centre = (share + z2 / (2 * effective)) / (1 + z2 / effective)
    margin = np.sqrt(z2 * share * (1 - share) / effective + (z2 / (2 * effective)) ** 2) / (1 + z2 / effective)
    low = 0.0 if share == 0 else max(centre - margin, 0.0)
    high = 1.0 if share == 1 else min(centre + margin, 1.0)
    return Estimate(
        share, float(low), float(high), level, "share", _size(n), "Wilson on effective n, prompts like these"
    )


def _bounded(nats: float, n: Floats) -> float:
    """Moved into [0, ln K]: corrected estimators may leave it at small n."""
    return float(np.clip(nats, 0.0, np.log(n.shape[1])))


def _nats(value: float, low: float, high: float, n: Floats, *, level: float, method: str) -> Estimate:
    """The estimate in nats, all of it within [0, ln K], its value moved into its interval where it is outside."""
    low, high = _bounded(low, n), _bounded(high, n)
    return Estimate(float(np.clip(value, low, high)), low, high, level, "nats", _size(n), method)
