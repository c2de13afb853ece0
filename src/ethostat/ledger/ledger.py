"""Ledger: one method, one transaction."""

from __future__ import annotations

import json
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, nullcontext, suppress
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from sqlalchemy import Connection, Select, bindparam, delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from ethostat.errors import InvalidInput, StoreError
from ethostat.ledger import claiming, erasing, reading
from ethostat.ledger import tables as t
from ethostat.ledger.appending import Batch, StreamName, append, keys_of
from ethostat.ledger.erasing import Erased, Whose
from ethostat.ledger.records import (
    Advance,
    Appended,
    Deployment,
    Edition,
    Event,
    Intervention,
    Judgement,
    KeptAlert,
    Minute,
    NewEvent,
    Position,
    Stream,
)
from ethostat.response import Verdict
from ethostat.store.database import open_database, read_url, shown, translated, writing
from ethostat.store.dialects import insert_new, insert_or_replace
from ethostat.store.holding import Holds

MOST_STREAMS = 1_000
TICK = "tick"
"""The kind of an intervention that no person made: the monitor was told what time it is, and had something to say."""
_PAGE = 1000
_FORGOTTEN_AT_ONCE = 2_000
_PATIENCE = 1.0
_ONLY = 1
Change = Callable[[Position], Mapping[str, Any]]
"""What an intervention makes of a monitor: the Monitor's new dict."""


