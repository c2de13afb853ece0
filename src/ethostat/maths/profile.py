"""Profile: counts over goals, the primary measurement. Profiles add up."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

JEFFREYS = 0.5


@dataclass(frozen=True, slots=True)
class Profile:
    """How many responses fell on each of K goals, in the taxonomy's order.

    >>> (Profile((80, 10, 10)) + Profile((0, 1, 0))).counts
    (80, 11, 10)
    """

    counts: tuple[int, ...]

    def __post_init__(self) -> None:
        if len(self.counts) < 2 or any(count < 0 for count in self.counts):
            raise ValueError(f"a profile needs 2 or more counts, none below 0; got {self.counts}")

    @classmethod
    def from_array(cls, counts: ArrayLike) -> Profile:
        """From K whole numbers. Raises ValueError where they are not whole."""
        array = np.asarray(counts)
        if array.ndim != 1 or not np.array_equal(array, np.round(array)):
            raise ValueError(f"counts must be one row of whole numbers, got {array!r}")
        return cls(tuple(int(count) for count in array))

    @property
    def n(self) -> int:
        """Number of responses."""
        return sum(self.counts)

    def array(self) -> NDArray[np.int64]:
        """The counts, shape (K,)."""
        return np.array(self.counts, dtype=np.int64)

    def shares(self) -> NDArray[np.float64]:
        """The proportions, shape (K,), summing to 1; nan where there is no response."""
        with np.errstate(invalid="ignore"):
            return np.asarray(self.array() / np.float64(self.n))

    def draws(self, size: int, rng: np.random.Generator, *, prior: float = JEFFREYS) -> NDArray[np.float64]:
        """Posterior draws of the proportions under a Dirichlet(prior, ...) law, shape (size, K)."""
        return rng.dirichlet(self.array() + prior, size)

    def __add__(self, other: Profile) -> Profile:
        if len(self.counts) != len(other.counts):
            raise ValueError(f"profiles of {len(self.counts)} and {len(other.counts)} goals cannot be added")
        return Profile(tuple(a + b for a, b in zip(self.counts, other.counts, strict=True)))
