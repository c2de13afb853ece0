"""Feed: the rows of a file, a growing file or a pipe as they come, each with the place behind it, to go on from there.

A place is only valid for the file it was taken in: it carries a hash of the file's beginning, so that a log that was
rotated, truncated or replaced is read from its own beginning.
"""

from __future__ import annotations

import hashlib
import os
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from itertools import islice
from pathlib import Path
from typing import IO, Any

from ethostat.errors import InvalidInput, InvalidRow
from ethostat.rows import LONGEST_LINE, Row, json_row, read_rows

_CHUNK = 2**16
_HEAD = 4096
_AT_ONCE = 64
_POLL = 0.2


@dataclass(frozen=True, slots=True)
class Place:
    """Behind a row: bytes and lines (or, where a format has no lines, rows) read, and the hash of the first bytes."""

    offset: int = 0
    line: int = 0
    head: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


Fed = tuple[Row | InvalidRow, Place]


def feed(source: str, place: Place | None = None, *, follow: bool = False) -> Iterator[list[Fed]]:
    """Rows behind `place` in small lists as they come, each with the place behind it.

    With `follow` a JSONL file is read for ever: an empty list says that nothing came within 0.2 seconds. "-" is
    standard input, which has no places: each row of it is new. Raises InvalidInput for what cannot be read or followed.
    """
    start = place or Place()
    if source == "-":
        return _Lines(sys.stdin.buffer, "-", Place()).batches(follow=False)
    name = source.lower()
    if name.endswith((".jsonl", ".ndjson")):
        return _follow(Path(source), start, follow=follow)
    if follow:
        raise InvalidInput(
            f"{source} cannot be followed: only .jsonl and .ndjson files grow by lines; leave --follow out"
        )
    return _rows(source, start)


def _rows(source: str, start: Place) -> Iterator[list[Fed]]:
    """A format without byte offsets: rows that were read are read again and left out."""
    rows, done = islice(read_rows(source), start.line, None), start.line
    while batch := list(islice(rows, _AT_ONCE)):
        yield [(row, Place(0, done + number)) for number, row in enumerate(batch, 1)]
        done += len(batch)


def _follow(path: Path, start: Place, *, follow: bool) -> Iterator[list[Fed]]:
    while True:
        with _opened(path) as stream:
            lines = _Lines(stream, str(path), start if _is_of(stream, start) else Place())
            stream.seek(lines.place.offset)
            for batch in lines.batches(follow=follow):
                yield batch
                if not batch and _is_replaced(path, stream, lines.place.offset):
                    break
            else:
                return
        start = Place()


def _opened(path: Path) -> IO[bytes]:
    try:
        return path.open("rb", buffering=0)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InvalidInput(f"{str(path)!r} cannot be read: {reason}; check the path") from error


def _head(stream: IO[bytes], offset: int) -> str:
    found = os.pread(stream.fileno(), min(offset, _HEAD), 0)
    return hashlib.sha256(found).hexdigest()[:16]


def _is_of(stream: IO[bytes], place: Place) -> bool:
    return os.fstat(stream.fileno()).st_size >= place.offset and _head(stream, place.offset) == place.head


def _is_replaced(path: Path, stream: IO[bytes], offset: int) -> bool:
    here = os.fstat(stream.fileno())
    try:
        there = path.stat()
    except OSError:
        return False  # between a rename and the new file
    return (there.st_ino, there.st_dev) != (here.st_ino, here.st_dev) or here.st_size < offset


class _Lines:
    """Whole lines of a stream of bytes, and what is left of one."""

    def __init__(self, stream: IO[bytes], name: str, place: Place) -> None:
        self.stream, self.name, self.place = stream, name, place
        self._rest, self._skipping, self._head = b"", False, ""

    def batches(self, *, follow: bool) -> Iterator[list[Fed]]:
        """Lists of rows; the last line counts without its end where it is a whole row, and waits where it is not."""
        while True:
            chunk = self._read()
            if chunk:
                found = self._rows_in(chunk)
                for at in range(0, len(found), _AT_ONCE):
                    yield found[at : at + _AT_ONCE]
            elif follow:
                yield []
                time.sleep(_POLL)
            else:
                if last := self._last():
                    yield [last]
                return

    def _read(self) -> bytes:
        try:
            return bytes(getattr(self.stream, "read1", self.stream.read)(_CHUNK) or b"")
        except OSError as error:
            raise InvalidInput(f"{self.name} cannot be read: {error.strerror or error}; check the path") from error

    def _rows_in(self, chunk: bytes) -> list[Fed]:
        *whole, self._rest = (self._rest + chunk).split(b"\n")
        found = [one for line in whole if (one := self._row(line, 1)) is not None]
        if len(self._rest) > LONGEST_LINE:
            self._move(len(self._rest), 0)
            self._skipping, self._rest = True, b""
        return found

    def _row(self, line: bytes, end: int) -> Fed | None:
        skipped, self._skipping = self._skipping, False
        self._move(len(line) + end, 1)
        if skipped or len(line) > LONGEST_LINE:
            reason = f"a line must be at most {LONGEST_LINE >> 20} MB long"
            return InvalidRow(self.name, self.place.line, reason), self._here()
        text = line.removeprefix(b"\xef\xbb\xbf") if self.place.line == 1 else line
        return (json_row(text, self.name, self.place.line), self._here()) if text.strip() else None

    def _last(self) -> Fed | None:
        """What stands behind the last line end; where it is no row yet, reading goes on before it the next time."""
        last, self._rest = self._rest, b""
        if not last.strip():
            return None
        found, before = json_row(last, self.name, self.place.line + 1), self._here()
        return (found, before) if isinstance(found, InvalidRow) else self._row(last, 0)

    def _move(self, size: int, lines: int) -> None:
        self.place = Place(self.place.offset + size, self.place.line + lines)

    def _here(self) -> Place:
        if self.name == "-":
            return self.place
        if self.place.offset < _HEAD:
            return replace(self.place, head=_head(self.stream, self.place.offset))
        self._head = self._head or _head(self.stream, _HEAD)
        return replace(self.place, head=self._head)
