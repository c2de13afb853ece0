"""OpenTelemetry in: real exporters, every dialect of the alias table, and bodies that are none."""

from __future__ import annotations

import gzip
import json
import random
import threading
import zlib

import httpx
import pytest
from opentelemetry._logs import LogRecord
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Status, StatusCode, set_span_in_context
from starlette.applications import Starlette

from ethostat.errors import InvalidInput
from ethostat.ledger import Ledger
from ethostat.monitor import Baseline, Monitor
from ethostat.server.bodies import Bodies
from ethostat.server.intake import Bounds
from ethostat.server.metrics import Metrics
from ethostat.server.otlp import Naming, otlp_routes, read_logs, read_traces
from ethostat.server.pipeline import Pipeline
from ethostat.server.service import Service
from ethostat.server.settings import ServeSettings, Texts

JSON, PROTOBUF = "application/json", "application/x-protobuf"
TRACE, SPAN = "5b8efff798038103d269b633813fc60c", "eee19b7ec3c1b174"
ASKED = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "What is 7 times 8?"}]


def service_over(ledger, **settings):
    """A service whose intake writes to the ledger once it is started; nothing classifies."""
    template = Monitor(Baseline.of_first(100))
    pipeline = Pipeline(ledger, ServeSettings(template, ledger.name, texts=Texts("all"), **settings))
    return Service(pipeline, Metrics(), Bodies(most_body=100_000, most_unpacked=100_000))


@pytest.fixture
def service(tmp_path):
    """A service that writes."""
    with Ledger(str(tmp_path / "serve.db")) as ledger:
        made = service_over(ledger)
        made.pipeline.intake.start()
        yield made
        made.pipeline.intake.stop()


@pytest.fixture
def url(service, serve):
    """The base URL of a server that takes OTLP into the service."""
    return serve(Starlette(routes=otlp_routes(service)))


def kept(service):
    """The events on disk, by stream."""
    ledger = service.pipeline.ledger
    found = [ledger.find_stream(stream.tenant, stream.name) for stream in ledger.streams()]
    return [event for position in found for event in ledger.events(position.stream_key, after=0)]


def attribute(name, value):
    """A pair of OTLP's JSON."""
    if isinstance(value, list):
        return {"key": name, "value": {"arrayValue": {"values": [attribute("", item)["value"] for item in value]}}}
    if isinstance(value, dict):
        return {"key": name, "value": {"kvlistValue": {"values": [attribute(k, v) for k, v in value.items()]}}}
    kinds = {bool: "boolValue", int: "intValue", float: "doubleValue", str: "stringValue"}
    return {"key": name, "value": {kinds[type(value)]: str(value) if type(value) is int else value}}


def pairs(attributes):
    """Attributes in OTLP's JSON."""
    return [attribute(name, value) for name, value in attributes.items()]


def span(attributes, *, trace=TRACE, id=SPAN, **more):
    """A span in OTLP's JSON."""
    return {
        "traceId": trace,
        "spanId": id,
        "name": "chat",
        "endTimeUnixNano": "1544712661000000000",
        "attributes": pairs(attributes),
        **more,
    }


def traces(*spans, resource=None):
    """An export of these spans."""
    of = {"attributes": pairs(resource or {"service.name": "shop"})}
    return json.dumps({"resourceSpans": [{"resource": of, "scopeSpans": [{"spans": list(spans)}]}]}).encode()


def logs(*records):
    """An export of these log records."""
    of = {"attributes": pairs({"service.name": "shop"})}
    return json.dumps({"resourceLogs": [{"resource": of, "scopeLogs": [{"logRecords": list(records)}]}]}).encode()


def only(reading):
    """The one event of a reading from which nothing was rejected."""
    (event,) = reading.events
    assert reading.rejected == 0
    return event


