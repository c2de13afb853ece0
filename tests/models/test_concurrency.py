"""How the number of requests under way adapts."""

from __future__ import annotations

import asyncio
import time

from ethostat.models.concurrency import Concurrency


async def _round_trip(concurrency: Concurrency, *, requests: int) -> int:
    """Run requests that all succeed; the most that were under way at once."""
    active = most = 0

    async def one() -> None:
        nonlocal active, most
        async with concurrency.slot():
            active += 1
            most = max(most, active)
            await asyncio.sleep(0.001)
            concurrency.succeeded()
            active -= 1

    await asyncio.gather(*[one() for _ in range(requests)])
    return most


def test_it_grows_to_the_most_while_all_is_well() -> None:
    """From 8, a hundred good answers bring it to its bound of 32, and never beyond."""
    concurrency = Concurrency(start=8, most=32)

    most = asyncio.run(_round_trip(concurrency, requests=200))

    assert most == concurrency.limit == 32


def test_it_does_not_grow_unused() -> None:
    """Answers that come one at a time say nothing of what the server could take."""
    concurrency = Concurrency(start=8, most=32)

    for _ in range(50):
        asyncio.run(_round_trip(concurrency, requests=1))

    assert concurrency.limit == 8


def test_one_overload_halves_it_once() -> None:
    """Ten refusals of requests begun before the first halving count as one; a later one halves again."""
    concurrency = Concurrency(start=16, most=64)
    begun = time.monotonic()

    for _ in range(10):
        concurrency.overloaded(begun)
    assert concurrency.limit == 8
    concurrency.overloaded(time.monotonic())
    assert concurrency.limit == 4


def test_it_never_falls_below_one() -> None:
    """However often the server refuses, one request may be under way."""
    concurrency = Concurrency(start=2, most=4)

    for _ in range(5):
        concurrency.overloaded(time.monotonic())

    assert concurrency.limit == 1


def test_after_an_overload_it_grows_slowly() -> None:
    """After a halving to 8 it gains about one a round trip: 8 answers make 9, not 16."""
    concurrency = Concurrency(start=16, most=64)
    concurrency.overloaded(time.monotonic())

    async def eight_under_way() -> None:
        async with asyncio.TaskGroup() as group:
            for _ in range(9):
                group.create_task(_hold(concurrency))

    asyncio.run(eight_under_way())

    assert 8 <= concurrency.limit <= 9


async def _hold(concurrency: Concurrency) -> None:
    async with concurrency.slot():
        await asyncio.sleep(0.001)
        concurrency.succeeded()


def test_a_pause_holds_requests_back() -> None:
    """After pause(0.1) no request starts for a tenth of a second."""
    concurrency = Concurrency()
    concurrency.pause(0.1)
    began = time.monotonic()

    asyncio.run(_hold(concurrency))

    assert time.monotonic() - began >= 0.1


def test_a_cancelled_wait_gives_its_place_away() -> None:
    """Requests cancelled while they wait, or just as their turn comes, leave no place taken."""

    async def run() -> None:
        concurrency = Concurrency(start=1, most=1)
        for _ in range(20):
            tasks = [asyncio.create_task(_hold(concurrency)) for _ in range(5)]
            await asyncio.sleep(0.001)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.wait_for(_hold(concurrency), timeout=1)

    asyncio.run(run())
