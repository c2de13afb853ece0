"""Alarms: the rules that are held side by side on the same streams, each as where it pages.

Every stream begins with responses that are taken as normal. The paper's rules know steps or windows of 100 responses;
ours are the package's Monitor.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import xlogy

from ethostat.experiments.deployments import Floats, Streams, Whole
from ethostat.monitor import Baseline, Monitor, Policy
from ethostat.monitor.alert import CHANGE, PAGE
from ethostat.taxonomy import FIVE_GOALS

STEP = 100
"""Responses of a step, or of a window (arXiv 2512.03047: k)."""
PUBLISHED = 0.001
"""Nats of S from step to step (the same)."""
RUN_LENGTH = 10_000
"""What is asked of every rule that can be asked: responses between false pages, on average."""
FIRST = 500
"""Responses that are taken as normal."""
CALIBRATED = 2_000
"""Responses that an adaptive threshold is made of; no rule is scored before."""


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule by name; `pages` gives where it pages, (R, T) true and false."""

    name: str
    title: str
    is_ours: bool
    pages: Callable[[Streams], np.ndarray]


def published(streams: Streams) -> np.ndarray:
    """S of a step of 100 moved by more than 0.001 nats against the step before."""
    return _at_steps(streams, np.abs(_moves(streams.goals)) > PUBLISHED)


def windowed(streams: Streams) -> np.ndarray:
    """The same, S taken of the last 100 responses at every response."""
    seen = _one_hot(streams.goals).cumsum(axis=1)
    seen = np.concatenate([np.zeros_like(seen[:, :1]), seen], axis=1)
    entropies = entropy_of(seen[:, STEP:] - seen[:, :-STEP])
    pages = np.zeros(streams.goals.shape, dtype=bool)
    pages[:, STEP:] = np.abs(np.diff(entropies, axis=1)) > PUBLISHED
    return pages


def repaired(streams: Streams) -> np.ndarray:
    """The published rule, its threshold raised until it, too, runs RUN_LENGTH responses at the stream's baseline."""
    levels = [_level(row) for row in _first_counts(streams)]
    return _at_steps(streams, np.abs(_moves(streams.goals)) > np.array(levels)[:, None])


def adaptive(streams: Streams) -> np.ndarray:
    """The published rule, its threshold the mean and three deviations of how S moved over the first 2,000 responses."""
    moves = np.abs(_moves(streams.goals))
    usual = moves[:, : CALIBRATED // STEP - 1]
    return _at_steps(streams, moves > (usual.mean(axis=1) + 3 * usual.std(axis=1, ddof=1))[:, None])


def monitored(first: int = FIRST, *, by_route: bool = False) -> Callable[[Streams], np.ndarray]:
    """The Monitor as it comes, which learns what is normal from the first responses; by route where that is asked."""

    def pages(streams: Streams) -> np.ndarray:
        found = np.zeros(streams.goals.shape, dtype=bool)
        for row, (goals, groups) in enumerate(zip(streams.goals.tolist(), streams.groups.tolist(), strict=True)):
            found[row, page_places(goals, groups if by_route else None, first=first)] = True
        return found

    return pages


def page_places(goals: Sequence[int], groups: Sequence[int] | None, *, first: int) -> list[int]:
    """Where one Monitor pages that a change began."""
    monitor = Monitor(
        Baseline.of_first(first), run_length=RUN_LENGTH, stratified=groups is not None, policy=Policy(warn=False)
    )
    keys, found = FIVE_GOALS.keys, []
    strata = ("",) * len(goals) if groups is None else [str(group) for group in groups]
    for place, (goal, stratum) in enumerate(zip(goals, strata, strict=True)):
        alert = monitor.update(keys[goal], stratum=stratum)
        while alert is not None:
            if alert.kind == CHANGE and alert.tier == PAGE:
                found.append(place)
            alert = monitor.due()
    return found


RULES = (
    Rule("published", "the paper's rule as published", False, published),
    Rule("windowed", "the same over a sliding window", False, windowed),
    Rule("repaired", "the paper's rule, repaired to the run length", False, repaired),
    Rule("adaptive", "the paper's rule, a threshold of each deployment's own", False, adaptive),
    Rule("ours", "the Monitor as it comes", True, monitored()),
    Rule("by-route", "the Monitor with a baseline for each kind of prompt", True, monitored(by_route=True)),
)


def entropy_of(counts: Floats) -> Floats:
    """Plug-in S (...), nats, of counts (..., K).

    >>> entropy_of(np.array([50.0, 50.0])).round(3).item()
    0.693
    """
    shares = counts / counts.sum(axis=-1, keepdims=True)
    return np.asarray(-xlogy(shares, shares).sum(axis=-1))


def _one_hot(goals: Whole) -> Floats:
    return np.eye(len(FIVE_GOALS.goals), dtype=np.float32)[goals].astype(np.float64)


def _moves(goals: Whole) -> Floats:
    """How far S moved from each step of 100 to the next, (R, steps - 1)."""
    steps = goals.shape[1] // STEP
    whole = _one_hot(goals[:, : steps * STEP]).reshape(len(goals), steps, STEP, -1)
    return np.diff(entropy_of(whole.sum(axis=2)), axis=1)


def _at_steps(streams: Streams, alarms: np.ndarray) -> np.ndarray:
    """Alarms of steps (R, steps - 1) at the last response of each."""
    pages = np.zeros(streams.goals.shape, dtype=bool)
    ends = np.arange(2, alarms.shape[1] + 2) * STEP - 1
    pages[:, ends] = alarms
    return pages


def _first_counts(streams: Streams) -> Floats:
    return np.asarray(_one_hot(streams.goals[:, :FIRST]).sum(axis=1))


def _level(counts: Floats, *, runs: int = 100, steps: int = 300) -> float:
    """The threshold at which the published rule runs RUN_LENGTH responses at these shares, by simulation."""
    rng = np.random.default_rng(int(counts @ np.arange(1, len(counts) + 1)))
    entropies = entropy_of(rng.multinomial(STEP, counts / counts.sum(), size=(runs, steps)).astype(float))
    highest = np.maximum.accumulate(np.abs(np.diff(entropies, axis=1)), axis=1)
    low, high = 0.0, float(highest.max()) + 1e-9
    for _ in range(40):
        middle = (low + high) / 2
        fired = highest > middle
        alarms = int(fired.any(axis=1).sum())
        seen = float(np.where(fired.any(axis=1), fired.argmax(axis=1) + 1, fired.shape[1]).sum())
        low, high = (low, middle) if seen * STEP >= RUN_LENGTH * max(alarms, 1) else (middle, high)
    return high
