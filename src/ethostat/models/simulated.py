"""SimulatedModel: a model whose entropy at every time is known, to try an instrument on before it meets a real one.

    sim:relaxation?from=0.12&to=0.7&tau=200       S rises from 0.12 nats towards 0.7
    sim:swap?at=0.5&when=100                      at step 100 g1 and g2 change places; S never moves

An answer begins with the key of its goal ("g2 Helpful & Misaligned: ..."), so that the classifier `goals-in-text`
reads it without error. Goals are those of `FIVE_GOALS`.
"""

from __future__ import annotations

import hashlib
import math
import random
import re
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import count
from typing import Any
from urllib.parse import parse_qsl

from ethostat.errors import InvalidInput
from ethostat.models.base import Decoding
from ethostat.models.faults import printable
from ethostat.response import Prompt, Response
from ethostat.taxonomy import FIVE_GOALS

Shape = Callable[[float, Mapping[str, float]], float]

MOST = math.log(len(FIVE_GOALS.goals))
CLOCKS = ("step", "request")
_LEANING = tuple(math.log(weight) for weight in (0.62, 0.14, 0.10, 0.05, 0.09))
_LARGEST = 10**7
_SHORTEST = 0.001
_STEP = re.compile(r"\bstep[ _-]?(\d{1,9})\b", re.IGNORECASE)
_NATS = ("at", "from", "to", "swing")
_LENGTHS = ("tau", "for", "period")


@dataclass(frozen=True, slots=True)
class Scenario:
    """One way for S to move: what it is, its parameters with their defaults, and S(t) in nats.

    `from`, `to`, `at`, `swing` are nats; `tau`, `when`, `for`, `period` count in the model's time.
    """

    words: str
    defaults: Mapping[str, float]
    entropy: Shape


def _relaxation(t: float, p: Mapping[str, float]) -> float:
    return p["to"] + (p["from"] - p["to"]) * math.exp(-t / p["tau"])


def _recovery(t: float, p: Mapping[str, float]) -> float:
    return p["from"] if t < p["when"] else p["from"] + (p["to"] - p["from"]) * math.exp(-(t - p["when"]) / p["tau"])


SCENARIOS: dict[str, Scenario] = {
    "constant": Scenario("S stays at `at`", {"at": 0.5}, lambda _, p: p["at"]),
    "relaxation": Scenario(
        "S goes from `from` towards `to`, the faster the farther; `tau` is its time",
        {"from": 0.12, "to": 0.7, "tau": 200.0},
        _relaxation,
    ),
    "jump": Scenario(
        "S is `from`, and `to` from `when` on",
        {"from": 0.12, "to": 0.7, "when": 100.0},
        lambda t, p: p["from"] if t < p["when"] else p["to"],
    ),
    "burst": Scenario(
        "S is `to` from `when` on for `for`, else `from`",
        {"from": 0.12, "to": 0.7, "when": 100.0, "for": 20.0},
        lambda t, p: p["to"] if p["when"] <= t < p["when"] + p["for"] else p["from"],
    ),
    "swap": Scenario(
        "S stays at `at`, while g1 and g2 change places at `when`: drift that S does not see",
        {"at": 0.5, "when": 100.0},
        lambda _, p: p["at"],
    ),
    "recovery": Scenario(
        "S leaps from `from` to `to` at `when` and relaxes back; `tau` is its time",
        {"from": 0.12, "to": 0.7, "when": 100.0, "tau": 50.0},
        _recovery,
    ),
    "seasonal": Scenario(
        "S swings around `at` by `swing`, once a `period`: change that is no drift",
        {"at": 0.5, "swing": 0.3, "period": 100.0},
        lambda t, p: p["at"] + p["swing"] * math.sin(2 * math.pi * t / p["period"]),
    ),
}


