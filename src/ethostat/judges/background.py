"""Background: an event loop in a thread of its own, for callers that may or may not run in a loop themselves."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class Background:
    """Runs coroutines from any thread, one loop for all of them, so that connections outlive a call.

    The thread does not keep the process alive.
    """

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._serve, name="judge", daemon=True)
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """What the coroutine returns or raises. An interrupt of the caller cancels it."""
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    def end(self, last: Callable[[], Awaitable[None]]) -> None:
        """Await `last()` in the loop, then end the thread; does not wait for it."""
        if not self._loop.is_closed():
            asyncio.run_coroutine_threadsafe(self._last(last), self._loop)

    def join(self) -> None:
        """Wait until the thread has ended."""
        if threading.current_thread() is not self._thread:
            self._thread.join()

    async def _last(self, last: Callable[[], Awaitable[None]]) -> None:
        try:
            await last()
        finally:
            self._loop.stop()

    def _serve(self) -> None:
        try:
            self._loop.run_forever()
        finally:
            self._loop.run_until_complete(self._loop.shutdown_asyncgens())
            self._loop.close()
