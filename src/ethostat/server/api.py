"""The API: events in; streams, alerts, deployments out; what people do to monitors."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ethostat.access.identity import ANYBODY
from ethostat.errors import InvalidInput, StoreError
from ethostat.ledger import KeptAlert, Position, Whose
from ethostat.monitor.alert import CHANGE, PAGE
from ethostat.monitor.policy import seconds
from ethostat.server.baselining import NewBaseline, baseline_of
from ethostat.server.following import Followed
from ethostat.server.ingest import JSON_TYPES, LINE_TYPES, Batch, Reader
from ethostat.server.intervening import apply
from ethostat.server.metrics import CONTENT_TYPE
from ethostat.server.openapi import document
from ethostat.server.service import NotFound, Service, WrongType, as_json, caller_of, route, tenant_of
from ethostat.server.viewing import alert_view, deployment_view, event_view, minute_view, monitor_view, stream_view

_LARGE = 256 * 1024
_PAGE = 1_000
T = TypeVar("T")


def routes(service: Service) -> list[Route]:
    """All of them."""
    return [
        route(service, "/v1/events", post_events, method="POST"),
        route(service, "/v1/streams", get_streams),
        route(service, "/v1/streams/{stream:path}/minutes", get_minutes),
        route(service, "/v1/streams/{stream:path}/events", get_events),
        route(service, "/v1/streams/{stream:path}/monitor", get_monitor),
        route(service, "/v1/streams/{stream:path}/baseline", get_baseline),
        route(service, "/v1/streams/{stream:path}/baseline", put_baseline, method="PUT"),
        route(service, "/v1/streams/{stream:path}", get_stream),
        route(service, "/v1/streams/{stream:path}", delete_stream, method="DELETE"),
        route(service, "/v1/sessions/{session:path}", delete_session, method="DELETE"),
        route(service, "/v1/erasures", post_erasure, method="POST"),
        route(service, "/v1/alerts", get_alerts),
        route(service, "/v1/alerts/{id:path}/acknowledge", acknowledge, method="POST"),
        route(service, "/v1/alerts/{id:path}/snooze", snooze, method="POST"),
        route(service, "/v1/alerts/{id:path}/expected", expected, method="POST"),
        route(service, "/v1/alerts/{id:path}", get_alert),
        route(service, "/v1/deployments", get_deployments),
        route(service, "/v1/deployments", post_deployment, method="POST"),
        route(service, "/healthz", healthz),
        route(service, "/readyz", readyz),
        route(service, "/metrics", get_metrics),
        route(service, "/openapi.json", get_openapi),
    ]


# Events


async def post_events(service: Service, request: Request) -> Response:
    """Events in; the answer says that the accepted ones are on disk."""
    redact = service.pipeline.settings.redact
    reader = Reader(service.pipeline.taxonomy, tenant_of(request), redact)
    read = _reading(request, reader)
    async with service.bodies.read(request) as body:
        is_quick = len(body) < _LARGE and redact is None
        batch = read(body) if is_quick else await asyncio.to_thread(read, body)
        accepted, duplicates, rejected = 0, 0, batch.rejected
        if batch.events:
            done = await asyncio.wrap_future(service.pipeline.intake.offer(batch.events))
            accepted, duplicates = done.accepted, done.duplicates
            rejected = sorted(rejected + [(batch.places[place], why) for place, why in done.refused])
    answer = {
        "accepted": accepted,
        "duplicates": duplicates,
        "rejected": [{"index": place, "error": why} for place, why in rejected],
    }
    return as_json(answer, 422 if rejected and not accepted and not duplicates else 200)


def _reading(request: Request, reader: Reader) -> Callable[[bytes], Batch]:
    kind = request.headers.get("content-type", "").split(";")[0].strip().lower()
    if kind in JSON_TYPES:
        return reader.json
    if kind in LINE_TYPES:
        return reader.lines
    raise WrongType(f"content-type {kind[:60]!r} is not read here; send {JSON_TYPES[0]} or {LINE_TYPES[0]}")


# Streams


async def get_streams(service: Service, request: Request) -> Response:
    """Streams by name."""
    most, after = whole(request, "limit", 100, _PAGE), request.query_params.get("after", "")

    def look() -> list[dict[str, Any]]:
        found = [one for one in service.pipeline.ledger.streams(tenant=tenant_of(request)) if one.name > after]
        return [stream_view(one, service.pipeline.taxonomy, now=service.pipeline.now()) for one in found[:most]]

    return as_json({"streams": await asyncio.to_thread(look)})


async def get_stream(service: Service, request: Request) -> Response:
    """One stream."""

    def look() -> dict[str, Any]:
        found = service.pipeline.ledger.streams(tenant=tenant_of(request), name=request.path_params["stream"])
        if not found:
            raise _no_stream()
        return stream_view(found[0], service.pipeline.taxonomy, now=service.pipeline.now())

    return as_json(await asyncio.to_thread(look))


async def get_minutes(service: Service, request: Request) -> Response:
    """The last minutes of a stream."""
    most, since = whole(request, "limit", 180, 10_000), _since(request)

    def look() -> list[dict[str, Any]]:
        found = service.pipeline.ledger.minutes(_position(service, request).stream_key, since=since, most=most)
        return [minute_view(one, service.pipeline.taxonomy) for one in found]

    return as_json({"minutes": await asyncio.to_thread(look)})


async def get_events(service: Service, request: Request) -> Response:
    """Events of a stream's log."""
    most, after = whole(request, "limit", 100, _PAGE), whole(request, "after", 0, 2**62)

    def look() -> list[dict[str, Any]]:
        key = _position(service, request).stream_key
        wanted = request.query_params.get("id")
        if wanted is None:
            return [event_view(one) for one in service.pipeline.ledger.events(key, after=after, most=most)]
        one = service.pipeline.ledger.event(tenant_of(request), request.path_params["stream"], wanted)
        return [] if one is None else [event_view(one)]

    return as_json({"events": await asyncio.to_thread(look)})


