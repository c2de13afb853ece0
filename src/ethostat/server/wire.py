"""The OTLP wire: bodies of /v1/traces and /v1/logs, protobuf or JSON, as records; answers in the caller's format.

Source: https://opentelemetry.io/docs/specs/otlp/#otlphttp. In its JSON, ids are hexadecimal and 64-bit integers may be
texts, so that protobuf's own JSON reader does not fit.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from ethostat.errors import InvalidInput, MissingExtra

PROTOBUF, JSON = "application/x-protobuf", "application/json"
_ERROR = 2  # STATUS_CODE_ERROR


@dataclass(frozen=True, slots=True)
class Record:
    """A span or a log record; ids are hexadecimal, `time` is nanoseconds since 1970, `events` those of a span."""

    trace: str
    span: str
    attributes: Mapping[str, Any]
    resource: Mapping[str, Any]
    time: int
    name: str = ""
    parent: str = ""
    failed: bool = False
    body: object = None
    events: tuple[tuple[str, Mapping[str, Any]], ...] = field(default=())


def read_spans(body: bytes, content_type: str) -> list[Record]:
    """The spans of an ExportTraceServiceRequest. Raises InvalidInput where the body is none."""
    if content_type == JSON:
        spans = _json(body, _Traces).resource_spans or ()
        return [
            _json_span(span, _plain(of.resource)) for of in spans for scope in of.scopes() for span in scope.items()
        ]
    return list(_spans(body))


def read_log_records(body: bytes, content_type: str) -> list[Record]:
    """The records of an ExportLogsServiceRequest. Raises InvalidInput where the body is none."""
    if content_type == JSON:
        logs = _json(body, _Logs).resource_logs or ()
        return [_json_log(log, _plain(of.resource)) for of in logs for scope in of.scopes() for log in scope.items()]
    return list(_log_records(body))


def partial_success(content_type: str, *, rejected: int, message: str, of: str) -> bytes:
    """The body of a 200: empty where all was taken, else how many (`of` spans or log records) were not, and why."""
    if not rejected and not message:
        return b"{}" if content_type == JSON else b""
    if content_type == JSON:
        name = {"spans": "rejectedSpans", "log_records": "rejectedLogRecords"}[of]
        return msgspec.json.encode({"partialSuccess": {name: str(rejected), "errorMessage": message}})
    inner = (b"\x08" + _varint(rejected) if rejected else b"") + _text_field(2, message)
    return b"\x0a" + _varint(len(inner)) + inner


def status(content_type: str, message: str) -> bytes:
    """The body of an error: a google.rpc.Status with this message."""
    return msgspec.json.encode({"message": message}) if content_type == JSON else _text_field(2, message)


def _text_field(number: int, text: str) -> bytes:
    raw = text.encode()
    return bytes([number << 3 | 2]) + _varint(len(raw)) + raw


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


# ---- protobuf


def _parsed(body: bytes, kind: str) -> Any:
    try:
        from google.protobuf.message import DecodeError
        from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
        from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
    except ImportError as error:
        raise MissingExtra("opentelemetry-proto", "serve") from error
    shape: Any = ExportTraceServiceRequest if kind == "traces" else ExportLogsServiceRequest
    try:
        return shape.FromString(body)
    except DecodeError as error:
        raise InvalidInput(f"the body is not the protobuf of OTLP {kind}: {error}") from error


def _spans(body: bytes) -> Iterator[Record]:
    for of in _parsed(body, "traces").resource_spans:
        resource = _attributes(of.resource.attributes)
        for scope in of.scope_spans:
            for span in scope.spans:
                yield Record(
                    span.trace_id.hex(),
                    span.span_id.hex(),
                    _attributes(span.attributes),
                    resource,
                    span.end_time_unix_nano,
                    span.name,
                    span.parent_span_id.hex(),
                    span.status.code == _ERROR,
                    events=tuple((event.name, _attributes(event.attributes)) for event in span.events),
                )


def _log_records(body: bytes) -> Iterator[Record]:
    for of in _parsed(body, "logs").resource_logs:
        resource = _attributes(of.resource.attributes)
        for scope in of.scope_logs:
            for log in scope.log_records:
                attributes = _attributes(log.attributes)
                yield Record(
                    log.trace_id.hex(),
                    log.span_id.hex(),
                    attributes,
                    resource,
                    log.time_unix_nano or log.observed_time_unix_nano,
                    log.event_name or str(attributes.get("event.name", "")),
                    body=_value(log.body),
                )


def _attributes(pairs: Iterable[Any]) -> dict[str, Any]:
    return {pair.key: _value(pair.value) for pair in pairs}


def _value(value: Any) -> object:
    kind = value.WhichOneof("value")
    if kind is None:
        return None
    if kind == "array_value":
        return [_value(item) for item in value.array_value.values]
    if kind == "kvlist_value":
        return _attributes(value.kvlist_value.values)
    return getattr(value, kind)


# ---- JSON


class _Json(msgspec.Struct, rename="camel"):
    pass


class _Value(_Json):
    string_value: str | None = None
    bool_value: bool | None = None
    int_value: int | str | None = None
    double_value: float | str | None = None
    bytes_value: str | None = None
    array_value: _Array | None = None
    kvlist_value: _Pairs | None = None

    def plain(self) -> object:
        if self.array_value is not None:
            return [item.plain() for item in self.array_value.values or ()]
        if self.kvlist_value is not None:
            return {pair.key: pair.plain() for pair in self.kvlist_value.values or ()}
        if self.int_value is not None:
            return _whole(self.int_value)
        values = (self.string_value, self.bool_value, self.double_value, self.bytes_value)
        return next((value for value in values if value is not None), None)


class _Array(_Json):
    values: list[_Value] | None = None


class _Pair(_Json):
    key: str = ""
    value: _Value | None = None

    def plain(self) -> object:
        return None if self.value is None else self.value.plain()


class _Pairs(_Json):
    values: list[_Pair] | None = None


class _Resource(_Json):
    attributes: list[_Pair] | None = None


class _Event(_Json):
    name: str = ""
    attributes: list[_Pair] | None = None


class _Status(_Json):
    code: int | str | None = None


class _Span(_Json):
    trace_id: str = ""
    span_id: str = ""
    parent_span_id: str | None = None
    name: str = ""
    end_time_unix_nano: int | str | None = None
    attributes: list[_Pair] | None = None
    events: list[_Event] | None = None
    status: _Status | None = None


class _Log(_Json):
    trace_id: str | None = None
    span_id: str | None = None
    time_unix_nano: int | str | None = None
    observed_time_unix_nano: int | str | None = None
    event_name: str | None = None
    body: _Value | None = None
    attributes: list[_Pair] | None = None


class _ScopeSpans(_Json):
    spans: list[_Span] | None = None

    def items(self) -> Iterable[_Span]:
        return self.spans or ()


class _ScopeLogs(_Json):
    log_records: list[_Log] | None = None

    def items(self) -> Iterable[_Log]:
        return self.log_records or ()


class _ResourceSpans(_Json):
    resource: _Resource | None = None
    scope_spans: list[_ScopeSpans] | None = None

    def scopes(self) -> Iterable[_ScopeSpans]:
        return self.scope_spans or ()


class _ResourceLogs(_Json):
    resource: _Resource | None = None
    scope_logs: list[_ScopeLogs] | None = None

    def scopes(self) -> Iterable[_ScopeLogs]:
        return self.scope_logs or ()


class _Traces(_Json):
    resource_spans: list[_ResourceSpans] | None = None


class _Logs(_Json):
    resource_logs: list[_ResourceLogs] | None = None


_DECODERS = {kind: msgspec.json.Decoder(kind) for kind in (_Traces, _Logs)}


def _json(body: bytes, kind: Any) -> Any:
    try:
        return _DECODERS[kind].decode(body)
    except (msgspec.MsgspecError, RecursionError, UnicodeError) as error:
        raise InvalidInput(f"the body is not OTLP as JSON: {error}") from error


def _json_span(span: _Span, resource: Mapping[str, Any]) -> Record:
    return Record(
        span.trace_id.lower(),
        span.span_id.lower(),
        _pairs(span.attributes),
        resource,
        _whole(span.end_time_unix_nano),
        span.name,
        (span.parent_span_id or "").lower(),
        span.status is not None and span.status.code in (_ERROR, "STATUS_CODE_ERROR"),
        events=tuple((event.name, _pairs(event.attributes)) for event in span.events or ()),
    )


def _json_log(log: _Log, resource: Mapping[str, Any]) -> Record:
    attributes = _pairs(log.attributes)
    return Record(
        (log.trace_id or "").lower(),
        (log.span_id or "").lower(),
        attributes,
        resource,
        _whole(log.time_unix_nano) or _whole(log.observed_time_unix_nano),
        log.event_name or str(attributes.get("event.name", "")),
        body=None if log.body is None else log.body.plain(),
    )


def _plain(resource: _Resource | None) -> Mapping[str, Any]:
    return {} if resource is None else _pairs(resource.attributes)


def _pairs(pairs: list[_Pair] | None) -> dict[str, Any]:
    return {pair.key: pair.plain() for pair in pairs or ()}


def _whole(value: int | str | None) -> int:
    """A 64-bit integer, which JSON may hold as a text; 0 where it is none."""
    if isinstance(value, str):
        return int(value) if value.isascii() and value.isdecimal() and len(value) < 20 else 0
    return value or 0
