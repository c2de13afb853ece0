"""The proxy: forwards what is under /v1 to any OpenAI-compatible server, byte for byte, and observes out of band.

It fails open. What it forwards never waits for what it observes: the bytes that go past are kept, within a bound, and
handed to `watching.py` when the caller has the last of them. Nothing of a request's headers is kept but the three that
are addressed to us and the trace that it belongs to, so that keys are never stored or logged.
"""

from __future__ import annotations

import asyncio
import json
import logging
import random
import socket
import time
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, unquote

import aiohttp
from multidict import CIMultiDict
from starlette.routing import Route
from starlette.types import Message, Receive, Scope, Send
from yarl import URL

from ethostat.models.keys import checked_url
from ethostat.server.answerids import trace_labels
from ethostat.server.answers import ENDPOINTS, is_ended
from ethostat.server.redaction import Redact
from ethostat.server.turns import name_of
from ethostat.server.watching import Counts, Exchange, Observe, Sampling, Watching

_INWARDS = ("events", "logs", "traces")
_OUTWARDS = (
    "alerts",
    "baselines",
    "deliveries",
    "deployments",
    "erasures",
    "labels",
    "metrics",
    "runs",
    "reviews",
    "session",
    "sessions",
    "streams",
)
_ACCESS = ("audit", "keys", "login", "rules", "targets", "users")
RESERVED = frozenset((*_INWARDS, *_OUTWARDS, *_ACCESS))
"""What belongs to the service under /v1; never forwarded, so that its keys do not travel to the model server."""

_OURS = b"x-ethostat-"
_STREAM, _SESSION, _LABELS = b"x-ethostat-stream", b"x-ethostat-session", b"x-ethostat-labels"
_TRACE = b"traceparent"
_KEPT = frozenset((_STREAM, _SESSION, _LABELS, _TRACE))
_HOP_BY_HOP = frozenset(
    b"connection keep-alive proxy-connection proxy-authenticate proxy-authorization te trailer transfer-encoding "
    b"upgrade".split()
)
_ENCODINGS = ("gzip", "x-gzip", "deflate", "identity")
_SET_ANEW = frozenset((b"host", b"content-length", b"expect"))
_AUTOMATIC = ("User-Agent", "Accept", "Accept-Encoding", "Content-Type")
_AS_IT_IS = "!\"$%&'()*+,-./:;<=>?@[\\]^_`{|}~"  # all that can stand in a request line, so that nothing is written anew
_KEEPALIVE = 4.0  # seconds; llama.cpp and uvicorn close idle connections after 5
_BROKEN = (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError)
_QUICKACK: int | None = getattr(socket, "TCP_QUICKACK", None)  # Linux has it
_LARGEST_LINE = 64 * 2**10
_METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]

_LOG = logging.getLogger(__name__)
Headers = Iterable[tuple[bytes, bytes]]


@dataclass(frozen=True, slots=True)
class ProxySettings:
    """Where traffic goes, and how much of it is observed.

    `upstream` is the base URL of the model server, with its /v1. A body larger than `largest_kept` bytes is forwarded
    and not observed; all that is kept at a time takes at most `most_kept` bytes. `connect_timeout` is in seconds; an
    answer may take as long as the caller waits. Raises InvalidInput where the URL cannot be one.
    """

    upstream: str
    sampling: Sampling = field(default_factory=Sampling)
    redact: Redact | None = None
    connect_timeout: float = 10.0
    largest_kept: int = 2 * 2**20
    most_kept: int = 128 * 2**20
    reserved: frozenset[str] = RESERVED

    def __post_init__(self) -> None:
        checked_url(self.upstream)


