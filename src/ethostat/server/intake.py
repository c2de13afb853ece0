"""Intake: events wait here, few and bounded, until they are on disk together with whatever else waits."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass

from ethostat.errors import EthostatError, StoreError
from ethostat.ledger import Accepted, Appended, Ledger, NewEvent
from ethostat.ledger.ledger import MOST_STREAMS

_log = logging.getLogger("ethostat.server.intake")
_AT_ONCE = 4_000
_PAUSE = 0.5
_MOST_TRIES = 3
_SLOW = 5.0
"""Seconds after which a commit that is under way is trouble: callers wait for it."""


class Full(EthostatError):
    """More waits than may; `retry_after` is in seconds."""

    def __init__(self, what: str, retry_after: int) -> None:
        super().__init__(f"{what}, as many as may; send this again in {retry_after} s")
        self.retry_after = retry_after


@dataclass(frozen=True, slots=True)
class Bounds:
    """What may wait in memory at most, and how many streams there may be."""

    events: int = 50_000
    bytes: int = 128 * 2**20
    streams: int = MOST_STREAMS


@dataclass(slots=True)
class Counted:
    """What came of events since the process began; `seconds` is what the last commit took."""

    accepted: int = 0
    duplicates: int = 0
    refused: int = 0
    dropped: int = 0
    commits: int = 0
    seconds: float = 0.0


@dataclass(slots=True, eq=False)
class _Offer:
    events: list[NewEvent]
    weight: int
    future: Future[Accepted] | None
    tries: int = 0


class Intake:
    """Writes events with one commit for all that wait; who offered them is told when they are on disk.

    While a commit is under way others queue, so that a slow disk makes larger commits and not a longer queue. Where
    more waits than `bounds` allow, `offer` raises Full. `on_written` is called after each commit with whether streams
    began and whether events wait to be classified; `keeps_text` says of an event with its verdict whether its text is
    kept.
    """

    def __init__(
        self,
        ledger: Ledger,
        *,
        keeps_text: Callable[[NewEvent], bool],
        bounds: Bounds | None = None,
        on_written: Callable[[bool, bool], None] = lambda _begins, _waits: None,
        on_commit: Callable[[float, int], None] = lambda _seconds, _events: None,
    ) -> None:
        self._ledger, self._keeps_text, self._bounds = ledger, keeps_text, bounds or Bounds()
        self._on_written, self._on_commit = on_written, on_commit
        self._queue: deque[_Offer] = deque()
        self._events = self._bytes = 0
        self._changed = threading.Condition()
        self._stopping = False
        self._thread = threading.Thread(target=self._write_all, name="intake", daemon=True)
        self.counted = Counted()
        self.edition: int | None = None
        """Which edition of the goals verdicts are told in."""
        self._error: str | None = None
        self._began: float | None = None

    @property
    def waiting(self) -> tuple[int, int]:
        """Events and bytes that are not on disk yet."""
        return self._events, self._bytes

    @property
    def error(self) -> str | None:
        """Why nothing can be written now; None where it can."""
        began = self._began
        taken = 0.0 if began is None else time.monotonic() - began
        if self._error is None and taken > _SLOW:
            return f"a commit has been under way for {taken:.0f} s; the disk or the database is slow, or locked"
        return self._error

    @property
    def is_alive(self) -> bool:
        """Whether its thread runs."""
        return self._thread.is_alive()

    def start(self) -> None:
        """Begin to write."""
        self._thread.start()

    def stop(self) -> None:
        """Write what waits, and end."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        self._thread.join()

    def offer(self, events: list[NewEvent]) -> Future[Accepted]:
        """Have events written; the future is done when they are on disk, or carries the StoreError why they are not.

        Raises Full where too many wait already.
        """
        future: Future[Accepted] = Future()
        self._put(_Offer(events, sum(event.weight for event in events), future))
        return future

    def observe(self, event: NewEvent) -> None:
        """Have an event written when that can be; never raises and never blocks. What cannot wait is counted."""
        try:
            self._put(_Offer([event], event.weight, None))
        except Exception:  # noqa: BLE001 - whoever observes must not be disturbed by us, whatever it is
            self.counted.dropped += 1

    def _put(self, offer: _Offer) -> None:
        count = len(offer.events)
        with self._changed:
            most = self._bounds
            if self._stopping or self._events + count > most.events or self._bytes + offer.weight > most.bytes:
                raise Full(f"{self._events:,} events wait to be written", 1 + round(self._events / 5_000))
            self._queue.append(offer)
            self._events += count
            self._bytes += offer.weight
            self._changed.notify()

    def _write_all(self) -> None:
        while (offers := self._take()) is not None:
            kept = self._write(offers)
            with self._changed:
                self._queue.extendleft(reversed(kept))
                gone = [offer for offer in offers if offer not in kept]
                self._events -= sum(len(offer.events) for offer in gone)
                self._bytes -= sum(offer.weight for offer in gone)
                if kept:
                    if self._stopping:
                        self.counted.dropped += len(kept)
                        return
                    self._changed.wait_for(lambda: self._stopping, _PAUSE)

    def _take(self) -> list[_Offer] | None:
        """What waits, up to a few thousand events, in order; None at the end."""
        with self._changed:
            self._changed.wait_for(lambda: self._queue or self._stopping)
            if not self._queue:
                return None
            taken, count = [self._queue.popleft()], 0
            count = len(taken[0].events)
            while self._queue and count + len(self._queue[0].events) <= _AT_ONCE:
                taken.append(self._queue.popleft())
                count += len(taken[-1].events)
            return taken

    def _write(self, offers: list[_Offer]) -> list[_Offer]:
        """Write offers in one commit; gives those that are to be tried again."""
        began = self._began = time.monotonic()
        events = [event for offer in offers for event in offer.events]
        try:
            result = self._append(events)
        except Exception as error:  # noqa: BLE001 - every waiter is told, whatever it is
            return self._failed(offers, error)
        finally:
            self._began = None
        if self._error is not None:
            _log.info("writing again")
            self._error = None
        self._tell(offers, result)
        self.counted.commits += 1
        self.counted.seconds = time.monotonic() - began
        self._on_commit(self.counted.seconds, len(events))
        self._on_written(result.begins, any(event.goal is None for event in events))
        return []

    def _append(self, events: list[NewEvent]) -> Appended:
        return self._ledger.append(
            events, keeps_text=self._keeps_text, most_streams=self._bounds.streams, edition=self.edition
        )

    def _tell(self, offers: list[_Offer], result: Appended) -> None:
        start = 0
        for offer in offers:
            end = start + len(offer.events)
            duplicates = sum(start <= place < end for place in result.duplicates) if result.duplicates else 0
            refused = tuple((place - start, why) for place, why in result.refused.items() if start <= place < end)
            accepted = len(offer.events) - duplicates - len(refused)
            self.counted.accepted += accepted
            self.counted.duplicates += duplicates
            self.counted.refused += len(refused)
            if offer.future is not None and offer.future.set_running_or_notify_cancel():
                offer.future.set_result(Accepted(accepted, duplicates, refused))
            start = end

    def _failed(self, offers: list[_Offer], error: Exception) -> list[_Offer]:
        """Tell who waits; keep what was observed for later. One offer's fault is looked for where the rest works."""
        if len(offers) > 1 and self._works():
            return [kept for offer in offers for kept in self._write([offer])]
        if len(offers) == 1 and offers[0].future is None and self._works():
            offers[0].tries += 1  # it may have failed because of what has passed since
            if offers[0].tries < _MOST_TRIES:
                return offers
            _log.error("an event cannot be written", extra={"fields": {"kind": type(error).__name__}})
            self.counted.dropped += 1
            return []
        if self._error is None:
            _log.error("nothing can be written", extra={"fields": {"error": str(error)}})
        self._error = str(error)
        for offer in offers:
            if offer.future is not None and offer.future.set_running_or_notify_cancel():
                offer.future.set_exception(error)
        return [offer for offer in offers if offer.future is None]

    def _works(self) -> bool:
        try:
            self._ledger.check(writing=True)
        except StoreError:
            return False
        return True
