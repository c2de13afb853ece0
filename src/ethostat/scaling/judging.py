"""Judging: the first half of a job. A fragment's rows get their verdicts, and become a part of the folder."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from typing import Any

import pyarrow as pa

from ethostat import fields
from ethostat.classifiers import Classifier, attempt
from ethostat.errors import InvalidInput, InvalidRow, UnreadableAnswer
from ethostat.monitor.policy import seconds
from ethostat.recorded import with_verdict
from ethostat.response import Verdict
from ethostat.rows import Rejected, Row
from ethostat.scaling.folder import Folder
from ethostat.scaling.fragments import Fragment
from ethostat.taxonomy import Taxonomy
from ethostat.transcripts.transcript import TranscriptRow

OF_TIME = {"month": 7, "day": 10, "hour": 13}
"""What may be told from `time` where a row has no field of this name: so many characters of it, in UTC."""
NONE = "(none)"
MOST_GROUPS = 10_000
_AT_ONCE = 64
_TEXT = pa.string()
VERDICTS = pa.schema(
    [
        pa.field("key", _TEXT),
        pa.field("prompt_id", _TEXT),
        pa.field("prompt_hash", _TEXT),
        pa.field("category", _TEXT),
        pa.field("expected", _TEXT),
        pa.field("id", _TEXT),
        pa.field("goal", _TEXT),
        pa.field("probabilities", pa.list_(pa.float64())),
        pa.field("typicality", pa.float64()),
        pa.field("recorded", pa.bool_()),
    ]
)
"""The columns of a part that is to be measured: verdicts without texts, by group, in order within each."""


class Opener:
    """A classifier that is opened where it is first needed, once in each process."""

    def __init__(self, open_: Callable[[], Classifier]) -> None:
        self._open = open_
        self._classifier: Classifier | None = None

    def __call__(self) -> Classifier:
        if self._classifier is None:
            self._classifier = self._open()
        return self._classifier

    def __reduce__(self) -> tuple[type[Opener], tuple[Callable[[], Classifier]]]:
        return Opener, (self._open,)


@dataclass(frozen=True, slots=True)
class Judged:
    """A response with its verdict; `recorded` says that the row brought it."""

    row: TranscriptRow
    verdict: Verdict
    recorded: bool


def judged(
    fragment: Fragment, taxonomy: Taxonomy, classifier: Opener, *, again: bool = False, places: bool = True
) -> Iterator[Judged | InvalidRow]:
    """The responses of a fragment in order with their verdicts, their own or the classifier's; constant memory.

    With `again` those that rows bring do not count. Without `places` an id may occur twice, and every response is the
    first of its prompt, as in a stream.
    """
    rows = fragment.responses(taxonomy, places=places)
    while batch := list(islice(rows, _AT_ONCE)):
        waiting = [row for row in batch if isinstance(row, TranscriptRow) and (again or row.verdict is None)]
        said = iter(attempt(classifier(), [row.response for row in waiting]) if waiting else ())
        for row in batch:
            if isinstance(row, InvalidRow):
                yield row
                continue
            recorded = not again and row.verdict is not None
            verdict = row.verdict if recorded else next(said)
            if isinstance(verdict, Verdict):
                yield Judged(row, verdict, recorded)
            elif isinstance(verdict, UnreadableAnswer):
                yield InvalidRow(fragment.name, row.line, str(verdict))


@dataclass(frozen=True, slots=True)
class Measuring:
    """Work: a fragment's verdicts as a part, in the order of their groups; `by` are the fields that make a group."""

    folder: Folder
    taxonomy: Taxonomy
    classifier: Opener
    by: tuple[str, ...] = ()

    def __call__(self, fragment: Fragment) -> dict[str, Any]:
        rejected, columns = Rejected(), _Columns()
        for one in rejected.set_aside(judged(fragment, self.taxonomy, self.classifier)):
            try:
                columns.add(key_of(one.row, self.by), one)
            except InvalidInput as error:
                rejected.add(InvalidRow(fragment.name, one.row.line, str(error)))
        table, keys = columns.table()
        about = _about(len(table), rejected) | {"keys": keys}
        self.folder.write_table(f"parts/{fragment.id}.parquet", table, about)
        return about


@dataclass(frozen=True, slots=True)
class Classifying:
    """Work: a fragment's rows with their verdicts as a part; with `again` those too that bring one."""

    folder: Folder
    taxonomy: Taxonomy
    classifier: Opener
    again: bool = False

    def __call__(self, fragment: Fragment) -> dict[str, Any]:
        rejected = Rejected()
        found = rejected.set_aside(judged(fragment, self.taxonomy, self.classifier, again=self.again))
        rows = [with_verdict(one.row, one.verdict) for one in found]
        about = _about(len(rows), rejected)
        self.folder.write_table(f"parts/{fragment.id}.parquet", _row_table(rows), about)
        return about


def _about(rows: int, rejected: Rejected) -> dict[str, Any]:
    return {"rows": rows, "rejected": rejected.count, "first": [str(one) for one in rejected.first[:3]]}


def key_of(row: TranscriptRow, by: Sequence[str]) -> str:
    """The group of a row as a JSON list. Raises InvalidInput where a field is no text and no whole number."""
    return json.dumps([_value(row, name) for name in by], ensure_ascii=True)


def _value(row: TranscriptRow, name: str) -> str:
    own = fields.identifier(Row(row.line, row.fields), name)
    if own is None and name in OF_TIME:
        at = seconds(row.response.time)
        own = None if at is None else datetime.fromtimestamp(at, UTC).isoformat()[: OF_TIME[name]]
    return own or (row.response.model if name == "model" else "") or NONE


class _Columns:
    """Verdicts as lists, a list a column; they become a table that is sorted by group."""

    def __init__(self) -> None:
        self._kept: list[tuple[Any, ...]] = []

    def add(self, key: str, one: Judged) -> None:
        prompt, verdict = one.row.response.prompt, one.verdict
        self._kept.append(
            (
                key,
                prompt.id,
                prompt.hash,
                prompt.category,
                prompt.expected,
                one.row.response.id,
                verdict.goal,
                verdict.probabilities,
                verdict.typicality,
                one.recorded,
            )
        )

    def table(self) -> tuple[pa.Table, dict[str, int]]:
        """The table, and how many rows each group has."""
        self._kept.sort(key=lambda row: row[0])
        columns = list(zip(*self._kept, strict=True)) or [()] * len(VERDICTS)
        keys: dict[str, int] = {}
        for key in columns[0]:
            keys[key] = keys.get(key, 0) + 1
        arrays = [pa.array(column, kind.type) for column, kind in zip(columns, VERDICTS, strict=True)]
        return pa.Table.from_arrays(arrays, schema=VERDICTS), keys


def _row_table(rows: list[dict[str, Any]]) -> pa.Table:
    """Rows as columns; a field whose values are of several kinds, or no Arrow can hold, is JSON text."""
    names = dict.fromkeys(name for row in rows for name in row)
    columns = {name: [row.get(name) for row in rows] for name in names}
    return pa.table({_utf8(name): _column(values) for name, values in columns.items()})


def _column(values: list[Any]) -> pa.Array:
    try:
        return pa.array(values)
    except (pa.ArrowException, OverflowError, UnicodeEncodeError, TypeError):
        return pa.array(
            [None if value is None else json.dumps(value, ensure_ascii=True, default=str) for value in values]
        )


def _utf8(name: str) -> str:
    return name.encode("utf-8", "backslashreplace").decode()
