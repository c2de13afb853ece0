"""Copies a run into a file that other programs, and ethostat itself, can read."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from ethostat.conversation import split_id
from ethostat.errors import InvalidInput, StoreError
from ethostat.response import Response, Verdict
from ethostat.store.records import CONVERSATION, Run
from ethostat.store.store import Store
from ethostat.whole import replacing

_ROWS_PER_GROUP = 5000


def export(store: Store, run_id: str, path: Path, *, classifier_hash: str | None = None) -> int:
    """Write a run's responses, with goals and probabilities where they are known; gives the number of rows.

    `path` ends in .jsonl or .parquet and appears only when it is whole. The rows are transcript rows:
    `ethostat measure transcripts:FILE` reads them again. Verdicts are those of the run's own classifier unless
    `classifier_hash` names another.
    """
    run = store.get_run(run_id)
    classifier = classifier_hash or (run.classifier or {}).get("hash")
    rows = (transcript_row(run, response, verdict) for response, verdict in store.judged(run.id, classifier))
    writers = {".jsonl": _write_jsonl, ".parquet": _write_parquet}
    if path.suffix not in writers:
        raise InvalidInput(f"{path.name!r} must end in .jsonl or .parquet, so that the format is known")
    try:
        with replacing(path) as unfinished:
            return writers[path.suffix](rows, unfinished)
    except OSError as error:
        raise StoreError(f"{path} cannot be written: {error.strerror or error}; choose another path") from error


def transcript_row(run: Run, response: Response, verdict: Verdict | None) -> dict[str, Any]:
    """A stored response as a row that `read_transcripts` reads; None where a field has no value."""
    prompt = response.prompt
    replicate, step = split_id(prompt.id) if CONVERSATION in run.decoding else (None, None)
    return {
        "id": response.id,
        "run": run.id,
        "prompt_id": prompt.id,
        "replicate": replicate,
        "step": step,
        "index": response.index,
        "messages": [asdict(message) for message in prompt.messages],
        "category": prompt.category,
        "expected": prompt.expected,
        "response": response.text,
        "model": response.model or run.model,
        "time": response.time,
        "seed": response.seed,
        "finish_reason": response.finish_reason,
        "prompt_tokens": response.prompt_tokens,
        "completion_tokens": response.completion_tokens,
        "seconds": response.seconds,
        "goal": verdict.goal if verdict else None,
        "probabilities": list(verdict.probabilities) if verdict else None,
        "typicality": verdict.typicality if verdict else None,
    }


def _write_jsonl(rows: Iterator[dict[str, Any]], path: Path) -> int:
    count = 0
    with path.open("w", encoding="utf-8") as file:
        for count, row in enumerate(rows, 1):  # noqa: B007 - the last count is the answer
            present = {key: value for key, value in row.items() if value is not None}
            file.write(_json(present) + "\n")
    return count


def _json(row: dict[str, Any]) -> str:
    text = json.dumps(row, ensure_ascii=False)
    try:
        text.encode()
    except UnicodeEncodeError:  # a lone surrogate travels as \ud83d
        return json.dumps(row, ensure_ascii=True)
    return text


_MESSAGE = pa.struct([("role", pa.string()), ("content", pa.string())])
_COLUMNS = pa.schema(
    [
        ("id", pa.string()),
        ("run", pa.string()),
        ("prompt_id", pa.string()),
        ("replicate", pa.string()),
        ("step", pa.int64()),
        ("index", pa.int32()),
        ("messages", pa.list_(_MESSAGE)),
        ("category", pa.string()),
        ("expected", pa.string()),
        ("response", pa.string()),
        ("model", pa.string()),
        ("time", pa.string()),
        ("seed", pa.int64()),
        ("finish_reason", pa.string()),
        ("prompt_tokens", pa.int64()),
        ("completion_tokens", pa.int64()),
        ("seconds", pa.float64()),
        ("goal", pa.string()),
        ("probabilities", pa.list_(pa.float64())),
        ("typicality", pa.float64()),
    ]
)


def _write_parquet(rows: Iterator[dict[str, Any]], path: Path) -> int:
    count = 0
    with pq.ParquetWriter(path, _COLUMNS) as writer:
        while group := list(islice(rows, _ROWS_PER_GROUP)):
            writer.write_table(pa.Table.from_pylist([_encodable(row) for row in group], schema=_COLUMNS))
            count += len(group)
    return count


def _encodable(value: Any) -> Any:
    # Parquet holds UTF-8 only: a lone surrogate is written as the six characters \ud83d.
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, dict):
        return {key: _encodable(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_encodable(item) for item in value]
    return value
