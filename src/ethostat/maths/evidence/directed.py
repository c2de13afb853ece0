"""DirectedDetector: one share rises above a bound. Its promise holds for any law within the bound, dependence included.

Factors (1 - m) + m b / bound for b in [0, 1]: whether a response is flagged, the probability that it is, or a session's
mean; with m for which the odds of a flagged response are 2, 4 and 10 times those at the bound. They are at most 1 on
average wherever b is at most the bound on average given the past, which is all that the promise needs: neither the
other goals' shares nor independence matter.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import beta

from ethostat.maths.detector import Floats, Reading, check_counts
from ethostat.maths.evidence.edetector import EDetector
from ethostat.maths.evidence.portfolio import ODDS_OF_STRAY
from ethostat.maths.evidence.promise import Promise, RunLength, promise_from_dict


class DirectedDetector(EDetector):
    """The share of flagged goals rises above `bound`.

    Flag the misaligned goals for "aligned mass falls", the worst alone for "this one rises", all but the usual goal for
    "the usual gives way". Three numbers of state.
    """

    name = "directed"

    def __init__(self, flagged: Sequence[bool], bound: float, promise: Promise | None = None) -> None:
        if not 0 < bound < 1 or not 0 < sum(map(bool, flagged)) < len(flagged):
            raise ValueError(
                f"some goals, not all, must be flagged, and the bound between 0 and 1; got {flagged}, {bound}"
            )
        raised = np.array(ODDS_OF_STRAY) - 1
        self._sizes = raised * bound / (1 + raised * bound)
        super().__init__(len(flagged), np.full(len(raised), 1 / len(raised)), promise or RunLength())
        self.flagged = tuple(bool(flag) for flag in flagged)
        self.bound = float(bound)
        self._flags = np.array(flagged, dtype=np.float64)
        self._of_flag = [self._of_share(0.0), self._of_share(1.0)]

    def update(self, label: int) -> Reading:
        self._check_label(label)
        return self._advance(self._of_flag[self.flagged[label]], 1)

    def to_dict(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "flagged": list(self.flagged),
            "bound": self.bound,
            "promise": self.promise.to_dict(),
            "state": self._state(),
        }

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> Self:
        detector = cls(fields["flagged"], fields["bound"], promise_from_dict(fields["promise"]))
        detector._restore(fields["state"])
        return detector

    def _factors(self, row: Floats) -> Floats:
        return self.of_shares(row)

    def of_shares(self, rows: Floats) -> Floats:
        """The factors (3,) or (n, 3) of probabilities (K,) or (n, K)."""
        share = rows[..., 0, None] * self._flags[0]
        for goal in range(1, self.goals):
            share = share + rows[..., goal, None] * self._flags[goal]
        return self._of_share(np.minimum(share, 1.0))

    def _of_share(self, share: float | Floats) -> Floats:
        return np.asarray(self._sizes * share / self.bound + (1 - self._sizes))


def upper_bound(counts: ArrayLike, flagged: Sequence[bool], *, confidence: float = 0.95) -> float:
    """The largest share of flagged goals that counts (K,) of independent labels allow, at this confidence.

    The promise of a detector with this bound holds wherever the bound does. Source: Clopper and Pearson 1934.

    >>> round(upper_bound((97, 1, 2), (False, True, True)), 4)  # 3 of 100, one-sided
    0.0757
    """
    row = check_counts(counts, len(flagged))
    hits, n = int(row[np.array(flagged, dtype=bool)].sum()), int(row.sum())
    return 1.0 if hits == n else float(beta.ppf(confidence, hits + 1, n - hits))


def session_bound(means: ArrayLike, *, confidence: float = 0.95) -> float:
    """The largest mean of flagged shares that sessions' means (J,) in [0, 1] allow, at this confidence.

    Each session is one observation, whatever its responses have to do with each other. A bet against every larger mean:
    those that would have multiplied the stake by 1 / (1 - confidence) are excluded.
    Source: Waudby-Smith and Ramdas 2024, Estimating means of bounded random variables by betting.
    """
    seen = np.asarray(means, dtype=np.float64)
    if seen.ndim != 1 or len(seen) == 0 or seen.min() < 0 or seen.max() > 1:
        raise ValueError(f"session means must be numbers between 0 and 1, got {means!r}")
    stakes = np.array([0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 0.95])[:, None]
    low, high = float(seen.mean()), 1.0
    for _ in range(50):
        middle = (low + high) / 2
        log_worth = np.log1p(stakes * (middle - seen)).sum(axis=1)
        is_excluded = np.logaddexp.reduce(log_worth) - np.log(len(stakes)) >= -np.log(1 - confidence)
        low, high = (low, middle) if is_excluded else (middle, high)
    return high
