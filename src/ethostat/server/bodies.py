"""Bodies of requests, bounded one by one and all together."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.requests import Request

from ethostat.errors import EthostatError, InvalidInput
from ethostat.server.ingest import ENCODINGS, TooLarge, unpacked
from ethostat.server.intake import Full

_SECONDS = 30.0
_SMALL = 64 * 1024


class TooSlow(EthostatError):
    """A body does not come."""


class Bodies:
    """Reads bodies of at most `most_body` bytes, `most_unpacked` without compression, and all at once so many more."""

    def __init__(self, *, most_body: int, most_unpacked: int, most_together: int = 256 * 2**20) -> None:
        self._most_body, self._most_unpacked, self._most_together = most_body, most_unpacked, most_together
        self._held = 0

    @asynccontextmanager
    async def read(self, request: Request) -> AsyncIterator[bytes]:
        """The body without its compression, counted among those in memory until this is left.

        Raises TooLarge, TooSlow, InvalidInput for an encoding that is not known, and Full where all bodies together are
        too many.
        """
        encoding = request.headers.get("content-encoding", "").strip().lower()
        if encoding not in ENCODINGS:
            raise InvalidInput(f"content-encoding {encoding[:40]!r} is not known; send gzip, deflate or none")
        held = 0
        try:
            parts: list[bytes] = []
            async with asyncio.timeout(_SECONDS):
                async for part in request.stream():
                    held += self._hold(len(part))
                    if held > self._most_body:
                        raise TooLarge(f"a body has at most {self._most_body:,} bytes; send several, or compress it")
                    parts.append(part)
            body = b"".join(parts)
            if encoding not in ("", "identity"):
                body = await self._unpack(body, encoding)
                held += self._hold(len(body))
            yield body
        except TimeoutError:
            raise TooSlow(f"the body did not come within {_SECONDS:.0f} s") from None
        finally:
            self._held -= held

    def _hold(self, size: int) -> int:
        if self._held + size > self._most_together:
            raise Full(f"requests of {self._held:,} bytes are being read", 2)
        self._held += size
        return size

    async def _unpack(self, body: bytes, encoding: str) -> bytes:
        if len(body) < _SMALL:
            return unpacked(body, encoding, most=self._most_unpacked)
        return await asyncio.to_thread(unpacked, body, encoding, most=self._most_unpacked)