DIALECTS = {
    "current conventions": {
        "gen_ai.operation.name": "chat",
        "gen_ai.system_instructions": json.dumps([{"type": "text", "content": "Be brief."}]),
        "gen_ai.input.messages": json.dumps(
            [{"role": "user", "parts": [{"type": "text", "content": "What is 7 times 8?"}]}]
        ),
        "gen_ai.output.messages": json.dumps(
            [{"role": "assistant", "parts": [{"type": "text", "content": "56."}], "finish_reason": "stop"}]
        ),
    },
    "current conventions, structured": {
        "gen_ai.operation.name": "chat",
        "gen_ai.input.messages": [
            {"role": "system", "parts": [{"type": "text", "content": "Be brief."}]},
            {"role": "user", "parts": [{"type": "text", "content": "What is 7 times 8?"}]},
        ],
        "gen_ai.output.messages": [
            {"role": "assistant", "parts": [{"type": "text", "content": "56."}], "finish_reason": "stop"}
        ],
    },
    "legacy attributes": {
        "gen_ai.system": "openai",
        "gen_ai.prompt": json.dumps(ASKED),
        "gen_ai.completion": json.dumps([{"role": "assistant", "content": "56."}]),
        "gen_ai.response.finish_reasons": ["stop"],
    },
    "OpenLLMetry": {
        "llm.request.type": "chat",
        "gen_ai.prompt.0.role": "system",
        "gen_ai.prompt.0.content": "Be brief.",
        "gen_ai.prompt.1.role": "user",
        "gen_ai.prompt.1.content": "What is 7 times 8?",
        "gen_ai.completion.0.role": "assistant",
        "gen_ai.completion.0.content": "56.",
        "gen_ai.completion.0.finish_reason": "stop",
    },
    "OpenInference": {
        "openinference.span.kind": "LLM",
        "input.value": "not this",
        "output.value": "not this",
        "llm.input_messages.0.message.role": "system",
        "llm.input_messages.0.message.content": "Be brief.",
        "llm.input_messages.1.message.role": "user",
        "llm.input_messages.1.message.contents.0.message_content.type": "text",
        "llm.input_messages.1.message.contents.0.message_content.text": "What is 7 times 8?",
        "llm.output_messages.0.message.role": "assistant",
        "llm.output_messages.0.message.content": "56.",
        "llm.output_messages.0.message.finish_reason": "stop",
    },
    "Langfuse": {
        "langfuse.observation.type": "generation",
        "langfuse.observation.input": json.dumps(ASKED),
        "langfuse.observation.output": json.dumps({"role": "assistant", "content": "56.", "finish_reason": "stop"}),
    },
    "Vercel AI SDK": {
        "ai.operationId": "ai.generateText.doGenerate",
        "ai.prompt.messages": json.dumps(
            [ASKED[0], {"role": "user", "content": [{"type": "text", "text": "What is 7 times 8?"}]}]
        ),
        "ai.response.text": "56.",
        "ai.response.finishReason": "stop",
    },
}


@pytest.mark.parametrize("dialect", DIALECTS)
def test_every_dialect_says_the_same(dialect):
    """One call of a model gives one event, in whatever names it was written."""
    event = only(read_traces(traces(span(DIALECTS[dialect])), JSON))

    assert [(turn.role, turn.content) for turn in event.prompt.messages] == [
        ("system", "Be brief."),
        ("user", "What is 7 times 8?"),
    ]
    assert event.response == "56."
    assert event.labels["finish_reason"] == "stop"
    assert event.id == f"{TRACE}-{SPAN}"
    assert event.time == "2018-12-13T14:51:01Z"


@pytest.mark.parametrize(
    "attributes",
    [
        {"gen_ai.request.model": "m-1", "gen_ai.response.model": "m-1-2026", "gen_ai.conversation.id": "s1"},
        {"llm.model_name": "m-1", "session.id": "s1"},
        {"langfuse.observation.model.name": "m-1", "langfuse.session.id": "s1"},
    ],
)
def test_stream_session_and_model_come_from_any_of_their_names(attributes):
    """The stream is service/model asked for; the model is the one that answered, where that is said."""
    event = only(read_traces(traces(span({**DIALECTS["Langfuse"], **attributes})), JSON))

    assert (event.stream, event.session) == ("shop/m-1", "s1")
    assert event.model == attributes.get("gen_ai.response.model", "m-1")


