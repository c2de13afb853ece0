"""Backfill: traffic that was stored, taken through monitors: what they would have said, and where they would stand.

Fragments -> Crew: verdicts of each by partition (verdicts.py) -> Crew: each partition's streams, in order -> Replayed
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ethostat.errors import InvalidInput, TooLittleEvidence
from ethostat.monitor import Alert, Baseline, Monitor, Monitors
from ethostat.monitor.monitors import Key
from ethostat.monitor.replay import Replay, Said
from ethostat.scaling.folder import Folder
from ethostat.scaling.jobs import Spread, folder_of, part_of, parts_of, planned, said_of, who
from ethostat.scaling.judging import Opener
from ethostat.scaling.verdicts import PARTITIONS, Sorting, batches
from ethostat.statefile import StateFile

MOST_STREAMS = 1_000_000


@dataclass(frozen=True, slots=True)
class Replayed:
    """What monitors said of stored traffic and where they stand; `alerts` in the order of what brought them.

    `rejected` rows of `rows` and these could not be used, of which `first` says why.
    """

    monitors: Monitors
    alerts: tuple[Alert, ...]
    rows: int
    rejected: int
    first: tuple[str, ...]

    def save(self, path: Path) -> None:
        """Write where the monitors stand, as a state file that `read_streams` reads.

        Raises InUse where another process holds it, InvalidInput where it cannot be written.
        """
        with StateFile(path) as file:
            file.write({"source": "backfill", "monitors": self.monitors.to_dict(), "obeyed": 0})


@dataclass(frozen=True, slots=True)
class Replaying:
    """Work: the streams of some partitions, each from its first response to its last; the more, the faster."""

    folder: Folder
    parts: tuple[str, ...]
    template: Mapping[str, Any]
    name: str
    baselines: Mapping[Key, Baseline]
    classifier: str | None

    def __call__(self, partitions: tuple[int, ...]) -> str:
        name = f"streams/{partitions[0]}.json"
        monitors = Monitors(
            Monitor.from_settings(self.template, name=self.name), baselines=self.baselines, most=MOST_STREAMS
        )
        replay, alerts = Replay(monitors), []
        seen: dict[Key, tuple[int, int]] = {}
        for place, table in batches(self.folder, self.parts, partitions):
            said, rows = _said(table, self.classifier)
            firsts = np.unique(said.streams, return_index=True)
            for stream, first in zip(*firsts, strict=True):
                seen.setdefault(said.keys[stream], (place, int(rows[first])))
            alerts += [[place, int(rows[one.place]), one.alert.to_dict()] for one in replay.take(said)]
        streams = [[list(seen[tuple(one["key"])]), one] for one in monitors.to_dict()["streams"]]
        self.folder.write_json(name, {"streams": streams, "alerts": alerts})
        return name


def _said(table: Any, classifier: str | None) -> tuple[Said, np.ndarray[Any, np.dtype[np.int64]]]:
    """The responses of a table, and their places in the fragment."""
    keys = table["key"].combine_chunks()
    keys = keys.chunk(0) if hasattr(keys, "num_chunks") else keys
    judged = np.asarray(table["judged"])
    said = Said(
        [tuple(json.loads(key)) for key in keys.dictionary.to_pylist()],
        keys.indices.to_numpy(zero_copy_only=False).astype(np.int64),
        np.asarray(table["goal"]).astype(np.int64),
        table["id"].to_pylist(),
        table["time"].to_pylist(),
        judged if judged.any() else None,
        classifier,
    )
    return said, np.asarray(table["row"])


def backfill(
    sources: Sequence[str],
    template: Monitor,
    *,
    key: Sequence[str] = (),
    baselines: Mapping[Key, Baseline] | None = None,
    classifier: Opener,
    rules: Spread | None = None,
) -> Replayed:
    """Take the recorded responses of many files through monitors in the settings of `template`, a stream for each key.

    Streams go side by side, the responses of each in the order of files (by name) and lines. Alerts and states are
    those of `ethostat monitor` on the same rows. Rows without a verdict are classified. The same call goes on where one
    into the same folder was stopped. Raises InvalidInput for sources without a file, and for a template with sessions
    or strata, TooLittleEvidence where no row is usable.
    """
    rules, chosen, goals = rules or Spread(), tuple(key), template.taxonomy
    if template.sessions is not None or template.stratified or template.soft:
        raise InvalidInput("a backfill knows no sessions, strata or soft verdicts; leave them out, or use a Session")
    with folder_of(rules.into) as folder:
        settings = {"job": "backfill", "key": list(chosen), "partitions": PARTITIONS, **who(classifier, goals)}
        fragments = planned(folder, sources, settings, rules)
        about = parts_of(folder, fragments, Sorting(folder, goals, classifier, chosen), rules)
        rejected, first = said_of(about)
        rows = sum(one["rows"] for one in about.values())
        if not rows:
            raise TooLittleEvidence(f"{', '.join(sources)}: no usable row of {rejected:,}; {'; '.join(first)}")
        parts = tuple(part_of(fragment) for fragment in fragments)
        work = Replaying(
            folder, parts, template.settings_to_dict(), template.name, dict(baselines or {}), classifier().hash
        )
        shares = [tuple(range(first, PARTITIONS, rules.crew.size)) for first in range(min(rules.crew.size, PARTITIONS))]
        names = [name for _, name in rules.crew.run(work, shares)]
        found = [folder.read_json(name) or {} for name in names]
    monitors, alerts = together(template, baselines or {}, found, rows=rows)
    return Replayed(monitors, alerts, rows, rejected, first)


def together(
    template: Monitor, baselines: Mapping[Key, Baseline], found: Sequence[Mapping[str, Any]], *, rows: int
) -> tuple[Monitors, tuple[Alert, ...]]:
    """All partitions: streams in the order in which they were first seen, alerts in that of their responses."""
    streams = sorted((one for part in found for one in part["streams"]), key=lambda one: one[0])
    alerts = sorted((one for part in found for one in part["alerts"]), key=lambda one: one[:2])
    empty = Monitors(template, baselines=baselines, most=max(len(streams), 10_000))
    whole = {**empty.to_dict(), "screenings": [rows, 0, 0], "streams": [one for _, one in streams]}
    monitors = Monitors.from_dict(whole, detector=template.kind, baselines=baselines)
    return monitors, tuple(Alert.from_dict(one) for _, _, one in alerts)