async def get_monitor(service: Service, request: Request) -> Response:
    """What watches a stream: its promise, detector, goals, and what it is held against."""

    def look() -> dict[str, Any]:
        position = _position(service, request)
        return {"stream": position.stream, **monitor_view(_followed(service, position).monitor)}

    return as_json(await asyncio.to_thread(look))


async def get_baseline(service: Service, request: Request) -> Response:
    """What is normal for a stream by now: counts that `PUT` takes, here or elsewhere; null while it is learned."""

    def look() -> dict[str, Any]:
        position = _position(service, request)
        normal = _followed(service, position).monitor.normal
        return {"stream": position.stream, "baseline": None if normal is None else normal.to_dict()}

    return as_json(await asyncio.to_thread(look))


async def put_baseline(service: Service, request: Request) -> Response:
    """A new baseline; the evidence begins anew."""
    asked = await _body(service, request, NewBaseline)

    def change() -> dict[str, Any]:
        position = _position(service, request)
        baseline = baseline_of(service.pipeline.ledger, position, asked, _followed(service, position))
        _intervene(service, request, position, "baseline", {"baseline": baseline.to_dict()})
        return {"stream": position.stream, "baseline": baseline.to_dict()}

    return as_json(await asyncio.to_thread(change))


async def delete_stream(service: Service, request: Request) -> Response:
    """Forget a stream and all that is kept of it."""

    def forget() -> None:
        service.pipeline.ledger.delete_stream(_position(service, request).stream_key)

    await asyncio.to_thread(forget)
    return Response(status_code=204)


async def delete_session(service: Service, request: Request) -> Response:
    """Drop the texts and labels of a session; its verdicts stay counted."""
    session = request.path_params["session"]
    gone = await asyncio.to_thread(service.pipeline.ledger.erase, tenant_of(request), Whose(session=session))
    return as_json({"session": session, "events": gone.events})


class Label(msgspec.Struct):
    """A label and its value."""

    name: str
    value: str


class Erasure(msgspec.Struct):
    """One of: a `session`, a `label`, or `before`, a time (ISO 8601); of one `stream`, or of all."""

    session: str | None = None
    label: Label | None = None
    before: str | None = None
    stream: str | None = None


async def post_erasure(service: Service, request: Request) -> Response:
    """What somebody said goes, wherever it was copied to, or what is old; what was counted stays."""
    asked = await _body(service, request, Erasure)
    before, ledger, tenant = seconds(asked.before), service.pipeline.ledger, tenant_of(request)
    if before is not None:
        if asked.session is not None or asked.label is not None:
            raise InvalidInput("an erasure is of one of `session`, `label` and `before`; give one of them")
        gone = await asyncio.to_thread(ledger.forget, before, tenant=tenant, stream=asked.stream)
        return as_json({"deleted": gone, "erased": 0, "alerts": 0, "copies": 0})
    label = None if asked.label is None else (asked.label.name, asked.label.value)
    erased = await asyncio.to_thread(ledger.erase, tenant, Whose(asked.session, label, asked.stream))
    return as_json({"deleted": 0, "erased": erased.events, "alerts": erased.alerts, "copies": erased.copies})