def test_the_stream_can_be_any_attribute():
    """Naming by an attribute takes it from the span, else from the resource, else falls back to service/model."""
    resource = {"service.name": "shop", "tenant": "red"}
    of_span = traces(span({**DIALECTS["Langfuse"], "tenant": "blue"}), resource=resource)
    of_resource = traces(span(DIALECTS["Langfuse"]), resource=resource)

    assert only(read_traces(of_span, JSON, Naming("tenant"))).stream == "blue"
    assert only(read_traces(of_resource, JSON, Naming("tenant"))).stream == "red"
    assert only(read_traces(of_resource, JSON, Naming("team"))).stream == "shop"


def test_each_choice_is_an_event():
    """n answers of one call are n events with ids of their own, each with its prompt and reason."""
    choices = [{"role": "assistant", "parts": [{"type": "text", "content": text}]} for text in ("56.", "54.")]
    reading = read_traces(
        traces(
            span(
                {
                    "gen_ai.operation.name": "chat",
                    "gen_ai.output.messages": json.dumps(choices),
                    "gen_ai.response.finish_reasons": ["stop", "length"],
                }
            )
        ),
        JSON,
    )

    assert [(event.id, event.response) for event in reading.events] == [
        (f"{TRACE}-{SPAN}", "56."),
        (f"{TRACE}-{SPAN}-1", "54."),
    ]
    assert [event.labels["finish_reason"] for event in reading.events] == ["stop", "length"]


@pytest.mark.parametrize(
    "attributes",
    [
        {"gen_ai.operation.name": "embeddings", "gen_ai.request.model": "e"},
        {"gen_ai.operation.name": "execute_tool", "gen_ai.output.messages": "[]"},
        {"gen_ai.operation.name": "invoke_agent", "gen_ai.output.messages": '[{"role":"assistant","content":"56."}]'},
        {"openinference.span.kind": "CHAIN", "output.value": "56."},
        {"langfuse.observation.type": "span", "langfuse.observation.output": "56."},
        {"http.request.method": "GET"},
    ],
)
def test_spans_that_are_no_call_of_a_model_are_taken_and_have_no_effect(attributes):
    """An application exports all its spans; those of tools, agents, chains and HTTP are neither events nor errors."""
    reading = read_traces(traces(span(attributes)), JSON)

    assert (reading.events, reading.rejected, reading.silent) == ([], 0, 0)


def test_a_call_that_wraps_another_with_the_same_answer_counts_once():
    """Where a framework and its client both tell of a call, the inner one is the event."""
    inner = span(DIALECTS["OpenInference"], id="aaaaaaaaaaaaaaaa", parentSpanId=SPAN)
    reading = read_traces(traces(inner, span(DIALECTS["OpenLLMetry"])), JSON)

    assert [event.id for event in reading.events] == [f"{TRACE}-aaaaaaaaaaaaaaaa"]


def test_an_answer_that_is_json_stays_as_it_is():
    """A model that was asked for JSON is not taken for an instrumentation's structure."""
    attributes = {"langfuse.observation.type": "generation", "langfuse.observation.output": '{"sum": 56}'}

    assert only(read_traces(traces(span(attributes)), JSON)).response == '{"sum": 56}'


def test_a_call_that_only_calls_tools_has_nothing_said():
    """No event is made of an answer without a text."""
    answer = [{"role": "assistant", "parts": [{"type": "tool_call", "name": "add", "arguments": {"a": 7}}]}]
    attributes = {"gen_ai.operation.name": "chat", "gen_ai.output.messages": json.dumps(answer)}

    assert read_traces(traces(span(attributes)), JSON).events == []


