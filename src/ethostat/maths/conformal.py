"""Conformal p-values: how typical a feature vector is of those that a classifier was made for.

A vector's nonconformity is its distance to the reference: 1 minus its cosine with the fifth nearest reference row.
Its p-value is the rank of that among the scores of calibration rows, which neither the classifier nor the reference
was fitted on: p = (1 + #{scores at least as large}) / (m + 1). Where a new row is exchangeable with the calibration
rows, P(p <= t) <= t for every t. Ranks are taken within the predicted goal (Mondrian), so that a rare goal has the same
promise as a common one; goals with few calibration rows share one cell.

Source: Vovk, Gammerman and Shafer 2005, Algorithmic Learning in a Random World; Sun et al. 2022, Out-of-distribution
Detection with Deep Nearest Neighbors; Bates et al. 2023, Testing for Outliers with Conformal p-values.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import norm

from ethostat.maths.estimate import Estimate
from ethostat.maths.panel import aligned_share

Floats = NDArray[np.float64]
Whole = NDArray[np.int64]

MOST_ROWS = 1400
"""Rows of a reference unless told otherwise: 0.54 MB at width 384."""
LEAST_OF_A_GOAL = 200
"""Calibration rows that a predicted goal needs for a cell of its own: its smallest p-value is then below 0.5 %."""
TAIL = 0.1
"""Where a p-value counts as small in `outside_share`: by chance a tenth of typical rows are."""
_NEIGHBOURS = 5
_FARTHEST = 2.0
_LEAST_CALIBRATION = 20


class Cells(NamedTuple):
    """Which calibration scores a predicted goal is ranked among: the cell of each goal, and the scores in each cell."""

    of_goal: tuple[int, ...]
    sizes: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Reference:
    """Reference rows and calibration scores.

    `rows` (R, W) int8 are directions: only their angles matter. `scores` holds the ascending calibration scores of
    each cell, `of_goal` the cell of each predicted goal. Raises ValueError where they do not fit together.
    """

    rows: NDArray[np.int8]
    scores: tuple[Floats, ...]
    of_goal: tuple[int, ...]

    def __post_init__(self) -> None:
        rows, scores = self.rows, self.scores
        if rows.ndim != 2 or rows.dtype != np.int8 or len(rows) <= _NEIGHBOURS or not rows.any(axis=1).all():
            raise ValueError(
                f"reference rows must be int8, (R, W) with R > {_NEIGHBOURS}, none 0 throughout, got {rows.dtype} "
                f"{rows.shape}"
            )
        if not scores or not all(len(cell) and np.isfinite(cell).all() for cell in scores):
            raise ValueError("every cell must hold calibration scores, all of them finite")
        if any((np.diff(cell) < 0).any() for cell in scores):
            raise ValueError("the calibration scores of a cell must ascend")
        if not self.of_goal or not all(0 <= cell < len(scores) for cell in self.of_goal):
            raise ValueError(f"each goal needs one of the {len(scores)} cells, got {self.of_goal}")

    @cached_property
    def _units(self) -> NDArray[np.float32]:
        return _directions(self.rows)

    @property
    def width(self) -> int:
        """Numbers in a feature vector."""
        return int(self.rows.shape[1])

    @property
    def cells(self) -> Cells:
        """What p-values are ranked among."""
        return Cells(self.of_goal, tuple(map(len, self.scores)))

    def nonconformity(self, feature: ArrayLike) -> float:
        """1 minus the cosine of the vector (W,) with the fifth nearest reference row; 0 is near, 2 is opposite.

        Infinite where the vector is not finite or has no direction. Raises ValueError for another width.
        """
        return _distance(self._units, feature)

    def p_value(self, feature: ArrayLike, goal: int) -> float:
        """The conformal p-value of a vector (W,) whose predicted goal stands at this place; in (0, 1].

        Of two vectors with the same rank the farther one's is smaller, by less than a millionth of a rank, so that a
        list by p-value has one order.
        """
        scores, distance = self.scores[self.of_goal[goal]], self.nonconformity(feature)
        beyond = len(scores) - int(np.searchsorted(scores, distance, side="left"))
        nearness = 1e-6 * (1 - min(distance, _FARTHEST) / _FARTHEST)
        return min((1 + beyond + nearness) / (len(scores) + 1), 1.0)


def fit_reference(
    features: ArrayLike,
    goals: ArrayLike,
    *,
    calibration: ArrayLike,
    predicted: ArrayLike,
    goal_count: int,
    rng: np.random.Generator,
    most: int = MOST_ROWS,
) -> Reference:
    """A reference from features of labelled rows, and its calibration.

    `features` (N, W) and `goals` (N,) are of rows that the classifier may have learned from; of more than `most` of
    them a sample is kept that holds each goal as evenly as it can. `calibration` (M, W) is of rows that nothing was
    fitted on, and `predicted` (M,) the places of the goals that the classifier gives them; few rows a prompt, since
    rows of one prompt are no independent evidence. Raises ValueError where shapes differ or there are too few rows.
    """
    known, fresh = _matrix(features, "features"), _matrix(calibration, "calibration")
    labels, said = np.asarray(goals, dtype=np.int64), np.asarray(predicted, dtype=np.int64)
    if known.shape[1] != fresh.shape[1] or labels.shape != known.shape[:1] or said.shape != fresh.shape[:1]:
        raise ValueError(
            f"features {known.shape}, goals {labels.shape}, calibration {fresh.shape} and predicted {said.shape} must "
            "be (N, W), (N,), (M, W) and (M,)"
        )
    if len(fresh) < _LEAST_CALIBRATION:
        raise ValueError(f"calibration needs at least {_LEAST_CALIBRATION} rows, got {len(fresh)}")
    kept = known[_evenly(labels, most, rng)]
    rows = np.round(127 * kept / np.abs(kept).max(axis=1, keepdims=True)).astype(np.int8)
    of_goal = _cells(said, goal_count)
    units = _directions(rows)
    scores, cell = np.array([_distance(units, row) for row in fresh]), np.array(of_goal)[said]
    return Reference(rows, tuple(np.sort(scores[cell == at]) for at in range(max(of_goal) + 1)), of_goal)


def outside_share(
    p_values: ArrayLike,
    prompts: ArrayLike,
    *,
    goals: ArrayLike | None = None,
    cells: Cells | None = None,
    level: float = 0.95,
) -> Estimate:
    """The share of responses beyond what chance calls atypical, for prompts like these.

    (F - t) / (1 - t), where F is the share of p-values (N,) at most t = 0.1: Storey's estimate 1 - pi0, never below 0.
    It counts at least those responses outside whose p-value is small, so it is a lower estimate where outsiders look
    typical. `prompts` (N,) holds each response's prompt, whose responses are dependent. With `goals` (N,), the places
    of the predicted goals, and `cells`, the interval also covers that the calibration rows are a sample; without them
    they are taken as exact. Undefined without p-values.
    Source: Storey 2002, A direct approach to false discovery rates; Donner and Zou 2012 (MOVER) for the interval.
    """
    p, place = np.asarray(p_values, dtype=np.float64), np.asarray(prompts, dtype=np.int64)
    if not len(p):
        return Estimate.undefined("no response has a p-value", level=level, unit="share", n=0)
    table = np.zeros((int(place.max()) + 1, 2))
    np.add.at(table, (place, (p > TAIL).astype(np.int64)), 1)
    found = aligned_share(table, [True, False], level=level)
    chance, spread = _chance(None if goals is None else np.asarray(goals, dtype=np.int64), cells)
    share = (found.value - chance) / (1 - chance)
    slack = float(norm.ppf((1 + level) / 2)) * spread * (1 - found.value) / (1 - chance)
    low = share - float(np.hypot(found.value - found.low, slack)) / (1 - chance)
    high = share + float(np.hypot(found.high - found.value, slack)) / (1 - chance)
    method = "share of p <= 0.1 beyond chance; Wilson on effective n, prompts like these"
    method += ", and calibration" if cells is not None and goals is not None else "; calibration taken as exact"
    value, low, high = (float(np.clip(each, 0.0, 1.0)) for each in (share, low, high))
    return Estimate(value, low, high, level, "share", len(p), method)


def benjamini_hochberg(p_values: ArrayLike, *, rate: float) -> NDArray[np.bool_]:
    """Which of the hypotheses (N,) are rejected so that of all rejected at most this share is expected to be true.

    Conformal p-values that share calibration rows are positively dependent, under which the promise holds.
    Source: Benjamini and Hochberg 1995; Bates et al. 2023, theorem 2.

    >>> benjamini_hochberg([0.01, 0.9, 0.02, 0.5], rate=0.1).tolist()
    [True, False, True, False]
    """
    p = np.asarray(p_values, dtype=np.float64)
    ordered = np.sort(p)
    passed = np.flatnonzero(ordered <= rate * np.arange(1, len(p) + 1) / max(len(p), 1))
    return p <= ordered[passed[-1]] if len(passed) else np.zeros(len(p), dtype=bool)


def _chance(goals: Whole | None, cells: Cells | None) -> tuple[float, float]:
    """How many p-values are at most TAIL by chance, and the standard deviation of that over calibration sets.

    With m calibration scores the chance is Beta(k, m + 1 - k) for k = floor(TAIL (m + 1)), whatever the scores are.
    """
    if goals is None or cells is None:
        return TAIL, 0.0
    weights = np.bincount(np.array(cells.of_goal)[goals], minlength=len(cells.sizes)) / len(goals)
    m = np.array(cells.sizes, dtype=np.float64)
    chances = np.floor(TAIL * (m + 1) + 1e-9) / (m + 1)
    variances = chances * (1 - chances) / (m + 2)
    return float(weights @ chances), float(np.sqrt(weights**2 @ variances))


def _cells(said: Whole, goal_count: int) -> tuple[int, ...]:
    """A cell for each goal that has enough rows; the others share one, with the least common of the rest if need be."""
    sizes = np.bincount(said, minlength=goal_count)
    if len(sizes) > goal_count or (len(said) and said.min() < 0):
        raise ValueError(f"predicted goals must be places from 0 to {goal_count - 1}, got {sorted(set(said.tolist()))}")
    by_size = np.argsort(sizes, kind="stable")
    shared = [int(at) for at in by_size if sizes[at] < LEAST_OF_A_GOAL]
    for at in by_size[len(shared) :]:
        if not shared or sizes[shared].sum() >= LEAST_OF_A_GOAL:
            break
        shared.append(int(at))
    alone = [at for at in range(goal_count) if at not in shared]
    return tuple(alone.index(at) if at in alone else len(alone) for at in range(goal_count))


def _evenly(labels: Whole, most: int, rng: np.random.Generator) -> Whole:
    """Places of at most so many rows, drawn in turn from each goal until it has no more."""
    order = rng.permutation(len(labels))
    turn = np.empty(len(labels), dtype=np.int64)
    for goal in set(labels.tolist()):
        turn[order[labels[order] == goal]] = np.arange((labels == goal).sum())
    return np.sort(order[np.argsort(turn[order], kind="stable")][:most])


def _distance(units: NDArray[np.float32], feature: ArrayLike) -> float:
    vector = np.asarray(feature, dtype=np.float64)
    if vector.shape != units.shape[1:]:
        raise ValueError(f"a feature vector must have shape {units.shape[1:]}, got {vector.shape}")
    length = float(np.linalg.norm(vector))
    if not 0 < length < np.inf:
        return float("inf")
    cosines = units @ (vector / length).astype(np.float32)
    return 1.0 - float(np.partition(cosines, -_NEIGHBOURS)[-_NEIGHBOURS])


def _directions(rows: NDArray[np.int8]) -> NDArray[np.float32]:
    wide = rows.astype(np.float32)
    return np.asarray(wide / np.linalg.norm(wide, axis=1, keepdims=True))


def _matrix(rows: ArrayLike, name: str) -> Floats:
    table = np.asarray(rows, dtype=np.float64)
    if table.ndim != 2 or not np.isfinite(table).all() or not table.any(axis=1).all():
        raise ValueError(f"{name} must be finite, (rows, width), no row 0 throughout; got shape {table.shape}")
    return table
