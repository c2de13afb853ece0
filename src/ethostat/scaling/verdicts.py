"""Verdicts: of a fragment only what monitors need, read straight from columns or lines where they are plain.

A row that is not plain (a conversation, probabilities, no id, no verdict) is read and judged as every row is: what is
read here is what `ethostat monitor` would have taken, only sooner.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

import msgspec
import numpy as np
import pyarrow as pa
from pyarrow import compute, lib, parquet

from ethostat import fields
from ethostat.errors import InvalidInput, InvalidRow
from ethostat.monitor.policy import seconds
from ethostat.rows import Rejected, Row
from ethostat.scaling.folder import Folder
from ethostat.scaling.fragments import BYTES, GROUPS, Fragment, lines_between
from ethostat.scaling.judging import NONE, Opener, judged
from ethostat.scaling.sources import opened
from ethostat.taxonomy import Taxonomy
from ethostat.transcripts.transcript import find_goal

PARTITIONS = 32
"""Streams are told apart by key into so many; a worker replays some of them, so that more workers are idle."""
_TEXT = pa.string()
_COLUMNS, _NEEDED = ("goal", "id", "time"), ("goal", "id")
_TEXTS, _REFUSED = ("prompt", "response", "prompt_id"), ("probabilities", "messages", "typicality", "step")
SCHEMA = pa.schema(
    [
        pa.field("partition", pa.int16()),
        pa.field("key", pa.dictionary(pa.int32(), _TEXT)),
        pa.field("row", pa.int64()),
        pa.field("goal", pa.int16()),
        pa.field("id", _TEXT),
        pa.field("time", pa.dictionary(pa.int32(), _TEXT)),
        pa.field("judged", pa.bool_()),
    ]
)
"""A part that is to be replayed: by partition, in order within each. `row` counts within the fragment."""


class Plain(NamedTuple):
    """Rows as lists of equal length: keys (JSON), places of goals, ids, times, whether the classifier judged them."""

    keys: list[str]
    goals: list[int]
    ids: list[str]
    times: list[str | None]
    judged: list[bool]


@dataclass(frozen=True, slots=True)
class Sorting:
    """Work: what monitors need of a fragment, by partition; `key` are the fields that make a stream's key."""

    folder: Folder
    taxonomy: Taxonomy
    classifier: Opener
    key: tuple[str, ...] = ()

    def __call__(self, fragment: Fragment) -> dict[str, Any]:
        rejected = Rejected()
        table = (_columns(fragment, self.key, self.taxonomy) if fragment.unit == GROUPS else None) or self._table(
            fragment, rejected
        )
        table = _by_partition(table)
        about = {"rows": len(table), "rejected": rejected.count, "first": [str(one) for one in rejected.first[:3]]}
        self.folder.write_table(f"parts/{fragment.id}.parquet", table, about)
        return about

    def _table(self, fragment: Fragment, rejected: Rejected) -> pa.Table:
        found = Plain([], [], [], [], [])
        lines = _lines(fragment, self.key, self.taxonomy, found) if fragment.unit == BYTES else False
        if not lines:
            for column in found:
                column.clear()
            self._judge(fragment, found, rejected)
        rows = np.arange(len(found.keys), dtype=np.int64)
        return pa.table(
            {
                "key": pa.array(found.keys, _TEXT).dictionary_encode(),
                "row": rows,
                "goal": pa.array(found.goals, pa.int16()),
                "id": pa.array(found.ids, _TEXT),
                "time": pa.array(found.times, _TEXT).dictionary_encode(),
                "judged": pa.array(found.judged, pa.bool_()),
            }
        )

    def _judge(self, fragment: Fragment, found: Plain, rejected: Rejected) -> None:
        """Every row as `monitor` reads it."""
        goals = {key: place for place, key in enumerate(self.taxonomy.keys)}
        for one in rejected.set_aside(judged(fragment, self.taxonomy, self.classifier, places=False)):
            response, row = one.row.response, Row(one.row.line, one.row.fields)
            try:
                key = json.dumps([fields.identifier(row, name) or NONE for name in self.key])
                seconds(response.time)
            except InvalidInput as error:
                rejected.add(InvalidRow(fragment.name, one.row.line, str(error)))
                continue
            found.keys.append(key)
            found.goals.append(goals[one.verdict.goal])
            found.ids.append(response.id)
            found.times.append(response.time)
            found.judged.append(not one.recorded)


