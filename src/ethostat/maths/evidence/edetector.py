"""EDetector: evidence that adds up bets on many alternatives and many times of change.

With factors L_g(x), 1 on average while nothing changed, and stakes w_g that sum to 1,

    R_g <- (R_g + s) L_g(x),    M = sum_g w_g R_g,    alarm where M reaches its level.

Run length (s = 1, level h): M_t - t is a martingale, so the average run length is at least h, by optional stopping.
Lifetime (s_t summing to 1, level 1 / alpha): M_t plus the unspent weight is a martingale that starts at 1, so that the
chance of ever reaching 1 / alpha is at most alpha, by Ville's inequality.

`wealth` keeps w_g R_g, `total` M. It cannot underflow where s > 0: R_g is at least s times the smallest factor. Beyond
1e280 it saturates: all of it is scaled down, which only lowers the evidence, so that the promise holds and shares of
wealth are kept. Sources: Pollak 1985; Shin, Ramdas and Rinaldo 2024, doi 10.51387/23-NEJSDS51.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike

from ethostat.maths.detector import Detector, Floats, Reading, check_counts, check_shares
from ethostat.maths.evidence.promise import Promise, RunLength, log_level

MOST_WEALTH = 1e280
"""Where evidence saturates: 644.7 nats."""


class EDetector(Detector):
    """What e-detectors have in common. `stakes` (G,) are placed on alternatives under a `promise`."""

    def __init__(self, goals: int, stakes: Floats, promise: Promise) -> None:
        super().__init__(goals)
        self.promise = promise
        self.stakes = stakes
        self.wealth = np.zeros(len(stakes))
        self.steps = 0
        self._threshold = log_level(promise)
        self._level = promise.level
        self._is_run_length = isinstance(promise, RunLength)
        self.total = promise.unspent(0)

    @abstractmethod
    def _factors(self, row: Floats) -> Floats:
        """The factors (G,) of a response, or of a session's mean, that lies on goals in these shares (K,)."""

    def _learn(self, row: Floats) -> None:
        """Take a response into the baseline; most detectors do not."""

    def factors_of(self, label: int) -> Floats:
        """The factors (G,) of a response on this goal, as things stand."""
        return self._factors(np.eye(self.goals)[label])

    @property
    def evidence(self) -> float:
        """log M, nats; -inf before the first update of a run length."""
        return math.log(self.total) if self.total > 0 else -math.inf

    @property
    def reading(self) -> Reading:
        return Reading(self.evidence, self._threshold, self.total >= self._level)

    @property
    def log_e_value(self) -> float:
        """Log of an e-value of "nothing changed so far", nats.

        Under `Lifetime` it may be looked at any time; under `RunLength` only at a time fixed beforehand, where M / t
        has mean 1.
        """
        if self._is_run_length:
            return self.evidence - math.log(self.responses) if self.responses else 0.0
        return self.evidence

    def update_soft(self, probabilities: ArrayLike) -> Reading:
        row = check_shares(probabilities, self.goals)
        reading = self._advance(self._factors(row), 1)
        self._learn(row)
        return reading

    def update_session(self, counts: ArrayLike) -> Reading:
        """Responses of one session by goal, (K,) whole numbers, which may depend on each other in any way.

        The session's mean profile is one bet, however many responses it has. The promise holds where that mean is the
        baseline on average (or within its bound), given all sessions before and the session's size; a run length still
        counts responses. Source: Waudby-Smith and Ramdas 2024 (betting on bounded means).
        """
        whole = check_counts(counts, self.goals)
        size = int(whole.sum())
        return self.update_mean(whole / size, size)

    def update_mean(self, profile: ArrayLike, responses: int) -> Reading:
        """`update_session` from the mean (K,) of the session's verdicts, which may be probabilities, and its size."""
        row = check_shares(profile, self.goals)
        reading = self._advance(self._factors(row), responses)
        self._learn(row)
        return reading

    def _advance(self, factors: Floats, responses: int) -> Reading:
        wealth = self.wealth
        if self._is_run_length and responses == 1:
            wealth += self.stakes
        else:
            wealth += self.stakes * self.promise.start(self.steps, responses)
        wealth *= factors
        self.steps += 1
        self.responses += responses
        total = float(np.add.reduce(wealth))
        if total > MOST_WEALTH:
            wealth *= MOST_WEALTH / total
            total = float(np.add.reduce(wealth))
        if not self._is_run_length:
            total += self.promise.unspent(self.steps)
        self.total = total
        return Reading(math.log(total) if total > 0 else -math.inf, self._threshold, total >= self._level)

    def reset(self) -> None:
        self.wealth[:] = 0
        self.steps = self.responses = 0
        self.total = self.promise.unspent(0)

    def merged(self, other: Self) -> Self:
        """One detector from two that watched different parts of a stream, in the same settings; it watches all of it.

        M_a + M_b less the responses of both is a martingale where each response is within the baseline given all before
        it in either part, so that the run length holds for the whole. Raises ValueError for `Lifetime`, whose weights
        are spent by time (merge the e-values instead), and for a baseline that is still being learned.
        """
        mine, theirs = self.to_dict(), other.to_dict()
        if {**mine, "state": None} != {**theirs, "state": None}:
            raise ValueError("only detectors in the same settings can be merged")
        if not self._is_run_length:
            raise ValueError("detectors for a lifetime cannot be merged; merge their e-values, or choose a run length")
        self._check_mergeable(other)
        both = self.copy()
        both.wealth = self.wealth + other.wealth
        both.steps += other.steps
        both.responses += other.responses
        both.total = float(np.add.reduce(both.wealth))
        return both

    def _check_mergeable(self, other: Self) -> None:
        """Raises ValueError where the states do not add up; mostly they do."""

    def _state(self) -> dict[str, Any]:
        return {"steps": self.steps, "responses": self.responses, "wealth": self.wealth.tolist()}

    def _restore(self, state: dict[str, Any]) -> None:
        wealth = np.array(state["wealth"], dtype=np.float64)
        if wealth.shape != self.stakes.shape:
            raise ValueError(f"the state holds {wealth.size} alternatives, the settings {self.stakes.size}; begin anew")
        self.wealth, self.steps, self.responses = wealth, state["steps"], state["responses"]
        self.total = float(np.add.reduce(wealth))
        if not self._is_run_length:
            self.total += self.promise.unspent(self.steps)