# Alerts


async def get_alerts(service: Service, request: Request) -> Response:
    """Alerts, the latest first."""
    most, before = whole(request, "limit", 100, _PAGE), whole(request, "before", 2**62, 2**62)
    stream = request.query_params.get("stream")
    found = await asyncio.to_thread(
        lambda: service.pipeline.ledger.alerts(tenant=tenant_of(request), stream=stream, before=before, most=most)
    )
    return as_json({"alerts": [alert_view(one) for one in found]})


async def get_alert(service: Service, request: Request) -> Response:
    """One alert."""
    return as_json(alert_view(await asyncio.to_thread(_alert, service, request)))


class Looked(msgspec.Struct):
    """Who looked; taken from the key or the session where the caller has one."""

    by: str | None = None


class Snooze(msgspec.Struct):
    """For how many responses changes of the stream are not told, and who wants that."""

    responses: int = 1_000
    by: str | None = None


async def acknowledge(service: Service, request: Request) -> Response:
    """Somebody looks at it: it is not told again."""
    asked = await _body(service, request, Looked)

    def change() -> dict[str, Any]:
        alert = _alert(service, request)
        if _stands(service, alert):
            position = _position_of(service, alert)
            _intervene(service, request, position, "acknowledge", {"alert": alert.id}, by=asked.by)
        service.pipeline.ledger.mark(alert.number, by=_by(request, asked.by))
        return alert_view(_alert(service, request))

    return as_json(await asyncio.to_thread(change))


async def snooze(service: Service, request: Request) -> Response:
    """Say nothing about changes of its stream for so many responses."""
    asked = await _body(service, request, Snooze)

    def change() -> dict[str, Any]:
        alert = _alert(service, request)
        body = {"alert": alert.id, "responses": asked.responses}
        _intervene(service, request, _position_of(service, alert), "snooze", body, by=asked.by)
        return alert_view(alert)

    return as_json(await asyncio.to_thread(change))


async def expected(service: Service, request: Request) -> Response:
    """The change was meant: what came since is normal from now on, where this alert still stands."""
    asked = await _body(service, request, Looked)

    def change() -> dict[str, Any]:
        alert = _alert(service, request)
        if _stands(service, alert):
            position = _position_of(service, alert)
            _intervene(service, request, position, "expected", {"alert": alert.id}, by=asked.by)
        service.pipeline.ledger.mark(alert.number, by=_by(request, asked.by), expected=True)
        return alert_view(_alert(service, request))

    return as_json(await asyncio.to_thread(change))


# Deployments


class NewDeployment(msgspec.Struct):
    """A version of a model, the streams that it serves (all, where none are named), a note, and when (ISO 8601)."""

    version: str
    streams: list[str] | None = None
    note: str | None = None
    time: str | None = None
    by: str | None = None


async def post_deployment(service: Service, request: Request) -> Response:
    """A version is deployed: its streams begin an epoch."""
    asked = await _body(service, request, NewDeployment)
    if not 1 <= len(asked.version) <= 200 or len(asked.note or "") > 2_000:
        raise InvalidInput("`version` has 1 to 200 characters, `note` at most 2,000")
    when = seconds(asked.time)

    def change() -> dict[str, Any]:
        ledger, tenant = service.pipeline.ledger, tenant_of(request)
        names = asked.streams if asked.streams is not None else [one.name for one in ledger.streams(tenant=tenant)]
        positions = [ledger.find_stream(tenant, name) for name in dict.fromkeys(names)]
        here = [one for one in positions if one is not None]
        if len(here) < len(positions):
            raise _no_stream()
        made = ledger.add_deployment(
            tenant,
            asked.version,
            [one.stream for one in here],
            note=asked.note,
            by=_by(request, asked.by),
            time=service.pipeline.now() if when is None else when,
        )
        for position in here:
            body = {"version": asked.version, "deployment": made.id}
            _intervene(service, request, position, "deployment", body, by=asked.by)
        return deployment_view(made)

    return as_json(await asyncio.to_thread(change), 201)


