"""What three HTTP clients cost the proxy: CPU time for each chunk of 50 concurrent streams, and for each request.

    python benchmarks/proxy_clients.py [--streams 50] [--chunks 200] [--rounds 3]

A uvicorn server in a process of its own sends server-sent events; each client reads them raw, as a proxy would. CPU
time of this process alone is counted, so that what the server and the machine do is not.
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing as mp
import socket
import statistics
import time
from collections.abc import AsyncIterator, Awaitable, Callable

import aiohttp
import httpcore
import httpx
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import StreamingResponse
from starlette.routing import Route

EVENT = b"data: " + b"x" * 250 + b"\n\n"
Read = Callable[[str], Awaitable[int]]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("streams", 50), ("chunks", 200), ("rounds", 3)):
        parser.add_argument(f"--{name}", type=int, default=default)
    options = parser.parse_args()
    listening = socket.create_server(("127.0.0.1", 0), backlog=1024)
    server = mp.get_context("fork").Process(target=serve, args=(listening,), daemon=True)
    server.start()
    url = f"http://127.0.0.1:{listening.getsockname()[1]}"
    costs: dict[str, list[tuple[float, float]]] = {client.__name__: [] for client in CLIENTS}
    for _ in range(options.rounds):
        for client in CLIENTS:
            costs[client.__name__].append(asyncio.run(cost(client, url, options.streams, options.chunks)))
    server.terminate()
    for name, pairs in costs.items():
        chunk, request = (statistics.median(values) * 1e6 for values in zip(*pairs, strict=True))
        print(f"{name}: {chunk:.0f} us of CPU a chunk, {request:.0f} us a request (median of {options.rounds})")


async def cost(
    client: Callable[[Callable[[Read], Awaitable[None]]], Awaitable[None]], url: str, streams: int, chunks: int
) -> tuple[float, float]:
    """CPU seconds a chunk and a request."""
    spent: dict[int, float] = {}

    async def measure(read: Read) -> None:
        for size in (1, chunks):
            await asyncio.gather(*(read(f"{url}/{size}") for _ in range(streams)))  # connections are opened here
            began = time.process_time()
            sizes = await asyncio.gather(*(read(f"{url}/{size}") for _ in range(streams)))
            spent[size] = time.process_time() - began
            assert set(sizes) == {size * len(EVENT)}

    await client(measure)
    return (spent[chunks] - spent[1]) / streams / (chunks - 1), spent[1] / streams


async def with_aiohttp(measure: Callable[[Read], Awaitable[None]]) -> None:
    """aiohttp, as the proxy uses it."""
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), auto_decompress=False) as session:

        async def read(url: str) -> int:
            size = 0
            async with session.post(url, data=b"{}") as response:
                while part := await response.content.readany():
                    size += len(part)
            return size

        await measure(read)


async def with_httpx(measure: Callable[[Read], Awaitable[None]]) -> None:
    """httpx, raw."""
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=None)
    async with httpx.AsyncClient(limits=limits, timeout=None) as client:  # noqa: S113

        async def read(url: str) -> int:
            async with client.stream("POST", url, content=b"{}") as response:
                return sum([len(part) async for part in response.aiter_raw()])

        await measure(read)


async def with_httpcore(measure: Callable[[Read], Awaitable[None]]) -> None:
    """httpcore, which httpx is built on."""
    async with httpcore.AsyncConnectionPool(max_connections=None) as pool:

        async def read(url: str) -> int:
            async with pool.stream("POST", url, content=b"{}") as response:
                return sum([len(part) async for part in response.aiter_stream()])

        await measure(read)


CLIENTS = (with_aiohttp, with_httpx, with_httpcore)


def serve(listening: socket.socket) -> None:
    """Streams of as many events as the path says."""

    async def events(chunks: int) -> AsyncIterator[bytes]:
        for _ in range(chunks):
            yield EVENT
            await asyncio.sleep(0.005)

    async def stream(request: Request) -> StreamingResponse:
        return StreamingResponse(events(request.path_params["chunks"]), media_type="text/event-stream")

    app = Starlette(routes=[Route("/{chunks:int}", stream, methods=["POST"])])
    uvicorn.Server(uvicorn.Config(app, log_level="critical", access_log=False)).run([listening])


if __name__ == "__main__":
    main()
