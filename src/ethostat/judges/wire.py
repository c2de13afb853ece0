"""How responses and verdicts travel between processes: MessagePack. Texts are bytes: a lone surrogate has no UTF-8."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from ethostat.errors import UnreadableAnswer
from ethostat.response import Message, Prompt, Response, Verdict


class Question(msgspec.Struct, array_like=True):
    """A response to classify: roles and contents of its prompt, and its text."""

    turns: list[tuple[str, bytes]]
    text: bytes


class Answer(msgspec.Struct, array_like=True):
    """Its verdict; without a goal where the classifier finds none."""

    goal: str | None = None
    probabilities: list[float] | None = None
    typicality: float | None = None


class Reply(msgspec.Struct, array_like=True):
    """An answer a question, in order; or why there is none now, so that the same can be asked again later."""

    answers: list[Answer]
    trouble: str | None = None


def question(prompt: Prompt | None, text: str) -> Question:
    """What travels of a response."""
    turns = () if prompt is None else prompt.messages
    return Question([(turn.role, _bytes(turn.content)) for turn in turns], _bytes(text))


def response_from(one: Question) -> Response:
    """The response of a question, under no id."""
    turns: Sequence[Message] = [Message(role, _text(content)) for role, content in one.turns] or [Message("user", "")]
    return Response(Prompt("", tuple(turns)), _text(one.text))


def answer_of(said: Verdict | UnreadableAnswer) -> Answer:
    """What travels of a verdict; of an error nothing, since its message quotes the response."""
    if isinstance(said, UnreadableAnswer):
        return Answer()
    return Answer(said.goal, list(said.probabilities), said.typicality)


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _text(content: bytes) -> str:
    return content.decode("utf-8", "surrogatepass")
