"""The examples run as they stand."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from starlette.applications import Starlette

from ethostat.ledger.records import Accepted
from ethostat.server.otlp import otlp_routes
from ethostat.server.proxy import Proxy, ProxySettings
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


def test_the_opentelemetry_exporter(serve):
    """examples/otel_exporter.py gives three events."""
    events = []

    async def offer(new):
        events.extend(new)
        return Accepted(len(new), 0)

    run("otel_exporter.py", "--url", serve(Starlette(routes=otlp_routes(offer))))

    assert [event.response[:9] for event in events] == ["The capit", "Six minut", "I'm sorry"]
    assert {(event.stream, event.session) for event in events} == {("shop/my-model", "conversation-17")}
