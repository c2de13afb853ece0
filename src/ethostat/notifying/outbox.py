"""The outbox: which alert goes to which target, and how far that is. Values only: no clock, no network, no database.

    queued --claimed--> queued, not before the lease ends --delivered--> sent
       ^                     |
       |                     +--failed--> queued, not before the next attempt
       |                     +--failed for good, or once too often--> dead
       +--------------------revived---------------------------------------+

A claim is written before anything is sent, so that a process that dies on the way leaves a delivery that is due
again: an alert arrives at least once. Receivers drop repeats by its id.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from ethostat.errors import InvalidInput
from ethostat.visible import stripped

QUEUED, SENT, DEAD = "queued", "sent", "dead"
_LONGEST_ERROR = 500


@dataclass(frozen=True, slots=True)
class Retries:
    """When a delivery that failed is tried again: `first`, then `factor` times as long each time, at most `longest`.

    Of each wait a part up to `jitter` is taken off by chance, so that deliveries that failed together do not come back
    together. The defaults are twelve attempts within about 20 hours. Seconds.
    """

    first: float = 5.0
    factor: float = 3.0
    longest: float = 6 * 3600.0
    attempts: int = 12
    jitter: float = 0.5

    def __post_init__(self) -> None:
        if not (0 <= self.first <= self.longest and self.factor >= 1 and 0 <= self.jitter <= 1 and self.attempts >= 1):
            raise InvalidInput(
                f"retries need 0 <= first <= longest, factor >= 1, 0 <= jitter <= 1 and attempts >= 1, got {self}"
            )

    def wait(self, attempts: int, rng: random.Random) -> float:
        """Seconds until the next attempt, after this many (at least 1).

        >>> Retries(first=5, factor=3, jitter=0).wait(3, random.Random())
        45.0
        """
        exponent = min(attempts - 1, 64)
        return float(min(self.first * self.factor**exponent, self.longest)) * (1 - self.jitter * rng.random())


@dataclass(frozen=True, slots=True)
class Delivery:
    """One alert on its way to one target; there is one for each pair, which is its key.

    `alert` is the alert's number where it is kept; `attempts` counts the claims so far; `next_at` is the earliest time
    of the next one, in seconds since 1970; `error` says why the last one failed.
    """

    alert: int
    target: str
    state: str = QUEUED
    attempts: int = 0
    next_at: float = 0.0
    error: str | None = None

    def is_due(self, now: float) -> bool:
        """Whether it may be claimed."""
        return self.state == QUEUED and self.next_at <= now

    def claimed(self, now: float, *, lease: float) -> Delivery:
        """As it stands while somebody delivers it: due again when `lease` seconds have passed without a word."""
        self._must_be(QUEUED, "claimed")
        return replace(self, attempts=self.attempts + 1, next_at=now + lease)

    def delivered(self) -> Delivery:
        """The target has it."""
        self._must_be(QUEUED, "delivered")
        return replace(self, state=SENT, error=None)

    def failed(
        self,
        error: str,
        now: float,
        *,
        retries: Retries,
        rng: random.Random,
        wait: float | None = None,
        for_good: bool = False,
    ) -> Delivery:
        """The target has not: due again later, dead after the last attempt, or at once where it is `for_good`.

        `wait` is what the target asked for, in seconds; it prolongs a wait, up to the longest, and never shortens one.
        """
        self._must_be(QUEUED, "failed")
        said = stripped(error, most=_LONGEST_ERROR)
        if for_good or self.attempts >= retries.attempts:
            return replace(self, state=DEAD, error=said)
        seconds = max(retries.wait(self.attempts, rng), min(wait or 0.0, retries.longest))
        return replace(self, next_at=now + seconds, error=said)

    def revived(self, now: float) -> Delivery:
        """From the dead-letter list back into the queue, with all attempts before it."""
        self._must_be(DEAD, "revived")
        return replace(self, state=QUEUED, attempts=0, next_at=now)

    def _must_be(self, state: str, verb: str) -> None:
        if self.state != state:
            raise InvalidInput(f"a delivery that is {self.state} cannot be {verb}; only one that is {state} can")


@dataclass(frozen=True, slots=True)
class Claim:
    """A claimed delivery with what is to be sent: the alert as `Alert.to_dict` gave it, and its stream."""

    delivery: Delivery
    body: Mapping[str, Any]
    stream: str = ""
    tenant: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)


class Outbox(Protocol):
    """Where deliveries are kept. Every method is durable when it returns, and may be called from any thread."""

    def claim(self, now: float, *, lease: float, most: int) -> Sequence[Claim]:
        """Claim up to `most` due deliveries, the longest due first; no other process gets the same before the lease."""
        ...

    def record(self, before: Delivery, after: Delivery) -> bool:
        """Replace a delivery where it still stands as `before`; False where somebody else was faster."""
        ...


class MemoryOutbox:
    """An outbox that lives as long as its process, for tools and tests: a service keeps its own in a database."""

    def __init__(self) -> None:
        self._kept: dict[tuple[int, str], Claim] = {}
        self._numbers: dict[tuple[str, str, str], int] = {}

    def add(
        self,
        body: Mapping[str, Any],
        targets: Sequence[str],
        *,
        stream: str = "",
        tenant: str = "",
        labels: Mapping[str, str] | None = None,
    ) -> int:
        """Queue an alert for these targets; how many of the pairs were new."""
        number = self._numbers.setdefault((tenant, stream, body["id"]), len(self._numbers) + 1)
        new = [target for target in dict.fromkeys(targets) if (number, target) not in self._kept]
        for target in new:
            self._kept[number, target] = Claim(Delivery(number, target), body, stream, tenant, dict(labels or {}))
        return len(new)

    def claim(self, now: float, *, lease: float, most: int) -> list[Claim]:
        """See `Outbox`."""
        due = sorted(
            (one for one in self._kept.values() if one.delivery.is_due(now)), key=lambda one: one.delivery.next_at
        )
        claims = [replace(one, delivery=one.delivery.claimed(now, lease=lease)) for one in due[:most]]
        for one in claims:
            self._kept[one.delivery.alert, one.delivery.target] = one
        return claims

    def record(self, before: Delivery, after: Delivery) -> bool:
        """See `Outbox`."""
        place = before.alert, before.target
        if self._kept[place].delivery != before:
            return False
        self._kept[place] = replace(self._kept[place], delivery=after)
        return True

    def deliveries(self, state: str | None = None) -> list[Delivery]:
        """All of them, or those in one state: DEAD gives the dead-letter list."""
        return [one.delivery for one in self._kept.values() if state in (None, one.delivery.state)]
