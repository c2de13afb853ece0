"""Screening: which of many streams changed, at times fixed beforehand, with few false ones among those named."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np

from ethostat.errors import InvalidInput
from ethostat.maths.evidence.evalues import e_benjamini_hochberg
from ethostat.visible import stripped

SCREENING = "screening"
_NAMED = 10


@dataclass(frozen=True, slots=True)
class Screening:
    """How many of the streams that a screening flags may be false, on average, and after how many responses it comes.

    Responses of all streams are counted; with `every` None it comes when it is asked for, which must not depend on
    what the responses were. Each screening keeps `rate` by itself: a stream may be flagged now and not the next time.
    """

    rate: float = 0.1
    every: int | None = None

    def __post_init__(self) -> None:
        if not 0 < self.rate < 1:
            raise InvalidInput(f"a rate of false discoveries must be between 0 and 1, got {self.rate}; 0.1 is usual")
        if self.every is not None and self.every < 1:
            raise InvalidInput(f"a screening must come after 1 response or more, got {self.every}")


@dataclass(frozen=True, slots=True)
class Flagged:
    """A stream that changed: its monitor, the responses it has had, log of the e-value that it did not change, nats."""

    monitor: str
    step: int
    log_e_value: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Screened:
    """Which of the streams changed: false ones are at most `rate` of the flagged on average, however they depend.

    `step` counts responses of all streams, `streams` those that were held against a baseline, `learning` those that
    have none yet. `time` is the latest of the responses' own. `id` is the same after a restart.
    """

    id: str
    time: str | None
    step: int
    monitor: str
    rate: float
    streams: int
    learning: int
    flagged: tuple[Flagged, ...]
    kind: str = SCREENING

    @property
    def promise(self) -> str:
        """What is promised, in words."""
        return (
            f"of the streams that a screening flags at most {self.rate:.0%} are false on average, whatever they have "
            "to do with each other; a theorem where the time of the screening does not depend on the responses"
        )

    @property
    def message(self) -> str:
        """One line, without control characters."""
        names = ", ".join(stripped(one.monitor, most=80) for one in self.flagged[:_NAMED])
        more = f" and {len(self.flagged) - _NAMED} more" if len(self.flagged) > _NAMED else ""
        found = f": {names}{more}" if self.flagged else ""
        return (
            f"screening: {stripped(self.monitor, most=80)}: {len(self.flagged)} of {self.streams} streams changed by "
            f"response {self.step}, false ones at most {self.rate:.0%} of them{found}"
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {**asdict(self), "promise": self.promise, "message": self.message}

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> Self:
        """The inverse of `to_dict`."""
        known = {name: value for name, value in fields.items() if name not in ("promise", "message", "flagged")}
        return cls(**known, flagged=tuple(Flagged(**one) for one in fields["flagged"]))


def discoveries(streams: list[Flagged], rate: float) -> tuple[Flagged, ...]:
    """Those of all streams that changed, the clearest first."""
    chosen = e_benjamini_hochberg(np.array([one.log_e_value for one in streams]), rate=rate)
    found = [one for one, is_chosen in zip(streams, chosen.tolist(), strict=True) if is_chosen]
    return tuple(sorted(found, key=lambda one: -one.log_e_value))
