"""Conversation: the rule by which a recorded conversation went on, and what the model was shown at each turn.

A conversation is kept as its written turns (prompts with ids like `lamp.1/step-0007`: replicate, step) and the
responses to each. From these the rule gives back, word for word, what the model was shown.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ethostat.errors import InvalidInput
from ethostat.response import Message, Prompt, Response

_CHARACTERS_PER_TOKEN = 4
_TOKENS_PER_MESSAGE = 4

Exchange = tuple[Message, ...]
"""A user's message and the assistant's, as they stand in the history."""


def estimate_length(text: str) -> int:
    """Tokens of a text, estimated: one for four characters."""
    return -(-len(text) // _CHARACTERS_PER_TOKEN)


def estimate_messages(messages: Iterable[Message]) -> int:
    """Tokens of messages, estimated: their texts, and four a message for its frame."""
    return sum(estimate_length(message.content) + _TOKENS_PER_MESSAGE for message in messages)


def turn_id(replicate: str, step: int) -> str:
    """The id of a written turn; steps are counted from 1."""
    return f"{replicate}/step-{step:04d}"


def split_id(prompt_id: str) -> tuple[str, int]:
    """Replicate and step of a written turn's id. Raises InvalidInput for any other id."""
    replicate, mark, step = prompt_id.rpartition("/step-")
    if not mark or not step.isdecimal():
        raise InvalidInput(f"prompt id {prompt_id!r} names no turn of a conversation, as lamp.1/step-0007 does")
    return replicate, int(step)


@dataclass(frozen=True, slots=True)
class Window:
    """How much of the conversation so far a model is shown beside the turn that it answers.

    The newest exchanges, each whole: at most `exchanges`, and no more than fit, with the turn itself, into `tokens`
    (estimated at four characters each). What does not fit is forgotten, the oldest first; the turn is always whole.
    """

    exchanges: int = 20
    tokens: int = 1500

    def __post_init__(self) -> None:
        if self.exchanges < 0 or self.tokens < 1:
            raise InvalidInput(
                f"a window needs 0 or more exchanges and 1 or more tokens, got {self.exchanges} and {self.tokens}"
            )

    def kept(self, history: Sequence[Exchange], turn: Prompt) -> list[Exchange]:
        """The exchanges of the history that are shown before this turn, the oldest first."""
        room, kept = self.tokens - estimate_messages(turn.messages), deque[Exchange]()
        for exchange in reversed(history):
            room -= estimate_messages(exchange)
            if room < 0 or len(kept) == self.exchanges:
                break
            kept.appendleft(exchange)
        return list(kept)


@dataclass(frozen=True, slots=True)
class Conversation:
    """The rule of a conversation: what is shown, and which of the k answers to a turn goes into the history.

    It is the first that is there; with `draw` (a seed), one of those there, drawn by that seed.
    """

    window: Window = Window()
    draw: int | None = None

    def follow(self, answers: Iterable[Response]) -> Response:
        """The answer that the conversation goes on from."""
        return min(answers, key=self._rank)

    def _rank(self, answer: Response) -> tuple[bytes, int]:
        if self.draw is None:
            return b"", answer.index
        place = f"{self.draw}/{answer.prompt.id}/{answer.index}"
        return hashlib.sha256(place.encode()).digest(), answer.index

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {"exchanges": self.window.exchanges, "tokens": self.window.tokens, "draw": self.draw}

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> Conversation:
        """The inverse of `to_dict`."""
        return cls(Window(fields["exchanges"], fields["tokens"]), fields["draw"])


@dataclass(slots=True)
class History:
    """What was said so far in one conversation, as far back as its window reaches."""

    rule: Conversation
    exchanges: deque[Exchange] = field(init=False)

    def __post_init__(self) -> None:
        self.exchanges = deque(maxlen=self.rule.window.exchanges)

    def shown(self, turn: Prompt) -> Prompt:
        """The turn after as much of the history as the window holds: what the model is asked. The id is the turn's."""
        before = [message for exchange in self.rule.window.kept(self.exchanges, turn) for message in exchange]
        return replace(turn, messages=(*before, *turn.messages))

    def add(self, turn: Prompt, answers: Iterable[Response]) -> None:
        """The turn was asked, and of its answers one was followed. Written exchanges before the turn count too."""
        *written, asked = turn.messages
        for place in range(0, len(written), 2):
            self.exchanges.append(tuple(written[place : place + 2]))
        self.exchanges.append((asked, Message("assistant", self.rule.follow(answers).text)))


class Retelling:
    """Gives each stored response the prompt that the model was shown.

    Responses are given by replicate, step and index, as a store keeps them.
    """

    def __init__(self, rule: Conversation) -> None:
        self._rule = rule
        self._history = History(rule)
        self._turn: Prompt | None = None
        self._shown: Prompt | None = None
        self._answers: list[Response] = []

    def __call__(self, response: Response) -> Response:
        """The response, its prompt with what came before it."""
        turn = response.prompt
        if self._turn is None or self._shown is None or turn.id != self._turn.id:
            self._shown = self._go_on(turn)
        self._answers.append(response)
        return replace(response, prompt=self._shown)

    def _go_on(self, turn: Prompt) -> Prompt:
        if self._turn is not None and split_id(self._turn.id)[0] == split_id(turn.id)[0]:
            self._history.add(self._turn, self._answers)
        else:
            self._history = History(self._rule)
        self._turn, self._answers = turn, []
        return self._history.shown(turn)
