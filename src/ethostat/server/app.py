"""The application: routes, what surrounds them, and the pipeline that lives as long as it does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response

from ethostat.access import Register
from ethostat.ledger import Ledger
from ethostat.monitor import Alert
from ethostat.notifying import Routing
from ethostat.notifying.kept import LedgerOutbox
from ethostat.server import api, dashboard
from ethostat.server.access import Access, AccessSettings
from ethostat.server.bodies import Bodies
from ethostat.server.dashboard.refusing import problem_page, wants_page
from ethostat.server.gate import Gate
from ethostat.server.granting import granting_routes
from ethostat.server.login import login_routes
from ethostat.server.metrics import Metrics
from ethostat.server.otlp import Naming, otlp_routes
from ethostat.server.outward import Outward, outward_routes
from ethostat.server.pipeline import Hooks, Pipeline
from ethostat.server.policy import HEADERS
from ethostat.server.proxy import RESERVED, Proxy, ProxySettings
from ethostat.server.service import Service, as_json
from ethostat.server.settings import ServeSettings
from ethostat.server.stores import store_routes


def make_app(settings: ServeSettings, ledger: Ledger) -> Starlette:
    """The application over a ledger, which it closes when it ends.

    Raises StoreError where the database cannot be had.
    """
    gate = Gate(Register(settings.database))
    outward = Outward(LedgerOutbox(settings.database), settings.notify or Routing({}, ()), settings.address)
    metrics = Metrics()

    def count(_tenant: str, _stream: str, alert: Alert) -> None:
        metrics.alerts.labels(alert.tier, alert.kind).inc()

    def committed(seconds: float, events: int) -> None:
        metrics.commit_seconds.observe(seconds)
        metrics.commit_events.observe(events)

    hooks = Hooks(
        routes=outward.routes,
        on_alert=count,
        on_commit=committed,
        on_step=lambda seconds, _events: metrics.step_seconds.observe(seconds),
    )
    pipeline = Pipeline(ledger, settings, hooks)
    metrics.watch(pipeline)
    bodies = Bodies(most_body=settings.most_body, most_unpacked=settings.most_unpacked)
    service = Service(pipeline, metrics, bodies)
    proxy = None if settings.proxy is None else Proxy(_redacting(settings.proxy, settings), pipeline.intake.observe)
    if proxy is not None:
        metrics.watch_proxy(proxy)
    board = dashboard.Board(service, gate.register, outward)
    app = Starlette(
        routes=[
            *login_routes(gate),
            *outward_routes(service, outward),
            *granting_routes(service, gate.register),
            *api.routes(service),
            *otlp_routes(service, Naming(settings.stream_attribute)),
            *store_routes(board),
            *dashboard.routes(board),
            *(proxy.routes if proxy else ()),
        ],
        middleware=[
            Middleware(
                Access, gate=gate, settings=AccessSettings(settings.host, settings.names, proxied=_proxied(proxy))
            )
        ],
        exception_handlers={HTTPException: _plain, Exception: _broken},
        lifespan=_living(pipeline, outward, gate, proxy, board),
    )
    app.state.service, app.state.board = service, board
    return app


def _redacting(proxy: ProxySettings, settings: ServeSettings) -> ProxySettings:
    """What is taken out of other events is taken out of observed ones too."""
    return replace(proxy, redact=proxy.redact or settings.redact)


def _proxied(proxy: Proxy | None) -> Callable[[str], bool]:
    """Which paths are the proxy's: the caller's key to them is the model server's, not one of ours."""
    if proxy is None:
        return lambda _: False
    return lambda path: path.startswith("/proxy/") or (path.startswith("/v1/") and path.split("/")[2] not in RESERVED)


def _living(
    pipeline: Pipeline, outward: Outward, gate: Gate, proxy: Proxy | None, board: dashboard.Board
) -> Callable[[Starlette], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def living(_: Starlette) -> AsyncIterator[None]:
        pipeline.start()
        async with outward.delivering():
            yield
        board.close()
        if proxy is not None:
            await proxy.aclose()
        await asyncio.to_thread(pipeline.stop)
        gate.close()

    return living


async def _plain(request: Request, error: Exception) -> Response:
    """What Starlette itself refuses: a page for a person, else in the one form that errors have."""
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for nothing else
    if wants_page(request.scope):
        said = "there is no such page" if error.status_code == 404 else error.detail
        return problem_page(request, said, error.status_code)
    body = {"error": {"kind": "NotFound" if error.status_code == 404 else "Refused", "message": error.detail}}
    return as_json(body, error.status_code, dict(error.headers or {}))


async def _broken(_: Request, _error: Exception) -> Response:
    """What no handler answered, outside of all else: with the policy that every answer has."""
    body = {"error": {"kind": "EthostatError", "message": "internal error; it is in the log"}}
    return as_json(body, 500, dict(HEADERS))
