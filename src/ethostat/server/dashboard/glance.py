"""Streams at a glance: those that need eyes first."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ethostat.ledger import KeptAlert, Ledger, Stream
from ethostat.ledger.courses import buckets, keys_of, latest_alerts, marks
from ethostat.maths.estimate import Estimate
from ethostat.monitor import Monitor
from ethostat.server.dashboard.course import entropies, rows_of_many, spark
from ethostat.server.dashboard.live import Name
from ethostat.taxonomy import Taxonomy

STATES = ("alert", "no-data", "learning", "ok")
"""In the order in which streams are shown."""
URGENCY, NAME, ENTROPY, LAG, ALERT = "urgency", "name", "S", "lag", "alert"
ORDERS = (URGENCY, NAME, ENTROPY, LAG, ALERT)
"""Orders of streams: those in alert first, by name; largest S, longest lag, latest alert first."""
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
    """Which streams: a part of the name, whatever its case, and a state; in which order, and which page, from 1."""

    text: str = ""
    state: str = ""
    order: str = URGENCY
    page: int = 1

    def takes(self, stream: Stream) -> bool:
        """Whether the filter leaves this stream."""
        return self.text.casefold() in stream.name.casefold() and self.state in ("", state_of(stream.monitor))


@dataclass(frozen=True, slots=True)
class _Figures:
    """What is drawn of a stream as it was at `version`."""

    version: int
    entropy: Estimate
    spark: tuple[str, str] | None = None
    is_drawn: bool = False


class Glances:
    """Lines of streams, reckoned again only where the stream has moved."""

    def __init__(self, ledger: Ledger, taxonomy: Taxonomy) -> None:
        self._ledger, self._taxonomy = ledger, taxonomy
        self._known: dict[Name, _Figures] = {}

    def look(self, tenant: str, wanted: Wanted, *, now: float) -> Listed:
        """A page of the streams of a tenant."""
        versions = {mark.stream: mark.version for mark in marks(self._ledger) if mark.tenant == tenant}
        streams = self._ledger.streams(tenant=tenant)
        left = self._in_order([one for one in streams if wanted.takes(one)], wanted.order, tenant, versions)
        pages = max(1, -(-len(left) // PAGE_SIZE))
        page = min(max(wanted.page, 1), pages)
        shown = left[(page - 1) * PAGE_SIZE : page * PAGE_SIZE]
        keys = keys_of(self._ledger, tenant, [one.name for one in shown])
        here = [one for one in shown if one.name in keys]  # else it was deleted meanwhile
        alerts = latest_alerts(self._ledger, list(keys.values()))
        self._reckon(here, versions)
        self._draw(here, keys)
        rows = [_glance(one, self._known[_name(one)], alerts.get(one.name), now) for one in here]
        counted = {state: sum(state_of(one.monitor) == state for one in streams) for state in STATES}
        return Listed(rows, counted, len(left), page, pages)

    def _in_order(self, streams: list[Stream], order: str, tenant: str, versions: Mapping[str, int]) -> list[Stream]:
        """The order that was asked for; streams that are equal in it by name, those without a value last."""
        by_name = sorted(streams, key=lambda one: one.name.casefold())
        if order == URGENCY:
            return sorted(by_name, key=_urgency)
        if order == ENTROPY:
            self._reckon(by_name, versions)
            known = {one.name: self._known[_name(one)].entropy for one in by_name}
            return sorted(by_name, key=lambda one: -known[one.name].value if known[one.name].is_defined else math.inf)
        if order == LAG:
            return sorted(by_name, key=lambda one: math.inf if one.waits_since is None else one.waits_since)
        if order == ALERT:
            keys = keys_of(self._ledger, tenant, [one.name for one in by_name])
            alerts = latest_alerts(self._ledger, list(keys.values()))
            return sorted(by_name, key=lambda one: -alerts[one.name].number if one.name in alerts else 0)
        return by_name

    def _reckon(self, streams: Sequence[Stream], versions: Mapping[str, int]) -> None:
        """S of the streams that have moved, all at once: one by one it takes twenty times as long."""
        if len(self._known) >= _MOST_KEPT:
            self._known.clear()
        moved = [
            one
            for one in streams
            if (found := self._known.get(_name(one))) is None or found.version != versions.get(one.name, -1)
        ]
        for stream, entropy in zip(moved, self._entropies(moved), strict=True):
            self._known[_name(stream)] = _Figures(versions.get(stream.name, -1), entropy)

    def _entropies(self, streams: Sequence[Stream]) -> list[Estimate]:
        """S of these; streams may have been begun with other goals, and more of them or fewer."""
        nothing = [0.0] * len(self._taxonomy.goals)
        counts = [nothing if one.monitor is None else one.monitor["state"]["counts"] for one in streams]
        found: dict[int, Estimate] = {}
        for goals in {len(row) for row in counts}:
            places = [place for place, row in enumerate(counts) if len(row) == goals]
            found.update(zip(places, entropies([counts[place] for place in places]), strict=True))
        return [found[place] for place in range(len(streams))]

    def _draw(self, streams: Sequence[Stream], keys: Mapping[str, int]) -> None:
        """The courses that are not drawn yet, all at once."""
        moved = [one for one in streams if not self._known[_name(one)].is_drawn]
        found = [buckets(self._ledger, keys[one.name], cursor=one.cursor, last=_RECENT, most=20) for one in moved]
        steps = [0 if one.monitor is None else one.monitor["state"]["step"] for one in moved]
        for one, rows in zip(moved, rows_of_many(found, self._taxonomy, steps=steps), strict=True):
            drawn = spark(rows, len(self._taxonomy.goals))
            self._known[_name(one)] = replace(self._known[_name(one)], spark=drawn, is_drawn=True)


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


def _name(stream: Stream) -> Name:
    return Name(stream.tenant, stream.name)


def _glance(one: Stream, figures: _Figures, alert: KeptAlert | None, now: float) -> Glance:
    lag = 0.0 if one.waits_since is None else max(0.0, now - one.waits_since)
    state, count = state_of(one.monitor), sum(one.counts.values())
    return Glance(one.name, state, figures.entropy, count, figures.spark, alert, one.waiting, lag, one.updated)


def _urgency(stream: Stream) -> int:
    state = state_of(stream.monitor)
    return STATES.index(state) if state in ("alert", "no-data") else len(STATES)
