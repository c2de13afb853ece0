"""Sampling: prompts x k -> Responses, each kept the moment it arrives, none asked for twice.

The work is cut into calls of up to 16 responses to one prompt, interleaved over the prompts, so that a run that
is interrupted has about equally many of each. The model bounds its own concurrency; here only the number of
open calls is bounded. Source of the defaults (k = 100, temperature 0.7): arXiv 2512.03047.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections import Counter, deque
from collections.abc import (
    AsyncGenerator,
    Awaitable,
    Callable,
    Coroutine,
    Generator,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
    Set,
)
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Protocol

from ethostat.conversation import estimate_length
from ethostat.errors import (
    AuthenticationFailed,
    BudgetExceeded,
    ContextOverflow,
    EmptyAnswer,
    InvalidInput,
    ModelError,
    ModelNotFound,
)
from ethostat.forecast import Price, estimate_tokens
from ethostat.models.base import Decoding, Model
from ethostat.response import Failure, Prompt, PromptSet, Response

_CALLS_OPEN = 64
_RESPONSES_PER_CALL = 16
_FAILURES_IN_A_ROW = 20
_SECONDS_BETWEEN_REPORTS = 0.1
_FATAL = (AuthenticationFailed, ModelNotFound)


def response_seed(seed: int, prompt_hash: str, index: int, *, occurrence: int = 0) -> int:
    """The 31-bit seed of one response: the same on every machine, in every order of work.

    It depends on the prompt's content, not on its id or place, so that a prompt keeps its responses when the set
    around it changes. `occurrence` tells equal prompts of one set apart. The seeds of a prompt are consecutive,
    because a local model reads the prompt once for a row of such seeds.
    """
    text = f"{seed}/{prompt_hash}/{occurrence}"
    first = int.from_bytes(hashlib.sha256(text.encode()).digest()[:4])
    return (first + index) % 2**31


@dataclass(frozen=True)
class Plan:
    """What is to be sampled: `samples` responses a prompt, or a number for each prompt id (absent: none)."""

    prompts: PromptSet
    decoding: Decoding
    samples: int | Mapping[str, int]
    seed: int

    def __post_init__(self) -> None:
        if isinstance(self.samples, int):
            if self.samples < 1:
                raise InvalidInput(f"samples must be at least 1, got {self.samples}")
        elif unknown := set(self.samples) - {prompt.id for prompt in self.prompts}:
            raise InvalidInput(f"prompt {min(unknown)!r} is not in {self.prompts.name!r}; samples name its prompts")

    def wanted(self, prompt: Prompt) -> int:
        """How many responses the prompt is to have."""
        return self.samples if isinstance(self.samples, int) else self.samples.get(prompt.id, 0)

    @property
    def total(self) -> int:
        """How many responses there are to be."""
        return sum(self.wanted(prompt) for prompt in self.prompts)

    def seed_of(self, prompt: Prompt, index: int) -> int:
        """The seed of one response."""
        return response_seed(self.seed, prompt.hash, index, occurrence=self._occurrences[prompt.id])

    @cached_property
    def _occurrences(self) -> dict[str, int]:
        seen: Counter[str] = Counter()
        occurrences = {}
        for prompt in self.prompts:
            occurrences[prompt.id] = seen[prompt.hash]
            seen[prompt.hash] += 1
        return occurrences


class Keeper(Protocol):
    """Where responses are kept: a run in a store (`store.RunKeeper`), or memory (`MemoryKeeper`)."""

    def kept(self) -> Mapping[str, Set[int]]:
        """Which indices of which prompts are there already."""
        ...

    def add(self, item: Response | Failure) -> Awaitable[None]:
        """Begin to keep it at once; what is returned is done when it is safe, or raises why it is not."""
        ...

    async def flush(self) -> None:
        """Wait until everything that was added is safe."""
        ...


class _Safe:
    """Awaited, it is done: what is in memory is as safe as it will be."""

    def __await__(self) -> Generator[None, None, None]:
        yield from ()


class MemoryKeeper:
    """Keeps responses in memory, for use without a database: they live as long as this object."""

    def __init__(self) -> None:
        self._responses: dict[tuple[str, int], Response] = {}
        self._failures: dict[tuple[str, int], Failure] = {}

    @property
    def responses(self) -> list[Response]:
        """What arrived, in order of arrival."""
        return list(self._responses.values())

    @property
    def failures(self) -> list[Failure]:
        """What did not come."""
        return list(self._failures.values())

    def kept(self) -> Mapping[str, Set[int]]:
        found: dict[str, set[int]] = {}
        for prompt_id, index in self._responses:
            found.setdefault(prompt_id, set()).add(index)
        return found

    def add(self, item: Response | Failure) -> Awaitable[None]:
        if isinstance(item, Response):
            key = (item.prompt.id, item.index)
            self._responses.setdefault(key, item)
            self._failures.pop(key, None)
        else:
            self._failures[item.prompt_id, item.index] = item
        return _Safe()

    async def flush(self) -> None:
        """Nothing to wait for."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a sampling is. `done` counts what is kept, `resumed` of it what was there before; rates are of now."""

    done: int
    wanted: int
    resumed: int
    failed: int
    prompt_tokens: int
    completion_tokens: int
    seconds: float
    cost_usd: float | None

    @property
    def responses_per_second(self) -> float:
        """Responses kept a second since this sampling began."""
        return (self.done - self.resumed) / self.seconds if self.seconds > 0 else 0.0

    @property
    def tokens_per_second(self) -> float:
        """Completion tokens a second since this sampling began."""
        return self.completion_tokens / self.seconds if self.seconds > 0 else 0.0

    @property
    def eta_seconds(self) -> float | None:
        """Seconds until all is done at this rate; None before the first response."""
        rate = self.responses_per_second
        return max(0, self.wanted - self.done - self.failed) / rate if rate > 0 else None