class Proxy:
    """Forwards to one server.

    `routes` are /v1/... and /proxy/STREAM/v1/..., to be placed after routes of your own; `observe` gets the events,
    in a thread, and may fail or block without harm to traffic. Close it in the loop that it served in.
    """

    def __init__(self, settings: ProxySettings, observe: Observe) -> None:
        self._settings = settings
        self._base = checked_url(settings.upstream)
        self._watching = Watching(
            observe, redact=settings.redact, sampling=settings.sampling, most=settings.most_kept // 2
        )
        self._share = settings.sampling.most
        self._kept = 0
        self._session: aiohttp.ClientSession | None = None
        self._fresh: aiohttp.ClientSession | None = None
        paths = ("/v1/{path:path}", "/proxy/{stream}/v1/{path:path}")
        self.routes = [Route(path, self, methods=_METHODS) for path in paths]

    @property
    def counts(self) -> Counts:
        """What became of what was seen, from the start on."""
        return self._watching.counts

    async def aclose(self) -> None:
        """Close the connections, and read what is still waiting for at most 5 seconds."""
        for session in (self._session, self._fresh):
            if session is not None:
                await session.close()
        self._session = self._fresh = None
        await asyncio.to_thread(self._watching.close, 5.0)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request, as ASGI."""
        target = self._target(scope)
        if target is None:
            await _refuse(send, 404, "no such path here, and it is not forwarded")
            return
        forwarding = _Forwarding(scope, receive, send, self._tape(scope))
        try:
            await self._forward(forwarding, target)
        finally:
            self._settle(forwarding)

    def _target(self, scope: Scope) -> URL | None:
        """The URL above; None for what is not to be forwarded."""
        raw: bytes = scope.get("raw_path") or scope["path"].encode()
        before = 4 if "stream" in scope["path_params"] else 2
        rest = quote(raw.split(b"/", before)[before], safe=_AS_IT_IS)
        steps = [step for step in unquote(rest).split("/") if step]
        if (steps[:1] and steps[0] in self._settings.reserved) or any(step in (".", "..") for step in steps):
            return None
        query = quote(scope["query_string"], safe=_AS_IT_IS)
        return URL(f"{self._base}/{rest}" + (f"?{query}" if query else ""), encoded=True)

    def _tape(self, scope: Scope) -> _Tape | None:
        """What is to be kept of this exchange; None where it is not observed. Raises nothing."""
        try:
            endpoint = ENDPOINTS.get(scope["path_params"]["path"].strip("/"))
            draw = random.random()  # noqa: S311  (which share of traffic, nothing secret)
            if endpoint is None or scope["method"] != "POST" or draw >= self._share:
                return None
            if self._kept >= self._settings.most_kept // 2:
                self.counts.dropped += 1
                return None
            return _Tape(endpoint, draw, self._settings.largest_kept, self, _addressed(scope))
        except Exception as error:  # noqa: BLE001  (whatever it is, traffic goes on)
            self._report(error)
            return None

    async def _forward(self, forwarding: _Forwarding, target: URL) -> None:
        body = await forwarding.body()
        if body is None:
            return
        watcher: asyncio.Task[None] | None = None
        try:
            watcher = asyncio.create_task(forwarding.watch())
            async with await self._answer(forwarding, target, body) as response:
                await forwarding.pass_on(response)
        except asyncio.CancelledError:
            if not forwarding.is_left:
                raise
            if (task := asyncio.current_task()) is not None:
                task.uncancel()
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            await forwarding.fail(error)
        finally:
            if watcher is not None:
                watcher.cancel()

    async def _answer(
        self, forwarding: _Forwarding, target: URL, body: bytes | AsyncIterator[bytes]
    ) -> aiohttp.ClientResponse:
        """The answer's head; asks again, once, where a connection that was kept turns out to have been closed."""
        session = self._opened()
        seen: dict[str, bool] = {}
        headers = _upwards(forwarding.scope["headers"], is_streamed=not isinstance(body, bytes))
        if forwarding.tape is not None and "accept-encoding" in headers:
            headers["accept-encoding"] = _that_we_unpack(headers["accept-encoding"])
        ask: dict[str, Any] = {"data": body or None, "headers": headers, "allow_redirects": False}
        method = forwarding.scope["method"]
        try:
            return await session.request(method, target, trace_request_ctx=seen, **ask)
        except _BROKEN:
            if not seen.get("is_kept") or not isinstance(body, bytes):
                raise
        if self._fresh is None:
            self._fresh = self._new_session(force_close=True)
        return await self._fresh.request(method, target, **ask)

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = self._new_session(keepalive_timeout=_KEEPALIVE)
        return self._session

    def _new_session(self, **connector: Any) -> aiohttp.ClientSession:
        """A client that adds nothing, follows nothing, keeps no cookie and unpacks nothing."""
        tracing = aiohttp.TraceConfig()
        tracing.on_connection_reuseconn.append(_note_kept)
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, **connector),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            skip_auto_headers=_AUTOMATIC,
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=self._settings.connect_timeout),
            trace_configs=[tracing],
            max_line_size=_LARGEST_LINE,
            max_field_size=_LARGEST_LINE,
        )

    def keep(self, size: int) -> None:
        """Counts bytes on tapes; negative where they are let go."""
        self._kept += size

    def _settle(self, forwarding: _Forwarding) -> None:
        """Hands the tape on. Raises nothing."""
        tape = forwarding.tape
        if tape is None:
            return
        try:
            if forwarding.is_whole or tape.is_ended:
                exchange = tape.exchange(forwarding.answer_headers)
                if exchange is not None:
                    self._watching.offer(exchange)
                else:
                    self.counts.unread += 1
            else:
                self.counts.cut += 1
        except Exception as error:  # noqa: BLE001  (whatever it is, traffic goes on)
            self._report(error)
        finally:
            tape.close()

    def _report(self, error: Exception) -> None:
        self.counts.failed += 1
        _LOG.warning("an exchange was not observed: %s", type(error).__name__)


