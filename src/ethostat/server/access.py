"""Access over HTTP: who asks, whether they may, and what a browser is told to refuse.

Pure ASGI: bodies and streams pass untouched. In order: the Host is judged, the caller is identified (an API key, a
session's cookie, or nobody where everybody on this machine may), a change from a browser must come from our own pages,
and the scope that the path asks for must be among the caller's. Handlers find the caller with `identity_of`.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie
from pathlib import Path
from typing import Any
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ethostat.access.identity import ADMIN, ANYBODY, INGEST, LABEL, READ, Identity
from ethostat.access.limits import network_of
from ethostat.access.register import Act, Register
from ethostat.access.secrets import csrf_token, same
from ethostat.errors import EthostatError, InvalidInput
from ethostat.server.dashboard.refusing import problem_page, wants_page
from ethostat.server.gate import Gate
from ethostat.server.policy import HEADERS
from ethostat.store.database import read_url

PUBLIC = "public"
"""The scope of what everybody may."""
PROXY_KEY = b"x-ethostat-key"
"""Where a caller of the proxy puts a key of ours; Authorization is the upstream's."""
CSRF_HEADER = "x-csrf-token"
_PUBLIC = frozenset({"/healthz", "/readyz", "/login", "/openapi.json", "/favicon.ico"})
_INGEST = frozenset({"/v1/events", "/v1/traces", "/v1/logs"})
_LABEL = re.compile(r"/v1/(labels|reviews?)(/.*)?|/v1/alerts/.+/(acknowledge|snooze|expected)")
# What shows or moves the whole service, all its tenants.
_WHOLE = re.compile(r"/metrics|/v1/targets(/.*)?")
# What shows who may do what, and who did.
_WATCHED = re.compile(r"/(access|audit)|/v1/(keys|users|audit)(/.*)?")
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_PATIENCE_OF_TRAFFIC = 0.25
_LOG = logging.getLogger(__name__)


