"""PoolModel: one model behind several servers, as replicas of it: each as busy as it can be, none of them needed."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from ethostat.errors import EmptyAnswer, InvalidInput, ModelError, ModelTimeout, RateLimited, ServerFault
from ethostat.models.base import Decoding, Weighed
from ethostat.models.http import HTTPModel
from ethostat.response import Prompt, Response
from ethostat.visible import stripped

RETRIES = 1
"""How often a server of a pool is asked again before another one is."""
_ELSEWHERE = (ServerFault, ModelTimeout, RateLimited, EmptyAnswer)
_ROUNDS = 3
_FIRST_REST, _LONGEST_REST = 1.0, 60.0


@dataclass(slots=True, eq=False)
class _Place:
    """A server: answers asked of it that are not here yet, calls it ever had, faults on end, when its rest is over."""

    model: HTTPModel
    open: int = 0
    calls: int = 0
    faults: int = 0
    rests_until: float = 0.0

    @property
    def load(self) -> tuple[float, int]:
        """Answers on the way for each request that it takes at once; where these are equal, calls that it had."""
        return self.open / self.model.concurrency, self.calls

    @property
    def is_resting(self) -> bool:
        return time.monotonic() < self.rests_until

    @contextmanager
    def asked(self, answers: int) -> Any:
        """So many answers are on the way while this lasts."""
        self.open, self.calls = self.open + answers, self.calls + 1
        try:
            yield
        finally:
            self.open -= answers

    def failed(self) -> None:
        """It is left alone for a second, then twice as long each time."""
        self.rests_until = time.monotonic() + min(_LONGEST_REST, _FIRST_REST * 2**self.faults)
        self.faults += 1


class PoolModel:
    """One model behind several OpenAI-compatible servers, which give the same answers as far as anybody can tell.

    Each call goes to the server with the least on its way for what it takes at once, which adapts for each by itself.
    What a server does not give, since it fails, times out or asks to wait, is asked of the others with the same seeds;
    it is left alone for a second, then twice as long each time, at most a minute. Raises the last failure where every
    server failed three times; what says something of the key, the model's name or the prompt is raised at once.

    Its identity holds the servers in one order: the same run goes on whichever of them live. Raises InvalidInput for
    fewer than two servers, one that occurs twice, or different models.
    """

    def __init__(self, servers: Sequence[HTTPModel]) -> None:
        identities = [server.identity for server in servers]
        if len(servers) < 2 or len({server.name for server in servers}) < len(servers):
            raise InvalidInput("a pool needs two servers or more, each once; name one alone without a comma")
        if len({(one["model"], one["endpoint"]) for one in identities}) > 1:
            names = ", ".join(sorted({stripped(one["model"], most=40) for one in identities}))
            raise InvalidInput(f"a pool is one model on several servers, got {names}; measure each by itself")
        self._places = [_Place(server) for server in sorted(servers, key=lambda server: server.name)]

    @property
    def name(self) -> str:
        return ",".join(place.model.name for place in self._places)

    @property
    def identity(self) -> dict[str, Any]:
        one = self._places[0].model.identity
        return {**one, "kind": "pool", "urls": [place.model.identity["url"] for place in self._places]}

    @property
    def declared(self) -> Mapping[str, int]:
        """What the servers said they answer with, and in how many requests so far."""
        return dict(sum((Counter(place.model.declared) for place in self._places), Counter[str]()))

    def __repr__(self) -> str:
        return f"PoolModel({[place.model for place in self._places]!r})"

    async def sample(self, prompt: Prompt, decoding: Decoding, seeds: Sequence[int]) -> AsyncIterator[Response]:
        """Answers, each the moment it is there; what one server does not give comes from another."""
        todo, tried, asked = list(range(len(seeds))), set[int](), 0
        while todo:
            place = await self._next(tried)
            asked += 1
            missing = todo[:]
            try:
                with place.asked(len(missing)):
                    async for one in place.model.sample(prompt, decoding, [seeds[index] for index in missing]):
                        index = missing[one.index]
                        todo.remove(index)
                        place.faults = 0
                        yield replace(one, index=index, model=self.name)
            except _ELSEWHERE as error:
                self._give_way(place, error, asked, tried)
            else:
                return

    async def weigh(self, prompt: Prompt, decoding: Decoding, seed: int) -> Weighed:
        """One answer with the log probabilities of its tokens."""
        tried, asked = set[int](), 0
        while True:
            place = await self._next(tried)
            asked += 1
            try:
                with place.asked(1):
                    found = await place.model.weigh(prompt, decoding, seed)
            except _ELSEWHERE as error:
                self._give_way(place, error, asked, tried)
            else:
                place.faults = 0
                return replace(found, response=replace(found.response, model=self.name))

    async def aclose(self) -> None:
        """Close the connections to all."""
        for place in self._places:
            await place.model.aclose()

    async def _next(self, tried: set[int]) -> _Place:
        """The least busy server that was not tried yet and does not rest; where all rest, the first to be back."""
        if len(tried) == len(self._places):
            tried.clear()
            await asyncio.sleep(_FIRST_REST)
        open_ = [place for place in self._places if id(place) not in tried]
        awake = [place for place in open_ if not place.is_resting]
        chosen = min(awake, key=lambda place: place.load) if awake else min(open_, key=lambda place: place.rests_until)
        tried.add(id(chosen))
        return chosen

    def _give_way(self, place: _Place, error: ModelError, asked: int, tried: set[int]) -> None:
        """A server failed: another is asked. Raises the failure where all had their turns."""
        place.failed()
        if asked >= _ROUNDS * len(self._places) and len(tried) == len(self._places):
            raise error
