"""Access over real HTTP: uvicorn, sockets, a browser's headers."""

from __future__ import annotations

import asyncio
import http.client
import json
import socket
import threading
import time
from contextlib import contextmanager

import httpx
import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import JSONResponse, StreamingResponse
from starlette.routing import Route

from ethostat.access import Limit, LoginLimits, Register
from ethostat.access.secrets import mint_key
from ethostat.errors import InvalidInput
from ethostat.server.access import Access, AccessSettings, check_binding, identity_of, scope_for
from ethostat.server.gate import Gate
from ethostat.server.login import login_routes

PASSWORD = "correct horse battery"  # noqa: S105


class Clock:
    """Real time, and what a test adds to it."""

    ahead = 0.0

    def __call__(self) -> float:
        return time.time() + self.ahead


async def _whoami(request):
    caller = identity_of(request)
    return JSONResponse({"who": str(caller), "tenant": request.state.tenant, "path": request.url.path})


async def _proxied(request):
    async def parts():
        for n in range(3):
            yield f"data: {n}\n\n".encode()
            await asyncio.sleep(0.05)

    seen = {name: value for name, value in request.headers.items() if "key" in name or name == "authorization"}
    return StreamingResponse(parts(), headers={"x-seen": json.dumps(seen)}, media_type="text/event-stream")


@contextmanager
def served(register, *, clock=time.time, logins=None, host="127.0.0.1", names=()):
    """The base URL of an application behind Access, on a real socket."""
    gate = Gate(register, clock, logins or LoginLimits())
    settings = AccessSettings(host, names, proxied=lambda path: path == "/v1/chat/completions")
    app = Starlette(
        routes=[
            *login_routes(gate),
            Route("/v1/chat/completions", _proxied, methods=["POST"]),
            Route("/{path:path}", _whoami, methods=["GET", "POST", "PUT", "DELETE"]),
        ],
        middleware=[Middleware(Access, gate=gate, settings=settings)],
    )
    server = uvicorn.Server(uvicorn.Config(app, log_level="error", lifespan="off"))
    listening = socket.create_server(("127.0.0.1", 0))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()
        listening.close()


@pytest.fixture(autouse=True)
def quick_passwords(monkeypatch):
    """Passwords at a hundredth of their cost: what is tested is what they open."""
    monkeypatch.setattr("ethostat.access.secrets._COST", (2**10, 8, 1))


@pytest.fixture
def register(tmp_path):
    """A register in an empty file."""
    with Register(tmp_path / "serve.db") as opened:
        yield opened


def _key(register, *scopes, tenant=""):
    return {"authorization": f"Bearer {register.add_key('k', scopes, tenant=tenant, now=time.time(), by='me').text}"}


def test_on_loopback_without_any_key_everybody_here_may(register):
    """Until the first key is made; then a key is asked for within five seconds."""
    clock = Clock()
    with served(register, clock=clock) as url:
        assert httpx.put(f"{url}/v1/streams/a/baseline").json()["who"].startswith("local:")
        _key(register, "ingest")
        clock.ahead = 6.0
        answer = httpx.put(f"{url}/v1/streams/a/baseline")

    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    assert answer.json()["error"]["kind"] == "NotIdentified"


@pytest.mark.parametrize(
    ("scope", "opens"),
    [("ingest", "POST /v1/events"), ("read", "GET /v1/streams/a"), ("label", "POST /v1/alerts/a/1/acknowledge"),
     ("admin", "PUT /v1/streams/a/baseline")],
)  # fmt: skip
def test_a_scope_opens_its_own_and_admin_opens_all(register, scope, opens):
    """Each key gets 200 where its scope reaches and 403 elsewhere."""
    requests = ["POST /v1/events", "GET /v1/streams/a", "POST /v1/alerts/a/1/acknowledge", "PUT /v1/streams/a/baseline"]
    headers = _key(register, scope, tenant="t")
    with served(register) as url:
        found = {one: httpx.request(*_parts(url, one), headers=headers) for one in requests}

    allowed = {one for one, answer in found.items() if answer.status_code == 200}
    assert allowed == (set(requests) if scope == "admin" else {opens})
    assert {answer.status_code for answer in found.values()} <= {200, 403}
    assert found[opens].json()["tenant"] == "t"


def _parts(url, request):
    method, path = request.split(" ")
    return method, url + path


def test_a_wrong_key_opens_nothing_even_where_no_key_is_needed(register):
    """Who names a key means it: a mistyped one is told so, on loopback as well."""
    with served(register) as url:
        answer = httpx.get(f"{url}/v1/streams", headers={"authorization": "Bearer ethostat_000000000000_x"})

    assert answer.status_code == 401


