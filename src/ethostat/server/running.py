"""Runs a service until it is told to end. Logs are a JSON object a line and never hold what was asked or said."""

from __future__ import annotations

import gc
import json
import logging
import socket
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from types import FrameType
from typing import Any

import uvicorn

from ethostat.errors import InvalidInput
from ethostat.ledger import Ledger
from ethostat.server.access import check_binding
from ethostat.server.app import make_app
from ethostat.server.settings import ServeSettings
from ethostat.visible import stripped

_GRACE = 10
_log = logging.getLogger("ethostat.server")


def serve(settings: ServeSettings, *, on_listening: Callable[[str], None] = lambda _: None) -> None:
    """Serve until SIGTERM or SIGINT; what was accepted is on disk then, and requests under way have their answers.

    `on_listening` is given the URL once connections are taken. Raises InvalidInput where the address cannot be had or
    others could reach it, StoreError where the database cannot.
    """
    check_binding(settings.host, settings.database, now=time.time())
    _log_json()
    with Ledger(settings.database) as ledger:
        ledger.hold()
        listening = _bound(settings)
        url = _url(listening)
        app = make_app(settings, ledger)
        settle()
        config = uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            server_header=False,
            date_header=settings.proxy is None,  # what is forwarded has that of the server above
            proxy_headers=False,
            timeout_graceful_shutdown=_GRACE,
            lifespan="on",
        )
        _log.info("serving", extra={"fields": {"url": url, "database": ledger.name}})
        on_listening(url)
        _Server(config, app.state.board.end).run(sockets=[listening])
        _log.info("ended")


def settle() -> None:
    """Keep pauses short from here on, for the traffic that goes past.

    What is loaded by now stays, and need not be looked through for garbage again and again (0.2 s each time). Threads
    take turns every millisecond in place of five, so that nothing waits long for monitors that are at work.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 10, 10)
    sys.setswitchinterval(0.001)


class _Server(uvicorn.Server):
    """`on_exit` is called at the first signal: what listens without an end is to end."""

    def __init__(self, config: uvicorn.Config, on_exit: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_exit = on_exit

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002
        """The first signal ends it in peace, a second at once; either way the process ends as it wants to."""
        self._on_exit()
        self.force_exit = self.should_exit
        self.should_exit = True


def _bound(settings: ServeSettings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((settings.host, settings.port))
        listening.listen(2048)
    except OSError as error:
        listening.close()
        where = f"{settings.host}:{settings.port}"
        raise InvalidInput(f"{where} cannot be had ({error.strerror or error}); choose another --port") from error
    return listening


def _url(listening: socket.socket) -> str:
    host, port = listening.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


class _JsonLines(logging.Formatter):
    """A record as one JSON object: time, level, where, what, and the fields it was given; of an error the frames."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": stripped(record.getMessage(), most=500),
        }
        for name, value in getattr(record, "fields", {}).items():
            line[name] = stripped(value, most=500) if isinstance(value, str) else value
        if record.exc_info and record.exc_info[2] is not None:
            line["frames"] = _frames(record)
        return json.dumps(line, ensure_ascii=True, default=str)


def _frames(record: logging.LogRecord) -> list[str]:
    """Where an error came from: files, lines and functions, without its message, which may quote what was said."""
    assert record.exc_info is not None  # noqa: S101
    frames, at = [], record.exc_info[2]
    while at is not None:
        code = at.tb_frame.f_code
        frames.append(f"{code.co_filename}:{at.tb_lineno} {code.co_name}")
        at = at.tb_next
    return frames[-12:]


def _log_json() -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_JsonLines())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    logging.getLogger("ethostat").setLevel(logging.INFO)
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
