"""Companion: the simulation of arXiv 2511.10704, rerun as far as its abstract defines it, and what its numbers allow.

Defined are S over a finite set of goals, gamma_crit = (lambda_max / 2) ln N, N = 7e9, lambda_max = 1.2, 20 trials, S
from 0.32 to 1.69 +- 1.08 nats without work and 0.00 +- 0.00 with gamma = 20.4, p = 4.19e-17. Not defined there are the
number of goals, how parameters move, in what way lambda_max drives S, the step and the duration. The mildest reading is
taken here: noise of variance lambda_max a unit of time on the logits of the goals, and work as the gradient of the
intended goal's log probability, gamma times.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax
from scipy.stats import norm, t

from ethostat.maths.entropy import entropy_of
from ethostat.maths.spectrum import critical_rate

LARGEST, PARAMETERS, TRIALS = 1.2, 7 * 10**9, 20
FIRST, LAST, SPREAD, P_VALUE, GAMMA = 0.32, 1.69, 1.08, 4.19e-17, 20.4
GOALS = (5, 11, 20)
TIMES = (1.0, 10.0, 100.0, 1000.0)
_STEP = 0.01

Floats = NDArray[np.float64]


def simulate_companion(seed: int, *, times: tuple[float, ...] = TIMES) -> dict[str, Any]:
    """Runs of the mildest reading for several numbers of goals and durations, and the arithmetic of the numbers."""
    rng = np.random.default_rng(seed)
    return {
        "arithmetic": arithmetic(),
        "free": [_free(goals, times, rng) for goals in GOALS],
        "held": [_held(goals, rng) for goals in GOALS],
    }


def arithmetic() -> dict[str, Any]:
    """What the numbers imply, whatever was simulated.

    The standard deviation of n values in [0, M] with mean m is at most the root of n / (n - 1) m (M - m), so M, which
    is ln K, has a lower bound. A rank or permutation test of 20 against 20 cannot give less than 2 / C(40, 20).
    """
    ceiling = LAST + (TRIALS - 1) / TRIALS * SPREAD**2 / LAST
    statistic = LAST / (SPREAD / math.sqrt(TRIALS))
    return {
        "critical_rate": critical_rate(LARGEST, PARAMETERS),
        "gamma": 1.5 * critical_rate(LARGEST, PARAMETERS),
        "least_goals_for_mean": math.ceil(math.exp(LAST)),
        "least_goals": math.ceil(math.exp(ceiling)),
        "statistic": statistic,
        "p_welch": float(2 * t.sf(statistic, TRIALS - 1)),
        "p_student": float(2 * t.sf(statistic, 2 * TRIALS - 2)),
        "p_normal": float(2 * norm.sf(statistic)),
        "p_least_rank": 2 / math.comb(2 * TRIALS, TRIALS),
        "p_stated": P_VALUE,
    }


def start_logits(goals: int, entropy: float) -> Floats:
    """Logits whose first goal leads, the others alike, with this S (nats)."""
    low, high = 0.0, 60.0
    for _ in range(200):
        middle = (low + high) / 2
        lead = np.r_[middle, np.zeros(goals - 1)]
        low, high = (middle, high) if float(entropy_of(softmax(lead))) > entropy else (low, middle)
    return np.asarray(np.r_[low, np.zeros(goals - 1)])


def _free(goals: int, times: tuple[float, ...], rng: np.random.Generator) -> dict[str, Any]:
    """Noise alone: logits after a time are Gaussian, so that no step is needed."""
    start, found = start_logits(goals, FIRST), []
    before = np.zeros((TRIALS, goals))
    last = 0.0
    for time in times:
        before = before + rng.normal(0, math.sqrt(LARGEST * (time - last)), (TRIALS, goals))
        last = time
        found.append({"time": time, **_summary(entropy_of(softmax(start + before, axis=1)))})
    return {"goals": goals, "ceiling": math.log(goals), "by_time": found}


def _held(goals: int, rng: np.random.Generator) -> dict[str, Any]:
    """Noise and work for ten units of time."""
    logits = np.tile(start_logits(goals, FIRST), (TRIALS, 1))
    intended = np.eye(goals)[0]
    for _ in range(round(10 / _STEP)):
        pull = GAMMA * (intended - softmax(logits, axis=1))
        logits = logits + _STEP * pull + rng.normal(0, math.sqrt(LARGEST * _STEP), logits.shape)
    return {"goals": goals, "time": 10.0, **_summary(entropy_of(softmax(logits, axis=1)))}


def _summary(values: Floats) -> dict[str, Any]:
    return {"mean": float(values.mean()), "deviation": float(values.std(ddof=1)), "n": len(values)}
