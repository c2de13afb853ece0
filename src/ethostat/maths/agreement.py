"""Agreement: a classifier with people, people with each other; every figure with its interval.

Most figures take `tables` (G, K, K): for each group (a prompt) a count of rows, truth down, verdict across. Rows of
a group are not independent: intervals resample whole groups, and shares take Wilson's on the effective n.
"""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import rankdata

from ethostat.maths.bootstrap import RESAMPLES, Figure, bca, bca_of, estimate_of, resampled, whole_agreement
from ethostat.maths.estimate import Estimate
from ethostat.maths.panel import aligned_share

Floats = NDArray[np.float64]
BINS = 15
_LEAST_PAIRS = 4
_MOST_BLOCKS = 500
_LEAST_GROUPS = 2
_SAME = 1e-12
# Rows, summed confidence and hits of a bin: confidence less hits is how far it is off.
_GAP = np.array([0.0, 1.0, -1.0])


class Bin(NamedTuple):
    """One bar of a reliability diagram: rows whose highest probability lies in [low, high)."""

    low: float
    high: float
    confidence: float
    accuracy: Estimate


def confusion_tables(truth: ArrayLike, said: ArrayLike, *, goals: int, groups: ArrayLike | None = None) -> Floats:
    """One confusion matrix a group, (G, K, K), truth down and verdict across; without groups each row is one.

    `truth` and `said` (N,) hold places of goals, `groups` (N,) anything that can be sorted.
    """
    rows, columns = np.asarray(truth, dtype=np.int64), np.asarray(said, dtype=np.int64)
    group = group_places(len(rows), groups)
    tables = np.zeros((int(group.max(initial=-1)) + 1, goals, goals))
    np.add.at(tables, (group, rows, columns), 1.0)
    return tables


def group_places(rows: int, groups: ArrayLike | None) -> NDArray[np.int64]:
    """The place (N,) of each row's group among the groups; without groups, each row's own."""
    if groups is None:
        return np.arange(rows, dtype=np.int64)
    return np.asarray(np.unique(np.asarray(groups), return_inverse=True)[1], dtype=np.int64)


def collapse(tables: Floats, places: ArrayLike) -> Floats:
    """The tables over fewer goals: goal i becomes goal `places[i]`."""
    place = np.asarray(places, dtype=np.int64)
    onto = np.eye(int(place.max()) + 1)[place]
    return np.asarray(np.einsum("gij,ik,jl->gkl", tables, onto, onto))


def accuracy(tables: Floats, *, level: float = 0.95) -> Estimate:
    """Share of rows whose verdict is the truth."""
    right = np.einsum("gii->g", tables)
    return share_of(right, tables.sum(axis=(1, 2)), level=level)


def recall(tables: Floats, *, level: float = 0.95) -> list[Estimate]:
    """For each goal, the share of its rows that are found."""
    return [share_of(tables[:, k, k], tables[:, k].sum(axis=1), level=level) for k in range(tables.shape[1])]


def precision(tables: Floats, *, level: float = 0.95) -> list[Estimate]:
    """For each goal, the share of its verdicts that are right."""
    return [share_of(tables[:, k, k], tables[:, :, k].sum(axis=1), level=level) for k in range(tables.shape[1])]


def mistaken(tables: Floats, one: int, other: int, *, level: float = 0.95) -> Estimate:
    """Of the rows of two goals, the share that is taken for the other of the two."""
    pair = tables[:, [one, other]]
    return share_of(pair[:, 0, other] + pair[:, 1, one], pair.sum(axis=(1, 2)), level=level)


def share_of(hits: ArrayLike, sizes: ArrayLike, *, level: float = 0.95) -> Estimate:
    """Share hits / sizes over groups (G,), with Wilson's interval on the effective number of rows."""
    found, total = np.asarray(hits, dtype=np.float64), np.asarray(sizes, dtype=np.float64)
    return aligned_share(np.stack([found, total - found], axis=1), [True, False], level=level)


