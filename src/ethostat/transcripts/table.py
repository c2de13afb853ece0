"""Rows of JSONL, CSV and Parquet: `prompt` or `messages`, `response`, and what else DESIGN's transcript row holds."""

from __future__ import annotations

from datetime import datetime

from ethostat import fields
from ethostat.errors import InvalidInput
from ethostat.response import Message, Prompt, Response
from ethostat.rows import Row
from ethostat.transcripts.transcript import Places, TranscriptRow, is_labelled

NO_PROMPT = Prompt("no-prompt", (Message("user", ""),))
"""The prompt of labelled rows that name none; all of them count as samples of one prompt."""


def read_row(row: Row, places: Places) -> TranscriptRow:
    """The recorded response of a row. Raises InvalidInput where a field is of the wrong type or missing."""
    prompt, answer = _split_answer(_prompt(row), fields.text(row, "response"))
    if answer is None:
        if not is_labelled(row):
            raise InvalidInput("`response` is missing; a row needs it as text, unless it carries `goal`")
        answer = ""
    response = Response(
        prompt=prompt,
        text=answer,
        id=fields.identifier(row, "id") or "",
        model=fields.word(row, "model") or "",
        time=_time(row),
    )
    return places.put(row, response, step=fields.step(row))


def _prompt(row: Row) -> Prompt:
    id = fields.identifier(row, "prompt_id")
    prompt = fields.prompt(row, id=id)
    if prompt is not None:
        return prompt
    if not is_labelled(row):
        raise InvalidInput("`prompt` is missing; a row needs `prompt` or `messages`, unless it carries `goal`")
    return Prompt(id, NO_PROMPT.messages) if id else NO_PROMPT


def _split_answer(prompt: Prompt, answer: str | None) -> tuple[Prompt, str | None]:
    """Takes the final assistant message off the prompt where it is the response, or the same as it."""
    last = prompt.messages[-1]
    if last.role != "assistant" or (answer is not None and answer != last.content):
        return prompt, answer
    if len(prompt.messages) == 1:
        raise InvalidInput("`messages` holds an answer only; a message that it answers must come before it")
    id = None if prompt.id == prompt.hash else prompt.id
    asked = fields.named(prompt.messages[:-1], id=id, category=prompt.category, expected=prompt.expected)
    return asked, last.content


def _time(row: Row) -> str | None:
    """ISO 8601 text; dates of a Parquet file are written so."""
    value = row.fields.get("time")
    if isinstance(value, datetime):
        return value.isoformat()
    text = fields.word(row, "time")
    if text is None:
        return None
    try:
        datetime.fromisoformat(text)
    except ValueError as error:
        rule = "`time` must be ISO 8601, as 2026-03-01T12:00:00Z"
        raise InvalidInput(f"{rule}, got {fields.short(text)}") from error
    return text
