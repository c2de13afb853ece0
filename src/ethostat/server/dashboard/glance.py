"""Streams at a glance: those that need eyes first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ethostat.ledger import KeptAlert, Ledger, Stream
from ethostat.ledger.courses import buckets, keys_of, latest_alerts, marks
from ethostat.maths.estimate import Estimate
from ethostat.monitor import Monitor
from ethostat.server.dashboard.course import entropies, rows_of, spark
from ethostat.server.dashboard.live import Name
from ethostat.taxonomy import Taxonomy

STATES = ("alert", "no-data", "learning", "ok")
"""In the order in which streams are shown."""
PAGE_SIZE = 50
_RECENT = 1_000
_MOST_KEPT = 2_000


@dataclass(frozen=True, slots=True)
class Glance:
    """A stream on a line: its state, S of this epoch, the course of S over its last responses, how far behind it is."""

    name: str
    state: str
    entropy: Estimate
    count: int
    spark: tuple[str, str] | None
    alert: KeptAlert | None
    waiting: int
    lag: float
    updated: float | None


@dataclass(frozen=True, slots=True)
class Listed:
    """A page of streams, how many there are in each state, and how many the filter leaves."""

    rows: Sequence[Glance]
    states: Mapping[str, int]
    found: int
    page: int
    pages: int


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which streams: a part of the name, whatever its case, a state, and which page, from 1."""

    text: str = ""
    state: str = ""
    page: int = 1

    def takes(self, stream: Stream) -> bool:
        """Whether the filter leaves this stream."""
        return self.text.casefold() in stream.name.casefold() and self.state in ("", state_of(stream.monitor))


class Glances:
    """Lines of streams, drawn again only where the stream has moved."""

    def __init__(self, ledger: Ledger, taxonomy: Taxonomy) -> None:
        self._ledger, self._taxonomy = ledger, taxonomy
        self._drawn: dict[Name, tuple[int, Estimate, tuple[str, str] | None]] = {}

    def look(self, tenant: str, wanted: Wanted, *, now: float) -> Listed:
        """A page of the streams of a tenant."""
        versions = {mark.stream: mark.version for mark in marks(self._ledger) if mark.tenant == tenant}
        streams = self._ledger.streams(tenant=tenant)
        left = sorted((one for one in streams if wanted.takes(one)), key=_urgency)
        pages = max(1, -(-len(left) // PAGE_SIZE))
        page = min(max(wanted.page, 1), pages)
        shown = left[(page - 1) * PAGE_SIZE : page * PAGE_SIZE]
        keys = keys_of(self._ledger, tenant, [one.name for one in shown])
        alerts = latest_alerts(self._ledger, list(keys.values()))
        rows = []
        for one in shown:
            if one.name in keys:  # else it was deleted meanwhile
                entropy, drawn = self._figures(one, keys[one.name], versions.get(one.name, -1))
                rows.append(_glance(one, entropy, drawn, alerts.get(one.name), now))
        counted = {state: sum(state_of(one.monitor) == state for one in streams) for state in STATES}
        return Listed(rows, counted, len(left), page, pages)

    def _figures(self, stream: Stream, key: int, version: int) -> tuple[Estimate, tuple[str, str] | None]:
        name = Name(stream.tenant, stream.name)
        known = self._drawn.get(name)
        if known is not None and known[0] == version:
            return known[1], known[2]
        goals = len(self._taxonomy.goals)
        monitor = None if stream.monitor is None else stream.monitor["state"]
        entropy = entropies([[0.0] * goals if monitor is None else monitor["counts"]])[0]
        found = buckets(self._ledger, key, cursor=stream.cursor, last=_RECENT, most=20)
        step = 0 if monitor is None else monitor["step"]
        drawn = spark(rows_of(found, self._taxonomy, step=step), goals)
        if len(self._drawn) >= _MOST_KEPT:
            self._drawn.clear()
        self._drawn[name] = version, entropy, drawn
        return entropy, drawn


def state_of(monitor: Mapping[str, Any] | None) -> str:
    """The state of a monitor as it lies on disk: `Monitor.state`, without making one of each of a thousand streams."""
    if monitor is None:
        return "learning"
    state = monitor["state"]
    if state["silent"]:
        return "no-data"
    if state["watch"] is None:
        return "learning"
    return "alert" if state["standing"] else "ok"


def state_in_words(monitor: Monitor | None) -> str:
    """What the state means."""
    if monitor is None:
        return "nothing was followed yet"
    if monitor.state == "learning":
        seen = sum(monitor.counts)
        return f"learning its baseline: {seen:,.0f} of the first {monitor.baseline.first:,} responses"
    return {
        "ok": "responses fit the baseline as far as the evidence goes",
        "alert": "an alert stands: responses no longer fit the baseline",
        "no-data": "nothing has come for longer than was allowed",
    }[monitor.state]


def _glance(
    one: Stream, entropy: Estimate, drawn: tuple[str, str] | None, alert: KeptAlert | None, now: float
) -> Glance:
    lag = 0.0 if one.waits_since is None else max(0.0, now - one.waits_since)
    state, count = state_of(one.monitor), sum(one.counts.values())
    return Glance(one.name, state, entropy, count, drawn, alert, one.waiting, lag, one.updated)


def _urgency(stream: Stream) -> tuple[int, str]:
    state = state_of(stream.monitor)
    return (STATES.index(state) if state in ("alert", "no-data") else len(STATES)), stream.name.casefold()
