"""`ethostat serve` as its callers see it: a real process, real requests."""

from __future__ import annotations

import gzip
import json
import resource
import socket
import subprocess
import sys
import threading
import time
from contextlib import suppress
from urllib.parse import quote

import httpx
import psutil
import pytest
from prometheus_client.parser import text_string_to_metric_families
from starlette.routing import Route

from ethostat.cli import app
from ethostat.cli.frame import run
from ethostat.ledger import Ledger
from ethostat.server.app import make_app
from ethostat.server.settings import ServeSettings
from servers import connecting
from serving import FLAGS, RUN, TEMPLATE, serving, told

CHANGED = (0.2, 0.6, 0.1, 0.05, 0.05)
HOSTILE = "<script>alert(1)</script>\x1b[2J"


@pytest.fixture(scope="module")
def one(tmp_path_factory):
    """One service for the tests that only ask; each uses streams of its own."""
    with serving(tmp_path_factory.mktemp("serve") / "serve.db") as running:
        yield running


def changed(one, stream: str) -> dict:
    """The page of a stream whose behaviour changes."""
    one.tell(told(200, stream=stream))
    one.tell(told(100, stream=stream, start=1000, shares=CHANGED))
    one.wait_for(300, stream)
    pages = [alert for alert in one.get("/v1/alerts", stream=stream)["alerts"] if alert["tier"] == "page"]
    assert pages[-1]["kind"] == "change"
    return pages[-1]


def test_what_is_acknowledged_is_counted(one):
    """Events in any form are taken once; the stream shows its profile, and S with an interval."""
    body = json.dumps({"events": told(50, stream="forms")})
    lines = "\n".join(json.dumps(event) for event in told(50, stream="forms", start=50)).encode()
    answers = [
        one.client.post("/v1/events", content=body, headers={"content-type": "application/json; charset=utf-8"}),
        one.client.post("/v1/events", content=body, headers={"content-type": "application/json"}),
        one.client.post(
            "/v1/events",
            content=gzip.compress(lines),
            headers={"content-type": "application/x-ndjson", "content-encoding": "gzip"},
        ),
    ]
    stream = one.wait_for(100, "forms")

    assert [(a.json()["accepted"], a.json()["duplicates"]) for a in answers] == [(50, 0), (0, 50), (50, 0)]
    assert (stream["count"], stream["state"], stream["lag"]["events"]) == (100, "ok", 0)
    assert sum(stream["profile"].values()) == 100
    assert stream["entropy"]["low"] < stream["entropy"]["value"] < stream["entropy"]["high"]


def test_wrong_events_are_named_and_the_others_taken(one):
    """422 where nothing could be taken, 200 where something was; each wrong one with its place."""
    wrong = {"id": "x", "stream": "mixed", "goal": "g9"}
    some, none = one.tell([*told(1, stream="mixed"), wrong]), one.tell([wrong])

    assert (some.status_code, some.json()["accepted"], some.json()["rejected"][0]["index"]) == (200, 1, 1)
    assert (none.status_code, none.json()["accepted"]) == (422, 0)


def test_a_change_becomes_an_alert_that_people_look_at(one):
    """A changed stream is in alert; it can be acknowledged, snoozed, and declared as meant, which begins an epoch."""
    page = changed(one, "watched")
    path = f"/v1/alerts/{page['id']}"
    looked = one.client.post(f"{path}/acknowledge", json={"by": "ann"}).json()
    again = one.client.post(f"{path}/acknowledge", json={"by": "bob"}).json()
    snoozed = one.client.post(f"{path}/snooze", json={"responses": 10})
    meant = one.client.post(f"{path}/expected", json={}).json()
    one.tell(told(1, stream="watched", start=5000, shares=CHANGED))
    after = one.wait_for(301, "watched")

    assert one.get(path)["id"] == page["id"]
    assert looked["acknowledged"] == again["acknowledged"]
    assert looked["acknowledged"]["by"] == "ann"
    assert (snoozed.status_code, meant["expected"]) == (200, True)
    assert (after["state"], after["epoch"]["number"]) == ("learning", 1)
    assert "what came since" in after["baseline"]
    assert one.get("/v1/alerts", stream="watched", limit=1)["alerts"][0]["kind"] == "closed"


