"""StratifiedDetector: one stream whose responses come from several strata, each with a baseline of its own.

A response on goal x in stratum s is held against the baseline of s, so that a change of the mix of strata is no
evidence, and a change within them is. With bets R on "everything changes" and R_s on "only stratum s changes",

    M = (1/2) sum_g w_g R_g + (1/2) sum_s v_s sum_g w_g R_sg,

where R grows with every response and R_s with those of s. Run length: each response adds 1 to R and to one R_s, so that
with v_s = 1 M_t - t is a martingale however many strata there are. Lifetime: v_s = 1 / (j (j + 1)) for the j-th
stratum to be seen, which sums to 1. Both need strata that are what they are whatever the model says.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike

from ethostat.maths.detector import Reading
from ethostat.maths.estimate import Estimate
from ethostat.maths.evidence.baseline import Baseline, Known, Learned, learning_stops
from ethostat.maths.evidence.changepoint import place_of_change
from ethostat.maths.evidence.portfolio import portfolio_for
from ethostat.maths.evidence.profiles import ProfileDetector, mixed
from ethostat.maths.evidence.promise import Promise, RunLength, log_level, promise_from_dict


class StratifiedDetector:
    """A portfolio of changes against a baseline for each stratum.

    A stratum without one learns it from its own responses. `misaligned` (K,) flags the goals whose rise is bad news.
    With one stratum it is a `ProfileDetector`, to the last bit.
    """

    name = "stratified"

    def __init__(
        self, misaligned: Sequence[bool], baselines: Mapping[str, Baseline], promise: Promise | None = None
    ) -> None:
        self.misaligned = tuple(bool(flag) for flag in misaligned)
        self.goals = len(self.misaligned)
        self.promise = promise or RunLength()
        self._parts: dict[str, ProfileDetector] = {}
        self._baselines = dict(baselines)
        for stratum, baseline in self._baselines.items():
            self._parts[stratum] = self._part(baseline)
        # Only its wealth is used: factors come from the strata.
        even = (1 / self.goals,) * self.goals
        self._all = ProfileDetector(portfolio_for(even, self.misaligned), Known(even), self.promise)

    @property
    def strata(self) -> tuple[str, ...]:
        """The strata, in the order in which they were first named."""
        return tuple(self._parts)

    @property
    def responses(self) -> int:
        """Responses since the evidence began."""
        return self._all.responses

    @property
    def total(self) -> float:
        """M."""
        weights = self._weights()
        own = sum(weight * part.total for weight, part in zip(weights, self._parts.values(), strict=True))
        left = 0.0 if isinstance(self.promise, RunLength) else 1 - sum(weights)
        return 0.5 * self._all.total + 0.5 * (own + left)

    @property
    def reading(self) -> Reading:
        """Where it stands: log M against its level, nats."""
        total = self.total
        evidence = math.log(total) if total > 0 else -math.inf
        return Reading(evidence, log_level(self.promise), total >= self.promise.level)

    @property
    def log_e_value(self) -> float:
        """Log of an e-value of "nothing changed so far", nats, on the terms of `EDetector.log_e_value`."""
        if isinstance(self.promise, RunLength):
            return self.reading.evidence - math.log(self.responses) if self.responses else 0.0
        return self.reading.evidence

    def update(self, label: int, stratum: str) -> Reading:
        """One response on this goal in this stratum. Raises ValueError for a label that is not 0 to K - 1."""
        part = self._of(stratum)
        if not 0 <= label < self.goals:
            raise ValueError(f"a label must be 0 to {self.goals - 1}, got {label}")
        self._all._advance(part.factors_of(label), 1)
        part.update(label)
        return self.reading

    def update_soft(self, probabilities: ArrayLike, stratum: str) -> Reading:
        """One response with the probabilities (K,) of its goals."""
        part, row = self._of(stratum), np.asarray(probabilities, dtype=np.float64)
        factors = mixed([part.factors_of(goal) for goal in range(self.goals)], row)
        part.update_soft(row)
        self._all._advance(factors, 1)
        return self.reading

    def part(self, stratum: str) -> ProfileDetector | None:
        """What watches one stratum; None where it was not seen."""
        return self._parts.get(stratum)

    def change_point(self, labels: ArrayLike, strata: Sequence[str], *, level: float = 0.95) -> Estimate:
        """`change_point` of responses with these strata (n,)."""
        seen = np.asarray(labels, dtype=np.int64)
        if not len(seen):
            return Estimate.undefined("there are no labels to look back on", level=level, unit="responses", n=0)
        log_table = {
            name: np.log(np.stack([self._of(name).factors_of(goal) for goal in range(self.goals)]))
            for name in dict.fromkeys(strata)
        }
        logs = np.stack([log_table[name][label] for name, label in zip(strata, seen.tolist(), strict=True)])
        stakes = np.log(self._all.stakes)
        weight = np.logaddexp.reduce(np.cumsum(logs[::-1], axis=0)[::-1] + stakes, axis=1)
        names = np.array(strata, dtype=object)
        for name in log_table:
            mine = names == name
            own = np.cumsum(logs[mine][::-1], axis=0)[::-1] + stakes
            weight[mine] = np.logaddexp(weight[mine], np.logaddexp.reduce(own, axis=1))
        return place_of_change(weight, level=level)

    def reset(self) -> None:
        """Forget all evidence, and what was learned since the baselines, unless learning had stopped."""
        for detector in (self._all, *self._parts.values()):
            detector.reset()

    def to_dict(self) -> dict[str, Any]:
        """Settings and state in plain values, exact in JSON."""
        return {
            "name": self.name,
            "misaligned": list(self.misaligned),
            "promise": self.promise.to_dict(),
            "baselines": {name: baseline.to_dict() for name, baseline in self._baselines.items()},
            "all": self._all.to_dict(),
            "parts": {name: part.to_dict() for name, part in self._parts.items()},
        }

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> Self:
        """The inverse of `to_dict`."""
        detector = cls(fields["misaligned"], {}, promise_from_dict(fields["promise"]))
        detector._all = ProfileDetector.from_dict(fields["all"])
        detector._parts = {name: ProfileDetector.from_dict(part) for name, part in fields["parts"].items()}
        detector._baselines = {
            name: part.baseline for name, part in detector._parts.items() if name in fields["baselines"]
        }
        return detector

    def _weights(self) -> list[float]:
        """v of each stratum."""
        if isinstance(self.promise, RunLength):
            return [1.0] * len(self._parts)
        return [1 / (place * (place + 1)) for place in range(1, len(self._parts) + 1)]

    def _of(self, stratum: str) -> ProfileDetector:
        if stratum not in self._parts:
            self._parts[stratum] = self._part(Learned((0.0,) * self.goals, learning_stops(self.promise)))
        return self._parts[stratum]

    def _part(self, baseline: Baseline) -> ProfileDetector:
        size = baseline.shares if isinstance(baseline, Known) else baseline.counts
        return ProfileDetector(portfolio_for(size, self.misaligned), baseline, self.promise)
