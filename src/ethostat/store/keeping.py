"""RunKeeper: writes the responses of one run from an event loop, without blocking it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Set

from ethostat.response import Failure, Response
from ethostat.store.store import Store


class RunKeeper:
    """Keeps a run's responses in a store.

    Arrivals are written at once; those that come while a write is under way go together into the next one, so
    that the disk is asked once for many. The future that `add` gives is done when its response is on disk, or
    carries the StoreError why it is not.
    """

    def __init__(self, store: Store, run_id: str) -> None:
        self._store, self._run_id = store, run_id
        self._waiting: list[tuple[Response | Failure, asyncio.Future[None]]] = []
        self._writer: asyncio.Task[None] | None = None
        self._error: Exception | None = None

    def kept(self) -> Mapping[str, Set[int]]:
        """Which indices of which prompts are on disk."""
        return self._store.have(self._run_id)

    def add(self, item: Response | Failure) -> asyncio.Future[None]:
        """Write a response, or note a failure."""
        stored = asyncio.get_running_loop().create_future()
        self._waiting.append((item, stored))
        if self._writer is None or self._writer.done():
            self._writer = asyncio.create_task(self._write())
        return stored

    async def flush(self) -> None:
        """Wait until all that was added is on disk; a caller's cancellation does not cut a write short.

        Raises the first error that kept something from being stored.
        """
        while self._writer is not None and not self._writer.done():
            await asyncio.shield(self._writer)
        error, self._error = self._error, None
        if error is not None:
            raise error

    async def _write(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting, []
            items = [item for item, _ in batch]
            error: Exception | None = None
            try:
                await asyncio.to_thread(self._store_all, items)
            except Exception as reason:  # noqa: BLE001 - every waiter is told, whatever it is
                error = reason
                self._error = self._error or reason
            for _, stored in batch:
                if error and not stored.cancelled():
                    stored.set_exception(error)
                    stored.exception()  # seen: where nobody awaits it any more, flush tells
                elif not stored.cancelled():
                    stored.set_result(None)

    def _store_all(self, items: list[Response | Failure]) -> None:
        if failures := [item for item in items if isinstance(item, Failure)]:
            self._store.add_failures(self._run_id, failures)
        if responses := [item for item in items if isinstance(item, Response)]:
            self._store.add_responses(self._run_id, responses)
