"""Keys and URLs: which key goes where, and which never does."""

from __future__ import annotations

import ipaddress
import os

import httpx

from ethostat.errors import InvalidInput

KEY_VARIABLES = ("ETHOSTAT_API_KEY", "OPENAI_API_KEY")


class Key(str):
    """A key that does not show itself when printed by accident."""

    __slots__ = ("variable",)
    variable: str

    def __repr__(self) -> str:
        return "Key(***)"


def find_key(variable: str | None = None) -> Key | None:
    """The key from the environment: from `variable`, or else from the first of KEY_VARIABLES that is set.

    A variable that is set but empty means: send none.
    """
    for name in (variable,) if variable else KEY_VARIABLES:
        value = os.environ.get(name)
        if value is None:
            continue
        key = Key(value.strip())
        if not (key.isascii() and key.isprintable()) or " " in key:
            raise InvalidInput(f"{name} must be one line of printable ASCII without spaces; set it again")
        key.variable = name
        return key or None
    return None


def checked_url(text: str) -> str:
    """The URL without a trailing slash; without a path it gets /v1. Raises InvalidInput."""
    try:
        url = httpx.URL(text.strip())
    except httpx.InvalidURL as error:
        raise InvalidInput(f"the model's URL cannot be read ({error}); it should look like https://host/v1") from None
    if url.scheme not in ("http", "https") or not url.host:
        raise InvalidInput(f"the model's URL must begin with http:// or https:// and name a host, got {_bare(url)!r}")
    if url.userinfo or url.query or url.fragment:
        raise InvalidInput(
            f"the model's URL must not carry a user, password, query or fragment ({_bare(url)}); "
            f"put the key into {KEY_VARIABLES[0]}"
        )
    path = url.path.rstrip("/") or "/v1"
    return str(url.copy_with(path=path))


def refuse_key_in_clear(url: str, key: Key) -> None:
    """Raise InvalidInput where the key would travel unencrypted to another machine."""
    parsed = httpx.URL(url)
    if parsed.scheme == "https" or is_loopback(parsed.host):
        return
    raise InvalidInput(
        f"{key.variable} would be sent unencrypted to {parsed.host}; use https, "
        f"or set {KEY_VARIABLES[0]} to the empty string if the server needs no key"
    )


def is_loopback(host: str) -> bool:
    """Whether only this machine answers to this host."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _bare(url: httpx.URL) -> str:
    return f"{url.scheme}://{url.host}{url.path}"
