"""Row: one record of a file and its place; read as a stream, the bad ones set aside without stopping.

The suffix decides the format: .jsonl, .ndjson, .json (a list), .csv, .tsv, .txt (one prompt a line), each also
with .gz behind it, and .parquet. "-" is JSONL on standard input. Memory does not grow with the file, .json
aside, which is read whole.
"""

from __future__ import annotations

import csv
import gzip
import json
import re
import sys
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import IO, Any, TypeVar

import msgspec
from pyarrow import lib as arrow
from pyarrow import parquet

from ethostat.errors import InvalidInput, InvalidRow

LONGEST_LINE = 64 * 2**20
"""Bytes that one line of text may have; a longer one is an InvalidRow."""
LARGEST_LIST = 2**30
"""Bytes that a .json file may have, since it is read whole."""
_BATCH = 256  # rows of a Parquet file in memory at a time
_FOREIGN = {
    b"PAR1": "Parquet: name it .parquet",
    b"\x1f\x8b": "gzip: add .gz to its name",
    b"PK\x03\x04": "a zip archive: unpack it first",
    b"\xff\xfe": "UTF-16: save it as UTF-8",
    b"\xfe\xff": "UTF-16: save it as UTF-8",
}
_LINE_BREAK = re.compile(r"\s*")
_CUT_SHORT = (OSError, EOFError, zlib.error)

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Row:
    """The fields of one record and where it starts.

    `line` is the 1-based line of the file, or the number of the row in a Parquet file. `textual` says that the
    format knows text only (CSV), so that numbers and lists come as text and an empty cell may mean "absent".
    """

    line: int
    fields: Mapping[str, Any]
    textual: bool = False


@dataclass(slots=True)
class Rejected:
    """Counts the rows that could not be used and keeps the first 20 of them.

    >>> rejected = Rejected()
    >>> list(rejected.set_aside([1, InvalidRow("log.jsonl", 2, "not JSON"), 3]))
    [1, 3]
    >>> print(rejected)
    1 row was not used: log.jsonl:2: not JSON
    """

    count: int = 0
    first: list[InvalidRow] = field(default_factory=list)

    def add(self, row: InvalidRow) -> None:
        """Count one more."""
        self.count += 1
        if len(self.first) < 20:
            self.first.append(row)

    def set_aside(self, rows: Iterable[T | InvalidRow]) -> Iterator[T]:
        """The good rows, in order, as they come; the others are counted here."""
        for row in rows:
            if isinstance(row, InvalidRow):
                self.add(row)
            else:
                yield row

    def __str__(self) -> str:
        said = "; ".join(map(str, self.first[:3]))
        more = f"; and {self.count - 3} more" if self.count > 3 else ""
        return f"{self.count} row{' was' if self.count == 1 else 's were'} not used{': ' * bool(said)}{said}{more}"


def read_rows(source: Path | str) -> Iterator[Row | InvalidRow]:
    """The rows of a file, in order, each bad one as an InvalidRow in its place.

    Raises InvalidInput, at once where it can, when the whole file is unusable: missing, a directory, empty, of an
    unknown or another format. A file that breaks off in the middle gives what came before and one InvalidRow.
    """
    if str(source) == "-":
        return _or_empty(_json_lines(sys.stdin.buffer, "-"), "standard input")
    path = Path(source)
    read = _reader(path)
    _check_readable(path)
    return _or_empty(read(path), str(path))


def decode(line: bytes) -> Any:
    """The value of one JSON text; strict. Raises InvalidInput saying what is wrong with it.

    Of a key that occurs twice in one object the last value counts.
    """
    try:
        return msgspec.json.decode(line)
    except RecursionError:
        raise InvalidInput("not JSON that can be read: nested too deeply") from None
    except UnicodeDecodeError:
        raise InvalidInput(f"not UTF-8 (byte {_first_undecodable(line)})") from None
    except msgspec.DecodeError as error:
        raise InvalidInput(_diagnosis(line, error)) from None


def _first_undecodable(line: bytes) -> int:
    """Counted from 0, over the whole line; msgspec counts within one text of it."""
    try:
        line.decode()
    except UnicodeDecodeError as error:
        return error.start
    return len(line)


def _diagnosis(line: bytes, error: msgspec.DecodeError) -> str:
    if not line.strip(b"\0 \t\r\n"):
        return "NUL bytes in place of JSON; the file was probably cut off by a crash"
    if re.search(rb"\\u[dD][89a-fA-F]", line):
        return f"not JSON, or a lone surrogate escape (half of a \\ud8xx\\udcxx pair): {error}"
    return f"not JSON: {str(error).removeprefix('JSON is malformed: ')}"


def _reader(path: Path) -> Any:
    name = path.name.lower()
    if name.endswith(".parquet"):
        return _read_parquet
    if not path.suffix and path.is_fifo():  # <(command) of a shell has no suffix
        return partial(_read_text, parse=_json_lines)
    suffix = Path(name.removesuffix(".gz")).suffix
    if suffix not in _PARSERS:
        known = ", ".join([*_PARSERS, ".parquet"])
        raise InvalidInput(f"{path}: the suffix says the format and must be one of {known}, got {path.suffix!r}")
    return partial(_read_text, parse=_PARSERS[suffix])


