"""Inspect's .eval logs, one sample at a time through Inspect's own reader: (sample id, epoch) is (prompt, k)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from ethostat import fields
from ethostat.errors import InvalidInput, InvalidRow, MissingExtra
from ethostat.response import ROLES, Message, Response
from ethostat.rows import Row
from ethostat.transcripts.transcript import Places, TranscriptRow


def read_log(path: Path, places: Places) -> Iterator[TranscriptRow | InvalidRow]:
    """The responses of a log; `line` is the number of the sample.

    A sample that failed or cannot be read is an InvalidRow; those that an unfinished log has not reached are left
    out. Raises InvalidInput where the file is not a log, MissingExtra without inspect-ai.
    """
    read_header, read_sample = _reader()
    header = _header(path, read_header)
    number = 0
    for id, epoch in _samples(header):
        try:
            sample = read_sample(path, id=id, epoch=epoch)
        except Exception as error:  # noqa: BLE001  (zip, zstd, ijson, pydantic: the reader lets all of theirs rise)
            if isinstance(error, IndexError) and header.status != "success":
                continue
            number += 1
            yield InvalidRow(str(path), number, f"sample {id!r}, epoch {epoch} cannot be read: {_said(error)}")
            continue
        number += 1
        try:
            yield _transcript(sample, number, places)
        except InvalidInput as error:
            yield InvalidRow(str(path), number, str(error))
    if number == 0:
        raise InvalidInput(f"{path}: holds no sample; it must hold at least one")


def _reader() -> tuple[Callable[..., Any], Callable[..., Any]]:
    """Inspect's own: of the header, and of one sample without what we have no use for."""
    try:
        from inspect_ai.log import read_eval_log, read_eval_log_sample
    except ImportError as error:
        raise MissingExtra("inspect-ai", "inspect") from error
    parts = {"resolve_attachments": "core", "exclude_fields": {"events", "store"}}
    return partial(read_eval_log, header_only=True), partial(read_eval_log_sample, **parts)


def _header(path: Path, read: Callable[..., Any]) -> Any:
    try:
        header = read(path)
    except Exception as error:
        raise InvalidInput(f"{path}: is not an Inspect log that can be read: {_said(error)}") from error
    if header.eval.dataset.sample_ids is None:
        raise InvalidInput(f"{path}: does not list its samples; write it again with inspect_ai.log.write_eval_log")
    return header


def _samples(header: Any) -> Iterator[tuple[int | str, int]]:
    for id in header.eval.dataset.sample_ids:
        for epoch in range(1, (header.eval.config.epochs or 1) + 1):
            yield id, epoch


def _said(error: Exception) -> str:
    return fields.short(str(error) or type(error).__name__)


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
            **_scored(sample),
        },
    )
    prompt = fields.named(turns, id=str(sample.id))
    return places.put(row, Response(prompt=prompt, text=text, id=id, model=model, time=time))


def _scored(sample: Any) -> dict[str, Any]:
    """The verdict that the scorer `ethostat/goals` gave, where it did; a goal that a person put there stands alone."""
    for score in (sample.scores or {}).values():
        said = score.metadata or {}
        probabilities = said.get("probabilities")
        if isinstance(score.value, str) and isinstance(probabilities, dict) and "taxonomy" in said:
            if probabilities.get(score.value) != max(probabilities.values()):
                return {"goal": score.value}
            return {"goal": score.value, "probabilities": probabilities, "typicality": said.get("typicality")}
    return {}


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