def test_a_revoked_key_is_believed_for_five_seconds_at_most(register):
    """What the register said is asked again then."""
    clock, headers = Clock(), _key(register, "read")
    with served(register, clock=clock) as url:
        assert httpx.get(f"{url}/v1/streams", headers=headers).status_code == 200
        register.revoke_key(register.api_keys()[0].prefix, now=time.time(), by="me")
        clock.ahead = 6.0
        assert httpx.get(f"{url}/v1/streams", headers=headers).status_code == 401


def test_strangers_are_slowed(register):
    """A hundred requests without a key, and the next are told to wait; a good key passes all the same."""
    headers = _key(register, "read")
    with served(register) as url, httpx.Client(base_url=url) as client:
        codes = [client.get("/v1/streams").status_code for _ in range(102)]
        assert client.get("/v1/streams", headers=headers).status_code == 200

    assert codes == [401] * 100 + [429] * 2


def test_the_host_must_be_this_machines_on_loopback(register):
    """A name made to point here (DNS rebinding) is refused, whatever its port, and so are two Hosts or none."""
    with served(register, names=("ethostat.internal",)) as url:
        port = int(url.rpartition(":")[2])
        codes = {host: httpx.get(f"{url}/x", headers={"host": host}).status_code for host in (
            f"evil.example:{port}", f"127.0.0.1.evil.example:{port}", "evil.example", f"localhost:{port}",
            f"127.0.0.1:{port}", f"[::1]:{port}", "ethostat.internal", "LOCALHOST", "localhost.",
        )}  # fmt: skip
        twice = _raw(port, b"GET /x HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\nConnection: close\r\n\r\n")
        none = _raw(port, b"GET /x HTTP/1.0\r\n\r\n")

    assert list(codes.values()) == [403, 403, 403, 200, 200, 200, 200, 200, 200]
    assert b" 4" in twice.split(b"\r\n")[0]
    assert b" 403 " in none.split(b"\r\n")[0]


def _raw(port, request):
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(request)
        said = b""
        while part := connection.recv(65536):
            said += part
    return said


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.example"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"origin": "null"},
    ],
)
def test_another_sites_page_changes_nothing_through_a_browser_on_this_machine(register, headers):
    """Where no key is needed, a browser must say that its request comes from our own page."""
    with served(register) as url:
        assert httpx.post(f"{url}/v1/deployments", headers=headers).status_code == 403
        assert httpx.post(f"{url}/v1/deployments", headers={"origin": url}).status_code == 200


def test_a_user_logs_in_works_and_logs_out(register):
    """The cookie alone may look; a change needs the session's token too; after log-out the cookie is worth nothing."""
    register.add_user("ann", PASSWORD, ["read", "admin"], now=time.time(), by="me")
    with served(register) as url, httpx.Client(base_url=url) as client:
        said = client.post("/v1/session", json={"name": "ann", "password": PASSWORD})
        cookie = said.headers["set-cookie"]
        csrf = {"x-csrf-token": said.json()["csrf"]}
        assert client.get("/v1/streams").json()["who"] == "user:ann"
        assert client.get("/v1/session").json()["csrf"] == said.json()["csrf"]
        assert client.post("/v1/deployments").status_code == 403
        assert client.post("/v1/deployments", headers={"x-csrf-token": "A" * 43}).status_code == 403
        assert client.post("/v1/deployments", headers=csrf).status_code == 200
        assert client.post("/v1/deployments", headers=csrf | {"origin": "https://evil.example"}).status_code == 403
        kept = dict(client.cookies)
        assert client.delete("/v1/session", headers=csrf).status_code == 200
        assert httpx.get(f"{url}/v1/streams", cookies=kept).status_code == 401

    assert {"HttpOnly", "SameSite=lax", "Path=/"} <= set(cookie.split("; "))
    assert "Secure" not in cookie


def test_over_https_the_cookie_is_secure_and_bound_to_the_host(register):
    """Behind a proxy that ends TLS: Secure, the __Host- prefix, and Strict-Transport-Security."""
    register.add_user("ann", PASSWORD, ["read"], now=time.time(), by="me")
    gate = Gate(register)
    app = Access(Starlette(routes=login_routes(gate)), gate, AccessSettings())
    transport = httpx.ASGITransport(app=app)

    async def log_in():
        async with httpx.AsyncClient(transport=transport, base_url="https://localhost") as client:
            return await client.post("/v1/session", json={"name": "ann", "password": PASSWORD})

    answer = asyncio.run(log_in())
    assert answer.headers["set-cookie"].startswith("__Host-ethostat=")
    assert "Secure" in answer.headers["set-cookie"]
    assert answer.headers["strict-transport-security"] == "max-age=31536000"


