"""Events in: each once, numbered by stream, in one transaction.

A number is given under the lock of the stream's row and in the transaction that inserts the event. So the events of a
stream become visible in the order of their numbers, however many processes write, and nobody who reads up to a number
can miss one below it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection, func, insert, select, update

from ethostat.ledger import tables as t
from ethostat.ledger.records import Appended, NewEvent
from ethostat.store.dialects import insert_new

_AT_ONCE = 500
StreamName = tuple[str, str]
"""Tenant and name."""


class Batch(NamedTuple):
    """What is to be appended: events, when they came (seconds since 1970), whose texts are kept, under which goals."""

    events: Sequence[NewEvent]
    received: float
    keeps_text: Callable[[NewEvent], bool]
    edition: int | None = None


def append(connection: Connection, batch: Batch, keys: dict[StreamName, int], *, careful: bool) -> Appended:
    """Insert the events of a batch; `keys` are the keys of their streams.

    Events that are there already are only looked for where `careful` is true; otherwise they raise IntegrityError, and
    the transaction is to be tried again with care. Most batches hold none.
    """
    duplicates: set[int] = set()
    rows: list[dict[str, Any]] = []
    by_stream: dict[int, dict[str, int]] = {}
    for place, event in enumerate(batch.events):
        key = keys.get((event.tenant, event.stream))
        if key is None:
            continue
        if by_stream.setdefault(key, {}).setdefault(event.id, place) != place:
            duplicates.add(place)
    numbers = _locked(connection, sorted(by_stream))
    for key, places in by_stream.items():
        known = _known(connection, key, list(places)) if careful else frozenset[str]()
        seq = numbers[key]
        for id, place in places.items():
            if id in known:
                duplicates.add(place)
                continue
            rows.append(_row(batch, batch.events[place], key, seq))
            seq += 1
        if seq != numbers[key]:
            connection.execute(update(t.streams).where(t.streams.c.key == key).values(next_seq=seq))
    if rows:
        connection.execute(insert(t.events), rows)
    return Appended(frozenset(duplicates))


def keys_of(
    connection: Connection, names: Sequence[StreamName], *, now: float, most: int
) -> tuple[dict[StreamName, int], Mapping[StreamName, str]]:
    """The keys of streams, made where they are new, and why some could not be: there are `most` already."""
    found = {name: key for name in names if (key := _find(connection, name)) is not None}
    missing = [name for name in names if name not in found]
    if not missing:
        return found, {}
    count = connection.scalar(select(func.count()).select_from(t.streams)) or 0
    room = max(most - count, 0)
    for tenant, name in sorted(missing[:room]):  # in one order, so that writers who make the same do not deadlock
        row = {"tenant": tenant, "name": name, "next_seq": 1, "created": now}
        connection.execute(insert_new(connection, t.streams), row)
        key = _find(connection, (tenant, name))
        assert key is not None  # noqa: S101 - it was just made, here or by another process
        place = {"stream_key": key, "version": 0, "cursor": 0, "counts": {}, "failures": 0}
        connection.execute(insert_new(connection, t.positions), place)
        found[tenant, name] = key
    refused = f"there are {most} streams already, and this would be another; check `stream`, or raise --most-streams"
    return found, dict.fromkeys(missing[room:], refused)


def _find(connection: Connection, name: StreamName) -> int | None:
    query = select(t.streams.c.key).where(t.streams.c.tenant == name[0], t.streams.c.name == name[1])
    key: int | None = connection.scalar(query)
    return key


def _locked(connection: Connection, keys: Sequence[int]) -> dict[int, int]:
    """The next number of each stream, its row locked until the transaction ends, in an order that cannot deadlock."""
    numbers: dict[int, int] = {}
    for start in range(0, len(keys), _AT_ONCE):
        some = t.streams.c.key.in_(keys[start : start + _AT_ONCE])
        query = select(t.streams.c.key, t.streams.c.next_seq).where(some).order_by(t.streams.c.key).with_for_update()
        numbers.update((row.key, row.next_seq) for row in connection.execute(query))
    return numbers


def _known(connection: Connection, key: int, ids: Sequence[str]) -> frozenset[str]:
    """Those of the ids that the stream has."""
    column, found = t.events.c.event_id, set[str]()
    for start in range(0, len(ids), _AT_ONCE):
        query = select(column).where(t.events.c.stream_key == key, column.in_(ids[start : start + _AT_ONCE]))
        found.update(connection.scalars(query))
    return frozenset(found)


def _row(batch: Batch, event: NewEvent, key: int, seq: int) -> dict[str, Any]:
    has_text = event.response is not None or event.prompt is not None
    keeps = has_text and (event.goal is None or batch.keeps_text(event))
    prompt = event.prompt if keeps else None
    return {
        "stream_key": key,
        "seq": seq,
        "event_id": event.id,
        "received": batch.received,
        "time": event.time,
        "session": event.session,
        "model": event.model,
        "labels": dict(event.labels) or None,
        "prompt": None if prompt is None else [[message.role, message.content] for message in prompt.messages],
        "response": event.response if keeps else None,
        "goal": event.goal,
        "probabilities": None if event.probabilities is None else list(event.probabilities),
        "erased": has_text and not keeps,
        "edition": None if event.goal is None else batch.edition,
    }
