"""Queries of the ledger, and its rows as values."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Row, Select, bindparam, func, select

from ethostat.ledger import tables as t
from ethostat.ledger.records import Deployment, Edition, Event, Intervention, KeptAlert, Minute, Position, Stream
from ethostat.response import Message, Prompt

AnyRow = Row[*tuple[Any, ...]]

EVENTS = select(t.events)
POSITIONS = select(t.positions, t.streams.c.tenant, t.streams.c.name, t.streams.c.next_seq).join(
    t.streams, t.streams.c.key == t.positions.c.stream_key
)
ALERTS = select(t.alerts, t.streams.c.tenant, t.streams.c.name).join(
    t.streams, t.streams.c.key == t.alerts.c.stream_key
)
_next = t.events.alias("next")
STREAMS = POSITIONS.add_columns(
    select(_next.c.received)
    .where(_next.c.stream_key == t.positions.c.stream_key, _next.c.seq > t.positions.c.cursor)
    .order_by(_next.c.seq)
    .limit(1)
    .scalar_subquery()
    .label("waits_since")
)
LAGGING = (
    select(t.positions.c.stream_key)
    .join(t.streams, t.streams.c.key == t.positions.c.stream_key)
    .where(t.streams.c.next_seq > t.positions.c.cursor + 1)
)
NOT_OF = select(t.positions.c.stream_key).where(t.positions.c.owner.is_distinct_from(bindparam("owner")))
"""Streams that are not of this owner."""
WITH_UNJUDGED = (
    select(t.streams.c.key)
    .where(
        select(t.events.c.seq)
        .where(t.events.c.stream_key == t.streams.c.key, t.events.c.goal.is_(None), t.events.c.failure.is_(None))
        .exists()
    )
    .order_by(t.streams.c.key)
)
VERDICTS = select(
    t.events.c.seq,
    t.events.c.event_id,
    t.events.c.time,
    t.events.c.received,
    t.events.c.session,
    t.events.c.goal,
    t.events.c.probabilities,
    t.events.c.classifier,
    t.events.c.failure,
    t.events.c.labels,
    t.events.c.model,
    t.events.c.edition,
)
"""What a monitor needs of an event."""


def after(stream_key: int, seq: int, most: int) -> Select[Any]:
    """The events of a stream with larger numbers, in order."""
    return EVENTS.where(t.events.c.stream_key == stream_key, t.events.c.seq > seq).order_by(t.events.c.seq).limit(most)


def verdicts(stream_key: int, seq: int, most: int) -> Select[Any]:
    """What a monitor needs of the events after a number, in order, judged or not."""
    here = (t.events.c.stream_key == stream_key, t.events.c.seq > seq)
    return VERDICTS.where(*here).order_by(t.events.c.seq).limit(most)


def unjudged(stream_key: int, seq: int, most: int) -> Select[Any]:
    """Those of them that wait to be classified."""
    return after(stream_key, seq, most).where(t.events.c.goal.is_(None), t.events.c.failure.is_(None))


def summed() -> Select[Any]:
    """Streams, events ever told, events not yet followed, alerts."""
    waiting = func.coalesce(func.sum(t.streams.c.next_seq - 1 - t.positions.c.cursor), 0)
    return select(func.count(), func.coalesce(func.sum(t.streams.c.next_seq - 1), 0), waiting).select_from(
        t.streams.join(t.positions, t.streams.c.key == t.positions.c.stream_key)
    )


def event_from(row: AnyRow) -> Event:
    """A row of `EVENTS`."""
    return Event(
        row.stream_key,
        row.seq,
        row.event_id,
        row.received,
        row.time,
        row.session,
        row.model,
        row.labels or {},
        _prompt(row.event_id, row.prompt),
        row.response,
        row.goal,
        None if row.probabilities is None else tuple(map(float, row.probabilities)),
        row.typicality,
        row.classifier,
        row.failure,
        row.erased,
    )


def position_from(row: AnyRow) -> Position:
    """A row of `POSITIONS`."""
    return Position(
        row.stream_key,
        row.tenant,
        row.name,
        row.version,
        row.cursor,
        row.next_seq - 1,
        None if row.monitor is None else json.loads(row.monitor),
        row.counts,
        row.failures,
    )


def stream_from(row: AnyRow) -> Stream:
    """A row of `STREAMS`."""
    monitor = None if row.monitor is None else json.loads(row.monitor)
    return Stream(
        row.tenant,
        row.name,
        row.next_seq - 1,
        row.cursor,
        monitor,
        row.counts,
        row.failures,
        row.updated,
        row.waits_since,
    )


def alert_from(row: AnyRow) -> KeptAlert:
    """A row of `ALERTS`."""
    return KeptAlert(
        row.number,
        row.id,
        row.tenant,
        row.name,
        row.tier,
        row.kind,
        row.created,
        row.body,
        row.acknowledged_by,
        row.acknowledged_at,
        row.expected,
    )


def minute_from(row: AnyRow) -> Minute:
    """A row of `minutes`."""
    return Minute(row.start, row.counts, row.failures, row.evidence, row.threshold)


def intervention_from(row: AnyRow) -> Intervention:
    """A row of `interventions`."""
    return Intervention(row.stream_key, row.cursor, row.kind, row.body, row.by, row.time)


def deployment_from(row: AnyRow) -> Deployment:
    """A row of `deployments`."""
    return Deployment(row.key, row.tenant, row.version, row.note, row.time, row.by, tuple(row.streams))


def edition_from(row: AnyRow) -> Edition:
    """A row of `editions`."""
    return Edition(row.number, row.hash, row.taxonomy, row.baseline)


def _prompt(id: str, turns: Sequence[Sequence[str]] | None) -> Prompt | None:
    return None if turns is None else Prompt(id, tuple(Message(role, content) for role, content in turns))
