"""Apps served by a real uvicorn on loopback, and the proxy as such an app."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import uvicorn
from starlette.applications import Starlette

from ethostat.server.proxy import Proxy


@contextmanager
def served(app: Any) -> Iterator[str]:
    """The base URL of the app, served by uvicorn in a thread as `serve` would."""
    config = uvicorn.Config(app, port=0, log_level="critical", server_header=False, date_header=False, ws="none")
    server = uvicorn.Server(config)
    server.install_signal_handlers = lambda: None
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive(), "the server did not start"
            time.sleep(0.01)
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()


def app_of(proxy: Proxy) -> Starlette:
    """The proxy alone, closed with its server."""

    @asynccontextmanager
    async def lifespan(_):
        yield
        await proxy.aclose()

    return Starlette(routes=proxy.routes, lifespan=lifespan)


def soon(holds: Callable[[], object], seconds: float = 20.0) -> None:
    """Waits until it holds."""
    until = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < until, "did not happen in time"
        time.sleep(0.01)
