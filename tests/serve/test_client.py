"""The client, against a real service: nothing is lost, nothing counts twice, and what cannot be done is said."""

from __future__ import annotations

import asyncio
import inspect
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

import ethostat as es
from ethostat.client import AT_ONCE, KEY_VARIABLE, URL_VARIABLE
from ethostat.errors import InvalidInput, ServiceError
from servers import FaultyServer, Reply, as_json, refusal
from serving import FLAGS, serving, told

DROPPED = Reply(200, {}, b"", drops=True)


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    """A service that keeps all texts."""
    with serving(tmp_path_factory.mktemp("serve") / "serve.db", *FLAGS, "--store-text", "all") as one:
        yield one


def changed(stream):
    """A stream that stands in alert."""
    return told(150, stream=stream) + told(150, stream=stream, start=1000, shares=(0.1, 0.8, 0.1, 0, 0))


def test_a_stream_from_its_first_event_to_what_is_done_about_its_alert(service):
    """Tell, look, acknowledge, snooze, expect, a baseline by window, a deployment: as the API has them."""
    with es.Client(service.url) as client:
        first = client.tell(changed("a/b"))
        again = client.tell(changed("a/b")[:10])
        service.wait_for(300, "a/b")
        stream, monitor = client.stream("a/b"), client.monitor("a/b")
        [alert] = [one for one in client.alerts(stream="a/b") if one["tier"] == "page"]
        seen = client.acknowledge(alert["id"], by="ann")
        client.snooze(alert["id"], responses=50)
        done = client.expect(alert["id"], by="ann")
        window = client.set_baseline("a/b", window=100)
        normal = client.baseline("a/b")
        made = client.deploy("v2", streams=["a/b"], note="tuned")
        log = client.events("a/b", after=299, limit=5)
        names = [one["stream"] for one in client.streams()]

    assert (first.accepted, first.rejected, again) == (300, (), es.Told(0, 10))
    assert (stream["state"], monitor["detector"], monitor["promise"]["responses"]) == ("alert", "profile", 1000)
    assert (seen["acknowledged"]["by"], done["expected"]) == ("ann", True)
    assert sum(window["baseline"]["counts"][""]) == 100
    assert normal["counts"] == window["baseline"]["counts"]
    assert (made["version"], made["streams"], log[0]["seq"]) == ("v2", ["a/b"], 300)
    assert "a/b" in names


def test_labels_of_a_stream(service):
    """What is kept of a stream is a run to label; labels stand, correct the figures, and wrong ones change nothing."""
    with es.Client(service.url) as client:
        client.tell([{"stream": "kept", "id": f"{n}", "prompt": f"p{n}", "response": "g1 said"} for n in range(20)])
        service.wait_for(20, "kept")
        run = client.review("kept", rater="ann")
        rows = client.responses(run, limit=3)
        labels = [{"prompt_id": row["prompt_id"], "index": row["index"], "goal": "g2"} for row in rows]
        counted = client.label(run, [{**labels[0], "note": "odd"}, *labels[1:]], rater="ann")
        with pytest.raises(ServiceError, match="g9") as wrong:
            client.label(run, [labels[0], {**labels[1], "goal": "g9"}], rater="bob")
        stand, found = client.labels(run), client.measurement(run)
        listed = [one["run"] for one in client.runs()]

    assert (counted, wrong.value.status) == (3, 400)
    assert [(one["goal"], one["rater"], one["note"]) for one in stand] == [("g2", "ann", "odd")] + [
        ("g2", "ann", None)
    ] * 2
    assert found["profile"]["g1"]["count"] == 20
    assert run in listed


def test_awaited_it_is_the_same(service):
    """AsyncClient has every method of Client, with the same parameters, and gives the same."""

    async def use():
        async with es.AsyncClient(service.url) as client:
            first = await client.tell([{"stream": "awaited", "goal": "g1"}] * (AT_ONCE + 2))
            bad = await client.tell([{"stream": "awaited", "goal": "nonsense"}])
            return first, bad, await client.streams(after="awaite", limit=1), await client.alerts(stream="awaited")

    def names(kind):
        return {name for name, _ in inspect.getmembers(kind, inspect.isfunction) if not name.startswith("_")}

    first, bad, streams, alerts = asyncio.run(use())
    shared = names(es.Client) - {"close"}
    assert names(es.AsyncClient) - {"aclose"} == shared
    for name in shared:
        ours, theirs = (inspect.signature(getattr(kind, name)) for kind in (es.Client, es.AsyncClient))
        assert str(ours) == str(theirs)
    assert (first.accepted, bad.rejected[0][0], alerts) == (AT_ONCE + 2, 0, [])
    assert streams[0]["stream"] == "awaited"


def test_what_is_not_acknowledged_is_told_again_with_the_same_ids(monkeypatch):
    """Broken connections, 429 and 503: the same events come again, after as long as was asked for, then all is well."""
    good = as_json({"accepted": 2, "duplicates": 0, "rejected": []})
    replies = [refusal(429, "full", **{"Retry-After": "1"}), DROPPED, refusal(503, "x"), good]
    monkeypatch.setenv(KEY_VARIABLE, "ethostat_secret")
    with FaultyServer(lambda _, number: replies[number]) as server:
        monkeypatch.setenv(URL_VARIABLE, server.url.removesuffix("/v1"))
        began = time.monotonic()
        with es.Client() as client:
            found = client.tell([{"stream": "s", "goal": "g1"}, {"id": 7, "stream": "s", "goal": "g1"}])
        took = time.monotonic() - began

    ids = [[event["id"] for event in asked.body["events"]] for asked in server.asked]
    assert found == es.Told(2)
    assert took >= 1
    assert len(ids) == 4
    assert all(one == ids[0] for one in ids)
    assert ids[0][1] == 7
    headers = {name.lower(): value for name, value in server.asked[0].headers.items()}
    assert headers["authorization"] == "Bearer ethostat_secret"


def test_what_may_have_been_done_is_not_done_twice():
    """A deployment whose connection breaks is not repeated; the error says what happened."""
    with FaultyServer(lambda *_: DROPPED) as server:
        with (
            es.Client(server.url.removesuffix("/v1"), patience=5) as client,
            pytest.raises(ServiceError, match="reached"),
        ):
            client.deploy("v2")

    assert len(server.asked) == 1


def test_refusals_keep_the_words_of_the_service(service, monkeypatch):
    """No such stream, no service, no URL, a key in the clear: each says what is wrong, within the patience."""
    with es.Client(service.url) as client:
        with pytest.raises(ServiceError, match="no such stream") as absent:
            client.stream("nowhere")
        with pytest.raises(InvalidInput):
            client.stream("")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with es.Client(f"http://127.0.0.1:{port}", patience=0.3) as client, pytest.raises(ServiceError, match="running"):
        client.streams()
    for url in ("ftp://host", "http://a:b@host", "no url"):
        with pytest.raises(InvalidInput):
            es.Client(url)
    monkeypatch.setenv(KEY_VARIABLE, "ethostat_secret")
    with pytest.raises(InvalidInput, match="unencrypted") as refused:
        es.Client("http://elsewhere.example")

    assert absent.value.status == 404
    assert "secret" not in str(refused.value)


def test_the_example_runs(service):
    """examples/client.py tells, waits and shows."""
    example = Path(__file__).parent.parent.parent / "examples" / "client.py"
    done = subprocess.run([sys.executable, example, "--url", service.url], capture_output=True, text=True, check=True)

    assert done.stdout.startswith("3 new, 0 known\nshop is learning")