def test_baselines_are_set(one):
    """The last responses, a profile, or the next ones become what is normal."""
    changed(one, "based")
    path = "/v1/streams/based/baseline"
    window = one.client.put(path, json={"window": 100}).json()["baseline"]
    profile = one.client.put(path, json={"profile": {"g1": 80, "g2": 20}, "name": "mine"}).json()["baseline"]
    first = one.client.put(path, json={"first": 20}).json()["baseline"]

    assert sum(window["counts"][""]) == 100
    assert window["counts"][""][1] > 40
    assert (profile["name"], profile["counts"][""]) == ("mine", [80.0, 20.0, 0.0, 0.0, 0.0])
    assert first["first"] == 20
    for body in (
        {},
        {"first": 1, "window": 2},
        {"first": 0},
        {"window": 10**9},
        {"profile": {"g9": 1}},
        {"profile": {}},
    ):
        assert one.client.put(path, json=body).status_code == 400


def test_deployments_begin_epochs(one):
    """A declared version is kept, and the streams that it names begin an epoch with it; others are as they were."""
    one.tell([*told(20, stream="deployed"), *told(20, stream="other")])
    one.wait_for(20, "deployed")
    one.wait_for(20, "other")
    made = one.client.post("/v1/deployments", json={"version": "v2", "streams": ["deployed"], "note": HOSTILE})

    assert made.status_code == 201
    assert one.get("/v1/streams/deployed")["epoch"] == {"number": 1, "began": 20, "version": "v2"}
    assert one.get("/v1/streams/other")["epoch"]["number"] == 0
    assert one.get("/v1/deployments")["deployments"][0]["version"] == "v2"
    assert one.client.post("/v1/deployments", json={"version": "v3", "streams": ["none"]}).status_code == 404


def test_the_log_and_the_minutes_are_read(one):
    """Events by number or id, and counts by minute."""
    one.tell([{**event, "time": "2026-01-01T00:00:30Z", "labels": {"a": HOSTILE}} for event in told(10, stream="log")])
    one.wait_for(10, "log")
    (minute,) = one.get("/v1/streams/log/minutes")["minutes"]

    assert [event["seq"] for event in one.get("/v1/streams/log/events", after=4, limit=3)["events"]] == [5, 6, 7]
    assert one.get("/v1/streams/log/events", id="7")["events"][0]["labels"] == {"a": HOSTILE}
    assert (minute["time"], sum(minute["profile"].values())) == ("2026-01-01T00:00:00.000+00:00", 10)


def test_streams_and_sessions_are_forgotten(one):
    """A deleted stream is gone and may begin anew; a session's texts go, its verdicts stay."""
    one.tell([{**event, "session": "s/1", "response": "said"} for event in told(5, stream="gone")])
    one.wait_for(5, "gone")

    assert one.client.delete("/v1/sessions/s/1").json() == {"session": "s/1", "events": 5}
    assert {event["session"] for event in one.get("/v1/streams/gone/events")["events"]} == {None}
    assert one.client.delete("/v1/streams/gone").status_code == 204
    assert one.client.get("/v1/streams/gone").status_code == 404
    assert one.tell(told(5, stream="gone")).json()["accepted"] == 5


def test_what_somebody_said_is_erased_over_the_api(one):
    """By a label, with its value, or by age; the verdicts stay counted; what names neither is refused."""
    said = {"prompt": "asked", "response": "said"}
    one.tell(
        [
            {**event, **said, "labels": {"user": "ann" if n < 3 else "bob"}}
            for n, event in enumerate(told(5, stream="said"))
        ]
    )
    one.wait_for(5, "said")
    ann = one.client.post("/v1/erasures", json={"label": {"name": "user", "value": "ann"}, "stream": "said"})
    left = [event["labels"] for event in one.get("/v1/streams/said/events")["events"]]
    old = one.client.post("/v1/erasures", json={"before": "2100-01-01T00:00:00Z", "stream": "said"})

    assert ann.json() == {"deleted": 0, "erased": 3, "alerts": 0, "copies": 0}
    assert left == [{}, {}, {}, {"user": "bob"}, {"user": "bob"}]
    assert old.json()["deleted"] == 5
    assert (one.get("/v1/streams/said/events")["events"], one.get("/v1/streams/said")["count"]) == ([], 5)
    for body in (
        {},
        {"session": "s", "before": "2026-01-01T00:00:00Z"},
        {"before": "soon"},
        {"label": {"name": "user"}},
    ):
        assert one.client.post("/v1/erasures", json=body).status_code == 400


