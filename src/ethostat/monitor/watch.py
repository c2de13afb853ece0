"""Watch: a detector over a stream, stratified or not: evidence, since when, the baseline as it stands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from ethostat.errors import InvalidInput
from ethostat.maths.detector import Detector, Floats, Reading
from ethostat.maths.detectors import NAMED
from ethostat.maths.estimate import Estimate
from ethostat.maths.evidence.baseline import Learned, learning_stops
from ethostat.maths.evidence.changepoint import change_point, change_point_of_sessions
from ethostat.maths.evidence.directed import DirectedDetector
from ethostat.maths.evidence.edetector import EDetector
from ethostat.maths.evidence.profiles import ProfileDetector
from ethostat.maths.evidence.promise import Promise
from ethostat.maths.evidence.stratified import StratifiedDetector
from ethostat.monitor.baseline import UNSTRATIFIED, Counts, total
from ethostat.monitor.kinds import PROFILE, Kind, Setting


class Watch(Protocol):
    """What a Monitor asks of a detector. `is_evidence` says that readings are log evidence that bets made."""

    is_evidence: bool

    @property
    def reading(self) -> Reading: ...

    def take(self, label: int, row: Floats | None, stratum: str) -> Reading:
        """One response: its goal, and its probabilities (K,) where they are to be weighed."""
        ...

    def shares(self, stratum: str) -> Floats | None:
        """The baseline of a stratum as it stands, (K,); None where the detector keeps none."""
        ...

    def strata(self) -> tuple[str, ...]:
        """The strata that it has met."""
        ...

    @property
    def log_e_value(self) -> float | None:
        """Log of an e-value of "nothing changed so far", nats, at a time fixed beforehand; None where there is none."""
        ...

    def normal(self) -> dict[str, Counts]:
        """Counts (K,) by stratum that the baseline rests on by now; empty where the detector keeps none."""
        ...

    def taught(self, stratum: str) -> tuple[Counts, Counts] | None:
        """Counts (K,) that a baseline began with and those that it learned, or two empty ones; None while it learns."""
        ...

    def since(self, labels: Sequence[int], strata: Sequence[str]) -> Estimate | None:
        """The place of the change among the last responses; None where the detector cannot say."""
        ...

    def reset(self) -> None: ...

    def to_dict(self) -> dict[str, Any]: ...


class PlainWatch:
    """One detector for the whole stream."""

    def __init__(self, detector: Detector) -> None:
        self.detector = detector
        self.is_evidence = isinstance(detector, ProfileDetector | DirectedDetector)

    @property
    def reading(self) -> Reading:
        return self.detector.reading

    def take(self, label: int, row: Floats | None, stratum: str) -> Reading:
        del stratum
        return self.detector.update(label) if row is None else self.detector.update_soft(row)

    def shares(self, stratum: str) -> Floats | None:
        del stratum
        return self.detector.shares if isinstance(self.detector, ProfileDetector) else None

    def strata(self) -> tuple[str, ...]:
        return ()

    @property
    def log_e_value(self) -> float | None:
        return self.detector.log_e_value if isinstance(self.detector, EDetector) else None

    def normal(self) -> dict[str, Counts]:
        counts = self.detector.taught if isinstance(self.detector, ProfileDetector) else None
        return {} if counts is None else {UNSTRATIFIED: tuple(counts.tolist())}

    def taught(self, stratum: str) -> tuple[Counts, Counts] | None:
        del stratum
        return _taught(self.detector) if isinstance(self.detector, ProfileDetector) else ((), ())

    def since(self, labels: Sequence[int], strata: Sequence[str]) -> Estimate | None:
        del strata
        if not isinstance(self.detector, ProfileDetector | DirectedDetector):
            return None
        return change_point(self.detector, labels)

    def reset(self) -> None:
        self.detector.reset()

    def to_dict(self) -> dict[str, Any]:
        return self.detector.to_dict()


class SessionWatch(PlainWatch):
    """One detector that takes whole sessions."""

    def __init__(self, detector: ProfileDetector | DirectedDetector) -> None:
        super().__init__(detector)
        self.takes_sessions = detector

    def take_session(self, mean: Floats, responses: int) -> Reading:
        """A session that is over: its mean profile (K,) and how many responses it had."""
        return self.takes_sessions.update_mean(mean, responses)

    def since_sessions(self, means: Floats) -> Estimate:
        """The place of the change among the last sessions, from their mean profiles (J, K)."""
        return change_point_of_sessions(self.takes_sessions, means)


class StratifiedWatch:
    """A baseline for each stratum."""

    is_evidence = True

    def __init__(self, detector: StratifiedDetector) -> None:
        self.detector = detector

    @property
    def reading(self) -> Reading:
        return self.detector.reading

    def take(self, label: int, row: Floats | None, stratum: str) -> Reading:
        return self.detector.update(label, stratum) if row is None else self.detector.update_soft(row, stratum)

    def shares(self, stratum: str) -> Floats | None:
        part = self.detector.part(stratum)
        return None if part is None else part.shares

    def strata(self) -> tuple[str, ...]:
        return self.detector.strata

    @property
    def log_e_value(self) -> float | None:
        return self.detector.log_e_value

    def normal(self) -> dict[str, Counts]:
        parts = {stratum: self.detector.part(stratum) for stratum in self.detector.strata}
        counts = {stratum: part.taught for stratum, part in parts.items() if part is not None}
        return {stratum: tuple(row.tolist()) for stratum, row in counts.items() if row is not None}

    def taught(self, stratum: str) -> tuple[Counts, Counts] | None:
        part = self.detector.part(stratum)
        return None if part is None else _taught(part)

    def since(self, labels: Sequence[int], strata: Sequence[str]) -> Estimate | None:
        return self.detector.change_point(labels, strata)

    def reset(self) -> None:
        self.detector.reset()

    def to_dict(self) -> dict[str, Any]:
        return self.detector.to_dict()


def watch_for(
    counts: Mapping[str, Counts],
    kind: Kind,
    *,
    misaligned: tuple[bool, ...],
    promise: Promise,
    stratified: bool,
    sessions: bool = False,
) -> Watch:
    """A watch that begins now. Raises InvalidInput for strata or sessions with a detector that knows none."""
    if sessions:
        return _session_watch(kind.make(Setting(total(counts.values()), misaligned, promise)))
    if not stratified:
        return PlainWatch(kind.make(Setting(total(counts.values()), misaligned, promise)))
    if kind is not PROFILE:
        raise InvalidInput(f"the detector {kind.name!r} knows no strata; use {PROFILE.name!r}, or leave the strata out")
    baselines = {stratum: Learned(row, learning_stops(promise)) for stratum, row in counts.items()}
    return StratifiedWatch(StratifiedDetector(misaligned, baselines, promise))


def watch_from_dict(fields: dict[str, Any], *, sessions: bool = False) -> Watch:
    """The inverse of `to_dict`."""
    if sessions:
        return _session_watch(NAMED[fields["name"]].from_dict(fields))
    if fields["name"] == StratifiedDetector.name:
        return StratifiedWatch(StratifiedDetector.from_dict(fields))
    return PlainWatch(NAMED[fields["name"]].from_dict(fields))


def _taught(detector: ProfileDetector) -> tuple[Counts, Counts] | None:
    if detector.is_learning or not isinstance(detector.baseline, Learned):
        return None
    return detector.baseline.counts, tuple(detector.learned.tolist())


def _session_watch(detector: Detector) -> SessionWatch:
    if not isinstance(detector, ProfileDetector | DirectedDetector):
        raise InvalidInput(f"the detector {detector.name!r} knows no sessions; use {PROFILE.name!r}, or leave them out")
    return SessionWatch(detector)
