"""ProfileDetector: the default detector. It notices any change of the profile, entropy-preserving ones included."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike

from ethostat.maths.detector import Floats, Reading, check_shares
from ethostat.maths.evidence.baseline import Baseline, Known, Learned, baseline_from_dict, predictive
from ethostat.maths.evidence.edetector import EDetector
from ethostat.maths.evidence.portfolio import Portfolio, total_of
from ethostat.maths.evidence.promise import Promise, RunLength, promise_from_dict
from ethostat.maths.profile import JEFFREYS


class ProfileDetector(EDetector):
    """A portfolio of changes against a baseline.

    With a `Known` baseline the promise is a theorem. With a `Learned` one the factors rest on the posterior predictive
    of all labels so far, and the promise is a theorem on average over baselines that such counts speak for; once
    learning has stopped it is approximate. Soft verdicts need probabilities that are calibrated where the goals' shares
    are those of the baseline (on average they must be the baseline); a learned baseline then learns fractions, and the
    promise is approximate.
    """

    name = "profile"

    def __init__(self, portfolio: Portfolio, baseline: Baseline, promise: Promise | None = None) -> None:
        size = len(baseline.shares if isinstance(baseline, Known) else baseline.counts)
        if size != portfolio.goals:
            raise ValueError(f"a baseline of {size} goals and a portfolio of {portfolio.goals} do not fit together")
        super().__init__(portfolio.goals, portfolio.stakes, promise or RunLength())
        self.portfolio = portfolio
        self.baseline = baseline
        self._most = baseline.most if isinstance(baseline, Learned) else 0.0
        self._learned: list[float] | None = None
        self._table: tuple[Floats, ...] | None = None
        self._set_learned(baseline.counts if isinstance(baseline, Learned) else None)

    @property
    def is_learning(self) -> bool:
        """Whether the baseline still takes labels in."""
        return self._table is None

    @property
    def shares(self) -> Floats:
        """The baseline as it stands, (K,)."""
        if self._learned is None:
            assert isinstance(self.baseline, Known)  # noqa: S101
            return np.array(self.baseline.shares, dtype=np.float64)
        return predictive(np.array(self._learned))

    @property
    def learned(self) -> Floats:
        """Counts (K,) that the stream has added to the baseline's own, which stay as they were."""
        if self._learned is None or isinstance(self.baseline, Known):
            return np.zeros(self.goals)
        return np.asarray(np.array(self._learned) - np.array(self.baseline.counts))

    @property
    def taught(self) -> Floats | None:
        """Counts (K,) behind a learned baseline: its own and the stream's."""
        return None if self._learned is None else np.array(self._learned)

    def update(self, label: int) -> Reading:
        self._check_label(label)
        if self._table is not None:
            return self._advance(self._table[label], 1)
        learned = self._learned
        assert learned is not None  # noqa: S101
        reading = self._advance(self.portfolio.factors(label, [count + JEFFREYS for count in learned]), 1)
        learned[label] += 1
        self._stop_learning_in_time(learned)
        return reading

    def reset(self) -> None:
        """Forget all evidence, and what was learned since the baseline, unless learning had stopped."""
        super().reset()
        if self.is_learning and isinstance(self.baseline, Learned):
            self._set_learned(self.baseline.counts)

    def go_on(self, wealth: Floats, *, steps: int, responses: int, total: float, taught: Sequence[float]) -> None:
        """Stand where another in the same settings came to: its wealth (G,), M, and what taught its baseline (K,)."""
        self.wealth[:] = wealth
        self.steps, self.responses, self.total = steps, responses, total
        if self._table is None:
            self._set_learned(taught)

    def to_dict(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "portfolio": self.portfolio.to_dict(),
            "baseline": self.baseline.to_dict(),
            "promise": self.promise.to_dict(),
            "state": {**self._state(), "learned": None if self._learned is None else list(self._learned)},
        }

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> Self:
        detector = cls(
            Portfolio.from_dict(fields["portfolio"]),
            baseline_from_dict(fields["baseline"]),
            promise_from_dict(fields["promise"]),
        )
        detector._restore(fields["state"])
        detector._set_learned(fields["state"]["learned"])
        return detector

    def _factors(self, row: Floats) -> Floats:
        if self._table is not None:
            return mixed(self._table, row)
        assert self._learned is not None  # noqa: S101
        return mixed(tuple(self.portfolio.table([count + JEFFREYS for count in self._learned])), row)

    def _learn(self, row: Floats) -> None:
        if self.is_learning:
            assert self._learned is not None  # noqa: S101
            self._set_learned([count + part for count, part in zip(self._learned, row.tolist(), strict=True)])

    def _set_learned(self, counts: Sequence[float] | None) -> None:
        self._learned, self._table = None, None
        if counts is None:
            assert isinstance(self.baseline, Known)  # noqa: S101
            self._table = _table(self.portfolio, self.baseline.shares)
        else:
            self._learned = [float(count) for count in counts]
            self._stop_learning_in_time(self._learned)

    def _stop_learning_in_time(self, learned: list[float]) -> None:
        if total_of(learned) >= self._most:
            self._table = _table(self.portfolio, tuple(count + JEFFREYS for count in learned))

    def _check_mergeable(self, other: Self) -> None:
        if self.is_learning or other.is_learning or not np.array_equal(self.shares, other.shares):
            raise ValueError(
                "detectors merge where their baselines are equal and no longer learn; merge e-values instead"
            )


def mixed(factors: Sequence[Floats], rows: Floats) -> Floats:
    """Factors (G,) or (n, G) of each goal, weighted by probabilities (K,) or (n, K).

    Goal by goal, so that a one-hot row gives the factors of its label, and one row what many give, to the last bit.
    """
    out = factors[0] * rows[..., 0, None]
    for goal in range(1, rows.shape[-1]):
        out += factors[goal] * rows[..., goal, None]
    return np.asarray(out)


@lru_cache(maxsize=256)
def _table(portfolio: Portfolio, weights: tuple[float, ...]) -> tuple[Floats, ...]:
    """The factors of each goal; detectors with the same baseline share them."""
    rows = portfolio.table(weights)
    rows.flags.writeable = False
    return tuple(rows)


def soft_at(probabilities: ArrayLike, *, prior: ArrayLike, baseline: ArrayLike) -> Floats:
    """Probabilities (K,) that are calibrated where shares are `prior` (K,), moved to where shares are `baseline`."""
    row = check_shares(probabilities) * check_shares(baseline) / check_shares(prior, above_zero=True)
    return np.asarray(row / row.sum())