def _lines(fragment: Fragment, key: Sequence[str], taxonomy: Taxonomy, found: Plain) -> bool:
    """Fill in a fragment of JSONL whose every line is plain; False at the first that is not."""
    names = list(dict.fromkeys((*_NEEDED, *_COLUMNS, *key, *_TEXTS, *_REFUSED)))
    decode = msgspec.json.Decoder(_shape(names, key)).decode
    goal, id, time = (f"f{names.index(name)}" for name in _COLUMNS)
    keyed = [f"f{names.index(name)}" for name in key]
    known, named, fine = _goals(taxonomy), _Names(), _Times()
    with opened(fragment.file.path) as stream:
        for line in lines_between(stream, fragment.start, fragment.stop):
            if not line.strip():
                continue
            try:
                one = decode(line)
                place, at, its_id = known(getattr(one, goal)), getattr(one, time), getattr(one, id)
                if not its_id or (at is not None and not fine(at)):
                    return False
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, InvalidInput):
                return False
            found.keys.append(named[tuple([getattr(one, name) for name in keyed])])
            found.goals.append(place)
            found.ids.append(its_id)
            found.times.append(at)
    found.judged.extend([False] * len(found.keys))
    return True


def _shape(names: Sequence[str], key: Sequence[str]) -> type[msgspec.Struct]:
    """A line with these fields, where it is plain; the others are passed over."""

    def kind(place: int, name: str) -> tuple[Any, ...]:
        if name in _REFUSED:
            return f"f{place}", None, None
        if name in _NEEDED:
            return f"f{place}", str
        return (f"f{place}", str | int | None, None) if name in key else (f"f{place}", str | None, None)

    rename = {f"f{place}": name for place, name in enumerate(names)}
    return msgspec.defstruct("_Line", [kind(place, name) for place, name in enumerate(names)], rename=rename, gc=False)


def _columns(fragment: Fragment, key: Sequence[str], taxonomy: Taxonomy) -> pa.Table | None:
    """The rows of a Parquet fragment where all columns are plain; None where one is not."""
    names = list(dict.fromkeys((*_COLUMNS, *key)))
    try:
        with opened(fragment.file.path) as stream, parquet.ParquetFile(stream, page_checksum_verification=True) as file:
            schema = file.schema_arrow
            if not _is_plain(schema, key):
                return None
            there = [name for name in names if name in schema.names]
            table = file.read_row_groups(list(range(fragment.start, fragment.stop)), columns=there)
    except (OSError, lib.ArrowException):
        return None  # the reader of rows says what is wrong
    if table["goal"].null_count or table["id"].null_count or compute.any(compute.equal(table["id"], "")).as_py():
        return None
    try:
        goals, times = _encoded(table["goal"], _goals(taxonomy)), _times(table)
    except InvalidInput:
        return None
    if times is None:
        return None
    return pa.table(
        {
            "key": _keys(table, key),
            "row": np.arange(len(table), dtype=np.int64),
            "goal": goals.astype(np.int16),
            "id": table["id"].cast(_TEXT),
            "time": times,
            "judged": pa.array(np.zeros(len(table), dtype=bool)),
        }
    )


def _is_plain(schema: pa.Schema, key: Sequence[str]) -> bool:
    texts = {name for name in (*_COLUMNS, *key, *_TEXTS) if name in schema.names}
    return (
        not set(_REFUSED) & set(schema.names)
        and set(_NEEDED) <= texts
        and len(set(schema.names)) == len(schema.names)
        and all(_is_text(schema.field(name).type) for name in texts)
    )


def _is_text(kind: pa.DataType) -> bool:
    inner = kind.value_type if pa.types.is_dictionary(kind) else kind
    return bool(pa.types.is_string(inner) or pa.types.is_large_string(inner))


