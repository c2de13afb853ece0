"""Since when: the posterior of the time of change, from the bets that made the evidence."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from ethostat.maths.detector import Floats
from ethostat.maths.estimate import Estimate
from ethostat.maths.evidence.directed import DirectedDetector
from ethostat.maths.evidence.profiles import ProfileDetector, mixed


def change_point(detector: ProfileDetector | DirectedDetector, labels: ArrayLike, *, level: float = 0.95) -> Estimate:
    """The first response of the change, as a place in the last labels (n,) up to the alarm, with its interval.

    The time s has posterior weight sum_g w_g prod_{i >= s} L_g(x_i): what M is made of, every time being as likely
    beforehand. Value is the posterior median, the interval equal-tailed. `labels` should reach back to the last reset,
    or well before the change; a change before them cannot be found. A baseline that is still being learned is taken as
    it stands now. n log factors of G alternatives are held in memory. Undefined without labels.
    """
    seen = np.asarray(labels, dtype=np.int64)
    if not len(seen):
        return Estimate.undefined("there are no labels to look back on", level=level, unit="responses", n=0)
    logs = np.log(np.stack([detector.factors_of(goal) for goal in range(detector.goals)]))
    return _place(detector, logs[seen], level=level)


def change_point_of_sessions(
    detector: ProfileDetector | DirectedDetector, means: ArrayLike, *, level: float = 0.95
) -> Estimate:
    """`change_point` of sessions with these mean profiles (J, K): a place among them."""
    rows = np.asarray(means, dtype=np.float64)
    if not len(rows):
        return Estimate.undefined("there are no sessions to look back on", level=level, unit="responses", n=0)
    factors = mixed([detector.factors_of(goal) for goal in range(detector.goals)], rows)
    return _place(detector, np.log(factors), level=level)


def _place(detector: ProfileDetector | DirectedDetector, logs: Floats, *, level: float) -> Estimate:
    """From the log factors (n, G)."""
    since = np.cumsum(logs[::-1], axis=0)[::-1] + np.log(detector.stakes)
    return place_of_change(np.logaddexp.reduce(since, axis=1), level=level)


def place_of_change(log_weights: Floats, *, level: float = 0.95) -> Estimate:
    """Median and equal-tailed interval of the place of a change, from the log weight (n,) of each place."""
    n = len(log_weights)
    below = np.cumsum(np.exp(log_weights - np.logaddexp.reduce(log_weights)))
    value, low, high = (min(int(np.searchsorted(below, q)), n - 1) for q in (0.5, (1 - level) / 2, (1 + level) / 2))
    return Estimate(float(value), float(low), float(high), level, "responses", n, "posterior of the time of change")
