"""A receiver of webhooks, with real sockets, that keeps what it is sent and answers as its script says."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

ALLOW = ("127.0.0.0/8",)
Answer = tuple[int, dict[str, str], bytes]
TAKEN: Answer = (204, {}, b"")


@dataclass
class Got:
    """One request."""

    path: str
    headers: dict[str, str]
    body: bytes
    is_tls: bool = False


@dataclass
class Receiver:
    """`got` holds requests in order of arrival; `url` is where to post to."""

    url: str
    port: int
    got: list[Got] = field(default_factory=list)


class _Quiet(ThreadingHTTPServer):
    def handle_error(self, request, client_address) -> None:
        """A sender that left is nothing to report."""


@contextmanager
def receiver(script: Callable[[int], Answer] = lambda _: TAKEN, *, host: str = "127.0.0.1", tls=None) -> Iterator:
    """A server in a thread; `script` gives status, headers and body of the answer to request number n, from 0."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            headers = {name.lower(): value for name, value in self.headers.items()}
            kept.got.append(Got(self.path, headers, body, tls is not None))
            status, more, said = script(len(kept.got) - 1)
            self.send_response(status)
            for name, value in {"content-length": str(len(said)), **more}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(said)

        def log_message(self, *_: object) -> None:
            pass

    server = _Quiet((host, 0), Handler)
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    port = server.server_address[1]
    kept = Receiver(f"http{'s' if tls else ''}://{host}:{port}/hooks/abc", port)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield kept
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
