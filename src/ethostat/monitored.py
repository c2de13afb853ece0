"""A stream of recorded responses, monitored: rows in, alerts out as they happen, exactly resumed after a crash."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ethostat import fields
from ethostat.classifiers import Classifier, attempt, load_builtin
from ethostat.errors import InvalidInput, InvalidRow, TooLittleEvidence, UnreadableAnswer
from ethostat.feed import Fed, Place, feed
from ethostat.maths.profile import Profile
from ethostat.measured import open_shelf
from ethostat.monitor import Alert, Baseline, Monitor, Monitors
from ethostat.monitor.baseline import UNSTRATIFIED
from ethostat.provenance import check_goals
from ethostat.response import Verdict
from ethostat.rows import Rejected, Row
from ethostat.statefile import StateFile
from ethostat.store import Store
from ethostat.taxonomy import FIVE_GOALS, Taxonomy
from ethostat.transcripts.table import read_row
from ethostat.transcripts.transcript import Places, TranscriptRow

FIRST = "first:"
COUNTS = "counts:"
_NONE = "(none)"
_SECONDS_BETWEEN_SAVES = 1.0


@dataclass(frozen=True, slots=True)
class Columns:
    """Fields of a row: those whose values make the key of its stream, its stratum, and the model's version."""

    key: tuple[str, ...] = ()
    stratum: str | None = None
    version: str | None = None

    def key_of(self, row: Row) -> tuple[str, ...]:
        """The values, "(none)" for a field that the row lacks."""
        return tuple(fields.identifier(row, name) or _NONE for name in self.key)

    def stratum_of(self, row: Row) -> str:
        """The value, "(none)" where the row lacks it."""
        return UNSTRATIFIED if self.stratum is None else fields.identifier(row, self.stratum) or _NONE

    def version_of(self, row: Row) -> str | None:
        """The value, None where the row lacks it."""
        return None if self.version is None else fields.identifier(row, self.version)


@dataclass(frozen=True, slots=True)
class _Sorted:
    """A row with its verdict, and the classifier's hash where the row did not bring it."""

    row: TranscriptRow
    fields: Row
    verdict: Verdict
    classifier: str | None


def read_baseline(
    source: str,
    *,
    taxonomy: Taxonomy = FIVE_GOALS,
    classifier: Classifier | None = None,
    stratum: str | None = None,
    store: Store | None = None,
    rows: str | None = None,
) -> Baseline:
    """The baseline that this names: `first:N`, `counts:N,N,...` by goal, a run, a Measurement file, or a file of rows.

    With `stratum` a file of responses is counted by that field, and a measurement by the categories of its prompts
    ("category"). With `rows`, a file of responses, `first:N` is the profile of its first N, not of the first N to come.
    Raises InvalidInput for what is none of these, TooLittleEvidence for a file without (so many) usable rows.
    """
    if source.startswith(FIRST):
        n = _whole(source.removeprefix(FIRST))
        return Baseline.of_first(n) if rows is None else _first(rows, n, taxonomy, classifier)
    if source.startswith(COUNTS):
        return _written(source.removeprefix(COUNTS), taxonomy)
    name = source.removeprefix("transcripts:")
    if stratum is not None and Path(name).is_file() and not name.lower().endswith(".json"):
        return _counted(name, Columns(stratum=stratum), taxonomy, classifier)
    if stratum not in (None, "category"):
        raise InvalidInput(
            f"a measurement knows the strata `category` only, got {stratum!r}; give rows with this field, or first:N"
        )
    with open_shelf(store, taxonomy=taxonomy, classifier=classifier) as shelf:
        found = shelf.find(source).measurement
    if found.provenance.taxonomy.hash != taxonomy.hash:
        raise InvalidInput(
            f"baseline {source} counts goals of {found.provenance.taxonomy.name!r}, not of {taxonomy.name!r}; "
            "pass --taxonomy, or measure it again"
        )
    return Baseline.of_measurement(found, by_category=stratum is not None)


def _whole(text: str) -> int:
    if not (text.isascii() and text.isdigit()) or not 1 <= int(text[:10]) <= 10**7:
        raise InvalidInput(f"first:N needs a whole number from 1 to 10,000,000, got {text[:40]!r}")
    return int(text)


def _written(text: str, taxonomy: Taxonomy) -> Baseline:
    parts = text.split(",")
    if len(parts) != len(taxonomy.goals) or not all(part.strip().isdigit() for part in parts):
        wanted = ",".join(f"N of {key}" for key in taxonomy.keys)
        raise InvalidInput(f"counts:{wanted} needs a whole number for each goal, got {text[:60]!r}")
    return Baseline.of(Profile(tuple(map(int, parts))), name="counts")


