"""Erasing: what people asked and were told goes from everywhere that it was copied to; what was counted stays.

A text lies in the log, and in the runs that a review queue drew from a stream; an alert names responses as exemplars.
Verdicts, counts, minutes and monitors hold none of it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from sqlalchemy import Connection, Select, and_, delete, exists, select, update

from ethostat.errors import InvalidInput
from ethostat.ledger import tables as t
from ethostat.store import tables as s

ERASED = "[erased]"
"""What stands in a run where a text was."""
FAILURE = "erased before it was classified"
DRAWN = "stream:"
"""What the models of runs that were drawn from a stream begin with; the name of the stream follows."""
T = TypeVar("T")
_AT_ONCE = 400
_PAGE = 2_000
_NOTHING = {"prompt": None, "response": None, "session": None, "labels": None, "erased": True}


@dataclass(frozen=True, slots=True)
class Whose:
    """Whose events: those of a `session`, or with a `label` (its name and value); of one `stream`, or of all.

    Raises InvalidInput unless it is either a session or a label.
    """

    session: str | None = None
    label: tuple[str, str] | None = None
    stream: str | None = None

    def __post_init__(self) -> None:
        if (self.session is None) == (self.label is None):
            raise InvalidInput("what is erased is of a session, or of a label with its value; give one of them")


@dataclass(frozen=True, slots=True)
class Erased:
    """What went: `events` of the log, `alerts` that named some, `copies` in runs that were drawn from streams."""

    events: int = 0
    alerts: int = 0
    copies: int = 0


def find(connection: Connection, tenant: str, whose: Whose) -> dict[int, dict[int, str]]:
    """The ids of the events by stream and number. Labels are looked for one by one: no database knows how to."""
    e = t.events.c
    query = select(e.stream_key, e.seq, e.event_id, e.labels).join(t.streams, t.streams.c.key == e.stream_key)
    query = query.where(t.streams.c.tenant == tenant)
    if whose.stream is not None:
        query = query.where(t.streams.c.name == whose.stream)
    query = query.where(e.labels.is_not(None) if whose.session is None else e.session == whose.session)
    found: dict[int, dict[int, str]] = defaultdict(dict)
    for row in connection.execution_options(yield_per=_PAGE).execute(query):
        if whose.label is None or (row.labels or {}).get(whose.label[0]) == whose.label[1]:
            found[row.stream_key][row.seq] = row.event_id
    return dict(found)


def erase(connection: Connection, found: Mapping[int, Mapping[int, str]]) -> Erased:
    """Drop what these events hold but their verdicts, and whatever was made of it."""
    e, alerts = t.events.c, 0
    for key, ids in found.items():
        for some in _portions(list(ids)):
            these = update(t.events).where(e.stream_key == key, e.seq.in_(some))
            waiting = these.where(e.goal.is_(None), e.failure.is_(None))
            connection.execute(waiting.values(failure=FAILURE))
            connection.execute(these.values(**_NOTHING))
        alerts += _unname(connection, key, frozenset(ids.values()))
    return Erased(sum(map(len, found.values())), alerts, erase_copies(connection))


def forget(connection: Connection, stream_key: int, before: float, *, most: int) -> list[str]:
    """Delete up to `most` followed events of a stream that came before this time; gives their ids."""
    e = t.events.c
    followed = select(t.positions.c.cursor).where(t.positions.c.stream_key == stream_key).scalar_subquery()
    old = select(e.seq, e.event_id).where(e.stream_key == stream_key, e.received < before, e.seq <= followed)
    rows = connection.execute(old.limit(most)).all()
    for some in _portions([row.seq for row in rows]):
        connection.execute(delete(t.events).where(e.stream_key == stream_key, e.seq.in_(some)))
    ids = [row.event_id for row in rows]
    _unname(connection, stream_key, frozenset(ids))
    return ids


def erase_copies(connection: Connection) -> int:
    """Drop the texts of runs that were drawn from streams where the log has the text no longer; gives how many."""
    drawn = connection.execute(select(s.runs.c.key, s.runs.c.identity).where(s.runs.c.model.startswith(DRAWN))).all()
    return sum(_erase_drawn(connection, run.key, str(run.identity.get("stream"))) for run in drawn)


def _unname(connection: Connection, key: int, gone: frozenset[str]) -> int:
    """Alerts of a stream no longer name these; gives how many did."""
    query = select(t.alerts.c.number, t.alerts.c.body).where(t.alerts.c.stream_key == key)
    named = [row for row in connection.execute(query) if gone & set(row.body.get("exemplars", ()))]
    for row in named:
        body = {**row.body, "exemplars": [id for id in row.body["exemplars"] if id not in gone]}
        connection.execute(update(t.alerts).where(t.alerts.c.number == row.number).values(body=body))
    return len(named)


def _erase_drawn(connection: Connection, run_key: int, stream: str) -> int:
    there = exists().where(
        and_(
            t.streams.c.key == t.events.c.stream_key,
            t.streams.c.name == stream,
            t.events.c.event_id == s.draws.c.response_id,
            t.events.c.response.is_not(None),
        )
    )
    gone = _drawn().where(s.draws.c.run_key == run_key, s.responses.c.text != ERASED, ~there)
    rows = connection.execute(gone).all()
    for some in _portions([row.response_key for row in rows]):
        connection.execute(update(s.responses).where(s.responses.c.key.in_(some)).values(text=ERASED))
        connection.execute(update(s.acts).where(s.acts.c.response_key.in_(some)).values(note=None))
    _erase_contents(connection, sorted({row.content_hash for row in rows}))
    return len(rows)


def _erase_contents(connection: Connection, hashes: Sequence[str]) -> None:
    """Prompts that nothing else was answered to."""
    for some in _portions(hashes):
        kept = _drawn().where(s.prompts.c.content_hash.in_(some), s.responses.c.text != ERASED)
        still = {row.content_hash for row in connection.execute(kept)}
        these = update(s.contents).where(s.contents.c.hash.in_([one for one in some if one not in still]))
        connection.execute(these.values(messages=[{"role": "user", "content": ERASED}]))


def _drawn() -> Select[tuple[int, str]]:
    return (
        select(s.draws.c.response_key, s.prompts.c.content_hash)
        .join(s.responses, s.responses.c.key == s.draws.c.response_key)
        .join(s.prompts, s.prompts.c.key == s.draws.c.prompt_key)
    )


def _portions(items: Sequence[T]) -> Iterator[Sequence[T]]:
    for start in range(0, len(items), _AT_ONCE):
        yield items[start : start + _AT_ONCE]
