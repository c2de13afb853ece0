"""OpenTelemetry in: what instrumented applications export becomes events.

A span that is one call of a model, and carries what was answered, is an event a choice; other spans are taken and have
no effect. `wire.py` reads the bytes, `aliases.py` knows the names. An event's id is that of the response, or else made
of trace and span, so that an export that is sent again is a duplicate, and so is a call that comes as a span and as a
log record.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response as Answer
from starlette.routing import Route

from ethostat.errors import InvalidInput, StoreError
from ethostat.ledger import NewEvent
from ethostat.response import Message
from ethostat.server import aliases, wire
from ethostat.server.answerids import RESPONSE, SPAN, TRACE, AnswerIds, response_id
from ethostat.server.bodies import TooSlow
from ethostat.server.ingest import TooLarge
from ethostat.server.intake import Full
from ethostat.server.redaction import Redact, kept
from ethostat.server.service import Handler, Service, route, tenant_of
from ethostat.server.turns import LONGEST_NAME, Said, decoded, name_of, prompt_of, read_answers, read_turns
from ethostat.server.wire import Record

_DETAILS = "gen_ai.client.inference.operation.details"
_CHOICE = "gen_ai.choice"
_TURN = re.compile(r"gen_ai\.(system|user|assistant|tool)\.message")
_SILENT = (
    "carried no text of the answer; switch on the capture of message content in the instrumentation"
    " (for OpenTelemetry's own: OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT)"
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

Read = Callable[..., "Reading"]


@dataclass(frozen=True, slots=True)
class Naming:
    """How events find their stream: by the value of `attribute` (of the span, else of its resource) where it is given.

    Without it, or where a span does not have it, the stream is "service/model", from service.name and the model that
    was asked for. `ids` names events by what the model server called its response, where the record says it.
    """

    attribute: str | None = None
    ids: AnswerIds = field(default_factory=AnswerIds)

    def stream(self, record: Record) -> str:
        """The name of the stream of this record."""
        if self.attribute is not None:
            for attributes in (record.attributes, record.resource):
                if (name := name_of(attributes.get(self.attribute))) is not None:
                    return name
        service = aliases.first(record.resource, aliases.SERVICE)
        model = aliases.first(record.attributes, (*aliases.REQUEST_MODEL, *aliases.RESPONSE_MODEL))
        return "/".join(part for part in (service, model) if part)[:LONGEST_NAME] or "default"


@dataclass(slots=True)
class Reading:
    """What an export brought: events, and how many spans or records could not be used, with the first reasons.

    `silent` counts the calls of models that carry no answer.
    """

    events: list[NewEvent] = field(default_factory=list)
    rejected: int = 0
    reasons: list[str] = field(default_factory=list)
    silent: int = 0

    def reject(self, reason: str) -> None:
        """Count one more."""
        self.rejected += 1
        if len(self.reasons) < 3:
            self.reasons.append(reason)

    @property
    def message(self) -> str:
        """What the sender should know; empty where all is well."""
        silent = [f"{self.silent} of the calls of models {_SILENT}"] if self.silent else []
        return "; ".join([*self.reasons, *silent])


def read_traces(body: bytes, content_type: str, naming: Naming | None = None) -> Reading:
    """The events of an ExportTraceServiceRequest. Raises InvalidInput where the body is none."""
    reading, naming = Reading(), naming or Naming()
    calls: list[tuple[Record, list[NewEvent]]] = []
    for record in wire.read_spans(body, content_type):
        events = _tried(record, reading, _events_of_span, naming)
        if events:
            calls.append((record, events))
    reading.events = list(_without_wrappers(calls))
    return reading


def read_logs(body: bytes, content_type: str, naming: Naming | None = None) -> Reading:
    """The events of an ExportLogsServiceRequest: details of calls, or messages and choices as events of their own."""
    reading, naming = Reading(), naming or Naming()
    told: dict[tuple[str, str], list[Message]] = {}
    for record in wire.read_log_records(body, content_type):
        if turn := _TURN.fullmatch(record.name):
            told.setdefault((record.trace, record.span), []).extend(_turn(turn[1], _content(record)))
        elif record.name == _DETAILS:
            reading.events += _tried(record, reading, _events_of_details, naming)
        elif record.name == _CHOICE:
            before = tuple(told.get((record.trace, record.span), ()))
            reading.events += _tried(record, reading, partial(_events_of_choice, before=before), naming)
    return reading


def _tried(record: Record, reading: Reading, read: Callable[..., list[NewEvent]], naming: Naming) -> list[NewEvent]:
    """The record's events; what one hostile record does stays with it."""
    try:
        return read(record, reading, naming)
    except InvalidInput as error:
        reading.reject(str(error))
    except (RecursionError, ValueError, TypeError, OverflowError) as error:
        reading.reject(f"a record of trace {record.trace[:32]} cannot be read: {type(error).__name__}")
    return []


