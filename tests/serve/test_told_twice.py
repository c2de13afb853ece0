"""An answer that is told twice, by the proxy and by OpenTelemetry, counts once; and where that cannot be known."""

from __future__ import annotations

import json
import time

import httpx

from ethostat.access import Register
from ethostat.server.answerids import AnswerIds, response_id, trace_labels
from ethostat.server.otlp import Naming, read_traces
from servers import FaultyServer, answer
from serving import FLAGS, serving

RESPONSE = "chatcmpl-7QmVI15qgYVllxK0FtxVGG6ywfzaq"
TRACE, SPAN = "5b8efff798038103d269b633813fc60c", "eee19b7ec3c1b174"


def span(response=RESPONSE, *, trace=TRACE, span=SPAN, text="g1 said"):
    """An export of one call, as JSON."""
    told = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "m", "gen_ai.completion": text}
    told |= {"gen_ai.response.id": response} if response else {}
    attributes = [{"key": name, "value": {"stringValue": value}} for name, value in told.items()]
    made = {"traceId": trace, "spanId": span, "attributes": attributes}
    return json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [made]}]}]}).encode()


def ids(naming, *bodies):
    """The ids of the events of these exports."""
    return [event.id for body in bodies for event in read_traces(body, "application/json", naming).events]


def test_proxied_and_exported_counts_once_in_the_stream_of_the_keys_tenant(tmp_path):
    """Through the proxy with a tenant's key, and by OpenTelemetry: one event, which knows its trace."""
    with Register(tmp_path / "serve.db") as register:
        made = [
            register.add_key("k", ("ingest", "read"), tenant=t, now=time.time(), by="me").text for t in ("shop", "")
        ]
    shop, other = ({"authorization": f"Bearer {key}"} for key in made)
    flags = [*FLAGS, "--stream-attribute", "gen_ai.request.model"]
    with (
        FaultyServer(lambda *_: answer("g1 said", "g2 said", id=RESPONSE)) as server,
        serving(tmp_path / "serve.db", *flags, "--proxy", server.url) as one,
    ):
        headers = {"x-ethostat-key": made[0], "traceparent": f"00-{TRACE}-{SPAN}-01"}
        asked = {"model": "m", "messages": [{"role": "user", "content": "?"}]}
        httpx.post(f"{one.url}/v1/chat/completions", json=asked, headers=headers)
        one.wait_until(lambda: one.client.get("/v1/streams/m", headers=shop).status_code == 200)
        json_type = {"content-type": "application/json"}
        told = one.client.post("/v1/traces", content=span(), headers={**shop, **json_type})
        one.client.post("/v1/traces", content=span(None, span="a" * 16), headers={**shop, **json_type})
        one.wait_until(lambda: one.client.get("/v1/streams/m", headers=shop).json()["count"] == 3)
        events = one.client.get("/v1/streams/m/events", headers=shop).json()["events"]
        hidden = one.client.get("/v1/streams/m", headers=other).status_code

    assert (told.status_code, hidden) == (200, 404)
    assert [event["id"] for event in events] == [RESPONSE, f"{RESPONSE}-1", f"{TRACE}-{'a' * 16}"]
    assert events[0]["labels"].items() >= {"trace_id": TRACE, "span_id": SPAN, "response_id": RESPONSE}.items()
    assert not [name for asked in server.asked for name in asked.headers if name.lower().startswith("x-ethostat")]


def test_a_server_that_repeats_its_ids_loses_nothing():
    """The same response id in another trace is another answer; the same span again, or its parent, is the same."""
    naming = Naming()
    again = [span(), span(), span(span="b" * 16), span(trace="c" * 32), span(trace="c" * 32), span("short")]

    assert ids(naming, *again) == [RESPONSE] * 3 + [f"{'c' * 32}-{SPAN}"] * 2 + [RESPONSE]
    assert ids(Naming(), span("short")) == [f"{TRACE}-{SPAN}"]


def test_memory_of_ids_is_bounded():
    """What is remembered of answers does not grow with them."""
    known = AnswerIds(most=10)
    for n in range(1000):
        assert known.id_for(f"answer {n}", f"call {n}", f"response {n}") == f"response {n}"

    assert known.id_for("answer 999", "call 999", None) == "response 999"
    assert known.id_for("answer 0", "call 0", None) == "answer 0"


def test_what_can_be_an_id_of_its_own():
    """Ids that are long enough are taken, all else is not; a trace is read only where it is one."""
    assert response_id("x" * 19) is None
    assert response_id("x" * 300) is None
    assert response_id(17) is None
    assert trace_labels(f"00-{'0' * 32}-{SPAN}-01") == trace_labels("nonsense") == trace_labels(None) == {}
