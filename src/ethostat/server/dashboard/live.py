"""Live: says which streams moved, to whoever listens, by server-sent events.

One look at the ledger a second serves all listeners, and none is taken while nobody listens.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from ethostat.errors import EthostatError

EVERY = 1.0
"""Seconds between looks."""
_BEAT, _LONGEST = 15.0, 600.0
_MOST = 200


class Name(NamedTuple):
    """A stream."""

    tenant: str
    stream: str


Stamps = Mapping[Name, tuple[int, int]]
"""What changes whenever there is something new to see of a stream."""


@dataclass(slots=True, eq=False)
class _Listener:
    tenant: str
    stream: str | None
    moved: set[str] = field(default_factory=set)
    woken: asyncio.Event = field(default_factory=asyncio.Event)

    def tell(self, name: Name) -> None:
        if name.tenant == self.tenant and self.stream in (None, name.stream):
            self.moved.add(name.stream)
            self.woken.set()


class Pulse:
    """Listeners, and the look that serves them. `look` may block; `is_ending` says that the service is being ended."""

    def __init__(self, look: Callable[[], Stamps], *, is_ending: Callable[[], bool] = lambda: False) -> None:
        self._look, self._is_ending = look, is_ending
        self._listeners: set[_Listener] = set()
        self._task: asyncio.Task[None] | None = None

    @property
    def is_full(self) -> bool:
        """Whether as many listen as may."""
        return len(self._listeners) >= _MOST

    async def listen(self, tenant: str, stream: str | None) -> AsyncIterator[bytes]:
        """Events for one page, until it leaves, the service ends or ten minutes are over; browsers come back."""
        listener, loop = _Listener(tenant, stream), asyncio.get_running_loop()
        self._listeners.add(listener)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run())
        ends, beats = loop.time() + _LONGEST, loop.time() + _BEAT
        try:
            yield b"retry: 2000\n\nevent: hello\ndata: {}\n\n"
            while not self._is_ending() and loop.time() < ends:
                try:
                    await asyncio.wait_for(listener.woken.wait(), EVERY)
                except TimeoutError:
                    if loop.time() > beats:
                        beats = loop.time() + _BEAT
                        yield b": still here\n\n"
                    continue
                moved, listener.moved = sorted(listener.moved), set()
                listener.woken.clear()
                yield f"event: moved\ndata: {json.dumps({'streams': moved})}\n\n".encode()
        finally:
            self._listeners.discard(listener)

    async def _run(self) -> None:
        before: Stamps | None = None
        while self._listeners and not self._is_ending():
            try:
                now = await asyncio.to_thread(self._look)
            except EthostatError:  # the pages say so themselves when they are loaded again
                now = before or {}
            for name in () if before is None else {*now, *before}:
                if now.get(name) != (before or {}).get(name):
                    for listener in self._listeners:
                        listener.tell(name)
            before = now
            await asyncio.sleep(EVERY)
