"""What the proxy adds to each event of 50 concurrent streams, against llama.cpp, in one run.

    python benchmarks/proxy.py [--streams 50] [--requests 3] [--tokens 32] [--rounds 3] [--observe broken]

The server is llama.cpp's own, with SmolLM2, in a process of its own. A tap before it, also a process, notes when each
request arrives and when each event leaves; the caller notes when each was sent and came. Rounds go through the proxy
and past it by turns, forwards and backwards, all of them through the tap, so that what the tap, the caller and the
machine cost stands in both. Each of the callers begins at a moment of its own and asks one request after the other, for
answers of various lengths, so that requests come while other streams run.

What is printed is the difference of the two distributions at a quantile: of the request's way up, of each event's way
down, and of the two together for the first event. Targets: 3 ms at p50, 10 ms at p99.

`--observe broken` makes every observation raise, `--observe hanging` never return.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing as mp
import random
import re
import socket
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import uvicorn
from starlette.applications import Starlette

from ethostat.server.proxy import Proxy, ProxySettings
from ethostat.server.running import settle

sys.path.append(str(Path(__file__).parent.parent / "tests"))

from servers import llama_server

TARGET = {50: 3.0, 99: 10.0}
_ID, _NUMBER = re.compile(rb'"id":"([^"]+)"'), re.compile(rb'"user": ?"r([0-9]+)"')


@dataclass
class Seen:
    """When requests (by number) and events (by answer's id, in order) went past, in seconds."""

    requests: dict[int, float] = field(default_factory=dict)
    events: dict[bytes, list[float]] = field(default_factory=lambda: defaultdict(list))
    firsts: dict[int, bytes] = field(default_factory=dict)

    def answer(self, parts: bytes, now: float) -> bytes:
        """Notes the events that are whole; gives back the rest."""
        *whole, rest = parts.split(b"\n\n")
        for event in whole:
            if found := _ID.search(event):
                self.events[found[1]].append(now)
        return rest


def main() -> None:
    """Measure and print; exit 1 beyond a target."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("streams", 50), ("requests", 3), ("tokens", 32), ("rounds", 3)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--observe", choices=["works", "broken", "hanging"], default="works")
    options = parser.parse_args()
    with llama_server(slots=options.streams, context=32 + options.tokens) as url:
        seen = {"past": [], "through": []}
        for turn in range(options.rounds):
            for way in ("past", "through") if turn % 2 == 0 else ("through", "past"):
                seen[way].append(one_round(url, way, options, number=turn))
    sys.exit(report(seen))


def one_round(url: str, way: str, options: argparse.Namespace, *, number: int) -> tuple[Seen, Seen, float]:
    """What the tap and the caller saw of all streams, and the seconds that they took."""
    address = urlsplit(url)
    told, telling = mp.Pipe()
    with Process(tap, address.hostname, address.port, telling) as port:
        if way == "past":
            mine, seconds = asyncio.run(call(port, options, number))
        else:
            with Process(proxy, f"http://127.0.0.1:{port}/v1", options.observe) as front:
                mine, seconds = asyncio.run(call(front, options, number))
        told.send(None)
        above: Seen = told.recv()
    print(f"round {number + 1}, {way}: {sum(map(len, mine.events.values())) / seconds:.0f} events/s", flush=True)
    return above, mine, seconds


class Process:
    """A server in a process of its own, on a port of loopback; ends with its block."""

    def __init__(self, run: Callable[..., None], *arguments: Any) -> None:
        self.listening = socket.create_server(("127.0.0.1", 0), backlog=1024)
        self.process = mp.get_context("fork").Process(target=run, args=(self.listening, *arguments), daemon=True)

    def __enter__(self) -> int:
        self.process.start()
        port: int = self.listening.getsockname()[1]
        self.listening.close()
        return port

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        self.process.join()


def proxy(listening: socket.socket, upstream: str, observe: str) -> None:
    """The proxy as `serve` runs it."""

    def observed(_: object) -> None:
        if observe == "broken":
            raise RuntimeError("broken")
        if observe == "hanging":
            time.sleep(3600)

    settle()
    app = Starlette(routes=Proxy(ProxySettings(upstream), observed).routes)
    config = uvicorn.Config(app, log_level="critical", access_log=False, server_header=False, date_header=False)
    uvicorn.Server(config).run([listening])


def tap(listening: socket.socket, host: str, port: int, telling: Any) -> None:
    """Relays connections and notes times until it is asked for them."""
    seen = Seen()

    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # asyncio leaves Nagle's algorithm on for sockets that were accepted from one like this.
        writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        above_reader, above_writer = await asyncio.open_connection(host, port)

        async def up() -> None:
            while data := await reader.read(65536):
                if found := _NUMBER.search(data):
                    seen.requests[int(found[1])] = time.perf_counter()
                above_writer.write(data)
            above_writer.close()

        upwards = asyncio.create_task(up())
        rest = b""
        while data := await above_reader.read(65536):
            now = time.perf_counter()
            writer.write(data)
            rest = seen.answer(rest + data, now)
        writer.close()
        upwards.cancel()

    async def run() -> None:
        async with await asyncio.start_server(relay, sock=listening):
            await asyncio.to_thread(telling.recv)
        telling.send(seen)

    asyncio.run(run())


async def call(port: int, options: argparse.Namespace, turn: int) -> tuple[Seen, float]:
    """All callers at once, each over a connection of its own."""
    seen = Seen()
    rng = random.Random(turn)  # noqa: S311

    async def one(caller: int, delay: float, lengths: Sequence[int]) -> None:
        await asyncio.sleep(delay)
        for place, length in enumerate(lengths):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            number = (turn * options.streams + caller) * options.requests + place
            request = asked(number, length)
            seen.requests[number] = time.perf_counter()
            writer.write(request)
            rest = data = b""
            while b"[DONE]" not in data:
                data = await reader.read(65536)
                assert data, "the stream broke"
                now = time.perf_counter()
                if number not in seen.firsts and (found := _ID.search(data)):
                    seen.firsts[number] = found[1]
                rest = seen.answer(rest + data, now)
            writer.close()

    await warm(port)
    began = time.perf_counter()
    callers = []
    for caller in range(options.streams):
        lengths = [rng.randrange(options.tokens // 2, options.tokens + 1) for _ in range(options.requests)]
        callers.append(one(caller, rng.uniform(0, 3), lengths))
    await asyncio.gather(*callers)
    return seen, time.perf_counter() - began


def asked(number: int, length: int) -> bytes:
    """A request as it is sent."""
    body = {
        "model": "smollm2",
        "messages": [{"role": "user", "content": f"Write a long story about the number {number}."}],
        "max_tokens": length,
        "ignore_eos": True,
        "stream": True,
        "user": f"r{number}",
    }
    content = json.dumps(body).encode()
    head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: {len(content)}\r\n"
    return f"{head}Content-Type: application/json\r\n\r\n".encode() + content


async def warm(port: int) -> None:
    """Waits until everything on the way has answered once."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET /v1/models HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert b"200" in await reader.readline()
    writer.close()


def delays(rounds: Sequence[tuple[Seen, Seen, float]]) -> dict[str, np.ndarray]:
    """Milliseconds of every request's way up, every event's way down, and both together for first events."""
    up, down, first = [], [], []
    for above, mine, _ in rounds:
        for number, sent in mine.requests.items():
            way_up = above.requests[number] - sent
            up.append(way_up)
            id = mine.firsts[number]
            first.append(way_up + mine.events[id][0] - above.events[id][0])
        for id, times in mine.events.items():
            down += [came - left for came, left in zip(times, above.events[id], strict=False)]
    return {"request": 1e3 * np.array(up), "event": 1e3 * np.array(down), "first event": 1e3 * np.array(first)}


def report(seen: dict[str, list[tuple[Seen, Seen, float]]]) -> bool:
    """Print the differences; whether a target was missed."""
    past, through = delays(seen["past"]), delays(seen["through"])
    missed = False
    for what in past:
        words = []
        for quantile, target in TARGET.items():
            low, high = (float(np.percentile(way[what], quantile)) for way in (past, through))
            words.append(f"p{quantile} {high - low:+.2f} ms ({low:.2f} past, {high:.2f} through; target {target:g})")
            missed |= high - low > target
        print(f"added to each {what} (n = {len(through[what])}): " + ", ".join(words))
    rates = {way: [sum(map(len, mine.events.values())) / s for _, mine, s in rounds] for way, rounds in seen.items()}
    print("events/s, median of rounds: " + ", ".join(f"{way} {np.median(rate):.0f}" for way, rate in rates.items()))
    return missed


if __name__ == "__main__":
    main()
