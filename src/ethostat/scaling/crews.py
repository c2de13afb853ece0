"""Crew: who does the work: this process, processes of this machine, or the actors of a Ray cluster.

A crew is given work (something that can be called with an item, and pickled) and items, and gives each item with what
came of it, once, in the order in which they are done. A worker that dies is replaced, and what it had is done again.
"""

from __future__ import annotations

import multiprocessing
import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from ethostat.errors import EthostatError, InvalidInput

MOST_TRIES = 4
"""Workers that may die of one item before it is taken to be the reason."""
_AHEAD = 2

Item = TypeVar("Item")
Made = TypeVar("Made")


class Crew(Protocol):
    """Who does the work."""

    @property
    def size(self) -> int:
        """How many items are worked at together."""
        ...

    def run(self, work: Callable[[Item], Made], items: Sequence[Item]) -> Iterator[tuple[Item, Made]]:
        """Every item with what came of it. Raises what the work raises, WorkLost where workers keep dying of one."""
        ...


class WorkLost(EthostatError):
    """Workers died again and again of the same item."""


class Alone:
    """This process."""

    size = 1

    def run(self, work: Callable[[Item], Made], items: Sequence[Item]) -> Iterator[tuple[Item, Made]]:
        """One item after the other."""
        for item in items:
            yield item, work(item)


@dataclass(frozen=True, slots=True)
class Processes:
    """So many processes of this machine."""

    size: int

    def __post_init__(self) -> None:
        if self.size < 1:
            raise InvalidInput(f"workers must be at least 1, got {self.size}")

    def run(self, work: Callable[[Item], Made], items: Sequence[Item]) -> Iterator[tuple[Item, Made]]:
        """Items side by side; processes that died are started again."""
        tries = Tries()
        waiting = deque(range(len(items)))
        while waiting:
            with ProcessPoolExecutor(
                min(self.size, len(waiting)), multiprocessing.get_context("spawn"), _begin, (work,)
            ) as pool:
                try:
                    for place, made in _drain(pool, items, waiting, self.size):
                        yield items[place], made
                except BrokenProcessPool:
                    tries.again(waiting, items)


def _drain(
    pool: ProcessPoolExecutor, items: Sequence[Item], waiting: deque[int], size: int
) -> Iterator[tuple[int, Any]]:
    """What is done, taken from `waiting` once it is given; few are handed over ahead, so that memory is bounded."""
    running: dict[Future[Any], int] = {}
    ahead = deque(waiting)
    while ahead or running:
        while ahead and len(running) < size * _AHEAD:
            place = ahead.popleft()
            running[pool.submit(_do, items[place])] = place
        for future in wait(running, return_when=FIRST_COMPLETED).done:
            made = future.result()
            place = running.pop(future)
            waiting.remove(place)
            yield place, made


_work: Callable[[Any], Any] | None = None


def _begin(work: Callable[[Any], Any]) -> None:
    global _work  # noqa: PLW0603 - a process has one work, and loads what it needs once
    _work = work
    os.environ.setdefault("OMP_NUM_THREADS", "1")


def _do(item: Any) -> Any:
    assert _work is not None  # noqa: S101 - set when the process began
    return _work(item)


class Tries:
    """How often workers died of what they had."""

    def __init__(self) -> None:
        self._deaths: dict[int, int] = {}

    def died(self, place: int, item: object) -> None:
        """A worker died of this one. Raises WorkLost where too many did."""
        self._deaths[place] = self._deaths.get(place, 0) + 1
        if self._deaths[place] >= MOST_TRIES:
            name = getattr(item, "name", place)
            raise WorkLost(
                f"{MOST_TRIES} workers died of {name}; is there memory enough for each? What is done is kept"
            )

    def again(self, waiting: Sequence[int], items: Sequence[object]) -> None:
        """A whole pool died: of the first of those that wait, as far as can be told."""
        if waiting:
            self.died(waiting[0], items[waiting[0]])
