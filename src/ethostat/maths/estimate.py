"""Estimate: a number that never travels without its interval, level, size, unit and method."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Estimate:
    """A value with its interval.

    `level` is the interval's nominal coverage; `unit` is "nats", "bits", "share", "coefficient" (a kappa or a
    correlation), "nats/step" or "steps"; `n` is the number of responses behind it; `method` names estimator and
    interval. An undefined estimate is nan throughout and its method says why.
    """

    value: float
    low: float
    high: float
    level: float
    unit: str
    n: int
    method: str

    @classmethod
    def undefined(cls, reason: str, *, level: float, unit: str, n: int) -> Estimate:
        """An estimate that the evidence does not determine; `reason` is a sentence."""
        return cls(math.nan, math.nan, math.nan, level, unit, n, f"undefined: {reason}")

    @property
    def is_defined(self) -> bool:
        """Whether the value is a number."""
        return not math.isnan(self.value)

    @property
    def half_width(self) -> float:
        """Half of the interval's width, in the estimate's unit."""
        return (self.high - self.low) / 2

    def __str__(self) -> str:
        if not self.is_defined:
            return self.method
        unit = "" if self.unit == "share" else f" {self.unit}"
        value, low, high = (f"{number:.{self.decimals}f}" for number in (self.value, self.low, self.high))
        return f"{value}{unit} [{low}, {high}] {self.level:.0%}, n={self.n}"

    @property
    def decimals(self) -> int:
        """How many to show: three; of a rate so many that its interval shows two digits, since it may be small."""
        width = self.half_width
        if not self.unit.endswith("/step") or not 0 < width < 1:
            return 3
        return max(3, 1 - math.floor(math.log10(width)))

    def to_dict(self) -> dict[str, Any]:
        """Plain values; what is not a number becomes None, as JSON has no nan."""
        return {key: None if isinstance(x, float) and math.isnan(x) else x for key, x in asdict(self).items()}

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> Estimate:
        """The inverse of `to_dict`."""
        numbers = {key: math.nan if fields[key] is None else float(fields[key]) for key in ("value", "low", "high")}
        return cls(**numbers, level=fields["level"], unit=fields["unit"], n=fields["n"], method=fields["method"])
