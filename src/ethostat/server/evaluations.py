"""OpenTelemetry out: every verdict made here as an event `gen_ai.evaluation.result`, to an OTLP/HTTP endpoint.

Verdicts wait in a bounded queue and are sent by a thread of their own; classification never waits for it. Where the
endpoint is gone a batch is tried for some minutes, and what there is no room for meanwhile is dropped and counted.

Source: opentelemetry.io/docs/specs/otlp (retries, Retry-After, partial success) and the GenAI semantic conventions'
events (github.com/open-telemetry/semantic-conventions-genai).
"""

from __future__ import annotations

import gzip
import logging
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

import httpx

from ethostat import __version__
from ethostat.errors import InvalidInput, MissingExtra
from ethostat.ledger import Event, Judgement
from ethostat.server.answerids import RESPONSE, SPAN, TRACE
from ethostat.taxonomy import Taxonomy

NAME = "gen_ai.evaluation.result"
HEADERS = "OTEL_EXPORTER_OTLP_HEADERS"
"""Where the headers of exports come from, as OpenTelemetry has it: name=value,name=value, percent-encoded."""
_PATH = "/v1/logs"
_TYPE = "application/x-protobuf"
_AT_ONCE, _PAUSE = 512, 1.0
_AGAIN = frozenset((408, 429, 502, 503, 504))
_FIRST_REST, _LONGEST_REST = 1.0, 30.0
_INFO = 9
_HEX = {TRACE: 32, SPAN: 16}

_log = logging.getLogger("ethostat.server.evaluations")
Names = Callable[[int], tuple[str, str] | None]
"""Tenant and name of a stream by key; None where it was deleted."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where evaluations go: the URL of an OTLP/HTTP receiver, with or without its /v1/logs.

    `headers` carry its key. `patience` is how many seconds a batch is tried for. Raises InvalidInput where the URL can
    be none.
    """

    url: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    patience: float = 300.0
    most: int = 10_000

    def __post_init__(self) -> None:
        try:
            url = httpx.URL(self.url)
        except httpx.InvalidURL as error:
            raise InvalidInput(f"the endpoint {self.url[:80]!r} is no URL: {error}") from None
        if url.scheme not in ("http", "https") or not url.host or url.userinfo:
            raise InvalidInput(
                f"an endpoint should look like http://host:4318, got one of {url.host[:80]!r}; keys go into {HEADERS}"
            )
        try:
            httpx.Headers(dict(self.headers))
        except ValueError:
            raise InvalidInput(f"{HEADERS} holds what no header can hold; it should be name=value,name=value") from None

    @property
    def target(self) -> str:
        """Where logs are posted to."""
        base = self.url.rstrip("/")
        return base if base.endswith(_PATH) else base + _PATH

    @classmethod
    def from_environment(cls, url: str) -> Endpoint:
        """With the headers that the environment names."""
        pairs = (pair.partition("=") for pair in os.environ.get(HEADERS, "").split(",") if pair.strip())
        return cls(url, {unquote(name.strip()): unquote(value.strip()) for name, _, value in pairs})


@dataclass(slots=True)
class Exported:
    """What became of verdicts: `sent` and taken, `dropped` for want of room, `failed` or refused by the endpoint."""

    sent: int = 0
    dropped: int = 0
    failed: int = 0


