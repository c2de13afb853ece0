"""What an e-detector promises about false alarms, and how that weighs the times at which a change may begin."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Whole = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class RunLength:
    """At least this many responses, on average, until a false alarm. Each time of change has weight 1.

    10,000 still means a false alarm within 10,000 responses more often than not where the average is met exactly
    (63 %). For "hardly ever" use `Lifetime`.
    """

    responses: float = 10_000.0

    def __post_init__(self) -> None:
        if not 1 <= self.responses < 1e200:
            raise ValueError(f"a run length must be 1 to 1e200 responses, got {self.responses}")

    @property
    def level(self) -> float:
        """The evidence that alarms, not in logs."""
        return float(self.responses)

    def start(self, step: int, responses: int) -> float:
        """The weight of a change that begins with this step (from 0) of so many responses."""
        del step
        return float(responses)

    def unspent(self, steps: int) -> float:
        """The weight kept for changes after so many steps."""
        del steps
        return 0.0

    def starts(self, steps: Whole) -> Floats:
        """`start` of many streams, one response each."""
        return np.ones(steps.shape)

    def unspents(self, steps: Whole) -> Floats:
        """`unspent` of many streams."""
        return np.zeros(steps.shape)

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {"kind": "run-length", **asdict(self)}


@dataclass(frozen=True, slots=True)
class Lifetime:
    """At most this probability of ever giving a false alarm, however long the stream.

    A change at step t has weight 1 / (t (t + 1)), or 1 / horizon up to the horizon, whose delay does not grow with t; a
    change beyond the horizon is then hardly found.
    """

    alpha: float = 0.01
    horizon: int | None = None

    def __post_init__(self) -> None:
        if not 0 < self.alpha < 1:
            raise ValueError(f"alpha must be between 0 and 1, got {self.alpha}")
        if self.horizon is not None and self.horizon < 1:
            raise ValueError(f"a horizon must be at least 1 step, got {self.horizon}")

    @property
    def level(self) -> float:
        """The evidence that alarms, not in logs: Ville's inequality."""
        return 1 / self.alpha

    def start(self, step: int, responses: int) -> float:
        """The weight of a change that begins with this step (from 0)."""
        del responses
        if self.horizon is None:
            return 1 / ((step + 1) * (step + 2))
        return 1 / self.horizon if step < self.horizon else 0.0

    def unspent(self, steps: int) -> float:
        """The weight kept for changes after so many steps."""
        return 1 / (steps + 1) if self.horizon is None else max(0.0, 1 - steps / self.horizon)

    def starts(self, steps: Whole) -> Floats:
        """`start` of many streams, one response each."""
        if self.horizon is None:
            return np.asarray(1 / ((steps + 1) * (steps + 2)))
        return np.where(steps < self.horizon, 1 / self.horizon, 0.0)

    def unspents(self, steps: Whole) -> Floats:
        """`unspent` of many streams."""
        return np.asarray(1 / (steps + 1) if self.horizon is None else np.maximum(0.0, 1 - steps / self.horizon))

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {"kind": "lifetime", **asdict(self)}


Promise = RunLength | Lifetime


def promise_from_dict(fields: dict[str, Any]) -> Promise:
    """The inverse of `to_dict`."""
    kinds = {"run-length": RunLength, "lifetime": Lifetime}
    if fields.get("kind") not in kinds:
        raise ValueError(f"a promise must be one of {', '.join(kinds)}, got {fields.get('kind')!r}")
    made: Promise = kinds[fields["kind"]](**{key: value for key, value in fields.items() if key != "kind"})
    return made


def log_level(promise: Promise) -> float:
    """The threshold on the log scale, nats."""
    return math.log(promise.level)