class Ledger:
    """Events of streams, how far each stream was followed, its alerts, and what people did, in a database.

    `database` is a path (a SQLite file, made if absent unless `create` is false) or a URL of PostgreSQL. A method that
    writes returns when what it wrote is on disk. Every method may be called from any thread. Raises StoreError, naming
    the database without its password, where it cannot do what was asked.
    """

    def __init__(self, database: str | Path, *, create: bool = True) -> None:
        self._url = read_url(database)
        self._engine = open_database(self._url, create=create)
        self._is_file = self._url.get_backend_name() == "sqlite"
        # SQLite has one writer at a time: threads of one process queue here, where the queue is fair.
        self._turn: Any = threading.Lock() if self._is_file else nullcontext()
        self._holds = Holds(Path(f"{self._url.database}.serve") if self._is_file else None)
        self._keys: dict[StreamName, int] = {}
        self._editions: dict[int, Edition] = {}

    @property
    def name(self) -> str:
        """The path or URL as it may be printed."""
        return shown(self._url)

    @property
    def is_file(self) -> bool:
        """Whether it is a SQLite file, which one process serves."""
        return self._is_file

    def close(self) -> None:
        """Release the connections. Safe to call twice."""
        self._holds.close()
        self._engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def hold(self) -> None:
        """Be the one process that serves this file, until it ends. PostgreSQL may be served by several."""
        try:
            is_ours = self._holds.take(_ONLY)
        except OSError as error:
            raise StoreError(f"{self.name} cannot be locked ({error.strerror}); check its folder") from error
        if not is_ours:
            raise StoreError(
                f"{self.name} is being served by another process; stop it, or use PostgreSQL, which several may serve"
            )

    def check(self, *, writing: bool = False) -> None:
        """Raises StoreError where the database cannot be read; with `writing`, where nothing can be committed."""
        self._rows(select(t.streams.c.key).limit(1))
        if writing:
            with self._writing() as connection:
                row = {"id": "check", "until": 0.0}
                connection.execute(insert_or_replace(connection, t.processes, ["id"], ["until"]), row)

    # Events

    def append(
        self,
        events: Sequence[NewEvent],
        *,
        keeps_text: Callable[[NewEvent], bool] = lambda _: True,
        now: float | None = None,
        most_streams: int = MOST_STREAMS,
        edition: int | None = None,
    ) -> Appended:
        """Write events, each once, and say which were there already and which cannot be.

        `edition` numbers the goals that their verdicts are of.

        The text of an event that has its verdict is only written where `keeps_text` is true of it; that of one that
        waits to be classified always is.
        """
        batch = Batch(events, time.time() if now is None else now, keeps_text, edition)
        with translated(self._url):
            try:
                return self._append(batch, most_streams, careful=False)
            except IntegrityError:  # some are there already, or a stream was deleted
                self._keys.clear()
                return self._append(batch, most_streams, careful=True)

    def events(self, stream_key: int, *, after: int = 0, most: int = _PAGE) -> list[Event]:
        """Events of a stream by number, those above `after`, at most so many."""
        return [reading.event_from(row) for row in self._rows(reading.after(stream_key, after, most))]

    def event(self, tenant: str, stream: str, event_id: str) -> Event | None:
        """The event of this id, None where the stream has none."""
        found = self._rows(
            select(t.events)
            .join(t.streams, t.streams.c.key == t.events.c.stream_key)
            .where(t.streams.c.tenant == tenant, t.streams.c.name == stream, t.events.c.event_id == event_id)
        )
        return reading.event_from(found[0]) if found else None

    def unjudged(self, stream_key: int, *, after: int = 0, most: int = _PAGE) -> list[Event]:
        """Events that wait to be classified, as `events`."""
        return [reading.event_from(row) for row in self._rows(reading.unjudged(stream_key, after, most))]

    def unjudged_streams(self, streams: Iterable[int]) -> list[int]:
        """Those of the streams that have events to classify."""
        mine = frozenset(streams)
        return [row.key for row in self._rows(reading.WITH_UNJUDGED) if row.key in mine]

    def verdicts(self, stream_key: int, *, after: int = 0, most: int = _PAGE) -> Sequence[reading.AnyRow]:
        """What a monitor needs of events, as `events`: rows of `reading.VERDICTS`, which cost a fifth of an Event."""
        return self._rows(reading.verdicts(stream_key, after, most))

    def judge(self, judgements: Sequence[Judgement], *, edition: int | None = None) -> None:
        """Write verdicts, which are of this edition of the goals, and failures. What an event has already stands."""
        erased = {"prompt": None, "response": None, "erased": True}
        with self._writing() as connection:
            for erase in (False, True):
                rows = [_judged(one, edition) for one in judgements if one.erase == erase]
                if rows:
                    statement = _JUDGE.values(**erased) if erase else _JUDGE
                    connection.execute(statement, rows)

    def publish(self, taxonomy: Mapping[str, Any], hash: str, baseline: Mapping[str, Any]) -> Edition:
        """The edition of the goals that verdicts are given in from now on: a new one where these are others."""
        latest = select(t.editions).order_by(t.editions.c.number.desc()).limit(1)
        row = {"hash": hash, "taxonomy": dict(taxonomy), "baseline": dict(baseline), "since": time.time()}
        with self._writing() as connection:
            found = connection.execute(latest).first()
            if found is None or found.hash != hash:
                found = connection.execute(insert(t.editions).values(**row).returning(t.editions)).one()
            return reading.edition_from(found)

    def edition(self, number: int) -> Edition | None:
        """An edition of the goals, None where there is none of this number."""
        if number not in self._editions:
            for row in self._rows(select(t.editions).where(t.editions.c.number == number)):
                self._editions[number] = reading.edition_from(row)
        return self._editions.get(number)

    # Following

    def claim(self, owner: str, *, seconds: float) -> frozenset[int]:
        """The streams that this process advances for the next seconds; to be called again before they are over."""
        if self._is_file and not self._rows(reading.NOT_OF.params(owner=owner).limit(1)):
            return frozenset(self._rows_of(owner))
        with self._writing() as connection:
            return claiming.claim(connection, owner, seconds, alone=self._is_file)

    def release(self, owner: str) -> None:
        """Let other processes have this one's streams."""
        with self._writing() as connection:
            claiming.release(connection, owner)

    def lagging(self, owner: str) -> list[int]:
        """The streams of this process that have events above their cursor."""
        query = reading.LAGGING.where(t.positions.c.owner == owner).order_by(t.positions.c.stream_key)
        return [row.stream_key for row in self._rows(query)]

    def position(self, stream_key: int) -> Position | None:
        """How far a stream was followed; None where it was deleted."""
        found = self._rows(reading.POSITIONS.where(t.positions.c.stream_key == stream_key))
        return reading.position_from(found[0]) if found else None

    def advance(self, owner: str, steps: Sequence[Advance], *, now: float | None = None) -> frozenset[int]:
        """Write steps, and give the streams of those that were not: another process has them, or somebody intervened.

        A step is written whole or not at all: place, monitor, counts, alerts and their deliveries.
        """
        moment, refused = time.time() if now is None else now, set[int]()
        with self._writing() as connection:
            for step in steps:
                if _move(connection, step, owner, moment):
                    _add_minutes(connection, step)
                    _add_alerts(connection, step, moment)
                    if step.tick is not None:
                        said = {"time": step.tick}
                        _note(connection, Intervention(step.stream_key, step.cursor, TICK, said, None, moment))
                else:
                    refused.add(step.stream_key)
        return frozenset(refused)

    def intervene(
        self, stream_key: int, kind: str, body: Mapping[str, Any], change: Change, *, by: str | None = None
    ) -> Position:
        """Change a stream's monitor between two events, and write down what was done and where.

        Gives the position before. Raises InvalidInput where the stream was deleted.
        """
        with self._writing() as connection:
            query = reading.POSITIONS.where(t.positions.c.stream_key == stream_key)
            row = connection.execute(query.with_for_update(of=t.positions)).first()
            if row is None:
                raise InvalidInput("the stream was deleted")
            before = reading.position_from(row)
            this = update(t.positions).where(t.positions.c.stream_key == stream_key)
            written = json.dumps(change(before))
            connection.execute(this.values(version=before.version + 1, monitor=written))
            _note(connection, Intervention(stream_key, before.cursor, kind, body, by, time.time()))
            return before

    def interventions(self, stream_key: int) -> list[Intervention]:
        """What was done to a stream's monitor, in order."""
        query = (
            select(t.interventions).where(t.interventions.c.stream_key == stream_key).order_by(t.interventions.c.key)
        )
        return [reading.intervention_from(row) for row in self._rows(query)]

    # What people see

    def find_stream(self, tenant: str, name: str) -> Position | None:
        """The position of the stream of this name, None where there is none."""
        found = self._rows(reading.POSITIONS.where(t.streams.c.tenant == tenant, t.streams.c.name == name))
        return reading.position_from(found[0]) if found else None

    def streams(self, *, tenant: str | None = None, name: str | None = None) -> list[Stream]:
        """Streams by name; of one tenant, or of all; with `name` that one alone."""
        query = reading.STREAMS.order_by(t.streams.c.tenant, t.streams.c.name)
        if tenant is not None:
            query = query.where(t.streams.c.tenant == tenant)
        if name is not None:
            query = query.where(t.streams.c.name == name)
        return [reading.stream_from(row) for row in self._rows(query)]

    def totals(self) -> tuple[int, int, int]:
        """Streams, events ever told, and those not yet followed."""
        streams, events, waiting = self._rows(reading.summed())[0]
        return streams, int(events), int(waiting)

    def deliveries(self) -> dict[str, int]:
        """Deliveries of alerts that wait, and that were given up, by their state."""
        states = t.deliveries.c.state
        query = select(states, func.count().label("n")).where(states.in_((t.QUEUED, t.DEAD))).group_by(states)
        return {t.QUEUED: 0, t.DEAD: 0} | {row.state: row.n for row in self._rows(query)}

    def minutes(self, stream_key: int, *, since: int = 0, most: int = 1440) -> list[Minute]:
        """The last minutes of a stream that had events, the oldest first."""
        here = (t.minutes.c.stream_key == stream_key, t.minutes.c.start >= since)
        rows = self._rows(select(t.minutes).where(*here).order_by(t.minutes.c.start.desc()).limit(most))
        return [reading.minute_from(row) for row in reversed(rows)]

    def alerts(
        self,
        *,
        tenant: str | None = None,
        stream: str | None = None,
        id: str | None = None,
        tier: str | None = None,
        is_open: bool = False,
        before: int | None = None,
        most: int = 100,
    ) -> list[KeptAlert]:
        """Alerts, the latest first; `before` gives those with a smaller number, `is_open` those nobody acknowledged."""
        query = reading.ALERTS.order_by(t.alerts.c.number.desc()).limit(most)
        alike = (
            (t.streams.c.tenant, tenant), (t.streams.c.name, stream), (t.alerts.c.id, id), (t.alerts.c.tier, tier)
        )  # fmt: skip
        for column, value in alike:
            if value is not None:
                query = query.where(column == value)
        if is_open:
            query = query.where(t.alerts.c.acknowledged_at.is_(None))
        if before is not None:
            query = query.where(t.alerts.c.number < before)
        return [reading.alert_from(row) for row in self._rows(query)]

    def mark(self, number: int, *, by: str | None, expected: bool = False, now: float | None = None) -> None:
        """Note that somebody looked at an alert, and whether the change was expected. The first who looked stands."""
        this = update(t.alerts).where(t.alerts.c.number == number)
        seen = {"acknowledged_by": by, "acknowledged_at": time.time() if now is None else now}
        with self._writing() as connection:
            connection.execute(this.where(t.alerts.c.acknowledged_at.is_(None)).values(**seen))
            if expected:
                connection.execute(this.values(expected=True))

    def add_deployment(
        self, tenant: str, version: str, streams: Sequence[str], *, note: str | None, by: str | None, time: float
    ) -> Deployment:
        """Note that a version was deployed."""
        row = {"tenant": tenant, "version": version, "note": note, "time": time, "by": by, "streams": list(streams)}
        with self._writing() as connection:
            key = connection.execute(insert(t.deployments).values(**row).returning(t.deployments.c.key)).scalar_one()
        return Deployment(key, tenant, version, note, time, by, tuple(streams))

    def deployments(self, *, tenant: str | None = None, most: int = 100) -> list[Deployment]:
        """Declared versions, the latest first."""
        query = select(t.deployments).order_by(t.deployments.c.key.desc()).limit(most)
        if tenant is not None:
            query = query.where(t.deployments.c.tenant == tenant)
        return [reading.deployment_from(row) for row in self._rows(query)]

    # Forgetting

    def delete_stream(self, stream_key: int) -> None:
        """Forget a stream and all that is kept of it; of runs that were drawn from it the texts."""
        with self._erasing() as connection:
            connection.execute(delete(t.streams).where(t.streams.c.key == stream_key))
            erasing.erase_copies(connection)
        self._keys.clear()

    def erase(self, tenant: str, whose: Whose) -> Erased:
        """Drop the texts, session and labels of somebody's events, wherever they are; verdicts stay counted."""
        with translated(self._url), self._engine.connect() as connection:
            found = erasing.find(connection, tenant, whose)
        if not found:
            return Erased()
        with self._erasing() as connection:
            return erasing.erase(connection, found)

    def forget(self, before: float, *, tenant: str | None = None, stream: str | None = None) -> int:
        """Delete followed events that came before this time, seconds since 1970; gives how many.

        Of a tenant, or of all; with `stream` of that one alone. A few thousand go at a time, so that nobody who writes
        waits for long.
        """
        query = select(t.streams.c.key)
        for column, value in ((t.streams.c.tenant, tenant), (t.streams.c.name, stream)):
            if value is not None:
                query = query.where(column == value)
        gone = 0
        for row in self._rows(query.order_by(t.streams.c.key)):
            while True:
                with self._erasing() as connection:
                    ids = erasing.forget(connection, row.key, before, most=_FORGOTTEN_AT_ONCE)
                gone += len(ids)
                if len(ids) < _FORGOTTEN_AT_ONCE:
                    break
        if gone:
            with self._erasing() as connection:
                erasing.erase_copies(connection)
        return gone

    # How it is done

    @contextmanager
    def _writing(self) -> Iterator[Connection]:
        with translated(self._url), self._turn, writing(self._engine) as connection:
            yield connection

    @contextmanager
    def _erasing(self) -> Iterator[Connection]:
        """As `_writing`; what it drops is overwritten in a SQLite file, and in the log of its latest writes."""
        if not self._is_file:
            with self._writing() as connection:
                yield connection
            return
        with self._writing() as connection:
            connection.exec_driver_sql("PRAGMA secure_delete = ON")
            try:
                yield connection
            finally:
                connection.exec_driver_sql("PRAGMA secure_delete = OFF")
        # Where somebody reads just now the log of writes stays; later writes go over it.
        with (
            closing(sqlite3.connect(str(self._url.database), timeout=_PATIENCE)) as connection,
            suppress(sqlite3.Error),
        ):
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def _rows(self, query: Select[Any]) -> Sequence[reading.AnyRow]:
        with translated(self._url), self._engine.connect() as connection:
            return connection.execute(query).all()

    def _rows_of(self, owner: str) -> Iterator[int]:
        query = select(t.positions.c.stream_key).where(t.positions.c.owner == owner)
        return (row.stream_key for row in self._rows(query))

    def _append(self, batch: Batch, most_streams: int, *, careful: bool) -> Appended:
        names = dict.fromkeys((event.tenant, event.stream) for event in batch.events)
        refused: Mapping[StreamName, str] = {}
        found: dict[StreamName, int] = {}
        with self._turn, writing(self._engine) as connection:
            missing = [name for name in names if name not in self._keys]
            if missing:
                found, refused = keys_of(connection, missing, now=batch.received, most=most_streams)
            result = append(connection, batch, {**self._keys, **found}, careful=careful)
        self._keys.update(found)
        why = {
            place: refused[event.tenant, event.stream]
            for place, event in (enumerate(batch.events) if refused else ())
            if (event.tenant, event.stream) in refused
        }
        return Appended(result.duplicates, why, begins=bool(found))


