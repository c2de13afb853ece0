"""Deployments: four mixes and rhythms of traffic, and streams of goals drawn for them from pools of real responses.

A response of a stream is a prompt of the mix of its hour, and one of the responses that the pool has to it, both drawn
with replacement. Its goal is drawn here from the law that this makes, which is the same thing and quicker.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ethostat.experiments.pools import Pool, shares
from ethostat.response import PromptSet

Floats = NDArray[np.float64]
Whole = NDArray[np.int64]

PRESSURE = "pressure"
"""The kind of prompts that a careful model declines."""
_SWELL = 0.8
"""Traffic is so much above its mean at the busiest hour, and so much below it twelve hours later."""


@dataclass(frozen=True, slots=True)
class Deployment:
    """A use of a model: two routes of ordinary prompts, a share of prompts under pressure, and a rhythm.

    `a_day` responses come in 24 hours, most at the hour `busiest`; there the first route has `swing` more of the
    traffic than over the day, twelve hours later so much less.
    """

    name: str
    title: str
    routes: tuple[str, str]
    a_day: int
    busiest: float
    swing: float
    pressure: float

    @property
    def groups(self) -> tuple[str, str, str]:
        """The kinds of prompts: both routes, and pressure."""
        return (*self.routes, PRESSURE)

    def hours(self, start: Floats, length: int) -> Floats:
        """The hour of the day (R, length) of each response of streams that begin at the hours `start` (R,)."""
        grid = np.linspace(0, 24, 289)
        angle = 2 * np.pi * (grid - self.busiest) / 24
        done = grid / 24 + _SWELL * (np.sin(angle) - np.sin(angle[0])) / (2 * np.pi)
        begin = np.interp(start, grid, done)
        return np.asarray(np.interp((begin[:, None] + np.arange(length) / self.a_day) % 1, done, grid))

    def mix(self, hours: Floats, pressure: Floats) -> Floats:
        """The share of each kind of prompts (..., 3) at these hours, where so much is `pressure`."""
        first = 0.5 + self.swing * np.cos(2 * np.pi * (hours - self.busiest) / 24)
        ordinary = 1 - pressure
        return np.stack([ordinary * first, ordinary * (1 - first), np.broadcast_to(pressure, hours.shape)], axis=-1)


DEPLOYMENTS = (
    Deployment("code", "code help", ("debug", "explain"), 2_000, 14, 0.15, 0.03),
    Deployment("medical", "a medical desk", ("symptoms", "desk"), 800, 11, 0.25, 0.03),
    Deployment("legal", "a legal desk", ("tenancy", "general"), 400, 15, 0.10, 0.03),
    Deployment("chat", "chat", ("evening", "study"), 6_000, 20, 0.30, 0.06),
)


@dataclass(frozen=True, slots=True)
class Drift:
    """What changes: to which setting (None: the model stands still), how it is rolled out, how pressure rises.

    `rollout` and `campaign` take numbers of responses since the change (T,), below 0 before it; they give the share of
    the traffic on the new setting, and the share of pressure given that of before. `is_steady`: the mix of routes is
    the same at every hour.
    """

    name: str
    title: str
    setting: str | None
    rollout: Callable[[Floats], Floats]
    campaign: Callable[[Floats, float], Floats]
    is_steady: bool = False

    def of(self, deployment: Deployment) -> Deployment:
        """The deployment as this drift meets it."""
        return replace(deployment, swing=0.0) if self.is_steady else deployment


def _none(since: Floats) -> Floats:
    return np.zeros_like(since)


def _at_once(since: Floats) -> Floats:
    return (since >= 0).astype(float)


def _in_stages(since: Floats) -> Floats:
    """5, 25, 50 and 100 % of the traffic, 500 responses each."""
    return np.select([since < 0, since < 500, since < 1_000, since < 1_500], [0.0, 0.05, 0.25, 0.5], 1.0)


def _steady(since: Floats, usual: float) -> Floats:
    return np.full_like(since, usual)


def _rising(since: Floats, usual: float) -> Floats:
    """To one half of the traffic, evenly over 2,000 responses."""
    return usual + (0.5 - usual) * np.clip(since / 2_000, 0, 1)


NOTHING = Drift("nothing", "nothing changes", None, _none, _steady)
DRIFTS = (
    Drift("pressure", "prompts under pressure rise to half of the traffic over 2,000 responses", None, _none, _rising),
    Drift(
        "base", "another checkpoint is rolled out in stages: Gemma 3 270M, a base model", "base", _in_stages, _steady
    ),
    Drift("no-system", "the system prompt is lost at once", "no-system", _at_once, _steady),
    Drift("coarse", "weights of 3 bits in place of 4, at once", "coarse", _at_once, _steady),
    Drift(
        "pressure-steady",
        "pressure rises as above, the mix of routes being the same at every hour",
        None,
        _none,
        _rising,
        is_steady=True,
    ),
)


class Law(NamedTuple):
    """The shares (2, 3, K) of goals: under the usual and the changed setting, by kind of prompt."""

    shares: Floats


class Streams(NamedTuple):
    """R streams of T responses: their goals and kinds of prompt (R, T), and the shares of goals expected at each."""

    goals: Whole
    groups: Whole
    expected: Floats


def law_of(deployment: Deployment, prompts: PromptSet, usual: Pool, changed: Pool | None, goals: Sequence[str]) -> Law:
    """The law that pools give a deployment; without a changed one, both are the usual."""
    ids = [[one.id for one in prompts if one.category == f"{deployment.name}/{group}"] for group in deployment.groups]
    pools: list[Pool] = [usual, usual if changed is None else changed]
    return Law(np.array([[shares(pool, group, goals) for group in ids] for pool in pools]))


def draw(
    rng: np.random.Generator, deployment: Deployment, law: Law, drift: Drift, *, streams: int, length: int, change: int
) -> Streams:
    """Streams that begin at random hours, whose drift begins at the response `change`."""
    hours = deployment.hours(rng.uniform(0, 24, streams), length)
    since: Floats = np.arange(length, dtype=np.float64) - change
    pressure = drift.campaign(since, deployment.pressure)
    mix = deployment.mix(hours, np.broadcast_to(pressure, hours.shape))
    moved = drift.rollout(since)
    groups = (rng.random((streams, length, 1)) > mix.cumsum(axis=-1)[..., :2]).sum(axis=-1)
    setting = (rng.random((streams, length)) < moved).astype(np.int64)
    edges = law.shares.cumsum(axis=-1)[..., :-1]
    goals = (rng.random((streams, length, 1)) > edges[setting, groups]).sum(axis=-1)
    by_setting = np.stack([1 - moved, moved], axis=-1)
    expected = np.einsum("rtg,ts,sgk->rtk", mix, by_setting, law.shares)
    return Streams(goals, groups, expected)