@dataclass(slots=True)
class _Tape:
    """The bytes of one exchange, up to a bound for each direction; beyond it nothing is kept."""

    endpoint: str
    draw: float
    largest: int
    proxy: Proxy
    addressed: Mapping[str, Any]
    asked: list[bytes] = field(default_factory=list)
    answered: list[bytes] = field(default_factory=list)
    sizes: list[int] = field(default_factory=lambda: [0, 0])
    is_over: bool = False
    status: int = 0
    began: float = 0.0

    def add(self, parts: list[bytes], part: bytes) -> None:
        """Keeps the part."""
        if self.is_over:
            return
        direction = parts is self.answered
        self.sizes[direction] += len(part)
        self.proxy.keep(len(part))
        parts.append(part)
        if self.sizes[direction] > self.largest:
            self.is_over = True
            self.asked.clear()
            self.answered.clear()

    @property
    def is_ended(self) -> bool:
        """Whether the answer is a stream that has said its last: OpenAI's own client leaves on [DONE]."""
        return is_ended(b"".join(self.answered))

    def exchange(self, headers: Mapping[str, str]) -> Exchange | None:
        """What was kept, where it is a whole answer."""
        if self.is_over or self.status != 200:
            return None
        kind = headers.get("content-type", "").partition(";")[0].strip().lower()
        return Exchange(
            endpoint=self.endpoint,
            request=b"".join(self.asked),
            response=tuple(self.answered),
            content_type=kind,
            encoding=headers.get("content-encoding", ""),
            time=self.began,
            draw=self.draw,
            **self.addressed,
        )

    def close(self) -> None:
        """Lets go of all that it kept."""
        self.proxy.keep(-sum(self.sizes))


class _Forwarding:
    """One request on its way up, and its answer on its way down."""

    def __init__(self, scope: Scope, receive: Receive, send: Send, tape: _Tape | None) -> None:
        self.scope, self._receive, self._send, self.tape = scope, receive, send, tape
        self.answer_headers: Mapping[str, str] = {}
        self.is_left = self.is_whole = False
        self._is_begun = False
        self._sent_whole = asyncio.Event()
        self._task = asyncio.current_task()

    async def body(self) -> bytes | AsyncIterator[bytes] | None:
        """The body, as a stream where it comes in parts; None where the caller left before it was here."""
        message = await self._receive()
        if message["type"] == "http.disconnect":
            return None
        first: bytes = message.get("body", b"")
        if self.tape is not None:
            self.tape.add(self.tape.asked, first)
        if message.get("more_body", False):
            return self._parts(first)
        self._sent_whole.set()
        return first

    async def _parts(self, first: bytes) -> AsyncIterator[bytes]:
        yield first
        more = True
        while more:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                self._leave()
                raise ConnectionResetError("the caller left")  # a body that only ends would look like a whole one
            part: bytes = message.get("body", b"")
            more = message.get("more_body", False)
            if self.tape is not None:
                self.tape.add(self.tape.asked, part)
            if part:
                yield part
        self._sent_whole.set()

    async def watch(self) -> None:
        """Stops the forwarding when the caller leaves."""
        await self._sent_whole.wait()
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self._leave()

    def _leave(self) -> None:
        if not self.is_whole and self._task is not None:
            self.is_left = True
            self._task.cancel()

    async def pass_on(self, response: aiohttp.ClientResponse) -> None:
        """The answer, as it comes."""
        tape = self.tape
        self.answer_headers = response.headers
        if tape is not None:
            tape.status, tape.began = response.status, time.time()
        connection = _socket_of(response)
        _acknowledge(connection)
        await self._begin(response.status, _end_to_end(response.raw_headers))
        while part := await response.content.readany():
            _acknowledge(connection)
            if tape is not None:
                tape.add(tape.answered, part)
            await self._send({"type": "http.response.body", "body": part, "more_body": True})
        self.is_whole = True
        await self._send({"type": "http.response.body", "body": b""})

    async def _begin(self, status: int, headers: list[tuple[bytes, bytes]]) -> None:
        self._is_begun = True
        await self._send({"type": "http.response.start", "status": status, "headers": headers})

    async def fail(self, error: BaseException) -> None:
        """Tells the caller that the server above failed: as a 502, or, in the middle of an answer, by its end.

        An answer that is never ended makes the ASGI server close the connection, as the server above did.
        """
        _LOG.warning("the server above failed: %s", type(error).__name__)
        if not self._is_begun:
            self._is_begun = True
            await _refuse(self._send, 502, f"the model server cannot be reached ({type(error).__name__})")


