"""Streams: many streams in the settings of one detector, updated together.

Each stream's wealth, totals and alarms are those of a detector of its own to the last bit: the same sums in the same
order. Only the logarithm of the evidence may differ in its last digit, as numpy's is another than the C library's.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ethostat.maths.detector import Floats
from ethostat.maths.evidence.baseline import Learned
from ethostat.maths.evidence.directed import DirectedDetector
from ethostat.maths.evidence.edetector import MOST_WEALTH
from ethostat.maths.evidence.portfolio import total_of
from ethostat.maths.evidence.profiles import ProfileDetector, mixed
from ethostat.maths.evidence.promise import RunLength
from ethostat.maths.profile import JEFFREYS

Whole = NDArray[np.int64]
Single = ProfileDetector | DirectedDetector

_BLOCK = 256  # streams whose wealth stays in the processor's cache while their events are taken


class Readings(NamedTuple):
    """What follows each of n events: `evidence` (n,) nats, and whether its stream is in `alarm` (n,)."""

    evidence: Floats
    alarm: NDArray[np.bool_]


class Streams:
    """`count` streams that begin where `template` stands."""

    def __init__(self, template: Single, count: int) -> None:
        self.template = template.copy()
        self.goals = template.goals
        self.wealth = np.tile(template.wealth, (count, 1))
        self.steps = np.full(count, template.steps, dtype=np.int64)
        self.responses = np.full(count, template.responses, dtype=np.int64)
        self.totals = np.full(count, template.total)
        self._fixed = _fixed_table(template)
        learned = template.taught if isinstance(template, ProfileDetector) and self._fixed is None else None
        self.learned = None if learned is None else np.tile(learned, (count, 1))

    @classmethod
    def of(cls, detectors: Sequence[ProfileDetector]) -> Self:
        """Streams that go on where these detectors stand; their baselines are learned, and may differ.

        Raises ValueError where there is none, or portfolios, promises or the end of learning differ.
        """
        baseline = detectors[0].baseline if detectors else None
        if not isinstance(baseline, Learned) or len({settings_of(one) for one in detectors}) != 1:
            raise ValueError(
                "streams go on from detectors that learn and differ in counts and state alone, one at least"
            )
        first = detectors[0]
        nothing = Learned((0.0,) * first.goals, baseline.freeze_at)
        made = cls(ProfileDetector(first.portfolio, nothing, first.promise), len(detectors))
        made.wealth = np.stack([one.wealth for one in detectors])
        made.steps = np.array([one.steps for one in detectors], dtype=np.int64)
        made.responses = np.array([one.responses for one in detectors], dtype=np.int64)
        made.totals = np.array([one.total for one in detectors])
        made.learned = np.stack([one.taught for one in detectors if one.taught is not None])
        return made

    def hand_back(self, stream: int, detector: ProfileDetector) -> None:
        """Let a detector that `of` was given stand where its stream does now."""
        assert self.learned is not None  # noqa: S101 - `of` learns
        detector.go_on(
            self.wealth[stream],
            steps=int(self.steps[stream]),
            responses=int(self.responses[stream]),
            total=float(self.totals[stream]),
            taught=self.learned[stream].tolist(),
        )

    def __len__(self) -> int:
        return len(self.steps)

    @property
    def evidence(self) -> Floats:
        """log M of each stream, nats, (S,)."""
        with np.errstate(divide="ignore"):
            return np.asarray(np.log(self.totals))

    @property
    def alarm(self) -> NDArray[np.bool_]:
        """Which streams are in alarm, (S,)."""
        return np.asarray(self.totals >= self.template.promise.level)

    @property
    def log_e_values(self) -> Floats:
        """Log of each stream's e-value of "nothing changed so far", (S,); `EDetector.log_e_value` says when it is."""
        if not isinstance(self.template.promise, RunLength):
            return self.evidence
        seen = self.responses > 0
        return np.where(seen, self.evidence - np.log(np.maximum(self.responses, 1)), 0.0)

    def update(self, streams: ArrayLike, labels: ArrayLike) -> Readings:
        """One response of each event: its stream (n,) and its goal (n,), in order of time.

        Raises ValueError for a stream or a label that there is not; nothing was updated then.
        """
        said = np.asarray(labels, dtype=np.int64)
        if said.ndim != 1 or (said.size and not 0 <= said.min() <= said.max() < self.goals):
            raise ValueError(f"labels must be 0 to {self.goals - 1}, one for each event")
        return self._take(streams, said)

    def update_soft(self, streams: ArrayLike, probabilities: ArrayLike) -> Readings:
        """One response of each event with the probabilities (n, K) of its goals; else as `update`."""
        rows = np.asarray(probabilities, dtype=np.float64)
        if rows.ndim != 2 or rows.shape[1] != self.goals:
            raise ValueError(f"probabilities must be (n, {self.goals}), got {rows.shape}")
        if not ((rows >= 0).all() and (np.abs(rows.sum(axis=1) - 1) <= 1e-6).all()):
            raise ValueError("probabilities must be at least 0 and sum to 1 in each row")
        return self._take(streams, rows)

    def _take(self, streams: ArrayLike, said: Whole | Floats) -> Readings:
        which = np.asarray(streams, dtype=np.int64)
        if which.shape != said.shape[:1]:
            raise ValueError(f"each event needs a stream and a verdict, got {which.shape} and {said.shape}")
        if which.size == 0:
            return Readings(np.zeros(0), np.zeros(0, dtype=bool))
        if which.min() < 0 or which.max() >= len(self):
            raise ValueError(f"streams must be 0 to {len(self) - 1}, got {which.min()} to {which.max()}")
        totals = np.empty(which.size)
        # Numbers of 16 bits are sorted by radix, several times as fast.
        order = np.argsort(which.astype(np.uint16) if len(self) <= 1 << 16 else which, kind="stable")
        counts = np.bincount(which, minlength=len(self))
        first = np.cumsum(counts) - counts
        ids = np.argsort(-counts, kind="stable")[: np.count_nonzero(counts)]
        first, counts = first[ids], counts[ids]
        for at in range(0, len(ids), _BLOCK):
            part = slice(at, at + _BLOCK)
            turns = _turns(first[part], counts[part], order)
            self._update_block(ids[part], turns, said, totals)
            self.responses[ids[part]] += counts[part]
        with np.errstate(divide="ignore"):
            return Readings(np.log(totals), totals >= self.template.promise.level)

    def _update_block(self, ids: Whole, turns: Iterable[Whole], said: Whole | Floats, totals: Floats) -> None:
        """Each turn holds one event (n,) of the first n of the streams; its verdict is `said`, `totals` is filled."""
        wealth, steps, stakes = self.wealth[ids], self.steps[ids], self.template.stakes
        learned = self.learned[ids] if self.learned is not None else np.empty((len(ids), 0))
        factors = np.empty_like(wealth)
        promise, is_run_length = self.template.promise, isinstance(self.template.promise, RunLength)
        last = np.empty(len(ids))
        for events in turns:
            n = len(events)
            mine, used = wealth[:n], factors[:n]
            self._set_factors(used, said[events], learned[:n])
            mine += stakes if is_run_length else stakes * promise.starts(steps[:n])[:, None]
            mine *= used
            steps[:n] += 1
            total = np.add.reduce(mine, axis=1)
            if total.max() > MOST_WEALTH:
                full = total > MOST_WEALTH
                mine[full] *= (MOST_WEALTH / total[full])[:, None]
                total[full] = np.add.reduce(mine[full], axis=1)
            last[:n] = total if is_run_length else total + promise.unspents(steps[:n])
            totals[events] = last[:n]
        self.wealth[ids], self.steps[ids], self.totals[ids] = wealth, steps, last
        if self.learned is not None:
            self.learned[ids] = learned

    def _set_factors(self, out: Floats, said: Whole | Floats, learned: Floats) -> None:
        """The factors (n, G) of verdicts, which `learned` (n, K) takes in where streams still learn."""
        if said.ndim == 2:
            out[...] = self._soft_factors(said.astype(np.float64, copy=False), learned)
            return
        labels = said.astype(np.int64, copy=False)
        if self._fixed is not None:
            np.take(self._fixed, labels, axis=0, out=out, mode="clip")
        else:
            out[...] = self._learning_factors(labels, learned)

    def _learning_factors(self, labels: Whole, learned: Floats) -> Floats:
        """The factors (n, G) of labels, which `learned` (n, K) takes in unless a stream has stopped learning."""
        assert isinstance(self.template, ProfileDetector)  # noqa: S101
        assert isinstance(self.template.baseline, Learned)  # noqa: S101
        factors = self.template.portfolio.factors_of_many(labels, learned + JEFFREYS)
        learned[np.arange(len(labels)), labels] += total_of(list(learned.T)) < self.template.baseline.most
        return factors

    def _soft_factors(self, rows: Floats, learned: Floats) -> Floats:
        """The factors (n, G) of probabilities (n, K), which `learned` (n, K) takes in as above."""
        template = self.template
        if isinstance(template, DirectedDetector):
            return template.of_shares(rows)
        if self._fixed is not None:
            return mixed(list(self._fixed), rows)
        assert isinstance(template.baseline, Learned)  # noqa: S101
        weights, every = learned + JEFFREYS, np.ones(len(rows), dtype=np.int64)
        factors = [template.portfolio.factors_of_many(goal * every, weights) for goal in range(self.goals)]
        learned += rows * (total_of(list(learned.T)) < template.baseline.most)[:, None]
        return mixed(factors, rows)

    def detector(self, stream: int) -> Single:
        """A detector of its own in the state of this stream."""
        fields = self.template.to_dict()
        fields["state"] |= {
            "steps": int(self.steps[stream]),
            "responses": int(self.responses[stream]),
            "wealth": self.wealth[stream].tolist(),
        }
        if self.learned is not None:
            fields["state"]["learned"] = self.learned[stream].tolist()
        return type(self.template).from_dict(fields)

    def reset(self, streams: ArrayLike) -> None:
        """Forget the evidence of these streams, as `Detector.reset` does."""
        for stream in np.asarray(streams, dtype=np.int64).tolist():
            one = self.detector(stream)
            one.reset()
            self.wealth[stream], self.totals[stream] = one.wealth, one.total
            self.steps[stream] = self.responses[stream] = 0
            if self.learned is not None and isinstance(one, ProfileDetector):
                self.learned[stream] = one.taught


