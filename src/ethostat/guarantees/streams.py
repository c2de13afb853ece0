"""Streams of labels whose law is known, the paths of evidence on them, and the fastest detectors that there are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ethostat.guarantees.check import Floats, Generator
from ethostat.guarantees.populations import profile_of
from ethostat.maths.evidence import (
    DirectedDetector,
    EDetector,
    Known,
    Lifetime,
    ProfileDetector,
    RunLength,
    Streams,
    portfolio_for,
)

FLAGS = (False, True, False, True, True)
"""Which of the five goals are misaligned."""
COMPLIANT, EVEN = (5, 2, 1, 2), (1, 1, 1, 1)
GUARDED = np.array([0.62, 0.02, 0.31, 0.03, 0.02])
CAREFUL = np.array([0.88, 0.012, 0.08, 0.008, 0.02])
BLOCK = 64
"""Responses of each stream that are simulated at once."""


def spread(entropy: float, shape: Sequence[float]) -> Floats:
    """The profile of this S in which g1 gives way to the others in the proportions of `shape` (4,)."""
    p = profile_of(entropy, shape)
    assert p is not None  # noqa: S101 - every S that is asked for can be reached
    return p


def moved(profile: Floats, source: int, target: int, amount: float) -> Floats:
    """A profile in which this much of one goal became another."""
    out = profile.copy()
    out[source] -= amount
    out[target] += amount
    return out


class Change(NamedTuple):
    """A scenario: its baseline, what comes, how long to wait, the ratio to the oracle that is promised, if any."""

    name: str
    before: Floats
    after: Floats
    wait: int
    most: float | None


CHANGES = [
    Change("S .12 -> .70, mostly g2", spread(0.12, COMPLIANT), spread(0.70, COMPLIANT), 1500, 1.35),
    Change("S .12 -> .70, evenly", spread(0.12, EVEN), spread(0.70, EVEN), 1500, 1.35),
    Change("S .20 -> .45, evenly", spread(0.20, EVEN), spread(0.45, EVEN), 4000, 1.35),
    Change("S .70 -> 1.15, mostly g2", spread(0.70, COMPLIANT), spread(1.15, COMPLIANT), 2500, 1.35),
    Change("g1 <-> g2 trade places, S the same", CAREFUL, CAREFUL[[1, 0, 2, 3, 4]], 300, 1.8),
    Change("g3 -> g2, S the same: refusals become compliance", GUARDED, GUARDED[[0, 2, 1, 3, 4]], 600, 1.8),
    Change("g2 and g3 trade places in a careful profile", CAREFUL, CAREFUL[[0, 2, 1, 3, 4]], 1500, 1.8),
    Change("g3 -> g2, 4 points", GUARDED, moved(GUARDED, 2, 1, 0.04), 6000, None),
    Change("g1 -> g4, 3 points: refuses what it should answer", CAREFUL, moved(CAREFUL, 0, 3, 0.03), 6000, None),
    Change("g1 -> g5, 10 points", CAREFUL, moved(CAREFUL, 0, 4, 0.10), 3000, None),
]


def labels_of(rng: Generator, shares: Floats, runs: int, length: int) -> np.ndarray:
    """Independent labels, (runs, length), of one profile (K,) or of one for each run, (runs, K)."""
    edges = np.cumsum(np.broadcast_to(shares, (runs, np.shape(shares)[-1])), axis=1)
    drawn = rng.random((runs, length))
    labels = np.zeros((runs, length), dtype=np.int8)
    for goal in range(edges.shape[1] - 1):
        labels += drawn > edges[:, goal, None]
    return labels


def sessions_of(rng: Generator, shares: Floats, icc: float, *, runs: int, count: int, size: int = 10) -> np.ndarray:
    """Labels of sessions whose responses depend on each other, (runs, count, size): each has a profile of its own."""
    drawn = rng.standard_gamma((1 - icc) / icc * shares, (runs, count, len(shares))) + 1e-300
    drawn /= drawn.sum(axis=2, keepdims=True)
    uniform = rng.random((runs, count, size, 1))
    return np.asarray(np.minimum((uniform > drawn.cumsum(axis=2)[:, :, None]).sum(axis=3), len(shares) - 1))


def default(shares: Floats, promise: RunLength | Lifetime) -> ProfileDetector:
    """The default detector with a known baseline."""
    return ProfileDetector(portfolio_for(shares, FLAGS), Known(tuple(shares.tolist())), promise)


def path_of(detector: ProfileDetector | DirectedDetector, labels: np.ndarray) -> np.ndarray:
    """Evidence of fresh copies after each label, (R, T)."""
    streams, out = Streams(detector, len(labels)), np.empty(labels.shape, dtype=np.float32)
    for at in range(0, labels.shape[1], 2000):
        part = labels[:, at : at + 2000]
        which = np.repeat(np.arange(len(labels)), part.shape[1])
        out[:, at : at + 2000] = streams.update(which, part.ravel()).evidence.reshape(part.shape)
    return out


def oracle_path(before: Floats, after: Floats, labels: np.ndarray, *, is_cusum: bool) -> np.ndarray:
    """CUSUM or log Shiryaev-Roberts that know what comes, (R, T): no detector is faster at the same run length."""
    gains, state = np.log(after / before), np.full(len(labels), 0.0 if is_cusum else -np.inf)
    out = np.empty(labels.shape, dtype=np.float32)
    for at in range(labels.shape[1]):
        state = (np.maximum(state, 0) if is_cusum else np.logaddexp(0, state)) + gains[labels[:, at]]
        out[:, at] = state
    return out


def paper_path(labels: np.ndarray) -> np.ndarray:
    """|S_t - S_{t-1}| at the end of each step, 0 between, (R, T); steps begin at 0, 25, 50 or 75 in turn."""
    out = np.zeros(labels.shape, dtype=np.float32)
    for phase in range(4):
        out[phase::4, 25 * phase :] = steps_of_entropy(labels[phase::4, 25 * phase :])
    return out


def steps_of_entropy(labels: np.ndarray, step: int = 100) -> np.ndarray:
    """|S_t - S_{t-1}| of plug-in S at the end of each step of so many responses, 0 between, (R, T)."""
    runs, steps = len(labels), labels.shape[1] // step
    blocks = labels[:, : steps * step].reshape(runs, steps, step)
    shares = np.stack([(blocks == goal).mean(axis=2) for goal in range(5)], axis=2)
    entropy = -(shares * np.log(np.where(shares > 0, shares, 1))).sum(axis=2)
    out = np.zeros(labels.shape, dtype=np.float32)
    out[:, 2 * step - 1 : steps * step : step] = np.abs(np.diff(entropy, axis=1))
    return out


def first_at(path: np.ndarray, threshold: float) -> np.ndarray:
    """Places (R,) where paths (R, T) first reach it, T where they do not."""
    reached = path >= threshold
    return np.asarray(np.where(reached.any(axis=1), reached.argmax(axis=1), path.shape[1]))


def matched(path: np.ndarray, run_length: float) -> float:
    """The smallest threshold whose run length on quiet paths (R, T) is at least this."""
    levels = np.unique(np.maximum.accumulate(path, axis=1)[:, :: max(path.shape[1] // 400, 1)])
    low, high = 0, len(levels) - 1
    while low < high:
        middle = (low + high) // 2
        places = first_at(path, levels[middle])
        seen, alarms = np.minimum(places + 1, path.shape[1]).sum(), (places < path.shape[1]).sum()
        low, high = (low, middle) if seen >= run_length * max(alarms, 1) else (middle + 1, high)
    return float(levels[low])


def first_session(detector: EDetector, rows: np.ndarray) -> int:
    """The last response of the first session (J, size) that alarms, as a place; how many there are where none does."""
    for place, row in enumerate(rows):
        if detector.update_session(np.bincount(row, minlength=detector.goals)).alarm:
            return int((place + 1) * rows.shape[1] - 1)
    return int(rows.size)


def first_soft(detector: EDetector, rows: Floats) -> int:
    """The place of the first row of probabilities (n, K) that alarms, n where none does."""
    for place, row in enumerate(rows):
        if detector.update_soft(row).alarm:
            return place
    return len(rows)


def learning_alarms(streams: Streams, shares: Floats, length: int, rng: Generator) -> Floats:
    """First alarms (R,) of streams that learn on independent labels of a profile; inf where none alarms in time."""
    runs, places = len(streams), np.full(len(streams), np.inf)
    for at in range(0, length, 500):
        labels = labels_of(rng, shares, runs, 500)
        fired = streams.update(np.repeat(np.arange(runs), 500), labels.ravel()).alarm.reshape(labels.shape)
        places = np.where(np.isinf(places) & fired.any(axis=1), at + fired.argmax(axis=1), places)
        if np.isfinite(places).all():
            break
    return places


def first_passages(
    detector: ProfileDetector | DirectedDetector,
    levels: Sequence[float],
    before: Floats,
    after: Floats,
    *,
    change: int,
    horizon: int,
    rng: Generator,
) -> list[NDArray[np.int64]]:
    """When the evidence of fresh copies first reaches each level (nats), `horizon` where it does not.

    Copy r sees independent labels of profile before[r], and of after[r] from place `change` on, a multiple of BLOCK.
    """
    runs, highest = len(before), max(levels)
    streams, watched = Streams(detector, runs), np.arange(runs)
    found = [np.full(runs, horizon) for _ in levels]
    for at in range(0, horizon, BLOCK):
        n = min(BLOCK, horizon - at)
        shares = before if at < change else after
        labels = labels_of(rng, shares[watched], len(watched), n)
        evidence = streams.update(np.repeat(watched, n), labels.ravel()).evidence.reshape(-1, n)
        for level, row in zip(levels, found, strict=True):
            reached = evidence >= level - 1e-12
            fresh = reached.any(axis=1) & (row[watched] == horizon)
            row[watched[fresh]] = at + reached[fresh].argmax(axis=1)
        watched = watched[(evidence < highest - 1e-12).all(axis=1)]
        if not len(watched):
            break
    return found


class Classifier:
    """A made classifier of five goals with features around the corners of a simplex, and how it sees labels.

    Bayes' rule at `prior` makes its probabilities calibrated there.
    """

    def __init__(self, prior: Floats, *, apart: float = 3.4, noise: float = 1.25) -> None:
        self.prior, self.apart, self.noise = prior, apart, noise

    def features(self, labels: np.ndarray, rng: Generator) -> Floats:
        """What it sees, (..., 5)."""
        return np.asarray(np.eye(5)[labels] * self.apart + rng.normal(0, self.noise, (*labels.shape, 5)))

    def probabilities(self, features: Floats) -> Floats:
        """P(goal | features), (..., 5)."""
        logits = features * self.apart / self.noise**2 + np.log(self.prior)
        odds = np.exp(logits - logits.max(axis=-1, keepdims=True))
        return np.asarray(odds / odds.sum(axis=-1, keepdims=True))

    def confused(self, rng: Generator, n: int = 400_000) -> Floats:
        """The shares (5,) that its verdicts, which take goals as equally common, show at `prior`."""
        seen = self.features(labels_of(rng, self.prior, 1, n)[0], rng).argmax(axis=1)
        return np.bincount(seen, minlength=5) / n
