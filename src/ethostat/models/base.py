"""The door to language models: what a Model must be able to do."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Protocol, runtime_checkable

from ethostat.errors import InvalidInput
from ethostat.response import Message, Prompt, Response


@dataclass(frozen=True, slots=True)
class Decoding:
    """How a model is to sample: the settings that change what it says.

    `max_tokens` bounds the answer; `system`, where given, is put before every prompt that has no system
    message of its own. The defaults are those of arXiv 2512.03047.
    """

    temperature: float = 0.7
    top_p: float = 1.0
    max_tokens: int = 128
    system: str | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.temperature <= 10:
            raise InvalidInput(f"temperature must lie in [0, 10], got {self.temperature}")
        if not 0 < self.top_p <= 1:
            raise InvalidInput(f"top_p must lie in (0, 1], got {self.top_p}")
        if self.max_tokens < 1:
            raise InvalidInput(f"max_tokens must be at least 1, got {self.max_tokens}")

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


@runtime_checkable
class Model(Protocol):
    """Something that answers prompts.

    `name` is what reports print ("smollm2", "https://host/v1#my-model"). `identity` holds everything that
    decides what the model would say (weights' hash or server and model name, chat or completions), never a
    key; equal identities may share stored responses.
    """

    @property
    def name(self) -> str: ...

    @property
    def identity(self) -> dict[str, Any]: ...

    def sample(self, prompt: Prompt, decoding: Decoding, seeds: Sequence[int]) -> AsyncIterator[Response]:
        """Answer the prompt once for each seed, each answer yielded as soon as it is whole.

        Response i of the call carries index i and seeds[i] (where one request asks for several answers, the
        seed of that request; None where the server takes no seed); the order of arrival is free. The model
        bounds its own concurrency; callers may start many calls at once. Runs of consecutive seeds are the
        cheapest for a LocalModel. Raises ModelError when the rest of this call's answers cannot be had: what
        was yielded before stands.
        """
        ...

    async def aclose(self) -> None:
        """Release connections and memory. Safe to call twice."""
        ...


@dataclass(frozen=True, slots=True)
class Weighed:
    """One answer and, for each of its tokens in order, the likeliest tokens there with their log probabilities.

    `tokens` is empty where the server gives no log probabilities.
    """

    response: Response
    tokens: tuple[Mapping[str, float], ...]


@runtime_checkable
class WeighingModel(Model, Protocol):
    """A Model that can also say how likely each token of an answer was, and which others were likely there."""

    async def weigh(self, prompt: Prompt, decoding: Decoding, seed: int) -> Weighed:
        """Answer the prompt once. Raises ModelError as `sample` does."""
        ...


@runtime_checkable
class DeclaringModel(Model, Protocol):
    """A Model whose server says what answers: which version of a model, where it says so."""

    @property
    def declared(self) -> Mapping[str, int]:
        """What was declared, and in how many requests of this object's life."""
        ...


def with_system(prompt: Prompt, decoding: Decoding) -> tuple[Message, ...]:
    """The messages of the prompt, after the decoding's system message unless the prompt has its own."""
    if decoding.system is None or any(message.role == "system" for message in prompt.messages):
        return prompt.messages
    return (Message("system", decoding.system), *prompt.messages)


def as_plain_text(messages: Sequence[Message]) -> str:
    """What a base model is given to continue: a lone user message as it is, a conversation as named turns."""
    if len(messages) == 1 and messages[0].role == "user":
        return messages[0].content
    turns = [f"{message.role.capitalize()}: {message.content}" for message in messages]
    return "\n\n".join([*turns, "Assistant:"])


async def as_they_come(streams: Iterable[AsyncIterator[Response]]) -> AsyncIterator[Response]:
    """The responses of all streams, each the moment it is there; when all have ended, the first failure is raised.

    Leaving the iteration early cancels what is still under way.
    """
    arrived: asyncio.Queue[Response | Exception | None] = asyncio.Queue()
    tasks = [asyncio.create_task(_drain(stream, arrived)) for stream in streams]
    failure, under_way = None, len(tasks)
    try:
        while under_way:
            item = await arrived.get()
            if isinstance(item, Response):
                yield item
            else:
                under_way, failure = under_way - 1, failure or item
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    if failure is not None:
        raise failure


async def _drain(stream: AsyncIterator[Response], arrived: asyncio.Queue[Response | Exception | None]) -> None:
    """Passes on what a stream gives, then its failure, or None at its good end."""
    try:
        async for response in stream:
            arrived.put_nowait(response)
    except Exception as error:  # noqa: BLE001 - raised again by who reads the queue
        arrived.put_nowait(error)
    else:
        arrived.put_nowait(None)
