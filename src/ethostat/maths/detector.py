"""Detector: what watches a stream of labels and says when to alarm. Every detector keeps this one protocol."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]


class Reading(NamedTuple):
    """What a detector says after an update: its evidence, the threshold that is held against it, whether it alarms.

    The unit is the detector's own: nats of log evidence for e-detectors, CUSUM and GLR, nats of S for rules on entropy.
    """

    evidence: float
    threshold: float
    alarm: bool


class Detector(ABC):
    """Watches one stream over K goals.

    It never resets itself: a reading stays in alarm while the evidence does. `reset` begins anew after an alarm was
    dealt with. `to_dict` holds settings and state; `from_dict` of it goes on exactly where the other stopped.
    """

    name: ClassVar[str]
    goals: int

    def __init__(self, goals: int) -> None:
        self.goals = goals
        self.responses = 0

    @property
    @abstractmethod
    def reading(self) -> Reading:
        """Where it stands, without an update."""

    @abstractmethod
    def update(self, label: int) -> Reading:
        """One response on this goal. Raises ValueError for a label that is not 0 to K - 1."""

    @abstractmethod
    def update_soft(self, probabilities: ArrayLike) -> Reading:
        """One response with the probabilities (K,) of its goals; a one-hot row is a label, to the last bit."""

    def update_counts(self, counts: ArrayLike) -> Reading:
        """Independent responses of one step by goal, (K,) whole numbers, their order unknown.

        They are taken in an order drawn from the number of responses seen so far: the same after a restart, and
        independent of the labels, so that every promise holds as though the order were known.
        """
        row = check_counts(counts, self.goals)
        labels = np.repeat(np.arange(self.goals), row)
        for label in np.random.default_rng(self.responses).permutation(labels).tolist():
            self.update(label)
        return self.reading

    def run(self, labels: ArrayLike) -> Floats:
        """Update with labels (n,) in order; the evidence after each, (n,)."""
        return np.array([self.update(label).evidence for label in np.asarray(labels, dtype=np.int64).tolist()])

    def first_alarm(self, labels: ArrayLike) -> int | None:
        """Update with labels (n,) until one alarms: its place, or None. The labels after it are not seen."""
        for place, label in enumerate(np.asarray(labels, dtype=np.int64).tolist()):
            if self.update(label).alarm:
                return place
        return None

    @abstractmethod
    def reset(self) -> None:
        """Forget all evidence, as after an alarm."""

    @abstractmethod
    def to_dict(self) -> dict[str, Any]:
        """Settings and state in plain values, exact in JSON."""

    @classmethod
    @abstractmethod
    def from_dict(cls, fields: dict[str, Any]) -> Self:
        """The inverse of `to_dict`."""

    def copy(self) -> Self:
        """A detector in the same state that goes its own way."""
        return self.from_dict(self.to_dict())

    def _check_label(self, label: int) -> None:
        if not 0 <= label < self.goals:
            raise ValueError(f"a label must be 0 to {self.goals - 1}, got {label}")


def check_shares(shares: ArrayLike, goals: int | None = None, *, above_zero: bool = False) -> Floats:
    """Shares (K,) as floats. Raises ValueError where they are no distribution over K goals."""
    row = np.asarray(shares, dtype=np.float64)
    if row.ndim != 1 or len(row) < 2 or (goals is not None and len(row) != goals):
        raise ValueError(f"there must be one share for each of {goals or 'at least 2'} goals, got shape {row.shape}")
    if not ((row >= 0).all() and abs(row.sum() - 1) <= 1e-6):
        raise ValueError(f"shares must be at least 0 and sum to 1, got {row.tolist()}")
    if above_zero and row.min() < 1e-9:
        raise ValueError(
            f"a known baseline needs every share above 1e-9, got {row.tolist()}; learn it from counts instead"
        )
    return row


def check_counts(counts: ArrayLike, goals: int) -> NDArray[np.int64]:
    """Counts (K,) as whole numbers. Raises ValueError where they are not, or all of them are 0."""
    row = np.asarray(counts)
    if row.shape != (goals,) or not (np.array_equal(row, np.round(row)) and (row >= 0).all() and row.sum() > 0):
        raise ValueError(f"counts must be {goals} whole numbers, none below 0 and not all 0; got {row.tolist()}")
    return row.astype(np.int64)
