"""The handlers of runs and of the review queue. They belong to no tenant: its callers do not see them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import msgspec
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from ethostat.errors import InvalidInput
from ethostat.labelling import check_rater
from ethostat.report import verdicts
from ethostat.server.dashboard import stored
from ethostat.server.dashboard.board import Board, Page, page_route, work
from ethostat.server.dashboard.frame import goal_classes, is_whole, link, query_of, render
from ethostat.server.dashboard.reviewing import (
    Asked,
    Begin,
    act,
    desk_shown,
    rater_of,
    standing_of,
    work_by_run,
)
from ethostat.server.policy import HEADERS
from ethostat.server.service import NotFound, Service, as_json, route, tenant_of

FOR_PROGRAMS = frozenset({"/v1/reviews"})
"""What programs call too: a stream becomes a run to label."""
T = TypeVar("T")
# A report is a page of its own, with its own policy: it may run its scripts, and reach nothing of the service.
_REPORT = {
    **HEADERS,
    "content-security-policy": "sandbox allow-scripts; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
}
_RUN, _STREAM = "run:", "stream:"


def routes(board: Board) -> list[Route]:
    """All of them."""
    pages: dict[str, Page] = {
        "/runs": runs,
        "/runs/{run}": one_run,
        "/runs/{run}/report": report,
        "/compare": compare,
        "/compare/report": compare_report,
        "/review": review,
        "/review/{run}": label,
        "/review/{run}/settle": settle,
        "/review/{run}/agreement": agreement,
    }

    async def post_review(_: Service, request: Request) -> Response:
        return await begin(board, request)

    async def post_act(_: Service, request: Request) -> Response:
        return await acted(board, request)

    return [
        *(page_route(board, path, _for_all(handler)) for path, handler in pages.items()),
        route(board.service, "/v1/reviews", post_review, method="POST"),
        route(board.service, "/v1/reviews/{run}/acts", post_act, method="POST"),
    ]


async def runs(board: Board, request: Request) -> Response:
    """Runs of the store, each with its report, and two of them to compare."""
    lines = await work(lambda: stored.runs_listed(board.store))
    return render(request, "dashboard/runs.html", lines=lines, database=board.ledger.name)


async def one_run(board: Board, request: Request) -> Response:
    """A run: its figures with their intervals, and what can be done with it."""
    id = request.path_params["run"]

    def look() -> dict[str, Any]:
        run = stored.run_of(board.store, id)
        measured = None if run.measurement is None else stored.measured_of(board.store, id)
        others = [line for line in stored.runs_listed(board.store) if line.is_measured and line.run.id != id]
        return {"run": run, "measured": measured, "others": others}

    async with board.heavy:
        shown = await work(look)
    taxonomy = board.taxonomy if shown["measured"] is None else shown["measured"].taxonomy
    return render(request, "dashboard/run.html", taxonomy=taxonomy, classes=goal_classes(taxonomy.aligned), **shown)


async def report(board: Board, request: Request) -> Response:
    """The report of a run."""
    return await _heavy(board, lambda: stored.report_of(board.store, request.path_params["run"]))


async def compare(board: Board, request: Request) -> Response:
    """Two runs against each other: the verdict, and every difference with its interval."""
    asked = query_of(request)
    a, b = asked.get("a", ""), asked.get("b", "")
    async with board.heavy:
        shift = await work(lambda: stored.shift_of(board.store, a, b))
    return render(request, "dashboard/compare.html", one=shift, a=a, b=b, verdicts=verdicts)


async def compare_report(board: Board, request: Request) -> Response:
    """The same as `ethostat compare` writes it."""
    asked = query_of(request)
    return await _heavy(board, lambda: stored.comparison_of(board.store, asked.get("a", ""), asked.get("b", "")))


async def review(board: Board, request: Request) -> Response:
    """What can be labelled, and what was."""

    def look() -> dict[str, Any]:
        lines = stored.runs_listed(board.store)
        done = work_by_run(board.store, lines)
        streams = [one.name for one in board.ledger.streams(tenant=tenant_of(request)) if sum(one.counts.values())]
        return {
            "lines": lines,
            "done": done,
            "labelled": [line for line in lines if line.run.id in done],
            "streams": streams,
        }

    rater = rater_of(request, "")
    return render(request, "dashboard/review.html", rater=rater, fixed=bool(rater), **await work(look))


async def begin(board: Board, request: Request) -> Response:
    """Where a run is labelled; of a stream, what is kept of it becomes a run first."""
    asked = await _body(board, request, Begin)
    rater, of = check_rater(rater_of(request, asked.rater)), asked.of
    if of.startswith(_RUN):
        run = await work(lambda: stored.run_of(board.store, of.removeprefix(_RUN)))
    elif of.startswith(_STREAM):
        settings = board.service.pipeline.settings
        async with board.heavy:
            run = await work(
                lambda: stored.draw_run(
                    board.store,
                    board.ledger,
                    tenant=tenant_of(request),
                    stream=of.removeprefix(_STREAM),
                    taxonomy=board.taxonomy,
                    classifier=settings.classifier,
                )
            )
    else:
        raise InvalidInput("what is labelled must be `run:` or `stream:` and its name")
    return as_json({"run": run.id, "go": link(f"/review/{run.id}", rater=rater)}, 201)


async def label(board: Board, request: Request) -> Response:
    """The next response that this rater is to label."""
    run, rater = request.path_params["run"], rater_of(request, query_of(request).get("rater", ""))

    def look() -> dict[str, Any]:
        with board.desks.at(board.store, run, rater) as labelling:
            return desk_shown(labelling)

    async with board.heavy:
        shown = await work(look)
    return render(request, "dashboard/label.html", **shown)


async def settle(board: Board, request: Request) -> Response:
    """The next response on which raters differ, with what they said, without their names."""
    run, rater = request.path_params["run"], rater_of(request, query_of(request).get("rater", ""))

    def look() -> dict[str, Any]:
        with board.desks.at(board.store, run, rater, settles=True, anew=True) as labelling:
            return desk_shown(labelling)

    async with board.heavy:
        shown = await work(look)
    return render(request, "dashboard/label.html", **shown)


async def acted(board: Board, request: Request) -> Response:
    """What a rater did; the next response is the answer."""
    asked = await _body(board, request, Asked)
    rater = rater_of(request, asked.rater)

    def change() -> dict[str, Any]:
        with board.desks.at(board.store, request.path_params["run"], rater, settles=asked.settles) as labelling:
            return desk_shown(labelling, message=act(labelling, asked))

    return render(request, "dashboard/desk.html", **await work(change))


async def agreement(board: Board, request: Request) -> Response:
    """How far raters agree, and what the labels make of the figures."""
    run = request.path_params["run"]
    async with board.heavy:
        standing = await work(lambda: standing_of(board.store, run))
    return render(request, "dashboard/agreement.html", run_id=run, standing=standing)


async def _body(board: Board, request: Request, kind: type[T]) -> T:
    """The body as this kind of thing, from a caller who may see runs."""
    if not is_whole(request):
        raise NotFound("runs and labels belong to the whole installation")
    async with board.service.bodies.read(request) as body:
        try:
            return msgspec.json.decode(body, type=kind)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise InvalidInput(f"the body cannot be read: {error}") from None


def _for_all(handler: Page) -> Page:
    async def guarded(board: Board, request: Request) -> Response:
        if not is_whole(request):
            raise NotFound("runs and labels belong to the whole installation, and this log-in sees one tenant of it")
        return await handler(board, request)

    return guarded


async def _heavy(board: Board, make: Callable[[], str]) -> Response:
    """A report: several megabytes, a second or more of work; one at a time."""
    async with board.heavy:
        text = await work(make)
    return HTMLResponse(text.encode("utf-8", "replace"), 200, dict(_REPORT))
