"""Watching: what the proxy saw becomes events, in a thread of its own, within a bound, whatever goes wrong.

The proxy hands over each exchange when its last byte is with the caller, and never waits. Where more comes than can be
read, or where reading, redaction or the ledger fail, an observation is dropped and counted, and traffic goes on.
"""

from __future__ import annotations

import logging
import queue
import secrets
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from ethostat.errors import InvalidInput
from ethostat.ledger import NewEvent
from ethostat.server.answerids import RESPONSE, AnswerIds, response_id
from ethostat.server.answers import Answered, read_exchange
from ethostat.server.ingest import TooLarge, unpacked
from ethostat.server.redaction import Redact
from ethostat.server.turns import name_of, prompt_of

Observe = Callable[[NewEvent], None]

_LOG = logging.getLogger(__name__)
_LARGEST_UNPACKED = 8 * 2**20


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request and its whole answer, as bytes; `time` is in seconds since 1970, when the answer began."""

    endpoint: str
    request: bytes
    response: tuple[bytes, ...]
    content_type: str
    encoding: str
    time: float
    stream: str | None = None
    session: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    draw: float = 0.0
    tenant: str = ""

    @property
    def weight(self) -> int:
        """About how many bytes it takes."""
        return len(self.request) + sum(map(len, self.response)) + 1000


@dataclass(slots=True)
class Counts:
    """What became of exchanges: `observed` counts events, the others exchanges.

    `dropped`: no room. `unread`: not what the protocol says, an error, packed in a way that is not known, or too
    large. `cut`: ended before its end. `failed`: redaction or the ledger raised.
    """

    observed: int = 0
    dropped: int = 0
    unread: int = 0
    cut: int = 0
    failed: int = 0


@dataclass(frozen=True, slots=True)
class Sampling:
    """Which share of exchanges is observed: by stream, else `share` (0 to 1)."""

    share: float = 1.0
    streams: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for value in (self.share, *self.streams.values()):
            if not 0 <= value <= 1:
                raise InvalidInput(f"a share of traffic must lie in [0, 1], got {value}")

    def of(self, stream: str) -> float:
        """The share of this stream."""
        return self.streams.get(stream, self.share)

    @property
    def most(self) -> float:
        """The largest share of any stream."""
        return max(self.share, *self.streams.values(), 0.0)


class Watching:
    """Reads exchanges in a thread and gives their events to `observe`, after `redact`.

    `redact` gets each event before anything keeps it and gives it back changed, or None for no event. What is waiting
    to be read takes at most `most` bytes.
    """

    def __init__(self, observe: Observe, *, redact: Redact | None, sampling: Sampling, most: int) -> None:
        self._observe, self._redact, self._sampling, self._most = observe, redact, sampling, most
        self._queue: queue.SimpleQueue[Exchange | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        # Each is written by one thread only: their difference is what waits, without a lock on the way of traffic.
        self._offered = self._done = 0
        self._ids = AnswerIds()
        self.counts = Counts()

    def offer(self, exchange: Exchange) -> None:
        """Takes the exchange, or drops it where there is no room; never waits. From one thread only."""
        if self._offered - self._done + exchange.weight > self._most:
            self.counts.dropped += 1
            return
        self._offered += exchange.weight
        self._queue.put(exchange)
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="ethostat-watching", daemon=True)
            self._thread.start()

    def close(self, timeout: float) -> None:
        """Reads what is waiting, for at most `timeout` seconds."""
        if self._thread is not None:
            self._queue.put(None)
            self._thread.join(timeout)
            self._thread = None

    def _run(self) -> None:
        while (exchange := self._queue.get()) is not None:
            try:
                self._read(exchange)
            except (InvalidInput, TooLarge) as error:
                self.counts.unread += 1
                _LOG.debug("an exchange was not observed: %s", error)
            except Exception as error:  # noqa: BLE001  (redact and observe are others'; traffic goes on)
                self.counts.failed += 1
                _LOG.warning("an exchange was not observed: %s", type(error).__name__)  # its text may hold a prompt
            self._done += exchange.weight

    def _read(self, exchange: Exchange) -> None:
        response = unpacked(b"".join(exchange.response), exchange.encoding, most=_LARGEST_UNPACKED)
        answered = read_exchange(exchange.endpoint, exchange.request, response, exchange.content_type)
        stream = exchange.stream or answered.requested or "default"
        if exchange.draw >= self._sampling.of(stream):
            return
        own = secrets.token_hex(12)
        id = self._ids.id_for(own, own, response_id(answered.id))
        for event in _events(exchange, answered, stream, id):
            seen = event if self._redact is None else self._redact(event)
            if seen is not None:
                self._observe(seen)
                self.counts.observed += 1


def _events(exchange: Exchange, answered: Answered, stream: str, id: str) -> list[NewEvent]:
    """One for each choice that says something."""
    time = datetime.fromtimestamp(exchange.time, UTC).isoformat().replace("+00:00", "Z")
    labels = {"endpoint": exchange.endpoint, **exchange.labels}
    if answered.id is not None:
        labels[RESPONSE] = answered.id
    for name in ("input_tokens", "output_tokens"):
        if (tokens := getattr(answered, name)) is not None:
            labels[name] = str(tokens)
    events: list[NewEvent] = []
    for place, (turns, choice) in enumerate(zip(answered.turns, answered.choices, strict=True)):
        if (text := choice.written()) is None:
            continue
        event = NewEvent(
            stream=stream,
            id=id if place == 0 else f"{id}-{place}",
            prompt=prompt_of(turns),
            response=text,
            time=time,
            session=exchange.session or answered.session,
            model=answered.model,
            tenant=exchange.tenant,
            labels=labels | ({"finish_reason": reason} if (reason := name_of(choice.finish_reason)) else {}),
        )
        events.append(event)
    return events
