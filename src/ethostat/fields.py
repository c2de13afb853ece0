"""The typed values of a row: text, number, messages, prompt. A value of another type is refused, never converted.

Every function raises InvalidInput with the value's type, the rule and the next step; the caller knows the line.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from ethostat.errors import InvalidInput
from ethostat.response import ROLES, Message, Prompt
from ethostat.rows import Row, decode


def kind(value: object) -> str:
    """What JSON calls the type of this value."""
    if value is None or isinstance(value, bool):
        return "null" if value is None else str(value).lower()
    if isinstance(value, str | bytes):
        return "text" if isinstance(value, str) else "bytes"
    if isinstance(value, int | float):
        return "a number"
    return "an object" if isinstance(value, Mapping) else "a list" if isinstance(value, Sequence) else str(type(value))


def short(value: object) -> str:
    """The value for a message: at most 60 characters, control characters escaped."""
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def text(row: Row, name: str) -> str | None:
    """The text of a field, None where it is absent or null. An empty cell of a CSV file is an empty text."""
    value = row.fields.get(name)
    if value is None or isinstance(value, str):
        return value
    raise InvalidInput(f"`{name}` must be text, got {kind(value)}; put it in quotes")


def word(row: Row, name: str) -> str | None:
    """The text of a field that names something (an id, a goal, a model); None where it is absent, null or empty."""
    return text(row, name) or None


def identifier(row: Row, name: str) -> str | None:
    """Like `word`, and whole numbers are taken as they are written, since many files number their rows."""
    value = row.fields.get(name)
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value) if abs(value) < 10**18 else _refuse(name, value)
    return word(row, name)


def structure(row: Row, name: str) -> Any:
    """The list or object of a field; in a CSV file it stands in its cell as JSON. None where it is absent."""
    value = row.fields.get(name)
    if row.textual and isinstance(value, str):
        try:
            return decode(value.encode()) if value.strip() else None
        except InvalidInput as error:
            raise InvalidInput(f"`{name}` must be JSON in a cell: {error}") from error
    return value


def step(row: Row) -> int | None:
    """The whole number, 0 or more, of the field `step`; None where it is absent."""
    value = row.fields.get("step")
    if row.textual and isinstance(value, str):
        value = structure(row, "step")
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if value is None or (isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**63):
        return value
    raise InvalidInput(f"`step` must be a whole number from 0, got {short(value)}")


def number(value: object, *, what: str) -> float:
    """A finite number as a float."""
    if isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e300 and math.isfinite(value):
        return float(value)
    raise InvalidInput(f"{what} must be a finite number, got {short(value)}")


def prompt(row: Row, *, id: str | None = None) -> Prompt | None:
    """The prompt of a row: its `messages`, else its `prompt`; None where it has neither.

    Without an id, the id is the content hash: equal texts are the same prompt.
    """
    turns = messages(structure(row, "messages"))
    if turns is None:
        asked = text(row, "prompt")
        turns = None if asked is None else (Message("user", asked),)
    if turns is None:
        return None
    return named(turns, id=id, category=word(row, "category"), expected=word(row, "expected"))


def named(
    turns: tuple[Message, ...], *, id: str | None, category: str | None = None, expected: str | None = None
) -> Prompt:
    """The prompt that these messages make; without an id, the id is the content hash."""
    prompt = Prompt(id or "", turns, category, expected)
    return prompt if id else replace(prompt, id=prompt.hash)


def messages(value: object) -> tuple[Message, ...] | None:
    """Messages from `[{"role", "content"}, ...]`; None from None. Content may be a list of text parts."""
    if value is None:
        return None
    if not isinstance(value, list) or not value:
        raise InvalidInput(f"`messages` must be a list of at least one message, got {short(value)}")
    return tuple(_message(item, place) for place, item in enumerate(value, 1))


def _message(item: object, place: int) -> Message:
    if not isinstance(item, Mapping):
        raise InvalidInput(f"message {place} must be an object with role and content, got {kind(item)}")
    role = item.get("role")
    if role not in ROLES:
        raise InvalidInput(f"the role of message {place} must be one of {', '.join(ROLES)}, got {short(role)}")
    content = item.get("content")
    if content is None and role == "assistant":
        content = ""  # a turn that only called a tool
    return Message(role, _content(content, place))


def _content(content: object, place: int) -> str:
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        raise InvalidInput(f"the content of message {place} must be text, got {kind(content)}")
    parts = [part.get("text") if isinstance(part, Mapping) else part for part in content]
    if not all(isinstance(part, str) for part in parts):
        raise InvalidInput(f"the content of message {place} must hold text parts only; images and sound are not read")
    return "".join(map(str, parts))


def _refuse(name: str, value: object) -> str:
    raise InvalidInput(f"`{name}` must be text or a whole number below 10^18, got {short(value)}")