def scope_for(method: str, path: str) -> str:
    """The scope that a request needs; what nobody thought of needs `admin`, or `read` where it changes nothing.

    >>> scope_for("POST", "/v1/events"), scope_for("GET", "/v1/streams/a"), scope_for("PUT", "/v1/streams/a/baseline")
    ('ingest', 'read', 'admin')
    """
    if path in _PUBLIC or path.startswith("/static/"):
        return PUBLIC
    if path in _INGEST:
        return INGEST
    if path == "/v1/session":
        return PUBLIC if method == "POST" else READ
    if method in _SAFE:
        return ADMIN if _WATCHED.fullmatch(path) else READ
    return LABEL if path == "/logout" or _LABEL.fullmatch(path) else ADMIN


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches what is bound to this host."""
    if host.lower().rstrip(".") == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def check_binding(host: str, database: str | Path, *, now: float) -> None:
    """Raises InvalidInput where a service that others reach would have nobody who may use it."""
    if is_loopback(host):
        return
    url = read_url(database)
    if url.get_backend_name() != "sqlite" or Path(str(url.database)).exists():
        with Register(database, create=False) as register:
            if register.has_way_in(now):
                return
    raise InvalidInput(
        f"on {host} others could reach this service, and nobody has a key for it; next step: ethostat keys add NAME "
        "--scope ingest, or ethostat users add NAME, with the same --db; or serve on 127.0.0.1"
    )


def identity_of(request: Request) -> Identity:
    """Who asks. Raises KeyError behind no Access."""
    found: Identity = request.scope["state"]["identity"]
    return found


@dataclass(frozen=True, slots=True)
class AccessSettings:
    """`host` is what the service is bound to, `names` the further names by which it is called (`--allowed-host`).

    `needs` gives the scope of a request, `proxied` says of a path whether it belongs to an upstream: there our key
    comes in X-Ethostat-Key, which does not travel on, and nothing of the answer is touched.
    """

    host: str = "127.0.0.1"
    names: tuple[str, ...] = ()
    needs: Callable[[str, str], str] = scope_for
    proxied: Callable[[str], bool] = lambda _: False

    def takes_host(self, header: str | None) -> bool:
        """Whether a request with this Host may be meant for us.

        On loopback it must name this machine: a page whose own name was made to point here (DNS rebinding) does not.
        """
        names = {name.lower() for name in self.names}
        if is_loopback(self.host):
            names |= {"localhost", "127.0.0.1", "[::1]", self.host.lower()}
        return not names or (header is not None and _without_port(header) in names)


@dataclass(slots=True)
class Caller:
    """Who asks, and by what: `session` is the token of a cookie, None for a key or for nobody."""

    identity: Identity | None
    session: str | None = None
    is_by_key: bool = False

    @property
    def state(self) -> dict[str, Any]:
        """What handlers find in `request.state`."""
        tenant, name = ("", None) if self.identity is None else (self.identity.tenant, str(self.identity))
        return {"identity": self.identity, "tenant": tenant, "caller": name, "session": self.session}


class Access:
    """The middleware. It stands before everything else of the application."""

    def __init__(self, app: ASGIApp, gate: Gate, settings: AccessSettings) -> None:
        self._app, self._gate, self._settings = app, gate, settings
        self._notes: set[asyncio.Task[None]] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See the module's docstring."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
        elif scope["type"] == "http":
            await self._answer(scope, receive, send)
        else:
            await send({"type": "websocket.close", "code": 1008})

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = {name.lower(): value.decode("latin-1") for name, value in scope["headers"]}
        proxied = self._settings.proxied(scope["path"])
        guarded = send if proxied else _guarding(send, is_https=scope["scheme"] == "https")
        hosts = [value for name, value in scope["headers"] if name.lower() == b"host"]
        if len(hosts) > 1 or not self._settings.takes_host(headers.get(b"host")):
            refused = refusal(
                403, "UnknownHost", "this service is not called by that Host; serve with --allowed-host NAME"
            )
            return await refused(scope, receive, guarded)
        needed = INGEST if proxied else self._settings.needs(scope["method"], scope["path"])
        try:
            caller = await (self._caller_of_proxy(headers) if proxied else self._caller(headers))
        except EthostatError as error:
            _LOG.error("nobody can be identified: %s", error)
            refused = refusal(503, "StoreError", "keys cannot be looked up now; try again", retry_after=5)
            return await _shown(refused, scope)(scope, receive, guarded)
        inner = {**scope, "state": {**scope.get("state", {}), **caller.state}}
        if (problem := self._problem(scope, headers, caller, needed, proxied=proxied)) is not None:
            return await _shown(problem, inner)(scope, receive, guarded)
        if proxied:
            inner["headers"] = [pair for pair in scope["headers"] if pair[0].lower() != PROXY_KEY]
        is_noted = scope["method"] not in _SAFE and needed in (ADMIN, LABEL) and caller.identity is not None
        await self._app(inner, receive, self._noting(scope, caller, guarded) if is_noted else guarded)
        return None

    async def _caller(self, headers: Mapping[bytes, str]) -> Caller:
        if (key := _key_in(headers)) is not None:
            return Caller(await self._gate.of_key(key), is_by_key=True)
        if is_loopback(self._settings.host) and not await self._gate.is_closed():
            return Caller(ANYBODY)
        token = _token_in(headers)
        return Caller(None) if token is None else Caller(await self._gate.of_session(token), token)

    async def _caller_of_proxy(self, headers: Mapping[bytes, str]) -> Caller:
        """Traffic waits for no database: who was known a while ago is known still."""
        if is_loopback(self._settings.host) and not await self._gate.is_closed(patience=_PATIENCE_OF_TRAFFIC):
            return Caller(ANYBODY)
        key = headers.get(PROXY_KEY)
        return Caller(None if key is None else await self._gate.of_key(key, patience=_PATIENCE_OF_TRAFFIC))

    def _problem(
        self, scope: Scope, headers: Mapping[bytes, str], caller: Caller, needed: str, *, proxied: bool
    ) -> Response | None:
        """Why this request goes no further; None where it does."""
        changes = scope["method"] not in _SAFE
        if not proxied and not caller.is_by_key and not _is_from_here(headers, changes=changes):
            return refusal(403, "OtherSite", "a browser sent this from another site; use an API key")
        if needed == PUBLIC:
            return None
        if caller.identity is None:
            return self._unknown(scope, headers)
        if changes and caller.session is not None:
            given = headers.get(CSRF_HEADER.encode(), "")
            if not same(given, csrf_token(caller.session)):
                return refusal(403, "NoToken", f"a change needs the session's token in {CSRF_HEADER}; reload the page")
        return _lacking(caller.identity, needed, scope["path"])

    def _unknown(self, scope: Scope, headers: Mapping[bytes, str]) -> Response:
        address, now = network_of(address_of(scope)), self._gate.clock()
        if scope["method"] == "GET" and "text/html" in headers.get(b"accept", ""):
            here = scope["path"] + (f"?{scope['query_string'].decode('latin-1')}" if scope["query_string"] else "")
            ended = "" if _token_in(headers) is None else "&said=ended"
            return RedirectResponse(f"/login?next={quote(here, safe='')}{ended}", status_code=303)
        if (wait := self._gate.strangers.wait(address, now)) > 0:
            return refusal(429, "TooMany", "too many requests without a valid key", retry_after=wait)
        self._gate.strangers.fail(address, now)
        message = "no valid API key or session; send Authorization: Bearer KEY (`ethostat keys add` makes one)"
        return refusal(401, "NotIdentified", message, authenticate=True)

    def _noting(self, scope: Scope, caller: Caller, send: Send) -> Send:
        """Writes a line of the audit log when the answer begins."""

        async def noting(message: Message) -> None:
            if message["type"] == "http.response.start" and caller.identity is not None:
                act = Act(
                    self._gate.clock(),
                    caller.identity.tenant,
                    str(caller.identity),
                    f"{scope['method']} {scope['path'].split('/')[2] if scope['path'].count('/') > 1 else ''}".strip(),
                    scope["path"][:500],
                    network_of(address_of(scope)),
                    str(message["status"]),
                )
                task = asyncio.create_task(self._note(act))
                self._notes.add(task)
                task.add_done_callback(self._notes.discard)
            await send(message)

        return noting

    async def _note(self, act: Act) -> None:
        try:
            await asyncio.to_thread(self._gate.register.note, act)
        except EthostatError as error:
            _LOG.error("the audit log cannot be written: %s", error)


class Refused(JSONResponse):
    """Why a request goes no further, in the one form that errors have."""

    def __init__(self, status: int, kind: str, message: str, headers: Mapping[str, str]) -> None:
        super().__init__({"error": {"kind": kind, "message": message}}, status, dict(headers))
        self.message, self.more = message, headers


def refusal(
    status: int, kind: str, message: str, *, retry_after: float | None = None, authenticate: bool = False
) -> Refused:
    """Why a request goes no further; `retry_after` is in seconds."""
    headers = {"www-authenticate": "Bearer"} if authenticate else {}
    if retry_after is not None:
        headers["retry-after"] = str(int(retry_after) + 1)
    return Refused(status, kind, message, headers)


def _shown(problem: Response, scope: Scope) -> Response:
    """The same as a page, where a person asks for one."""
    if not isinstance(problem, Refused) or not wants_page(scope):
        return problem
    page = problem_page(Request(scope), problem.message, problem.status_code)
    page.headers.update(problem.more)
    return page


def _guarding(send: Send, *, is_https: bool) -> Callable[[Message], Awaitable[None]]:
    """Adds to every answer what keeps a browser safe, unless the handler said otherwise."""
    wanted = dict(HEADERS)
    if is_https:
        wanted["strict-transport-security"] = "max-age=31536000"

    async def guarding(message: Message) -> None:
        if message["type"] == "http.response.start":
            given = {name.lower() for name, _ in message.get("headers", ())}
            more = [(key.encode(), value.encode()) for key, value in wanted.items() if key.encode() not in given]
            message = {**message, "headers": [*message.get("headers", ()), *more]}
        await send(message)

    return guarding


def _key_in(headers: Mapping[bytes, str]) -> str | None:
    """The API key of a request: Authorization: Bearer, or X-API-Key, which some exporters can set alone."""
    kind, _, value = headers.get(b"authorization", "").partition(" ")
    if kind.lower() == "bearer" and value.strip():
        return value.strip()
    return headers.get(b"x-api-key") or headers.get(PROXY_KEY)


def _token_in(headers: Mapping[bytes, str]) -> str | None:
    try:
        cookies: SimpleCookie = SimpleCookie(headers.get(b"cookie", ""))
    except CookieError:
        return None
    found = cookies.get("__Host-ethostat") or cookies.get("ethostat")
    return None if found is None else found.value


def _lacking(identity: Identity, needed: str, path: str) -> Response | None:
    """Why this caller may not; None where they may."""
    if not identity.may(needed):
        return refusal(403, "NotAllowed", f"this needs the scope {needed}, which {identity} does not have")
    if identity.tenant and _WHOLE.fullmatch(path):
        return refusal(403, "NotAllowed", "this is about all tenants, for keys of the tenant without a name")
    return None


def _is_from_here(headers: Mapping[bytes, str], *, changes: bool) -> bool:
    """Whether a request without a key can come from our own pages, or from no browser at all.

    A link from elsewhere may lead here, so where nothing changes only a script of another page is refused, which names
    its origin.
    """
    if changes and headers.get(b"sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        return False
    origin, host = headers.get(b"origin"), headers.get(b"host", "").lower()
    return origin is None or origin.lower() in (f"http://{host}", f"https://{host}")


def _without_port(header: str) -> str:
    name = header.lower().strip()
    return re.sub(r":\d*$", "", name).rstrip(".")


def address_of(scope: Scope) -> str:
    """Where a request comes from."""
    client: Any = scope.get("client")
    return str(client[0]) if client else "unknown"
