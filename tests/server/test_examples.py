"""The examples run as they stand."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from starlette.applications import Starlette

from ethostat.ledger import Ledger
from ethostat.monitor import Baseline, Monitor
from ethostat.server.bodies import Bodies
from ethostat.server.metrics import Metrics
from ethostat.server.otlp import otlp_routes
from ethostat.server.pipeline import Pipeline
from ethostat.server.proxy import Proxy, ProxySettings
from ethostat.server.service import Service
from ethostat.server.settings import ServeSettings, Texts
from proxied import app_of, served
from servers import FaultyServer, Reply

EXAMPLES = Path(__file__).parent.parent.parent / "examples"
STREAM = b'data: {"choices":[{"index":0,"delta":{"content":"Paris."}}]}\n\ndata: [DONE]\n\n'


def run(name, *arguments):
    """What an example prints."""
    command = [sys.executable, EXAMPLES / name, *arguments]
    environment = {**os.environ, "OPENAI_API_KEY": "none"}
    return subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout


def test_the_openai_client_through_the_proxy():
    """examples/openai_proxy.py prints what the model says, and both answers are observed."""
    events = []
    with (
        FaultyServer(lambda *_: Reply(200, {"Content-Type": "text/event-stream"}, STREAM)) as server,
        served(app_of(Proxy(ProxySettings(server.url), events.append))) as url,
    ):
        printed = run("openai_proxy.py", "--url", f"{url}/v1")

    assert printed == "Paris.\nParis.\n"
    assert [(event.stream, event.session, event.labels["team"]) for event in events] == [
        ("checkout", "conversation-17", "payments")
    ] * 2
    assert len(events[1].prompt.messages) == 3


def test_the_opentelemetry_exporter(serve, tmp_path):
    """examples/otel_exporter.py gives three events."""
    with Ledger(str(tmp_path / "serve.db")) as ledger:
        settings = ServeSettings(Monitor(Baseline.of_first(100)), ledger.name, texts=Texts("all"))
        service = Service(Pipeline(ledger, settings), Metrics(), Bodies(most_body=10**6, most_unpacked=10**6))
        service.pipeline.intake.start()
        run("otel_exporter.py", "--url", serve(Starlette(routes=otlp_routes(service))))
        service.pipeline.intake.stop()
        position = ledger.find_stream("", "shop/my-model")
        events = ledger.events(position.stream_key, after=0)

    assert [event.response[:9] for event in events] == ["The capit", "Six minut", "I'm sorry"]
    assert {event.session for event in events} == {"conversation-17"}