def test_the_login_page_sends_nobody_elsewhere_and_shows_text_as_text(register):
    """`next` is a path of ours or nothing; what it holds is escaped."""
    register.add_user("ann", PASSWORD, ["read"], now=time.time(), by="me")
    with served(register) as url, httpx.Client(base_url=url) as client:
        page = client.get("/login", params={"next": '/"><script>alert(1)</script>'})
        away = {}
        for after in (
            "https://evil.example",
            "//evil.example",
            "/\\evil.example",
            "javascript:alert(1)",
            "/streams?a=1",
        ):
            form = {"name": "ann", "password": PASSWORD, "next": after}
            away[after] = client.post("/login", data=form).headers["location"]
        asked = httpx.get(f"{url}/streams?a=1", headers={"accept": "text/html"})
        wrong = client.post("/login", data={"name": "ann", "password": "no", "next": "/"})

    assert "<script>" not in page.text
    assert "script-src 'self'" in page.headers["content-security-policy"]
    assert "unsafe-inline" not in page.headers["content-security-policy"]
    assert list(away.values()) == ["/", "/", "/", "/", "/streams?a=1"]
    assert (asked.status_code, asked.headers["location"]) == (303, "/login?next=%2Fstreams%3Fa%3D1")
    assert wrong.status_code == 401
    assert "name or password is wrong" in wrong.text


def test_a_guesser_is_stopped_and_the_right_password_does_not_help_him(register):
    """After five wrong passwords from one address even the right one must wait, until a quarter of an hour is over."""
    clock = Clock()
    register.add_user("ann", PASSWORD, ["read"], now=time.time(), by="me")
    with served(register, clock=clock) as url, httpx.Client(base_url=url, timeout=60) as client:
        login = lambda password: client.post("/v1/session", json={"name": "ann", "password": password})  # noqa: E731
        codes = [login(f"wrong {n}").status_code for n in range(6)]
        refused = login(PASSWORD)
        clock.ahead = 901.0
        later = login(PASSWORD)

    assert codes == [401] * 5 + [429]
    assert refused.status_code == 429
    assert 0 < int(refused.headers["retry-after"]) <= 901
    assert later.status_code == 200


def test_limits_count_by_pair_name_and_network_within_bounded_memory():
    """Five a pair, thirty a network (an IPv6 /64 is one), fifty a name; mistakes before a success are forgiven."""
    limits = LoginLimits()
    for n in range(30):
        limits.fail(f"user{n}", f"2001:db8::{n:x}", 0.0)

    assert limits.wait("another", "2001:db8::ffff", 1.0) == 899.0
    assert limits.wait("another", "2001:db9::1", 1.0) == 0.0
    for n in range(50):
        limits.fail("ann", f"203.0.113.{n}", 0.0)
    assert limits.wait("ann", "198.51.100.1", 1.0) == 899.0
    assert limits.wait("ann", "198.51.100.1", 900.0) == 0.0

    many = Limit(3, 60.0, kept=100)
    for n in range(1_000):
        many.fail(f"name{n}", 0.0)
    assert len(many) == 100

    kind = LoginLimits()
    for _ in range(200):  # two hundred log-ins that went well are no attack
        kind.fail("ann", "203.0.113.9", 0.0)
        kind.succeed("ann", "203.0.113.9")
    assert kind.wait("ann", "203.0.113.9", 0.0) == 0.0


def test_what_the_proxy_carries_is_untouched_and_our_key_does_not_travel_on(register):
    """Of an upstream's path only our key is ours: Authorization passes, no header is added, parts come as they are."""
    key = register.add_key("k", ["ingest"], now=time.time(), by="me").text
    headers = {"authorization": "Bearer sk-upstream", "x-ethostat-key": key, "origin": "https://app.example"}
    with served(register) as url:
        assert httpx.post(f"{url}/v1/chat/completions", headers={"authorization": "Bearer sk"}).status_code == 401
        with httpx.stream("POST", f"{url}/v1/chat/completions", headers=headers) as answer:
            parts = list(answer.iter_raw())

    assert json.loads(answer.headers["x-seen"]) == {"authorization": "Bearer sk-upstream"}
    assert len(parts) == 3
    assert "content-security-policy" not in answer.headers


