"""A POST to a machine that may be written to: no redirect followed, no proxy, little read, all within a deadline."""

from __future__ import annotations

import asyncio
import email.utils
import math
import ssl
import time
from collections.abc import Mapping
from typing import Any

import httpx

from ethostat.errors import DeliveryFailed, InvalidInput
from ethostat.notifying.addresses import Allowed, reachable
from ethostat.visible import stripped

DEADLINE = 20.0
"""Seconds for one delivery, from the look-up of the name to the end of the answer."""
_READ = 2_000
_GONE = 410


def read_url(text: str) -> httpx.URL:
    """A URL to post to. Raises InvalidInput where it is none, or would show a password in logs."""
    try:
        url = httpx.URL(text.strip())
    except (httpx.InvalidURL, TypeError) as error:
        raise InvalidInput(f"a target's URL cannot be read ({error}); it should look like https://host/path") from None
    if url.scheme not in ("http", "https") or not url.host:
        raise InvalidInput(f"a target's URL must begin with http:// or https:// and name a host, got {url.scheme!r}")
    if url.userinfo:
        raise InvalidInput(f"the URL of {url.host} must not carry a user or password; sign with a secret instead")
    return url.copy_with(fragment=None)


async def post(url: httpx.URL, body: bytes, headers: Mapping[str, str], *, allowed: Allowed) -> None:
    """Post JSON; returns when the receiver answered 2xx. Raises DeliveryFailed, whose text does not hold the path.

    The path of a webhook's URL is often its password.
    """
    try:
        async with asyncio.timeout(DEADLINE):
            await _post(url, body, headers, allowed)
    except TimeoutError as error:
        raise DeliveryFailed(f"{url.host} did not answer within {DEADLINE:g} s") from error


async def _post(url: httpx.URL, body: bytes, headers: Mapping[str, str], allowed: Allowed) -> None:
    port = url.port or (443 if url.scheme == "https" else 80)
    failure: DeliveryFailed | None = None
    for address in await reachable(url.host, port, allowed):
        try:
            return await _post_to(address, url, body, headers)
        except httpx.ConnectError as error:
            failure = DeliveryFailed(f"{url.host} ({address}) cannot be reached: {_reason(error)}")
        except (httpx.HTTPError, ssl.SSLError, OSError) as error:
            raise DeliveryFailed(f"{url.host} broke off: {_reason(error)}") from error
    raise failure or DeliveryFailed(f"{url.host} has no address")


async def _post_to(address: str, url: httpx.URL, body: bytes, headers: Mapping[str, str]) -> None:
    """The connection goes to the address that was judged; certificate and Host are those of the name."""
    asked = {
        **headers,
        "host": url.netloc.decode("ascii"),
        "content-type": "application/json",
        "user-agent": "ethostat",
    }
    is_tls = url.scheme == "https"
    extensions: dict[str, Any] = {"sni_hostname": url.host} if is_tls else {}
    # Of the environment it takes certificates (SSL_CERT_FILE) and no proxy.
    trusted = httpx.create_ssl_context() if is_tls else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    # A client a delivery: a connection that was kept could belong to another name on the same address.
    async with (
        httpx.AsyncClient(trust_env=False, verify=trusted, follow_redirects=False, timeout=DEADLINE) as client,
        client.stream(
            "POST", url.copy_with(host=address), content=body, headers=asked, extensions=extensions
        ) as answer,
    ):
        if answer.is_success:
            return
        raise _refused(url.host, answer, await _beginning(answer))


async def _beginning(answer: httpx.Response) -> str:
    read = b""
    async for part in answer.aiter_raw():
        read += part
        if len(read) >= _READ:
            break
    return stripped(read[:_READ].decode("utf-8", "replace"), most=200)


def _refused(host: str, answer: httpx.Response, said: str) -> DeliveryFailed:
    status = answer.status_code
    if 300 <= status < 400:
        return DeliveryFailed(
            f"{host} answered {status}, a redirect, and none is followed; name the final URL", for_good=True
        )
    if status == _GONE:
        return DeliveryFailed(f"{host} answered 410: it wants no more of these; remove the target", for_good=True)
    return DeliveryFailed(
        f"{host} answered {status}{f': {said}' if said else ''}", wait=_asked_wait(answer.headers.get("retry-after"))
    )


def _asked_wait(header: str | None) -> float | None:
    """Seconds that a Retry-After asks for, as a number or a date; None where it cannot be read."""
    if header is None:
        return None
    try:
        seconds = float(header)
    except ValueError:
        try:
            seconds = email.utils.parsedate_to_datetime(header).timestamp() - time.time()
        except ValueError:
            return None
    return max(seconds, 0.0) if math.isfinite(seconds) else None


def _reason(error: Exception) -> str:
    return stripped(str(error) or type(error).__name__, most=200)
