"""Traffic: a simulated month of verdicts: routes, rhythm, sessions, changes, and a classifier's errors.

What a response truly is is drawn; what the service is told is what a classifier with a known confusion matrix says of
it. Everything that changes is written down beforehand, so that each page can be told true or false.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib import resources

import numpy as np

from ethostat.experiments.deployments import Floats
from ethostat.taxonomy import FIVE_GOALS

BEGINS = datetime(2026, 3, 2, tzinfo=UTC)
"""A Monday."""
DAYS = 30
_WEEKEND = 0.6
_SWELL, _BUSIEST = 0.8, 15.0
REPEATS = 0.3
"""The chance that a verdict is what its session is about: an intraclass correlation of its square, .09."""
_TURNS = 4.0
_GAP = timedelta(seconds=75).total_seconds()
_OLDER = 0.08
"""The share of verdicts that the classifier before the upgrade gives to some goal at random."""

ORDINARY = (0.955, 0.005, 0.005, 0.015, 0.02)
RISKY = (0.04, 0.06, 0.87, 0.01, 0.02)
RISKY_AFTER_SWAP = (0.04, 0.46, 0.47, 0.01, 0.02)
"""What is true of responses to ordinary and to risky prompts, and what the swapped model does with risky ones."""


@dataclass(frozen=True, slots=True)
class Route:
    """A stream: a route and a language; its share of the traffic, and the share of risky prompts on it."""

    name: str
    share: float
    risky: float

    @property
    def is_chat(self) -> bool:
        """Whether it is served by the model that is swapped."""
        return self.name.startswith("chat/")


ROUTES = (
    Route("chat/en", 0.40, 0.08),
    Route("chat/de", 0.15, 0.08),
    Route("support/en", 0.20, 0.02),
    Route("support/es", 0.10, 0.02),
    Route("code/en", 0.10, 0.03),
    Route("forms/en", 0.05, 0.01),
)


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happens to the traffic: its day and hour from the beginning, how long, and to which streams.

    A page of one of these streams within that time is true. `is_told`: the operator says so as it happens.
    """

    name: str
    title: str
    day: float
    until: float
    streams: tuple[str, ...]
    is_told: bool = False
    is_harmless: bool = False

    def covers(self, stream: str, day: float) -> bool:
        """Whether a page of this stream at this time is about it."""
        return not self.is_harmless and stream in self.streams and self.day <= day < self.until


CHATS = tuple(one.name for one in ROUTES if one.is_chat)
FORGOTTEN = ("support/es", "forms/en")
UPGRADE = 20.0 + 10 / 24
REPAIRED = UPGRADE + 1.5
"""When the operator takes as expected what the upgrade did to the streams that were forgotten."""
EVENTS = (
    Event(
        "mix", "a campaign: Spanish support doubles, German chat halves, for two days", 8.5, 10.5,
        tuple(one.name for one in ROUTES), is_harmless=True,
    ),
    Event(
        "swap", "the model of the chat is swapped, and nobody says so; rolled back after two days", 14.125, 16.5, CHATS
    ),
    Event(
        "upgrade", "the classifier is upgraded, which the operator says of these streams", UPGRADE, UPGRADE + 0.1,
        tuple(one.name for one in ROUTES if one.name not in FORGOTTEN), is_told=True, is_harmless=True,
    ),
    Event("forgotten", "the same upgrade, of which nobody says anything here", UPGRADE, REPAIRED, FORGOTTEN),
    Event(
        "creep", "a jailbreak spreads in English chat: risky prompts triple over five days", 24.0, 30.0, ("chat/en",)
    ),
)  # fmt: skip


def confusion() -> Floats:
    """What the built-in classifier says of a goal: rows of shares (K, K), held out, from its own card."""
    card = resources.files("ethostat") / "classifiers" / "builtin" / "card.json"
    counts = np.array(json.loads(card.read_text(encoding="utf-8"))["evaluation"]["figures"]["confusion"], dtype=float)
    return np.asarray(counts / counts.sum(axis=1, keepdims=True))


def older(upgraded: Floats) -> Floats:
    """The classifier before the upgrade: 8 % of its verdicts are any goal."""
    return np.asarray((1 - _OLDER) * upgraded + _OLDER / len(upgraded))


@dataclass(frozen=True, slots=True)
class Month:
    """Responses in order of time: seconds from the beginning, place of the stream, session, verdict; each (n,)."""

    seconds: Floats
    streams: np.ndarray
    sessions: np.ndarray
    goals: np.ndarray

    def __len__(self) -> int:
        return len(self.seconds)

    @property
    def days(self) -> Floats:
        """The time of each response, in days."""
        return self.seconds / 86_400

    def bodies(self, start: int, stop: int, *, most: int) -> Iterator[tuple[int, bytes]]:
        """Requests of at most so many events, as NDJSON, each with its number of events."""
        keys, names = FIVE_GOALS.keys, [one.name for one in ROUTES]
        for first in range(start, stop, most):
            last = min(first + most, stop)
            lines = [
                f'{{"id":"{n}","stream":"{names[stream]}","session":"{session}","goal":"{keys[goal]}","time":"{time}"}}'
                for n, stream, session, goal, time in zip(
                    range(first, last),
                    self.streams[first:last].tolist(),
                    self.sessions[first:last].tolist(),
                    self.goals[first:last].tolist(),
                    times_of(self.seconds[first:last]),
                    strict=True,
                )
            ]
            yield last - first, "\n".join(lines).encode()


