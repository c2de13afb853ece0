"""Turns of conversations as instrumentations and callers write them, read as far as they can be.

Live traffic is not refused for a part that is no text: it is named in brackets, as [image]. What `fields.messages`
demands of a person's file would lose responses here. Everything given back is well-formed text.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from ethostat.response import ROLES, Message, Prompt
from ethostat.visible import stripped

LONGEST_NAME = 200
_ROLES = {"human": "user", "ai": "assistant", "model": "assistant", "bot": "assistant", "function": "tool"}
_TEXTS = ("text", "content", "output_text", "input_text")
_CONVERSATIONS = ("messages", "input", "contents", "prompt", "prompts", "question", "query", "text", "content")
_CHOICES = ("choices", "generations", "candidates", "output", "messages", "outputs")
_ANSWERS = ("message", "content", "text", "parts", "output_text", "response", "completion", "output")
_DEEPEST = 8
_CALLS = ("tool_call", "tool_use", "function_call", "custom_tool_call")
_UNSAID = ("reasoning", "thinking", *_CALLS)


@dataclass(frozen=True, slots=True)
class Said:
    """One answer: its text, the calls it made as `name(arguments)`, and why it ended where that is known."""

    text: str
    calls: tuple[str, ...] = ()
    finish_reason: str | None = None

    def written(self) -> str | None:
        """The text; None where the answer only calls tools, so that there is nothing said to sort."""
        return self.text if self.text or not self.calls else None


def clean(text: str) -> str:
    """The text as any database takes it: no lone surrogates, no NUL.

    >>> clean("a" + chr(0) + "b")
    'a\ufffdb'
    """
    return text.replace("\x00", "\ufffd").encode("utf-8", "replace").decode()


def name_of(value: object) -> str | None:
    """The value as a name: one line of at most 200 characters without anything unseen; None where nothing is left."""
    if isinstance(value, bool) or not isinstance(value, str | int):
        return None
    return stripped(str(value)[: 4 * LONGEST_NAME], most=LONGEST_NAME) or None


def prompt_of(turns: tuple[Message, ...]) -> Prompt | None:
    """The prompt that these turns make, named by its content; None without a turn."""
    if not turns:
        return None
    unnamed = Prompt("", turns)
    return Prompt(unnamed.hash, turns)


def decoded(value: object) -> object:
    """A text that holds a JSON list or object as that; anything else as it is."""
    if isinstance(value, str) and value[:1] in "[{" and value[-1:] in "]}" and value:
        try:
            return msgspec.json.decode(value.encode("utf-8", "surrogatepass"))
        except (msgspec.MsgspecError, RecursionError, UnicodeError):
            return value
    return value


def read_turns(value: object, depth: int = 0) -> tuple[Message, ...]:
    """The turns in a list of messages, an object that holds one, or a text that a user said."""
    value = value if depth else decoded(value)
    if value is None or depth > _DEEPEST:
        return ()
    if isinstance(value, str):
        return (Message("user", clean(value)),) if value else ()
    if isinstance(value, Mapping):
        return _turns_of_object(value, depth)
    if isinstance(value, list):
        return tuple(turn for item in value for turn in read_turns(item, depth + 1))
    return ()


def _turns_of_object(value: Mapping[str, Any], depth: int) -> tuple[Message, ...]:
    role = value.get("role", value.get("type"))
    if isinstance(role, str) and ("role" in value or role in _ROLES or role in ROLES):
        role = _ROLES.get(role, role if role in ROLES else "user")
        return (Message(role, text_of(_contents(value)) + _calls_as_text(value)),)
    if value.get("type") == "function_call_output":
        return (Message("tool", text_of(value.get("output"))),)
    before = read_turns(value.get("system", value.get("instructions")), depth + 1)
    for name in _CONVERSATIONS:
        if value.get(name):
            turns = tuple(Message("system", turn.content) for turn in before)
            return (*turns, *read_turns(value[name], depth + 1))
    return ()


def _contents(message: Mapping[str, Any]) -> object:
    for name in ("content", "parts", "contents", "text", "refusal"):
        if message.get(name) not in (None, "", []):
            return message[name]
    return ""


def _calls_as_text(message: Mapping[str, Any]) -> str:
    """The calls of an earlier turn, so that the turn does not stand there empty."""
    return "" if _contents(message) not in ("", None) else "\n".join(f"[{call}]" for call in calls_of(message))


def text_of(value: object, depth: int = 0) -> str:
    """The text of a content: a text, parts of any of the usual shapes; what is no text is named in brackets."""
    if value is None or depth > _DEEPEST:
        return ""
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, list):
        return "".join(text_of(part, depth + 1) for part in value)
    if isinstance(value, Mapping):
        return _text_of_part(value, depth)
    return ""


def _text_of_part(part: Mapping[str, Any], depth: int) -> str:
    kind = part.get("type")
    if kind in _UNSAID:
        return ""
    for name in (*_TEXTS, "refusal"):
        if isinstance(part.get(name), str | list):
            return text_of(part[name], depth + 1)
    if kind in ("tool_call_response", "tool_result"):
        found = part.get("response", part.get("result"))
        return text_of(found if isinstance(found, str | list | Mapping) else None, depth + 1)
    named = name_of(kind) or name_of(part.get("modality"))
    return f"[{named.removeprefix('input_').removesuffix('_url')}]" if named else ""


def calls_of(message: object) -> tuple[str, ...]:
    """The tool calls of a message or its parts, each as name(arguments)."""
    if not isinstance(message, Mapping):
        return ()
    calls = [_call(item) for item in _items(message, "tool_calls")]
    for name in ("parts", "content", "contents"):
        parts = _items(message, name)
        calls += [_call(part) for part in parts if part.get("type") in _CALLS or "functionCall" in part]
    if isinstance(message.get("function_call"), Mapping):
        calls.append(_call(message["function_call"]))
    return tuple(calls)


def _items(message: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    items = message.get(name)
    return [item for item in items if isinstance(item, Mapping)] if isinstance(items, list) else []


def _call(item: Mapping[str, Any]) -> str:
    """A call as name(arguments)."""
    call = next((item[n] for n in ("function", "functionCall", "custom") if isinstance(item.get(n), Mapping)), item)
    name = name_of(call.get("name")) or "?"
    arguments = call.get("arguments", call.get("input", call.get("args")))
    if not isinstance(arguments, str):
        arguments = "" if arguments is None else msgspec.json.encode(arguments).decode()
    return f"{name}({clean(arguments)})"


def read_answers(value: object, depth: int = 0) -> tuple[Said, ...]:
    """The answers in what a model gave: a text, a message, a list of messages (each a choice), an API's whole body.

    A text that is JSON of no known shape is the answer itself, of a model that was asked for JSON.
    """
    if depth == 0 and isinstance(value, str):
        known = () if (shape := decoded(value)) is value else read_answers(shape, depth + 1)
        return known or (Said(clean(value)),)
    if value is None or depth > _DEEPEST:
        return ()
    if isinstance(value, str):
        return (Said(clean(value)),)
    if isinstance(value, list):
        return _answers_of_list(value, depth)
    if isinstance(value, Mapping):
        return _answers_of_object(value, depth)
    return ()


def _answers_of_list(items: list[Any], depth: int) -> tuple[Said, ...]:
    if any(isinstance(item, Mapping) and item.get("type") in ("message", *_UNSAID) for item in items):
        return merged(items)
    if items and all(isinstance(item, Mapping) and "type" in item and "role" not in item for item in items):
        return (Said(text_of(items), calls_of({"parts": items})),)
    return tuple(said for item in items for said in read_answers(item, depth + 1))


def merged(items: Iterable[object]) -> tuple[Said, ...]:
    """The output items of a Responses API body as the one answer that they are."""
    found = [item for item in items if isinstance(item, Mapping)]
    texts = [text_of(item.get("content")) for item in found if item.get("type", "message") == "message"]
    return (Said("".join(texts), calls_of({"parts": found})),)


def _answers_of_object(value: Mapping[str, Any], depth: int) -> tuple[Said, ...]:
    if value.get("role") in ("user", "system", "developer", "tool", "human"):
        return ()
    reason = name_of(value.get("finish_reason", value.get("finishReason", value.get("stop_reason"))))
    if "role" in value or "tool_calls" in value:
        return (Said(text_of(_contents(value)), calls_of(value), reason),)
    for name in _CHOICES:
        if isinstance(value.get(name), list) and value[name]:
            return read_answers(value[name], depth + 1)
    for name in _ANSWERS:
        if value.get(name) is not None:
            inner = read_answers(value[name], depth + 1)
            return tuple(Said(said.text, said.calls, said.finish_reason or reason) for said in inner)
    return ()