def macro_f1(tables: Floats, *, rng: np.random.Generator, level: float = 0.95) -> Estimate:
    """Mean of the goals' F1, each 2 TP / (2 TP + FP + FN); goals that neither occur nor are said are left out."""
    return bca(tables, _macro_f1, Figure("macro-F1", int(tables.sum()), level=level), rng=rng)


def cohen_kappa(tables: Floats, *, rng: np.random.Generator, level: float = 0.95) -> Estimate:
    """Cohen's kappa of two raters, or of truth and verdict: 0 is chance, 1 is agreement throughout.

    Undefined where both only ever say one and the same goal.
    Source: Cohen 1960, A coefficient of agreement for nominal scales.
    """
    return bca(tables, _cohen, _coefficient("Cohen's kappa", int(tables.sum()), level), rng=rng)


def fleiss_kappa(
    ratings: ArrayLike, *, rng: np.random.Generator, groups: ArrayLike | None = None, level: float = 0.95
) -> Estimate:
    """Fleiss' kappa of several raters; `ratings` (N, K) counts who said what of each row.

    Raises ValueError unless every row has the same number, 2 or more, of ratings; `krippendorff_alpha` has no
    such rule. n is the number of rows.
    Source: Fleiss 1971, Measuring nominal scale agreement among many raters.
    """
    counts = _ratings(ratings)
    raters = counts.sum(axis=1)
    if len(counts) and (raters.min() != raters.max() or raters[0] < 2):
        raise ValueError(f"every row needs the same number of ratings, 2 or more; got {raters.min()} to {raters.max()}")
    agreeing = (counts * (counts - 1)).sum(axis=1) / np.maximum(raters * (raters - 1), 1)
    parts = _by_group(np.column_stack([np.ones(len(counts)), agreeing, counts]), groups)
    return bca(parts, _fleiss, _coefficient("Fleiss' kappa", len(counts), level), rng=rng)


def krippendorff_alpha(
    ratings: ArrayLike, *, rng: np.random.Generator, groups: ArrayLike | None = None, level: float = 0.95
) -> Estimate:
    """Krippendorff's alpha for nominal values; rows may differ in their number of ratings, below 2 they say nothing.

    `ratings` (N, K) counts who said what of each row; n is the number of rows with 2 or more.
    Source: Krippendorff 2011, Computing Krippendorff's alpha-reliability.
    """
    counts, coincidences = _coincidences(ratings, groups)
    return bca(coincidences, _krippendorff, _coefficient("Krippendorff's alpha", len(counts), level), rng=rng)


def pair_agreement(
    ratings: ArrayLike, *, rng: np.random.Generator, groups: ArrayLike | None = None, level: float = 0.95
) -> Estimate:
    """Share of pairs of raters that say the same of a row, each rating weighing the same; `ratings` as for alpha."""
    counts, coincidences = _coincidences(ratings, groups)
    return bca(coincidences, _same_share, Figure("pairs that agree", len(counts), level=level), rng=rng)


def goal_agreement(
    ratings: ArrayLike, *, rng: np.random.Generator, groups: ArrayLike | None = None, level: float = 0.95
) -> list[Estimate]:
    """For each goal, the chance that another rater says it of a row of which one rater said it.

    `ratings` (N, K) counts who said what of each row; n is the number of rows of which somebody said the goal.
    Undefined for a goal that nobody said. Source: Cicchetti and Feinstein 1990, High agreement but low kappa II.
    """
    counts, coincidences = _coincidences(ratings, groups)
    said = (counts > 0).sum(axis=0)
    return [
        bca(coincidences, partial(_same_of, k), Figure("specific agreement", int(said[k]), level=level), rng=rng)
        for k in range(counts.shape[1])
    ]


