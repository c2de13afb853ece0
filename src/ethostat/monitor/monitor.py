"""Monitor: one stream of verdicts, from OK to ALERT to RECOVERED. No files, no clock: times are what the caller says.

    LEARNING -> OK -> ALERT -> OK (recovered)        and NO_DATA over each of them while nothing comes

The evidence is read at every response and an alert is sent on the edge only. While an alert stands the detector stands
still and its opposite is watched: how much better the responses fit the baseline than what came since the change. That
takes as much evidence as the alarm did; then evidence begins anew.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any, Self

import numpy as np

from ethostat.errors import InvalidInput
from ethostat.maths.detector import Detector, Floats, Reading
from ethostat.maths.estimate import Estimate
from ethostat.maths.evidence.baseline import predictive
from ethostat.maths.evidence.promise import Lifetime, Promise, RunLength, log_level, promise_from_dict
from ethostat.maths.profile import Profile
from ethostat.monitor.alert import (
    CHANGE,
    CLOSED,
    DATA_BACK,
    DRIFT,
    NO_DATA,
    PAGE,
    RECOVERED,
    RESPONSES,
    SESSIONS,
    WARN,
    Alert,
    Finding,
)
from ethostat.monitor.baseline import UNSTRATIFIED, Baseline, Counts, total
from ethostat.monitor.drift import drift_of
from ethostat.monitor.finding import NOTHING, REVIEW, find
from ethostat.monitor.kinds import PROFILE, Kind, find_kind
from ethostat.monitor.memory import Exemplars, LabelMemory, SessionMemory
from ethostat.monitor.policy import Epoch, Policy, seconds
from ethostat.monitor.said import Reader, Said
from ethostat.monitor.sessions import Gathered, OpenSessions, SessionEnd
from ethostat.monitor.standing import Standing, add
from ethostat.monitor.terms import Terms
from ethostat.monitor.voice import Now, Voice
from ethostat.monitor.watch import PlainWatch, SessionWatch, Watch, watch_for, watch_from_dict
from ethostat.taxonomy import FIVE_GOALS, Taxonomy

MOST_STRATA = 256
OTHER_STRATA = "(other)"
"""The stratum of whatever comes after the first 256, so that a stream of names cannot fill the memory."""
_WARN_BELOW, _REARM_BELOW = math.log(10), math.log(100)
_LONGEST_NAME = 200


class Monitor:
    """Watches one stream against a baseline, and says when it no longer holds.

    `run_length`: false pages come at least so many responses apart on average. `alpha`, in its place: at most this
    probability of a false page ever. `stratified`: each stratum is held against a baseline of its own, so that a change
    of the mix is no alarm. `soft`: verdicts count by their probabilities; these must be calibrated, and the baseline
    must be learned from them (`Baseline.of_first`, or counts that are sums of probabilities). Otherwise the most
    probable goal counts, as it does in a Measurement. `sessions`: responses of one session count once, when it is over
    as `SessionEnd` says, whatever they have to do with each other. `screened`: also keep evidence that
    no alert begins anew, for `log_e_value`; it doubles state and time.

    Raises InvalidInput where baseline, taxonomy and detector do not fit together.
    """

    _first: dict[str, list[float]]
    _watch: Watch | None
    _screen: Watch | None
    _standing: Standing | None
    _memory: LabelMemory
    _gathering: tuple[OpenSessions, SessionMemory] | None
    _exemplars: Exemplars
    _compared: set[str]
    _counts: list[float]
    _warned: bool

    def __init__(
        self,
        baseline: Baseline | Profile,
        *,
        run_length: float = 10_000.0,
        alpha: float | None = None,
        detector: Kind = PROFILE,
        taxonomy: Taxonomy = FIVE_GOALS,
        name: str = "monitor",
        stratified: bool = False,
        soft: bool = False,
        sessions: SessionEnd | None = None,
        screened: bool = False,
        policy: Policy | None = None,
    ) -> None:
        self.baseline = Baseline.of(baseline) if isinstance(baseline, Profile) else baseline
        self.promise = _promise(run_length, alpha)
        self.kind, self.taxonomy, self.name = detector, taxonomy, name
        self.stratified, self.soft, self.sessions = stratified, soft, sessions
        self.policy, self.screened = policy or Policy(), screened
        if stratified and sessions is not None:
            raise InvalidInput("sessions know no strata, since one may lie in several; leave one of the two out")
        self.step, self.epoch = 0, Epoch(classifier=self.baseline.classifier)
        self.last_time: str | None = None
        self._silent, self._snoozed_until = False, 0
        self._voice = Voice(name, Terms(self.promise, detector, stratified, soft, sessions))
        self._begin(self.baseline)

    @property
    def state(self) -> str:
        """learning, ok, alert or no-data."""
        if self._silent:
            return "no-data"
        if self._watch is None:
            return "learning"
        return "alert" if self._standing else "ok"

    @property
    def is_alerting(self) -> bool:
        """Whether an alert stands, silent or not."""
        return self._standing is not None

    @property
    def is_silent(self) -> bool:
        """Whether nothing has come for so long that it was said."""
        return self._silent

    @property
    def is_warned(self) -> bool:
        """Whether a warning was given that the evidence has not left behind yet."""
        return self._warned

    @property
    def is_compared(self) -> bool:
        """Whether what the baseline learned was held against what it began with, which is done once."""
        return UNSTRATIFIED in self._compared

    @property
    def warning_band(self) -> tuple[float, float]:
        """Evidence, nats: below the first a warning may come again, from the second on it comes; nan without any."""
        if not self.policy.warn or self.promise.level < 100:
            return math.nan, math.nan
        return log_level(self.promise) - _REARM_BELOW, log_level(self.promise) - _WARN_BELOW

    @property
    def wanted(self) -> int:
        """Responses that the baseline still learns from before anything is held against it."""
        return max(self.baseline.first - self._seen, 0) if self._watch is None else 0

    @property
    def detector(self) -> Detector | None:
        """The detector of a stream without strata, where one watches."""
        return self._watch.detector if isinstance(self._watch, PlainWatch) else None

    @property
    def reading(self) -> Reading | None:
        """Where the evidence stands; None while the baseline is learned."""
        return None if self._watch is None else self._watch.reading

    @property
    def log_e_value(self) -> float | None:
        """Log of an e-value of "nothing changed in this epoch", nats, at a time that does not depend on the responses.

        None while the baseline is learned. Raises InvalidInput unless `screened`.
        """
        if not self.screened:
            raise InvalidInput("this monitor keeps no e-value; make it with screened=True")
        return None if self._screen is None else self._screen.log_e_value

    @property
    def counts(self) -> Counts:
        """Responses of this epoch by goal, (K,)."""
        return tuple(self._counts)

    def update(
        self,
        said: Said,
        *,
        time: str | None = None,
        id: str | None = None,
        stratum: str = UNSTRATIFIED,
        session: str | None = None,
        version: str | None = None,
        classifier: str | None = None,
    ) -> Alert | None:
        """One response: its verdict, the key of its goal, or the probabilities (K,) of the goals. An alert, or None.

        `time` is ISO 8601; `id` names the response in alerts; `session` the conversation or user that it belongs to,
        which counts with `sessions` alone; `version` is the model's, where it declares one, and `classifier` the hash
        of what gave the verdict: others than before begin a new epoch. Where one response brings several alerts, `due`
        gives the rest. Raises InvalidInput, and changes nothing, where an argument is wrong.
        """
        label, row = self._reader.read(said)
        now = None if time is None else seconds(time)
        if version not in (None, self.epoch.version) or classifier not in (None, self.epoch.classifier):
            self._declare(version, classifier)
        self.step += 1
        self.last_time = time or self.last_time
        if self._silent:
            self._silent = False
            self._say(DATA_BACK, WARN)
        self._count(label, row, None if id is None else id[:_LONGEST_NAME])
        if self._gathering is None:
            self._take(label, row, self._stratum_of(stratum) if self.stratified else UNSTRATIFIED)
        else:
            name = None if session is None else session[:_LONGEST_NAME]
            for one in self._gathering[0].take(name, row, step=self.step, seconds=now):
                self._take_session(one)
        return self.due()

    def take_quiet(self, labels: Sequence[int], ids: Sequence[str | None], *, time: str | None) -> None:
        """Responses that only move numbers, as `Replay` finds out: the detector has taken them in already, or learns.

        `labels` are places of goals, `ids` of the same length; `time` is the last that one of them names. While the
        baseline is learned, no more than it still wants.
        """
        before, self.step = self.step, self.step + len(labels)
        self.last_time = time or self.last_time
        tally = np.bincount(labels, minlength=len(self._counts))
        self._counts = [count + more for count, more in zip(self._counts, tally.tolist(), strict=True)]
        if self._watch is None:
            self._learn(tally.astype(np.float64), UNSTRATIFIED, responses=len(labels))
            return
        self._seen += len(labels)
        self._memory.add_many(labels, UNSTRATIFIED)
        self._exemplars.add_many(labels, before + 1, ids)

    def close_sessions(self) -> Alert | None:
        """Take the sessions that are still open as over, where no more will come."""
        for one in self._gathering[0].close() if self._gathering else ():
            self._take_session(one)
        return self.due()

    def _declare(self, version: str | None, classifier: str | None) -> None:
        """What was not known before is taken down; what was known and is another now begins an epoch."""
        before = self.epoch
        now = replace(before, version=version or before.version, classifier=classifier or before.classifier)
        if before.version not in (None, now.version) or before.classifier not in (None, now.classifier):
            self.begin_epoch(version=version, classifier=classifier)
        else:
            self.epoch = now

    def tick(self, time: str) -> Alert | None:
        """What time it is, ISO 8601, where no response says so: an alert after `policy.silence` seconds without one."""
        now, last = seconds(time), seconds(self.last_time)
        silence = self.policy.silence
        if silence is not None and now is not None and last is not None and now - last > silence and not self._silent:
            self._silent = True
            self._say(NO_DATA, WARN, time=time)
        return self.due()

    def due(self) -> Alert | None:
        """An alert that was not given yet, the oldest first."""
        return self._voice.due()

    @property
    def since(self) -> Estimate | None:
        """Since which response the alert that stands; None where none does, or the detector cannot say."""
        return None if self._standing is None else self._standing.since

    @property
    def is_acknowledged(self) -> bool:
        """Whether somebody looks at the alert that stands."""
        return self._standing is not None and self._standing.acknowledged

    @property
    def snoozed_until(self) -> int | None:
        """The response until which nothing is said about changes; None where that is over."""
        return self._snoozed_until if self._snoozed_until > self.step else None

    @property
    def normal(self) -> Baseline | None:
        """What is normal by now, as a baseline to begin with elsewhere; None while it is learned.

        What quiet traffic taught is part of it, unless an alert stands.
        """
        if self._watch is None:
            return None
        counts = {} if self._standing else self._watch.normal()
        return Baseline(
            counts or self._normal,
            name=self.baseline.name,
            taxonomy=self.taxonomy.hash,
            classifier=self.epoch.classifier,
        )

    def acknowledge(self) -> None:
        """Somebody looks at the alert that stands: it is not notified again."""
        if self._standing is not None:
            self._standing.notify_at, self._standing.acknowledged = None, True

    def expect(self) -> None:
        """What came since the change is what is wanted: from now on it is normal, in a new epoch.

        The baseline is `policy.relearn` responses of it (or sessions, where those are counted): where fewer have come,
        those that come next are added. Raises InvalidInput where no alert stands.
        """
        if self._standing is None:
            raise InvalidInput(f"no alert of {self.name} stands, so that there is no change to take as normal")
        window, since = self._standing.seen(), self._standing.since
        place = f"response {since.value:.0f}" if since is not None else f"before response {self.step}"
        self.begin_epoch(baseline=Baseline(first=self.policy.relearn, name=f"what came since {place}"))
        self._first, self._seen = window, round(sum(map(sum, window.values())))
        if self._seen >= self.baseline.first:
            self._hold_against(self._normal)

    def snooze(self, responses: int) -> None:
        """Say nothing about changes for so many responses; what still stands then is said then."""
        if responses < 1:
            raise InvalidInput(f"a snooze must last at least 1 response, got {responses}")
        self._snoozed_until = self.step + responses
        if self._standing is not None:
            self._standing.notify_at = self._snoozed_until

    def begin_epoch(
        self,
        *,
        baseline: Baseline | Profile | None = None,
        classifier: str | None = None,
        taxonomy: Taxonomy | None = None,
        version: str | None = None,
    ) -> None:
        """Evidence begins anew: other verdicts (`classifier`: its hash; `taxonomy`), another model, or a new baseline.

        A new model version is held against the same baseline, or learns its own where that was the first n responses.
        Where verdicts change meaning a given baseline no longer speaks of them: it is learned from the next
        `policy.relearn` responses, unless one is given here. An alert that stood is closed, which the next update says.
        """
        if self._standing is not None and self._standing.sent:
            self._say(CLOSED, PAGE)
        other = taxonomy is not None and taxonomy.hash != self.taxonomy.hash
        other = other or (classifier is not None and self.epoch.classifier not in (None, classifier))
        self.taxonomy = taxonomy or self.taxonomy
        if baseline is not None:
            self.baseline = Baseline.of(baseline) if isinstance(baseline, Profile) else baseline
        elif other and not self.baseline.first:
            self.baseline = Baseline.of_first(self.policy.relearn)
        self.epoch = Epoch(
            self.epoch.number + 1, self.step, classifier or self.epoch.classifier, version or self.epoch.version
        )
        self._begin(self.baseline)

    def to_dict(self) -> dict[str, Any]:
        """Settings and state in plain values, exact in JSON: `from_dict` of it goes on as if nothing had happened."""
        return {"name": self.name, "settings": self.settings_to_dict(), "state": self.state_to_dict()}

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any], *, detector: Kind | None = None) -> Self:
        """The inverse of `to_dict`; a kind of detector that is not one of `KINDS` has to be given again."""
        try:
            made = cls.from_settings(fields["settings"], name=fields["name"], detector=detector)
            made.restore(fields["state"])
        except InvalidInput:
            raise
        except (KeyError, IndexError, TypeError, AttributeError, ValueError) as error:
            raise InvalidInput(
                f"this is not the state of a monitor that this version reads: {error!r}; begin with a new one"
            ) from error
        return made

    def settings_to_dict(self) -> dict[str, Any]:
        """What it was made with, save its name."""
        return {
            "baseline": self.baseline.to_dict(),
            "promise": self.promise.to_dict(),
            "detector": self.kind.name,
            "taxonomy": self.taxonomy.to_dict(),
            "stratified": self.stratified,
            "soft": self.soft,
            "sessions": None if self.sessions is None else asdict(self.sessions),
            "screened": self.screened,
            "policy": asdict(self.policy),
        }

    @classmethod
    def from_settings(cls, fields: Mapping[str, Any], *, name: str, detector: Kind | None = None) -> Self:
        """A monitor that has seen nothing."""
        promise = promise_from_dict(fields["promise"])
        return cls(
            Baseline.from_dict(fields["baseline"]),
            run_length=promise.responses if isinstance(promise, RunLength) else 1.0,
            alpha=promise.alpha if isinstance(promise, Lifetime) else None,
            detector=detector or find_kind(fields["detector"]),
            taxonomy=Taxonomy.from_dict(fields["taxonomy"]),
            name=name,
            stratified=fields["stratified"],
            soft=fields["soft"],
            sessions=None if fields["sessions"] is None else SessionEnd(**fields["sessions"]),
            screened=fields["screened"],
            policy=Policy(**fields["policy"]),
        )

    def state_to_dict(self) -> dict[str, Any]:
        """What it has seen: about 3 kB."""
        return {
            "step": self.step,
            "epoch": asdict(self.epoch),
            "last_time": self.last_time,
            "silent": self._silent,
            "snoozed_until": self._snoozed_until,
            "voice": self._voice.to_dict(),
            "counts": list(self._counts),
            "first": {stratum: list(row) for stratum, row in self._first.items()},
            "seen": self._seen,
            "warned": self._warned,
            "compared": sorted(self._compared),
            "watch": None if self._watch is None else self._watch.to_dict(),
            "screen": None if self._screen is None else self._screen.to_dict(),
            "standing": None if self._standing is None else self._standing.to_dict(),
            "memory": self._memory.to_dict() if self._gathering is None else self._gathering[1].to_dict(),
            "open": None if self._gathering is None else self._gathering[0].to_dict(),
            "exemplars": self._exemplars.to_dict(),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on where this state was left."""
        self.step, self.epoch, self.last_time = state["step"], Epoch(**state["epoch"]), state["last_time"]
        self._silent, self._snoozed_until = state["silent"], state["snoozed_until"]
        self._voice.restore(state["voice"])
        self._counts, self._warned, self._seen = list(state["counts"]), state["warned"], state["seen"]
        self._compared = set(state["compared"])
        self._first = {stratum: list(row) for stratum, row in state["first"].items()}
        sessions = self.sessions is not None
        self._watch = None if state["watch"] is None else watch_from_dict(state["watch"], sessions=sessions)
        self._screen = None if state["screen"] is None else watch_from_dict(state["screen"], sessions=sessions)
        self._standing = None if state["standing"] is None else Standing.from_dict(state["standing"])
        self._exemplars.restore(state["exemplars"])
        if self._gathering is None:
            self._memory.restore(state["memory"])
        else:
            self._gathering[0].restore(state["open"])
            self._gathering[1].restore(state["memory"])

    def _begin(self, baseline: Baseline) -> None:
        goals = len(self.taxonomy.goals)
        if baseline.goals not in (None, goals):
            raise InvalidInput(
                f"the baseline has {baseline.goals} goals, taxonomy {self.taxonomy.name!r} has {goals}; use one of them"
            )
        if baseline.taxonomy not in (None, self.taxonomy.hash):
            raise InvalidInput(
                f"baseline {baseline.name} counts other goals than those of {self.taxonomy.name!r}; use one for both"
            )
        self._counts = [0.0] * goals
        self._reader = Reader(self.taxonomy, soft=self.soft)
        self._first = {}
        self._watch = self._screen = None
        self._standing = None
        self._warned, self._seen = False, 0
        self._compared = set()
        self._memory, self._exemplars = LabelMemory(goals), Exemplars()
        self._gathering = None if self.sessions is None else (OpenSessions(self.sessions), SessionMemory())
        if not baseline.first:
            self._hold_against(baseline.counts)

    def _hold_against(self, counts: Mapping[str, Counts]) -> None:
        self._watch, self._seen = self._watch_for(counts), 0
        self._screen = self._watch_for(counts) if self.screened else None
        if self._screen is not None and self._screen.log_e_value is None:
            raise InvalidInput(f"the detector {self.kind.name!r} gives no e-values to screen by; use {PROFILE.name!r}")

    def _watch_for(self, counts: Mapping[str, Counts]) -> Watch:
        misaligned = tuple(not aligned for aligned in self.taxonomy.aligned)
        return watch_for(
            counts,
            self.kind,
            misaligned=misaligned,
            promise=self.promise,
            stratified=self.stratified,
            sessions=self.sessions is not None,
        )

    @property
    def _normal(self) -> dict[str, Counts]:
        """The baseline's counts by stratum, as given or as learned from the first responses."""
        counts = self._first if self.baseline.first else self.baseline.counts
        return {stratum: tuple(row) for stratum, row in counts.items()}

    def _stratum_of(self, stratum: str) -> str:
        name, known = stratum[:_LONGEST_NAME], self._known_strata()
        return name if name in known or len(known) < MOST_STRATA else OTHER_STRATA

    def _known_strata(self) -> set[str]:
        parts = set() if self._watch is None else set(self._watch.strata())
        return parts | set(self._first) | set(self.baseline.counts)

    def _count(self, label: int, row: Floats, id: str | None) -> None:
        if self.soft:
            self._counts = [count + part for count, part in zip(self._counts, row.tolist(), strict=True)]
        else:
            self._counts[label] += 1
        if id is not None and self._watch is not None:
            self._exemplars.add(label, self.step, id)

    def _take(self, label: int, row: Floats, stratum: str) -> None:
        if self._watch is None:
            self._learn(row, stratum)
            return
        self._seen += 1
        if self._screen is not None:
            self._screen.take(label, row if self.soft else None, stratum)
        if self._standing is not None and self._watch.is_evidence:
            self._look_for_recovery(self._standing, row, stratum)
            return
        self._memory.add(label, stratum)
        self._judge(self._watch.take(label, row if self.soft else None, stratum), row, stratum)
        if stratum not in self._compared:
            self._compare(self._watch, stratum)

    def _take_session(self, one: Gathered) -> None:
        """A session that is over, which is one bet."""
        if self._watch is None:
            self._learn(one.mean, UNSTRATIFIED, responses=one.size)
            return
        assert isinstance(self._watch, SessionWatch)  # noqa: S101
        assert self._gathering is not None  # noqa: S101
        self._seen += one.size
        if self._screen is not None:
            assert isinstance(self._screen, SessionWatch)  # noqa: S101
            self._screen.take_session(one.mean, one.size)
        if self._standing is not None:
            self._look_for_recovery(self._standing, one.mean, UNSTRATIFIED)
            return
        self._gathering[1].add(one)
        self._judge(self._watch.take_session(one.mean, one.size), one.mean, UNSTRATIFIED)
        if UNSTRATIFIED not in self._compared:
            self._compare(self._watch, UNSTRATIFIED)

    def _learn(self, row: Floats, stratum: str, *, responses: int = 1) -> None:
        add(self._first, stratum, row)
        self._seen += responses
        if self._seen >= self.baseline.first:
            self._hold_against(self._normal)

    def _compare(self, watch: Watch, stratum: str) -> None:
        """Once a stratum's baseline has stopped learning: whether it is still what it began with."""
        drift = drift_of(watch, stratum, self.taxonomy, place=len(self._compared) + 1)
        if drift is None:
            return
        self._compared.add(stratum)
        if drift.is_found and self.policy.warn:
            now = Now(self.step, self.last_time, self.baseline.name, self.epoch)
            self._voice.say(DRIFT, WARN, now, **drift.fields(self.taxonomy, self._unit))

    def _judge(self, reading: Reading, row: Floats, stratum: str) -> None:
        """The edges of a detector's alarm; the standing alert of one without evidence ends where its alarm does."""
        assert self._watch is not None  # noqa: S101
        if self._standing is not None:
            add(self._standing.window, stratum, row)
            if not reading.alarm:
                self._recover(self._standing)
            elif self._is_due(self._standing):
                self._notify(self._standing)
        elif reading.alarm:
            self._alarm(reading)
        elif self._watch.is_evidence and self.policy.warn and self.promise.level >= 100:
            if reading.evidence >= reading.threshold - _WARN_BELOW and not self._warned:
                self._warned = True
                if self.step >= self._snoozed_until:
                    self._say(CHANGE, WARN, standing=self._found(reading))
            elif reading.evidence < reading.threshold - _REARM_BELOW:
                self._warned = False

    def _alarm(self, reading: Reading) -> None:
        self._standing = self._found(reading)
        self._standing.notify_at = max(self._snoozed_until, self.step)
        if self._is_due(self._standing):
            self._notify(self._standing)

    def _found(self, reading: Reading) -> Standing:
        """What changed, as the responses so far show it."""
        assert self._watch is not None  # noqa: S101
        if self._gathering is None:
            since, window = self._memory.look(self._watch, self.step)
        else:
            assert isinstance(self._watch, SessionWatch)  # noqa: S101
            since, window = self._gathering[1].look(self._watch)
        return Standing(since, window, [reading.evidence, reading.threshold])

    def _look_for_recovery(self, standing: Standing, row: Floats, stratum: str) -> None:
        standing.take(row, stratum, step=self.step, shares=self._shares)
        if standing.back >= log_level(self.promise):
            self._recover(standing)
        elif self._is_due(standing):
            self._notify(standing)

    def _shares(self, stratum: str) -> Floats:
        """The baseline of a stratum as it stands, (K,)."""
        assert self._watch is not None  # noqa: S101
        shares = self._watch.shares(stratum)
        if shares is not None:
            return shares
        normal = self._normal
        return predictive(np.array(normal.get(stratum, total(normal.values()))))

    def _recover(self, standing: Standing) -> None:
        assert self._watch is not None  # noqa: S101
        self._standing, self._warned, self._seen = None, False, 0
        if standing.sent:
            since = None
            if self._watch.is_evidence:
                first, n = float(standing.back_since), int(sum(map(sum, standing.back_window.values())))
                since = Estimate(first, math.nan, math.nan, 0.95, "responses", n, "where the CUSUM last left 0")
            over = replace(standing, since=since, window=standing.back_window or standing.window, back_window={})
            self._say(RECOVERED, PAGE, standing=over)
        if self._watch.is_evidence:
            self._watch.reset()
            self._memory.clear()
            if self._gathering is not None:
                self._gathering[1].clear()

    def _is_due(self, standing: Standing) -> bool:
        return standing.notify_at is not None and self.step >= standing.notify_at

    def _notify(self, standing: Standing) -> None:
        self._say(CHANGE, PAGE, standing=standing)
        standing.sent += 1
        standing.notify_at = None if self.policy.renotify is None else self.step + self.policy.renotify

    def _say(self, kind: str, tier: str, *, standing: Standing | None = None, time: str | None = None) -> None:
        """Make an alert, to be given by the update or tick that is under way, or the next."""
        what = {} if standing is None else self._seen_in(standing, kind, tier)
        self._voice.say(kind, tier, Now(self.step, time or self.last_time, self.baseline.name, self.epoch), **what)

    def _seen_in(self, standing: Standing, kind: str, tier: str) -> dict[str, Any]:
        finding = find(self._normal, standing.seen(), self.taxonomy, unit=self._unit)
        if tier == WARN:
            finding = replace(finding, action=REVIEW, reason="the evidence is still short of a page")
        elif kind == RECOVERED:
            finding = replace(finding, action=NOTHING, reason="responses fit the baseline again")
        evidence, threshold = standing.reading
        return {
            "repeat": standing.sent if kind == CHANGE else 0,
            "log_evidence": evidence if self._watch is not None and self._watch.is_evidence else None,
            "statistic": evidence,
            "threshold": threshold,
            "since": standing.since,
            "finding": finding,
            "exemplars": self._exemplar_ids(standing, finding),
        }

    @property
    def _unit(self) -> str:
        return RESPONSES if self.sessions is None else SESSIONS

    def _exemplar_ids(self, standing: Standing, finding: Finding) -> tuple[str, ...]:
        """The latest responses since the change on goals that rose, newest first."""
        since = 0.0 if standing.since is None else standing.since.value
        goals = {self.taxonomy.index(one.goal) for one in finding.moved if one.after.value > one.before.value}
        return self._exemplars.latest(goals, since)


def _promise(run_length: float, alpha: float | None) -> Promise:
    try:
        return RunLength(run_length) if alpha is None else Lifetime(alpha)
    except ValueError as error:
        raise InvalidInput(str(error)) from error
