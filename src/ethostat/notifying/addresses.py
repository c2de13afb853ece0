"""Which machines may be written to: public addresses, and what was allowed by name or network.

A name is looked up once, every address it has is judged, and the connection goes to a judged address; a name
that answers otherwise the second time (DNS rebinding) gains nothing by it.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

from ethostat.errors import DeliveryFailed, InvalidInput

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
_NAT64 = (ipaddress.ip_network("64:ff9b::/96"), ipaddress.ip_network("64:ff9b:1::/48"))


@dataclass(frozen=True, slots=True)
class Allowed:
    """Exceptions from the rule that only public addresses are written to."""

    networks: tuple[Network, ...] = ()
    hosts: tuple[str, ...] = ()

    @classmethod
    def read(cls, entries: Iterable[str]) -> Self:
        """From addresses (`10.0.0.7`), networks (`10.0.0.0/8`) and names (`hooks.internal`)."""
        networks, hosts = [], []
        for entry in entries:
            try:
                networks.append(ipaddress.ip_network(entry))
            except ValueError:
                hosts.append(_checked_name(entry))
        return cls(tuple(networks), tuple(hosts))

    def takes(self, address: Address, *, host: str) -> bool:
        """Whether a connection to this address, for this host, is one of the exceptions."""
        return host.lower().rstrip(".") in self.hosts or any(address in network for network in self.networks)


ONLY_PUBLIC = Allowed()


def is_public(address: Address) -> bool:
    """Whether the address, and any IPv4 address within it, is one that the whole internet knows.

    >>> [is_public(ipaddress.ip_address(one)) for one in ("8.8.8.8", "10.0.0.1", "::ffff:127.0.0.1", "64:ff9b::a00:1")]
    [True, False, False, False]
    """
    inner = list(_within(address))
    return all(is_public(one) for one in inner) and (
        bool(inner and _is_translated(address)) or (address.is_global and not address.is_multicast)
    )


async def reachable(host: str, port: int, allowed: Allowed) -> list[str]:
    """The addresses of a host, in the order to try them; all of them judged.

    Raises DeliveryFailed where the name is not known now, and for good where one of its addresses is not public.
    """
    addresses = await _looked_up(host, port)
    for address in addresses:
        if not is_public(address) and not allowed.takes(address, host=host):
            raise DeliveryFailed(
                f"{host} is {address}, which is not a public address; to write there, add it to `allow`", for_good=True
            )
    return [str(address) for address in addresses]


async def _looked_up(host: str, port: int) -> list[Address]:
    try:
        return [ipaddress.ip_address(host)]
    except ValueError:
        pass
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise DeliveryFailed(f"{host} is not known ({error}); check the name and the resolver") from error
    return list(dict.fromkeys(ipaddress.ip_address(row[4][0]) for row in found))


def _within(address: Address) -> Iterable[Address]:
    """IPv4 addresses that an IPv6 address stands for."""
    if isinstance(address, ipaddress.IPv4Address):
        return
    if address.ipv4_mapped is not None:
        yield address.ipv4_mapped
    if address.sixtofour is not None:
        yield address.sixtofour
    if address.teredo is not None:
        yield from address.teredo
    if any(address in network for network in _NAT64):
        yield ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)


def _is_translated(address: Address) -> bool:
    return isinstance(address, ipaddress.IPv6Address) and (address.ipv4_mapped is not None or address in _NAT64[0])


def _checked_name(entry: str) -> str:
    name = entry.lower().rstrip(".")
    labels = name.split(".")
    if "/" in name or not all(label and label.replace("-", "a").replace("_", "a").isalnum() for label in labels):
        raise InvalidInput(f"`allow` takes addresses, networks such as 10.0.0.0/8, and names, got {entry[:80]!r}")
    return name