def _first(path: str, n: int, taxonomy: Taxonomy, classifier: Classifier | None) -> Baseline:
    """The profile of the first n usable rows."""
    sorter, rejected, counts = Sorter(taxonomy, classifier), Rejected(), [0] * len(taxonomy.goals)
    for batch in feed(path):
        for one, _ in sorter.sort(batch, path):
            if isinstance(one, InvalidRow):
                rejected.add(one)
            elif sum(counts) < n:
                counts[taxonomy.index(one.verdict.goal)] += 1
        if sum(counts) == n:
            return Baseline.of(Profile(tuple(counts)), name=f"the first {n} responses of {Path(path).name}")
    raise TooLittleEvidence(f"{path} has {sum(counts)} usable rows, not {n}; ask for fewer. {rejected}".strip())


def _counted(path: str, columns: Columns, taxonomy: Taxonomy, classifier: Classifier | None) -> Baseline:
    sorter, rejected = Sorter(taxonomy, classifier), Rejected()
    counts: dict[str, list[int]] = {}
    for batch in feed(path):
        for one, _ in sorter.sort(batch, path):
            if isinstance(one, InvalidRow):
                rejected.add(one)
                continue
            row = counts.setdefault(columns.stratum_of(one.fields), [0] * len(taxonomy.goals))
            row[taxonomy.index(one.verdict.goal)] += 1
    if not counts:
        raise TooLittleEvidence(f"{path} has no usable row; {rejected}")
    return Baseline.of_strata({name: Profile(tuple(row)) for name, row in counts.items()}, name=Path(path).name)


@dataclass(slots=True)
class Sorter:
    """Gives rows their verdicts: their own, or the classifier's, the built-in one unless another is given."""

    taxonomy: Taxonomy
    classifier: Classifier | None = None

    def sort(self, batch: list[Fed], name: str) -> list[tuple[_Sorted | InvalidRow, Place]]:
        """Each row with its verdict, in order; one that has none, or is none, as an InvalidRow."""
        read = [(self._read(row, name), row, place) for row, place in batch]
        waiting = [one for one, _, _ in read if isinstance(one, TranscriptRow) and one.verdict is None]
        said = iter(attempt(self._opened(), [one.response for one in waiting]) if waiting else ())
        found: list[tuple[_Sorted | InvalidRow, Place]] = []
        for one, row, place in read:
            if isinstance(one, InvalidRow) or isinstance(row, InvalidRow):
                found.append((one if isinstance(one, InvalidRow) else InvalidRow(name, one.line, "no row"), place))
                continue
            verdict = one.verdict or next(said)
            if isinstance(verdict, UnreadableAnswer):
                found.append((InvalidRow(name, one.line, str(verdict)), place))
                continue
            by = None if one.verdict or self.classifier is None else self.classifier.hash
            found.append((_Sorted(one, row, verdict, by), place))
        return found

    def _read(self, row: Row | InvalidRow, name: str) -> TranscriptRow | InvalidRow:
        if isinstance(row, InvalidRow):
            return row
        try:
            return read_row(row, Places(self.taxonomy))  # places of its own: memory must not grow with the stream
        except InvalidInput as error:
            return InvalidRow(name, row.line, str(error))

    def _opened(self) -> Classifier:
        if self.classifier is None:
            self.classifier = load_builtin()
        check_goals(self.classifier, self.taxonomy)
        return self.classifier


