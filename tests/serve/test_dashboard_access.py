"""Pages asked for as programs ask: headers, tenants, tokens, and what is refused."""

from __future__ import annotations

import re
import warnings
from urllib.parse import quote

import pytest

import ethostat as es
from ethostat.access import Identity, Register, csrf_token
from ethostat.ledger import Ledger
from ethostat.server.app import make_app
from ethostat.server.settings import ServeSettings, Texts
from serving import told

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # which client it is built on is its own affair
    from starlette.testclient import TestClient


class As:
    """Says who calls, behind the layer that knows keys and log-ins."""

    def __init__(self, app):
        self.app, self.state = app, {"tenant": "", "caller": "somebody"}

    async def __call__(self, scope, receive, send):
        if scope["type"] == "http":
            scope = {**scope, "state": {**scope.get("state", {}), **self.state}}
        await self.app(scope, receive, send)


@pytest.fixture
def caller(tmp_path):
    """Who calls, and a client of a service with a stream of thirty responses of each of two tenants."""
    database = str(tmp_path / "serve.db")
    template = es.Monitor(es.Baseline.of_first(20))
    settings = ServeSettings(template=template, database=database, texts=Texts("all"))
    app = make_app(settings, Ledger(database))
    who = As(app.router)
    app.router = who
    with TestClient(app, base_url="http://127.0.0.1") as client:
        for tenant in ("", "b"):
            who.state["tenant"] = tenant
            events = [one | {"response": f"of {tenant or 'nobody'}"} for one in told(30, stream=f"chat{tenant}")]
            assert client.post("/v1/events", json={"events": events}).json()["accepted"] == 30
            while client.get(f"/v1/streams/chat{tenant}").json()["count"] < 30:
                pass
        who.state["tenant"] = ""
        yield who, client


def test_every_page_is_held_to_the_policy(caller):
    """Pages, refusals and assets say what a browser may do; a report may run its scripts, in an origin of its own."""
    _, client = caller
    run = client.post("/v1/reviews", json={"of": "stream:chat", "rater": "ann"}).json()["run"]
    for path in (
        "/",
        "/stream?name=chat",
        "/stream?name=none",
        "/alerts",
        "/runs",
        "/review",
        "/settings",
        f"/runs/{run}",
        "/nowhere",
        "/alerts/7",
    ):
        found = client.get(path)
        assert found.headers["content-security-policy"].startswith("default-src 'none'; script-src 'self'")
        assert found.headers["x-content-type-options"] == "nosniff"
        assert found.headers["cache-control"] == "no-store"
        assert "<script>" not in found.text
    assert client.get(f"/runs/{run}/report").headers["content-security-policy"].startswith("sandbox allow-scripts;")
    assert client.get("/static/live.js").headers["cache-control"].endswith("immutable")
    assert client.get("/static/board.py").status_code == 404


def test_a_tenant_sees_its_own_and_no_runs(caller):
    """Streams of others are not there; runs and labels, which belong to no tenant, are not there for one."""
    who, client = caller
    run = client.post("/v1/reviews", json={"of": "stream:chat", "rater": "ann"}).json()["run"]
    assert client.get("/stream?name=chatb").status_code == 404
    assert client.post("/v1/reviews", json={"of": "stream:chatb", "rater": "ann"}).status_code == 404
    who.state["tenant"] = "b"

    assert "chatb" in client.get("/").text
    assert 'name=chat"' not in client.get("/").text
    assert 'href="/runs"' not in client.get("/").text
    for path in ("/runs", f"/runs/{run}", "/review", f"/review/{run}?rater=ann", f"/review/{run}/agreement"):
        assert client.get(path).status_code == 404
    assert client.post("/v1/reviews", json={"of": f"run:{run}", "rater": "b"}).status_code == 404
    act = {"rater": "ann", "kind": "undo"}
    assert client.post(f"/v1/reviews/{run}/acts", json=act).status_code == 404


def test_pages_carry_the_token_of_the_session(caller):
    """What a change of this session must send back stands where the scripts find it; without a session it is empty."""
    who, client = caller
    assert '<meta name="csrf" content="">' in client.get("/").text
    who.state["session"] = "a session"

    assert f'<meta name="csrf" content="{csrf_token("a session")}">' in client.get("/").text


def test_a_label_falls_on_the_row_that_was_shown(caller):
    """Where another row is current by now, or the goal, the rater or the run is none, nothing is stored."""
    _, client = caller
    run = client.post("/v1/reviews", json={"of": "stream:chat", "rater": "ann"}).json()["run"]
    acts = f"/v1/reviews/{run}/acts"
    label = {"rater": "ann", "kind": "label", "goal": "g1"}

    assert "another response" in client.post(acts, json=label | {"at": ["nowhere", 0]}).json()["error"]["message"]
    assert client.post(acts, json=label).status_code == 400
    assert client.post(acts, json=label | {"kind": "dance"}).status_code == 400
    assert client.post(acts, json=label | {"rater": "a\nb"}).status_code == 400
    assert client.post(acts, content=b"{").status_code == 400
    assert client.post("/v1/reviews/none/acts", json=label).status_code == 404
    assert client.get(f"/review/{run}?rater={quote(' ')}").status_code == 400
    assert "0 of 30 labelled" in client.get(f"/review/{run}?rater=ann").text


