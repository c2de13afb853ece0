"""Concurrency: how many requests may be under way at once, learned from how the server takes them."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Concurrency:
    """A limit that grows while all is well and halves when the server is overloaded (AIMD, as in TCP).

    Until the first overload each success adds one (the limit doubles in a round trip), after it each success
    adds 1 / limit (one a round trip). `overloaded` halves it, once a round trip: requests that were already
    under way when it last halved tell nothing new. `pause` holds back new requests for some seconds, which
    is what Retry-After asks for. A request that waits is served in order of arrival.

    The limit grows only while it is used: an idle limit says nothing of what the server could take.

    Source: Chiu & Jain (1989), Analysis of the increase and decrease algorithms for congestion avoidance.
    """

    def __init__(self, *, start: int = 8, most: int = 64) -> None:
        self._limit = float(min(start, most))
        self._most = most
        self._active = 0
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._has_been_overloaded = False
        self._halved_at = 0.0
        self._resumes_at = 0.0

    @property
    def limit(self) -> int:
        """Requests that may be under way at once; at least 1."""
        return max(1, int(self._limit))

    @asynccontextmanager
    async def slot(self) -> AsyncIterator[float]:
        """Hold one place; gives the time at which it was had (for `overloaded`)."""
        await self._take()
        try:
            await self._wait_for_pause()
            yield time.monotonic()
        finally:
            self._active -= 1
            self._wake()

    def succeeded(self) -> None:
        """A request was answered well."""
        if self._active < self.limit:
            return
        step = 1 / self._limit if self._has_been_overloaded else 1.0
        self._limit = min(self._most, self._limit + step)
        self._wake()

    def overloaded(self, begun: float) -> None:
        """A request begun at `begun` met 429, 5xx or a time-out."""
        if begun < self._halved_at:
            return
        self._halved_at = time.monotonic()
        self._has_been_overloaded = True
        self._limit = max(1.0, self._limit / 2)

    def pause(self, seconds: float) -> None:
        """Start no request for this long."""
        self._resumes_at = max(self._resumes_at, time.monotonic() + seconds)

    async def _take(self) -> None:
        if self._active < self.limit and not self._waiting:
            self._active += 1
            return
        place: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(place)
        try:
            await place
        except asyncio.CancelledError:
            if place.done() and not place.cancelled():  # the place was given and is not wanted any more
                self._active -= 1
                self._wake()
            raise

    async def _wait_for_pause(self) -> None:
        while (left := self._resumes_at - time.monotonic()) > 0:  # noqa: ASYNC110 - it waits for a time, not an event
            await asyncio.sleep(left)

    def _wake(self) -> None:
        while self._waiting and self._active < self.limit:
            place = self._waiting.popleft()
            if not place.done():
                self._active += 1
                place.set_result(None)
