"""Policy: when a monitor speaks besides the first alarm. Epoch: what verdicts depend on. And what time is."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from ethostat.errors import InvalidInput


@dataclass(frozen=True, slots=True)
class Policy:
    """When to speak besides the first alarm.

    `renotify`: again after so many responses while an alert stands and nobody acknowledged it. `silence`: seconds
    without a response that count as no data; `Monitor.tick` says what time it is. `warn`: also say when the evidence
    is within a factor of ten of the alarm, about ten times as often as pages, without a promise. `relearn`: the
    responses that a new epoch learns its baseline from where the old one no longer speaks of the same verdicts.
    """

    renotify: int | None = None
    silence: float | None = None
    warn: bool = True
    relearn: int = 500

    def __post_init__(self) -> None:
        for name, value in (("renotify", self.renotify), ("silence", self.silence), ("relearn", self.relearn)):
            if value is not None and not value > 0:
                raise InvalidInput(f"{name} must be above 0, got {value}; leave it out to have none")


@dataclass(frozen=True, slots=True)
class Epoch:
    """A stretch in which verdicts mean the same: its number from 0, the step it began after, and what it depends on."""

    number: int = 0
    began: int = 0
    classifier: str | None = None
    version: str | None = None


def seconds(time: str | None) -> float | None:
    """Seconds since 1970 of an ISO 8601 time, UTC where it names no zone. Raises InvalidInput where it is none."""
    if time is None:
        return None
    try:
        found = datetime.fromisoformat(time)
        return (found if found.tzinfo else datetime.fromisoformat(time + "+00:00")).timestamp()
    except (ValueError, OverflowError) as error:
        raise InvalidInput(f"a time must be ISO 8601, as 2026-03-01T12:00:00Z, got {time[:40]!r}") from error