@dataclass(frozen=True, slots=True)
class Budget:
    """The most that a sampling may cost, in US dollars, and the price that it is counted by."""

    max_cost: float
    price: Price

    def __post_init__(self) -> None:
        if not self.max_cost > 0:
            raise InvalidInput(f"max cost must be more than 0 dollars, got {self.max_cost}")


async def sample(
    model: Model,
    plan: Plan,
    keeper: Keeper,
    *,
    on_progress: Callable[[Progress], None] | None = None,
    price: Price | None = None,
    budget: Budget | None = None,
) -> Progress:
    """Ask for every response of the plan that is not kept yet; gives the counts at the end.

    A response that did not come leaves a Failure in the keeper, is tried once more at the end, and stops nothing
    else. Raises AuthenticationFailed and ModelNotFound at once, ModelError after 20 failed calls in a row,
    BudgetExceeded before the call that could exceed the budget, StoreError where a response cannot be kept. Whatever
    it raises, and when it is cancelled, everything that arrived is kept: sample again with the same plan and keeper.
    """
    sampling = _Sampling(model, plan, keeper, on_progress, budget, budget.price if budget else price)
    try:
        sampling.report(always=True)
        await sampling.ask(list(_calls(plan, sampling.missing())))
        sampling.is_last_pass, sampling.failures_in_a_row = True, 0
        await sampling.ask(list(_calls(plan, sampling.missing())))
    finally:
        await keeper.flush()
    sampling.report(always=True)
    return sampling.progress()


Chain = Generator[Prompt, list[Response], None]
"""Prompts of which each may depend on the answers to the one before.

It yields a prompt whose id is one of the plan's, and is sent the answers that came to it, the kept ones left out.
"""


async def sample_chains(
    model: Model,
    plan: Plan,
    keeper: Keeper,
    chains: Sequence[Chain],
    *,
    on_progress: Callable[[Progress], None] | None = None,
    price: Price | None = None,
    budget: Budget | None = None,
) -> Progress:
    """As `sample`, with prompts that come in chains; chains go on side by side, each a prompt at a time.

    What did not come is tried once more before a chain goes on. Raises what `sample` does.
    """
    sampling = _Sampling(model, plan, keeper, on_progress, budget, budget.price if budget else price)
    try:
        sampling.report(always=True)
        await sampling.follow(chains)
    finally:
        await keeper.flush()
    sampling.report(always=True)
    return sampling.progress()


@dataclass(frozen=True, slots=True)
class _Call:
    """One request of the work list: some indices of one prompt. What comes is noted in `heard`."""

    prompt: Prompt
    indices: Sequence[int]
    heard: list[Response] = field(default_factory=list)


async def _together(work: Iterable[Coroutine[None, None, None]]) -> None:
    """Do it all side by side; the first error cancels the rest and is raised."""
    try:
        async with asyncio.TaskGroup() as group:
            for one in work:
                group.create_task(one)
    except ExceptionGroup as errors:
        first = errors.exceptions[0]
        raise first from first.__cause__