_JUDGE = (
    update(t.events)
    .where(
        t.events.c.stream_key == bindparam("of_stream"),
        t.events.c.seq == bindparam("of_seq"),
        t.events.c.goal.is_(None),
        t.events.c.failure.is_(None),
    )
    .values(
        goal=bindparam("new_goal"),
        probabilities=bindparam("new_probabilities", t.events.c.probabilities.type),
        typicality=bindparam("new_typicality"),
        classifier=bindparam("new_classifier"),
        failure=bindparam("new_failure", t.events.c.failure.type),
        edition=bindparam("new_edition"),
    )
)


def _judged(one: Judgement, edition: int | None) -> dict[str, Any]:
    verdict: Verdict | None = one.verdict
    return {
        "of_stream": one.stream_key,
        "of_seq": one.seq,
        "new_goal": None if verdict is None else verdict.goal,
        "new_probabilities": None if verdict is None else list(verdict.probabilities),
        "new_typicality": None if verdict is None else verdict.typicality,
        "new_classifier": one.classifier,
        "new_failure": one.failure,
        "new_edition": edition,
    }


def _move(connection: Connection, step: Advance, owner: str, now: float) -> bool:
    """Whether the position was still as it was read, and is now the new one."""
    p = t.positions.c
    same = (p.stream_key == step.stream_key, p.version == step.version, p.owner == owner)
    new = {
        "version": step.version + 1,
        "cursor": step.cursor,
        "monitor": json.dumps(step.monitor),
        "counts": dict(step.counts),
        "failures": step.failures,
        "updated": now,
    }
    return connection.execute(update(t.positions).where(*same).values(**new)).rowcount == 1


