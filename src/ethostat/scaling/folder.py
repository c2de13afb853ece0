"""Folder: where a job keeps what it has, on a disk or in an object store: its plan, and a part for each fragment.

    plan.json            what is asked for, and the fragments it is cut into
    parts/ID.parquet     what became of a fragment: there as a whole, or not there
    result.json          what all parts came to, once they were added up

A file is written whole or not at all, and a part's name is its fragment's id: whoever dies, whenever, what is there is
right, and what is not there is done again. Two that do the same fragment write the same part.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyarrow import fs, parquet

from ethostat.errors import InvalidInput
from ethostat.scaling.sources import located
from ethostat.whole import UNFINISHED, replacing

PLAN, RESULT = "plan.json", "result.json"
_FORMAT = 1
_KEPT = b"ethostat"


class Folder:
    """A folder by path or URL; it is made when something is first written to it."""

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")
        self._system, self._base = located(self.url)
        self._base = self._base.rstrip("/")

    def __reduce__(self) -> tuple[type[Folder], tuple[str]]:
        return Folder, (self.url,)

    def write(self, name: str, content: bytes) -> None:
        """Put a file there, whole. Raises InvalidInput where it cannot be written."""
        path = f"{self._base}/{name}"
        try:
            self._system.create_dir(path.rpartition("/")[0], recursive=True)
            if isinstance(self._system, fs.LocalFileSystem):
                with replacing(Path(path)) as unfinished:
                    unfinished.write_bytes(content)
            else:  # an object store shows an object once all of it is there
                with self._system.open_output_stream(path) as stream:
                    stream.write(content)
        except OSError as error:
            raise InvalidInput(f"{self.url} cannot be written: {error}; choose another folder") from error

    def read(self, name: str) -> bytes | None:
        """The content of a file; None where there is none."""
        try:
            with self._system.open_input_stream(f"{self._base}/{name}") as stream:
                return bytes(stream.read())
        except FileNotFoundError:
            return None
        except OSError as error:
            raise InvalidInput(f"{self.url}/{name} cannot be read: {error}; check the folder") from error

    def read_json(self, name: str) -> dict[str, Any] | None:
        """The object of a JSON file that this version wrote; None where there is none."""
        content = self.read(name)
        try:
            fields = None if content is None else json.loads(content)
        except ValueError as error:
            raise InvalidInput(f"{self.url}/{name} is not what was written: {error}; use another folder") from error
        if fields is not None and (not isinstance(fields, dict) or fields.get("format") != _FORMAT):
            raise InvalidInput(f"{self.url}/{name} is of another version or program; use another folder")
        return fields

    def write_json(self, name: str, fields: Mapping[str, Any]) -> None:
        """Put an object there."""
        self.write(name, json.dumps({"format": _FORMAT, **fields}, ensure_ascii=True).encode() + b"\n")

    def names(self, kind: str) -> set[str]:
        """The files of a folder in it."""
        selector = fs.FileSelector(f"{self._base}/{kind}", allow_not_found=True)
        return {one.base_name for one in self._system.get_file_info(selector) if one.is_file}

    def sweep(self, kind: str) -> None:
        """Take away what workers that were killed left unfinished, once all is done: till then others are at work.

        An object store has nothing of the kind.
        """
        if isinstance(self._system, fs.LocalFileSystem):
            for name in self.names(kind):
                if name.endswith(UNFINISHED):
                    Path(self._base, kind, name).unlink(missing_ok=True)

    def write_table(self, name: str, table: pa.Table, about: Mapping[str, Any]) -> None:
        """Put a Parquet file there, with a few values about it inside."""
        kept = {**(table.schema.metadata or {}), _KEPT: json.dumps(about, ensure_ascii=True).encode()}
        sink = pa.BufferOutputStream()
        parquet.write_table(
            table.replace_schema_metadata(kept),
            sink,
            compression="zstd",
            row_group_size=2**15,
            write_page_checksum=True,
        )
        self.write(name, sink.getvalue().to_pybytes())

    def about(self, name: str) -> dict[str, Any]:
        """The values about a Parquet file."""
        with self._system.open_input_file(f"{self._base}/{name}") as stream:
            kept = parquet.read_schema(stream).metadata
        return dict(json.loads(kept[_KEPT]))

    def table(self, name: str, *, columns: list[str] | None = None, filters: Any = None) -> pa.Table:
        """Columns of the rows of a Parquet file that a filter lets through."""
        with self._system.open_input_file(f"{self._base}/{name}") as stream:
            return parquet.read_table(stream, columns=columns, filters=filters)
