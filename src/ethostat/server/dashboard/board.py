"""The board: what the pages of one service have at hand, and how a handler of theirs becomes a route."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable
from typing import TypeVar

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from ethostat.access import Register
from ethostat.errors import EthostatError, InvalidInput, StoreError, TooLittleEvidence
from ethostat.ledger import Ledger, Position
from ethostat.ledger.courses import marks
from ethostat.server.dashboard.course import Signal
from ethostat.server.dashboard.glance import Glances
from ethostat.server.dashboard.live import Name, Pulse, Stamps
from ethostat.server.dashboard.refusing import problem_page
from ethostat.server.dashboard.reviewing import Desks, Standing
from ethostat.server.dashboard.tracing import retraced
from ethostat.server.outward import Outward
from ethostat.server.service import NotFound, Service
from ethostat.store import Store
from ethostat.taxonomy import Taxonomy

_log = logging.getLogger("ethostat.server.dashboard")
_MOST_TRACES, _TRACE = 200, 500
T = TypeVar("T")


class Board:
    """One service, as pages see it."""

    def __init__(self, service: Service, register: Register, outward: Outward) -> None:
        self.service, self.register, self.outward = service, register, outward
        self.began = time.time()
        self.glances = Glances(self.ledger, self.taxonomy)
        self.is_ending = False
        self.pulse = Pulse(self._stamps, is_ending=lambda: self.is_ending)
        self.desks = Desks()
        self.standings: dict[str, tuple[str, int, Standing]] = {}
        self.heavy = asyncio.Semaphore(1)
        self._traces: OrderedDict[Name, deque[Signal]] = OrderedDict()
        self._store: Store | None = None

    @property
    def ledger(self) -> Ledger:
        """Events, streams and alerts."""
        return self.service.pipeline.ledger

    @property
    def taxonomy(self) -> Taxonomy:
        """The goals of all streams."""
        return self.service.pipeline.taxonomy

    @property
    def store(self) -> Store:
        """Runs and labels, in the same database."""
        if self._store is None:
            self._store = Store(self.service.pipeline.settings.database)
        return self._store

    def end(self) -> None:
        """Let pages that listen go, within a second, so that nothing waits for them."""
        self.is_ending = True

    def close(self) -> None:
        """Release the store."""
        self.end()
        if self._store is not None:
            self._store.close()
            self._store = None

    def trace(self, name: Name, now: Signal | None, position: Position) -> list[Signal]:
        """The evidence as pages saw it, with what they see now: finer than the minutes of the ledger while it lasts.

        It begins with the whole log of a stream that is young enough.
        """
        if name not in self._traces:
            begins = retraced(self.ledger, position, self.service.pipeline.template)
            self._traces[name] = deque(begins, maxlen=_TRACE)
        seen = self._traces[name]
        self._traces.move_to_end(name)
        while len(self._traces) > _MOST_TRACES:
            self._traces.popitem(last=False)
        if now is not None and (not seen or seen[-1].step < now.step):
            seen.append(now)
        return list(seen)

    def _stamps(self) -> Stamps:
        return {Name(one.tenant, one.stream): (one.version, one.last) for one in marks(self.ledger)}


Page = Callable[[Board, Request], Awaitable[Response]]


def page_route(board: Board, path: str, handler: Page) -> Route:
    """A route of a page: its errors are pages, and its time is measured as that of the API is."""

    async def endpoint(request: Request) -> Response:
        began = time.perf_counter()
        response = await _answered(board, handler, request)
        metrics = board.service.metrics
        metrics.request_seconds.labels(path).observe(time.perf_counter() - began)
        metrics.requests.labels(path, str(response.status_code)).inc()
        return response

    return Route(path, endpoint, methods=["GET"], name=f"page {path}")


async def work(look: Callable[[], T]) -> T:
    """What may block, in a thread."""
    return await asyncio.to_thread(look)


async def _answered(board: Board, handler: Page, request: Request) -> Response:
    try:
        return await handler(board, request)
    except ClientDisconnect:
        return Response(status_code=499)
    except EthostatError as error:
        return problem_page(request, str(error), next((code for kind, code in _STATUS if isinstance(error, kind)), 500))
    except Exception as error:  # noqa: BLE001 - a reader gets a sentence, the log the kind
        _log.exception("a page failed", extra={"fields": {"kind": type(error).__name__}})
        return problem_page(request, "this page could not be made; the log says why", 500)


_STATUS: tuple[tuple[type[EthostatError], int], ...] = (
    (NotFound, 404),
    (StoreError, 503),
    (TooLittleEvidence, 404),
    (InvalidInput, 400),
)
