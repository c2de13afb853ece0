"""Who may do what, for admins over HTTP: keys and users are listed and ended, the audit log is read.

Making them takes a secret that is shown once or typed in, which the command line does (`ethostat keys`, `users`).
"""

from __future__ import annotations

import asyncio
import re
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ethostat.access import Act, ApiKey, Register, User
from ethostat.access.identity import USER
from ethostat.errors import InvalidInput
from ethostat.server.service import NotFound, Service, as_json, caller_of, route, tenant_of
from ethostat.server.viewing import moment

_MOST, _PAGE = 1_000, 100
_WHOLE = re.compile(r"[0-9]{1,18}")


def granting_routes(service: Service, register: Register) -> list[Route]:
    """Keys, users and the audit log, of the caller's tenant."""

    async def get_keys(_: Service, request: Request) -> Response:
        found = await asyncio.to_thread(keys_of, register, tenant_of(request))
        return as_json({"keys": [_key(one, service.pipeline.now()) for one in found]})

    async def revoke(_: Service, request: Request) -> Response:
        tenant, prefix, by = tenant_of(request), request.path_params["prefix"], caller_of(request) or "somebody"

        def change() -> ApiKey:
            if prefix not in {one.prefix for one in keys_of(register, tenant)}:
                raise NotFound("there is no such key; GET /v1/keys lists all")
            return register.revoke_key(prefix, now=service.pipeline.now(), by=by)

        return as_json(_key(await asyncio.to_thread(change), service.pipeline.now()))

    async def get_users(_: Service, request: Request) -> Response:
        return as_json(
            {"users": [_user(one) for one in await asyncio.to_thread(users_of, register, tenant_of(request))]}
        )

    async def remove(_: Service, request: Request) -> Response:
        tenant, name, by = tenant_of(request), request.path_params["name"], caller_of(request) or "somebody"
        if by == f"{USER}:{name}":
            raise InvalidInput("nobody removes himself or herself; another admin must, or `ethostat users remove`")

        def change() -> None:
            if name not in {one.name for one in users_of(register, tenant) if not one.is_removed}:
                raise NotFound("there is no such user; GET /v1/users lists all")
            register.remove_user(name, now=service.pipeline.now(), by=by)

        await asyncio.to_thread(change)
        return as_json({"user": name, "removed": True})

    async def get_audit(_: Service, request: Request) -> Response:
        most, before = request.query_params.get("limit", str(_PAGE)), request.query_params.get("before")
        if not (_WHOLE.fullmatch(most) and int(most) <= _MOST) or not (before is None or _WHOLE.fullmatch(before)):
            raise InvalidInput(f"`limit` must be a whole number from 0 to {_MOST}, and `before` the number of a line")
        found = await asyncio.to_thread(
            register.acts, tenant=tenant_of(request), most=int(most), before=None if before is None else int(before)
        )
        return as_json({"audit": [_act(one) for one in found]})

    return [
        route(service, "/v1/keys", get_keys),
        route(service, "/v1/keys/{prefix}/revoke", revoke, method="POST"),
        route(service, "/v1/users", get_users),
        route(service, "/v1/users/{name:path}/remove", remove, method="POST"),
        route(service, "/v1/audit", get_audit),
    ]


def keys_of(register: Register, tenant: str) -> list[ApiKey]:
    """The keys of a tenant, the latest first."""
    return [one for one in reversed(register.api_keys()) if one.tenant == tenant]


def users_of(register: Register, tenant: str) -> list[User]:
    """The users of a tenant, by name."""
    return [one for one in register.users() if one.tenant == tenant]


def _key(one: ApiKey, now: float) -> dict[str, Any]:
    times = {"created": moment(one.created), "expires": moment(one.expires), "revoked": moment(one.revoked)}
    return {
        "prefix": one.prefix,
        "name": one.name,
        "scopes": sorted(one.scopes),
        **times,
        "valid": one.is_valid(now),
    }


def _user(one: User) -> dict[str, Any]:
    return {
        "name": one.name,
        "scopes": sorted(one.scopes),
        "created": moment(one.created),
        "removed": one.is_removed,
    }


def _act(one: Act) -> dict[str, Any]:
    return {
        "number": one.number,
        "time": moment(one.time),
        "actor": one.actor,
        "action": one.action,
        "subject": one.subject,
        "address": one.address,
        "outcome": one.outcome,
    }
