"""HTTPModel: any server that speaks the OpenAI wire format.

The journey of a request: `HTTPModel.sample` cuts the seeds into requests, `_ask` repeats a request until it
holds what was asked, `wire.py` writes it and reads the answer, `faults.py` gives failures their names.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, Literal

import httpx
import stamina

from ethostat.errors import InvalidInput, ModelError, ModelNotFound, ModelTimeout, ServerFault
from ethostat.models import keys, wire
from ethostat.models.base import Decoding, Weighed, as_they_come
from ethostat.models.concurrency import Concurrency
from ethostat.models.faults import Refused, Transient, check_status, model_names
from ethostat.response import Prompt, Response

DEFAULT_TIMEOUT = 120.0
DEFAULT_CONCURRENCY = 64
DEFAULT_RETRIES = 6
LARGEST_BODY = 32 * 2**20
_NEAR = 100_000
_PROBE = "Write the first two sentences of a story about anything you like."

# Retries are part of the work: those who configure logging see them, others do not.
logging.getLogger("stamina").addHandler(logging.NullHandler())


class HTTPModel:
    """A model behind an OpenAI-compatible server: `base_url` ends where /chat/completions begins.

    `kind` "chat" sends the messages; "completions" is for base models: a lone user message is continued as it
    is, a conversation is written out as named turns. The key is read from ETHOSTAT_API_KEY, else from
    OPENAI_API_KEY (or only from `api_key_env`, where given); without one none is sent. A key is refused over
    plain http to another machine unless `allow_key_in_clear`.

    Up to `answers_per_request` answers are asked at once with `n`; the Responses of such a request all carry
    the seed of the request, and a share of its completion tokens. A server that ignores or rejects `n`, or
    copies one answer n times at a temperature above 0, is asked singly for the rest of the session.

    A request takes at most `timeout` seconds and is repeated up to `max_retries` times after 429, 5xx, broken
    connections and unreadable answers (after a time-out once), waiting `retry_wait` seconds, then twice as
    long each time, or as long as Retry-After says, up to 60 s. The number of requests under way adapts
    between 1 and `max_concurrency`.
    """

    def __init__(
        self,
        base_url: str,
        model: str,
        *,
        kind: Literal["chat", "completions"] = "chat",
        api_key_env: str | None = None,
        allow_key_in_clear: bool = False,
        timeout: float = DEFAULT_TIMEOUT,
        max_concurrency: int = DEFAULT_CONCURRENCY,
        max_retries: int = DEFAULT_RETRIES,
        retry_wait: float = 0.5,
        answers_per_request: int = 8,
    ) -> None:
        if kind not in ("chat", "completions"):
            raise InvalidInput(f"kind must be 'chat' or 'completions', got {kind!r}")
        if max_concurrency < 1:
            raise InvalidInput(f"max_concurrency must be at least 1, got {max_concurrency}")
        if not timeout > 0:
            raise InvalidInput(f"timeout must be more than 0 seconds, got {timeout}")
        if not model:
            raise InvalidInput("model must be the name the server knows it by, got ''")
        self._url = keys.checked_url(base_url)
        self._key = keys.find_key(api_key_env)
        if self._key and not allow_key_in_clear:
            keys.refuse_key_in_clear(self._url, self._key)
        self._model, self._kind = model, kind
        self._timeout, self._max_concurrency = timeout, max_concurrency
        self._max_retries, self._retry_wait = max_retries, retry_wait
        self._n = max(1, answers_per_request)
        self._dialect = wire.Dialect()
        self._gives_copies: bool | None = None
        self._has_answered = False
        self._declared: Counter[str] = Counter()
        self._concurrency = Concurrency(most=max_concurrency)
        self._client: httpx.AsyncClient | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._probing: asyncio.Task[bool] | None = None

    @property
    def name(self) -> str:
        return f"{'base:' if self._kind == 'completions' else ''}{self._url}#{self._model}"

    @property
    def identity(self) -> dict[str, Any]:
        return {"kind": "http", "url": self._url, "model": self._model, "endpoint": self._kind}

    @property
    def concurrency(self) -> int:
        """Requests that may be under way at once, as far as is known by now."""
        return self._concurrency.limit

    @property
    def declared(self) -> Mapping[str, int]:
        """What the server said it answers with (model and system fingerprint), and in how many requests so far."""
        return dict(self._declared)

    def __repr__(self) -> str:
        return f"HTTPModel({self._url!r}, {self._model!r}, kind={self._kind!r})"

    async def sample(self, prompt: Prompt, decoding: Decoding, seeds: Sequence[int]) -> AsyncIterator[Response]:
        """Answers in requests of at most `answers_per_request`, each yielded with its request."""
        streams = [self._answers(prompt, decoding, seeds, indices) for indices in _cut(seeds, self._n)]
        async for response in as_they_come(streams):
            yield response

    async def weigh(self, prompt: Prompt, decoding: Decoding, seed: int) -> Weighed:
        """One answer with the log probabilities of its tokens; without them where the server gives none."""
        while True:
            try:
                answer, (response, *_) = await self._ask_once(prompt, decoding, seed, range(1), is_weighed=True)
            except Refused as refusal:
                if not self._learn_from(refusal):
                    raise refusal.fault from None
            else:
                return Weighed(response, answer.choices[0].likeliest)

    async def aclose(self) -> None:
        """Close the connections; the model opens new ones if it is used again."""
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()

    async def _answers(
        self, prompt: Prompt, decoding: Decoding, seeds: Sequence[int], indices: Sequence[int]
    ) -> AsyncIterator[Response]:
        """One answer for each index, given as soon as it is here; asks again for what a request did not bring."""
        todo = list(indices)
        most = len(todo)  # fewer once this prompt was refused with more
        while todo:
            n = min(self._n, most, len(todo))
            asked, todo = todo[:n], todo[n:]
            try:
                came = await self._ask(prompt, decoding, seeds[asked[0]], asked)
            except Refused as refusal:
                if not self._learn_from(refusal):
                    if n == 1:
                        raise refusal.fault from None
                    most = n // 2
                came = []
            if came and most < len(indices):  # it was n that was refused, not the prompt
                self._n = min(self._n, most)
            if len(came) > 1 and decoding.temperature > 0 and len({r.text for r in came}) == 1:
                came = came[:1] if await self._copies() else came
            if came and len(came) < n:
                self._n = min(self._n, len(came))
            for response in came:
                yield response
            todo = asked[len(came) :] + todo

    def _learn_from(self, refusal: Refused) -> bool:
        """Whether the request can be said in another dialect."""
        dialect = self._dialect.after(refusal.message)
        if dialect != self._dialect:
            self._dialect = dialect
            return True
        return bool(refusal.dialect != self._dialect)  # another request may have learnt it meanwhile

    async def _copies(self) -> bool:
        """Whether the server copies one answer n times, asked once with a prompt that has many answers.

        The answer in hand cannot tell: a model may well say "Yes." eight times. The probe's answers are not
        used as measurements, so what is measured does not depend on what it said.
        """
        if self._gives_copies is None:
            if self._probing is None or self._probing.done():
                self._probing = asyncio.create_task(self._probe())
            self._gives_copies = await asyncio.shield(self._probing)
        return self._gives_copies

    async def _probe(self) -> bool:
        decoding = Decoding(temperature=1.0, max_tokens=24)
        try:
            came = await self._ask(Prompt.from_text(_PROBE), decoding, 1, range(4))
            gives_copies = len({response.text for response in came}) == 1
        except (ModelError, Refused):
            gives_copies = True  # asking singly is slower but never wrong
        if gives_copies:
            self._n = 1
        return gives_copies

    async def _ask(self, prompt: Prompt, decoding: Decoding, seed: int, indices: Sequence[int]) -> list[Response]:
        """The responses of one request."""
        return (await self._ask_once(prompt, decoding, seed, indices))[1]

    async def _ask_once(
        self, prompt: Prompt, decoding: Decoding, seed: int, indices: Sequence[int], *, is_weighed: bool = False
    ) -> tuple[wire.Answer, list[Response]]:
        """One request, repeated while it fails in a way that may pass; what came, as the wire and as Responses."""
        dialect = self._dialect
        path, body = wire.request(
            self._kind,
            self._model,
            prompt,
            decoding,
            seed=seed,
            n=len(indices),
            dialect=dialect,
            is_weighed=is_weighed,
        )
        attempt_number = 0

        def wait_or_give_up(error: Exception) -> bool | float:
            if not isinstance(error, Transient):
                return False
            most = error.attempts if error.attempts is not None else self._max_retries + 1
            if error.is_unreachable and self._has_answered:
                most = self._max_retries + 1
            if attempt_number >= most:
                return False
            return True if error.wait is None else error.wait

        try:
            async for attempt in stamina.retry_context(
                on=wait_or_give_up,
                attempts=self._max_retries + 1,
                timeout=None,
                wait_initial=self._retry_wait,
                wait_max=60.0,
                wait_jitter=self._retry_wait,
            ):
                with attempt:
                    attempt_number = attempt.num
                    answer, seconds = await self._attempt(path, body)
        except Transient as error:
            raise error.fault from error.__cause__
        except Refused as refusal:
            refusal.dialect = dialect
            raise
        return answer, [
            Response(
                prompt=prompt,
                text=choice.text,
                index=index,
                model=self.name,
                seed=seed if dialect.takes_seed else None,
                finish_reason=choice.finish_reason,
                prompt_tokens=answer.prompt_tokens,
                completion_tokens=choice.tokens,
                seconds=seconds,
            )
            for index, choice in zip(indices, answer.choices, strict=False)
        ]

    async def _attempt(self, path: str, body: dict[str, Any]) -> tuple[wire.Answer, float]:
        async with self._concurrency.slot() as begun:
            try:
                status, headers, content = await self._post(path, body)
                check_status(status, headers, content, url=self._url, key=self._key)
                answer = wire.read(self._kind, content)
            except Transient as error:
                if error.is_overload:
                    self._concurrency.overloaded(begun)
                if error.wait:
                    self._concurrency.pause(error.wait)
                raise
            except ModelNotFound as error:
                raise ModelNotFound(f"{self.name}: {error}; {await self._offer()}") from None
            self._concurrency.succeeded()
            self._has_answered = True
            if answer.declared is not None:
                self._declared[answer.declared] += 1
            return answer, time.monotonic() - begun

    async def _post(self, path: str, body: dict[str, Any]) -> tuple[int, Mapping[str, str], bytes]:
        try:
            async with (
                asyncio.timeout(self._timeout),
                self._connected().stream("POST", f"{self._url}/{path}", json=body) as reply,
            ):
                return reply.status_code, reply.headers, await _read_body(reply)
        except (TimeoutError, httpx.TimeoutException) as error:
            late = ModelTimeout(f"{self.name} did not answer within {self._timeout:g} s; give a longer timeout")
            raise Transient(late, attempts=2, is_overload=True) from error
        except (httpx.ConnectError, httpx.ProxyError) as error:
            fault = ServerFault(f"{self._url} cannot be reached ({error}); is the server running?")
            raise Transient(fault, attempts=3, is_unreachable=True) from error
        except httpx.RequestError as error:
            broken = ServerFault(f"{self._url} broke the answer off ({type(error).__name__})")
            raise Transient(broken) from error

    async def _offer(self) -> str:
        """What the server's /models lists, in words."""
        try:
            reply = await self._connected().get(f"{self._url}/models", timeout=10)
            names = model_names(reply.content) if reply.status_code == 200 else []
        except httpx.HTTPError:
            names = []
        if not names:
            return "it lists no models; does the URL end where /chat/completions begins (often /v1)?"
        return f"it offers {', '.join(names[:10])}{' …' if len(names) > 10 else ''}"

    def _connected(self) -> httpx.AsyncClient:
        loop = asyncio.get_running_loop()
        if self._client is None or self._loop is not loop:
            limits = httpx.Limits(
                max_connections=self._max_concurrency + 2, max_keepalive_connections=self._max_concurrency
            )
            self._client = httpx.AsyncClient(
                headers={"Authorization": f"Bearer {self._key}"} if self._key else {},
                timeout=httpx.Timeout(self._timeout, connect=min(10.0, self._timeout)),
                limits=limits,
                follow_redirects=False,
            )
            self._loop = loop
        return self._client


def _cut(seeds: Sequence[int], longest: int) -> list[range]:
    """Indices in groups that one request may ask for.

    llama.cpp and vLLM give choice i of a request the seed + i. Seeds that stand near each other without being
    consecutive must therefore not share a request: it would repeat the answer of a seed in the gap.
    """
    groups: list[range] = []
    start = 0
    for i in range(1, len(seeds) + 1):
        is_far_enough = i < len(seeds) and (seeds[i] - seeds[i - 1] == 1 or abs(seeds[i] - seeds[i - 1]) > _NEAR)
        if not is_far_enough or i - start == longest:
            groups.append(range(start, i))
            start = i
    return groups


async def _read_body(reply: httpx.Response) -> bytes:
    content = bytearray()
    async for block in reply.aiter_bytes():
        content += block
        if len(content) > LARGEST_BODY:
            raise ServerFault(f"the server sent more than {LARGEST_BODY >> 20} MiB in one answer")
    return bytes(content)
