"""One stream over its responses: shares, S with its band, evidence against its threshold, and what happened meanwhile.

The axis counts responses with a verdict, as the monitor does: a promise is about responses, not about time.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from ethostat.ledger import Intervention, KeptAlert, Minute, Position
from ethostat.ledger.courses import Bucket
from ethostat.maths.entropy import fixed_radius, likelihood_interval, nsb, title_of
from ethostat.maths.estimate import Estimate
from ethostat.monitor import Monitor
from ethostat.monitor.alert import CHANGE, PAGE
from ethostat.server.dashboard.drawing import WIDTH, Scale, Tick, band, line, stacks, ticks
from ethostat.taxonomy import Taxonomy

HEIGHT = 180
_SHORT = 140
_MOST_DOTS = 60
_TOLD = {
    "deployment": "deployment",
    "baseline": "new baseline",
    "expected": "change marked as expected",
    "snooze": "snoozed",
    "acknowledge": "acknowledged",
}
"""Interventions that are marked on a course; ticks of the clock are not."""
_ANEW = ("deployment", "baseline", "expected")
"""Those after which the evidence begins anew."""


@dataclass(frozen=True, slots=True)
class Row:
    """A bucket as it is drawn: from and to which response, when it began, counts (K,), and S."""

    start: float
    end: float
    began: float
    counts: tuple[int, ...]
    failures: int
    entropy: Estimate

    @property
    def middle(self) -> float:
        """Where its S stands."""
        return (self.start + self.end) / 2


@dataclass(frozen=True, slots=True)
class Signal:
    """The evidence after so many responses, and the threshold that was held against it."""

    step: float
    evidence: float
    threshold: float


@dataclass(frozen=True, slots=True)
class Sign:
    """Something that happened: after so many responses, of which kind, in words, and the alert's number if it is one.

    `since` is where the change began by the monitor's estimate.
    """

    step: float
    kind: str
    words: str
    time: float
    alert: int | None = None
    since: float | None = None


@dataclass(frozen=True, slots=True)
class Chart:
    """A figure's paths and its axis; `top` is in the axis's unit, `dots` are points by percent and pixels."""

    height: int
    paths: Mapping[str, str]
    ticks: Sequence[Tick]
    top: float
    dots: Sequence[tuple[float, float]] = ()


@dataclass(frozen=True, slots=True)
class Drawn:
    """A course, ready for a page: three figures over one axis, signs in percent of it, and rows for its table."""

    rows: Sequence[Row]
    x: Scale
    x_ticks: Sequence[Tick]
    shares: Sequence[str]
    shares_ticks: Sequence[Tick]
    aligned: str
    entropy: Chart
    evidence: Chart | None
    signs: Sequence[tuple[float, float | None, Sign]]
    last: Signal | None
    here: float | None = None


def entropies(rows: Sequence[Sequence[float]]) -> list[Estimate]:
    """S of each profile of counts, nats, with its interval: as `maths.entropy.entropy` of each, all at once."""
    n = np.array(rows, dtype=np.float64)
    if not len(n):
        return []
    sizes = n.sum(axis=1)
    some = sizes > 0
    radius = fixed_radius(n[some])
    ends, values = likelihood_interval(n[some], radius), nsb(n[some])
    found = [Estimate.undefined("there is no response", level=0.95, unit="nats", n=0)] * len(n)
    for place, low, high, value, r in zip(np.flatnonzero(some), ends.low, ends.high, values, radius, strict=True):
        method = f"{title_of(nsb)}; profile likelihood r={r:.3g}"
        inside = min(max(float(value), float(low)), float(high))
        found[place] = Estimate(inside, float(low), float(high), 0.95, "nats", int(sizes[place]), method)
    return found


def rows_of(buckets: Sequence[Bucket], taxonomy: Taxonomy, *, step: int) -> list[Row]:
    """Buckets placed by responses, of which the last one is number `step`."""
    return rows_of_many([buckets], taxonomy, steps=[step])[0]


def rows_of_many(courses: Sequence[Sequence[Bucket]], taxonomy: Taxonomy, *, steps: Sequence[int]) -> list[list[Row]]:
    """The same of many streams: S of all of them is reckoned at once."""
    counts = [[tuple(bucket.counts.get(key, 0) for key in taxonomy.keys) for bucket in one] for one in courses]
    found = iter(entropies([row for one in counts for row in one]))
    return [
        [
            Row(float(end - sum(row)), float(end), bucket.began, row, bucket.failures, next(found))
            for bucket, row, end in zip(one, rows, _ends(rows, step), strict=True)
        ]
        for one, rows, step in zip(courses, counts, steps, strict=True)
    ]


def _ends(counts: Sequence[Sequence[int]], step: int) -> Sequence[int]:
    """How many responses there were at the end of each bucket."""
    after = np.cumsum([0, *(sum(row) for row in reversed(counts))])[:-1] if counts else np.zeros(0)
    return [step - int(one) for one in reversed(after)]


def step_at(buckets: Sequence[Bucket], rows: Sequence[Row], seq: int) -> float | None:
    """How many responses there were when event `seq` had been followed; None before the first bucket."""
    if not buckets or seq < buckets[0].first - 1:
        return None
    for bucket, row in zip(buckets, rows, strict=True):
        if seq <= bucket.last:
            part = (seq - bucket.first + 1) / (bucket.last - bucket.first + 1)
            return row.start + (row.end - row.start) * max(part, 0.0)
    return rows[-1].end


def signals_of(minutes: Sequence[Minute], *, step: int) -> list[Signal]:
    """Evidence at the ends of minutes, by responses; the last minute ends with response `step`."""
    found, at = [], float(step)
    for minute in reversed(minutes):
        if minute.evidence is not None and minute.threshold is not None:
            found.append(Signal(at, minute.evidence, minute.threshold))
        at -= sum(minute.counts.values())
    return found[::-1]


def signals_in(alerts: Iterable[KeptAlert]) -> list[Signal]:
    """The evidence that alerts of a change were given on."""
    return [
        Signal(float(one.body["step"]), one.body["statistic"], one.body["threshold"])
        for one in alerts
        if one.kind == CHANGE and one.body["statistic"] is not None and one.body["threshold"] is not None
    ]


def signs_of(
    alerts: Iterable[KeptAlert], done: Iterable[Intervention], buckets: Sequence[Bucket], rows: Sequence[Row]
) -> list[Sign]:
    """Alerts, deployments and what else people did, in order, as far as the rows reach."""
    if not rows:
        return []
    found = [_of_alert(alert) for alert in alerts]
    for one in done:
        at = step_at(buckets, rows, one.cursor)
        if at is not None and one.kind in _TOLD:
            version = f" {one.body['version']}" if one.kind == "deployment" else ""
            found.append(Sign(at, one.kind, f"{_TOLD[one.kind]}{version}", one.time))
    here = (one for one in found if rows[0].start <= one.step <= rows[-1].end)
    return sorted(here, key=lambda one: (one.step, one.time))


def draw(
    rows: Sequence[Row], signals: Sequence[Signal], signs: Sequence[Sign], taxonomy: Taxonomy, *, at: int | None = None
) -> Drawn | None:
    """The figures, with a mark at response `at`; None where there is no response."""
    if not rows or rows[-1].end <= rows[0].start:
        return None
    x = Scale(rows[0].start, rows[-1].end, WIDTH)
    order = sorted(range(len(taxonomy.goals)), key=lambda place: not taxonomy.aligned[place])
    share = Scale(0, 1, HEIGHT, turned=True)
    paths = stacks([(row.start, row.end, [row.counts[place] for place in order]) for row in rows], x, share)
    by_goal = dict(zip(order, paths, strict=True))
    known = [one for one in signals if x.low <= one.step <= x.high and math.isfinite(one.evidence)]
    return Drawn(
        rows=rows,
        x=x,
        x_ticks=[Tick(tick.place / 10, tick.text) for tick in ticks(x, about=6)],
        shares=[by_goal[place] for place in range(len(order))],
        shares_ticks=ticks(Scale(0, 100, HEIGHT, turned=True), about=2, unit="%"),
        aligned=_aligned_line(rows, taxonomy, x, share),
        entropy=_entropy(rows, x, len(taxonomy.goals)),
        evidence=_evidence(known, x, [one.step for one in signs if one.kind in _ANEW]) if known else None,
        signs=[
            (x.percent(one.step), None if one.since is None else x.percent(one.since), one) for one in signs
        ],
        last=known[-1] if known else None,
        here=None if at is None or not x.low <= at <= x.high else x.percent(at),
    )  # fmt: skip


def spark(rows: Sequence[Row], goals: int) -> tuple[str, str] | None:
    """Band and line of S on a strip 1000 by 28, for a glance; None where there is nothing to draw."""
    if not rows or rows[-1].end <= rows[0].start:
        return None
    x, y = Scale(rows[0].start, rows[-1].end, WIDTH), Scale(0, math.log(goals), 28, turned=True)
    return _band_and_line(rows, x, y)


def _band_and_line(rows: Sequence[Row], x: Scale, y: Scale) -> tuple[str, str]:
    around = [
        point
        for row in rows
        for point in ((row.start, row.entropy.low, row.entropy.high), (row.end, row.entropy.low, row.entropy.high))
    ]
    return band(around, x, y), line([(row.middle, row.entropy.value) for row in rows], x, y)


def _aligned_line(rows: Sequence[Row], taxonomy: Taxonomy, x: Scale, y: Scale) -> str:
    """The edge between aligned goals and the others."""
    points: list[tuple[float, float | None]] = []
    for row in rows:
        total = sum(row.counts)
        good = sum(count for count, aligned in zip(row.counts, taxonomy.aligned, strict=True) if aligned)
        share = good / total if total else None
        points += [(row.start, share), (row.end, share)]
    return line(points, x, y)


def _entropy(rows: Sequence[Row], x: Scale, goals: int) -> Chart:
    ceiling = math.log(goals)
    highest = max((row.entropy.high for row in rows if row.entropy.is_defined), default=ceiling)
    top = ceiling if highest > 0.6 * ceiling else max(highest * 1.15, 0.1)
    y = Scale(0, top, HEIGHT, turned=True)
    around, middle = _band_and_line(rows, x, y)
    return Chart(HEIGHT, {"band": around, "line": middle}, ticks(y, about=4), top)


def _evidence(signals: Sequence[Signal], x: Scale, begins: Sequence[float]) -> Chart:
    seen = [value for one in signals for value in (one.evidence, one.threshold)]
    low, top = min(0.0, *seen), max(seen) * 1.12 or 1.0
    y = Scale(low, top, _SHORT, turned=True)
    held = [(one.step, one.threshold) for one in signals]
    edges = [(x.low, signals[0].threshold), *held, (x.high, signals[-1].threshold)]
    paths = {"line": line(_joined(signals, x, begins), x, y), "threshold": line(edges, x, y)}
    dots = [(x.percent(one.step), y(one.evidence)) for one in signals]
    return Chart(_SHORT, paths, ticks(y, about=3), top, dots if len(dots) <= _MOST_DOTS else dots[-1:])


def _joined(signals: Sequence[Signal], x: Scale, begins: Sequence[float]) -> list[tuple[float, float | None]]:
    """Neighbours joined, unless the evidence began anew between them, or was not noted for a tenth of the figure."""
    points: list[tuple[float, float | None]] = []
    for before, now in pairwise([signals[0], *signals]):
        is_anew = any(before.step <= step < now.step for step in begins)
        if is_anew or now.step - before.step > (x.high - x.low) / 10:
            points.append((now.step, None))
        points.append((now.step, now.evidence))
    return points


def _of_alert(alert: KeptAlert) -> Sign:
    body = alert.body
    since = body.get("since") or {}
    tier = "page" if alert.tier == PAGE else "warning"
    return Sign(
        float(body["step"]), tier, f"{tier}: {alert.kind}", alert.created, alert.number, since.get("value")
    )  # fmt: skip


def promise_words(monitor: Monitor) -> str:
    """What the stream is promised."""
    if monitor.kind.rests_on is None:
        return f"none: the detector {monitor.kind.name} keeps no run length"
    fields = monitor.promise.to_dict()
    if "alpha" in fields:
        said = f"at most {fields['alpha']:.2%} chance of a false page ever"
    else:
        said = f"false pages at least {fields['responses']:,.0f} responses apart on average"
    return f"{said}; it rests on {monitor.kind.rests_on}"


def reading_of(monitor: Monitor) -> Signal | None:
    """Where the evidence stands now."""
    reading = monitor.reading
    return None if reading is None else Signal(float(monitor.step), reading.evidence, reading.threshold)


def is_behind(position: Position) -> int:
    """Events that are told and not followed."""
    return position.last - position.cursor