def test_messages_and_choices_as_log_records():
    """The conventions before 1.37 tell each message as a record; they are joined by their span."""
    at = {"traceId": TRACE, "spanId": SPAN, "timeUnixNano": 1544712661000000000}

    def record(name, body):
        return {**at, "eventName": name, "body": attribute("", body)["value"]}

    reading = read_logs(
        logs(
            record("gen_ai.user.message", {"content": "What is 7 times 8?"}),
            record("gen_ai.choice", {"index": 0, "finish_reason": "stop", "message": {"content": "56."}}),
            record("gen_ai.choice", {"index": 1, "finish_reason": "stop", "message": {"content": "54."}}),
        ),
        JSON,
    )

    assert [(event.id, event.prompt.text, event.response) for event in reading.events] == [
        (f"{TRACE}-{SPAN}", "What is 7 times 8?", "56."),
        (f"{TRACE}-{SPAN}-1", "What is 7 times 8?", "54."),
    ]


def test_a_call_as_a_span_and_as_a_log_record_has_one_id():
    """The event gen_ai.client.inference.operation.details of a span is a duplicate of the span."""
    details = {
        "traceId": TRACE,
        "spanId": SPAN,
        "eventName": "gen_ai.client.inference.operation.details",
        "attributes": pairs(DIALECTS["current conventions"]),
    }
    as_log, as_span = (
        only(read_logs(logs(details), JSON)),
        only(read_traces(traces(span(DIALECTS["current conventions"])), JSON)),
    )

    assert (as_log.stream, as_log.id, as_log.response) == (as_span.stream, as_span.id, as_span.response)


def test_messages_as_events_of_a_span():
    """The form in between, with structures as JSON in the attributes of a span's events."""
    events = [
        {"name": "gen_ai.user.message", "attributes": pairs({"content": "What is 7 times 8?"})},
        {"name": "gen_ai.choice", "attributes": pairs({"message": json.dumps({"content": "56."}), "index": 0})},
    ]
    event = only(read_traces(traces(span({"gen_ai.operation.name": "chat"}, events=events)), JSON))

    assert (event.prompt.text, event.response) == ("What is 7 times 8?", "56.")


def test_a_bad_id_rejects_its_span_alone():
    """Ids of the wrong length, of zeros or no hexadecimal are counted with a reason; their neighbours are kept."""
    bad = [span(DIALECTS["Langfuse"], trace=trace) for trace in ("", "0" * 32, "xyz", "g" * 32)]
    reading = read_traces(traces(*bad, span(DIALECTS["Langfuse"])), JSON)

    assert (len(reading.events), reading.rejected) == (1, 4)
    assert "16 and 8 bytes" in reading.message


def test_text_from_elsewhere_is_made_storable():
    """Names lose what is unseen and their excess; texts lose NUL, which PostgreSQL cannot hold."""
    attributes = {
        **DIALECTS["Langfuse"],
        "gen_ai.request.model": "m\x1b[31m\n" + "x" * 5000,
        "langfuse.observation.output": "a\x00b",
    }
    event = only(read_traces(traces(span(attributes)), JSON))

    assert len(event.stream) < 300
    assert "\x1b" not in event.stream
    assert event.response == "a\ufffdb"


def test_a_real_exporter_sends_spans(url, service):
    """The OpenTelemetry SDK's own exporter, protobuf and gzip, is understood; a resent span is a duplicate."""
    provider = TracerProvider(resource=Resource.create({"service.name": "shop"}))
    exporter = OTLPSpanExporter(endpoint=f"{url}/v1/traces", compression=Compression.Gzip)
    provider.add_span_processor(BatchSpanProcessor(exporter))
    tracer = provider.get_tracer("test")
    with tracer.start_as_current_span("request") as parent:
        for dialect, attributes in DIALECTS.items():
            if "structured" not in dialect:
                with tracer.start_as_current_span("chat", attributes=attributes, context=set_span_in_context(parent)):
                    pass
        with tracer.start_as_current_span("chat", attributes={"gen_ai.operation.name": "chat"}) as failed:
            failed.set_status(Status(StatusCode.ERROR))
    provider.shutdown()

    assert [event.response for event in kept(service)] == ["56."] * (len(DIALECTS) - 1)
    assert {event.labels["service"] for event in kept(service)} == {"shop"}


