"""Backfill from a service's log: what other settings would have said of the events that it keeps."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, NamedTuple

import numpy as np

from ethostat.errors import InvalidInput, TooLittleEvidence
from ethostat.ledger import Ledger
from ethostat.monitor import Alert, Monitor, Monitors
from ethostat.monitor.monitors import Key
from ethostat.monitor.replay import Replay, Said
from ethostat.scaling.crews import Alone, Crew
from ethostat.scaling.replaying import MOST_STREAMS, Replayed, together

_PAGE = 5000


class Logged(NamedTuple):
    """A stream of the log: its tenant and name, its number, how many events it has had."""

    key: Key
    number: int
    last: int

    @property
    def name(self) -> str:
        """For people."""
        return "/".join(self.key)


@dataclass(frozen=True, slots=True)
class Rereading:
    """Work: a stream of the log from its first event that is kept to its last."""

    database: str
    template: Mapping[str, Any]
    name: str

    def __call__(self, stream: Logged) -> dict[str, Any]:
        monitors = Monitors(Monitor.from_settings(self.template, name=self.name), most=MOST_STREAMS)
        replay, goals = Replay(monitors), monitors.template.taxonomy
        places, alerts, rows, rejected = {key: n for n, key in enumerate(goals.keys)}, [], 0, 0
        with Ledger(self.database, create=False) as ledger:
            for page in _pages(ledger, stream):
                mine = [row for row in page if row.goal in places and _is_of(ledger, row, goals.hash)]
                rows, rejected = rows + len(mine), rejected + len(page) - len(mine)
                for said in _runs(mine, stream.key, places):
                    alerts += [[stream.number, one.alert.step, one.alert.to_dict()] for one in replay.take(said)]
        streams = [[[stream.number, 0], one] for one in monitors.to_dict()["streams"]]
        return {"streams": streams, "alerts": alerts, "rows": rows, "rejected": rejected}


def backfill_ledger(database: str, template: Monitor, *, crew: Crew | None = None) -> Replayed:
    """Take the events of a service's log through monitors in the settings of `template`, streams side by side.

    The service may be running. An event counts where it has a verdict in the goals of `template`; those of other
    editions of the goals, and those that wait, are counted as rejected. Raises InvalidInput for a template with
    sessions, strata or soft verdicts, StoreError for a database that is none, TooLittleEvidence where no event counts.
    """
    if template.sessions is not None or template.stratified or template.soft:
        raise InvalidInput("a backfill knows no sessions, strata or soft verdicts; leave them out")
    with Ledger(database, create=False) as ledger:
        streams = [_logged(ledger, one.tenant, one.name, one.last) for one in ledger.streams()]
    work = Rereading(database, template.settings_to_dict(), template.name)
    found = [made for _, made in (crew or Alone()).run(work, [one for one in streams if one is not None])]
    rows, rejected = sum(one["rows"] for one in found), sum(one["rejected"] for one in found)
    if not rows:
        raise TooLittleEvidence(f"the log holds no event with a verdict in {template.taxonomy.name!r}")
    monitors, alerts = together(template, {}, found, rows=rows)
    first = (f"{rejected:,} events have no verdict in {template.taxonomy.name!r}",) if rejected else ()
    return Replayed(monitors, _in_time(alerts), rows, rejected, first)


def _logged(ledger: Ledger, tenant: str, name: str, last: int) -> Logged | None:
    position = ledger.find_stream(tenant, name)
    return None if position is None else Logged((tenant, name) if tenant else (name,), position.stream_key, last)


def _pages(ledger: Ledger, stream: Logged) -> Iterator[Sequence[Any]]:
    after = 0
    while page := ledger.verdicts(stream.number, after=after, most=_PAGE):
        if page[0].seq > stream.last:
            return
        yield [row for row in page if row.seq <= stream.last]
        after = page[-1].seq


def _is_of(ledger: Ledger, row: Any, goals: str) -> bool:
    """Whether a verdict is in these goals, as far as the log knows."""
    edition = None if row.edition is None else ledger.edition(row.edition)
    return edition is None or edition.hash == goals


def _runs(rows: Sequence[Any], key: Key, places: Mapping[str, int]) -> Iterator[Said]:
    """Rows side by side whose verdicts are of one classifier."""
    for by, run in groupby(rows, key=lambda row: row.classifier):
        mine = list(run)
        yield Said(
            [key],
            np.zeros(len(mine), dtype=np.int64),
            np.array([places[row.goal] for row in mine], dtype=np.int64),
            [row.event_id for row in mine],
            [row.time for row in mine],
            None if by is None else np.ones(len(mine), dtype=bool),
            by,
        )


def _in_time(alerts: Sequence[Alert]) -> tuple[Alert, ...]:
    """By the time that they name where all do, else stream by stream."""
    if all(alert.time is not None for alert in alerts):
        return tuple(sorted(alerts, key=lambda alert: alert.time or ""))
    return tuple(alerts)
