"""Fragment: a piece of a file that is worked at as a whole, under an id that is the same whoever cuts it.

JSONL is cut by bytes (a line belongs to the fragment in which it begins), Parquet by row groups; what cannot be entered
in the middle (.gz, CSV, a JSON list, an Inspect log) is one fragment.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import Any

from pyarrow import lib, parquet

from ethostat.errors import InvalidInput, InvalidRow
from ethostat.rows import LONGEST_LINE, Row, batch_rows, json_row, read_rows
from ethostat.scaling.sources import SourceFile, beside, list_files, opened
from ethostat.taxonomy import Taxonomy
from ethostat.transcripts.reading import read_transcripts, responses_of
from ethostat.transcripts.transcript import Places, TranscriptRow

FRAGMENT_BYTES = 4 * 2**20
"""About 4,000 responses of 1 kB: a minute of the built-in classifier on one core."""
BYTES, GROUPS, WHOLE = "bytes", "groups", "whole"
_LINES = (".jsonl", ".ndjson")
_ROWS_AT_ONCE = 256
_PIECE = 2**20


@dataclass(frozen=True)
class Fragment:
    """A piece of `file`, from `start` to before `stop`, in bytes or row groups as `unit` says."""

    file: SourceFile
    unit: str = WHOLE
    start: int = 0
    stop: int = 0

    @cached_property
    def id(self) -> str:
        """16 hex digits: another file, size, time of change or place is another fragment."""
        text = json.dumps([asdict(self.file), self.unit, self.start, self.stop])
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    @property
    def name(self) -> str:
        """For people: the file, and where in it."""
        return self.file.path if self.unit == WHOLE or not self.start else f"{self.file.path}@{self.start}"

    def rows(self) -> Iterator[Row | InvalidRow]:
        """Its rows in order, each bad one as an InvalidRow in its place; lines are counted from its start."""
        if self.unit == BYTES:
            return self._lines()
        return self._groups() if self.unit == GROUPS else self._whole()

    def responses(self, taxonomy: Taxonomy | None, *, places: bool = True) -> Iterator[TranscriptRow | InvalidRow]:
        """Its recorded responses in order, as `read_transcripts` reads them; ids are unique within the fragment.

        Without `places` each row stands for itself, as in a stream.
        """
        if not places and not self.file.path.lower().endswith(".eval"):
            for row in self.rows():
                yield from responses_of([row], Places(taxonomy), name=self.name)
            return
        if self.file.path.lower().endswith(".eval"):
            with beside(self.file.path) as path:
                yield from read_transcripts(path, taxonomy=taxonomy)
            return
        yield from responses_of(self.rows(), Places(taxonomy), name=self.name)

    def _whole(self) -> Iterator[Row | InvalidRow]:
        with beside(self.file.path) as path:
            yield from read_rows(path)

    def _lines(self) -> Iterator[Row | InvalidRow]:
        with opened(self.file.path) as stream:
            for number, line in enumerate(lines_between(stream, self.start, self.stop), 1):
                if len(line) > LONGEST_LINE:
                    yield InvalidRow(self.name, number, f"a line must be at most {LONGEST_LINE >> 20} MB long")
                elif line.strip():
                    yield json_row(line, self.name, number)

    def _groups(self) -> Iterator[Row | InvalidRow]:
        done = 0
        try:
            with opened(self.file.path) as stream, parquet.ParquetFile(stream) as table:
                places = list(range(self.start, self.stop))
                for batch in table.iter_batches(batch_size=_ROWS_AT_ONCE, row_groups=places):
                    yield from batch_rows(batch, self.name, done)
                    done += batch.num_rows
        except (OSError, lib.ArrowException) as error:
            reason = str(error).partition("\n")[0]
            yield InvalidRow(self.name, done + 1, f"the file cannot be read from here on: {reason}")


def cut(sources: Iterable[str], *, size: int = FRAGMENT_BYTES) -> list[Fragment]:
    """The fragments of these sources in order, each of about `size` bytes.

    A file that several sources name counts once. Raises InvalidInput for a source without a file.
    """
    if size < 1:
        raise InvalidInput(f"a fragment must have at least 1 byte, got {size}")
    files = {file.path: file for source in sources for file in list_files(source)}
    return [fragment for file in files.values() for fragment in _cut_file(file, size)]


def _cut_file(file: SourceFile, size: int) -> list[Fragment]:
    if file.size == 0:
        return []
    name = file.path.lower()
    if name.endswith(_LINES):
        starts = range(0, file.size, size)
        return [Fragment(file, BYTES, start, min(start + size, file.size)) for start in starts]
    return _cut_groups(file, size) if name.endswith(".parquet") else [Fragment(file)]


def _cut_groups(file: SourceFile, size: int) -> list[Fragment]:
    """Row groups side by side, as many as have about `size` bytes."""
    try:
        with opened(file.path) as stream, parquet.ParquetFile(stream) as table:
            sizes = [table.metadata.row_group(place).total_byte_size for place in range(table.num_row_groups)]
    except (OSError, lib.ArrowException) as error:
        reason = str(error).partition("\n")[0]
        raise InvalidInput(f"{file.path}: is not a Parquet file that can be read: {reason}") from error
    found, start, held = [], 0, 0
    for place, weight in enumerate(sizes):
        held += weight
        if held >= size or place == len(sizes) - 1:
            found.append(Fragment(file, GROUPS, start, place + 1))
            start, held = place + 1, 0
    return found


def lines_between(stream: Any, start: int, stop: int) -> Iterator[bytes]:
    """The lines that begin at `start` or later and before `stop`, without their ends; memory is bound by the longest.

    The first line of a file loses its byte order mark. Of a line longer than `LONGEST_LINE` the beginning is given.
    """
    at, rest, piece = start, b"", b""
    stream.seek(max(start - 1, 0))
    if start:
        at, piece = _after_line(stream, start - 1)
    while at < stop:
        piece = piece or stream.read(_PIECE)
        if not piece:
            if rest:
                yield _unmarked(rest, at)
            return
        *whole, rest = (rest + piece).split(b"\n")
        piece = b""
        for line in whole:
            if at >= stop:
                return
            yield _unmarked(line, at)
            at += len(line) + 1
        if len(rest) > LONGEST_LINE and at < stop:
            yield rest[: LONGEST_LINE + 1]
            at, piece = _after_line(stream, at + len(rest))
            rest = b""


def _unmarked(line: bytes, at: int) -> bytes:
    return line if at else line.removeprefix(b"\xef\xbb\xbf")


def _after_line(stream: Any, at: int) -> tuple[int, bytes]:
    """Behind the next line end at `at` or later: the place, and what was read beyond it."""
    while piece := stream.read(_PIECE):
        end = piece.find(b"\n")
        if end >= 0:
            return at + end + 1, piece[end + 1 :]
        at += len(piece)
    return at, b""


def fragment_to_dict(one: Fragment) -> dict[str, Any]:
    """Plain values."""
    return asdict(one)


def fragment_from_dict(fields: Mapping[str, Any]) -> Fragment:
    """The inverse of `fragment_to_dict`."""
    return replace(Fragment(**fields), file=SourceFile(**fields["file"]))