def test_names_of_any_kind_are_names(one):
    """A stream's name may hold slashes, signs and scripts; it comes back as it is."""
    name = f"a/b {HOSTILE} ü?#"
    one.tell(told(3, stream=name))
    view = one.wait_for(3, quote(name, safe=""))

    assert view["stream"] == name
    assert name in [stream["stream"] for stream in one.get("/v1/streams", limit=1000)["streams"]]


@pytest.mark.parametrize(
    ("method", "path", "given", "status"),
    [
        ("POST", "/v1/events", {"content": b"{", "headers": {"content-type": "application/json"}}, 400),
        ("POST", "/v1/events", {"content": b"{}", "headers": {"content-type": "text/plain"}}, 415),
        ("POST", "/v1/events", {"content": b"{}"}, 415),
        ("POST", "/v1/events", {"json": {"events": []}, "headers": {"content-encoding": "br"}}, 400),
        ("POST", "/v1/events", {"json": {"events": [{}] * 10_001}}, 413),
        ("POST", "/v1/events", {"content": b" " * 17_000_000, "headers": {"content-type": "application/json"}}, 413),
        ("POST", "/v1/events", {"json": {"events": []}, "headers": {"origin": "https://elsewhere.example"}}, 403),
        ("GET", "/v1/streams", {"headers": {"host": "elsewhere.example"}}, 403),
        ("GET", "/v1/streams?limit=x", {}, 400),
        ("GET", "/v1/streams/none", {}, 404),
        ("GET", "/v1/streams/none/minutes?since=soon", {}, 400),
        ("GET", "/v1/alerts/none/1", {}, 404),
        ("POST", "/v1/alerts/none/1/acknowledge", {"json": []}, 400),
        ("DELETE", "/v1/events", {}, 405),
        ("GET", "/v1/nothing", {}, 404),
    ],
)
def test_refusals_have_one_form(one, method, path, given, status):
    """What is refused is refused with the right status, and a sentence in JSON."""
    answer = one.client.request(method, path, **given)

    assert answer.status_code == status
    assert answer.json()["error"]["message"]


def test_metrics_are_read_by_prometheus(one):
    """The page parses, says what is in the streams, and hostile names are labels."""
    one.tell([*told(100, stream="measured"), *told(2, stream=HOSTILE)])
    one.wait_for(100, "measured")
    families = {family.name: family for family in text_string_to_metric_families(one.client.get("/metrics").text)}
    goals = {
        sample.labels["goal"]: sample.value
        for sample in families["ethostat_stream_goal"].samples
        if sample.labels["stream"] == "measured"
    }

    assert sum(goals.values()) == 100
    assert {"ethostat_lag_seconds", "ethostat_degraded", "ethostat_commit_seconds", "ethostat_queue_events"} <= set(
        families
    )
    assert {sample.value for sample in families["ethostat_degraded"].samples} == {0.0}
    assert families["ethostat_events"].samples[0].value >= 102


def test_the_api_describes_itself(one, tmp_path):
    """/openapi.json names each route and method that there is, and no other."""
    document = one.get("/openapi.json")
    described = {(method.upper(), path) for path, item in document["paths"].items() for method in item}
    with Ledger(tmp_path / "x.db") as ledger:
        made = make_app(ServeSettings(TEMPLATE, "x.db"), ledger)
        routes = [one for one in made.routes if isinstance(one, Route) and one.include_in_schema]
    there = {(m, r.path.replace(":path", "")) for r in routes for m in r.methods or () if m != "HEAD"}

    assert described == there
    assert document["components"]["schemas"]["Event"]["required"] == ["id", "stream"]


