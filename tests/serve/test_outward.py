"""Alerts out of a running service: from events over HTTP to a real receiver, with keys and tenants."""

from __future__ import annotations

import json
import socket
import threading
import time
from contextlib import contextmanager

import httpx
import pytest
import uvicorn
from receivers import receiver

import ethostat as es
from ethostat.access import Register
from ethostat.ledger import Ledger
from ethostat.server.app import make_app
from ethostat.server.settings import ServeSettings


@contextmanager
def serving(database, notify):
    """The base URL of a whole service on loopback."""
    settings = ServeSettings(
        template=es.Monitor(es.Profile((960, 14, 20, 2, 4)), name="serve"),
        database=str(database),
        notify=es.read_routing(notify),
        address="https://ethostat.example",
    )
    ledger = Ledger(database)
    server = uvicorn.Server(uvicorn.Config(make_app(settings, ledger), log_level="error", lifespan="on"))
    listening = socket.create_server(("127.0.0.1", 0))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()
        listening.close()


def _until(is_so, seconds=60.0):
    end = time.monotonic() + seconds
    while not is_so() and time.monotonic() < end:
        time.sleep(0.05)
    assert is_so()


def _changed(n):
    return {"id": f"e{n}", "stream": "prod", "goal": "g2", "labels": {"team": "safety"}}


@pytest.fixture
def database(tmp_path):
    """A database in which two tenants and the operator have keys."""
    with Register(tmp_path / "serve.db") as register:
        for name, tenant in (("a", "a"), ("b", "b"), ("operator", "")):
            key = register.add_key(name, ["admin"], tenant=tenant, now=time.time(), by="test").text
            (tmp_path / name).write_text(key)
    return tmp_path / "serve.db"


def _as(tmp_path, name):
    return {"authorization": f"Bearer {(tmp_path / name).read_text()}"}


def test_a_change_in_the_traffic_reaches_the_receiver_and_no_other_tenant_sees_it(database, tmp_path):
    """Events in, a page out by the rule of its label; a receiver that redirects makes a dead letter of that tenant."""
    mine, others, operator = (_as(tmp_path, name) for name in ("a", "b", "operator"))
    with receiver() as good, receiver(lambda _: (302, {"location": "http://127.0.0.1/"}, b"")) as bad:
        (tmp_path / "targets.yaml").write_text(
            f"targets:\n  good: {{webhook: '{good.url}', allow: [127.0.0.1]}}\n"
            f"  bad: {{webhook: '{bad.url}', allow: [127.0.0.1]}}\n"
            "rules:\n- {tiers: [page], labels: {team: safety}, tenants: [a], targets: [good, bad]}\n"
        )
        with serving(database, tmp_path / "targets.yaml") as url, httpx.Client(base_url=url, timeout=60) as client:
            assert client.post("/v1/events", json={"events": [_changed(0)]}).status_code == 401
            client.post("/v1/events", json={"events": [_changed(n) for n in range(60)]}, headers=mine)
            _until(lambda: good.got and bad.got)
            _until(lambda: client.get("/v1/deliveries", headers=mine).json()["deliveries"])
            (dead,) = client.get("/v1/deliveries", headers=mine).json()["deliveries"]
            hidden = [
                client.get(path, headers=others).json() for path in ("/v1/deliveries", "/v1/alerts", "/v1/streams")
            ]
            foreign = client.get("/v1/streams/prod", headers=others).status_code
            revive = f"/v1/deliveries/{dead['alert']}/bad/revive"
            codes = [client.post(revive, headers=who).status_code for who in (others, mine)]
            _until(lambda: len(bad.got) == 2)
            tried = [client.post(f"/v1/targets/{name}/test", headers=operator).json() for name in ("good", "bad")]
            missing = client.post("/v1/targets/nope/test", headers=operator).status_code
            whole = [
                client.get(path, headers=who).status_code
                for path in ("/metrics", "/v1/targets")
                for who in (mine, operator)
            ]

    said = json.loads(good.got[0].body)["data"]
    assert (said["stream"], said["tenant"], said["labels"]) == ("prod", "a", {"team": "safety"})
    assert said["alert"]["kind"] == "change"
    assert said["link"].startswith("https://ethostat.example/alerts/")
    assert (dead["target"], dead["state"], dead["attempts"]) == ("bad", "dead", 1)
    assert "a redirect, and none is followed" in dead["error"]
    assert hidden == [{"deliveries": []}, {"alerts": []}, {"streams": []}]
    assert foreign == 404
    assert codes == [404, 200]
    assert [one["arrived"] for one in tried] == [True, False]
    assert missing == 404
    assert whole == [403, 200, 403, 200]