def _turns(first: Whole, counts: Whole, order: Whole) -> Iterator[Whole]:
    """The events of streams by turn: the first of each, the second of each that has one, and so on.

    The busiest stream comes first, so that those with an event left are always the first n.
    """
    active = np.searchsorted(-counts, -np.arange(counts[0]), side="left")
    for turn, n in enumerate(active.tolist()):
        yield order[first[:n] + turn]


def _fixed_table(template: Single) -> Floats | None:
    """The factors of each goal, (K, G), where no stream will change them."""
    if isinstance(template, ProfileDetector) and template.is_learning:
        return None
    return np.stack([template.factors_of(goal) for goal in range(template.goals)])


def settings_of(detector: ProfileDetector) -> tuple[object, ...]:
    """What detectors must share to be updated together by `Streams.of`: all but counts and state."""
    baseline = detector.baseline
    ends = baseline.freeze_at if isinstance(baseline, Learned) else baseline
    return detector.portfolio, detector.promise, type(baseline), ends


def first_alarms(template: Single, labels: ArrayLike) -> Whole:
    """When fresh copies of a detector first alarm on sequences of labels (R, T): places (R,), T where none does."""
    rows = np.asarray(labels, dtype=np.int64)
    streams, found = Streams(template, len(rows)), np.full(len(rows), rows.shape[1])
    watched = np.arange(len(rows))
    for at in range(0, rows.shape[1], 64):
        part = rows[watched, at : at + 64]
        alarm = streams.update(np.repeat(watched, part.shape[1]), part.ravel()).alarm.reshape(part.shape)
        fired = alarm.any(axis=1)
        found[watched[fired]] = at + alarm[fired].argmax(axis=1)
        watched = watched[~fired]
        if not len(watched):
            break
    return found