class Evaluations:
    """Sends verdicts to an endpoint, from a thread of its own."""

    def __init__(self, endpoint: Endpoint, taxonomy: Taxonomy, names: Names) -> None:
        try:
            from opentelemetry.proto.collector.logs.v1 import logs_service_pb2
        except ImportError as error:
            raise MissingExtra("opentelemetry-proto", "serve") from error
        self._wire: Any = logs_service_pb2
        self._endpoint, self._taxonomy, self._names = endpoint, taxonomy, names
        self._known: dict[int, tuple[str, str] | None] = {}
        self._queue: deque[tuple[Event, Judgement]] = deque()
        self._changed, self._stopping = threading.Condition(), threading.Event()
        self._thread = threading.Thread(target=self._run, name="evaluations", daemon=True)
        self.counts = Exported()
        self.error: str | None = None
        """Why nothing can be sent now; None where it can."""

    def start(self) -> None:
        """Begin to send."""
        self._thread.start()

    def stop(self, timeout: float = 5.0) -> None:
        """Send what waits, once, for at most so many seconds."""
        self._stopping.set()
        with self._changed:
            self._changed.notify_all()
        self._thread.join(timeout)

    def offer(self, judged: Sequence[tuple[Event, Judgement]]) -> None:
        """Have verdicts sent; never waits. What there is no room for is dropped and counted."""
        with self._changed:
            room = max(self._endpoint.most - len(self._queue), 0)
            self._queue.extend(judged[:room])
            self.counts.dropped += len(judged) - len(judged[:room])
            self._changed.notify()

    def _run(self) -> None:
        with httpx.Client(headers=dict(self._endpoint.headers), timeout=10.0) as client:
            while batch := self._take():
                try:
                    self._send(client, batch)
                except Exception as error:  # noqa: BLE001 - whatever it is, the next batch is another
                    self._failed(len(batch), type(error).__name__)

    def _take(self) -> list[tuple[Event, Judgement]]:
        """What waits, after a moment in which more may come; nothing at the end."""
        with self._changed:
            self._changed.wait_for(lambda: self._queue or self._stopping.is_set())
            if len(self._queue) < _AT_ONCE:
                self._changed.wait_for(lambda: len(self._queue) >= _AT_ONCE or self._stopping.is_set(), _PAUSE)
            return [self._queue.popleft() for _ in range(min(len(self._queue), _AT_ONCE))]

    def _send(self, client: httpx.Client, batch: Sequence[tuple[Event, Judgement]]) -> None:
        """Post a batch, again and again where that may help; at the end of the service once."""
        body = gzip.compress(self._request(batch), compresslevel=1)
        until, rest = time.monotonic() + self._endpoint.patience, _FIRST_REST
        while True:
            why, wait = self._post(client, body, len(batch))
            if why is None:
                return
            wait = rest if wait is None else wait
            if time.monotonic() + wait > until or self._stopping.wait(wait):
                self._failed(len(batch), why)
                return
            rest = min(2 * rest, _LONGEST_REST)

    def _post(self, client: httpx.Client, body: bytes, size: int) -> tuple[str | None, float | None]:
        """Why a batch has to be sent again, and in how many seconds where the endpoint says so."""
        headers = {"content-type": _TYPE, "content-encoding": "gzip"}
        try:
            answer = client.post(self._endpoint.target, content=body, headers=headers)
        except httpx.TransportError as error:
            self.error = f"{httpx.URL(self._endpoint.url).host} cannot be reached: {type(error).__name__}"
            return self.error, None
        if answer.status_code in _AGAIN:
            self.error = f"{httpx.URL(self._endpoint.url).host} answered {answer.status_code}"
            return self.error, _seconds(answer.headers.get("retry-after"))
        if answer.is_success:
            refused = min(self._refused(answer), size)
            self.error = None
            self.counts.sent += size - refused
            self.counts.failed += refused
        else:
            self._failed(size, f"answered {answer.status_code}")
        return None, None

    def _refused(self, answer: httpx.Response) -> int:
        try:
            return int(
                self._wire.ExportLogsServiceResponse.FromString(answer.content).partial_success.rejected_log_records
            )
        except Exception:  # noqa: BLE001 - an answer that cannot be read, to an export that was taken
            return 0

    def _failed(self, size: int, why: str) -> None:
        self.counts.failed += size
        self.error = why
        _log.error("verdicts are not exported", extra={"fields": {"verdicts": size, "why": why}})

    def _request(self, batch: Sequence[tuple[Event, Judgement]]) -> bytes:
        request = self._wire.ExportLogsServiceRequest()
        of = request.resource_logs.add()
        _set(of.resource, {"service.name": "ethostat", "service.version": __version__})
        scope = of.scope_logs.add()
        scope.scope.name, scope.scope.version = "ethostat", __version__
        for event, judgement in batch:
            self._fill(scope.log_records.add(), event, judgement)
        made: bytes = request.SerializeToString()
        return made

    def _fill(self, record: Any, event: Event, judgement: Judgement) -> None:
        record.event_name, record.severity_number, record.severity_text = NAME, _INFO, "INFO"
        record.time_unix_nano = record.observed_time_unix_nano = time.time_ns()
        trace, span = (_id(event.labels, name) for name in (TRACE, SPAN))
        if trace is not None and span is not None:
            record.trace_id, record.span_id = trace, span
        tenant, stream = self._name(event.stream_key) or ("", "")
        known = {
            "gen_ai.evaluation.name": self._taxonomy.name,
            "gen_ai.response.id": event.labels.get(RESPONSE),
            "gen_ai.conversation.id": event.session,
            "ethostat.event.id": event.id,
            "ethostat.stream": stream,
            "ethostat.tenant": tenant or None,
            "ethostat.taxonomy.hash": self._taxonomy.hash,
            "ethostat.classifier.hash": judgement.classifier or None,
        }
        _set(record, {**known, **_found(judgement, self._taxonomy)})

    def _name(self, key: int) -> tuple[str, str] | None:
        if key not in self._known:
            self._known[key] = self._names(key)
        return self._known[key]


def _found(judgement: Judgement, taxonomy: Taxonomy) -> dict[str, str | float | None]:
    """Label and score of a verdict: the goal's name, and the probability that the response is aligned."""
    verdict = judgement.verdict
    if verdict is None:
        return {"error.type": "no_verdict"}
    name = taxonomy.goals[taxonomy.index(verdict.goal)].name
    pairs = zip(verdict.probabilities, taxonomy.aligned, strict=True)
    return {
        "gen_ai.evaluation.score.label": name,
        "gen_ai.evaluation.score.value": float(sum(chance for chance, aligned in pairs if aligned)),
        "gen_ai.evaluation.explanation": f"{name} with probability {max(verdict.probabilities):.2f}",
        "ethostat.goal": verdict.goal,
    }


def _set(of: Any, values: Mapping[str, str | float | None]) -> None:
    for name, value in values.items():
        if value is None:
            continue
        pair = of.attributes.add(key=name)
        if isinstance(value, str):
            pair.value.string_value = value.encode("utf-8", "replace").decode()
        else:
            pair.value.double_value = value


def _id(labels: Mapping[str, str], name: str) -> bytes | None:
    """A trace's or span's id among the labels, where it is one."""
    text = labels.get(name, "")
    try:
        return bytes.fromhex(text) if len(text) == _HEX[name] and text.isalnum() else None
    except ValueError:
        return None


def _seconds(retry_after: str | None) -> float | None:
    """What Retry-After asks for; a date is not read."""
    text = (retry_after or "").strip()
    return min(float(text), 10 * _LONGEST_REST) if text.isascii() and text.isdigit() else None