def test_a_stream_is_drawn_once(caller):
    """The same kept responses are the same run; a stream without texts has nothing to label."""
    _, client = caller
    first, again = (client.post("/v1/reviews", json={"of": "stream:chat", "rater": "ann"}).json() for _ in range(2))
    client.post("/v1/events", json={"events": told(30, stream="mute")})
    while client.get("/v1/streams/mute").json()["count"] < 30:
        pass
    found = client.post("/v1/reviews", json={"of": "stream:mute", "rater": "ann"})

    assert first == again
    assert "is kept with its text" in found.json()["error"]["message"]
    assert client.get(f"/runs/{first['run'][:-1]}").status_code == 404


def test_who_logged_in_labels_under_that_name(caller):
    """A user's name is the rater, whatever else is asked for."""
    who, client = caller
    who.state["identity"] = Identity("user", "cay", "", frozenset({"read", "label"}))
    go = client.post("/v1/reviews", json={"of": "stream:chat", "rater": "ann"}).json()["go"]

    assert go.endswith("rater=cay")
    assert 'data-rater="cay"' in client.get(go.replace("cay", "ann")).text


def test_a_baseline_is_made_of_responses_by_their_numbers(caller):
    """Both ends included; ends that are not there, or the wrong way round, are refused in a sentence."""
    _, client = caller
    put = lambda body: client.put("/v1/streams/chat/baseline", json=body)  # noqa: E731
    events = client.get("/v1/streams/chat/events").json()["events"][10:20]
    found = put({"responses": [11, 20]}).json()["baseline"]

    assert found["counts"][""] == [sum(one["goal"] == goal for one in events) for goal in es.FIVE_GOALS.keys]
    assert client.get("/v1/streams/chat").json()["baseline"] == "responses 11 to 20"
    for wrong in ([0, 5], [9, 8], [1, 31]):
        assert "must be from 1 to 30" in put({"responses": wrong}).json()["error"]["message"]
    assert put({"responses": [1, 2], "window": 5}).status_code == 400


def test_who_may_do_what_is_seen_and_ended_within_a_tenant(caller, tmp_path):
    """Keys, users and the audit log of others are not there; nobody ends the user that he or she is logged in as."""
    who, client = caller
    with Register(tmp_path / "serve.db") as register:
        keys = [register.add_key("k", ["read"], tenant=tenant, now=0.0, by="me").prefix for tenant in ("", "b")]
        mine = register.add_key("mine", ["admin"], tenant="b", now=0.0, by="me")
        for name, tenant in (("ann", ""), ("bob/1", "b")):
            register.add_user(name, "correct horse battery", ["admin"], tenant=tenant, now=0.0, by="me")
    who.state |= {"tenant": "b", "caller": "user:bob/1"}
    client.headers["authorization"] = f"Bearer {mine.text}"

    assert [one["prefix"] for one in client.get("/v1/keys").json()["keys"]] == [mine.prefix, keys[1]]
    assert [one["name"] for one in client.get("/v1/users").json()["users"]] == ["bob/1"]
    assert client.post(f"/v1/keys/{keys[0]}/revoke").status_code == 404
    assert client.post(f"/v1/keys/{keys[1]}/revoke").json()["valid"] is False
    assert client.post("/v1/users/ann/remove").status_code == 404
    assert client.post("/v1/users/bob/1/remove").status_code == 400
    said = client.get("/v1/audit", params={"limit": 2}).json()["audit"]
    older = client.get("/v1/audit", params={"limit": 50, "before": said[-1]["number"]}).json()["audit"]
    done = [one["action"] for one in (*said, *older)]
    assert [one for one in done if not one.startswith("POST")] == ["keys revoke", "users add", "keys add", "keys add"]
    assert keys[0] not in client.get("/access").text
    assert keys[1] in client.get("/audit").text
    assert client.get("/v1/audit", params={"limit": "many"}).status_code == 400
    who.state |= {"caller": "user:somebody"}
    assert client.post("/v1/users/bob/1/remove").json() == {"user": "bob/1", "removed": True}


def test_streams_come_in_the_order_that_was_asked_for(caller):
    """By name, largest S, longest lag or latest alert; what is no order is as if none had been asked for."""
    _, client = caller
    for name, goals in (("even", ["g1", "g2"] * 10), ("alone", ["g1"] * 20)):
        events = [{"id": str(n), "stream": name, "goal": goal} for n, goal in enumerate(goals)]
        client.post("/v1/events", json={"events": events})
        while client.get(f"/v1/streams/{name}").json()["count"] < 20:
            pass

    def names(order):
        return re.findall(r'id="row-\d+" dir="auto">([^<]+)<', client.get("/", params={"order": order}).text)

    assert names("name") == ["alone", "chat", "even"]
    assert names("S").index("alone") == 2
    assert sorted(names("lag")) == sorted(names("alert")) == ["alone", "chat", "even"]
    assert names("sideways") == names("urgency")