def test_a_database_that_is_gone_stops_no_traffic_and_nobody_who_was_known(register, tmp_path):
    """The proxy goes on for keys that were known; the API says that keys cannot be looked up, and later they can."""
    clock, minted = Clock(), register.add_key("k", ["ingest", "read"], now=time.time(), by="me")
    known = {"x-ethostat-key": minted.text}
    with served(register, clock=clock) as url, httpx.Client(base_url=url) as client:
        assert client.post("/v1/chat/completions", headers=known).status_code == 200
        register.close()  # its connections, which would keep the file
        (tmp_path / "serve.db").rename(tmp_path / "away.db")
        (tmp_path / "serve.db").mkdir()
        clock.ahead = 3600.0
        went_on = [client.post("/v1/chat/completions", headers=known).status_code for _ in range(3)]
        stranger = client.get("/v1/streams", headers={"authorization": f"Bearer {mint_key().text}"})
        (tmp_path / "serve.db").rmdir()
        (tmp_path / "away.db").rename(tmp_path / "serve.db")
        assert client.get("/v1/streams", headers={"authorization": f"Bearer {minted.text}"}).status_code == 200

    assert went_on == [200, 200, 200]
    assert (stranger.status_code, stranger.json()["error"]["kind"]) == (503, "StoreError")


def test_every_answer_of_ours_tells_browsers_what_to_refuse(register):
    """Refusals as well: no framing, no sniffing, no script from elsewhere, no copy in a cache."""
    _key(register, "read")
    with served(register) as url:
        answers = [httpx.get(f"{url}/v1/streams"), httpx.get(f"{url}/login"), httpx.get(f"{url}/healthz")]

    for answer in answers:
        assert answer.headers["x-frame-options"] == "DENY"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cache-control"] == "no-store"
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]


def test_changes_over_the_api_are_in_the_audit_log(register):
    """Who, what and with which status; looking and telling events are not written down."""
    headers = _key(register, "admin", tenant="t")
    with served(register) as url:
        httpx.get(f"{url}/v1/streams", headers=headers)
        httpx.post(f"{url}/v1/events", headers=headers)
        httpx.put(f"{url}/v1/streams/a/baseline", headers=headers)
        end = time.monotonic() + 20
        while len(register.acts(tenant="t")) < 2 and time.monotonic() < end:
            time.sleep(0.05)

    act = register.acts(tenant="t")[0]
    assert len(register.acts(tenant="t")) == 2
    assert (act.action, act.subject, act.outcome) == ("PUT streams", "/v1/streams/a/baseline", "200")
    assert act.actor.startswith("key:")


def test_a_large_login_is_not_read(register):
    """A body of megabytes is cut off before it is held."""
    register.add_user("ann", PASSWORD, ["read"], now=time.time(), by="me")
    with served(register) as url:
        connection = http.client.HTTPConnection(url.removeprefix("http://"))
        body = json.dumps({"name": "ann", "password": PASSWORD, "more": "x" * 200_000})
        connection.request("POST", "/v1/session", body)
        assert connection.getresponse().status == 400
        connection.close()


def test_serving_to_others_needs_somebody_who_may(tmp_path):
    """Without a key or a user only this machine is served; a key that is over is none, and no database is made."""
    path = tmp_path / "serve.db"
    for host in ("127.0.0.1", "localhost", "::1", "127.9.9.9"):
        check_binding(host, path, now=0.0)
    for host in ("0.0.0.0", "::", "10.0.0.5", "example.com"):  # noqa: S104
        with pytest.raises(InvalidInput, match=f"on {host} others could reach .* next step: ethostat keys add"):
            check_binding(host, path, now=0.0)
    assert not path.exists()
    with Register(path) as register:
        register.add_key("k", ["ingest"], expires=10.0, now=0.0, by="me")
    check_binding("0.0.0.0", path, now=5.0)  # noqa: S104
    with pytest.raises(InvalidInput):
        check_binding("0.0.0.0", path, now=10.0)  # noqa: S104


def test_what_nobody_thought_of_is_for_admins():
    """A new path that changes something is closed until somebody says otherwise."""
    assert scope_for("POST", "/v1/brand/new") == "admin"
    assert scope_for("GET", "/v1/brand/new") == "read"
    assert scope_for("POST", "/v1/labels") == "label"
    assert scope_for("POST", "/v1/alerts/x/acknowledge/y") == "admin"
    assert scope_for("GET", "/static/../v1/streams") == "public"  # the router knows no such file
