"""`ethostat serve` in a process of its own, and clients that lose nothing."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

import ethostat as es
from ethostat.ledger import Ledger
from ethostat.server.following import Following, replay

RUN = "import sys; from ethostat.cli import app; from ethostat.cli.frame import run; sys.exit(run(app, sys.argv[1:]))"
STEPPED = "import time; real = time.time; time.time = lambda: real() + float(open('clock').read() or 0); " + RUN
"""The same under a wall clock that is ahead by the seconds in the file `clock`, as one that was set while it ran."""
FLAGS = ("--baseline", "first:100", "--run-length", "1000", "--classifier", "goals-in-text", "--workers", "1")
GOALS = es.FIVE_GOALS.keys
TEMPLATE = es.Monitor(es.Baseline.of_first(100), run_length=1000)
"""The monitor that a stream begins with under FLAGS."""


class Serving:
    """A service under way. `url` is its address, `log` the file of its structured logs."""

    def __init__(self, database: str, log: Path, *flags: str, port: int = 0, program: str = RUN) -> None:
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        self.log = log
        with log.open("ab") as errors:
            self.process = subprocess.Popen(
                [sys.executable, "-c", program, "serve", "--db", database, "--port", str(port), "--json", *flags],
                stdout=subprocess.PIPE,
                stderr=errors,
                env=environment,
                text=True,
            )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line.startswith('{"url"'), line + self.process.communicate()[0] + log.read_text()
        self.url = json.loads(line)["url"]
        self.client = httpx.Client(base_url=self.url, timeout=30)

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self.url.rsplit(":", 1)[1])

    def kill(self) -> None:
        """kill -9."""
        self.process.send_signal(signal.SIGKILL)
        self.close()

    def stop(self) -> int:
        """SIGTERM; gives the exit code."""
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(timeout=60)
        self.close()
        return code

    def close(self) -> None:
        """Whatever is left of it goes."""
        self.client.close()
        self.process.kill()
        with self.process:
            pass

    def tell(self, events: list[dict[str, Any]]) -> httpx.Response:
        """Events, as one request."""
        return self.client.post("/v1/events", json={"events": events})

    def get(self, path: str, **query: Any) -> Any:
        """The JSON of a path."""
        answer = self.client.get(path, params=query)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def wait_until(self, holds: Callable[[], Any], *, seconds: float = 60) -> Any:
        """What `holds` gives, as soon as it is true."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            assert self.process.poll() is None, self.log.read_text()
            if found := holds():
                return found
            time.sleep(0.05)
        raise AssertionError(f"nothing came within {seconds} s; {self.log.read_text()[-2000:]}")

    def wait_for(self, count: int, stream: str = "chat") -> dict[str, Any]:
        """The stream, once so many of its events were followed."""

        def followed() -> dict[str, Any] | None:
            found = self.client.get(f"/v1/streams/{stream}")
            view = found.json()
            reached = found.status_code == 200 and view["count"] + view["failures"] >= count
            return view if reached else None

        return dict(self.wait_until(followed))


@contextmanager
def serving(database: str | Path, *flags: str, port: int = 0, program: str = RUN) -> Iterator[Serving]:
    """A service over this database, until this is left."""
    log = Path(database if "://" not in str(database) else "serve").with_suffix(".log")
    one = Serving(str(database), log, *(flags or FLAGS), port=port, program=program)
    try:
        yield one
    finally:
        one.close()


def told(count: int, *, stream: str = "chat", seed: int = 1, start: int = 0, shares: tuple[float, ...] | None = None):
    """Events with verdicts, their ids counted from `start`."""
    rng = random.Random(seed)  # noqa: S311 - responses, not secrets
    goals = rng.choices(GOALS, shares or (0.8, 0.05, 0.05, 0.05, 0.05), k=count)
    return [{"id": f"{start + n}", "stream": stream, "goal": goal} for n, goal in enumerate(goals)]


