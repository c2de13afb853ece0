"""Refusing: what a reader sees in place of a page, where a program would get the API's error."""

from __future__ import annotations

from typing import Any

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Scope

from ethostat.server.dashboard.frame import render


def wants_page(scope: Scope) -> bool:
    """Whether a person asks, with a browser, for something that is not the API's."""
    path = str(scope["path"])
    is_page = scope["method"] in ("GET", "HEAD") and not path.startswith(("/v1/", "/static/", "/proxy/"))
    return is_page and "text/html" in Headers(scope=scope).get("accept", "")


def problem_page(request: Request, message: str, status: int, **values: Any) -> Response:
    """A page that says why, and the way back. `message` may be hostile: it is escaped."""
    return render(request, "dashboard/problem.html", status=status, message=message, code=status, **values)