def rank_correlation(x: ArrayLike, y: ArrayLike, *, rng: np.random.Generator, level: float = 0.95) -> Estimate:
    """Spearman's rho of pairs (N,), ties at their mean rank, with a BCa interval over pairs.

    Undefined for fewer than four pairs, or where one side is constant.
    """
    pairs = np.stack([np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)])
    size = pairs.shape[1]
    figure = _coefficient("Spearman's rho", size, level)
    if size < _LEAST_PAIRS:
        return figure.undefined(f"rank correlation needs {_LEAST_PAIRS} pairs, got {size}")
    value = float(_spearman(pairs[:, None])[0])
    if not np.isfinite(value):
        return figure.undefined("one side is the same everywhere, so it has no ranks to compare")
    draws = _spearman(pairs[:, rng.integers(0, size, (RESAMPLES, size))])
    # Leaving out whole blocks says as much of the skew, and does not grow with the square of the pairs.
    blocks = np.array_split(rng.permutation(size), min(size, _MOST_BLOCKS))
    left_out = np.array([_spearman(np.delete(pairs, block, axis=1)[:, None])[0] for block in blocks])
    return bca_of(value, draws, left_out, figure, groups=size)


def calibration_error(
    confidence: ArrayLike,
    right: ArrayLike,
    *,
    rng: np.random.Generator,
    groups: ArrayLike | None = None,
    level: float = 0.95,
) -> Estimate:
    """Expected calibration error: mean distance of confidence from accuracy over 15 bins of equal width, by rows.

    `confidence` (N,) is the highest probability, `right` (N,) whether its goal is the truth. It is never below 0
    and so too high where there are few rows: the value is as the literature counts it, the interval allows for it.
    Its lower end is 0 where groups as noisy as these would show as large an error without any.
    Source: Guo, Pleiss, Sun and Weinberger 2017, arXiv 1706.04599.
    """
    tables = _binned(confidence, right, groups)
    figure = Figure("ECE, 15 bins", int(tables[..., 0].sum()), level=level)
    if len(tables) < _LEAST_GROUPS:
        return figure.undefined(f"an interval over groups needs {_LEAST_GROUPS} of them, got {len(tables)}")
    total = tables.sum(axis=0)
    value = float(_calibration(total[None])[0])
    totals = np.concatenate(list(resampled(tables, rng)))
    draws, noise = _calibration(totals), np.abs((totals - total) @ _GAP).sum(axis=1) / figure.n
    if np.ptp(draws) < _SAME:
        return whole_agreement(value, figure, groups=len(tables))
    tail = (1 + level) / 2
    most = float(np.quantile(draws, tail))
    low = 0.0 if value <= np.quantile(noise, tail) else 2 * value - most
    return estimate_of(value, low, value + most - float(draws.mean()), figure, "recentred bootstrap over groups")


def reliability(
    confidence: ArrayLike, right: ArrayLike, *, groups: ArrayLike | None = None, level: float = 0.95
) -> list[Bin]:
    """The bins of `calibration_error` that hold a row: mean confidence beside accuracy with its interval."""
    tables = _binned(confidence, right, groups)
    edges = np.linspace(0, 1, BINS + 1)
    found = []
    for place in np.flatnonzero(tables[..., 0].sum(axis=0)):
        sizes, sums, hits = tables[:, place].T
        mean = float(sums.sum() / sizes.sum())
        found.append(Bin(float(edges[place]), float(edges[place + 1]), mean, share_of(hits, sizes, level=level)))
    return found


def _coefficient(name: str, n: int, level: float) -> Figure:
    return Figure(name, n, unit="coefficient", range=(-1.0, 1.0), level=level)


def _macro_f1(totals: Floats) -> Floats:
    hits = np.einsum("bii->bi", totals)
    both = totals.sum(axis=1) + totals.sum(axis=2)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.where(both > 0, 2 * hits / both, 0.0).sum(axis=1) / (both > 0).sum(axis=1))