class Client(threading.Thread):
    """Tells batches of events and tells each again until it is acknowledged, as a client that loses nothing does.

    A third of the events bring a text to classify. `acknowledged` are the ids (with their streams) that a service said
    are on disk.
    """

    def __init__(self, number: int, port: int, *, batch: int = 20, streams: int = 3, pause: float = 0.0) -> None:
        super().__init__(daemon=True)
        self.number, self.port, self.batch, self.streams, self.pause = number, port, batch, streams, pause
        self.acknowledged: set[tuple[str, str]] = set()
        self.told: set[tuple[str, str]] = set()
        self.stopping = threading.Event()
        self.refused = 0

    def run(self) -> None:
        """Until `stopping` is set."""
        rng, turn = random.Random(self.number), 0  # noqa: S311 - responses, not secrets
        with httpx.Client(base_url=f"http://127.0.0.1:{self.port}", timeout=20) as client:
            while not self.stopping.is_set():
                events = [self._event(rng, f"{self.number}/{turn}/{n}", turn) for n in range(self.batch)]
                turn += 1
                self._tell(client, events)
                self.stopping.wait(self.pause)

    def _event(self, rng: random.Random, id: str, turn: int) -> dict[str, Any]:
        shares = (0.8, 0.05, 0.05, 0.05, 0.05) if turn % 60 < 40 else (0.3, 0.5, 0.1, 0.05, 0.05)
        goal = rng.choices(GOALS, shares)[0]
        event: dict[str, Any] = {"id": id, "stream": f"s{rng.randrange(self.streams)}"}
        if rng.random() < 1 / 3:
            return event | {"prompt": "question", "response": f"{goal} said"}
        return event | {"goal": goal}

    def _tell(self, client: httpx.Client, events: list[dict[str, Any]]) -> None:
        ids = {(event["stream"], event["id"]) for event in events}
        self.told |= ids
        while not self.stopping.is_set():
            try:
                answer = client.post("/v1/events", json={"events": events})
            except httpx.TransportError:
                time.sleep(0.05)
                continue
            if answer.status_code == 200:
                said = answer.json()
                assert said["accepted"] + said["duplicates"] == len(events), said
                self.acknowledged |= ids
                return
            assert answer.status_code in (429, 503), answer.text
            self.refused += 1
            time.sleep(0.05)


def check_whole(database: str | Path, clients: list[Client]) -> int:
    """The log holds all that was acknowledged, nothing twice and nothing else; each monitor is that of a replay.

    Gives the number of events.
    """
    acknowledged = {one for client in clients for one in client.acknowledged}
    everything = {one for client in clients for one in client.told}
    total = 0
    with Ledger(database) as ledger:
        found: set[tuple[str, str]] = set()
        for stream in ledger.streams():
            position = ledger.find_stream(stream.tenant, stream.name)
            assert position is not None
            assert position.cursor == position.last
            events = list(_all_events(ledger, position.stream_key))
            assert [event.seq for event in events] == list(range(1, position.last + 1))
            ids = {(stream.name, event.id) for event in events}
            assert len(ids) == len(events)
            found |= ids
            total += len(events)
            counts = {goal: sum(event.goal == goal for event in events) for goal in GOALS}
            assert {goal: position.counts.get(goal, 0) for goal in GOALS} == counts
            minutes = ledger.minutes(position.stream_key, most=10**6)
            assert {goal: sum(m.counts.get(goal, 0) for m in minutes) for goal in GOALS} == counts
            monitor, alerts = replay(ledger, position.stream_key, TEMPLATE)
            assert json.loads(json.dumps(monitor.to_dict())).items() <= position.monitor.items()
            kept = ledger.alerts(stream=stream.name, most=10**6)
            assert [alert.to_dict() for alert in alerts] == [one.body for one in reversed(kept)]
        assert acknowledged <= found
        assert found <= everything
    return total


def _all_events(ledger: Ledger, key: int):
    after = 0
    while events := ledger.events(key, after=after):
        yield from events
        after = events[-1].seq


def wait_until(holds, seconds: float = 30.0):
    """What it gives, once it is true."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := holds():
            return found
        time.sleep(0.02)
    raise AssertionError(f"it did not come within {seconds} s")


def settle(ledger: Ledger, one: Following) -> None:
    """Until everything in the log was followed."""
    one.wake(claim=True)
    wait_until(lambda: ledger.totals()[2] == 0)


def assert_replays(ledger: Ledger, stream: str = "chat", template=TEMPLATE) -> es.Monitor:
    """The monitor on disk, which is that of a replay, as are the alerts."""
    position = ledger.find_stream("", stream)
    monitor, alerts = replay(ledger, position.stream_key, template)
    assert json.loads(json.dumps(monitor.to_dict())).items() <= position.monitor.items()
    assert [one.to_dict() for one in alerts] == [one.body for one in reversed(ledger.alerts(stream=stream))]
    return monitor
