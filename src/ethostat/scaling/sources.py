"""Sources: files by path, folder, pattern or URL, listed in one order and opened wherever they are.

A URL (s3://, gs://, hdfs://, file://) is opened by pyarrow, any other scheme by fsspec where that is installed.
"""

from __future__ import annotations

import glob
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from pyarrow import fs, lib

from ethostat.errors import InvalidInput, MissingExtra

SUFFIXES = (".jsonl", ".ndjson", ".json", ".csv", ".tsv", ".parquet", ".eval")
_PATTERN = frozenset("*?[")


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A file: where it is, its size in bytes, and when it was last changed."""

    path: str
    size: int
    changed: str


def list_files(source: str) -> list[SourceFile]:
    """The files that a path, a folder, a pattern (`logs/*.jsonl`) or a URL of one of these names, by name.

    Of a folder the files with a known suffix, those of folders in it included, hidden ones not. Raises InvalidInput
    where there is none.
    """
    system, path = located(source)
    found = [_described(source, path, one) for one in _infos(system, path, source)]
    if not found:
        raise InvalidInput(
            f"{source}: no file; name a file, a pattern, or a folder with {', '.join(SUFFIXES)} (or .gz) files in it"
        )
    return sorted(found, key=lambda one: one.path)


def located(source: str) -> tuple[Any, str]:
    """The file system of a path or URL, and the path in it. Raises InvalidInput for a scheme that nothing opens."""
    if "://" not in source:
        return fs.LocalFileSystem(), str(Path(source).absolute())
    try:
        system, path = fs.FileSystem.from_uri(source)
    except lib.ArrowInvalid:
        return _by_fsspec(source)
    except OSError as error:
        raise InvalidInput(
            f"{source} cannot be reached: {_reason(error)}; check the URL and its credentials"
        ) from error
    return system, path


@contextmanager
def opened(source: str) -> Iterator[Any]:
    """The bytes of a file, seekable. Raises InvalidInput where it cannot be read."""
    system, path = located(source)
    try:
        with system.open_input_file(path) as stream:
            yield stream
    except (FileNotFoundError, PermissionError, IsADirectoryError) as error:
        raise InvalidInput(f"{source} cannot be read: {_reason(error)}; check the path") from error


@contextmanager
def beside(source: str) -> Iterator[Path]:
    """The file on this machine's disk: itself, or a copy that is gone afterwards."""
    if "://" not in source:
        yield Path(source)
        return
    with tempfile.TemporaryDirectory(prefix="ethostat-") as folder, opened(source) as stream:
        copy = Path(folder) / source.rpartition("/")[2]
        with copy.open("wb") as file:
            while piece := stream.read(2**22):
                file.write(piece)
        yield copy


def _infos(system: Any, path: str, source: str) -> list[Any]:
    if _PATTERN & set(path) and "://" not in source:
        paths = glob.glob(path, recursive=True)  # noqa: PTH207 - Path.glob takes no absolute pattern
        return [one for one in system.get_file_info(paths) if one.is_file]
    try:
        if _PATTERN & set(path):
            base = path[: min(path.index(sign) for sign in _PATTERN & set(path))].rpartition("/")[0]
            return [one for one in _below(system, base) if fnmatchcase(one.path, path) and not _hidden(one.path, base)]
        whole = system.get_file_info(path)
        if whole.is_file:
            return [whole]
        return (
            [one for one in _below(system, path) if _is_known(one.path, path)] if whole.type.name == "Directory" else []
        )
    except OSError as error:
        raise InvalidInput(f"{source} cannot be listed: {_reason(error)}; check the URL and its credentials") from error


def _below(system: Any, folder: str) -> list[Any]:
    return [one for one in system.get_file_info(fs.FileSelector(folder, recursive=True)) if one.is_file]


def _is_known(path: str, folder: str) -> bool:
    return not _hidden(path, folder) and path.lower().removesuffix(".gz").endswith(SUFFIXES)


def _hidden(path: str, folder: str) -> bool:
    inside = path.removeprefix(folder).strip("/")
    return any(part.startswith((".", "_")) for part in inside.split("/"))


def _described(source: str, path: str, info: Any) -> SourceFile:
    """With the name that the caller would give it: a path as it was written, or a URL."""
    name = info.path
    if "://" in source:
        name = (
            source[: len(source) - len(path)] + info.path if source.endswith(path) else f"{_scheme(source)}{info.path}"
        )
    return SourceFile(name, int(info.size), str(info.mtime_ns or 0))


def _scheme(source: str) -> str:
    return source.partition("://")[0] + "://"


def _by_fsspec(source: str) -> tuple[Any, str]:
    try:
        from fsspec.core import url_to_fs
    except ImportError as error:
        raise MissingExtra("fsspec", "ray") from error
    try:
        system, path = url_to_fs(source)
    except (ValueError, ImportError, OSError) as error:
        raise InvalidInput(f"{source} cannot be reached: {error}; install what its scheme needs") from error
    return fs.PyFileSystem(fs.FSSpecHandler(system)), path


def _reason(error: OSError) -> str:
    return str(error.strerror or error).partition("\n")[0][:200]