def test_it_is_alive_and_ready(one):
    """Both say so in JSON."""
    assert one.get("/healthz") == {"alive": True}
    assert one.get("/readyz") == {"ready": True, "degraded": {}}


def test_texts_and_logs_keep_nothing_that_was_said(tmp_path):
    """With --store-text never no text stays in the database once it is classified, and none is ever in the log."""
    secret = "the patient said"  # noqa: S105 - what must not be found
    path = tmp_path / "serve.db"
    events = [
        {"id": f"{n}", "stream": "chat", "prompt": f"{secret} q{n}", "response": f"{goal} {secret} a{n}"}
        for n, goal in enumerate(["g1", "g2", "g3", "no goal"])
    ]
    with serving(path, *FLAGS, "--store-text", "never") as one:
        one.tell([*events, {**events[0], "id": "told", "goal": "g1"}])
        one.wait_for(5)
        one.client.post("/v1/events", content=secret.encode(), headers={"content-type": "application/json"})
        kept = one.get("/v1/streams/chat/events")["events"]
        assert one.stop() == 0

    assert [(event["response"], event["messages"], event["erased"]) for event in kept] == [(None, None, True)] * 5
    assert secret not in json.dumps(kept)
    assert secret not in one.log.read_text()
    for line in one.log.read_text().splitlines():
        assert json.loads(line)["level"]


def test_it_ends_in_peace(tmp_path):
    """SIGTERM under load: requests under way have their answers, exit code 0, no worker is left, all is on disk."""
    accepted = []
    with serving(tmp_path / "serve.db") as one:
        stopping = threading.Event()

        def tell() -> None:
            start = 0
            while not stopping.is_set():
                with suppress(httpx.TransportError, RuntimeError):  # it ends, and its client is closed
                    if one.tell(
                        [*told(20, start=start), {"id": f"c{start}", "stream": "chat", "response": "g1"}]
                    ).is_success:
                        accepted.append(start)
                start += 20

        thread = threading.Thread(target=tell)
        thread.start()
        one.wait_until(lambda: len(accepted) > 5 and psutil.Process(one.process.pid).children())
        workers = psutil.Process(one.process.pid).children()
        code = one.stop()
        stopping.set()
        thread.join()

    assert code == 0
    assert not [worker for worker in workers if worker.is_running() and worker.status() != psutil.STATUS_ZOMBIE]
    with Ledger(tmp_path / "serve.db") as ledger:
        ids = {event.id for event in ledger.events(1, most=10**6)}
    assert {f"{start + n}" for start in accepted for n in range(20)} <= ids


