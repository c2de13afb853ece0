"""Confusion: what the goals' shares and S are once the classifier's errors are undone.

Two ways, both Bayesian. `post_stratified` needs people's labels of rows chosen by predicted goal, and assumes
nothing of the classifier. `joint_correction` adds a confusion matrix from a calibration set and has two thirds to
three quarters of the width; it assumes that the classifier errs on these rows as it did there, given the true goal.
P(said | true) survives a shift of the goals' shares; P(true | said) does not, so labels must come from the very rows
that are corrected.

Counts of predicted goals are one row (K,) where rows are independent, or one row a prompt (J, K): then prompts are
what is drawn, the interval speaks of prompts like these, and S is freed of what so few prompts take from it.
Sources: Tenenbein 1972, A double sampling scheme (misclassified multinomial); Tanner and Wong 1987 (augmentation);
Rubin 1981, The Bayesian bootstrap (over prompts).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import norm, t

from ethostat.maths.entropy import entropy_of
from ethostat.maths.estimate import Estimate

Floats = NDArray[np.float64]
Whole = NDArray[np.int64]

DRAWS = 1000
BURN_IN = 500
MODAL_LABELS, OTHER_LABELS = 70, 20
_SAID_PRIOR = 0.5
# 0.05 and 0.4 leave S at 0.12 nats 0.04 too high where a quarter of the rows is misplaced; these leave 0.013.
_TRUE_PRIOR, _RIGHT_PRIOR = 0.03, 0.15
_ROW_PRIOR, _ROW_RIGHT_PRIOR = 0.2, 2.0
_SHARE_PRIOR = 0.2
_LEAST_SHAPE = 0.05


@dataclass(frozen=True, slots=True)
class Corrected:
    """Posterior draws (D, K) of the goals' true shares, and the number of rows that they speak of.

    `shift` (nats) is added to S: S of a mean over few prompts is low, and S of a redrawn mean twice as low. Where
    prompts were redrawn, `moved` (D, K) is how far each goal's share of verdicts went, and `here` (D, K) the corrected
    shares without that.
    """

    draws: Floats
    n: int
    method: str
    shift: float = 0.0
    here: Floats | None = None
    moved: Floats | None = None

    def entropy(self, *, level: float = 0.95) -> Estimate:
        """S of the corrected profile, nats: posterior mean and equal-tailed interval."""
        most = float(np.log(self.draws.shape[1]))
        return self._estimate(np.clip(entropy_of(self.draws) + self.shift, 0, most), "nats", level)

    def shares(self, *, level: float = 0.95) -> list[Estimate]:
        """The corrected share of each goal, in order."""
        return [self._estimate(column, "share", level) for column in self.draws.T]

    def aligned(self, aligned: ArrayLike, *, level: float = 0.95) -> Estimate:
        """The corrected share of the goals of a mask (K,); over prompts it varies as these goals' verdicts together."""
        mask = np.asarray(aligned, dtype=bool)
        if self.here is None or self.moved is None:
            return self._estimate(self.draws[:, mask].sum(axis=1), "share", level)
        shares = (self.here + self.moved)[:, mask].sum(axis=1)
        return self._estimate(np.clip(shares, 0, 1), "share", level)

    def _estimate(self, values: Floats, unit: str, level: float) -> Estimate:
        low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2])
        value = float(np.clip(values.mean(), low, high))
        return Estimate(value, float(low), float(high), level, unit, self.n, self.method)


def labels_wanted(said: ArrayLike, *, modal: int = MODAL_LABELS, others: int = OTHER_LABELS) -> Whole:
    """How many rows of each predicted goal (K,) people should label: 70 of the most frequent, 20 of each other.

    `said` (K,) counts the rows of each predicted goal; no more are wanted than there are.
    """
    counts = _counts(said)
    wanted = np.full(len(counts), others, dtype=np.int64)
    wanted[int(counts.argmax())] = modal
    return np.minimum(wanted, counts)


