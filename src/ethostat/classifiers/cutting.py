"""Cutting: what of a prompt and a response an encoder gets to see.

    [CLS] context [SEP] last user turn [SEP]      segment 0
    [CLS] response [SEP]                          segment 1

The last user turn decides and keeps its end; earlier turns are context and get the room that is left; a
response keeps its head and its tail. Texts are cut at characters before they are cut at tokens, so that a
response of a megabyte costs no more than one of a page.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import NamedTuple

from tokenizers import Tokenizer

from ethostat.errors import ClassifierError
from ethostat.response import Prompt

# English words give four to five characters a token; three times that loses nothing of ordinary text.
_CHARACTERS_A_TOKEN = 15
_TURN = re.compile(r"^[ \t]*(user|human|assistant|ai|bot|model|system)[ \t]*:[ \t]*", re.IGNORECASE | re.MULTILINE)
_ASKING = frozenset({"user", "human"})


class Tokens(NamedTuple):
    """Token ids of one row and, for each, 0 where it belongs to the prompt and 1 where to the response."""

    ids: list[int]
    segments: list[int]


class Parts(NamedTuple):
    """Token ids of what is kept: of the turns before the last, of the last user turn, and of the response."""

    context: list[int]
    prompt: list[int]
    response: list[int]


@dataclass(frozen=True, slots=True)
class Cutting:
    """How many tokens of each part are kept: the prompt's last ones, the response's first and last ones."""

    prompt: int = 128
    context: int = 72
    response_head: int = 96
    response_tail: int = 48

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            if value < 0:
                raise ClassifierError(f"{name} must be at least 0 tokens, got {value}")
        if self.context > self.prompt:
            raise ClassifierError(f"context ({self.context} tokens) must fit into the prompt's {self.prompt}")

    def parts(self, tokenizer: Tokenizer, prompt: Prompt, response: str) -> Parts:
        """What of a row is kept, at most prompt + response_head + response_tail tokens."""
        context, last = split_turns(prompt)
        asked = self._last(tokenizer, last, self.prompt)
        room = min(self.context, self.prompt - len(asked))
        return Parts(self._last(tokenizer, context, room), asked, self._both_ends(tokenizer, response))

    def tokens(
        self, tokenizer: Tokenizer, prompt: Prompt, response: str, *, cls: str = "[CLS]", sep: str = "[SEP]"
    ) -> Tokens:
        """The row as a BERT-like encoder sees it: at most prompt + response_head + response_tail + 5 tokens."""
        start, end = token_id(tokenizer, cls), token_id(tokenizer, sep)
        before, asked, answered = self.parts(tokenizer, prompt, response)
        first = [start, *before, end, *asked, end] if before else [start, *asked, end]
        second = [start, *answered, end]
        return Tokens(first + second, [0] * len(first) + [1] * len(second))

    def _last(self, tokenizer: Tokenizer, text: str, most: int) -> list[int]:
        if most == 0:
            return []
        return _encode(tokenizer, text[-most * _CHARACTERS_A_TOKEN :])[-most:]

    def _both_ends(self, tokenizer: Tokenizer, text: str) -> list[int]:
        head, tail = self.response_head, self.response_tail
        if len(text) <= (head + tail) * _CHARACTERS_A_TOKEN:
            ids = _encode(tokenizer, text)
            return ids if len(ids) <= head + tail else ids[:head] + ids[len(ids) - tail :]
        return _encode(tokenizer, text[: head * _CHARACTERS_A_TOKEN])[:head] + self._last(tokenizer, text, tail)


def split_turns(prompt: Prompt) -> tuple[str, str]:
    """The conversation before the last user turn, and that turn.

    A conversation comes as messages, or as one text whose lines start with `User:` and `Assistant:`.
    """
    turns = [(message.role, message.content) for message in prompt.messages]
    if len(turns) == 1:
        turns = _turns_of_text(turns[0][1])
    asking = [place for place, (role, _) in enumerate(turns) if role in _ASKING]
    at = asking[-1] if asking else len(turns) - 1
    return "\n".join(f"{role}: {text}" for role, text in turns[:at]), turns[at][1]


def _turns_of_text(text: str) -> list[tuple[str, str]]:
    parts = _TURN.split(text)
    roles = [role.lower() for role in parts[1::2]]
    if not _ASKING.intersection(roles) or _ASKING.issuperset(roles):
        return [("user", text)]
    turns = list(zip(roles, (part.strip() for part in parts[2::2]), strict=True))
    return [("system", parts[0].strip()), *turns] if parts[0].strip() else turns


def _encode(tokenizer: Tokenizer, text: str) -> list[int]:
    # A lone surrogate has no UTF-8 form, and the tokenizer takes no other.
    readable = text.encode("utf-8", "replace").decode()
    ids: Sequence[int] = tokenizer.encode(readable, add_special_tokens=False).ids
    return list(ids)


def token_id(tokenizer: Tokenizer, sign: str) -> int:
    """The id of a special token. Raises ClassifierError where the tokenizer has none of this name."""
    found: int | None = tokenizer.token_to_id(sign)
    if found is None:
        raise ClassifierError(
            f"the tokenizer has no {sign}; a card's layout must name its signs, and without one it is BERT's"
        )
    return found
