"""The application: routes, what surrounds them, and the pipeline that lives as long as it does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from ipaddress import ip_address
from urllib.parse import urlsplit

from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from ethostat.errors import EthostatError
from ethostat.ledger import Ledger
from ethostat.monitor import Alert
from ethostat.server import api
from ethostat.server.bodies import Bodies
from ethostat.server.metrics import Metrics
from ethostat.server.otlp import Naming, otlp_routes
from ethostat.server.pipeline import Hooks, Pipeline
from ethostat.server.proxy import Proxy
from ethostat.server.service import Service, as_json, refusal
from ethostat.server.settings import ServeSettings


def make_app(settings: ServeSettings, ledger: Ledger) -> Starlette:
    """The application over a ledger, which it closes when it ends."""
    metrics = Metrics()

    def count(_tenant: str, _stream: str, alert: Alert) -> None:
        metrics.alerts.labels(alert.tier, alert.kind).inc()

    def committed(seconds: float, events: int) -> None:
        metrics.commit_seconds.observe(seconds)
        metrics.commit_events.observe(events)

    hooks = Hooks(
        on_alert=count, on_commit=committed, on_step=lambda seconds, _events: metrics.step_seconds.observe(seconds)
    )
    pipeline = Pipeline(ledger, settings, hooks)
    metrics.watch(pipeline)
    bodies = Bodies(most_body=settings.most_body, most_unpacked=settings.most_unpacked)
    service = Service(pipeline, metrics, bodies)
    proxy = None if settings.proxy is None else Proxy(settings.proxy, pipeline.intake.observe)
    if proxy is not None:
        metrics.watch_proxy(proxy)
    app = Starlette(
        routes=[
            *api.routes(service),
            *otlp_routes(service, Naming(settings.stream_attribute)),
            *(proxy.routes if proxy else ()),
        ],
        middleware=[Middleware(OwnPages, is_local=settings.is_local)],
        exception_handlers={HTTPException: _plain},
        lifespan=_living(pipeline, proxy),
    )
    app.state.service = service
    return app


def _living(pipeline: Pipeline, proxy: Proxy | None) -> Callable[[Starlette], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def living(_: Starlette) -> AsyncIterator[None]:
        pipeline.start()
        yield
        if proxy is not None:
            await proxy.aclose()
        await asyncio.to_thread(pipeline.stop)

    return living


class OwnPages:
    """Refuses what a browser sends for the pages of others.

    A service on loopback asks for no key. So that no page from elsewhere can use a browser on this machine to reach it,
    the host must be this machine's (else a name that resolves here would do), and an origin, where one is named, the
    service's own.
    """

    def __init__(self, app: ASGIApp, *, is_local: bool) -> None:
        self._app, self._is_local = app, is_local

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and (why := self._refuses(Headers(scope=scope))):
            await refusal(EthostatError(why), 403)(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _refuses(self, headers: Headers) -> str | None:
        host, origin = headers.get("host", ""), headers.get("origin")
        if self._is_local and not _is_here(host):
            return "the host must be 127.0.0.1, [::1] or localhost"
        if origin is not None and urlsplit(origin).netloc != host:
            return "a page from elsewhere may not use this service"
        return None


def _is_here(host: str) -> bool:
    try:
        name = urlsplit(f"//{host}").hostname or ""
        return name == "localhost" or ip_address(name).is_loopback
    except ValueError:
        return False


async def _plain(_: Request, error: Exception) -> Response:
    """What Starlette itself refuses, in the one form that errors have."""
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for nothing else
    body = {"error": {"kind": "NotFound" if error.status_code == 404 else "Refused", "message": error.detail}}
    return as_json(body, error.status_code, dict(error.headers or {}))
