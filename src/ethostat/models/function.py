"""FunctionModel: a model that calls a Python function."""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from ethostat.errors import ModelError, ServerFault
from ethostat.models.base import Decoding, as_they_come
from ethostat.models.concurrency import Concurrency
from ethostat.response import Prompt, Response

Answer = Callable[[Prompt, int], str | Awaitable[str]]


class FunctionModel:
    """A model whose answers come from `function(prompt, seed)`.

    `function` takes a Prompt (`prompt.text` is its last message) and a seed, and returns the answer: a str or
    an awaitable of one. An ordinary function runs in a thread, so it may block; at most `max_concurrency`
    calls run at once. What it raises arrives as ServerFault (a ModelError passes unchanged). Temperature and
    top_p are not used; an answer of more than `max_tokens` words is cut there.

    `name` is printed in reports and is the identity: two functions of one name share stored responses.
    """

    def __init__(self, function: Answer, *, name: str | None = None, max_concurrency: int = 32) -> None:
        self._function = function
        self._name = name or str(getattr(function, "__name__", type(function).__name__))
        self._is_async = inspect.iscoroutinefunction(function)
        self._concurrency = Concurrency(start=max_concurrency, most=max_concurrency)
        self._threads: ThreadPoolExecutor | None = None
        self._max_threads = max_concurrency

    @property
    def name(self) -> str:
        return self._name

    @property
    def identity(self) -> dict[str, Any]:
        return {"kind": "function", "name": self._name}

    def __repr__(self) -> str:
        return f"FunctionModel(name={self._name!r})"

    async def sample(self, prompt: Prompt, decoding: Decoding, seeds: Sequence[int]) -> AsyncIterator[Response]:
        """One call of the function for each seed."""
        streams = [self._answer(prompt, decoding, i, seed) for i, seed in enumerate(seeds)]
        async for response in as_they_come(streams):
            yield response

    async def aclose(self) -> None:
        """End the threads; the model starts new ones if it is used again."""
        if self._threads is not None:
            self._threads.shutdown(wait=False, cancel_futures=True)
            self._threads = None

    async def _answer(self, prompt: Prompt, decoding: Decoding, index: int, seed: int) -> AsyncIterator[Response]:
        async with self._concurrency.slot() as started:
            text = await self._call(prompt, seed)
            seconds = time.monotonic() - started
        words = text.split(" ")
        is_cut = len(words) > decoding.max_tokens
        yield Response(
            prompt=prompt,
            text=" ".join(words[: decoding.max_tokens]) if is_cut else text,
            index=index,
            model=self._name,
            seed=seed,
            finish_reason="length" if is_cut else "stop",
            seconds=seconds,
        )

    async def _call(self, prompt: Prompt, seed: int) -> str:
        try:
            answer = self._function(prompt, seed) if self._is_async else await self._call_in_thread(prompt, seed)
            text = await answer if inspect.isawaitable(answer) else answer
        except ModelError:
            raise
        except Exception as error:
            raise ServerFault(f"{self._name} raised {type(error).__name__}: {error}") from error
        if not isinstance(text, str):
            raise ServerFault(f"{self._name} must return a str, got {type(text).__name__}")
        return text

    async def _call_in_thread(self, prompt: Prompt, seed: int) -> str | Awaitable[str]:
        if self._threads is None:
            self._threads = ThreadPoolExecutor(self._max_threads, thread_name_prefix="function-model")
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._function, prompt, seed)