def _events_of_span(record: Record, reading: Reading, naming: Naming) -> list[NewEvent]:
    if not aliases.is_answer(record.attributes):
        return []
    _check_ids(record)
    turns, answers = aliases.asked(record.attributes), aliases.said(record.attributes)
    if not answers:
        told, answers = _told_in_events(record.events)
        turns = turns or told
    if not answers:
        reading.silent += not record.failed
        return []
    return _events(record, turns, answers, naming)


def _events_of_details(record: Record, reading: Reading, naming: Naming) -> list[NewEvent]:
    """The conventions put the messages into the attributes; some instrumentations put them into the body."""
    body = record.body if isinstance(record.body, Mapping) else {}
    attributes = {**body, **record.attributes}
    if not aliases.is_answer(attributes):
        return []
    answers = aliases.said(attributes)
    reading.silent += not answers
    return _events(replace(record, attributes=attributes), aliases.asked(attributes), answers, naming)


def _events_of_choice(record: Record, _: Reading, naming: Naming, *, before: tuple[Message, ...]) -> list[NewEvent]:
    content = _content(record)
    index = content.get("index") if isinstance(content, Mapping) else 0
    answers = read_answers(content)[:1]
    start = index if isinstance(index, int) and 0 <= index < 10_000 else 0
    return _events(record, before, answers, naming, start=start)


def _content(record: Record) -> object:
    return record.body if record.body is not None else record.attributes


def _turn(role: str, content: object) -> tuple[Message, ...]:
    if isinstance(content, Mapping):
        return read_turns({"role": role, **content})
    return tuple(Message(role, turn.content) for turn in read_turns(content))


def _told_in_events(events: Iterable[tuple[str, Mapping[str, Any]]]) -> tuple[tuple[Message, ...], tuple[Said, ...]]:
    """Conversation and answers as the events of a span tell them, in both forms that there were."""
    turns: list[Message] = []
    answers: list[Said] = []
    for name, attributes in events:
        if turn := _TURN.fullmatch(name):
            turns += _turn(turn[1], _event_content(attributes))
        elif name == _CHOICE:
            answers += read_answers(_event_content(attributes))[:1]
        elif name in ("gen_ai.content.prompt", "gen_ai.content.completion", _DETAILS):
            turns += aliases.asked(attributes)
            answers += aliases.said(attributes)
    return tuple(turns), tuple(answers)


def _event_content(attributes: Mapping[str, Any]) -> object:
    """The body of a message told as a span's event, whose attributes can hold structures as JSON only."""
    if "gen_ai.event.content" in attributes:
        return decoded(attributes["gen_ai.event.content"])
    return {**attributes, "message": decoded(attributes["message"])} if "message" in attributes else attributes


def _events(
    record: Record, turns: tuple[Message, ...], answers: tuple[Said, ...], naming: Naming, *, start: int = 0
) -> list[NewEvent]:
    response = aliases.first(record.attributes, aliases.RESPONSE_ID)
    id = naming.ids.id_for(_id(record), record.trace, response_id(response))
    prompt, time = prompt_of(turns), _time(record.time)
    known = {**record.resource, **record.attributes}
    labels = {label: value for label, names in aliases.LABELS.items() if (value := aliases.first(known, names))}
    labels |= {TRACE: record.trace, SPAN: record.span} if record.trace else {}
    labels |= {RESPONSE: response} if response else {}
    return [
        NewEvent(
            stream=naming.stream(record),
            id=id if place == 0 else f"{id}-{place}",
            prompt=prompt,
            response=text,
            time=time,
            session=aliases.first(known, aliases.SESSION),
            model=aliases.first(record.attributes, aliases.RESPONSE_MODEL),
            labels=labels | ({"finish_reason": answer.finish_reason} if answer.finish_reason else {}),
        )
        for place, answer in enumerate(answers, start)
        if (text := answer.written()) is not None
    ]