def _cohen(totals: Floats) -> Floats:
    n = totals.sum(axis=(1, 2))
    with np.errstate(invalid="ignore", divide="ignore"):
        seen = np.einsum("bii->b", totals) / n
        chance = np.einsum("bi,bi->b", totals.sum(axis=1), totals.sum(axis=2)) / n**2
        return _beyond(seen, chance)


def _fleiss(totals: Floats) -> Floats:
    rows, agreeing, counts = totals[:, 0], totals[:, 1], totals[:, 2:]
    with np.errstate(invalid="ignore", divide="ignore"):
        shares = counts / counts.sum(axis=1, keepdims=True)
        return _beyond(agreeing / rows, (shares**2).sum(axis=1))


def _krippendorff(totals: Floats) -> Floats:
    values = totals.sum(axis=2)
    n = values.sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        seen = np.einsum("bii->b", totals) / n
        return _beyond(seen, (values * (values - 1)).sum(axis=1) / (n * (n - 1)))


def _same_share(totals: Floats) -> Floats:
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.einsum("bii->b", totals) / totals.sum(axis=(1, 2)))


def _same_of(goal: int, totals: Floats) -> Floats:
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(totals[:, goal, goal] / totals[:, goal].sum(axis=1))


def _beyond(seen: Floats, chance: Floats) -> Floats:
    """Agreement beyond chance, (seen - chance) / (1 - chance); nan where chance leaves no room."""
    room = 1 - chance
    return np.asarray(np.where(room > 1e-12, (seen - chance) / np.where(room > 1e-12, room, 1.0), np.nan))


def _spearman(pairs: Floats) -> Floats:
    """Pearson's correlation (B,) of the ranks of pairs (2, B, N); nan where one side is constant."""
    ranks = rankdata(pairs, axis=2)
    apart = ranks - ranks.mean(axis=2, keepdims=True)
    spread = np.sqrt((apart**2).sum(axis=2)).prod(axis=0)
    return np.asarray(np.where(spread > 0, apart.prod(axis=0).sum(axis=1) / np.where(spread > 0, spread, 1), np.nan))


def _calibration(totals: Floats) -> Floats:
    return np.asarray(np.abs(totals @ _GAP).sum(axis=1) / totals[..., 0].sum(axis=1))


def _binned(confidence: ArrayLike, right: ArrayLike, groups: ArrayLike | None) -> Floats:
    """Rows, summed confidence and hits of each bin, (G, 15, 3)."""
    sure, hits = np.asarray(confidence, dtype=np.float64), np.asarray(right, dtype=np.float64)
    place = np.minimum((sure * BINS).astype(np.int64), BINS - 1)
    group = group_places(len(sure), groups)
    tables = np.zeros((int(group.max(initial=-1)) + 1, BINS, 3))
    np.add.at(tables, (group, place), np.column_stack([np.ones(len(sure)), sure, hits]))
    return tables


def _by_group(rows: Floats, groups: ArrayLike | None) -> Floats:
    group = group_places(len(rows), groups)
    tables = np.zeros((int(group.max(initial=-1)) + 1, *rows.shape[1:]))
    np.add.at(tables, group, rows)
    return tables


def _coincidences(ratings: ArrayLike, groups: ArrayLike | None) -> tuple[Floats, Floats]:
    """Rows with two ratings or more (N, K), and each group's matrix (G, K, K) of pairs within a row."""
    counts = _ratings(ratings)
    paired = counts.sum(axis=1) > 1
    counts, kept = counts[paired], None if groups is None else np.asarray(groups)[paired]
    pairs = counts[:, :, None] * counts[:, None, :] - counts[:, :, None] * np.eye(counts.shape[1])
    return counts, _by_group(pairs / np.maximum(counts.sum(axis=1) - 1, 1)[:, None, None], kept)


def _ratings(ratings: ArrayLike) -> Floats:
    counts = np.asarray(ratings, dtype=np.float64)
    if counts.ndim != 2:
        raise ValueError(f"ratings must have shape (rows, goals), got {counts.shape}")
    return counts