@dataclass(slots=True)
class Session:
    """Monitors over one source of rows. `alerts` runs it; a session that was killed goes on from its state file.

    The state (evidence, place in the source, alerts not yet known to be out) is replaced as a whole: before an alert is
    given and after. What is read from a file is so counted exactly once. An alert may be given again after a crash
    between the two, under the same id; with `out`, a JSONL file that this session alone writes, not even that.
    `rejected` counts rows that could not be used, `rows` those that were, both of this run alone.
    """

    monitors: Monitors
    source: str
    sorter: Sorter
    columns: Columns = field(default_factory=Columns)
    state: Path | None = None
    out: Path | None = None
    follow: bool = False
    rejected: Rejected = field(default_factory=Rejected)
    rows: int = 0
    resumed: bool = False
    _place: Place = field(default_factory=Place)
    _outbox: list[Alert] = field(default_factory=list)
    _written: int = 0
    _saved: float = 0.0
    _pause: float = _SECONDS_BETWEEN_SAVES
    _file: StateFile | None = None

    def alerts(self) -> Iterator[Alert]:
        """Alerts as they happen, until the source ends. Raises InvalidInput where state and settings do not fit."""
        with ExitStack() as open_:
            if self.state is not None:
                self._file = open_.enter_context(StateFile(self.state))
                yield from self._resume(self._file)
            for batch in feed(self.source, self._place, follow=self.follow):
                for one, place in self.sorter.sort(batch, self.source):
                    yield from self._take(one, place)
                if not batch:
                    yield from self._give(self.monitors.tick(datetime.now(UTC).isoformat()))
                self._save_in_time()
            self._save()

    @property
    def standing(self) -> list[Monitor]:
        """The monitors whose alert stands."""
        return [one for _, one in self.monitors if one.is_alerting]

    @property
    def learning(self) -> list[Monitor]:
        """The monitors that still learn what is normal."""
        return [one for _, one in self.monitors if one.reading is None]

    def _take(self, one: _Sorted | InvalidRow, place: Place) -> Iterator[Alert]:
        alerts: list[Alert] = []
        if isinstance(one, InvalidRow):
            self.rejected.add(one)
        else:
            try:
                alerts = self._update(one)
                self.rows += 1
            except InvalidInput as error:
                self.rejected.add(InvalidRow(self.source, one.row.line, str(error)))
        self._place = place
        yield from self._give(alerts)

    def _update(self, one: _Sorted) -> list[Alert]:
        response, columns = one.row.response, self.columns
        key = columns.key_of(one.fields)
        first = self.monitors.update(
            one.verdict,
            key,
            time=response.time or self._arrival(),
            id=response.id,
            stratum=columns.stratum_of(one.fields),
            version=columns.version_of(one.fields),
            classifier=one.classifier,
        )
        return [] if first is None else [first, *iter(self.monitors.get(key).due, None)]

    def _arrival(self) -> str | None:
        """Now, where silence is to be noticed and the row does not say when it was."""
        watched = self.follow and self.monitors.template.policy.silence is not None
        return datetime.now(UTC).isoformat() if watched else None

    def _give(self, alerts: list[Alert]) -> Iterator[Alert]:
        if not alerts:
            return
        self._outbox = alerts
        self._save()
        yield from self._empty_outbox()

    def _empty_outbox(self) -> Iterator[Alert]:
        for alert in self._outbox:
            if self.out is not None:
                self._written += _append(self.out, alert)
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
                "out_size": self._written,
            }
        )
        self._saved = time.monotonic()
        self._pause = max(_SECONDS_BETWEEN_SAVES, 20 * (self._saved - began))

    def _settings(self) -> dict[str, Any]:
        return {
            "source": self.source,
            "out": None if self.out is None else str(self.out),
            "columns": {
                "key": list(self.columns.key),
                "stratum": self.columns.stratum,
                "version": self.columns.version,
            },
        }

    def _resume(self, file: StateFile) -> Iterator[Alert]:
        kept = file.read()
        if kept is None:
            self._written = _size(self.out)
            return
        self._check(kept)
        try:
            self.monitors = Monitors.from_dict(kept["monitors"], detector=self.monitors.template.kind)
            self._place, self._written = Place(**kept["place"]), int(kept["out_size"])
            self._outbox = [Alert.from_dict(alert) for alert in kept["outbox"]]
        except (KeyError, TypeError) as error:
            raise InvalidInput(
                f"{file.path} is no state of this command: {error!r}; remove it to begin anew"
            ) from error
        self.resumed = True
        if self._outbox:
            _cut(self.out, self._written)
            yield from self._empty_outbox()

    def _check(self, kept: Mapping[str, Any]) -> None:
        """A state goes on under the settings that it was made under, or not at all."""
        mine = {**self._settings(), **self.monitors.template.settings_to_dict(), "name": self.monitors.template.name}
        monitors = kept.get("monitors", {})
        theirs = {**kept, **monitors.get("settings", {}), "name": monitors.get("name")}
        if other := [name for name, value in mine.items() if theirs.get(name) != value]:
            raise InvalidInput(
                f"{self.state} was made with another {', '.join(other)}; use the same, or another state file"
            )


def _append(path: Path, alert: Alert) -> int:
    line = json.dumps(alert.to_dict(), ensure_ascii=True, allow_nan=False).encode() + b"\n"
    try:
        with path.open("ab") as file:
            file.write(line)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise InvalidInput(f"{path} cannot be written: {error.strerror or error}; choose another path") from error
    return len(line)


def _size(path: Path | None) -> int:
    return path.stat().st_size if path is not None and path.exists() else 0


def _cut(path: Path | None, size: int) -> None:
    """Take off what may have been written of alerts that are about to be written."""
    if path is not None and _size(path) > size:
        with path.open("r+b") as file:
            file.truncate(size)