async def _refuse(send: Send, status: int, text: str) -> None:
    """An error in OpenAI's form."""
    body = json.dumps({"error": {"message": f"ethostat: {text}", "type": "proxy_error", "code": status}}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    start: Message = {"type": "http.response.start", "status": status, "headers": headers}
    await send(start)
    await send({"type": "http.response.body", "body": body})


def _socket_of(response: aiohttp.ClientResponse) -> Any:
    """The socket that an answer comes over; None where all of it is here."""
    connection = response.connection
    transport = None if connection is None else connection.transport
    return None if transport is None else transport.get_extra_info("socket")


def _acknowledge(connection: Any) -> None:
    """Tell the server above at once that its bytes are here.

    Over a kept connection the kernel waits up to 40 ms with that, and a server that leaves Nagle's algorithm on (as
    llama.cpp does) keeps the next part of its answer back so long. Source: tcp(7), TCP_QUICKACK.
    """
    if connection is not None and _QUICKACK is not None:
        with suppress(OSError):
            connection.setsockopt(socket.IPPROTO_TCP, _QUICKACK, 1)


async def _note_kept(_: aiohttp.ClientSession, context: Any, __: Any) -> None:
    if context.trace_request_ctx is not None:
        context.trace_request_ctx["is_kept"] = True


def _upwards(headers: Headers, *, is_streamed: bool) -> CIMultiDict[str]:
    """The caller's headers, without those of its connection and those addressed to us."""
    kept = [
        (name, value) for name, value in _end_to_end(headers) if name not in _SET_ANEW and not name.startswith(_OURS)
    ]
    if is_streamed:  # its length is known if the caller said it
        kept += [(name, value) for name, value in headers if name == b"content-length"]
    return CIMultiDict((name.decode("latin-1"), value.decode("latin-1")) for name, value in kept)


def _that_we_unpack(accepted: str) -> str:
    """Of the encodings that the caller takes those that can be observed too."""
    kept = [part.strip() for part in accepted.split(",") if part.partition(";")[0].strip().lower() in _ENCODINGS]
    return ", ".join(kept) or "identity"


def _end_to_end(headers: Headers) -> list[tuple[bytes, bytes]]:
    """Without those that belong to one connection (RFC 9110, 7.6.1), names in lower case."""
    lowered = [(name.lower(), value) for name, value in headers]
    named = {part.strip().lower() for name, value in lowered if name == b"connection" for part in value.split(b",")}
    return [pair for pair in lowered if pair[0] not in _HOP_BY_HOP and pair[0] not in named]


def _addressed(scope: Scope) -> dict[str, Any]:
    """Tenant; stream, session and labels: the path's, else those of the headers that are for us; and the trace."""
    said = {name.lower(): value.decode("latin-1") for name, value in scope["headers"] if name.lower() in _KEPT}
    pairs = (pair.partition("=") for pair in said.get(_LABELS, "").split(",")[:16])
    labels = {key: value for k, _, v in pairs if (key := name_of(k.strip())) and (value := name_of(v.strip()))}
    return {
        "tenant": str(scope.get("state", {}).get("tenant", "")),
        "stream": name_of(said.get(_STREAM)) or name_of(scope["path_params"].get("stream")),
        "session": name_of(said.get(_SESSION)),
        "labels": {**trace_labels(said.get(_TRACE)), **labels},
    }
