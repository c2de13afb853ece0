"""Gate: the register as requests ask it, from an event loop, without waiting for a database that is not there."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TypeVar

from ethostat.access.identity import Identity
from ethostat.access.limits import Limit, LoginLimits, network_of
from ethostat.access.register import Register
from ethostat.access.secrets import hashed
from ethostat.errors import EthostatError, StoreError

_SECONDS_BELIEVED = 5.0
_MOST_BELIEVED = 4096
_MOST_LOGINS_AT_ONCE = 8
_FOR_EVER = float("inf")
_PATIENCE = 10.0
_T = TypeVar("_T")
Found = tuple[Identity, float | None] | None
"""An identity and when it ends, in seconds since 1970; None for nobody."""


class TooMany(EthostatError):
    """Somebody failed too often; `wait` is in seconds."""

    def __init__(self, wait: float) -> None:
        super().__init__(f"too many attempts; try again in {wait:.0f} s")
        self.wait = wait


@dataclass(frozen=True, slots=True)
class _Belief:
    found: Found
    until: float

    def outlives(self, now: float) -> bool:
        """Whether it may still be used where the register does not answer."""
        return self.found is not None and now < (self.found[1] or _FOR_EVER)


@dataclass(slots=True)
class Gate:
    """Who somebody is. What the register said is believed for five seconds, so that traffic costs no look-ups.

    Where the register does not answer within `patience` seconds, who was known before is still known: a database that
    is gone stops no traffic that goes past it. For who was not, it is given ten seconds.
    """

    register: Register
    clock: Callable[[], float] = time.time
    logins: LoginLimits = field(default_factory=LoginLimits)
    strangers: Limit = field(default_factory=lambda: Limit(100, 300.0))
    _believed: OrderedDict[str, _Belief] = field(default_factory=OrderedDict)
    _asking: dict[str, asyncio.Task[Found]] = field(default_factory=dict)
    _closed: bool | None = None
    _closed_until: float = 0.0
    _at_work: int = 0
    _one: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(1))
    # Threads of its own: those of everybody else may all be waiting for the same database.
    _threads: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(4, "access"))

    async def is_closed(self, *, patience: float = _PATIENCE) -> bool:
        """Whether everybody has to say who they are; once so, for ever."""
        if self._closed is None or (not self._closed and self._closed_until <= self.clock()):
            try:
                async with asyncio.timeout(_PATIENCE if self._closed is None else patience):
                    self._closed = await self._in_thread(self.register.is_closed)
                self._closed_until = self.clock() + _SECONDS_BELIEVED
            except (StoreError, TimeoutError) as error:
                if self._closed is None:
                    raise StoreError("it cannot be looked up whether there are keys") from error
        return self._closed

    async def of_key(self, text: str, *, patience: float = _PATIENCE) -> Identity | None:
        """Whose key this is."""
        return await self._ask(text, self.register.identify_key, patience)

    async def of_session(self, token: str, *, patience: float = _PATIENCE) -> Identity | None:
        """Whose session this is."""
        return await self._ask(token, self.register.identify_session, patience)

    async def log_in(self, name: str, password: str, address: str) -> str | None:
        """A session's token, None where name or password is wrong. Raises TooMany."""
        now = self.clock()
        wait = self.logins.wait(name, address, now)
        if wait > 0 or self._at_work >= _MOST_LOGINS_AT_ONCE:
            raise TooMany(max(wait, 1.0))
        self.logins.fail(name, address, now)
        self._at_work += 1
        try:
            async with self._one:  # a password takes 32 MB and a core
                token = await asyncio.to_thread(
                    self.register.log_in, name, password, now=now, address=network_of(address)
                )
        finally:
            self._at_work -= 1
        if token is not None:
            self.logins.succeed(name, address)
        return token

    async def log_out(self, token: str) -> None:
        """End a session, at once."""
        await asyncio.to_thread(self.register.log_out, token)
        self._believed.pop(hashed(token), None)

    def close(self) -> None:
        """Release the register and the threads."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        self.register.close()

    async def _ask(self, text: str, look: Callable[[str, float], Found], patience: float) -> Identity | None:
        now, name = self.clock(), hashed(text)
        known = self._believed.get(name)
        if known is None or known.until <= now:
            known = await self._look(name, lambda: look(text, now), known, patience)
        return None if known.found is None else known.found[0]

    async def _look(self, name: str, look: Callable[[], Found], known: _Belief | None, patience: float) -> _Belief:
        """What the register says now; requests that come together with one key ask once."""
        task = self._asking.get(name)
        if task is None:
            task = self._asking[name] = asyncio.create_task(self._in_thread(look))
            task.add_done_callback(lambda done: self._answered(name, done))
        spare = known if known is not None and known.outlives(self.clock()) else None
        try:
            async with asyncio.timeout(_PATIENCE if spare is None else patience):
                found = await asyncio.shield(task)
        except (StoreError, TimeoutError) as error:
            if spare is not None:
                return spare
            raise StoreError("keys cannot be looked up now") from error
        return self._belief(found)

    def _answered(self, name: str, task: asyncio.Task[Found]) -> None:
        """Keeps what was said, also where nobody had the patience to wait for it."""
        self._asking.pop(name, None)
        if task.cancelled() or task.exception() is not None:
            return
        self._believed[name] = self._belief(task.result())
        self._believed.move_to_end(name)
        while len(self._believed) > _MOST_BELIEVED:
            self._believed.popitem(last=False)

    def _belief(self, found: Found) -> _Belief:
        ends = _FOR_EVER if found is None or found[1] is None else found[1]
        return _Belief(found, min(self.clock() + _SECONDS_BELIEVED, ends))

    async def _in_thread(self, work: Callable[[], _T]) -> _T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)
