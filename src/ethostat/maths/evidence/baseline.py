"""Baseline: the profile that a stream is held against, known or learned; and whether what was learned is still it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import xlogy

from ethostat.maths.detector import Floats, check_shares
from ethostat.maths.evidence.promise import Promise, RunLength
from ethostat.maths.profile import JEFFREYS

FREEZE_AT = 5000
"""Labels, the baseline's and the stream's, after which learning stops, so that slow drift is not taken in."""


def learning_stops(promise: Promise) -> float | None:
    """Labels after which learning has to stop so that a promise is kept: 5,000, or half of a longer run length.

    What is wrong when learning stops stays wrong, and evidence adds up against it for as long as the promise lasts. A
    lifetime has no end, so under it learning goes on (None) and slow drift is taken in.
    """
    return max(FREEZE_AT, promise.responses / 2) if isinstance(promise, RunLength) else None


@dataclass(frozen=True, slots=True)
class Known:
    """Shares (K,) that are known, each above 0. From fewer than about 5,000 labels use `Learned`: shares estimated from
    200 and taken as known bring false alarms five times as often as promised.
    """

    shares: tuple[float, ...]

    def __post_init__(self) -> None:
        check_shares(self.shares, above_zero=True)

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {"kind": "known", "shares": list(self.shares)}


@dataclass(frozen=True, slots=True)
class Learned:
    """Counts (K,) of labels that are taken as normal; the stream adds its own until there are `freeze_at` in all.

    All counts may be 0: then the stream alone teaches. With `freeze_at` None it teaches for ever: the promise then
    stays a theorem, and slow drift is taken in. Baselines add up. A session counts as one label.
    """

    counts: tuple[float, ...]
    freeze_at: float | None = FREEZE_AT

    def __post_init__(self) -> None:
        if len(self.counts) < 2 or not all(0 <= count < math.inf for count in self.counts):
            raise ValueError(f"a baseline needs 2 or more counts, none below 0; got {self.counts}")

    @property
    def most(self) -> float:
        """Labels after which learning stops."""
        return math.inf if self.freeze_at is None else self.freeze_at

    def __add__(self, other: Learned) -> Learned:
        return Learned(tuple(a + b for a, b in zip(self.counts, other.counts, strict=True)), self.freeze_at)

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {"kind": "learned", "counts": list(self.counts), "freeze_at": self.freeze_at}


Baseline = Known | Learned


def baseline_from_dict(fields: dict[str, Any]) -> Baseline:
    """The inverse of `to_dict`."""
    if fields.get("kind") == "known":
        return Known(tuple(fields["shares"]))
    if fields.get("kind") == "learned":
        return Learned(tuple(fields["counts"]), fields["freeze_at"])
    raise ValueError(f"a baseline must be known or learned, got {fields.get('kind')!r}")


def predictive(counts: Floats) -> Floats:
    """Probabilities of the next label after counts (..., K), under Jeffreys' prior; every one above 0."""
    shares = counts + JEFFREYS
    shares /= np.add.reduce(counts, axis=-1, keepdims=True) + JEFFREYS * counts.shape[-1]
    return shares


def same_profile_p_value(
    first: Sequence[float] | ArrayLike,
    second: Sequence[float] | ArrayLike,
    rng: np.random.Generator,
    *,
    draws: int = 2000,
) -> float:
    """p-value of two profiles of counts (K,) being drawn from one law: G test, by drawing tables of these margins.

    Hold a learning detector's `baseline.counts` against what it `learned` now and then: drift that is too slow for the
    evidence shows here. Source: Agresti 2013, Categorical Data Analysis, 3.5; Phipson and Smyth 2010 (the 1 added).
    """
    a, b = (np.round(np.asarray(counts, dtype=np.float64)).astype(np.int64) for counts in (first, second))
    if a.shape != b.shape or a.ndim != 1 or min(a.sum(), b.sum()) == 0:
        raise ValueError(
            f"two profiles of as many goals, neither empty, are compared; got {a.tolist()} and {b.tolist()}"
        )
    both = a + b

    def statistic(part: Any) -> Any:
        return (xlogy(part, part) + xlogy(both - part, both - part)).sum(axis=-1)

    drawn = rng.multivariate_hypergeometric(both, int(a.sum()), size=draws)
    as_large = statistic(drawn) >= statistic(a) - 1e-9
    return float((1 + as_large.sum()) / (1 + draws))
