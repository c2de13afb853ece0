"""A real service for tests of its pages: one process, one SQLite file, a free port."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

GOALS = ("g1", "g2", "g3", "g4", "g5")
ALIGNED, MISALIGNED = (70, 3, 20, 2, 5), (35, 35, 10, 10, 10)
_MAIN = "from ethostat.cli import main; main()"


@dataclass(frozen=True)
class Served:
    """A service that listens."""

    url: str
    database: Path
    process: subprocess.Popen[str]

    def tell(self, stream: str, events: list[dict[str, Any]]) -> None:
        """Events of a stream; returns when they are on disk."""
        answer = httpx.post(
            f"{self.url}/v1/events", json={"events": [{"stream": stream, **one} for one in events]}, timeout=60
        )
        assert answer.status_code == 200, answer.text

    def post(self, path: str, body: dict[str, Any]) -> httpx.Response:
        """What the API answers to a change."""
        return httpx.post(self.url + path, json=body, timeout=60)

    def ask(self, path: str) -> Any:
        """What the API answers."""
        return httpx.get(self.url + path, timeout=60).raise_for_status().json()

    def wait_for(self, path: str, holds: Callable[[Any], bool]) -> Any:
        """What the API answers once something holds of it."""
        for _ in range(600):
            found = self.ask(path)
            if holds(found):
                return found
            time.sleep(0.1)
        raise AssertionError(f"{path} never became so: {json.dumps(found)[:500]}")


def verdicts(n: int, weights: tuple[int, ...], *, start: int = 0, **more: Any) -> list[dict[str, Any]]:
    """Events with verdicts drawn with these weights, the same each time."""
    rng = random.Random(start)
    return [{"id": str(start + place), "goal": rng.choices(GOALS, weights)[0], **more} for place in range(n)]


@contextmanager
def served(database: Path, *options: str, env: Mapping[str, str] | None = None) -> Iterator[Served]:
    """`ethostat serve` in a process of its own until this is left."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", **(env or {})}
    command = [sys.executable, "-c", _MAIN, "serve", "--db", str(database), "--port", "0", "--json", *options]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment
    )  # fmt: skip
    with process:
        assert process.stdout is not None
        try:
            yield Served(json.loads(process.stdout.readline())["url"], database, process)
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(30)