def test_a_real_exporter_sends_log_records(url, service):
    """The SDK's log exporter and its structured attributes are understood."""
    provider = LoggerProvider(resource=Resource.create({"service.name": "shop"}))
    provider.add_log_record_processor(BatchLogRecordProcessor(OTLPLogExporter(endpoint=f"{url}/v1/logs")))
    provider.get_logger("test").emit(
        LogRecord(
            timestamp=1544712661000000000,
            event_name="gen_ai.client.inference.operation.details",
            attributes=DIALECTS["current conventions, structured"],
        )
    )
    provider.shutdown()
    (event,) = kept(service)

    assert (event.prompt.text, event.response) == ("What is 7 times 8?", "56.")


def test_a_real_exporter_repeats_what_a_full_queue_refused(serve, tmp_path):
    """A full queue answers 503 with Retry-After; the exporter waits, sends again, and nothing is lost."""
    provider = TracerProvider()
    with Ledger(str(tmp_path / "serve.db")) as ledger:
        service = service_over(ledger, bounds=Bounds(events=1))
        intake = service.pipeline.intake
        url = serve(Starlette(routes=otlp_routes(service)))
        provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=f"{url}/v1/traces")))
        waiting = intake.offer(read_traces(traces(span(DIALECTS["Langfuse"])), JSON).events)
        refused = httpx.post(
            f"{url}/v1/traces", content=traces(span(DIALECTS["Langfuse"])), headers={"content-type": JSON}
        )
        with provider.get_tracer("test").start_as_current_span("chat", attributes=DIALECTS["Langfuse"]):
            pass
        threading.Timer(1.0, intake.start).start()
        provider.shutdown()
        events = kept(service)
        intake.stop()

    assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
    assert waiting.result().accepted == 1
    assert len(events) == 2


def test_answers_are_in_the_format_of_the_question(url, service):
    """A partial success says how many were rejected and why, in JSON to JSON and in protobuf to protobuf."""
    body = traces(span(DIALECTS["Langfuse"]), span(DIALECTS["Langfuse"], id="00"))
    as_json = httpx.post(f"{url}/v1/traces", content=body, headers={"content-type": JSON})
    request = ExportTraceServiceRequest()
    made = request.resource_spans.add().scope_spans.add().spans.add(trace_id=b"short", span_id=b"1")
    made.attributes.add(key="langfuse.observation.type").value.string_value = "generation"
    as_protobuf = httpx.post(
        f"{url}/v1/traces", content=request.SerializeToString(), headers={"content-type": PROTOBUF}
    )
    partial = ExportTraceServiceResponse.FromString(as_protobuf.content).partial_success
    good = httpx.post(f"{url}/v1/traces", content=traces(span(DIALECTS["Langfuse"])), headers={"content-type": JSON})

    assert as_json.json()["partialSuccess"]["rejectedSpans"] == "1"
    assert as_protobuf.headers["content-type"] == PROTOBUF
    assert (partial.rejected_spans, "16 and 8 bytes" in partial.error_message) == (1, True)
    assert (good.status_code, good.json()) == (200, {})
    assert (service.pipeline.intake.counted.accepted, service.pipeline.intake.counted.duplicates) == (1, 1)


def test_calls_without_content_are_named_in_a_warning(url):
    """A sender that does not capture content is told what to switch on, and that nothing was rejected."""
    body = traces(span({"gen_ai.operation.name": "chat"}))
    told = httpx.post(f"{url}/v1/traces", content=body, headers={"content-type": JSON}).json()["partialSuccess"]

    assert told["rejectedSpans"] == "0"
    assert "CAPTURE_MESSAGE_CONTENT" in told["errorMessage"]