def _id(record: Record) -> str:
    """trace-span; for a log record outside any span, its content's hash. Raises InvalidInput for ids that are none."""
    if not record.trace and not record.span:
        content = f"{record.time}\0{record.body!r}\0{sorted(record.attributes.items())!r}"
        return hashlib.sha256(content.encode("utf-8", "replace")).hexdigest()[:32]
    _check_ids(record)
    return f"{record.trace}-{record.span}"


def _check_ids(record: Record) -> None:
    if not _is_id(record.trace, 32) or not _is_id(record.span, 16):
        raise InvalidInput(
            f"a record's trace and span ids must be 16 and 8 bytes that are not all 0,"
            f" got {record.trace[:40]!r} and {record.span[:24]!r}"
        )


def _is_id(text: str, length: int) -> bool:
    return len(text) == length and re.fullmatch("[0-9a-f]+", text) is not None and text.strip("0") != ""


def _time(nanoseconds: int) -> str | None:
    """ISO 8601 in UTC, to the microsecond; None where there is none, or none that a calendar has."""
    if nanoseconds <= 0:
        return None
    try:
        moment = _EPOCH + timedelta(microseconds=nanoseconds // 1000)
    except OverflowError:
        return None
    return moment.isoformat().replace("+00:00", "Z")


def _without_wrappers(calls: list[tuple[Record, list[NewEvent]]]) -> Iterator[NewEvent]:
    """Leaves out a call that only wraps another with the same answer, as a framework's span around its client's."""
    inner: dict[tuple[str, str], set[str | None]] = {}
    for record, events in calls:
        inner.setdefault((record.trace, record.parent), set()).update(event.response for event in events)
    for record, events in calls:
        if not {event.response for event in events} <= inner.get((record.trace, record.span), set()):
            yield from events


def otlp_routes(service: Service, naming: Naming = Naming()) -> list[Route]:
    """/v1/traces and /v1/logs.

    A 200 is given when the events are on disk; what cannot be used is counted in its partial success. A full queue is
    a 503 with Retry-After, which exporters repeat; a body that is none of OTLP is a 400, which they do not.
    """

    def taking(read: Read, of: str) -> Handler:
        async def take(service: Service, request: Request) -> Answer:
            return await _answered(service, request, partial(read, naming=naming), of)

        return take

    return [
        route(service, "/v1/traces", taking(read_traces, "spans"), method="POST"),
        route(service, "/v1/logs", taking(read_logs, "log_records"), method="POST"),
    ]


async def _answered(service: Service, request: Request, read: Callable[[bytes, str], Reading], of: str) -> Answer:
    """The answer in the format of the question, refusals too, as the protocol asks."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in (wire.PROTOBUF, wire.JSON):
        return _refusal(415, wire.JSON, f"content-type {kind[:60]!r} is not read; send {wire.PROTOBUF} or {wire.JSON}")
    try:
        reading = await _taken(service, request, lambda body: read(body, kind))
    except (Full, StoreError) as error:
        return _refusal(503, kind, str(error), {"Retry-After": str(getattr(error, "retry_after", 2))})
    except (TooLarge, TooSlow, InvalidInput) as error:
        return _refusal({TooLarge: 413, TooSlow: 408}.get(type(error), 400), kind, str(error))
    body = wire.partial_success(kind, rejected=reading.rejected, message=reading.message, of=of)
    return Answer(body, media_type=kind)


async def _taken(service: Service, request: Request, read: Callable[[bytes], Reading]) -> Reading:
    """The reading, its events on disk."""
    async with service.bodies.read(request) as body:
        reading = await run_in_threadpool(lambda: _redacted(read(body), service.pipeline.settings.redact))
        if reading.events:
            tenant = tenant_of(request)
            events = [replace(event, tenant=tenant) for event in reading.events] if tenant else reading.events
            done = await asyncio.wrap_future(service.pipeline.intake.offer(events))
            for _, why in done.refused:
                reading.reject(why)
    return reading


def _redacted(reading: Reading, redact: Redact | None) -> Reading:
    """The reading with what may be kept of it."""
    if redact is not None:
        events, reading.events = reading.events, []
        for event in events:
            try:
                reading.events.append(kept(event, redact))
            except InvalidInput as error:
                reading.reject(str(error))
    return reading


def _refusal(status: int, kind: str, message: str, headers: Mapping[str, str] | None = None) -> Answer:
    return Answer(wire.status(kind, message), status, headers=headers, media_type=kind)
