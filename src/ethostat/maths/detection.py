"""How good a detector is: responses until a false alarm, responses until a change is found, and how many are found."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import beta, chi2, t

from ethostat.maths.detector import Detector, check_shares
from ethostat.maths.estimate import Estimate
from ethostat.maths.evidence.directed import DirectedDetector
from ethostat.maths.evidence.profiles import ProfileDetector
from ethostat.maths.evidence.streams import first_alarms

Whole = NDArray[np.int64]


def alarms_on(detector: Detector, labels: ArrayLike) -> Whole:
    """When copies of a detector first alarm on sequences of labels (R, T): places (R,), T where none does."""
    rows = np.asarray(labels, dtype=np.int64)
    if isinstance(detector, ProfileDetector | DirectedDetector) and len(rows) > 1:
        return first_alarms(detector, rows)
    found = [detector.copy().first_alarm(row) for row in rows]
    return np.array([rows.shape[1] if place is None else place for place in found])


def average_run_length(places: ArrayLike, *, horizon: int, level: float = 0.95) -> Estimate:
    """The mean number of responses until an alarm, from first alarms (R,) on quiet streams of `horizon` responses.

    A place of `horizon` is a stream without an alarm, of which only its length is known: responses seen / alarms, with
    the interval of an exponential law. Undefined without an alarm; the method then says what it is at least.
    """
    found = np.asarray(places, dtype=np.int64)
    seen, alarms = int(np.minimum(found + 1, horizon).sum()), int((found < horizon).sum())
    tail = (1 - level) / 2
    low = 2 * seen / float(chi2.ppf(1 - tail, 2 * alarms + 2))
    if not alarms:
        reason = f"no alarm in {seen} responses, so at least {low:.0f} at level {1 - tail:.3f}"
        return Estimate.undefined(reason, level=level, unit="responses", n=len(found))
    high = 2 * seen / float(chi2.ppf(tail, 2 * alarms))
    return Estimate(
        seen / alarms, low, high, level, "responses", len(found), "responses per alarm; exponential interval"
    )


class Detection(NamedTuple):
    """What became of R changes: mean `delay` in responses, the share `detected` in time, alarms before them."""

    delay: Estimate
    detected: Estimate
    false_alarms: int


def detection(places: ArrayLike, *, change: int, horizon: int, level: float = 0.95) -> Detection:
    """Scores first alarms (R,) on streams of `horizon` responses whose law changes at the place `change`.

    A delay is 1 where the first changed response alarms. Streams that alarm before the change are counted and left out.
    One that never alarms counts as a delay of horizon - change, the least that it can be: read the mean with the share
    that was detected beside it. Undefined where no stream is left.
    """
    found = np.asarray(places, dtype=np.int64)
    false_alarms, left = int((found < change).sum()), found[found >= change]
    n, tail = len(left), (1 - level) / 2
    if not n:
        reason = "every stream alarmed before its change"
        delay = Estimate.undefined(reason, level=level, unit="responses", n=0)
        return Detection(delay, Estimate.undefined(reason, level=level, unit="share", n=0), false_alarms)
    delays = np.minimum(left - change + 1, horizon - change)
    spread = float(t.ppf(1 - tail, n - 1) * delays.std(ddof=1) / np.sqrt(n)) if n > 1 else np.inf
    mean, hits = float(delays.mean()), int((left < horizon).sum())
    low = 0.0 if hits == 0 else float(beta.ppf(tail, hits, n - hits + 1))
    high = 1.0 if hits == n else float(beta.ppf(1 - tail, hits + 1, n - hits))
    return Detection(
        Estimate(mean, max(mean - spread, 0.0), mean + spread, level, "responses", n, "mean delay; t interval"),
        Estimate(hits / n, low, high, level, "share", n, "alarms within the horizon; Clopper-Pearson"),
        false_alarms,
    )


def threshold_for(
    detector: Detector,
    shares: ArrayLike,
    run_length: float,
    rng: np.random.Generator,
    *,
    runs: int = 100,
    horizon: int | None = None,
) -> float:
    """The threshold whose average run length is `run_length` responses where the profile is `shares` (K,).

    In the detector's own unit, by simulating `runs` streams of `horizon` responses (three run lengths, unless told):
    with 100 the run length that it gives is off by about a tenth. For discrete labels thresholds are lattice-valued; it
    is the smallest seen whose run length is at least what is asked for.
    """
    p = check_shares(shares, detector.goals)
    length = horizon or int(3 * run_length)
    records = []
    for _ in range(runs):
        path = detector.copy().run(rng.choice(len(p), size=length, p=p))
        highest = np.maximum.accumulate(path)
        first = np.nonzero(np.diff(highest, prepend=-np.inf) > 0)[0]
        records.append((first, highest[first]))
    levels = np.unique(np.concatenate([values for _, values in records]))

    def is_long_enough(level: float) -> bool:
        reached = [(first, int(np.searchsorted(values, level))) for first, values in records]
        alarms = [int(first[at]) + 1 for first, at in reached if at < len(first)]
        return sum(alarms) + length * (runs - len(alarms)) >= run_length * max(len(alarms), 1)

    low, high = 0, len(levels) - 1
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if is_long_enough(levels[middle]) else (middle + 1, high)
    return float(levels[low])
