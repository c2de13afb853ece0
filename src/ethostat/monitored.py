"""A stream of recorded responses, monitored: rows in, alerts out as they happen, exactly resumed after a crash."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ethostat.alertfile import AlertFile
from ethostat.audited import AuditSet
from ethostat.errors import InvalidInput, InvalidRow
from ethostat.feed import Place, feed
from ethostat.monitor import Alert, Monitor, Monitors, Screened
from ethostat.monitor.screening import SCREENING
from ethostat.orders import orders_beside
from ethostat.rows import Rejected
from ethostat.sorting import Columns, Sorted, Sorter
from ethostat.statefile import StateFile

_SECONDS_BETWEEN_SAVES = 1.0


@dataclass(slots=True)
class Session:
    """Monitors over one source of rows. `alerts` runs it; a session that was killed goes on from its state file.

    The state (evidence, place in the source, alerts not yet known to be out) is replaced as a whole: before an alert is
    given and after. What is read from a file is so counted exactly once. An alert may be given again after a crash
    between the two, under the same id; in `out`, a JSONL file, not even then.
    `on_alert` is called with each after it is written and before it is given: again after a crash, and never not.
    `rejected` counts rows that could not be used, `rows` those that were, `refused` says which orders were not followed
    and why, all of this run alone.
    """

    monitors: Monitors
    source: str
    sorter: Sorter
    columns: Columns = field(default_factory=Columns)
    state: Path | None = None
    out: Path | None = None
    follow: bool = False
    audit: AuditSet | None = None
    on_alert: Callable[[Alert | Screened], None] | None = None
    rejected: Rejected = field(default_factory=Rejected)
    rows: int = 0
    refused: list[str] = field(default_factory=list)
    resumed: bool = False
    _place: Place = field(default_factory=Place)
    _outbox: list[Alert | Screened] = field(default_factory=list)
    _size: int = 0
    _obeyed: int = 0
    _saved: float = 0.0
    _pause: float = _SECONDS_BETWEEN_SAVES
    _file: StateFile | None = None

    def alerts(self) -> Iterator[Alert | Screened]:
        """Alerts and screenings as they happen, until the source ends. Raises InvalidInput for a strange state."""
        with ExitStack() as open_:
            if self.state is not None:
                self._file = open_.enter_context(StateFile(self.state))
                yield from self._resume(self._file)
            yield from self._obey()
            yield from self._audit()
            for batch in feed(self.source, self._place, follow=self.follow):
                for one, place in self.sorter.sort(batch, self.source):
                    yield from self._take(one, place)
                if not batch:
                    yield from self._give(self.monitors.tick(datetime.now(UTC).isoformat()))
                yield from self._obey()
                self._save_in_time()
            if self._file is None:
                yield from self._give(self.monitors.close_sessions())
            if self.monitors.screening is not None and self.monitors.screening.every is None:
                yield from self._give([self.monitors.screen()])
            self._save()

    @property
    def standing(self) -> list[Monitor]:
        """The monitors whose alert stands."""
        return [one for _, one in self.monitors if one.is_alerting]

    @property
    def learning(self) -> list[Monitor]:
        """The monitors that still learn what is normal."""
        return [one for _, one in self.monitors if one.reading is None]

    def _take(self, one: Sorted | InvalidRow, place: Place) -> Iterator[Alert | Screened]:
        alerts: list[Alert | Screened] = []
        if isinstance(one, InvalidRow):
            self.rejected.add(one)
        else:
            try:
                alerts += self._update(one)
                self.rows += 1
                if self.monitors.is_look_due:
                    alerts.append(self.monitors.screen())
                if self.audit is not None:
                    self.audit.count()
            except InvalidInput as error:
                self.rejected.add(InvalidRow(self.source, one.row.line, str(error)))
        self._place = place
        yield from self._give(alerts)
        yield from self._audit()

    def _obey(self) -> Iterator[Alert | Screened]:
        """Orders that were given while this process held the state, each once."""
        for order, place in orders_beside(self.state, self._obeyed) if self.state is not None else ():
            self._obeyed, alerts = place, []
            try:
                if isinstance(order, InvalidInput):
                    raise order
                alerts = order.give(self.monitors)
            except InvalidInput as error:
                self.refused.append(str(error))
            if not alerts:
                self._save()
            yield from self._give(alerts)

    def _audit(self) -> Iterator[Alert | Screened]:
        """Ask the classifier again where it is time."""
        if self.audit is not None and self.audit.is_due:
            alert = self.audit.ask(self.sorter.opened(), time=datetime.now(UTC).isoformat())
            yield from self._give([] if alert is None else [alert])

    def _update(self, one: Sorted) -> list[Alert]:
        response, columns = one.row.response, self.columns
        key = columns.key_of(one.fields)
        first = self.monitors.update(
            one.verdict,
            key,
            time=response.time or self._arrival(),
            id=response.id,
            stratum=columns.stratum_of(one.fields),
            session=columns.session_of(one.fields),
            version=columns.version_of(one.fields),
            classifier=one.classifier,
        )
        return [] if first is None else [first, *iter(self.monitors.get(key).due, None)]

    def _arrival(self) -> str | None:
        """Now, where silence is to be noticed and the row does not say when it was."""
        watched = self.follow and self.monitors.template.policy.silence is not None
        return datetime.now(UTC).isoformat() if watched else None

    def _give(self, alerts: Sequence[Alert | Screened]) -> Iterator[Alert | Screened]:
        if not alerts:
            return
        self._outbox, self._size = list(alerts), AlertFile(self.out).size
        self._save()
        yield from self._empty_outbox()

    def _empty_outbox(self) -> Iterator[Alert | Screened]:
        for alert in self._outbox:
            AlertFile(self.out).add(alert.to_dict(), since=self._size)
            if self.on_alert is not None:
                self.on_alert(alert)
            yield alert
        self._outbox = []
        self._save()

    def _save_in_time(self) -> None:
        if time.monotonic() - self._saved >= self._pause:
            self._save()

    def _save(self) -> None:
        """At most a twentieth of the time goes into it, alerts aside."""
        if self._file is None:
            return
        began = time.monotonic()
        self._file.write(
            {
                **self._settings(),
                "place": self._place.to_dict(),
                "monitors": self.monitors.to_dict(),
                "outbox": [alert.to_dict() for alert in self._outbox],
                "out_size": self._size,
                "obeyed": self._obeyed,
                "audit": None if self.audit is None else self.audit.to_dict(),
            }
        )
        self._saved = time.monotonic()
        self._pause = max(_SECONDS_BETWEEN_SAVES, 20 * (self._saved - began))

    def _settings(self) -> dict[str, Any]:
        return {
            "source": self.source,
            "out": None if self.out is None else str(self.out),
            "audited": None if self.audit is None else self.audit.every,
            "columns": {
                "key": list(self.columns.key),
                "stratum": self.columns.stratum,
                "version": self.columns.version,
                "session": self.columns.session,
            },
        }

    def _resume(self, file: StateFile) -> Iterator[Alert | Screened]:
        kept = file.read()
        if kept is None:
            return
        self._check(kept)
        try:
            self.monitors = Monitors.from_dict(
                kept["monitors"], detector=self.monitors.template.kind, baselines=self.monitors.baselines
            )
            self._place, self._size = Place(**kept["place"]), int(kept["out_size"])
            self._obeyed = int(kept["obeyed"])
            if self.audit is not None:
                self.audit.restore(kept["audit"])
            self._outbox = [_told(one) for one in kept["outbox"]]
        except (KeyError, TypeError) as error:
            raise InvalidInput(
                f"{file.path} is no state of this command: {error!r}; remove it to begin anew"
            ) from error
        self.resumed = True
        if self._outbox:
            yield from self._empty_outbox()

    def _check(self, kept: Mapping[str, Any]) -> None:
        """A state goes on under the settings that it was made under, or not at all."""
        mine = _flat({**self._settings(), "monitors": self.monitors.settings_to_dict()})
        theirs = _flat(kept)
        if other := [name for name, value in mine.items() if theirs.get(name) != value]:
            raise InvalidInput(
                f"{self.state} was made with another {', '.join(other)}; use the same, or another state file"
            )


def _told(fields: Mapping[str, Any]) -> Alert | Screened:
    return Screened.from_dict(fields) if fields["kind"] == SCREENING else Alert.from_dict(fields)


def _flat(kept: Mapping[str, Any]) -> dict[str, Any]:
    """Settings by name, those of the monitors among them."""
    monitors = kept.get("monitors", {})
    return {**kept, **monitors, **monitors.get("settings", {}), "monitors": None, "settings": None}
