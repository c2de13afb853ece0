"""Programs of others that tests run: Prometheus, promtool, Alertmanager. scripts/ensure_servers.sh brings them."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx


def program(name: str) -> str:
    """The path of a program; fails with what brings it where there is none."""
    beside = Path(sys.executable).parent
    found = shutil.which(name, path=f"{beside}{os.pathsep}{os.environ.get('PATH', '')}")
    assert found, f"there is no {name}; sh scripts/ensure_servers.sh {beside} brings it"
    return found


def ran(*arguments: str, given: str | None = None) -> subprocess.CompletedProcess[str]:
    """What a program said, with an exit code that is left to the caller."""
    command = [program(arguments[0]), *arguments[1:]]
    return subprocess.run(command, input=given, capture_output=True, text=True, check=False)


def free_port() -> int:
    """A port that was free just now."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@contextmanager
def running(*arguments: str, log: Path, ready: str) -> Iterator[None]:
    """A server of somebody else, from when `ready` (a URL) answers until this is left."""
    with log.open("wb") as said, subprocess.Popen([program(arguments[0]), *arguments[1:]], stderr=said) as process:
        try:
            until(lambda: process.poll() is None and answers(ready), what=log.read_text)
            yield
        finally:
            process.terminate()


def until(holds: Callable[[], Any], *, seconds: float = 60.0, what: Callable[[], Any] = lambda: "") -> Any:
    """What `holds` gives, as soon as it is true; `what` is said where it never is."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := holds():
            return found
        time.sleep(0.1)
    raise AssertionError(f"nothing came within {seconds} s: {what()}")


def answers(url: str) -> bool:
    """Whether a GET is answered with 200."""
    try:
        return httpx.get(url).status_code == 200
    except httpx.TransportError:
        return False
