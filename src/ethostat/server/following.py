"""Following: the monitors of this process's streams, taken through the log in order, each event once.

A step is made in memory and written with the place it goes up to. Where it cannot be written (somebody intervened,
another process has the stream, the database is gone), what was made in memory is thrown away and made again from what
is on disk. So a monitor on disk is always the one that a reader of the log up to its cursor would have.
"""

from __future__ import annotations

import logging
import secrets
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from ethostat.errors import EthostatError, InvalidInput
from ethostat.ledger import Advance, Edition, Intervention, Ledger, Minute, Position
from ethostat.ledger.ledger import TICK
from ethostat.ledger.reading import AnyRow
from ethostat.monitor import Alert, Baseline, Monitor
from ethostat.monitor.policy import seconds
from ethostat.server.grouping import Grouping
from ethostat.server.intervening import apply
from ethostat.taxonomy import Taxonomy

_log = logging.getLogger("ethostat.server.following")
_PAGE = 1_000
_AT_ONCE = 5_000
_EVERY = 0.15
_IDLE = 1.0
_MINUTE = 60
LEASE = 15.0
"""Seconds until the streams of a process that is heard of no more are another's."""

Routes = Callable[[Position, Alert], Sequence[str]]
"""The targets that an alert of a stream is to be delivered to."""
Editions = Callable[[int], Edition | None]
"""An edition of the goals by number."""
_USUAL = Grouping()
_EDITION = "edition"