def choose_rows(said: ArrayLike, wanted: ArrayLike, *, goals: int, rng: np.random.Generator) -> Whole:
    """Rows to label, sorted: `wanted` (K,) of each predicted goal, at random among its rows.

    `said` (N,) holds each row's predicted goal by place. Raises ValueError where more are wanted than there are.
    """
    places, chosen = np.asarray(said, dtype=np.int64), []
    for goal, size in zip(range(goals), np.asarray(wanted, dtype=np.int64), strict=True):
        rows = np.flatnonzero(places == goal)
        if size > len(rows):
            raise ValueError(f"{size} rows of predicted goal {goal} are wanted, but there are {len(rows)}")
        chosen.append(rng.choice(rows, size, replace=False))
    return np.sort(np.concatenate(chosen))


def post_stratified(said: ArrayLike, labels: ArrayLike, *, rng: np.random.Generator, draws: int = DRAWS) -> Corrected:
    """The goals' true shares from people's labels of rows chosen by predicted goal.

    `said` (K,) or (J, K) counts all rows by predicted goal. `labels` (K, K) counts the labelled ones among them, truth
    down, predicted goal across; within a predicted goal they are a random choice (`choose_rows`). A goal without
    labels is taken at the classifier's word, weakly. With 150 labels chosen by `labels_wanted` and 10,000 rows the
    interval of S held the truth in 92 to 97 % of simulations. Raises ValueError for counts that cannot be.
    """
    counts, seen = _counts(said), _matrix(labels, of=said)
    prior = _TRUE_PRIOR + _RIGHT_PRIOR * np.eye(len(counts))
    q = redrawn_shares(said, draws, rng=rng)
    truth = np.stack([rng.dirichlet(seen[:, j] + prior[:, j], draws) for j in range(len(counts))], axis=2)
    return _corrected(truth, q, said, _title("post-stratified", seen, said))


def joint_correction(
    said: ArrayLike, labels: ArrayLike, calibration: ArrayLike, *, rng: np.random.Generator, draws: int = 10 * DRAWS
) -> Corrected:
    """The goals' true shares from a calibration confusion matrix and, where there are any, labels of these rows.

    `said` and `labels` as for `post_stratified`; labels may be all zeros, at a price: a matrix from 150 rows alone
    leaves S biased. `calibration` (K, K) counts calibration rows, truth down, verdict across. A Gibbs sampler over
    shares, confusion matrix and the unlabelled rows' true goals: draws are not independent, and with 1,000 of them the
    interval of S is too narrow where the classifier errs much (90 % coverage; 92 to 94 % from 10,000 on, in half a
    second). Errors are taken as independent given the true goal, also within a prompt.
    """
    counts, seen, known = _counts(said), _matrix(labels, of=said), _matrix(calibration)
    if known.shape != seen.shape:
        raise ValueError(f"the calibration matrix has shape {known.shape}, the labels {seen.shape}; goals must agree")
    prior = _ROW_PRIOR + _ROW_RIGHT_PRIOR * np.eye(len(counts)) + known + seen
    unlabelled = counts - seen.sum(axis=0)
    hidden = np.diag(unlabelled).astype(np.int64)
    shares, truth = np.empty((draws, len(counts))), np.empty((draws, *seen.shape))
    for turn in range(-BURN_IN, draws):
        rows = rng.standard_gamma(prior + hidden)
        confusion = rows / rows.sum(axis=1, keepdims=True)
        p = rng.dirichlet(_SHARE_PRIOR + seen.sum(axis=1) + hidden.sum(axis=1))
        joint = p[:, None] * confusion
        expected = joint / joint.sum(axis=0)
        hidden = rng.multinomial(unlabelled, expected.T).T
        if turn >= 0:
            shares[turn] = p
            truth[turn] = np.where(counts > 0, (hidden + seen) / np.maximum(counts, 1), expected)
    title = _title(f"joint Gibbs with {int(known.sum())} calibration rows", seen, said)
    if not _has_prompts(said):
        return Corrected(shares, int(counts.sum()), title)
    return _corrected(truth, redrawn_shares(said, draws, rng=rng), said, title)