@pytest.mark.parametrize(
    ("content", "headers", "status"),
    [
        (b"{", {"content-type": JSON}, 400),
        (b"[]", {"content-type": JSON}, 400),
        (b"\xff\xff\xff", {"content-type": PROTOBUF}, 400),
        (b"<xml/>", {"content-type": "text/xml"}, 415),
        (b"", {}, 415),
        (b"no gzip", {"content-type": JSON, "content-encoding": "gzip"}, 400),
        (gzip.compress(b"{}", mtime=0)[:-9], {"content-type": JSON, "content-encoding": "gzip"}, 400),
        (b"{}", {"content-type": JSON, "content-encoding": "br"}, 400),
        (gzip.compress(bytes(200_000), mtime=0), {"content-type": JSON, "content-encoding": "gzip"}, 413),
        (bytes(200_000), {"content-type": JSON}, 413),
        (gzip.compress(b"{}", mtime=0), {"content-type": JSON, "content-encoding": "gzip"}, 200),
        (zlib.compress(b"{}"), {"content-type": JSON, "content-encoding": "deflate"}, 200),
        (b"", {"content-type": PROTOBUF}, 200),
    ],
)
def test_bodies_that_are_none(content, headers, status, url):
    """What is no OTLP, or too large packed or unpacked, is refused with a status that exporters do not repeat."""
    assert httpx.post(f"{url}/v1/traces", content=content, headers=headers).status_code == status


def _nested(depth):
    return '{"arrayValue":{"values":[' * depth + '{"stringValue":"x"}' + "]}}" * depth


@pytest.mark.parametrize(
    "value",
    [
        json.dumps({"stringValue": "[" * 100_000}),
        json.dumps({"stringValue": "[" * 5_000 + "]" * 5_000}),
        json.dumps({"stringValue": '{"message":' * 60 + '"x"' + "}" * 60}),
        json.dumps({"stringValue": json.dumps([{"role": {}, "content": {"type": []}, "tool_calls": [7, {}]}])}),
        json.dumps({"intValue": "9" * 5_000}),
        json.dumps({"kvlistValue": {"values": [{"key": "role"}, {"key": "content", "value": None}]}}),
        _nested(50),
        _nested(5_000),
        "null",
        "{}",
    ],
)
@pytest.mark.parametrize("name", ["gen_ai.output.messages", "gen_ai.input.messages", "gen_ai.completion.0.a.0.b"])
def test_hostile_values_stay_where_they_are(name, value):
    """Whatever stands in an attribute, the other span of the export is read, or the whole is refused as no OTLP."""
    hostile = json.dumps(span({"gen_ai.operation.name": "chat"}, id="aaaaaaaaaaaaaaaa"))
    hostile = hostile.replace('"attributes": [', f'"attributes": [{{"key": "{name}", "value": {value}}}, ')
    good = json.dumps(span(DIALECTS["Langfuse"]))
    body = f'{{"resourceSpans": [{{"scopeSpans": [{{"spans": [{hostile}, {good}]}}]}}]}}'.encode()

    try:
        reading = read_traces(body, JSON)
    except InvalidInput:
        return
    assert "56." in [event.response for event in reading.events]


def test_no_bytes_raise_anything_else():
    """Random damage to good exports gives a reading or InvalidInput, in both formats and for both signals."""
    rng = random.Random(0)  # noqa: S311
    request = ExportTraceServiceRequest()
    made = request.resource_spans.add().scope_spans.add().spans.add(trace_id=b"t" * 16, span_id=b"s" * 8)
    for name, value in DIALECTS["OpenLLMetry"].items():
        made.attributes.add(key=name).value.string_value = value
    goods = [(request.SerializeToString(), PROTOBUF), (traces(span(DIALECTS["OpenInference"])), JSON)]

    for _ in range(1000):
        good, kind = rng.choice(goods)
        bad = bytearray(good)
        for _ in range(rng.randrange(1, 6)):
            bad[rng.randrange(len(bad))] = rng.randrange(256)
        for read in (read_traces, read_logs):
            try:
                read(bytes(bad), kind)
            except InvalidInput:
                continue