def test_a_full_disk_is_said_and_loses_nothing(tmp_path):
    """While the disk takes no more, events are refused with 503 and the state says so; then it goes on by itself."""
    with serving(tmp_path / "serve.db") as one:
        assert one.tell(told(100)).status_code == 200
        one.wait_for(100)
        limits = resource.prlimit(one.process.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(one.process.pid, resource.RLIMIT_FSIZE, (4096, limits[1]))
        refused = one.tell(told(100, start=100))
        ready = one.client.get("/readyz")
        alive = one.client.get("/healthz").status_code
        read = one.client.get("/v1/streams/chat").status_code
        resource.prlimit(one.process.pid, resource.RLIMIT_FSIZE, limits)
        again = one.tell(told(100, start=100))
        one.wait_for(200)
        one.wait_until(lambda: one.client.get("/readyz").status_code == 200)

    assert (refused.status_code, refused.headers["retry-after"]) == (503, "2")
    assert (ready.status_code, alive, read) == (503, 200, 200)
    assert ready.json()["degraded"]["intake"]
    assert again.json()["accepted"] + again.json()["duplicates"] == 100


def test_a_database_that_is_gone_for_a_while_is_said_and_loses_nothing(postgres_server, postgres_database):
    """While PostgreSQL takes no connections events are refused with 503; then all goes on, each event once."""
    with serving(postgres_database) as one:
        one.tell(told(100))
        one.wait_for(100)
        with connecting(postgres_server, postgres_database, allowed=False):
            refused = one.tell(told(50, start=100))
            ready = one.client.get("/readyz")
            time.sleep(2)
        one.wait_until(lambda: one.tell(told(50, start=100)).status_code == 200)
        view = one.wait_for(150)

        assert (refused.status_code, ready.status_code, view["count"]) == (503, 503, 150)
        one.wait_until(lambda: one.client.get("/readyz").status_code == 200)


def test_two_processes_share_a_database(postgres_database, tmp_path, monkeypatch):
    """Told to one or the other, an event is counted once; streams are followed by both; one may go."""
    with serving(postgres_database) as one:
        (tmp_path / "b").mkdir()
        monkeypatch.chdir(tmp_path / "b")
        with serving(postgres_database) as two:
            for start in range(0, 200, 50):
                for stream in ("a", "b", "c"):
                    (one if start % 100 else two).tell(told(50, start=start, stream=stream))
                    assert (two if start % 100 else one).tell(told(50, start=start, stream=stream)).json()[
                        "duplicates"
                    ] == 50
            for stream in ("a", "b", "c"):
                assert one.wait_for(200, stream)["count"] == 200
            two.kill()
        one.tell(told(50, start=1000, stream="a") + told(50, start=1000, stream="b") + told(50, start=1000, stream="c"))
        for stream in ("a", "b", "c"):
            assert one.wait_for(250, stream)["count"] == 250


def test_a_file_is_served_once(tmp_path, capsys):
    """A second process over the same file is refused by name; so is a port that is taken."""
    with serving(tmp_path / "serve.db") as one:
        code = run(app, ["serve", "--db", str(tmp_path / "serve.db"), "--port", "0"])
        taken = run(app, ["serve", "--db", str(tmp_path / "other.db"), "--port", str(one.port)])
    err = capsys.readouterr().err

    assert (code, taken) == (1, 2)
    assert "is being served by another process" in err
    assert "choose another --port" in err


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.7", "example.com"])  # noqa: S104 - refused
def test_it_listens_on_this_machine_alone(host, capsys, tmp_path):
    """Where others could reach it, it does not start: there are no keys that it could ask for."""
    code = run(app, ["serve", "--host", host, "--db", str(tmp_path / "serve.db")])

    assert code == 2
    assert f"on {host} others could reach this service" in capsys.readouterr().err
    assert not (tmp_path / "serve.db").exists()


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--store-text", "some"), "never, sampled or all"),
        (("--text-share", "2"), "must lie in [0, 1]"),
        (("--workers", "-1"), "workers must be at least 1"),
        (("--retention", "0"), "retention must be above 0"),
        (("--detector", "oracle"), "must be one of profile"),
        (("--baseline", "first:0"), "first:N needs"),
        (("--port", "70000"), "a port is a number"),
    ],
)
def test_wrong_flags_are_usage_errors(flags, message, capsys, tmp_path):
    """Exit code 2, and the message names value and rule."""
    code = run(app, ["serve", "--db", str(tmp_path / "serve.db"), *flags])

    assert code == 2
    assert message in capsys.readouterr().err


def test_without_the_extra_it_says_what_to_install(tmp_path):
    """Where starlette is missing the error names the extra; the other commands know nothing of it."""
    without = f"import sys; sys.modules['starlette'] = None; {RUN}"
    done = subprocess.run(
        [sys.executable, "-c", without, "serve", "--db", "x.db"], capture_output=True, text=True, check=False
    )

    assert done.returncode == 1
    assert "pip install 'ethostat[serve]'" in done.stderr


def test_a_slow_body_holds_up_nobody(one):
    """A client that sends half a body and waits does not keep others from their answers."""
    with socket.create_connection(("127.0.0.1", one.port)) as half:
        half.sendall(
            b"POST /v1/events HTTP/1.1\r\nhost: localhost\r\n"
            b"content-type: application/json\r\ncontent-length: 99\r\n\r\n{"
        )

        assert one.tell(told(1, stream="quick")).status_code == 200