def redrawn_shares(said: ArrayLike, draws: int, *, rng: np.random.Generator) -> Floats:
    """Posterior draws (D, K) of the shares of predicted goals, of independent rows (K,) or of prompts (J, K).

    Prompts get gamma weights: a Bayesian bootstrap whose spread is Student's for J prompts. Half a row is added to
    every goal, so that none is impossible. Prompts of one response each are independent rows.
    """
    if not _has_prompts(said):
        return np.asarray(rng.dirichlet(_counts(said) + _SAID_PRIOR, draws))
    rows, times = np.unique(np.asarray(said, dtype=np.float64), axis=0, return_counts=True)
    shape = prompt_shape(int(times[rows.any(axis=1)].sum()))
    mass = rng.standard_gamma(shape * times, (draws, len(rows))) / shape @ rows
    mass += rng.standard_gamma(_SAID_PRIOR, mass.shape)
    return np.asarray(mass / mass.sum(axis=1, keepdims=True))


def prompt_shape(prompts: int) -> float:
    """Shape of the gamma weights with which a mean over J prompts spreads as Student's t says; nearly 1 for many."""
    if prompts < 2:
        return 1.0
    wider = float(t.ppf(0.975, prompts - 1) / norm.ppf(0.975)) ** 2
    return max(((prompts - 1) / wider - 1) / prompts, _LEAST_SHAPE)


def _corrected(truth: Floats, q: Floats, said: ArrayLike, title: str) -> Corrected:
    """P(true | said) (D, K, K) times shares of predicted goals (D, K).

    Over prompts each corrected share varies as the share of that goal's verdicts does: P(true | said) is of all prompts
    together, and applied to each prompt's own verdicts it would make prompts more alike than they are.
    """
    counts = _counts(said)
    size = int(counts.sum())
    if not _has_prompts(said):
        return Corrected(np.einsum("dij,dj->di", truth, q), size, title)
    here, seen = truth @ (counts / size), counts > 0
    varied = here * np.where(seen, q * size / np.where(seen, counts, 1), 1.0)
    varied /= varied.sum(axis=1, keepdims=True)
    lost = float((entropy_of(here) - entropy_of(varied)).mean())
    return Corrected(varied, size, title, 2 * max(lost, 0.0), here, q - counts / size)


def _title(way: str, labels: Whole, said: ArrayLike) -> str:
    whose = "prompts like these" if _has_prompts(said) else "rows like these"
    return f"{way}, {int(labels.sum())} labels; posterior mean, equal-tailed, {whose}"


def _has_prompts(said: ArrayLike) -> bool:
    """Whether the counts are those of two prompts or more; rows of a single prompt are independent."""
    counts = np.asarray(said)
    return counts.ndim == 2 and int(counts.any(axis=1).sum()) > 1


def _counts(said: ArrayLike) -> Whole:
    counts = np.asarray(said)
    if counts.ndim == 2 and not (counts < 0).any():
        counts = counts.sum(axis=0)
    if counts.ndim != 1 or len(counts) < 2 or (counts < 0).any() or not counts.any():
        raise ValueError(f"counts of predicted goals must be one row, none below 0 and not all 0; got {counts!r}")
    return counts.astype(np.int64)


def _matrix(cells: ArrayLike, *, of: ArrayLike | None = None) -> Whole:
    """A (K, K) table of counts. Raises ValueError where more rows are labelled than `of` counts."""
    table = np.asarray(cells)
    if table.ndim != 2 or table.shape[0] != table.shape[1] or (table < 0).any():
        raise ValueError(f"a confusion matrix must be square with no count below 0, got shape {table.shape}")
    if of is None:
        return table.astype(np.int64)
    counts = _counts(of)
    if table.shape[1] != len(counts):
        raise ValueError(f"labels have {table.shape[1]} predicted goals, the counts {len(counts)}; goals must agree")
    if (table.sum(axis=0) > counts).any():
        raise ValueError(f"{table.sum(axis=0).tolist()} labels of {counts.tolist()} rows: labelled rows are among them")
    return table.astype(np.int64)