def _sent(chain: Chain, heard: list[Response]) -> Prompt | None:
    """The next prompt of the chain; None at its end."""
    try:
        return chain.send(heard)
    except StopIteration:
        return None


def _calls(plan: Plan, missing: Mapping[str, Sequence[int]]) -> Iterator[_Call]:
    """Calls of up to 16 responses, one for each prompt in turn until none is left."""
    places = deque((prompt, missing[prompt.id]) for prompt in plan.prompts if missing.get(prompt.id))
    while places:
        prompt, indices = places.popleft()
        yield _Call(prompt, indices[:_RESPONSES_PER_CALL])
        if rest := indices[_RESPONSES_PER_CALL:]:
            places.append((prompt, rest))


@dataclass
class _Sampling:
    """The state of one sampling: what is kept, failed, spent and reserved."""

    model: Model
    plan: Plan
    keeper: Keeper
    on_progress: Callable[[Progress], None] | None
    budget: Budget | None
    price: Price | None
    kept: dict[str, set[int]] = field(init=False)
    failed: dict[tuple[str, int], type[ModelError]] = field(default_factory=dict)
    failures_in_a_row: int = 0
    is_last_pass: bool = False
    gave_up: bool = False
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost: float = 0.0
    reserved: float = 0.0
    open_calls: int = 0
    reported: float = 0.0
    released: asyncio.Event = field(default_factory=asyncio.Event)
    began: float = field(default_factory=time.monotonic)

    def __post_init__(self) -> None:
        self.kept = {prompt_id: set(indices) for prompt_id, indices in self.keeper.kept().items()}
        self.done = self.resumed = sum(
            len(self.kept.get(prompt.id, set()) & set(range(self.plan.wanted(prompt)))) for prompt in self.plan.prompts
        )

    def missing(self) -> dict[str, list[int]]:
        """What is still to be asked for; a prompt that is too long for the model is not asked again."""
        return {prompt.id: self._missing(prompt) for prompt in self.plan.prompts}

    def _missing(self, prompt: Prompt) -> list[int]:
        kept = self.kept.get(prompt.id, ())
        return [
            index
            for index in range(self.plan.wanted(prompt))
            if index not in kept and self.failed.get((prompt.id, index)) is not ContextOverflow
        ]

    async def ask(self, calls: list[_Call]) -> None:
        """Make the calls, up to 64 at once; the first error that stops the sampling stops them all."""
        waiting = iter(calls)
        await _together(self._work(waiting) for _ in range(min(_CALLS_OPEN, len(calls))))

    async def follow(self, chains: Sequence[Chain]) -> None:
        """Go along the chains, up to 64 at once."""
        waiting = iter(chains)
        await _together(self._go_along(waiting) for _ in range(min(_CALLS_OPEN, len(chains))))

    async def _go_along(self, chains: Iterator[Chain]) -> None:
        for chain in chains:
            prompt = next(chain, None)
            while prompt is not None:
                prompt = _sent(chain, await self._answers(prompt))

    async def _answers(self, prompt: Prompt) -> list[Response]:
        """Ask for what is missing of a prompt, twice where it does not come at once."""
        heard: list[Response] = []
        for _ in range(2):
            if missing := self._missing(prompt):
                starts = range(0, len(missing), _RESPONSES_PER_CALL)
                await self.ask([_Call(prompt, missing[n : n + _RESPONSES_PER_CALL], heard) for n in starts])
        return heard

    async def _work(self, calls: Iterator[_Call]) -> None:
        for call in calls:
            rest = call
            while rest.indices and not self.gave_up:
                part = await self._affordable(rest)
                rest = replace(rest, indices=rest.indices[len(part.indices) :])
                await self._make(part)

    async def _make(self, call: _Call) -> None:
        cost = self._most_cost(call)
        self.open_calls, self.reserved = self.open_calls + 1, self.reserved + cost
        safe: list[Awaitable[None]] = []
        arrived: set[int] = set()
        try:
            await self._listen(call, safe, arrived)
            self._note(call, arrived, EmptyAnswer("the model ended without this answer"), safe)
        except ModelError as error:
            self._note(call, arrived, error, safe)
            self._judge(error)
        finally:
            self.open_calls, self.reserved = self.open_calls - 1, self.reserved - cost
            self.released.set()
        await asyncio.gather(*safe)
        self.report()

    async def _listen(self, call: _Call, safe: list[Awaitable[None]], arrived: set[int]) -> None:
        seeds = [self.plan.seed_of(call.prompt, index) for index in call.indices]
        answers = self.model.sample(call.prompt, self.plan.decoding, seeds)
        try:
            async for answer in answers:
                response = replace(answer, prompt=call.prompt, index=call.indices[answer.index])
                arrived.add(response.index)
                call.heard.append(response)
                safe.append(self.keeper.add(response))
                self._count(response)
                self.report()
        finally:
            if isinstance(answers, AsyncGenerator):
                await answers.aclose()

    def _count(self, response: Response) -> None:
        place = (response.prompt.id, response.index)
        self.kept.setdefault(place[0], set()).add(place[1])
        self.failed.pop(place, None)
        self.failures_in_a_row = 0
        self.done += 1
        prompt_tokens, completion_tokens = self._tokens(response)
        self.prompt_tokens += prompt_tokens
        self.completion_tokens += completion_tokens
        if self.price:
            self.cost += self.price.of(prompt_tokens, completion_tokens)

    def _tokens(self, response: Response) -> tuple[int, int]:
        asked, said = response.prompt_tokens, response.completion_tokens
        if asked is None:
            asked = estimate_tokens(response.prompt, system=self.plan.decoding.system)
        return asked, estimate_length(response.text) if said is None else said

    def _note(self, call: _Call, arrived: Set[int], error: ModelError, safe: list[Awaitable[None]]) -> None:
        for index in call.indices:
            if index not in arrived:
                self.failed[call.prompt.id, index] = type(error)
                safe.append(self.keeper.add(Failure(call.prompt.id, index, type(error).__name__, str(error))))

    def _judge(self, error: ModelError) -> None:
        """Raise where going on would be in vain."""
        if isinstance(error, _FATAL):
            raise error
        if isinstance(error, ContextOverflow):  # says something about the prompt, nothing about the model
            return
        self.failures_in_a_row += 1
        if self.failures_in_a_row < _FAILURES_IN_A_ROW:
            return
        if self.is_last_pass:
            self.gave_up = True
            return
        count = self.failures_in_a_row
        raise ModelError(f"{count} calls in a row failed, so sampling stopped; the last: {error}") from error

    async def _affordable(self, call: _Call) -> _Call:
        """The call, or as much of it as the budget has room for; waits for open calls to return what they reserved."""
        if self.budget is None:
            return call
        while True:
            room = self.budget.max_cost - self.cost - self.reserved
            if self._most_cost(call) <= room:
                return call
            if not self.open_calls:
                return self._part(call, room)
            self.released.clear()
            await self.released.wait()

    def _part(self, call: _Call, room: float) -> _Call:
        one = self._most_cost(replace(call, indices=call.indices[:1]))
        if one > room and self.budget:
            raise BudgetExceeded(
                f"the next response may cost {one:.6f} dollars and {max(room, 0):.6f} of {self.budget.max_cost} are "
                f"left; {self.done} of {self.plan.total} responses are kept, a larger --max-cost goes on from there"
            )
        return replace(call, indices=call.indices[: int(room / one)])

    def _most_cost(self, call: _Call) -> float:
        if self.price is None:
            return 0.0
        decoding, asked = self.plan.decoding, self.done - self.resumed
        tokens: float = estimate_tokens(call.prompt, system=decoding.system)
        if asked:  # a tokenizer that cuts finer than the estimate shows in the mean of what was asked
            tokens = max(tokens, self.prompt_tokens / asked)
        return self.price.of(tokens, decoding.max_tokens) * len(call.indices)

    def report(self, *, always: bool = False) -> None:
        """Tell how far it is, at most ten times a second."""
        now = time.monotonic()
        if self.on_progress and (always or now - self.reported >= _SECONDS_BETWEEN_REPORTS):
            self.reported = now
            self.on_progress(self.progress())

    def progress(self) -> Progress:
        """How far it is now."""
        return Progress(
            done=self.done,
            wanted=self.plan.total,
            resumed=self.resumed,
            failed=len(self.failed),
            prompt_tokens=self.prompt_tokens,
            completion_tokens=self.completion_tokens,
            seconds=time.monotonic() - self.began,
            cost_usd=self.cost if self.price else None,
        )
