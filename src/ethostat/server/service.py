"""What every handler has at hand, and how a handler becomes a route."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import msgspec
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from ethostat.errors import EthostatError, InvalidInput, StoreError
from ethostat.server.bodies import Bodies, TooSlow
from ethostat.server.ingest import TooLarge
from ethostat.server.intake import Full
from ethostat.server.metrics import Metrics
from ethostat.server.pipeline import Pipeline

_log = logging.getLogger("ethostat.server.service")
_ENCODER = msgspec.json.Encoder()
Handler = Callable[["Service", Request], Awaitable[Response]]


class NotFound(EthostatError):
    """There is nothing of this name."""


class WrongType(EthostatError):
    """A body is of a type that is not read here."""


@dataclass(frozen=True, slots=True)
class Service:
    """The pipeline, its metrics, and the reader of bodies."""

    pipeline: Pipeline
    metrics: Metrics
    bodies: Bodies


def route(service: Service, path: str, handler: Handler, *, method: str = "GET") -> Route:
    """A route whose errors are JSON and whose time is measured. `handler` is given the service and the request."""

    async def endpoint(request: Request) -> Response:
        began = time.perf_counter()
        response = await _answered(service, handler, request)
        service.metrics.request_seconds.labels(path).observe(time.perf_counter() - began)
        service.metrics.requests.labels(path, str(response.status_code)).inc()
        return response

    return Route(path, endpoint, methods=[method], name=f"{method} {path}")


def as_json(value: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """A value as a JSON response."""
    return Response(_encoded(value), status, headers, "application/json")


def refusal(error: EthostatError, status: int, headers: dict[str, str] | None = None) -> Response:
    """An error in the one form that errors have."""
    return as_json({"error": {"kind": type(error).__name__, "message": str(error)}}, status, headers)


def tenant_of(request: Request) -> str:
    """Whose streams the caller may see."""
    return str(getattr(request.state, "tenant", ""))


def caller_of(request: Request) -> str | None:
    """Who calls, where that is known."""
    name = getattr(request.state, "caller", None)
    return None if name is None else str(name)


def _encoded(value: Any) -> bytes:
    try:
        return _ENCODER.encode(value)
    except (UnicodeEncodeError, ValueError):  # a lone surrogate has no UTF-8 form; JSON can write it all the same
        return json.dumps(value, ensure_ascii=True, allow_nan=False).encode()


async def _answered(service: Service, handler: Handler, request: Request) -> Response:
    try:
        return await handler(service, request)
    except ClientDisconnect:
        return Response(status_code=499)
    except Full as error:
        return refusal(error, 429, {"Retry-After": str(error.retry_after)})
    except StoreError as error:
        return refusal(error, 503, {"Retry-After": "2"})
    except EthostatError as error:
        return refusal(error, next((status for kind, status in _STATUS if isinstance(error, kind)), 500))
    except Exception as error:  # noqa: BLE001 - a caller gets a sentence, the log the kind
        _log.exception("a request failed", extra={"fields": {"kind": type(error).__name__}})
        return refusal(EthostatError("internal error; it is in the log"), 500)


_STATUS: tuple[tuple[type[EthostatError], int], ...] = (
    (NotFound, 404),
    (TooLarge, 413),
    (WrongType, 415),
    (TooSlow, 408),
    (InvalidInput, 400),
)