def _check_readable(path: Path) -> None:
    with _naming(path):
        if path.is_dir():
            raise InvalidInput(f"{path}: is a directory; name a file in it")
        if path.is_fifo():
            return
        with path.open("rb") as stream:
            start = stream.read(4)
    if not start:
        raise InvalidInput(f"{path}: is empty; it must hold at least one row")
    if path.suffix.lower() in (".gz", ".parquet"):
        return
    for magic, meaning in _FOREIGN.items():
        if start.startswith(magic):
            raise InvalidInput(f"{path}: is {meaning}")


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Turns what the operating system says of a path into InvalidInput."""
    try:
        yield
    except OSError as error:
        raise InvalidInput(f"{path}: cannot be read: {error.strerror or error}; check the path") from error
    except ValueError as error:
        if isinstance(error, InvalidInput):
            raise
        raise InvalidInput(f"{str(path)!r} cannot be a path: {error}") from error  # a NUL in the name


def _or_empty(rows: Iterator[Row | InvalidRow], name: str) -> Iterator[Row | InvalidRow]:
    nothing = True
    for row in rows:
        nothing = False
        yield row
    if nothing:
        raise InvalidInput(f"{name}: holds no row; it must hold at least one")


def _read_text(path: Path, *, parse: Any) -> Iterator[Row | InvalidRow]:
    compressed = path.name.lower().endswith(".gz")
    with _naming(path), gzip.open(path) if compressed else path.open("rb") as stream:
        yield from parse(stream, str(path))


class _Lines:
    """The lines of a byte stream with their numbers; too long ones come as InvalidRow, broken streams end with one."""

    def __init__(self, stream: IO[bytes], name: str) -> None:
        self.stream, self.name, self.number, self.ended = stream, name, 0, False

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> bytes | InvalidRow:
        if self.ended:
            raise StopIteration
        self.number += 1
        try:
            return self._read()
        except _CUT_SHORT as error:
            self.ended = True
            return InvalidRow(self.name, self.number, f"the file cannot be read from here on: {error}")

    def _read(self) -> bytes | InvalidRow:
        line = self.stream.readline(LONGEST_LINE + 1)
        if not line:
            raise StopIteration
        if len(line) > LONGEST_LINE:
            while line and not line.endswith(b"\n"):
                line = self.stream.readline(2**20)
            return InvalidRow(self.name, self.number, f"a line must be at most {LONGEST_LINE >> 20} MB long")
        return line.removeprefix(b"\xef\xbb\xbf") if self.number == 1 else line


def _json_lines(stream: IO[bytes], name: str) -> Iterator[Row | InvalidRow]:
    lines = _Lines(stream, name)
    for line in lines:
        if isinstance(line, InvalidRow):
            yield line
        elif line.strip():
            yield json_row(line, name, lines.number)


def json_row(text: bytes, name: str, number: int) -> Row | InvalidRow:
    """The row that one line holds, or why it holds none."""
    try:
        fields = decode(text)
    except InvalidInput as error:
        return InvalidRow(name, number, str(error))
    if not isinstance(fields, dict):
        return InvalidRow(name, number, f"a row must be a JSON object, got {type(fields).__name__}")
    return Row(number, fields)


def _json_list(stream: IO[bytes], name: str) -> Iterator[Row | InvalidRow]:
    """The items of one JSON list. Behind a syntax error no item has a known place, so reading ends there."""
    text, broken = _whole(stream, name)
    at = _after_space(text, 0)
    if text[at : at + 1] != "[":
        raise InvalidInput(f"{name}: a .json file must hold a list of rows; for one object a line, name it .jsonl")
    scan, at, line, counted = json.JSONDecoder(), _after_space(text, at + 1), 1, 0
    while text[at : at + 1] not in ("]", ""):
        line, counted = line + text.count("\n", counted, at), at
        try:
            end = scan.raw_decode(text, at)[1]
        except (ValueError, RecursionError):
            reason = "not JSON, or nested too deeply" if not broken else f"the file breaks off: {broken}"
            yield InvalidRow(name, line, f"{reason}; the rest of the list was not read")
            return
        yield json_row(text[at:end].encode("utf-8", "surrogateescape"), name, line)
        at = _after_space(text, end)
        if text[at : at + 1] == ",":
            at = _after_space(text, at + 1)
        elif text[at : at + 1] != "]":
            break
    if text[at : at + 1] != "]":
        line += text.count("\n", counted, at)
        yield InvalidRow(name, line, "the list is not closed, or a comma is missing; the rest of it was not read")


def _whole(stream: IO[bytes], name: str) -> tuple[str, str]:
    """The text of the stream, undecodable bytes escaped, and why it broke off, if it did."""
    pieces, broken, size = [], "", 0
    try:
        while piece := stream.read(2**20):
            pieces.append(piece)
            size += len(piece)
            if size > LARGEST_LIST:
                raise InvalidInput(f"{name}: a .json file must be at most {LARGEST_LIST >> 30} GB; use .jsonl")
    except _CUT_SHORT as error:
        broken = str(error)
    return b"".join(pieces).decode("utf-8-sig", "surrogateescape"), broken


def _after_space(text: str, at: int) -> int:
    match = _LINE_BREAK.match(text, at)
    return match.end() if match else at


def _text_lines(stream: IO[bytes], name: str) -> Iterator[Row | InvalidRow]:
    lines = _Lines(stream, name)
    for line in lines:
        if isinstance(line, InvalidRow):
            yield line
            continue
        try:
            text = line.decode().strip()
        except UnicodeDecodeError as error:
            yield InvalidRow(name, lines.number, f"not UTF-8 (byte {error.start})")
            continue
        if text:
            yield Row(lines.number, {"prompt": text})


class _CellLines:
    """Lines as the csv module wants them; what cannot be a line is raised as csv.Error and reading can go on."""

    def __init__(self, lines: _Lines) -> None:
        self.lines = lines

    def __iter__(self) -> _CellLines:
        return self

    def __next__(self) -> str:
        line = next(self.lines)
        if isinstance(line, InvalidRow):
            raise csv.Error(line.reason)
        return line.decode("utf-8", "surrogateescape")


def _cells(stream: IO[bytes], name: str, *, delimiter: str) -> Iterator[Row | InvalidRow]:
    csv.field_size_limit(LONGEST_LINE)
    lines = _Lines(stream, name)
    records = csv.reader(_CellLines(lines), delimiter=delimiter, strict=True)
    header = _header(records, name)
    while True:
        start = lines.number + 1
        try:
            cells = next(records)
        except StopIteration:
            return
        except csv.Error as error:
            yield InvalidRow(name, start, _csv_reason(error))
            continue
        if cells:
            yield _cell_row(header, cells, name, start)


def _header(records: Iterator[list[str]], name: str) -> list[str]:
    try:
        header = [cell.strip() for cell in next(records, [])]
    except csv.Error as error:
        raise InvalidInput(f"{name}:1: the header cannot be read: {error}") from error
    if twice := sorted({cell for cell in header if header.count(cell) > 1}):
        raise InvalidInput(f"{name}:1: column {twice[0]!r} occurs twice in the header; names must be unique")
    if not _is_utf8(header):
        raise InvalidInput(f"{name}:1: the header is not UTF-8; save the file as UTF-8")
    return header


def _csv_reason(error: csv.Error) -> str:
    if "unexpected end" in str(error):
        return "a quote is opened in this row and never closed; the rows behind it were not read"
    return f"not CSV: {error}"


def _cell_row(header: list[str], cells: list[str], name: str, line: int) -> Row | InvalidRow:
    if len(cells) != len(header):
        return InvalidRow(name, line, f"a row must have {len(header)} cells as the header has, got {len(cells)}")
    if not _is_utf8(cells):
        return InvalidRow(name, line, "not UTF-8")
    return Row(line, dict(zip(header, cells, strict=True)), textual=True)


def _is_utf8(texts: Iterable[str]) -> bool:
    try:
        "".join(texts).encode()
    except UnicodeEncodeError:
        return False
    return True


def _read_parquet(path: Path) -> Iterator[Row | InvalidRow]:
    done = 0
    try:
        with parquet.ParquetFile(path, page_checksum_verification=True) as table:
            names = table.schema_arrow.names
            if twice := sorted({name for name in names if names.count(name) > 1}):
                raise InvalidInput(f"{path}: column {twice[0]!r} occurs twice; names must be unique")
            for batch in table.iter_batches(batch_size=_BATCH):
                yield from batch_rows(batch, str(path), done)
                done += batch.num_rows
    except (OSError, arrow.ArrowException) as error:
        reason = str(error).partition("\n")[0]
        if not done:
            raise InvalidInput(f"{path}: is not a Parquet file that can be read: {reason}") from error
        yield InvalidRow(str(path), done + 1, f"the file cannot be read from here on: {reason}")


def batch_rows(batch: Any, name: str, done: int) -> Iterator[Row | InvalidRow]:
    """The rows of an Arrow batch, `done` of which came before it."""
    for place in range(batch.num_rows):
        try:
            (fields,) = batch.slice(place, 1).to_pylist()
        except (ValueError, OverflowError) as error:  # text that is not UTF-8, dates that Python cannot hold
            yield InvalidRow(name, done + place + 1, f"a value cannot be read: {error}")
        else:
            yield Row(done + place + 1, fields)


_PARSERS: dict[str, Any] = {
    ".jsonl": _json_lines,
    ".ndjson": _json_lines,
    ".json": _json_list,
    ".csv": partial(_cells, delimiter=","),
    ".tsv": partial(_cells, delimiter="\t"),
    ".txt": _text_lines,
}
