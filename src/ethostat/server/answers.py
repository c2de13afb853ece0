"""What was asked and answered, read from the bytes that went past: whole bodies and streams of server-sent events.

Sources: platform.openai.com/docs/api-reference (chat, completions, responses and their streaming), and the HTML
standard's server-sent events.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from ethostat.errors import InvalidInput
from ethostat.response import Message
from ethostat.server.turns import Said, calls_of, clean, merged, name_of, read_turns, text_of

ENDPOINTS = {"chat/completions": "chat", "completions": "completions", "responses": "responses"}
"""The paths under /v1 that are answers of models, and what to call them."""


@dataclass(frozen=True, slots=True)
class Answered:
    """One exchange: the conversation, an answer a choice, and what the server said of them.

    `turns` has the conversation of each choice; `requested` is the model that was asked for, `model` the one that
    answered. Tokens are None where the server did not count; `id` is what it called its response.
    """

    turns: tuple[tuple[Message, ...], ...]
    choices: tuple[Said, ...]
    requested: str | None
    model: str | None
    session: str | None
    input_tokens: int | None
    output_tokens: int | None
    id: str | None = None


class _Loose(msgspec.Struct, gc=False):
    pass


class _Function(_Loose):
    name: str | None = None
    arguments: str | None = None


class _CallPart(_Loose):
    index: int = 0
    function: _Function | None = None


class _Delta(_Loose):
    content: str | list[Any] | None = None
    refusal: str | None = None
    tool_calls: list[_CallPart] | None = None


class _Choice(_Loose):
    index: int = 0
    delta: _Delta | None = None
    message: dict[str, Any] | None = None
    text: str | None = None
    finish_reason: str | None = None


class _Usage(_Loose):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None


class _Body(_Loose):
    """A whole answer or one chunk of a stream, of any of the three endpoints."""

    id: str | None = None
    model: str | None = None
    choices: list[_Choice] | None = None
    usage: _Usage | None = None
    error: Any = None
    type: str | None = None
    response: _Body | None = None
    output: list[dict[str, Any]] | None = None
    status: str | None = None


class _Request(_Loose):
    model: str | None = None
    messages: list[Any] | None = None
    prompt: Any = None
    instructions: Any = None
    input: Any = None
    conversation: Any = None
    metadata: Any = None
    n: int | None = None


_BODY, _REQUEST = msgspec.json.Decoder(_Body), msgspec.json.Decoder(_Request)


def read_exchange(endpoint: str, request: bytes, response: bytes, content_type: str) -> Answered:
    """What the bytes say. Raises InvalidInput where they cannot be read, or the answer is an error or cut short."""
    try:
        asked = _REQUEST.decode(request)
        if content_type == "text/event-stream":
            choices, last = _streamed(_BODY.decode(data) for data in events_of(response))
        else:
            choices, last = _whole(_BODY.decode(response))
    except (msgspec.MsgspecError, RecursionError, UnicodeError) as error:
        raise InvalidInput(f"the exchange cannot be read: {error}") from error
    usage = last.usage or _Usage()
    return Answered(
        turns=_turns(endpoint, asked, len(choices)),
        choices=choices,
        requested=name_of(asked.model),
        model=name_of(last.model) or name_of(asked.model),
        session=_session(asked),
        input_tokens=usage.prompt_tokens if usage.input_tokens is None else usage.input_tokens,
        output_tokens=usage.completion_tokens if usage.output_tokens is None else usage.output_tokens,
        id=name_of(last.id),
    )


def events_of(stream: bytes) -> Iterator[bytes]:
    """The data of each server-sent event that is JSON; comments, names and [DONE] have none."""
    for block in _blocks(stream):
        lines = [line[5:].removeprefix(b" ") for line in block.split(b"\n") if line.startswith(b"data:")]
        data = b"\n".join(lines)
        if data and data != b"[DONE]":
            yield data


def is_ended(stream: bytes) -> bool:
    r"""Whether the stream has said that it is over. A caller may leave then, before the connection says so too.

    >>> is_ended(b'data: {"choices": []}\n\ndata: [DONE]\n\n'), is_ended(b'data: {"choices": []}\n\n')
    (True, False)
    """
    last = _blocks(stream.rstrip())[-1]
    return last.startswith(
        (b"data: [DONE]", b"data:[DONE]", b"event: response.completed", b"event: response.incomplete")
    )


def _blocks(stream: bytes) -> list[bytes]:
    return stream.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n\n")


def _whole(body: _Body) -> tuple[tuple[Said, ...], _Body]:
    if body.error:
        raise InvalidInput("the answer is an error")
    if body.output is not None:
        return _of_output(body), body
    choices = sorted(body.choices or (), key=lambda choice: choice.index)
    return tuple(_said(choice) for choice in choices), body


def _said(choice: _Choice) -> Said:
    if choice.message is None:
        return Said(clean(choice.text or ""), (), choice.finish_reason)
    content = choice.message.get("content") or choice.message.get("refusal")
    return Said(text_of(content), calls_of(choice.message), choice.finish_reason)


def _of_output(body: _Body) -> tuple[Said, ...]:
    """The one answer of a Responses body. Raises InvalidInput where it is not finished."""
    if body.status not in (None, "completed", "incomplete"):
        raise InvalidInput(f"the response is {body.status!r}, not completed")
    (said,) = merged(body.output or ())
    return (Said(said.text, said.calls, body.status),)


@dataclass(slots=True)
class _Growing:
    """One choice as its chunks come."""

    parts: list[str] = field(default_factory=list)
    calls: dict[int, list[str]] = field(default_factory=dict)
    finish_reason: str | None = None

    def add(self, choice: _Choice) -> None:
        delta = choice.delta
        if delta is not None:
            self.parts += [text for text in (text_of(delta.content), delta.refusal) if text]
            for part in delta.tool_calls or ():
                self._add_call(part)
        elif choice.text:
            self.parts.append(choice.text)
        self.finish_reason = choice.finish_reason or self.finish_reason

    def _add_call(self, part: _CallPart) -> None:
        if part.function is not None:
            call = self.calls.setdefault(part.index, ["", ""])
            call[0] += part.function.name or ""
            call[1] += part.function.arguments or ""

    def said(self) -> Said:
        calls = tuple(f"{name_of(name) or '?'}({clean(arguments)})" for name, arguments in self.calls.values())
        return Said(clean("".join(self.parts)), calls, self.finish_reason)


def _streamed(chunks: Iterable[_Body]) -> tuple[tuple[Said, ...], _Body]:
    """The choices of a stream, put together, and its model and usage."""
    growing: dict[int, _Growing] = {}
    last = _Body()
    for chunk in chunks:
        if chunk.error or chunk.type in ("error", "response.failed"):
            raise InvalidInput("the stream ends with an error")
        if chunk.type in ("response.completed", "response.incomplete") and chunk.response is not None:
            return _of_output(chunk.response), chunk.response
        for choice in chunk.choices or ():
            growing.setdefault(choice.index, _Growing()).add(choice)
        last.model, last.usage = chunk.model or last.model, chunk.usage or last.usage
        last.id = chunk.id or last.id
    if not growing:
        raise InvalidInput("the stream holds no answer that is whole")
    return tuple(growing[index].said() for index in sorted(growing)), last


def _turns(endpoint: str, asked: _Request, choices: int) -> tuple[tuple[Message, ...], ...]:
    if endpoint == "completions":
        prompts = asked.prompt if isinstance(asked.prompt, list) else [asked.prompt]
        if len(prompts) * max(1, asked.n or 1) == choices:  # the choices of the first prompt come first
            return tuple(read_turns([prompts[place // max(1, asked.n or 1)]]) for place in range(choices))
        return (read_turns([asked.prompt]),) * choices
    if endpoint == "chat":
        return (read_turns(asked.messages),) * choices
    told: Mapping[str, Any] = {"instructions": asked.instructions, "input": asked.input}
    return (read_turns(told),) * choices


def _session(asked: _Request) -> str | None:
    """The conversation that the Responses API is told of, else `session_id` of the metadata."""
    conversation = asked.conversation
    if isinstance(conversation, Mapping):
        conversation = conversation.get("id")
    metadata = asked.metadata if isinstance(asked.metadata, Mapping) else {}
    return name_of(conversation) or name_of(metadata.get("session_id"))
