"""Calibration: does a confusion matrix that was measured elsewhere still hold for these rows?

P(said | true) outlives a change of the goals' shares, but not a change of the texts: after a drift the classifier may
err differently, and a correction that uses the old matrix is then wrong without looking wrong.
Sources: Wilks 1938 (likelihood ratio); Dempster, Laird and Rubin 1977 (EM); Davison and Hinkley 1997, section 4.2
(Monte-Carlo tests with one added).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import xlogy

Floats = NDArray[np.float64]

SIMULATIONS = 499
_ROUNDS, _MOST_TURNS = 100, 60
_SLACK = 0.01  # of a statistic: less is what EM has left to climb, not evidence
_TINY = 1e-9


@dataclass(frozen=True, slots=True)
class CalibrationFit:
    """Twice the log likelihood ratio, and the share of simulations (one added) in which it was at least as large."""

    statistic: float
    p_value: float


def calibration_fit(
    said: ArrayLike,
    labels: ArrayLike,
    calibration: ArrayLike,
    *,
    rng: np.random.Generator,
    simulations: int = SIMULATIONS,
) -> CalibrationFit:
    """Tests that the classifier errs on these rows as on the calibration's, given the true goal, whatever the shares.

    `said` (K,) counts these rows by predicted goal, `labels` (K, K) the labelled ones among them and `calibration`
    (K, K) the calibration's, truth down, predicted goal across; labels are a random choice within each predicted
    goal. Without labels (zeros) it asks only whether any shares could give these verdicts, that is, whether they lie
    within the rows of the matrix: most changes of the errors stay unseen then. Rows are taken as independent; where
    rows of a prompt are misjudged alike, p is too small.
    """
    window = _Window(*(np.asarray(cells, dtype=np.float64)[None] for cells in (said, labels, calibration)))
    statistic, shares, confusion = window.fit()
    found = float(statistic[0])
    if found < _SLACK:
        return CalibrationFit(max(found, 0.0), 1.0)
    others = window.simulated(shares[0], confusion[0], simulations, rng)
    as_large = others.fit()[0] >= found - _SLACK
    return CalibrationFit(found, float((1 + as_large.sum()) / (1 + simulations)))


@dataclass(frozen=True, slots=True)
class _Window:
    """Counts of B windows: said (B, K), labels (B, K, K), calibration (B, K, K)."""

    said: Floats
    labels: Floats
    calibration: Floats

    def fit(self) -> tuple[Floats, Floats, Floats]:
        """Statistic (B,), shares (B, K) and confusion matrix (B, K, K) of the largest likelihood, one matrix for both.

        EM climbs slowly where the classifier errs much: windows that still gain are carried on until they do not.
        """
        goals = self.said.shape[1]
        shares, confusion = (
            np.full(self.said.shape, 1 / goals),
            _rows_to_one(self.calibration + self.labels + 1 / goals),
        )
        statistic = np.full(len(shares), np.inf)
        moving = np.arange(len(shares))
        for _ in range(_MOST_TURNS):
            part = _Window(self.said[moving], self.labels[moving], self.calibration[moving])
            shares[moving], confusion[moving] = part.climbed(shares[moving], confusion[moving])
            before = statistic[moving]
            statistic[moving] = part.statistic(shares[moving], confusion[moving])
            moving = moving[before - statistic[moving] > _SLACK / 10]
            if not len(moving):
                break
        return statistic, shares, confusion

    def climbed(self, shares: Floats, confusion: Floats) -> tuple[Floats, Floats]:
        """100 rounds of EM further."""
        known = self.calibration + self.labels
        unlabelled = (self.said - self.labels.sum(axis=1))[:, None, :]
        for _ in range(_ROUNDS):
            joint = shares[:, :, None] * confusion
            hidden = joint / joint.sum(axis=1, keepdims=True) * unlabelled
            confusion = _rows_to_one(known + hidden + _TINY)
            shares = _rows_to_one((self.labels + hidden).sum(axis=2) + _TINY)
        return shares, confusion

    def statistic(self, shares: Floats, confusion: Floats) -> Floats:
        """Twice the log likelihood that is lost by one matrix for both sets, (B,)."""
        joint = shares[:, :, None] * confusion
        unlabelled = self.said - self.labels.sum(axis=1)
        together = xlogy(self.calibration, confusion).sum(axis=(1, 2)) + xlogy(self.labels, joint).sum(axis=(1, 2))
        together += xlogy(unlabelled, joint.sum(axis=1)).sum(axis=1)
        apart = _largest(self.calibration, axis=2) + _largest(self.labels, axis=1)
        apart += _largest(self.said[:, None, :], axis=2)
        return np.asarray(2 * (apart - together))

    def simulated(self, shares: Floats, confusion: Floats, times: int, rng: np.random.Generator) -> _Window:
        """Windows as they would be if one matrix served both: as many rows, and labels of each predicted goal."""
        joint = shares[:, None] * confusion
        said = rng.multinomial(int(self.said[0].sum()), joint.sum(axis=0) / joint.sum(), times)
        wanted = np.minimum(self.labels[0].sum(axis=0).astype(np.int64), said)
        labels = rng.multinomial(wanted, (joint / joint.sum(axis=0)).T).swapaxes(1, 2)
        sizes = self.calibration[0].sum(axis=1).astype(np.int64)
        calibration = rng.multinomial(np.broadcast_to(sizes, (times, len(sizes))), confusion)
        return _Window(*(cells.astype(np.float64) for cells in (said, labels, calibration)))


def _rows_to_one(cells: Floats) -> Floats:
    return np.asarray(cells / cells.sum(axis=-1, keepdims=True))


def _largest(cells: Floats, *, axis: int) -> Floats:
    """The largest log likelihood of counts (B, K, K), each distribution running along `axis`."""
    return np.asarray((xlogy(cells, cells).sum(axis=axis) - xlogy(s := cells.sum(axis=axis), s)).sum(axis=1))
