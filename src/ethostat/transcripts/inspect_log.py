"""Inspect's .eval logs, one sample at a time through Inspect's own reader: (sample id, epoch) is (prompt, k)."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from ethostat import fields
from ethostat.errors import InvalidInput, InvalidRow, MissingExtra
from ethostat.response import ROLES, Message, Response
from ethostat.rows import Row
from ethostat.transcripts.transcript import Places, TranscriptRow

# What the reader raises for files that are cut off, changed or not logs at all. pydantic's error is a ValueError.
_UNREADABLE = (
    OSError, EOFError, ValueError, LookupError, TypeError, AttributeError, RuntimeError, zipfile.BadZipFile, zlib.error,
)  # fmt: skip


def read_log(path: Path, places: Places) -> Iterator[TranscriptRow | InvalidRow]:
    """The responses of a log; `line` is the number of the sample.

    A sample that failed is an InvalidRow. Raises InvalidInput where the file is not a log, MissingExtra without
    inspect-ai.
    """
    samples, number = _samples(path), 0
    while True:
        number += 1
        try:
            sample = next(samples)
        except StopIteration:
            break
        except _UNREADABLE as error:
            reason = fields.short(str(error))
            if number == 1:
                raise InvalidInput(f"{path}: is not an Inspect log that can be read: {reason}") from error
            yield InvalidRow(str(path), number, f"the log cannot be read from here on: {reason}")
            return
        try:
            yield _transcript(sample, number, places)
        except InvalidInput as error:
            yield InvalidRow(str(path), number, str(error))
    if number == 1:
        raise InvalidInput(f"{path}: holds no sample; it must hold at least one")


def _samples(path: Path) -> Iterator[Any]:
    try:
        from inspect_ai.log import read_eval_log_samples
    except ImportError as error:
        raise MissingExtra("inspect-ai", "inspect") from error
    read: Callable[..., Iterator[Any]] = read_eval_log_samples
    return read(path, all_samples_required=False, resolve_attachments="core", exclude_fields={"events", "store"})


def _transcript(sample: Any, number: int, places: Places) -> TranscriptRow:
    if sample.error is not None:
        raise InvalidInput(f"sample {sample.id!r}, epoch {sample.epoch} failed: {fields.short(sample.error.message)}")
    if not sample.output.choices:
        raise InvalidInput(f"sample {sample.id!r}, epoch {sample.epoch} has no answer")
    turns = _turns(sample)
    text, model, time = sample.output.completion, sample.output.model or "", sample.completed_at
    id = sample.uuid or f"{sample.id}-{sample.epoch}"
    row = Row(
        number,
        {
            "id": id,
            "prompt_id": str(sample.id),
            "epoch": sample.epoch,
            "messages": [{"role": turn.role, "content": turn.content} for turn in turns],
            "response": text,
            "model": model,
            "time": time,
        },
    )
    prompt = fields.named(turns, id=str(sample.id))
    return places.put(row, Response(prompt=prompt, text=text, id=id, model=model, time=time))


def _turns(sample: Any) -> tuple[Message, ...]:
    """What the model was asked: the system messages that the solvers put first, then the sample's input."""
    asked = sample.input
    given = [Message("user", asked)] if isinstance(asked, str) else [_message(turn) for turn in asked]
    system: list[Message] = []
    for turn in sample.messages:
        if turn.role != "system":
            break
        system.append(_message(turn))
    turns = (*(turn for turn in system if turn not in given), *given)
    if not turns:
        raise InvalidInput(f"sample {sample.id!r} has no input")
    return turns


def _message(turn: Any) -> Message:
    if turn.role not in ROLES:
        raise InvalidInput(f"role {fields.short(turn.role)} must be one of {', '.join(ROLES)}")
    return Message(turn.role, turn.text)
