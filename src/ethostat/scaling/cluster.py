"""RayCrew: actors of a Ray cluster, one a core; nodes may come late, and may go at any time."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

from ethostat.errors import InvalidInput, MissingExtra
from ethostat.scaling.crews import Tries

LOCAL = "local"
_AHEAD = 2
_QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_enable_metrics_collection": "0",
    "RAY_DEDUP_LOGS": "1",
}
_LOCAL_STORE_BYTES = 200 * 2**20

Item = TypeVar("Item")
Made = TypeVar("Made")


def imported_ray() -> Any:
    """The package ray. Raises MissingExtra where it is not installed."""
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    try:
        import ray
    except ImportError as error:
        raise MissingExtra("ray", "ray") from error
    return ray


class RayCrew:
    """`workers` actors on the cluster at `address`, by default one for each of its cores.

    `address` is "local" (a cluster on this machine for as long as this is open), "auto" (the one that runs here) or
    HOST:PORT. A worker of a node that died is made again where there is room; what it had is done again. What is done
    travels through files, so that Ray's object store holds little. Raises InvalidInput where no cluster answers.
    """

    def __init__(self, address: str = LOCAL, *, workers: int | None = None) -> None:
        if workers is not None and workers < 1:
            raise InvalidInput(f"workers must be at least 1, got {workers}")
        self._ray = imported_ray()
        self._began = not self._ray.is_initialized()
        if self._began:
            self._connect(address)
        self.size = workers or max(1, int(self._ray.cluster_resources().get("CPU", 1)))

    def __enter__(self) -> RayCrew:
        return self

    def __exit__(self, *_: object) -> None:
        if self._began:
            self._ray.shutdown()

    def _connect(self, address: str) -> None:
        more: dict[str, Any] = {} if address != LOCAL else {"object_store_memory": _LOCAL_STORE_BYTES}
        try:
            self._ray.init(
                address=address, include_dashboard=False if address == LOCAL else None,
                log_to_driver=False, logging_level="ERROR", **more,
            )  # fmt: skip
        except (ConnectionError, ValueError, RuntimeError) as error:
            raise InvalidInput(
                f"no Ray cluster answers at {address!r}: {error}; run `ray start --head`, or pass --ray local"
            ) from error

    def run(self, work: Callable[[Item], Made], items: Sequence[Item]) -> Iterator[tuple[Item, Made]]:
        """Items side by side, each by a worker that is ready."""
        yield from _Shift(self._ray, work, items, min(self.size, len(items))).run()


class _Shift:
    """One run of a crew: workers that are coming or ready, and what each has."""

    def __init__(self, ray: Any, work: Any, items: Sequence[Any], size: int) -> None:
        self._ray, self._items = ray, items
        self._worker, self._work = ray.remote(num_cpus=1, max_restarts=0)(_Worker), ray.put(work)
        self._waiting, self._tries = deque(range(len(items))), Tries()
        self._coming: dict[Any, Any] = {}
        self._running: dict[Any, tuple[Any, int]] = {}
        self._having: dict[Any, int] = {}
        for _ in range(size):
            self._hire()

    def run(self) -> Iterator[tuple[Any, Any]]:
        """Until every item is done."""
        try:
            while self._waiting or self._running:
                self._hand_out()
                done, _ = self._ray.wait([*self._running, *self._coming], num_returns=1)
                for ref in done:
                    if (made := self._taken(ref)) is not None:
                        yield made
        finally:
            for worker in [*self._having, *self._coming.values()]:
                self._ray.kill(worker)

    def _hire(self) -> None:
        worker = self._worker.remote(self._work)
        self._coming[worker.ready.remote()] = worker

    def _hand_out(self) -> None:
        """To whoever has least, so that at the end nobody waits for one who has two."""
        for has in range(_AHEAD):
            for worker in [one for one, count in self._having.items() if count == has]:
                if self._waiting:
                    place = self._waiting.popleft()
                    self._running[worker.do.remote(self._items[place])] = (worker, place)
                    self._having[worker] += 1

    def _taken(self, ref: Any) -> tuple[Any, Any] | None:
        """What came of an item; None where a worker is ready, or died."""
        worker, place = (self._coming.pop(ref), None) if ref in self._coming else self._running.pop(ref)
        try:
            made = self._ray.get(ref)
        except self._ray.exceptions.RayTaskError as error:
            raise error.cause from None
        except self._ray.exceptions.RayError:
            self._lost(worker, place)
            return None
        if place is None:
            self._having[worker] = 0
            return None
        self._having[worker] -= 1
        return self._items[place], made

    def _lost(self, worker: Any, place: int | None) -> None:
        """A worker died: another is made, and what it had waits again. Only the first it had can be the reason."""
        if place is None:
            self._hire()
            return
        if self._having.pop(worker, None) is not None:
            self._tries.died(place, self._items[place])
            self._hire()
        self._waiting.appendleft(place)


class _Worker:
    """An actor: it loads what its work needs once."""

    def __init__(self, work: Callable[[Any], Any]) -> None:
        self._work = work

    def ready(self) -> bool:
        return True

    def do(self, item: Any) -> Any:
        return self._work(item)