def _encoded(column: pa.ChunkedArray, number: Callable[[str], int]) -> np.ndarray[Any, np.dtype[np.int64]]:
    """A number for each value of a column, each distinct value looked up once."""
    whole = _dictionary(column)
    numbers = np.array([number(value) for value in whole.dictionary.to_pylist()], dtype=np.int64)
    return numbers[whole.indices.to_numpy(zero_copy_only=False)] if len(numbers) else np.zeros(0, dtype=np.int64)


def _dictionary(column: pa.ChunkedArray) -> Any:
    whole = column.combine_chunks()
    if isinstance(whole, pa.ChunkedArray):
        whole = whole.chunk(0) if whole.num_chunks else pa.array([], _TEXT)
    return whole if pa.types.is_dictionary(whole.type) else whole.cast(_TEXT).dictionary_encode()


def _times(table: pa.Table) -> Any:
    """The times, each distinct one checked; None where one is no time."""
    if "time" not in table.schema.names:
        return pa.nulls(len(table), _TEXT).dictionary_encode()
    whole, fine = _dictionary(table["time"]), _Times()
    return whole if all(value is None or fine(value) for value in whole.dictionary.to_pylist()) else None


def _keys(table: pa.Table, key: Sequence[str]) -> Any:
    """The keys as JSON, each distinct combination written once."""
    codes, names = np.zeros(len(table), dtype=np.int64), [()]
    for name in key:
        if name in table.schema.names:
            whole = _dictionary(table[name])
            values = [value or NONE for value in whole.dictionary.to_pylist()] + [NONE]
            mine = whole.indices.fill_null(len(values) - 1).to_numpy(zero_copy_only=False)
        else:
            values, mine = [NONE], np.zeros(len(table), dtype=np.int64)
        used, codes = np.unique(codes * len(values) + mine, return_inverse=True)
        names = [(*names[one // len(values)], values[one % len(values)]) for one in used.tolist()]
    written = pa.array([json.dumps(list(one)) for one in names], _TEXT)
    return pa.DictionaryArray.from_arrays(pa.array(codes.astype(np.int32)), written)


def _by_partition(table: pa.Table) -> pa.Table:
    """In the order of partitions, and of rows within each."""
    keys = _dictionary(table["key"])
    of = np.array([partition_of(key) for key in keys.dictionary.to_pylist()] or [0], dtype=np.int16)
    mine = of[keys.indices.to_numpy(zero_copy_only=False)]
    order = np.argsort(mine, kind="stable")
    columns = {"partition": mine} | {name: table[name] for name in table.schema.names}
    return pa.table(columns).take(pa.array(order)).cast(SCHEMA)


def partition_of(key: str) -> int:
    """The same wherever it is asked."""
    return zlib.crc32(key.encode()) % PARTITIONS


def _goals(taxonomy: Taxonomy) -> Callable[[str], int]:
    known: dict[str, int] = {}

    def place(written: str) -> int:
        found = known.get(written)
        if found is None:
            found = known[written] = taxonomy.index(find_goal(written, taxonomy))
        return found

    return place


class _Names(dict[tuple[str | int | None, ...], str]):
    """Keys as JSON, each written once. Raises InvalidInput for a number that names nothing."""

    def __missing__(self, key: tuple[str | int | None, ...]) -> str:
        row = Row(1, {str(place): value for place, value in enumerate(key)})
        self[key] = json.dumps([fields.identifier(row, name) or NONE for name in row.fields])
        return self[key]


class _Times:
    """Whether a text is a time that rows may carry."""

    def __call__(self, text: str) -> bool:
        try:
            return bool(text) and datetime.fromisoformat(text).year > 1
        except ValueError:
            return False


def batches(folder: Folder, parts: Sequence[str], partitions: Sequence[int]) -> Iterator[tuple[int, pa.Table]]:
    """What each part holds of some partitions, with the part's place; the rows of a stream in their order."""
    for place, part in enumerate(parts):
        table = folder.table(part, filters=[("partition", "in", list(partitions))])
        if len(table):
            yield place, table
