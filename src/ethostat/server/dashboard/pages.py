"""The handlers of pages, and their routes. What changes something goes to the API, with the token of the session."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from ethostat.monitor.alert import CHANGE, PAGE
from ethostat.server.baselining import MOST_WINDOW
from ethostat.server.dashboard import granted, labels
from ethostat.server.dashboard.alerting import alert_shown
from ethostat.server.dashboard.board import Board, Page, page_route, work
from ethostat.server.dashboard.configured import card_of, facts_of, outward_shown
from ethostat.server.dashboard.frame import get_asset, goal_classes, is_whole, link, query_of, render
from ethostat.server.dashboard.glance import ALERT, ENTROPY, LAG, NAME, ORDERS, STATES, URGENCY, Wanted
from ethostat.server.dashboard.looking import HOURS, SPANS, View
from ethostat.server.dashboard.streamed import corrected_shown, stream_shown
from ethostat.server.policy import HEADERS
from ethostat.server.service import NotFound, tenant_of

_ALERTS = 50
_SHOWN = {"": "all", "open": "open", "pages": "pages"}
_ORDERS = {
    URGENCY: "in alert first",
    NAME: "A to Z",
    ENTROPY: "largest S first",
    LAG: "longest lag first",
    ALERT: "latest alert first",
}


def routes(board: Board) -> list[Route]:
    """All of them; the API's description leaves out those that no program is meant to call."""
    pages: dict[str, Page] = {
        "/": streams,
        "/stream": stream,
        "/live": live,
        "/alerts": alerts,
        "/alerts/{number:int}": alert,
        "/settings": settings,
        "/access": granted.access,
        "/audit": granted.audit,
    }
    found = [
        *(page_route(board, path, handler) for path, handler in pages.items()),
        *labels.routes(board),
        Route("/static/{name}", get_asset, methods=["GET"]),
    ]
    for one in found:
        one.include_in_schema = one.path in labels.FOR_PROGRAMS
    return found


async def streams(board: Board, request: Request) -> Response:
    """Streams at a glance."""
    asked, tenant = query_of(request), tenant_of(request)
    state, order = asked.get("state", ""), asked.get("order", URGENCY)
    wanted = Wanted(
        asked.get("q", "")[:200],
        state if state in STATES else "",
        order if order in ORDERS else URGENCY,
        _whole(asked, "page", 1),
    )
    found = await work(lambda: board.glances.look(tenant, wanted, now=board.service.pipeline.now()))
    same = {
        "q": wanted.text or None,
        "state": wanted.state or None,
        "order": None if wanted.order == URGENCY else wanted.order,
    }
    return render(
        request,
        _part(asked, "streams"),
        listed=found,
        wanted=wanted,
        states=STATES,
        orders=_ORDERS,
        same=same,
        part=link("/", **same, page=found.page, part="live"),
    )


async def stream(board: Board, request: Request) -> Response:
    """One stream over its responses."""
    asked, tenant = query_of(request), tenant_of(request)
    name, view = asked.get("name", ""), View.of(asked)
    shown = await work(lambda: stream_shown(board, tenant, name, view))
    corrected = None
    if is_whole(request) and asked.get("part") != "live":
        corrected = await work(lambda: corrected_shown(board, name))
    return render(
        request,
        _part(asked, "stream"),
        name=name,
        spans=SPANS,
        hours=HOURS,
        classes=goal_classes(shown["taxonomy"].aligned),
        part=link("/stream", name=name, **view.query(), part="live"),
        corrected=corrected,
        most_window=MOST_WINDOW,
        **shown,
    )


async def live(board: Board, request: Request) -> Response:
    """Which streams moved, as server-sent events; with a name, whether that one did."""
    if board.pulse.is_full:
        return Response("too many pages are open", 503, {**HEADERS, "retry-after": "10"}, "text/plain")
    told = board.pulse.listen(tenant_of(request), query_of(request).get("name"))
    return StreamingResponse(told, 200, {**HEADERS, "x-accel-buffering": "no"}, "text/event-stream")


async def alerts(board: Board, request: Request) -> Response:
    """Alerts, the latest first: all, those that nobody acknowledged, or pages alone."""
    asked, tenant = query_of(request), tenant_of(request)
    name, before, show = asked.get("stream"), _whole(asked, "before", 2**62), asked.get("show", "")
    show = show if show in _SHOWN else ""
    tier, is_open = PAGE if show == "pages" else None, show == "open"
    found = await work(
        lambda: board.ledger.alerts(
            tenant=tenant, stream=name, tier=tier, is_open=is_open, before=before, most=_ALERTS + 1
        )
    )
    older = found[_ALERTS - 1].number if len(found) > _ALERTS else None
    return render(
        request,
        _part(asked, "alerts"),
        alerts=found[:_ALERTS],
        older=older,
        stream=name,
        show=show,
        shown=_SHOWN,
        part=link("/alerts", stream=name, show=show or None, part="live"),
    )


async def alert(board: Board, request: Request) -> Response:
    """An alert: what moved, what its exemplars said, on what evidence and promise."""
    number, tenant = int(request.path_params["number"]), tenant_of(request)

    def look() -> dict[str, Any]:
        found = board.ledger.alerts(tenant=tenant, before=number + 1, most=1) if number < 2**62 else []
        if not found or found[0].number != number:
            raise NotFound("there is no such alert; the page of alerts lists all")
        one = found[0]
        last = [each for each in board.ledger.alerts(tenant=tenant, stream=one.stream) if each.tier == PAGE]
        stands = bool(last) and last[0].number == one.number and one.kind == CHANGE
        return {"alert": one, "stands": stands, **alert_shown(board.ledger, one, board.taxonomy)}

    shown = await work(look)
    return render(request, "dashboard/alert.html", classes=goal_classes(board.taxonomy.aligned), **shown)


async def settings(board: Board, request: Request) -> Response:
    """What the service runs with."""

    def look() -> dict[str, Any]:
        return {
            "errors": board.service.pipeline.errors(),
            "rows": facts_of(board),
            "card": card_of(board.service.pipeline.settings.classifier),
            "outward": outward_shown(board) if is_whole(request) else None,
        }

    return render(request, "dashboard/settings.html", **await work(look))


def _part(asked: Mapping[str, str], name: str) -> str:
    """The page, or that part of it which lives."""
    return f"dashboard/{name}_live.html" if asked.get("part") == "live" else f"dashboard/{name}.html"


def _whole(asked: Mapping[str, str], name: str, default: int) -> int:
    text = asked.get(name, "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else default
