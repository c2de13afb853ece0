"""Replay: Monitors fed with responses that are at hand already, many at a time.

It leaves the monitors exactly where `Monitors.update` of each response in turn would have, and gives the same alerts.
Between two responses at which a monitor might speak nothing happens but sums: these are taken for many streams together
(`maths.evidence.streams`). At every response where something could be said, whether or not it then is, the Monitor
itself is asked. What is not made for this (strata, sessions, soft verdicts, screening, other detectors) is taken one at
a time.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ethostat.maths.detector import Floats
from ethostat.maths.evidence.baseline import Learned
from ethostat.maths.evidence.profiles import ProfileDetector
from ethostat.maths.evidence.promise import log_level
from ethostat.maths.evidence.streams import Streams, settings_of
from ethostat.monitor.alert import Alert
from ethostat.monitor.monitor import Monitor
from ethostat.monitor.monitors import Key, Monitors

Whole = NDArray[np.int64]
_TURNS = 192
"""Responses of one stream that are taken before anybody looks whether something was to be said."""
_SLACK = 1e-9  # two logarithms may differ in their last digit


class Said(NamedTuple):
    """Responses in order: the stream of each as a place (n,) in `keys`, its goal's place (n,), id and time (n of each).

    `judged` (n,) says which verdicts are of the classifier with hash `classifier`, the others came with their rows.
    """

    keys: Sequence[Key]
    streams: Whole
    labels: Whole
    ids: Sequence[str | None]
    times: Sequence[str | None]
    judged: NDArray[np.bool_] | None = None
    classifier: str | None = None


class Spoken(NamedTuple):
    """An alert, and the place of the response that brought it."""

    place: int
    alert: Alert


@dataclass(slots=True)
class _Course:
    """What is left of a stream: its monitor, the places of its responses, how many were taken."""

    monitor: Monitor
    places: Whole
    taken: int = 0

    @property
    def left(self) -> int:
        return len(self.places) - self.taken


class Replay:
    """Feeds `monitors`; raises InvalidInput for screening that comes every so many responses of all streams."""

    def __init__(self, monitors: Monitors) -> None:
        self.monitors = monitors
        one = monitors.template
        plain = not (one.stratified or one.soft or one.sessions or one.screened or monitors.screening)
        self._is_plain = plain and one.kind.name == ProfileDetector.name

    def take(self, said: Said) -> list[Spoken]:
        """Responses of many streams, those of one stream in order: what they bring, by place."""
        order = np.argsort(said.streams, kind="stable")
        edges = np.flatnonzero(np.diff(said.streams[order])) + 1
        found: list[Spoken] = []
        parts = np.split(order, edges) if len(order) else []
        courses = [_Course(self.monitors.get(said.keys[int(said.streams[part[0]])]), part) for part in parts]
        while courses:
            found += self._round(courses, said)
            courses = [one for one in courses if one.left]
        self.monitors.count(len(order))
        return sorted(found, key=lambda one: one.place)

    def _round(self, courses: Sequence[_Course], said: Said) -> Iterator[Spoken]:
        """Some more of every stream: first those that go one at a time, then the quiet ones together."""
        quiet: dict[tuple[object, ...], list[tuple[_Course, ProfileDetector]]] = {}
        for one in courses:
            if not self._is_plain or one.monitor.is_alerting or one.monitor.is_silent:
                yield from _singly(one, said, min(one.left, _TURNS))
                continue
            if one.monitor.reading is None:
                yield from _learning(one, said)
                continue
            detector = one.monitor.detector
            assert isinstance(detector, ProfileDetector)  # noqa: S101 - the kind is `profile`
            quiet.setdefault(settings_of(detector), []).append((one, detector))
        for together in quiet.values():
            yield from _together(together, said)


def _singly(one: _Course, said: Said, count: int) -> Iterator[Spoken]:
    """The next responses, each as the Monitor takes it."""
    for place in one.places[one.taken : one.taken + count].tolist():
        yield from _update(one.monitor, said, place)
    one.taken += count


def _update(monitor: Monitor, said: Said, place: int) -> Iterator[Spoken]:
    by = said.classifier if said.judged is not None and said.judged[place] else None
    key = monitor.taxonomy.keys[int(said.labels[place])]
    alert = monitor.update(key, time=said.times[place], id=said.ids[place], classifier=by)
    while alert is not None:
        yield Spoken(place, alert)
        alert = monitor.due()


def _learning(one: _Course, said: Said) -> Iterator[Spoken]:
    """What the baseline still wants; its classifier is noted with the first response."""
    yield from _singly(one, said, 1)
    wanted = min(one.monitor.wanted, one.left)
    mine = one.places[one.taken : one.taken + wanted]
    if wanted and not _declares(one.monitor, said, mine).any():
        _pass(one, said, wanted)


def _together(quiet: Sequence[tuple[_Course, ProfileDetector]], said: Said) -> Iterator[Spoken]:
    """Quiet streams in the same settings: their detectors go on together, and where one might speak, by itself."""
    streams = Streams.of([detector for _, detector in quiet])
    counts = [min(one.left, _TURNS) for one, _ in quiet]
    places = np.concatenate([one.places[one.taken : one.taken + n] for (one, _), n in zip(quiet, counts, strict=True)])
    evidence = streams.update(np.repeat(np.arange(len(quiet)), counts), said.labels[places]).evidence
    ends = np.cumsum(counts)
    for place, ((one, detector), n, end) in enumerate(zip(quiet, counts, ends.tolist(), strict=True)):
        loud = _Loud(one, detector, said, evidence[end - n : end])
        yield from loud.speak()
        if loud.is_quiet:
            streams.hand_back(place, detector)
            loud.finish()


class _Loud:
    """One stream's next responses, whose evidence (n,) is known: where it might speak, it is asked.

    `is_quiet` says that its detector still stands before what is left, so that what the streams came to holds.
    """

    def __init__(self, one: _Course, detector: ProfileDetector, said: Said, evidence: Floats) -> None:
        self.one, self.detector, self.said, self.evidence = one, detector, said, evidence
        self.is_quiet = True
        self._first = one.taken
        self._end = one.taken + len(evidence)
        self._level = log_level(one.monitor.promise)
        mine = one.places[one.taken : self._end]
        self._must = _declares(one.monitor, said, mine) | self._may_compare(len(mine))

    def speak(self) -> Iterator[Spoken]:
        """Ask the monitor at every response at which it might speak."""
        while self.one.taken < self._end:
            at = self._next()
            if at is None:
                return
            self._catch_up(at)
            yield from _singly(self.one, self.said, 1)
            if self.one.monitor.is_alerting or self.one.monitor.detector is not self.detector:
                self.is_quiet = False
                yield from _singly(self.one, self.said, self._end - self.one.taken)

    def finish(self) -> None:
        """What is left is quiet, and its detector has it already."""
        if self.one.taken < self._end:
            _pass(self.one, self.said, self._end - self.one.taken)

    def _next(self) -> int | None:
        """The next response at which the monitor might speak: an alarm, a warning or its end, or what it must see."""
        at = self.one.taken - self._first
        evidence = self.evidence[at:]
        is_loud = evidence >= self._level - _SLACK
        low, high = self.one.monitor.warning_band
        if not math.isnan(low):
            is_loud |= evidence < low + _SLACK if self.one.monitor.is_warned else evidence >= high - _SLACK
        is_loud |= self._must[at:]
        found = int(is_loud.argmax())
        return self.one.taken + found if is_loud[found] else None

    def _catch_up(self, at: int) -> None:
        """Let monitor and detector take what is quiet before a response."""
        count = at - self.one.taken
        if count:
            labels = self.said.labels[self.one.places[self.one.taken : at]].tolist()
            for label in labels:
                self.detector.update(label)
            _pass(self.one, self.said, count)

    def _may_compare(self, n: int) -> NDArray[np.bool_]:
        """From where its baseline may stop learning, until the monitor has compared what it learned."""
        found = np.zeros(n, dtype=bool)
        baseline, taught = self.detector.baseline, self.detector.taught
        if not self.one.monitor.is_compared and taught is not None and isinstance(baseline, Learned):
            start = baseline.most - float(taught.sum()) - 2
            found[int(max(start, 0)) if start < n else n :] = True
        return found


def _pass(one: _Course, said: Said, count: int) -> None:
    """Responses that say nothing."""
    mine = one.places[one.taken : one.taken + count]
    ids, times = said.ids, said.times
    places = mine.tolist()
    last = next((times[place] for place in reversed(places) if times[place] is not None), None)
    one.monitor.take_quiet(said.labels[mine].tolist(), [ids[place] for place in places], time=last)
    one.taken += count


def _declares(monitor: Monitor, said: Said, places: Whole) -> NDArray[np.bool_]:
    """Which responses name a classifier that the monitor does not know."""
    if said.judged is None or said.classifier in (None, monitor.epoch.classifier):
        return np.zeros(len(places), dtype=bool)
    return np.asarray(said.judged[places])
