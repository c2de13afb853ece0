"""The login page, and the session for programs."""

from __future__ import annotations

import re
from urllib.parse import parse_qs

import msgspec
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route
from starlette.types import Scope

from ethostat.access.register import SESSION_SECONDS
from ethostat.access.secrets import csrf_token
from ethostat.server.access import address_of, identity_of, refusal
from ethostat.server.dashboard.frame import duration, render
from ethostat.server.gate import Gate, TooMany

_LARGEST_LOGIN = 8192
_WRONG = "name or password is wrong"
_SAID = {
    "ended": "Your session has ended. Log in again, and you are back where you were.",
    "out": "You have logged out.",
}
"""What the address of the page may have it say; nothing else."""


class _Login(msgspec.Struct):
    name: str
    password: str


_LOGIN = msgspec.json.Decoder(_Login)


def login_routes(gate: Gate) -> list[Route]:
    """The login page and the session: `GET /login`, `POST /login` (a form), and `/v1/session` for programs."""

    async def page(request: Request) -> Response:
        return _login_page(request, request.query_params.get("next", "/"))

    async def submit(request: Request) -> Response:
        fields = parse_qs((await _body(request)).decode("utf-8", "replace"), max_num_fields=10)
        name, password, after = (fields.get(key, [""])[0] for key in ("name", "password", "next"))
        try:
            token = await gate.log_in(name[:200], password, address_of(request.scope))
        except TooMany as error:
            problem = f"Too many attempts have failed. Even the right password must wait: {duration(error.wait)}."
            return _login_page(request, after, problem, name=name, status=429, wait=error.wait)
        if token is None:
            return _login_page(request, after, _WRONG, name=name, status=401)
        return _with_cookie(RedirectResponse(_own_path(after), status_code=303), token, request)

    async def begin(request: Request) -> Response:
        try:
            asked = _LOGIN.decode(await _body(request))
        except (msgspec.DecodeError, RecursionError):
            return refusal(400, "InvalidInput", 'send {"name": ..., "password": ...} as JSON')
        try:
            token = await gate.log_in(asked.name[:200], asked.password, address_of(request.scope))
        except TooMany as error:
            return refusal(429, "TooMany", str(error), retry_after=error.wait)
        if token is None:
            return refusal(401, "NotIdentified", _WRONG)
        return _with_cookie(JSONResponse({"csrf": csrf_token(token)}), token, request)

    async def show(request: Request) -> Response:
        caller, token = identity_of(request), request.state.session
        return JSONResponse({
            "kind": caller.kind, "name": caller.name, "tenant": caller.tenant, "scopes": sorted(caller.scopes),
            "csrf": None if token is None else csrf_token(token),
        })  # fmt: skip

    async def end(request: Request) -> Response:
        token = request.state.session
        if token is not None:
            await gate.log_out(token)
        response = JSONResponse({"ended": token is not None})
        response.delete_cookie(_cookie_name(request.scope), secure=request.url.scheme == "https", httponly=True)
        return response

    return [
        Route("/login", page, methods=["GET"], include_in_schema=False),
        Route("/login", submit, methods=["POST"], include_in_schema=False),
        Route("/v1/session", begin, methods=["POST"]),
        Route("/v1/session", show, methods=["GET"]),
        Route("/v1/session", end, methods=["DELETE"]),
    ]


def _login_page(
    request: Request, after: str, problem: str = "", *, name: str = "", status: int = 200, wait: float | None = None
) -> Response:
    said = _SAID.get(request.query_params.get("said", ""), "")
    page = render(
        request, "dashboard/login.html", status=status, after=_own_path(after), problem=problem, said=said, name=name
    )
    if wait is not None:
        page.headers["retry-after"] = str(int(wait) + 1)
    return page


def _with_cookie(response: Response, token: str, request: Request) -> Response:
    # Lax, not Strict: a link to an alert in a chat must find its reader logged in. Changes need the CSRF token as well.
    response.set_cookie(
        _cookie_name(request.scope), token, max_age=int(SESSION_SECONDS), path="/", httponly=True, samesite="lax",
        secure=request.url.scheme == "https",
    )  # fmt: skip
    return response


def _cookie_name(scope: Scope) -> str:
    # A browser takes a cookie with this prefix only over https, for this host alone.
    return "__Host-ethostat" if scope["scheme"] == "https" else "ethostat"


def _own_path(after: str) -> str:
    """A path of this service, whatever was asked for: nobody is sent elsewhere after a log-in."""
    is_ours = re.match(r"/(?![/\\])", after) and after.isprintable() and "\\" not in after
    return after if is_ours and len(after) < 2000 else "/"


async def _body(request: Request) -> bytes:
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > _LARGEST_LOGIN:
            return b""
    return body
