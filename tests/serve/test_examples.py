"""The examples run as they stand, against `ethostat serve`."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import httpx

from servers import FaultyServer, Reply
from serving import FLAGS, serving

EXAMPLES = Path(__file__).parent.parent.parent / "examples"
STREAM = b'data: {"choices":[{"index":0,"delta":{"content":"g1 said"}}]}\n\ndata: [DONE]\n\n'


def run(name, *arguments):
    """What an example prints."""
    command = [sys.executable, EXAMPLES / name, *arguments]
    environment = {**os.environ, "OPENAI_API_KEY": "sk-secret"}
    return subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout


def test_the_openai_client_through_the_proxy(tmp_path):
    """examples/openai_proxy.py prints what the model says; both answers are followed, and no key is kept or logged."""
    with (
        FaultyServer(lambda *_: Reply(200, {"Content-Type": "text/event-stream"}, STREAM)) as server,
        serving(tmp_path / "serve.db", *FLAGS, "--store-text", "all", "--proxy", server.url) as service,
    ):
        printed = run("openai_proxy.py", "--url", f"{service.url}/v1")
        stream = service.wait_for(2, "checkout")
        events = service.get("/v1/streams/checkout/events")["events"]
        metrics = httpx.get(f"{service.url}/metrics").text
        answer = httpx.post(f"{service.url}/v1/moderations", json={})
        log = service.log.read_text()

    assert printed == "g1 said\ng1 said\n"
    assert stream["count"] == 2
    assert [(event["session"], event["labels"]["team"]) for event in events] == [("conversation-17", "payments")] * 2
    assert 'ethostat_proxy_total{outcome="observed"} 2.0' in metrics
    assert len(answer.headers.get_list("date")) == 1
    assert b"sk-secret" not in (tmp_path / "serve.db").read_bytes() + log.encode()


def test_the_opentelemetry_exporter(tmp_path):
    """examples/otel_exporter.py gives three events, in the stream that the service is told to take them for."""
    with serving(tmp_path / "serve.db", *FLAGS, "--stream-attribute", "gen_ai.request.model") as service:
        run("otel_exporter.py", "--url", service.url)
        stream = service.wait_for(3, "my-model")

    assert stream["count"] + stream["failures"] == 3


def test_a_share_that_is_none_is_refused(tmp_path):
    """--observe says what it takes."""
    command = [sys.executable, "-c", "from ethostat.cli import main; main()", "serve", "--db", tmp_path / "serve.db"]
    command += ["--proxy", "http://127.0.0.1:1/v1", "--observe", "checkout=often"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)

    assert done.returncode == 2
    assert "checkout=1 for one stream" in done.stderr
