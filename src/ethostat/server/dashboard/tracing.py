"""Tracing: the evidence of a young stream response by response, found by reading its log again.

The ledger keeps evidence by minute. Of a stream that began a minute ago that is one point; its log is short and whole.
"""

from __future__ import annotations

from collections.abc import Sequence

from ethostat.ledger import Intervention, Ledger, Position
from ethostat.ledger.ledger import TICK
from ethostat.monitor import Monitor
from ethostat.server.dashboard.course import Signal, reading_of
from ethostat.server.following import Followed, monitor_of
from ethostat.server.intervening import apply

MOST = 5_000
"""Events up to which a log is read again: about half a second of work, once for a stream."""
_POINTS = 200


def retraced(ledger: Ledger, position: Position, template: Monitor) -> list[Signal]:
    """The evidence after every few responses.

    None of it where the stream is long, its log is no longer whole, or reading it again does not end with the very
    evidence that lies on disk (it was begun with other settings).
    """
    if not 0 < position.cursor <= MOST:
        return []
    followed = Followed.at_start(position, template, ledger.edition)
    done: Sequence[Intervention] = ledger.interventions(position.stream_key)
    found: list[Signal] = []
    every = max(position.cursor // _POINTS, 1)
    while followed.cursor < position.cursor:
        rows = ledger.verdicts(position.stream_key, after=followed.cursor, most=position.cursor - followed.cursor)
        if not rows or rows[0].seq != followed.cursor + 1:
            return []
        for row in rows:
            done = _done_again(followed, done)
            followed.take(row)
            followed.minutes.clear()
            now = reading_of(followed.monitor) if row.seq % every == 0 else None
            if now is not None:
                found.append(now)
    _done_again(followed, done)
    ends = reading_of(followed.monitor), reading_of(monitor_of(position, template))
    return found if ends[0] == ends[1] else []


def _done_again(followed: Followed, done: Sequence[Intervention]) -> Sequence[Intervention]:
    """What people did at this place is done again; gives what is still to come."""
    for one in done:
        if one.cursor == followed.cursor and one.kind != TICK:
            apply(followed.monitor, one.kind, one.body)
    return [one for one in done if one.cursor > followed.cursor]