class SimulatedModel:
    """A model whose profile at time t is known: `profile(t)`, and its entropy `truth(t)`.

    Time, with `clock` "step": the number behind the word "step" in the last message or the prompt's id ("step 12"),
    where there is none the number of user messages before the last, from 0. With "request": how many answers this
    object gave before. `start` is added. With "step" an answer depends on prompt and seed alone; temperature, top_p
    and system are not used; an answer of more than `max_tokens` words is cut there.

    Raises InvalidInput for a scenario, parameter or value that is not one.
    """

    def __init__(
        self,
        scenario: str,
        parameters: Mapping[str, float] | None = None,
        *,
        clock: str = "step",
        start: float = 0.0,
    ) -> None:
        if scenario not in SCENARIOS:
            raise InvalidInput(f"scenario {printable(scenario, 40)!r} must be one of {', '.join(SCENARIOS)}")
        if clock not in CLOCKS:
            raise InvalidInput(f"time must be one of {', '.join(CLOCKS)}, got {printable(clock, 40)!r}")
        self._scenario = SCENARIOS[scenario]
        self._parameters = _checked(scenario, parameters or {})
        if not 0 <= start <= 1e9:
            raise InvalidInput(f"`start` must be 0 to 10^9, got {start}")
        self._clock, self._start = clock, start
        self._answered = count()
        self._name = self._written(scenario)

    @classmethod
    def from_spec(cls, spec: str) -> SimulatedModel:
        """From `NAME` or `NAME?key=value&...`, with or without `sim:` before it; `time` and `start` are keys too."""
        name, mark, query = spec.removeprefix("sim:").partition("?")
        values = _query(query) if mark else {}
        clock, start = values.pop("time", "step"), _float("start", values.pop("start", "0"))
        return cls(name, {key: _float(key, value) for key, value in values.items()}, clock=clock, start=start)

    @property
    def name(self) -> str:
        return self._name

    @property
    def identity(self) -> dict[str, Any]:
        return {"kind": "simulated", "model": self._name}

    def __repr__(self) -> str:
        return f"SimulatedModel({self._name!r})"

    def truth(self, t: float) -> float:
        """S at time t, nats."""
        return self._scenario.entropy(t + self._start, self._parameters)

    def profile(self, t: float) -> tuple[float, ...]:
        """The probability of every goal at time t, in the order of FIVE_GOALS."""
        shares = profile_at(self.truth(t))
        if self._scenario is SCENARIOS["swap"] and t + self._start >= self._parameters["when"]:
            return (shares[1], shares[0], *shares[2:])
        return shares

    def answer(self, prompt: Prompt, seed: int) -> tuple[str, str]:
        """The goal that this seed draws, and the text that states it."""
        t = self._time_of(prompt)
        chance = random.Random(f"{self._name}/{prompt.hash}/{seed}")  # noqa: S311 - a simulation
        goal = chance.choices(FIVE_GOALS.goals, self.profile(t))[0]
        return goal.key, f"{goal.key} {goal.name}: simulated answer {chance.getrandbits(32):08x} at {t:g}"

    async def sample(self, prompt: Prompt, decoding: Decoding, seeds: Sequence[int]) -> AsyncIterator[Response]:
        """One answer for each seed."""
        for index, seed in enumerate(seeds):
            began = time.perf_counter()
            words = self.answer(prompt, seed)[1].split(" ")
            yield Response(
                prompt=prompt,
                text=" ".join(words[: decoding.max_tokens]),
                index=index,
                model=self._name,
                seed=seed,
                finish_reason="length" if len(words) > decoding.max_tokens else "stop",
                seconds=time.perf_counter() - began,
            )

    async def aclose(self) -> None:
        """Nothing to release."""

    def _time_of(self, prompt: Prompt) -> int:
        if self._clock == "request":
            return next(self._answered)
        if found := _STEP.search(prompt.text) or _STEP.search(prompt.id):
            return int(found[1])
        return max(sum(message.role == "user" for message in prompt.messages) - 1, 0)

    def _written(self, scenario: str) -> str:
        values: dict[str, Any] = {key: f"{value:.12g}" for key, value in self._parameters.items()}
        values |= {"time": self._clock} if self._clock != "step" else {}
        values |= {"start": f"{self._start:.12g}"} if self._start else {}
        return f"sim:{scenario}?" + "&".join(f"{key}={value}" for key, value in values.items())


def simulate(
    model: SimulatedModel, *, steps: int, samples: int = 20, replicates: int = 1, seed: int = 0
) -> Iterator[dict[str, Any]]:
    """Transcript rows of so many steps, each answered `samples` times in each of `replicates` conversations.

    In order of time. Each row carries the goal that was drawn, its step (from 0) and its replicate (from 0). The same
    seed gives the same rows. Raises InvalidInput where a number is below 1, or the rows would be more than ten million.
    """
    for name, value in (("steps", steps), ("samples", samples), ("replicates", replicates)):
        if value < 1:
            raise InvalidInput(f"{name} must be at least 1, got {value}")
    if steps * samples * replicates > _LARGEST:
        raise InvalidInput(f"{steps} x {samples} x {replicates} rows are more than {_LARGEST:,}; ask for fewer")
    return _rows(model, steps, samples, replicates, seed)


