"""Limits: how often somebody may fail within a while. Memory is bounded; there is no clock in it."""

from __future__ import annotations

import ipaddress
from collections import OrderedDict, deque
from dataclasses import dataclass, field

_MOST_KEPT = 10_000


@dataclass(slots=True)
class Limit:
    """At most `most` failures by one name within `seconds`; then it must wait until enough of them are that old.

    The last ten thousand names are remembered.
    """

    most: int
    seconds: float
    kept: int = _MOST_KEPT
    _failures: OrderedDict[str, deque[float]] = field(default_factory=OrderedDict)

    def wait(self, name: str, now: float) -> float:
        """Seconds until this name may try again; 0 where it may now."""
        times = self._failures.get(name)
        if times is None:
            return 0.0
        while times and times[0] <= now - self.seconds:
            times.popleft()
        if not times:
            del self._failures[name]
        return times[0] + self.seconds - now if len(times) >= self.most else 0.0

    def fail(self, name: str, now: float) -> None:
        """Note a failure."""
        times = self._failures.setdefault(name, deque(maxlen=self.most))
        times.append(now)
        self._failures.move_to_end(name)
        while len(self._failures) > self.kept:
            self._failures.popitem(last=False)

    def forgive(self, name: str) -> None:
        """Forget the latest failure."""
        if times := self._failures.get(name):
            times.pop()

    def clear(self, name: str) -> None:
        """Forget this name's failures."""
        self._failures.pop(name, None)

    def __len__(self) -> int:
        return len(self._failures)


@dataclass(slots=True)
class LoginLimits:
    """Of log-ins: few for one name from one address, more for a name from anywhere and for an address with any name.

    So a guesser is soon stopped, many together are slowed, and nobody's typing mistakes lock out somebody elsewhere
    until fifty have failed.
    """

    pair: Limit = field(default_factory=lambda: Limit(5, 900.0))
    name: Limit = field(default_factory=lambda: Limit(50, 900.0))
    address: Limit = field(default_factory=lambda: Limit(30, 900.0))

    def wait(self, name: str, address: str, now: float) -> float:
        """Seconds until such a log-in may be tried."""
        return max(limit.wait(key, now) for limit, key in self._each(name, address))

    def fail(self, name: str, address: str, now: float) -> None:
        """Note a failure. It is counted before the password is looked at, so that tries at once count as well."""
        for limit, key in self._each(name, address):
            limit.fail(key, now)

    def succeed(self, name: str, address: str) -> None:
        """It was the right password: no failure, and earlier ones of this name from this address are forgotten."""
        for limit, key in self._each(name, address):
            limit.forgive(key)
        self.pair.clear(_pair(name, address))

    def _each(self, name: str, address: str) -> tuple[tuple[Limit, str], ...]:
        place = network_of(address)
        return (self.pair, _pair(name, address)), (self.name, name), (self.address, place)


def network_of(address: str) -> str:
    """What one person has many of counts as one: an IPv6 address by its /64.

    >>> network_of("2001:db8::1:2:3"), network_of("203.0.113.9")
    ('2001:db8::/64', '203.0.113.9')
    """
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(found, ipaddress.IPv4Address):
        return str(found)
    if found.ipv4_mapped is not None:
        return str(found.ipv4_mapped)
    return str(ipaddress.ip_network((int(found) >> 64 << 64, 64)))


def _pair(name: str, address: str) -> str:
    return f"{network_of(address)} {name}"