def simulate(rng: np.random.Generator, responses: int) -> Month:
    """A month of about so many responses (in sessions of four, on average)."""
    begins, routes = _sessions(rng, round(responses / _TURNS))
    turns = rng.geometric(1 / _TURNS, len(begins))
    session = np.repeat(np.arange(len(begins)), turns)
    place = np.arange(len(session)) - np.repeat(turns.cumsum() - turns, turns)
    seconds = begins[session] + place * _GAP * rng.uniform(0.4, 1.6, len(session))
    about = _verdicts(rng, begins / 86_400, routes)[session]
    goals = np.where(rng.random(len(session)) < REPEATS, about, _verdicts(rng, seconds / 86_400, routes[session]))
    order = np.argsort(seconds, kind="stable")
    order = order[seconds[order] < DAYS * 86_400]
    return Month(seconds[order], routes[session][order], session[order], goals[order])


def true_goals(rng: np.random.Generator, days: Floats, routes: np.ndarray) -> np.ndarray:
    """What responses at these times on these routes truly are: goals (n,)."""
    shares = profiles(days, routes)
    return np.asarray((rng.random((len(days), 1)) > shares.cumsum(axis=1)[:, :-1]).sum(axis=1))


def profiles(days: Floats, routes: np.ndarray) -> Floats:
    """The true shares (n, K) at these times on these routes. At night a quarter more of the prompts are risky."""
    hour = 24 * (days % 1)
    base = np.array([one.risky for one in ROUTES])[routes]
    risky = base * (1 - 0.25 * np.cos(2 * np.pi * (hour - _BUSIEST) / 24))
    creep = _event("creep")
    is_creeping = np.isin(routes, [_place(name) for name in creep.streams])
    risky = np.where(is_creeping, risky * (1 + 2 * np.clip((days - creep.day) / 5, 0, 1)), risky)
    swap = _event("swap")
    is_swapped = (
        np.isin(routes, [_place(name) for name in swap.streams]) & (days >= swap.day) & (days < swap.until - 0.375)
    )
    answered = np.where(is_swapped[:, None], RISKY_AFTER_SWAP, RISKY)
    return np.asarray((1 - risky)[:, None] * np.array(ORDINARY) + risky[:, None] * answered)


def _sessions(rng: np.random.Generator, count: int) -> tuple[Floats, np.ndarray]:
    """When sessions begin (seconds) and on which route: by the day of the week, the hour, and the campaign."""
    grid = (np.arange(DAYS * 24) + 0.5) / 24
    weekend = np.isin((grid // 1).astype(int) % 7, (5, 6))
    load = (1 + _SWELL * np.cos(2 * np.pi * (24 * (grid % 1) - _BUSIEST) / 24)) * np.where(weekend, _WEEKEND, 1.0)
    hours = rng.choice(len(grid), count, p=load / load.sum())
    begins = (hours + rng.random(count)) * 3_600
    shares = np.tile([one.share for one in ROUTES], (count, 1))
    campaign = _event("mix")
    during = (begins / 86_400 >= campaign.day) & (begins / 86_400 < campaign.until)
    shares[during] *= [{"support/es": 2.0, "chat/de": 0.5}.get(one.name, 1.0) for one in ROUTES]
    edges = (shares / shares.sum(axis=1, keepdims=True)).cumsum(axis=1)[:, :-1]
    return begins, (rng.random((count, 1)) > edges).sum(axis=1)


def _verdicts(rng: np.random.Generator, days: Floats, routes: np.ndarray) -> np.ndarray:
    """What the classifier of the day says of what is true then."""
    truth, upgraded = true_goals(rng, days, routes), confusion()
    edges = np.stack([older(upgraded), upgraded]).cumsum(axis=2)[..., :-1]
    return np.asarray((rng.random((len(truth), 1)) > edges[(days >= UPGRADE).astype(int), truth]).sum(axis=1))


def times_of(seconds: Floats) -> list[str]:
    """Seconds from the beginning as ISO 8601, to the millisecond."""
    begin = np.datetime64(BEGINS.replace(tzinfo=None), "ms")
    return [f"{one}Z" for one in (begin + (1_000 * seconds).astype("timedelta64[ms]")).astype(str).tolist()]


def _event(name: str) -> Event:
    return next(one for one in EVENTS if one.name == name)


def _place(name: str) -> int:
    return [one.name for one in ROUTES].index(name)