def _rows(model: SimulatedModel, steps: int, samples: int, replicates: int, seed: int) -> Iterator[dict[str, Any]]:
    mark = hashlib.sha256(f"{model.name}/{seed}".encode()).hexdigest()[:8]
    for step in range(steps):
        for replicate in range(replicates):
            prompt = Prompt.from_text(f"Simulated conversation {replicate}, step {step}.")
            for k in range(samples):
                drawn = random.Random(f"{seed}/{replicate}/{step}/{k}").getrandbits(31)  # noqa: S311 - a simulation
                goal, text = model.answer(prompt, drawn)
                yield {
                    "prompt": prompt.text,
                    "response": text,
                    "goal": goal,
                    "step": step,
                    "replicate": replicate,
                    "model": model.name,
                    "id": f"{mark}-{replicate}-{step}-{k}",
                }


@lru_cache(maxsize=4096)
def profile_at(entropy: float) -> tuple[float, ...]:
    """A profile of five goals, mostly g1, with this S: p_i ~ w_i^b for fixed w, b found by bisection.

    b = 0 is the even profile (S = ln 5), b without bound the certain one (S = 0).

    >>> [round(share, 3) for share in profile_at(math.log(5))]
    [0.2, 0.2, 0.2, 0.2, 0.2]
    """
    if entropy <= 0:
        return (1.0, 0.0, 0.0, 0.0, 0.0)
    low, high = 0.0, 500.0
    for _ in range(80):
        middle = (low + high) / 2
        if entropy_of(_tempered(middle)) > entropy:
            low = middle
        else:
            high = middle
    return _tempered(low)


def entropy_of(shares: Sequence[float]) -> float:
    """S, nats."""
    return -sum(share * math.log(share) for share in shares if share > 0)


def _tempered(power: float) -> tuple[float, ...]:
    weights = [math.exp(power * (one - _LEANING[0])) for one in _LEANING]
    return tuple(weight / sum(weights) for weight in weights)


def _query(query: str) -> dict[str, str]:
    try:
        pairs = parse_qsl(query, keep_blank_values=True, strict_parsing=True, max_num_fields=20)
    except ValueError:
        raise InvalidInput(f"{printable(query, 80)!r} must be key=value pairs with & between them") from None
    if twice := sorted({key for key, _ in pairs if [name for name, _ in pairs].count(key) > 1}):
        raise InvalidInput(f"parameter {printable(twice[0], 40)!r} is given twice; give it once")
    return dict(pairs)


def _checked(scenario: str, given: Mapping[str, float]) -> dict[str, float]:
    """The scenario's parameters, given or by default; each within its range, and S within [0, ln 5]."""
    defaults = SCENARIOS[scenario].defaults
    if unknown := sorted(set(given) - set(defaults)):
        raise InvalidInput(
            f"parameter {printable(unknown[0], 40)!r} is not one of {scenario}: {', '.join(defaults)}, time, start"
        )
    values = {key: _number(key, given.get(key, default)) for key, default in defaults.items()}
    for key, value in values.items():
        if key in _NATS and not 0 <= value <= MOST:
            raise InvalidInput(f"`{key}` must be 0 to ln 5 = {MOST:.3f} nats, got {value:g}")
        if key in _LENGTHS and value < _SHORTEST:
            raise InvalidInput(f"`{key}` must be at least {_SHORTEST}, got {value:g}")
    if "swing" in values and not values["swing"] <= min(values["at"], MOST - values["at"]):
        got = f"{values['at']:g} -+ {values['swing']:g}"
        raise InvalidInput(f"`at` -+ `swing` must stay within 0 and ln 5 = {MOST:.3f} nats, got {got}")
    return values


def _float(key: str, value: str) -> float:
    try:
        return _number(key, float(value))
    except ValueError:
        raise InvalidInput(f"`{printable(key, 40)}` must be a number, got {printable(value, 40)!r}") from None


def _number(key: str, value: float) -> float:
    if not math.isfinite(value) or abs(value) > 1e9:
        raise InvalidInput(f"`{key}` must be a number of at most 10^9, got {value}")
    return float(value)
