"""LocalModel: a GGUF model in this process, through llama.cpp."""

from __future__ import annotations

import asyncio
import os
import secrets
import time
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from ethostat.errors import ContextOverflow, MissingExtra, ModelError, ModelNotFound, ServerFault
from ethostat.models.base import Decoding, as_plain_text, as_they_come, with_system
from ethostat.models.concurrency import Concurrency
from ethostat.models.weights import PACKAGED, sha256_of
from ethostat.response import Message, Prompt, Response


class LocalModel:
    """A GGUF model that runs in this process on the CPU (extra `local`).

    `name_or_path` is the name of a packaged model ("smollm2", "gemma3-270m") or the path of a .gguf file.
    `is_chat` says whether the model's chat template is used; by default it is for paths and for "smollm2",
    while "gemma3-270m", a base model, continues plain text.

    `slots` answers are written at once, and up to `context` tokens (prompt and answer together) fit into
    each; more is ContextOverflow. Seeds that follow one another (7, 8, 9) share one reading of the prompt:
    answer i of such a run has seed + i, and gives the same text as when that seed is asked alone. A seed gives the
    same text again on the same machine and build, apart from ties decided by rounding in batches.

    `threads` is 1 by default: llama.cpp's threads spin while they wait, which costs more than a second one gives on
    small machines. The weights are read at the first use; `aclose` frees them.
    """

    def __init__(
        self,
        name_or_path: str | Path,
        *,
        is_chat: bool | None = None,
        slots: int = 16,
        context: int = 2048,
        threads: int = 1,
    ) -> None:
        packaged = PACKAGED.get(str(name_or_path))
        self._path = packaged.path() if packaged else _existing(Path(name_or_path))
        self._name = packaged.name if packaged else f"gguf:{name_or_path}"
        self._is_chat = is_chat if is_chat is not None else packaged is None or packaged.is_chat
        self._slots, self._context, self._threads = slots, context, threads
        self._run = min(slots, 8)
        self._concurrency = Concurrency(start=max(1, slots // self._run), most=max(1, slots // self._run))
        self._engine: Any = None
        self._loading: asyncio.Task[Any] | None = None
        self._workers: ThreadPoolExecutor | None = None

    @property
    def name(self) -> str:
        return self._name

    @property
    def identity(self) -> dict[str, Any]:
        return {
            "kind": "gguf",
            "sha256": sha256_of(self._path),
            "endpoint": "chat" if self._is_chat else "completions",
            "context": self._context,
        }

    def __repr__(self) -> str:
        return f"LocalModel({self._name!r})"

    async def sample(self, prompt: Prompt, decoding: Decoding, seeds: Sequence[int]) -> AsyncIterator[Response]:
        """Answers in runs of consecutive seeds, each run read once and written together."""
        streams = [self._answer(prompt, decoding, start, seeds[start:stop]) for start, stop in _runs(seeds, self._run)]
        async for response in as_they_come(streams):
            yield response

    async def aclose(self) -> None:
        """Free the weights and end the threads; the model loads again if it is used again."""
        workers, self._workers = self._workers, None
        engine, self._engine = self._engine, None
        self._loading = None
        if workers is not None:
            await asyncio.to_thread(workers.shutdown, wait=True, cancel_futures=True)
        del engine

    async def _answer(
        self, prompt: Prompt, decoding: Decoding, start: int, seeds: Sequence[int]
    ) -> AsyncIterator[Response]:
        async with self._concurrency.slot():
            engine = await self._loaded()
            began = time.monotonic()
            loop = asyncio.get_running_loop()
            body = await loop.run_in_executor(self._workers, self._ask, engine, prompt, decoding, seeds)
            seconds = time.monotonic() - began
        usage = body.get("usage", {})
        for i, choice in enumerate(body["choices"]):
            yield Response(
                prompt=prompt,
                text=(choice["message"]["content"] if self._is_chat else choice["text"]) or "",
                index=start + i,
                model=self._name,
                seed=seeds[i],
                finish_reason=choice.get("finish_reason"),
                prompt_tokens=usage.get("prompt_tokens"),
                completion_tokens=_tokens_of(choice, usage, decoding, is_alone=len(seeds) == 1),
                seconds=seconds,
            )

    def _ask(self, engine: Any, prompt: Prompt, decoding: Decoding, seeds: Sequence[int]) -> dict[str, Any]:
        messages = with_system(prompt, decoding)
        request: dict[str, Any] = {
            "max_tokens": decoding.max_tokens,
            "temperature": decoding.temperature,
            "top_p": decoding.top_p,
            "seed": seeds[0] % 2**32,
            "n": len(seeds),
            **_UNTRUNCATED,
        }
        try:
            if self._is_chat:
                request["messages"] = [_as_template_knows(message) for message in messages]
                body = engine.handle_chat_completions(request)
            else:
                request["prompt"] = as_plain_text(messages)
                body = engine.handle_completions(request)
        except (ValueError, RuntimeError) as error:
            raise ServerFault(f"{self._name} failed: {error}") from error
        _raise_for_error(self._name, body, len(seeds))
        self._refuse_cut_short(body, decoding)
        return dict(body)

    def _refuse_cut_short(self, body: dict[str, Any], decoding: Decoding) -> None:
        """An answer that the end of the context cut off is not one that max_tokens cut off."""
        prompt_tokens = body.get("usage", {}).get("prompt_tokens", 0)
        needed = prompt_tokens + decoding.max_tokens
        if needed > self._context and any(choice.get("finish_reason") == "length" for choice in body["choices"]):
            raise ContextOverflow(
                f"{self._name}: {prompt_tokens} tokens of prompt and {decoding.max_tokens} of answer exceed "
                f"the context of {self._context}; give LocalModel a larger context"
            )

    async def _loaded(self) -> Any:
        if self._engine is None:
            if self._loading is None:
                self._workers = ThreadPoolExecutor(max(1, self._slots // self._run), thread_name_prefix="local-model")
                self._loading = asyncio.create_task(asyncio.to_thread(self._load))
            self._engine = await asyncio.shield(self._loading)
        return self._engine

    def _load(self) -> Any:
        # llama.cpp reads this when its thread pool starts; spinning threads starve the loop on few cores.
        os.environ.setdefault("OMP_WAIT_POLICY", "passive")
        try:
            import xllamacpp
        except ImportError as error:
            raise MissingExtra("xllamacpp", "local") from error
        params = xllamacpp.CommonParams()
        params.model.path = str(self._path)
        params.n_parallel = self._slots
        params.n_ctx = self._slots * self._context
        params.kv_unified = False
        params.cpuparams.n_threads = params.cpuparams_batch.n_threads = self._threads
        params.warmup = False
        params.verbosity = -1
        params.cache_ram_mib = 0
        params.ui = params.endpoint_slots = False
        # The engine opens a port on loopback; a key that nobody knows keeps it closed to others.
        params.api_keys = [secrets.token_hex(32)]
        try:
            return xllamacpp.Server(params)
        except (ValueError, RuntimeError) as error:
            raise ModelError(f"{self._path} cannot be loaded as GGUF: {error}") from error


# Without these llama.cpp cuts the distribution to its own taste (top 40, min-p 0.05): entropy would be too low.
_UNTRUNCATED = {"top_k": 0, "min_p": 0.0, "repeat_penalty": 1.0, "typical_p": 1.0}


def _runs(seeds: Sequence[int], longest: int) -> list[tuple[int, int]]:
    """The (start, stop) of each run of consecutive seeds, none longer than `longest`."""
    runs: list[tuple[int, int]] = []
    start = 0
    for i in range(1, len(seeds) + 1):
        if i == len(seeds) or seeds[i] != seeds[i - 1] + 1 or i - start == longest:
            runs.append((start, i))
            start = i
    return runs


def _tokens_of(choice: dict[str, Any], usage: dict[str, Any], decoding: Decoding, *, is_alone: bool) -> int | None:
    """llama.cpp counts only the first of several answers; one cut off by max_tokens has max_tokens."""
    if is_alone:
        return usage.get("completion_tokens")
    return decoding.max_tokens if choice.get("finish_reason") == "length" else None


def _as_template_knows(message: Message) -> dict[str, str]:
    role = "system" if message.role == "developer" else message.role
    return {"role": role, "content": message.content}


def _existing(path: Path) -> Path:
    if not path.is_file():
        raise ModelNotFound(f"{str(path)!r} is no file; give the path of a .gguf or one of {', '.join(PACKAGED)}")
    return path


def _raise_for_error(name: str, body: Any, asked: int) -> None:
    error = body.get("error") if isinstance(body, dict) else {"message": f"it gave {type(body).__name__}"}
    if error:
        message = error.get("message", "")
        if error.get("type") == "exceed_context_size_error":
            raise ContextOverflow(f"{name}: {message}; give LocalModel a larger context")
        raise ServerFault(f"{name} failed: {message}")
    if len(body.get("choices", ())) != asked:
        raise ServerFault(f"{name} gave {len(body.get('choices', ()))} answers where {asked} were asked")
