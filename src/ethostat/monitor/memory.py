"""Memory: the latest responses, or sessions, that are looked back on once something changed."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence, Set
from dataclasses import replace
from typing import Any

import numpy as np

from ethostat.maths.estimate import Estimate
from ethostat.monitor.baseline import UNSTRATIFIED
from ethostat.monitor.sessions import Gathered
from ethostat.monitor.standing import add
from ethostat.monitor.watch import SessionWatch, Watch

RESPONSES, SESSIONS = 1024, 256
_WITHOUT_A_PLACE = 100
_EXEMPLARS = 5
LONGEST_ID = 200
"""Characters that are kept of an id."""
_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"

Window = dict[str, list[float]]


class Exemplars:
    """Ids of the latest five responses on each goal, with their steps."""

    def __init__(self) -> None:
        self._ids: dict[int, deque[tuple[int, str]]] = {}

    def add(self, label: int, step: int, id: str) -> None:
        """One response on this goal."""
        self._ids.setdefault(label, deque(maxlen=_EXEMPLARS)).append((step, id))

    def add_many(self, labels: Sequence[int], first: int, ids: Sequence[str | None]) -> None:
        """Responses in order, the first of which is step `first`; those without an id are left out."""
        found: dict[int, list[tuple[int, str]]] = {}
        goals = set(labels)
        for place in range(len(labels) - 1, -1, -1):
            if not goals:
                break
            label, id = labels[place], ids[place]
            if label in goals and id is not None:
                kept = found.setdefault(label, [])
                kept.append((first + place, id[:LONGEST_ID]))
                if len(kept) == _EXEMPLARS:
                    goals.discard(label)
        for label, kept in found.items():
            self._ids.setdefault(label, deque(maxlen=_EXEMPLARS)).extend(reversed(kept))

    def latest(self, labels: Set[int], since: float) -> tuple[str, ...]:
        """Those on these goals from this step on, newest first, five at most."""
        found = [one for label in labels for one in self._ids.get(label, ()) if one[0] >= since]
        return tuple(id for _, id in sorted(found, reverse=True)[:_EXEMPLARS])

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {str(goal): [list(one) for one in ids] for goal, ids in self._ids.items()}

    def restore(self, fields: Mapping[str, Any]) -> None:
        """Go on with these."""
        self._ids = {int(goal): deque(((n, id) for n, id in ids), _EXEMPLARS) for goal, ids in fields.items()}


class LabelMemory:
    """The last 1,024 responses: their goals and strata."""

    def __init__(self, goals: int) -> None:
        self._units = np.eye(goals)
        self._labels: deque[int] = deque(maxlen=RESPONSES)
        self._strata: deque[str] = deque(maxlen=RESPONSES)

    def add(self, label: int, stratum: str) -> None:
        """One response."""
        self._labels.append(label)
        self._strata.append(stratum)

    def add_many(self, labels: Sequence[int], stratum: str) -> None:
        """Responses of one stratum, in order."""
        self._labels.extend(labels[-RESPONSES:])
        self._strata.extend([stratum] * min(len(labels), RESPONSES))

    def look(self, watch: Watch, step: int) -> tuple[Estimate | None, Window]:
        """The first changed response, numbered so that the latest is `step`, and the counts since then by stratum.

        A detector that cannot say since when gives None, and the last 100 responses.
        """
        labels, strata = list(self._labels), list(self._strata)
        since = watch.since(labels, strata)
        start = max(len(labels) - _WITHOUT_A_PLACE, 0) if since is None else int(since.value)
        window: Window = {}
        for label, stratum in zip(labels[start:], strata[start:], strict=True):
            add(window, stratum, self._units[label])
        if since is not None:
            shift = step - len(labels) + 1
            since = replace(since, value=since.value + shift, low=since.low + shift, high=since.high + shift)
        return since, window

    def clear(self) -> None:
        """Evidence began anew."""
        self._labels.clear()
        self._strata.clear()

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        strata = list(dict.fromkeys(self._strata))
        return {
            "labels": "".join(_DIGITS[label] for label in self._labels),
            "strata": strata,
            "places": [strata.index(stratum) for stratum in self._strata] if len(strata) > 1 else [],
        }

    def restore(self, fields: Mapping[str, Any]) -> None:
        """Go on with these."""
        self._labels = deque((_DIGITS.index(digit) for digit in fields["labels"]), RESPONSES)
        strata, places = fields["strata"], fields["places"] or [0] * len(fields["labels"])
        self._strata = deque((strata[place] for place in places), RESPONSES)


class SessionMemory:
    """The last 256 sessions: the step of the first response and the rows (K,) of all, added up."""

    def __init__(self) -> None:
        self._kept: deque[tuple[int, list[float]]] = deque(maxlen=SESSIONS)

    def add(self, one: Gathered) -> None:
        """One session that is over."""
        self._kept.append((one.began, one.row))

    def look(self, watch: SessionWatch) -> tuple[Estimate, Window]:
        """The first response of the first changed session, and the sessions' mean profiles since then, added up."""
        began = [first for first, _ in self._kept]
        rows = np.array([row for _, row in self._kept])
        means = rows / rows.sum(axis=1, keepdims=True)
        place = watch.since_sessions(means)
        window: Window = {}
        for row in means[int(place.value) :]:
            add(window, UNSTRATIFIED, row)
        value, low, high = (float(began[int(one)]) for one in (place.value, place.low, place.high))
        return replace(place, value=value, low=min(low, value), high=max(high, value)), window

    def clear(self) -> None:
        """Evidence began anew."""
        self._kept.clear()

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {"sessions": [list(one) for one in self._kept]}

    def restore(self, fields: Mapping[str, Any]) -> None:
        """Go on with these."""
        self._kept = deque(((began, list(row)) for began, row in fields["sessions"]), SESSIONS)
