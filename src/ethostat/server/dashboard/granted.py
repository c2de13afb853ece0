"""The handlers of what only admins see: keys and users, and the audit log. Each sees that of the own tenant."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from ethostat.access import Act
from ethostat.server.dashboard.board import Board, work
from ethostat.server.dashboard.frame import query_of, reader_of, render
from ethostat.server.granting import keys_of, users_of
from ethostat.server.service import tenant_of

_LINES = 100


async def access(board: Board, request: Request) -> Response:
    """Keys and users, each with what ends it."""
    tenant, now = tenant_of(request), board.service.pipeline.now()

    def look() -> dict[str, Any]:
        return {"keys": keys_of(board.register, tenant), "users": users_of(board.register, tenant)}

    return render(request, "dashboard/access.html", now=now, reader=reader_of(request), **await work(look))


async def audit(board: Board, request: Request) -> Response:
    """Who did what, the latest first."""
    asked, tenant = query_of(request), tenant_of(request)
    text = asked.get("before", "")
    before = int(text) if text.isascii() and text.isdigit() and len(text) < 19 else None

    def look() -> Sequence[Act]:
        return board.register.acts(tenant=tenant, most=_LINES + 1, before=before)

    found = await work(look)
    older = found[_LINES - 1].number if len(found) > _LINES else None
    return render(request, "dashboard/audit.html", acts=found[:_LINES], older=older, before=before)
