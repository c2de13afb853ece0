"""LedgerOutbox: deliveries in the ledger's database, from where the ledger put them with their alerts."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from sqlalchemy import Connection, Row, Select, Update, select, update

from ethostat.ledger import tables as t
from ethostat.notifying.outbox import QUEUED, Claim, Delivery
from ethostat.store.database import open_database, read_url, translated, writing

_COLUMNS = (t.deliveries, t.alerts.c.body, t.alerts.c.stream_key, t.streams.c.name, t.streams.c.tenant)
_SHOWN = 100


class LedgerOutbox:
    """The outbox of a service. `database` is the ledger's: a path, or a URL of PostgreSQL.

    Several processes may claim from it: on PostgreSQL each skips what another is claiming. Raises StoreError where the
    database cannot do what was asked.
    """

    def __init__(self, database: str | Path) -> None:
        self._url = read_url(database)
        self._engine = open_database(self._url, create=False)
        is_file = self._url.get_backend_name() == "sqlite"
        self._turn: Any = threading.Lock() if is_file else nullcontext()

    def close(self) -> None:
        """Release the connections. Safe to call twice."""
        self._engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def claim(self, now: float, *, lease: float, most: int) -> Sequence[Claim]:
        """See `Outbox`."""
        d = t.deliveries.c
        due = _joined().where(d.state == QUEUED, d.next_at <= now).order_by(d.next_at, d.key).limit(most)
        if not self._rows(due.limit(1)):  # most often; the lock of a writer is not taken for it
            return ()
        with self._writing() as connection:
            rows = connection.execute(due.with_for_update(skip_locked=True, of=t.deliveries)).all()
            claims = [_claim(row, _delivery(row).claimed(now, lease=lease)) for row in rows]
            for row, one in zip(rows, claims, strict=True):
                values = {"attempts": one.delivery.attempts, "next_at": one.delivery.next_at}
                connection.execute(update(t.deliveries).where(d.key == row.key).values(**values))
        return [
            replace(one, labels=self.labels_of(row.stream_key, row.body)) for row, one in zip(rows, claims, strict=True)
        ]

    def record(self, before: Delivery, after: Delivery) -> bool:
        """See `Outbox`."""
        values = {"state": after.state, "attempts": after.attempts, "next_at": after.next_at, "error": after.error}
        with self._writing() as connection:
            return connection.execute(_as_it_was(before).values(**values)).rowcount == 1

    def find(
        self, *, tenant: str | None = None, alert: int | None = None, state: str | None = None, most: int = _SHOWN
    ) -> list[Claim]:
        """Deliveries, the latest first: of a tenant, of an alert, in a state; DEAD gives the dead-letter list."""
        query = _joined().order_by(t.deliveries.c.key.desc()).limit(most)
        d = t.deliveries.c
        for column, value in ((t.streams.c.tenant, tenant), (d.alert_number, alert), (d.state, state)):
            if value is not None:
                query = query.where(column == value)
        return [_claim(row, _delivery(row)) for row in self._rows(query)]

    def labels_of(self, stream_key: int, body: Mapping[str, Any]) -> dict[str, str]:
        """The labels that the responses behind an alert share; where it names none, those of the newest response."""
        e = t.events.c
        query = select(e.labels).where(e.stream_key == stream_key)
        ids = [str(id) for id in body.get("exemplars", ())]
        query = query.where(e.event_id.in_(ids)) if ids else query.order_by(e.seq.desc()).limit(1)
        found = [row.labels or {} for row in self._rows(query)]
        return dict(set.intersection(*(set(labels.items()) for labels in found))) if found else {}

    @contextmanager
    def _writing(self) -> Iterator[Connection]:
        with translated(self._url), self._turn, writing(self._engine) as connection:
            yield connection

    def _rows(self, query: Select[Any]) -> Sequence[Row[Any]]:
        with translated(self._url), self._engine.connect() as connection:
            return connection.execute(query).all()


def _joined() -> Select[Any]:
    return (
        select(*_COLUMNS)
        .join(t.alerts, t.alerts.c.number == t.deliveries.c.alert_number)
        .join(t.streams, t.streams.c.key == t.alerts.c.stream_key)
    )


def _as_it_was(one: Delivery) -> Update:
    """The row, if nobody wrote it since: a claim counts an attempt, so no two claims look alike."""
    d = t.deliveries.c
    same = (d.alert_number == one.alert, d.target == one.target, d.state == one.state, d.attempts == one.attempts)
    return update(t.deliveries).where(*same)


def _delivery(row: Row[Any]) -> Delivery:
    return Delivery(row.alert_number, row.target, row.state, row.attempts, row.next_at, row.error)


def _claim(row: Row[Any], delivery: Delivery) -> Claim:
    return Claim(delivery, row.body, row.name, row.tenant)
