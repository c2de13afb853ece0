"""Looking: which responses a stream's page shows, by count, by time, or around one of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ethostat.ledger import Ledger, Position
from ethostat.ledger.courses import bucket_width, event_before, event_since, judged_after

SPANS = (1_000, 10_000, 100_000)
"""How many responses."""
HOURS = {1: "hour", 24: "day", 168: "week"}
"""Or of how many hours."""
_MOST_EVENTS = 200_000


@dataclass(frozen=True, slots=True)
class View:
    """What was asked for: `span` responses, or those of the last `hours`; `at` is the response in the middle."""

    span: int = SPANS[1]
    hours: int | None = None
    at: int | None = None

    @classmethod
    def of(cls, asked: Mapping[str, str]) -> View:
        """From a query; what it does not say, or says wrongly, is as by default."""
        last, hours, at = (_whole(asked.get(name, "")) for name in ("last", "hours", "at"))
        span = last if last in SPANS else SPANS[1]
        if at is not None:
            return cls(span, None, at)
        return cls(span, hours if hours in HOURS else None)

    def query(self) -> dict[str, int | None]:
        """The query that asks for it."""
        return {"last": None if self.hours else self.span, "hours": self.hours, "at": self.at}


@dataclass(frozen=True, slots=True)
class Window:
    """`events` events up to number `cursor`, with which response `step` came; `is_latest`: none is later."""

    cursor: int
    events: int
    step: int
    is_latest: bool


def window_of(ledger: Ledger, position: Position, view: View, *, step: int, now: float) -> Window:
    """Where a view lies in the log of a stream that has come to response `step`."""
    key, cursor = position.stream_key, position.cursor
    if view.hours is not None:
        first = event_since(ledger, key, cursor=cursor, time=now - 3_600 * view.hours)
        return Window(cursor, min(cursor + 1 - first, _MOST_EVENTS), step, True)
    end = step if view.at is None else min(step, view.at + view.span // 2)
    if end >= step:
        return Window(cursor, view.span, step, True)
    width = bucket_width(view.span, most=100)
    last = event_before(ledger, key, cursor=cursor, judged=step - end) // width * width or width
    return Window(last, view.span, step - judged_after(ledger, key, after=last, cursor=cursor), False)


def _whole(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 16 else None