def _note(connection: Connection, done: Intervention) -> None:
    connection.execute(insert(t.interventions).values(**{**asdict(done), "body": dict(done.body)}))


def _add_minutes(connection: Connection, step: Advance) -> None:
    if not step.minutes:
        return
    starts = [minute.start for minute in step.minutes]
    here = t.minutes.c.stream_key == step.stream_key
    query = select(t.minutes).where(here, t.minutes.c.start.in_(starts))
    known = {row.start: row for row in connection.execute(query)}
    rows = []
    for minute in step.minutes:
        counts, failures = dict(minute.counts), minute.failures
        if minute.start in known:
            before = known[minute.start]
            counts = {goal: before.counts.get(goal, 0) + counts.get(goal, 0) for goal in {**before.counts, **counts}}
            failures += before.failures
        evidence = {"evidence": minute.evidence, "threshold": minute.threshold}
        rows.append(
            {"stream_key": step.stream_key, "start": minute.start, "counts": counts, "failures": failures, **evidence}
        )
    values = ["counts", "failures", "evidence", "threshold"]
    connection.execute(insert_or_replace(connection, t.minutes, ["stream_key", "start"], values), rows)


def _add_alerts(connection: Connection, step: Advance, now: float) -> None:
    if not step.alerts:
        return
    numbers: dict[str, int] = {}
    for alert in step.alerts:
        row = {"stream_key": step.stream_key, "created": now, "body": dict(alert), "expected": False}
        row |= {name: alert[name] for name in ("id", "tier", "kind")}
        made = insert(t.alerts).values(**row).returning(t.alerts.c.number)
        numbers[alert["id"]] = connection.execute(made).scalar_one()
    for id, target in step.deliveries:
        row = {"alert_number": numbers[id], "target": target, "attempts": 0, "next_at": now, "state": t.QUEUED}
        connection.execute(insert_new(connection, t.deliveries), row)
