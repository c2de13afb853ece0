"""Courses: how a stream went, event by event in few buckets, and what stands of many streams at a glance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from sqlalchemy import func, select

from ethostat.ledger import reading
from ethostat.ledger import tables as t
from ethostat.ledger.ledger import Ledger
from ethostat.ledger.records import Intervention, KeptAlert

_STEPS = (1, 2, 5)
_LEAST_WIDTH = 25
_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class Bucket:
    """Consecutive events of a stream: their numbers, when they came, counts by goal, and how many had no verdict.

    `first` and `last` are numbers of events that are kept; `began` and `ended` are in seconds since 1970.
    """

    first: int
    last: int
    began: float
    ended: float
    counts: Mapping[str, int] = field(default_factory=dict)
    failures: int = 0

    @property
    def judged(self) -> int:
        """Events with a verdict."""
        return sum(self.counts.values())


@dataclass(frozen=True, slots=True)
class Mark:
    """How far a stream has come: `version` changes with its monitor, `last` with each event that is told."""

    tenant: str
    stream: str
    version: int
    last: int


def bucket_width(events: int, *, most: int) -> int:
    """Events a bucket so that there are at most `most` and one more: 1, 2 or 5 times a power of ten, at least 25.

    >>> bucket_width(10_000, most=100), bucket_width(300, most=100), bucket_width(30_000, most=100)
    (100, 25, 500)
    """
    wanted = max(events / most, _LEAST_WIDTH)
    if wanted == _LEAST_WIDTH:
        return _LEAST_WIDTH
    power = 1
    while True:
        for step in _STEPS:
            if step * power >= wanted:
                return step * power
        power *= 10


def buckets(ledger: Ledger, stream_key: int, *, cursor: int, last: int, most: int = 100) -> list[Bucket]:
    """The last events up to number `cursor` in buckets, the oldest first; empty ones are left out.

    Buckets begin at multiples of their width, so that a bucket once full stays as it is while the stream goes on.
    """
    start = max(cursor - last, 0)
    width = bucket_width(cursor - start, most=most)
    start = start // width * width
    events = t.events.c
    place = (events.seq - 1) // width
    query = (
        select(
            place.label("place"),
            events.goal,
            func.count().label("n"),
            func.min(events.seq).label("first"),
            func.max(events.seq).label("last"),
            func.min(events.received).label("began"),
            func.max(events.received).label("ended"),
        )
        .where(events.stream_key == stream_key, events.seq > start, events.seq <= cursor)
        .group_by(place, events.goal)
        .order_by(place)
    )
    found: dict[int, Bucket] = {}
    for row in ledger._rows(query):
        one, counts = Bucket(row.first, row.last, row.began, row.ended), {}
        before = found.get(row.place, one)
        failures = before.failures
        if row.goal is None:
            failures += row.n
        else:
            counts = {row.goal: row.n}
        found[row.place] = Bucket(
            min(before.first, one.first),
            max(before.last, one.last),
            min(before.began, one.began),
            max(before.ended, one.ended),
            {**before.counts, **counts},
            failures,
        )
    return list(found.values())


def event_before(ledger: Ledger, stream_key: int, *, cursor: int, judged: int) -> int:
    """The number of the last event that has so many events with a verdict behind it, up to event number `cursor`.

    0 where there are not so many.
    """
    events = t.events.c
    here = (events.stream_key == stream_key, events.seq <= cursor, events.goal.is_not(None))
    if judged <= 0:
        return cursor
    rows = ledger._rows(select(events.seq).where(*here).order_by(events.seq.desc()).offset(judged - 1).limit(1))
    return rows[0].seq - 1 if rows else 0


def event_since(ledger: Ledger, stream_key: int, *, cursor: int, time: float) -> int:
    """The number of the first event that came at this time or later (seconds since 1970), up to `cursor` + 1.

    Events come in the order of their numbers, so that a search by halves finds it.
    """
    events = t.events.c
    low, high = 1, cursor + 1
    while low < high:
        middle = (low + high) // 2
        query = select(events.seq, events.received).where(events.stream_key == stream_key, events.seq >= middle)
        rows = ledger._rows(query.order_by(events.seq).limit(1))
        if rows and rows[0].seq <= cursor and rows[0].received < time:
            low = rows[0].seq + 1
        else:
            high = middle
    return low


def judged_after(ledger: Ledger, stream_key: int, *, after: int, cursor: int) -> int:
    """How many events with a verdict there are behind event number `after`, up to `cursor`."""
    events = t.events.c
    here = (events.stream_key == stream_key, events.seq > after, events.seq <= cursor, events.goal.is_not(None))
    return int(ledger._rows(select(func.count()).where(*here))[0][0])


def goals_between(
    ledger: Ledger, stream_key: int, *, after: int, last: int, edition: int | None = None
) -> dict[str, int]:
    """How many events behind `after`, up to `last`, were given each goal; with `edition` of those goals alone.

    Verdicts of no edition count in each.
    """
    events = t.events.c
    here = [events.stream_key == stream_key, events.seq > after, events.seq <= last, events.goal.is_not(None)]
    if edition is not None:
        here.append(events.edition.is_(None) | (events.edition == edition))
    query = select(events.goal, func.count().label("n")).where(*here).group_by(events.goal)
    return {row.goal: row.n for row in ledger._rows(query)}


def keys_of(ledger: Ledger, tenant: str, names: Sequence[str]) -> dict[str, int]:
    """The keys of a tenant's streams by name."""
    found: dict[str, int] = {}
    for start in range(0, len(names), _AT_ONCE):
        some = t.streams.c.name.in_(names[start : start + _AT_ONCE])
        rows = ledger._rows(select(t.streams.c.name, t.streams.c.key).where(t.streams.c.tenant == tenant, some))
        found.update((row.name, row.key) for row in rows)
    return found


def latest_alerts(ledger: Ledger, keys: Sequence[int]) -> dict[str, KeptAlert]:
    """The latest alert of each of these streams that had one, by the stream's name."""
    found: dict[str, KeptAlert] = {}
    for start in range(0, len(keys), _AT_ONCE):
        mine = t.alerts.c.stream_key.in_(keys[start : start + _AT_ONCE])
        latest = select(func.max(t.alerts.c.number)).where(mine).group_by(t.alerts.c.stream_key)
        for row in ledger._rows(reading.ALERTS.where(t.alerts.c.number.in_(latest))):
            alert = reading.alert_from(row)
            found[alert.stream] = alert
    return found


def marks(ledger: Ledger) -> list[Mark]:
    """How far all streams have come."""
    rows = ledger._rows(
        select(t.streams.c.tenant, t.streams.c.name, t.streams.c.next_seq, t.positions.c.version).join(
            t.positions, t.positions.c.stream_key == t.streams.c.key
        )
    )
    return [Mark(row.tenant, row.name, row.version, row.next_seq - 1) for row in rows]


def interventions_since(ledger: Ledger, stream_key: int, *, after: int, most: int = 100) -> list[Intervention]:
    """The latest of what was done to a stream's monitor after event number `after`, in order."""
    done = t.interventions
    query = select(done).where(done.c.stream_key == stream_key, done.c.cursor >= after)
    rows = ledger._rows(query.order_by(done.c.key.desc()).limit(most))
    return [reading.intervention_from(row) for row in reversed(rows)]