@dataclass(slots=True)
class Followed:
    """A stream as far as it was followed; `version`, `cursor` and totals are those on disk once a step is written.

    `edition` is the number of the goals that its monitor counts, 0 where that is not known.
    """

    key: int
    tenant: str
    stream: str
    version: int
    cursor: int
    monitor: Monitor
    counts: dict[str, int]
    failures: int
    editions: Editions
    grouping: Grouping
    edition: int
    alerts: list[Alert] = field(default_factory=list)
    minutes: dict[int, Minute] = field(default_factory=dict)

    @classmethod
    def of(cls, position: Position, template: Monitor, editions: Editions, grouping: Grouping = _USUAL) -> Followed:
        """From where it stands on disk; one that nobody followed begins as `template` and `grouping` say."""
        return cls(
            position.stream_key,
            position.tenant,
            position.stream,
            position.version,
            position.cursor,
            monitor_of(position, template),
            dict(position.counts),
            position.failures,
            editions,
            Grouping.of(position.monitor, grouping),
            int((position.monitor or {}).get(_EDITION, 0)),
        )

    @classmethod
    def at_start(cls, position: Position, template: Monitor, editions: Editions) -> Followed:
        """At the beginning of its log, with strata and sessions as it has them."""
        fresh = replace(position, monitor=None, cursor=0, counts={}, failures=0)
        return cls.of(fresh, template, editions, Grouping.of(position.monitor, _USUAL))

    def take(self, row: AnyRow) -> None:
        """One event, judged."""
        is_first, self.cursor = self.cursor == 0, row.seq
        if is_first:
            self._begin_under(row)
        is_counted = row.failure is None and self._counts(row)
        if is_counted:
            self.counts[row.goal] = self.counts.get(row.goal, 0) + 1
        else:
            self.failures += 1
        self._note(row, {row.goal: 1} if is_counted else {})

    def _counts(self, row: AnyRow) -> bool:
        """Whether the monitor took it. One event that it cannot take must not hold up its stream, nor others."""
        try:
            if not self._is_of_these_goals(row):
                return False
            self._update(row)
        except EthostatError:
            return False
        except Exception as error:  # noqa: BLE001
            _log.error("an event cannot be followed", extra={"fields": {"kind": type(error).__name__, "seq": row.seq}})
            return False
        return True

    def _update(self, row: AnyRow) -> None:
        said = row.goal
        if self.monitor.soft and row.probabilities is not None:
            said = [float(p) for p in row.probabilities]
        alert = self.monitor.update(
            said,
            time=row.time,
            id=row.event_id,
            stratum=self.grouping.stratum_of(row),
            session=self.grouping.session_of(row),
            classifier=row.classifier,
        )
        while alert is not None:
            self.alerts.append(alert)
            alert = self.monitor.due()

    def _begin_under(self, row: AnyRow) -> None:
        """A stream begins with the goals of its first event, which another process may have taken under others."""
        edition = None if row.edition is None else self.editions(row.edition)
        if edition is not None and self.monitor.step == 0 and self.monitor.taxonomy.hash != edition.hash:
            settings = {**self.monitor.settings_to_dict(), "taxonomy": edition.taxonomy, "baseline": edition.baseline}
            self.monitor = Monitor.from_settings(settings, name=self.monitor.name, detector=self.monitor.kind)

    def _is_of_these_goals(self, row: AnyRow) -> bool:
        """Whether its verdict is one of the monitor's goals: newer ones begin an epoch, older ones count no more."""
        if row.edition in (None, self.edition) or (edition := self.editions(row.edition)) is None:
            return True
        is_same = edition.hash == self.monitor.taxonomy.hash
        if row.edition < self.edition:
            return is_same
        if not is_same:
            self.monitor.begin_epoch(
                taxonomy=Taxonomy.from_dict(dict(edition.taxonomy)), baseline=Baseline.from_dict(edition.baseline)
            )
        self.edition = row.edition
        return True

    def kept(self) -> dict[str, Any]:
        """The monitor as it lies on disk, with what else is to be known when it goes on."""
        edition = {_EDITION: self.edition} if self.edition else {}
        return {**self.monitor.to_dict(), **self.grouping.to_dict(), **edition}

    def _note(self, row: AnyRow, counts: dict[str, int]) -> None:
        start = int(_moment(row) // _MINUTE) * _MINUTE
        before = self.minutes.get(start)
        failures = 1 - len(counts)
        if before is not None:
            goal = next(iter(counts), None)
            counts = dict(before.counts) if goal is None else {**before.counts, goal: before.counts.get(goal, 0) + 1}
            failures += before.failures
        self.minutes[start] = Minute(start, counts, failures, None, None)

    def step(self, routes: Routes, *, tick: str | None = None) -> Advance:
        """What is to be written: all that changed since the last step."""
        reading = self.monitor.reading
        if reading is not None and self.minutes:
            last = next(reversed(self.minutes))
            minute = self.minutes[last]
            self.minutes[last] = replace(minute, evidence=reading.evidence, threshold=reading.threshold)
        here = Position(self.key, self.tenant, self.stream, self.version, self.cursor, self.cursor, None, {}, 0)
        return Advance(
            self.key,
            self.version,
            self.cursor,
            self.kept(),
            dict(self.counts),
            self.failures,
            tuple(alert.to_dict() for alert in self.alerts),
            tuple((alert.id, target) for alert in self.alerts for target in routes(here, alert)),
            tuple(self.minutes.values()),
            tick,
        )

    def written(self) -> None:
        """The step is on disk."""
        self.version += 1
        self.alerts, self.minutes = [], {}


def _moment(row: AnyRow) -> float:
    """Seconds since 1970: when it was, or else when it came."""
    try:
        found = seconds(row.time)
    except InvalidInput:
        found = None
    return float(row.received) if found is None else found


def monitor_of(position: Position, template: Monitor) -> Monitor:
    """The monitor of a stream as it stands on disk; where it has none, one in the settings of `template`."""
    if position.monitor is not None:
        is_like = position.monitor["settings"]["detector"] == template.kind.name
        return Monitor.from_dict(position.monitor, detector=template.kind if is_like else None)
    name = f"{position.tenant}/{position.stream}" if position.tenant else position.stream
    return Monitor.from_settings(template.settings_to_dict(), name=name, detector=template.kind)


def replay(ledger: Ledger, stream_key: int, template: Monitor) -> tuple[Monitor, list[Alert]]:
    """The monitor that a reader of the whole log has, up to the stream's cursor, and the alerts it gave."""
    position = ledger.position(stream_key)
    if position is None:
        raise InvalidInput("the stream was deleted")
    followed, done = Followed.at_start(position, template, ledger.edition), ledger.interventions(stream_key)
    alerts: list[Alert] = []
    while followed.cursor < position.cursor:
        for row in ledger.verdicts(stream_key, after=followed.cursor, most=_PAGE):
            done = _intervened(followed, done)
            if row.seq > position.cursor:
                break
            followed.take(row)
            followed.minutes.clear()
        else:
            continue
        break
    _intervened(followed, done)
    alerts.extend(followed.alerts)
    return followed.monitor, alerts


def _intervened(followed: Followed, done: Sequence[Intervention]) -> list[Intervention]:
    """What was done at this place is done again; gives what is still to come."""
    here = [one for one in done if one.cursor == followed.cursor]
    for one in here:
        if one.kind == TICK:
            _tick(followed, one.body["time"])
        else:
            apply(followed.monitor, one.kind, one.body)
    return [one for one in done if one.cursor != followed.cursor]


def _tick(followed: Followed, now: str) -> None:
    alert = followed.monitor.tick(now)
    while alert is not None:
        followed.alerts.append(alert)
        alert = followed.monitor.due()


class Following:
    """A thread that takes the streams of this process through the log.

    `template` is the monitor that a new stream begins with, `grouping` what tells its strata and sessions; `routes`
    says where an alert goes; `on_alert` is called with each alert once it is on disk. `wake` says that there is
    something to do.
    """

    def __init__(
        self,
        ledger: Ledger,
        template: Monitor,
        *,
        grouping: Grouping = _USUAL,
        routes: Routes = lambda _position, _alert: (),
        on_alert: Callable[[str, str, Alert], None] = lambda _tenant, _stream, _alert: None,
        on_step: Callable[[float, int], None] = lambda _seconds, _events: None,
    ) -> None:
        self._ledger, self._template, self._routes = ledger, template, routes
        self._grouping = grouping
        self._on_alert, self._on_step = on_alert, on_step
        self.owner = secrets.token_hex(8)
        self.streams: frozenset[int] = frozenset()
        self.error: str | None = None
        """Why streams are not followed now; None where they are."""
        self._known: dict[int, Followed] = {}
        self._awake, self._stopping = threading.Event(), threading.Event()
        self._claim_at = self._tick_at = 0.0
        self._thread = threading.Thread(target=self._run, name="following", daemon=True)

    @property
    def is_alive(self) -> bool:
        """Whether its thread runs."""
        return self._thread.is_alive()

    def start(self) -> None:
        """Begin to follow."""
        self._thread.start()

    def stop(self) -> None:
        """Finish the step that is under way, and let others have the streams."""
        self._stopping.set()
        self._awake.set()
        self._thread.join()
        try:
            self._ledger.release(self.owner)
        except EthostatError as error:
            _log.warning("streams are not released", extra={"fields": {"error": str(error)}})

    def wake(self, *, claim: bool = False) -> None:
        """There is something to follow; with `claim`, in streams that nobody has."""
        if claim:
            self._claim_at = 0.0
        self._awake.set()

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._awake.wait(_IDLE)
            began = time.monotonic()
            self._awake.clear()
            try:
                more = self._turn()
            except Exception as error:  # noqa: BLE001 - whatever it is, what is on disk is whole: begin again from there
                more = False
                self._failed(error)
            else:
                self._works()
            if more:
                self._awake.set()
            self._stopping.wait(max(0.0, began + _EVERY - time.monotonic()))

    def _turn(self) -> bool:
        """One round over the streams that have something new; whether there is more."""
        self._claim()
        began, events, more = time.monotonic(), 0, False
        steps: list[Followed] = []
        for key in self._ledger.lagging(self.owner):
            followed = self._followed(key)
            if followed is None:
                continue
            before = followed.cursor
            more |= self._read(followed, _AT_ONCE - events)
            if followed.cursor != before:
                steps.append(followed)
                events += followed.cursor - before
            if events >= _AT_ONCE or self._stopping.is_set():
                more = True
                break
        if steps:
            self._write(steps)
            self._on_step(time.monotonic() - began, events)
        self._tick_all()
        return more

    def _claim(self) -> None:
        if time.monotonic() < self._claim_at:
            return
        self._claim_at = time.monotonic() + (_IDLE if self._ledger.is_file else LEASE / 3)
        self.streams = self._ledger.claim(self.owner, seconds=LEASE)
        for key in self._known.keys() - self.streams:
            del self._known[key]

    def _followed(self, key: int) -> Followed | None:
        if key not in self._known:
            position = self._ledger.position(key)
            if position is None:
                return None
            self._known[key] = Followed.of(position, self._template, self._ledger.edition, self._grouping)
        return self._known[key]

    def _read(self, followed: Followed, most: int) -> bool:
        """Take what is judged, in order, up to the first that is not; whether there is more of it."""
        while most > 0:
            page = min(most, _PAGE)
            rows = self._ledger.verdicts(followed.key, after=followed.cursor, most=page)
            for row in rows:
                if row.goal is None and row.failure is None:
                    return False
                followed.take(row)
            if len(rows) < page:
                return False
            most -= page
        return True

    def _write(self, steps: Sequence[Followed], *, tick: str | None = None) -> None:
        refused = self._ledger.advance(self.owner, [one.step(self._routes, tick=tick) for one in steps])
        for one in steps:
            if one.key in refused:
                self._known.pop(one.key, None)
                self._awake.set()
                continue
            alerts = one.alerts
            one.written()
            for alert in alerts:
                self._on_alert(one.tenant, one.stream, alert)

    def _tick_all(self) -> None:
        """Tell the monitors what time it is, where silence is to be noticed."""
        silence = self._template.policy.silence
        if silence is None or time.monotonic() < self._tick_at:
            return
        self._tick_at = time.monotonic() + min(max(silence / 10, _IDLE), 60.0)
        now = datetime.now(UTC).isoformat(timespec="seconds")
        for key in self.streams:
            followed = self._followed(key)
            if followed is not None:
                _tick(followed, now)
                if followed.alerts:
                    self._write([followed], tick=now)

    def _failed(self, error: Exception) -> None:
        self._known.clear()
        if self.error is None:
            fields: Mapping[str, Any] = {"kind": type(error).__name__, "error": str(error)}
            _log.error("streams are not followed", extra={"fields": fields})
        self.error = str(error)
        self._claim_at = 0.0

    def _works(self) -> None:
        if self.error is not None:
            _log.info("following again")
            self.error = None