async def get_deployments(service: Service, request: Request) -> Response:
    """Declared versions, the latest first."""
    most = whole(request, "limit", 100, _PAGE)
    found = await asyncio.to_thread(lambda: service.pipeline.ledger.deployments(tenant=tenant_of(request), most=most))
    return as_json({"deployments": [deployment_view(one) for one in found]})


# The process


async def healthz(service: Service, _: Request) -> Response:
    """Whether the process lives: its threads are running."""
    alive = service.pipeline.is_alive
    return as_json({"alive": alive}, 200 if alive else 500)


async def readyz(service: Service, _: Request) -> Response:
    """Whether every part can work now, and why not."""

    def look() -> dict[str, str | None]:
        parts = service.pipeline.errors()
        try:
            service.pipeline.ledger.check()
        except StoreError as error:
            parts["database"] = str(error)
        return parts

    parts = await asyncio.to_thread(look)
    wrong = {part: why for part, why in parts.items() if why is not None}
    return as_json({"ready": not wrong, "degraded": wrong}, 503 if wrong else 200)


async def get_metrics(service: Service, _: Request) -> Response:
    """Metrics in Prometheus's text format."""
    return Response(await asyncio.to_thread(service.metrics.page), media_type=CONTENT_TYPE)


async def get_openapi(service: Service, _: Request) -> Response:
    """This API, described."""
    return as_json(document(service.pipeline.taxonomy, is_proxied=service.pipeline.settings.proxy is not None))


# How it is done


async def _body(service: Service, request: Request, kind: type[T]) -> T:
    """The body as this kind of thing; an empty body is an empty object."""
    async with service.bodies.read(request) as body:
        try:
            return msgspec.json.decode(body or b"{}", type=kind)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise InvalidInput(f"the body cannot be read: {error}") from None


def whole(request: Request, name: str, default: int, most: int) -> int:
    """A whole number among the query's parameters, from 0 to `most`."""
    text = request.query_params.get(name)
    if text is None:
        return default
    if not (text.isascii() and text.isdigit() and len(text) < 20 and int(text) <= most):
        raise InvalidInput(f"`{name}` must be a whole number from 0 to {most}, got {text[:40]!r}")
    return int(text)


def _since(request: Request) -> int:
    found = seconds(request.query_params.get("since"))
    return -(2**62) if found is None else int(found)


def _position(service: Service, request: Request) -> Position:
    found = service.pipeline.ledger.find_stream(tenant_of(request), request.path_params["stream"])
    if found is None:
        raise _no_stream()
    return found


def _position_of(service: Service, alert: KeptAlert) -> Position:
    found = service.pipeline.ledger.find_stream(alert.tenant, alert.stream)
    if found is None:
        raise _no_stream()
    return found


def _no_stream() -> NotFound:
    return NotFound("there is no such stream; GET /v1/streams lists all")


def _alert(service: Service, request: Request) -> KeptAlert:
    found = service.pipeline.ledger.alerts(tenant=tenant_of(request), id=request.path_params["id"], most=1)
    if not found:
        raise NotFound("there is no such alert; GET /v1/alerts lists all")
    return found[0]


def _stands(service: Service, alert: KeptAlert) -> bool:
    """Whether it is the last page of its stream, and says that something changed."""
    last: Sequence[KeptAlert] = service.pipeline.ledger.alerts(tenant=alert.tenant, stream=alert.stream, most=_PAGE)
    pages = [one for one in last if one.tier == PAGE]
    return bool(pages) and pages[0].id == alert.id and alert.kind == CHANGE


def _intervene(
    service: Service, request: Request, position: Position, kind: str, body: dict[str, Any], *, by: str | None = None
) -> None:
    """Change a stream's monitor, between two events, and write it down."""

    def change(now: Position) -> dict[str, Any]:
        followed = _followed(service, now)
        apply(followed.monitor, kind, body)
        return followed.kept()

    service.pipeline.ledger.intervene(position.stream_key, kind, body, change, by=_by(request, by))


def _by(request: Request, said: str | None) -> str | None:
    """Who does it: the key or user that the caller has, else whom the body names."""
    is_known = getattr(request.state, "identity", ANYBODY) != ANYBODY
    return caller_of(request) if is_known else said or caller_of(request)


def _followed(service: Service, position: Position) -> Followed:
    pipeline = service.pipeline
    return Followed.of(position, pipeline.template, pipeline.ledger.edition, pipeline.settings.grouping)
