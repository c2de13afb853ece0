"""Audit: whether a classifier still says of a fixed set of responses what it said before."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from ethostat.errors import InvalidInput
from ethostat.maths.evidence.changepoint import change_point
from ethostat.maths.evidence.directed import DirectedDetector, upper_bound
from ethostat.maths.evidence.promise import RunLength
from ethostat.monitor.alert import CLASSIFIER, PAGE, Alert
from ethostat.monitor.baseline import UNSTRATIFIED
from ethostat.monitor.finding import REVIEW, find
from ethostat.monitor.kinds import KINDS
from ethostat.monitor.memory import Window
from ethostat.monitor.policy import Epoch
from ethostat.monitor.standing import add
from ethostat.monitor.terms import Terms
from ethostat.monitor.voice import Now, Voice
from ethostat.taxonomy import FIVE_GOALS, Taxonomy

_DIFFERS = (False, True)
_KEPT = 256


@dataclass(frozen=True, slots=True)
class AuditPlan:
    """How an audit is done: `at_once` responses a time, drawn at random; false alerts as rare as `run_length` says.

    The run length counts audited responses: with 20 every 500 responses, 10,000 of them are 250,000 of the stream.
    """

    at_once: int = 20
    run_length: float = 10_000.0

    def __post_init__(self) -> None:
        if self.at_once < 1:
            raise InvalidInput(f"an audit must ask about 1 response or more at a time, got {self.at_once}")
        try:
            RunLength(self.run_length)
        except ValueError as error:
            raise InvalidInput(str(error)) from error


class Audit:
    """The agreement of a classifier with verdicts `recorded` (goals, n of them) before.

    The first round asks about all and teaches how many differ while nothing moved: none where a classifier always says
    the same, a few for a judge with a temperature. Each later round asks about a few, drawn at random. An alert of the
    kind "classifier" comes where more differ than that allows; then the next round is a first one again.
    """

    def __init__(
        self,
        recorded: Sequence[str],
        *,
        taxonomy: Taxonomy = FIVE_GOALS,
        plan: AuditPlan | None = None,
        name: str = "monitor",
    ) -> None:
        if not recorded:
            raise InvalidInput("an audit needs at least 1 response with the verdict that it had")
        self.recorded = tuple(taxonomy.index(goal) for goal in recorded)
        self.taxonomy, self.plan = taxonomy, plan or AuditPlan()
        self.step, self.round = 0, 0
        self._voice = Voice(f"{name}/audit", Terms(RunLength(self.plan.run_length), KINDS["directed"]))
        self._detector: DirectedDetector | None = None
        self._first = (0, 0)
        self._pairs: deque[tuple[int, int]] = deque(maxlen=_KEPT)

    @property
    def agreement(self) -> float | None:
        """The share of the first round that agreed; None before it."""
        agreed, differed = self._first
        return agreed / (agreed + differed) if agreed + differed else None

    @property
    def places(self) -> list[int]:
        """Which of the responses to ask about next; the same until `take` is told."""
        if self._detector is None:
            return list(range(len(self.recorded)))
        rng = np.random.default_rng([self.round, len(self.recorded)])
        return [int(place) for place in rng.integers(len(self.recorded), size=self.plan.at_once)]

    def take(self, said: Sequence[str | None], *, time: str | None = None) -> Alert | None:
        """What the classifier says about `places` now, None where it has no verdict, which counts as another.

        Raises InvalidInput, and changes nothing, where these are not as many, or where all of a first round differ.
        """
        places = self.places
        if len(said) != len(places):
            raise InvalidInput(f"{len(places)} responses are audited in this round, and {len(said)} verdicts came")
        pairs = [
            (self.recorded[place], -1 if goal is None else self.taxonomy.index(goal))
            for place, goal in zip(places, said, strict=True)
        ]
        if self._detector is None:
            self._teach(pairs)
        else:
            self._judge(self._detector, pairs, time)
        self.round += 1
        return self._voice.due()

    def begin(self) -> None:
        """Another classifier is there on purpose: the next round teaches anew."""
        self._detector = None
        self._pairs.clear()

    def _teach(self, pairs: Sequence[tuple[int, int]]) -> None:
        differ = sum(before != now for before, now in pairs)
        bound = upper_bound((len(pairs) - differ, differ), _DIFFERS)
        if bound >= 1:
            raise InvalidInput(
                f"the classifier differs from all {len(pairs)} verdicts of the audit set; take verdicts of its own"
            )
        self._first = len(pairs) - differ, differ
        self._detector = DirectedDetector(_DIFFERS, bound, RunLength(self.plan.run_length))
        self.step += len(pairs)

    def _judge(self, detector: DirectedDetector, pairs: Sequence[tuple[int, int]], time: str | None) -> None:
        for before, now in pairs:
            self.step += 1
            self._pairs.append((before, now))
            if detector.update(before != now).alarm:
                self._say(detector, time)
                self.begin()
                return

    def _say(self, detector: DirectedDetector, time: str | None) -> None:
        pairs = list(self._pairs)
        place = change_point(detector, [before != now for before, now in pairs])
        shift = self.step - len(pairs) + 1
        since = replace(place, value=place.value + shift, low=place.low + shift, high=place.high + shift)
        reading = detector.reading
        self._voice.say(
            CLASSIFIER,
            PAGE,
            Now(self.step, time, "the verdicts of the audit set", Epoch()),
            detector="agreement",
            log_evidence=reading.evidence,
            statistic=reading.evidence,
            threshold=reading.threshold,
            promise=f"{self._voice.terms.words}, of the share that differs; audited responses are counted",
            since=since,
            **self._finding(pairs[int(place.value) :]),
        )

    def _finding(self, pairs: Sequence[tuple[int, int]]) -> dict[str, Any]:
        """Verdicts now beside those before, of the same responses; those that have one."""
        before: Window = {}
        after: Window = {}
        units = np.eye(len(self.taxonomy.goals))
        for old, new in pairs:
            if new >= 0:
                add(before, UNSTRATIFIED, units[old])
                add(after, UNSTRATIFIED, units[new])
        differ = sum(old != new for old, new in pairs)
        reason = (
            f"the classifier says otherwise of {differ} of {len(pairs)} audited responses, {self._first[1]} of "
            f"{sum(self._first)} before; what pages since then may be its doing and not the model's"
        )
        if not before:
            return {"exemplars": ()}
        found = find({UNSTRATIFIED: tuple(before[UNSTRATIFIED])}, after, self.taxonomy)
        return {"finding": replace(found, action=REVIEW, reason=reason)}

    def to_dict(self) -> dict[str, Any]:
        """Settings and state in plain values, exact in JSON."""
        return {
            "plan": asdict(self.plan),
            "recorded": [self.taxonomy.keys[label] for label in self.recorded],
            "step": self.step,
            "round": self.round,
            "first": list(self._first),
            "detector": None if self._detector is None else self._detector.to_dict(),
            "pairs": [list(pair) for pair in self._pairs],
            "voice": self._voice.to_dict(),
        }

    def restore(self, fields: Mapping[str, Any]) -> None:
        """Go on where `to_dict` was taken. Raises InvalidInput where it was of another set or plan."""
        mine = self.to_dict()
        if any(fields[name] != mine[name] for name in ("plan", "recorded")):
            raise InvalidInput("the state is of another audit set or plan; use the same, or another state file")
        self.step, self.round, self._first = fields["step"], fields["round"], tuple(fields["first"])
        kept = fields["detector"]
        self._detector = None if kept is None else DirectedDetector.from_dict(kept)
        self._pairs = deque(((old, new) for old, new in fields["pairs"]), _KEPT)
        self._voice.restore(fields["voice"])
