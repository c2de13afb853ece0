"""Verdicts out, to real OTLP receivers: linked to the call that came in, bounded, and in nobody's way."""

from __future__ import annotations

import gzip
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest, ExportLogsServiceResponse
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor

import ethostat as es
from ethostat.errors import InvalidInput
from ethostat.ledger import Event, Judgement
from ethostat.response import Verdict
from ethostat.server.evaluations import NAME, Endpoint, Evaluations
from serving import FLAGS, serving, wait_until


class _Receiving(BaseHTTPRequestHandler):
    """An OTLP/HTTP receiver: reads the protobuf, and answers with the next status."""

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        request = ExportLogsServiceRequest.FromString(gzip.decompress(body))
        statuses, kept = self.server.statuses, self.server.kept
        status, headers, answer = statuses.pop(0) if statuses else (200, {}, b"")
        kept.append((self.path, dict(self.headers), request, status))
        self.send_response(status)
        for name, value in {**headers, "content-length": str(len(answer))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_):
        """Nothing is printed."""


@contextmanager
def receiver(*statuses):
    """Its URL, and the exports that it took as (path, headers, request, status)."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Receiving) as server:
        server.statuses, server.kept = list(statuses), []
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}", server.kept
        server.shutdown()


def records(kept):
    """The records of exports that were taken, as (record, attributes)."""
    found = []
    for _, _, request, status in kept:
        for of in request.resource_logs if status == 200 else ():
            for record in of.scope_logs[0].log_records:
                pairs = {p.key: getattr(p.value, p.value.WhichOneof("value")) for p in record.attributes}
                found.append((record, pairs))
    return found


def judged(n, **labels):
    """A verdict and the event that it is of."""
    event = Event(1, n, f"{n}", 0.0, None, "s1", None, labels, None, None, None, None, None, None, None, False)
    return event, Judgement(1, n, Verdict("", "", "g2", (0.1, 0.7, 0.1, 0.05, 0.05)), "hash")


@contextmanager
def sending(url, **settings):
    """Evaluations under way."""
    one = Evaluations(Endpoint(url, **settings), es.FIVE_GOALS, lambda _: ("", "chat"))
    one.start()
    yield one
    one.stop()


def test_a_verdict_is_linked_to_the_span_that_came_in(tmp_path, monkeypatch):
    """A call that the SDK exports comes back as an evaluation of its span, at a receiver and at a second service."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20secret-key")
    flags = [*FLAGS, "--stream-attribute", "gen_ai.request.model", "--otlp-endpoint"]
    with receiver() as (url, kept), serving(tmp_path / "serve.db", *flags, url) as one:
        monkeypatch.delenv("OTEL_EXPORTER_OTLP_HEADERS")
        exporter = OTLPSpanExporter(endpoint=f"{one.url}/v1/traces")
        provider = TracerProvider(resource=Resource.create({"service.name": "shop"}))
        provider.add_span_processor(SimpleSpanProcessor(exporter))
        with provider.get_tracer("shop").start_as_current_span("chat m") as span:
            span.set_attributes({"gen_ai.operation.name": "chat", "gen_ai.request.model": "m"})
            span.set_attributes({"gen_ai.completion": "g2 said", "gen_ai.response.id": "chatcmpl-" + "x" * 24})
        provider.shutdown()
        one.tell([{"id": "plain", "stream": "m", "prompt": "?", "response": "no goal at all"}])
        one.wait_until(lambda: len(records(kept)) == 2)
        metrics, log = one.client.get("/metrics").text, one.log.read_text()
        (path, headers, request, _), context = kept[0], span.get_span_context()

        with serving(tmp_path / "second.db", *FLAGS) as second:
            answer = second.client.post(
                path, content=request.SerializeToString(), headers={"content-type": "application/x-protobuf"}
            )
            streams = second.get("/v1/streams")["streams"]

    first, plain = (dict(pairs) for _, pairs in records(kept))
    record = records(kept)[0][0]
    assert (path, headers["authorization"]) == ("/v1/logs", "Bearer secret-key")
    assert (record.event_name, record.trace_id, record.span_id) == (
        NAME, context.trace_id.to_bytes(16, "big"), context.span_id.to_bytes(8, "big")
    )  # fmt: skip
    assert first["gen_ai.evaluation.score.label"] == "Helpful & Misaligned"
    assert (first["gen_ai.evaluation.name"], first["gen_ai.evaluation.score.value"]) == ("five-goals", 0.0)
    assert (first["gen_ai.response.id"], first["ethostat.stream"]) == ("chatcmpl-" + "x" * 24, "m")
    assert (plain["error.type"], plain["ethostat.event.id"]) == ("no_verdict", "plain")
    assert 'ethostat_evaluations_total{outcome="sent"} 2.0' in metrics
    assert "said" not in str(request)
    assert "secret-key" not in log
    assert (answer.status_code, streams) == (200, [])


def test_what_may_be_sent_again_is(monkeypatch):
    """A receiver that is busy is asked again when it says; what it refuses, whole or in part, is counted."""
    monkeypatch.setattr("ethostat.server.evaluations._PAUSE", 0.05)
    partial = ExportLogsServiceResponse()
    partial.partial_success.rejected_log_records = 2
    statuses = [
        (503, {"Retry-After": "0"}, b""),
        (200, {}, b""),
        (400, {}, b""),
        (200, {}, partial.SerializeToString()),
    ]
    with receiver(*statuses) as (url, kept), sending(f"{url}/v1/logs") as one:
        for start in (0, 10, 20):
            one.offer([judged(start + n) for n in range(3)])
            wait_until(lambda start=start: one.counts.sent + one.counts.failed >= start / 10 * 3 + 3)
        told = (one.counts.sent, one.counts.failed, one.counts.dropped)

    assert told == (4, 5, 0)
    assert [status for _, _, _, status in kept] == [503, 200, 400, 200]
    assert [record.trace_id for record, _ in records(kept)] == [b""] * 6


def test_an_endpoint_that_is_gone_holds_up_nobody():
    """Offers return at once while nothing can be sent; what there is no room for is dropped, what waits is bounded."""
    with sending("http://127.0.0.1:9", most=100) as one:
        began = time.monotonic()
        for n in range(2000):
            one.offer([judged(n, trace_id="zz" * 16, span_id="no")])
        took = time.monotonic() - began
        wait_until(lambda: one.error)
        dropped = one.counts.dropped

    assert took < 5
    assert dropped >= 1000
    assert one.counts.sent == 0


@pytest.mark.parametrize("url", ["nonsense", "ftp://host", "http://user:password@host", "http://"])
def test_what_is_no_endpoint_is_refused(url):
    """A URL that cannot be one, or holds a password, is refused without being repeated."""
    with pytest.raises(InvalidInput) as refused:
        Endpoint(url)

    assert "password" not in str(refused.value)
