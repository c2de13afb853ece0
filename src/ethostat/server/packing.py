"""Bodies that come packed: unpacked up to a bound, so that a small one cannot fill the memory."""

from __future__ import annotations

import zlib

from ethostat.errors import InvalidInput

_EITHER = 32 + zlib.MAX_WBITS  # zlib finds out whether gzip or zlib


class TooLarge(InvalidInput):
    """A body is larger than it may be."""


def unpacked(body: bytes, encoding: str, *, most: int) -> bytes:
    """The body as it was before its Content-Encoding (gzip, deflate, identity), at most `most` bytes.

    Raises TooLarge beyond that, InvalidInput where the encoding is another or the body is not in it.
    """
    encoding = encoding.strip().lower()
    if encoding in ("", "identity"):
        if len(body) > most:
            raise TooLarge(_rule(most))
        return body
    if encoding not in ("gzip", "x-gzip", "deflate"):
        raise InvalidInput(f"Content-Encoding {encoding!r} is not read; send gzip, deflate or nothing")
    try:
        return _inflated(body, most)
    except zlib.error as error:
        raise InvalidInput(f"the body is not {encoding}: {error}") from error


def _inflated(body: bytes, most: int) -> bytes:
    """Every member of the file, one after the other."""
    parts: list[bytes] = []
    room = most
    while body:
        stream = zlib.decompressobj(_EITHER)
        part = stream.decompress(body, room + 1)
        if len(part) > room:
            raise TooLarge(_rule(most))
        if not stream.eof:
            raise InvalidInput("the packed body ends before its end; send it again")
        room -= len(part)
        parts.append(part)
        body = stream.unused_data
    return b"".join(parts)


def _rule(most: int) -> str:
    return f"the body is larger than {most} bytes when unpacked; send it in smaller parts"
