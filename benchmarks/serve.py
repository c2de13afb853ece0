"""What the service takes, keeps and costs: a real `ethostat serve`, real databases, clients in a process of their own.

    python benchmarks/serve.py [ready] [single] [classify] [kills] [memory] [--database sqlite|postgresql|both]
        [--seconds 60] [--rows 1500] [--kills 30] [--minutes 10] [--json FILE]

  ready      events with verdicts, 50 a request over 8 connections, as fast as they are acknowledged: events a second,
             and the time until an acknowledgement; how far the monitors are behind at the end
  paced      the same at 3,000 (PostgreSQL: 1,500) events a second, the time counted from when a request was due
  single     one event a request over 32 connections
  classify   responses to classify: rows a second from the first request until every monitor has seen its verdict,
             beside those of the classifier alone in one process, by turns
  kills      kill -9 at random moments while clients tell and tell again; then the log, the counts, the alerts and every
             monitor are held against what was acknowledged and against a replay
  memory     resident memory of the service over minutes of 1,000 events a second: its slope after the first third

The clients share the machine's processors with the service.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import psutil

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
from _table import Row, fact, line
from classify import row_of
from ethostat.classifiers import load_builtin
from servers import new_database, postgres
from serving import FLAGS, GOALS, Client, Serving, check_whole

ACKNOWLEDGED_WITHIN = 0.250
LEAST = {"sqlite": 3_000.0, "postgresql": 1_500.0}
SHARES = (0.8, 0.05, 0.05, 0.05, 0.05)
USUAL = ("--workers", "1")
"""Everything else as it comes: a baseline of the first 500 responses, a run length of 10,000."""


def main() -> None:
    """Run the parts that are named, all by default, on the databases that are named."""
    options = _options()
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as folder, _databases(options.database, Path(folder)) as databases:
        for part in options.parts or ["ready", "paced", "single", "classify", "kills", "memory"]:
            for kind, new in databases:
                rows += PARTS[part](kind, new(), options)
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1))
    raise SystemExit(0 if all(row["met"] for row in rows) else 1)


@contextmanager
def _databases(wanted: str, folder: Path) -> Iterator[list]:
    """For each kind its name and what makes an empty database."""
    count = iter(range(1000))
    sqlite = ("sqlite", lambda: str(folder / f"serve{next(count)}.db"))
    if wanted == "sqlite":
        yield [sqlite]
        return
    with postgres(folder / "postgres") as server:
        other = ("postgresql", lambda: new_database(server, f"bench{next(count)}"))
        yield [other] if wanted == "postgresql" else [sqlite, other]


@contextmanager
def _served(database: str, *flags: str) -> Iterator[Serving]:
    with tempfile.TemporaryDirectory() as folder:
        one = Serving(database, Path(folder) / "log", *flags)
        try:
            yield one
        finally:
            one.close()


# Load: a process of its own, plain sockets, bodies made beforehand


class Load:
    """Requests over several connections for some seconds; `latencies` are seconds until the acknowledgement."""

    def __init__(self, port: int, *, connections: int, batch: int, seconds: float, rate: float | None = None) -> None:
        self.port, self.connections, self.batch, self.seconds, self.rate = port, connections, batch, seconds, rate
        self.latencies: list[float] = []
        self.statuses: dict[int, int] = {}

    async def run(self) -> float:
        """Gives the seconds that it took."""
        began = time.perf_counter()
        await asyncio.gather(*(self._connection(number, began) for number in range(self.connections)))
        return time.perf_counter() - began

    async def _connection(self, number: int, began: float) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        rng, turn = random.Random(number), 0  # noqa: S311 - responses, not secrets
        every = None if self.rate is None else self.batch * self.connections / self.rate
        while (now := time.perf_counter()) < began + self.seconds:
            due = now
            if every is not None:
                due = began + every * (turn + number / self.connections)
                await asyncio.sleep(max(0.0, due - now))
            writer.write(self._request(rng, number, turn))
            status = await _answer(reader)
            self.latencies.append(time.perf_counter() - due)
            self.statuses[status] = self.statuses.get(status, 0) + 1
            turn += 1
        writer.close()

    def _request(self, rng: random.Random, number: int, turn: int) -> bytes:
        goals = rng.choices(GOALS, SHARES, k=self.batch)
        events = ",".join(
            f'{{"id":"{number}-{turn}-{n}","stream":"s{n % 5}","goal":"{goal}","time":"2026-03-01T12:00:00Z"}}'
            for n, goal in enumerate(goals)
        )
        body = f'{{"events":[{events}]}}'.encode()
        head = "POST /v1/events HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
        return f"{head}content-length: {len(body)}\r\n\r\n".encode() + body


async def _answer(reader: asyncio.StreamReader) -> int:
    head = await reader.readuntil(b"\r\n\r\n")
    size = next(int(one.split(b":")[1]) for one in head.lower().split(b"\r\n") if one.startswith(b"content-length"))
    await reader.readexactly(size)
    return int(head.split()[1])


def _loaded(arguments: tuple[int, dict]) -> tuple[float, list[float], dict[int, int]]:
    port, settings = arguments
    load = Load(port, **settings)
    return asyncio.run(load.run()), load.latencies, load.statuses


def _press(one: Serving, **settings: float) -> tuple[float, np.ndarray, dict[int, int], float]:
    """Seconds, latencies, answers by status, and processor seconds of the service a second."""
    process = psutil.Process(one.process.pid)
    before = sum(process.cpu_times()[:2])
    with get_context("spawn").Pool(1) as pool:
        seconds, latencies, statuses = pool.map(_loaded, [(one.port, settings)])[0]
    return seconds, np.array(latencies), statuses, (sum(process.cpu_times()[:2]) - before) / seconds


# Parts


def ready(kind: str, database: str, options: argparse.Namespace, *, rate: float | None = None) -> list[Row]:
    """Events with verdicts, as fast as they are acknowledged, or at a rate."""
    name = f"{kind}: ready verdicts" + ("" if rate is None else f" at {rate:,.0f}/s")
    with _served(database, *USUAL) as one:
        _press(one, connections=2, batch=50, seconds=2.0)
        seconds, latencies, statuses, cpu = _press(one, connections=8, batch=50, seconds=options.seconds, rate=rate)
        behind = one.get("/v1/streams")["streams"]
        began = time.perf_counter()
        one.wait_until(lambda: not any(s["lag"]["events"] for s in one.get("/v1/streams")["streams"]), seconds=300)
        caught_up = time.perf_counter() - began
    per_second, p99 = 50 * len(latencies) / seconds, float(np.quantile(latencies, 0.99))
    least = LEAST[kind] * (0.98 if rate else 1.0)
    return [
        line(f"{name}, events/s over {seconds:.0f} s", per_second, f">= {least:,.0f}", met=per_second >= least),
        line(f"{name}, p99 until acknowledged, s", p99, f"< {ACKNOWLEDGED_WITHIN}", met=p99 < ACKNOWLEDGED_WITHIN),
        fact(f"{name}, p50 until acknowledged, s", float(np.median(latencies))),
        line(
            f"{name}, answers other than 200",
            sum(n for s, n in statuses.items() if s != 200),
            "0",
            met=set(statuses) == {200},
        ),
        fact(f"{name}, events that monitors were behind at the end", sum(s["lag"]["events"] for s in behind)),
        fact(f"{name}, seconds until they were not", caught_up),
        fact(f"{name}, processors that the service used", cpu),
    ]


def paced(kind: str, database: str, options: argparse.Namespace) -> list[Row]:
    """At the rate that is asked for, latencies counted from when a request was due."""
    return ready(kind, database, options, rate=LEAST[kind])


def single(kind: str, database: str, options: argparse.Namespace) -> list[Row]:
    """One event a request."""
    with _served(database, *USUAL) as one:
        _press(one, connections=2, batch=1, seconds=1.0)
        seconds, latencies, _, _ = _press(one, connections=32, batch=1, seconds=min(options.seconds, 20.0))
    return [
        fact(f"{kind}: one event a request, events/s", len(latencies) / seconds),
        fact(f"{kind}: one event a request, p99 until acknowledged, s", float(np.quantile(latencies, 0.99))),
    ]


def classify(kind: str, database: str, options: argparse.Namespace) -> list[Row]:
    """Responses to classify, beside the classifier alone; three rounds by turns."""
    alone = load_builtin()
    rng = random.Random(1)  # noqa: S311 - texts, not secrets
    rows = [row_of(rng, number) for number in range(options.rows)]
    alone.classify(rows[:50])
    ratios, served = [], []
    with _served(database, "--baseline", "first:100", "--store-text", "never") as one:
        one.tell([{"id": "warm", "stream": "warm", "response": "hello"}])
        one.wait_for(1, "warm")
        one.wait_until(lambda: "ethostat_workers 2" in one.client.get("/metrics").text or psutil.cpu_count() == 1)
        for turn in range(3):
            began = time.perf_counter()
            alone.classify(rows)
            rate = len(rows) / (time.perf_counter() - began)
            began = time.perf_counter()
            for start in range(0, len(rows), 100):
                some = rows[start : start + 100]
                events = [
                    {"id": f"{start + n}", "stream": f"t{turn}", "prompt": row.prompt.text, "response": row.text}
                    for n, row in enumerate(some)
                ]
                assert one.tell(events).status_code == 200
            while one.get(f"/v1/streams/t{turn}")["count"] < len(rows):
                time.sleep(0.3)  # looking costs a few milliseconds, too
            served.append(len(rows) / (time.perf_counter() - began))
            ratios.append(served[-1] / rate)
    ratio = statistics.median(ratios)
    return [
        fact(f"{kind}: responses classified in the service, rows/s", statistics.median(served)),
        line(f"{kind}: of the classifier's own rows/s", ratio, ">= 0.8", met=ratio >= 0.8),
    ]


def kills(kind: str, database: str, options: argparse.Namespace) -> list[Row]:
    """Kill, start again, many times; then everything is held against everything."""
    rng, port, deaths = random.Random(3), 0, 0  # noqa: S311 - moments of death
    clients: list[Client] = []
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(options.kills):
            one = Serving(database, Path(folder) / "log", *FLAGS, port=port)
            if not clients:
                port = one.port
                clients = [Client(number, port, batch=50) for number in range(3)]
                for client in clients:
                    client.start()
            time.sleep(rng.uniform(0.1, 3.0))
            one.kill()
            deaths += 1
        last = Serving(database, Path(folder) / "log", *FLAGS, port=port)
        time.sleep(1.0)
        for client in clients:
            client.stopping.set()
        for client in clients:
            client.join()
        last.wait_until(lambda: not any(s["lag"]["events"] for s in last.get("/v1/streams")["streams"]), seconds=300)
        last.stop()
    events = check_whole(database, clients)  # raises where anything is lost, doubled or other than in a replay
    acknowledged = sum(len(client.acknowledged) for client in clients)
    return [
        fact(f"{kind}: kill -9 under load", deaths),
        fact(f"{kind}: events acknowledged over them", acknowledged),
        line(f"{kind}: lost, doubled, or other than a replay ({events:,} in the log)", 0, "0", met=True),
    ]


def memory(kind: str, database: str, options: argparse.Namespace) -> list[Row]:
    """Resident memory over minutes of load."""
    with _served(database, *USUAL) as one:
        process, seen, done = psutil.Process(one.process.pid), [], threading.Event()

        def look() -> None:
            began = time.monotonic()
            while not done.wait(2.0):
                seen.append((time.monotonic() - began, process.memory_info().rss))

        thread = threading.Thread(target=look)
        thread.start()
        _press(one, connections=4, batch=50, seconds=60 * options.minutes, rate=1_000.0)
        done.set()
        thread.join()
    at, size = np.array(seen[len(seen) // 3 :]).T
    slope = float(np.polyfit(at, size, 1)[0]) * 86_400 / 2**20
    grown = 100 * slope / (float(size.mean()) / 2**20)
    return [
        fact(f"{kind}: resident memory at 1,000 events/s, MB", float(size.mean()) / 2**20),
        fact(f"{kind}: its largest less its least after the first third, MB", float(np.ptp(size)) / 2**20),
        fact(f"{kind}: slope over {options.minutes} minutes, MB a day", slope),
        fact(f"{kind}: slope, % a day", grown),
    ]


PARTS = {"ready": ready, "paced": paced, "single": single, "classify": classify, "kills": kills, "memory": memory}


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], help="which parts; all by default")
    parser.add_argument("--database", choices=["sqlite", "postgresql", "both"], default="both")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--rows", type=int, default=1_500)
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--json", type=Path, metavar="FILE")
    return parser.parse_args()


if __name__ == "__main__":
    main()
