"""Runs of the store and people's labels over the API. They belong to no tenant: its callers do not see them."""

from __future__ import annotations

from itertools import islice
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ethostat.errors import InvalidInput
from ethostat.labelling import check_rater
from ethostat.response import Label
from ethostat.response import Response as Answer
from ethostat.server.api import whole
from ethostat.server.dashboard.board import Board, work
from ethostat.server.dashboard.frame import is_whole
from ethostat.server.dashboard.reviewing import rater_of
from ethostat.server.dashboard.stored import RunLine, measured_of, run_of, runs_listed
from ethostat.server.service import NotFound, Service, as_json, route
from ethostat.store import Run
from ethostat.store.labels import LABEL, NOTE, Act
from ethostat.taxonomy import Taxonomy

_PAGE, _MOST_LABELS, _LONGEST_NOTE = 1_000, 1_000, 2_000


class NewLabel(msgspec.Struct):
    """What a person says of a response: the prompt's id and the response's place among its answers, and a goal."""

    prompt_id: str
    goal: str
    index: int = 0
    note: str | None = None


class NewLabels(msgspec.Struct):
    """Labels of one rater; where the caller has logged in, the rater is that user."""

    labels: list[NewLabel]
    rater: str = ""


def store_routes(board: Board) -> list[Route]:
    """All of them."""

    async def get_runs(_: Service, request: Request) -> Response:
        _check(request)
        lines = await work(lambda: runs_listed(board.store))
        return as_json({"runs": [_run_view(line) for line in lines]})

    async def get_run(_: Service, request: Request) -> Response:
        _check(request)
        async with board.heavy:
            found = await work(lambda: measured_of(board.store, request.path_params["run"]))
        return as_json(found.measurement.to_dict())

    async def get_responses(_: Service, request: Request) -> Response:
        _check(request)
        most, skip = whole(request, "limit", 100, _PAGE), whole(request, "offset", 0, 10**9)

        def look() -> list[dict[str, Any]]:
            run = run_of(board.store, request.path_params["run"])
            return [_response_view(one) for one in islice(board.store.responses(run.id), skip, skip + most)]

        return as_json({"responses": await work(look)})

    async def get_labels(_: Service, request: Request) -> Response:
        _check(request)

        def look() -> list[dict[str, Any]]:
            run = run_of(board.store, request.path_params["run"])
            return [_label_view(one) for one in board.store.labels(run.id)]

        return as_json({"labels": await work(look)})

    async def post_labels(service: Service, request: Request) -> Response:
        _check(request)
        async with service.bodies.read(request) as body:
            try:
                asked = msgspec.json.decode(body, type=NewLabels)
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
                raise InvalidInput(f"the body cannot be read: {error}") from None
        rater = check_rater(rater_of(request, asked.rater))

        def change() -> int:
            run = run_of(board.store, request.path_params["run"])
            acts = _acts(run, asked.labels, rater)
            for act in acts:
                board.store.response(run.id, act.prompt_id, act.index)  # before the first is written: all or none
            for act in acts:
                board.store.add_act(run.id, act)
            return len(asked.labels)

        return as_json({"labelled": await work(change)})

    service = board.service
    return [
        route(service, "/v1/runs", get_runs),
        route(service, "/v1/runs/{run}", get_run),
        route(service, "/v1/runs/{run}/responses", get_responses),
        route(service, "/v1/labels/{run}", get_labels),
        route(service, "/v1/labels/{run}", post_labels, method="POST"),
    ]


def _check(request: Request) -> None:
    if not is_whole(request):
        raise NotFound("runs and labels belong to the whole installation, and this key sees one tenant of it")


def _acts(run: Run, labels: list[NewLabel], rater: str) -> list[Act]:
    if run.taxonomy is None:
        raise InvalidInput("this run names no goals, so that it cannot be labelled")
    if not 1 <= len(labels) <= _MOST_LABELS:
        raise InvalidInput(f"a request brings 1 to {_MOST_LABELS:,} labels, got {len(labels):,}")
    taxonomy = Taxonomy.from_dict(dict(run.taxonomy))
    for one in labels:
        taxonomy.index(one.goal)
        if len(one.note or "") > _LONGEST_NOTE:
            raise InvalidInput(f"a note has at most {_LONGEST_NOTE:,} characters, got {len(one.note or ''):,}")
    acts = []
    for one in labels:
        acts.append(Act(one.prompt_id, one.index, LABEL, rater, goal=one.goal, taxonomy_hash=taxonomy.hash))
        if one.note:
            acts.append(Act(one.prompt_id, one.index, NOTE, rater, note=one.note, taxonomy_hash=taxonomy.hash))
    return acts


def _run_view(line: RunLine) -> dict[str, Any]:
    run = line.run
    return {
        "run": run.id,
        "model": run.model,
        "prompts": run.prompts_name,
        "samples": run.samples,
        "status": run.status,
        "started": run.started,
        "finished": run.finished,
        "entropy": None if line.entropy is None else line.entropy.to_dict(),
        "aligned": None if line.aligned is None else line.aligned.to_dict(),
    }


def _response_view(one: Answer) -> dict[str, Any]:
    return {
        "prompt_id": one.prompt.id,
        "index": one.index,
        "messages": [{"role": turn.role, "content": turn.content} for turn in one.prompt.messages],
        "response": one.text,
    }


def _label_view(one: Label) -> dict[str, Any]:
    names = ("prompt_id", "index", "response_id", "goal", "rater", "note", "time", "settles")
    return {name: getattr(one, name) for name in names}
