"""Layout: in which order, and between which signs, the parts of a row stand before an encoder.

A card that names none has the layout of BERT. Each layout is plain values, so that a card can hold it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Protocol

from tokenizers import Tokenizer

from ethostat.classifiers.cutting import Cutting, Tokens, token_id
from ethostat.errors import ClassifierError
from ethostat.response import Prompt

_PLACES = re.compile(r"\{(context|prompt|response)\}")


class Layout(Protocol):
    """Makes one row of tokens of what `Cutting` keeps of a prompt and a response."""

    kind: ClassVar[str]

    def tokens(self, cutting: Cutting, tokenizer: Tokenizer, prompt: Prompt, response: str) -> Tokens: ...

    def to_dict(self) -> dict[str, str]: ...


@dataclass(frozen=True, slots=True)
class PairLayout:
    """BERT's: two segments between the tokenizer's own signs, as `Cutting.tokens` draws them."""

    kind: ClassVar[str] = "bert-pair"
    cls: str = "[CLS]"
    sep: str = "[SEP]"

    def tokens(self, cutting: Cutting, tokenizer: Tokenizer, prompt: Prompt, response: str) -> Tokens:
        """At most the cutting's tokens and 5. Raises ClassifierError where the tokenizer lacks a sign."""
        return cutting.tokens(tokenizer, prompt, response, cls=self.cls, sep=self.sep)

    def to_dict(self) -> dict[str, str]:
        """Plain values; the `layout` of a card."""
        return {"kind": self.kind, **asdict(self)}


BERT = PairLayout()
"""What a card without a layout has."""


@dataclass(frozen=True, slots=True)
class TextLayout:
    """T5's: one text with the parts in the places of a template, and the sign that ends it; all of segment 0.

    Words of the template are split into tokens by themselves, so that a text cannot run into them. Raises
    ClassifierError for a template without {prompt} or {response}.
    """

    kind: ClassVar[str] = "t5-text"
    template: str = "classify context: {context} request: {prompt} response: {response}"
    end: str = "</s>"

    def __post_init__(self) -> None:
        places = _PLACES.findall(self.template)
        if {"prompt", "response"} - set(places) or len(places) != len(set(places)):
            raise ClassifierError(
                f"a template has {{prompt}} and {{response}} once each, {{context}} at most once; got {self.template!r}"
            )

    def tokens(self, cutting: Cutting, tokenizer: Tokenizer, prompt: Prompt, response: str) -> Tokens:
        """At most the cutting's tokens, the template's and 1. Raises ClassifierError where the end is no token."""
        parts = cutting.parts(tokenizer, prompt, response)._asdict()
        ids: list[int] = []
        # A split by one group alternates: words, place, words, place ...
        for place, piece in enumerate(_PLACES.split(self.template)):
            ids += parts[piece] if place % 2 else tokenizer.encode(piece.strip(), add_special_tokens=False).ids
        ids.append(token_id(tokenizer, self.end))
        return Tokens(ids, [0] * len(ids))

    def to_dict(self) -> dict[str, str]:
        """Plain values; the `layout` of a card."""
        return {"kind": self.kind, **asdict(self)}


def layout_from(fields: Mapping[str, Any] | None) -> PairLayout | TextLayout:
    """The layout of a card; BERT's where it names none. Raises ClassifierError for an unknown kind."""
    if fields is None:
        return BERT
    texts = {str(name): str(value) for name, value in fields.items()}
    kinds: dict[str, type[PairLayout] | type[TextLayout]] = {each.kind: each for each in (PairLayout, TextLayout)}
    kind = texts.pop("kind", "")
    if kind not in kinds:
        raise ClassifierError(f"the layout's kind must be {' or '.join(kinds)}, got {kind!r}")
    return kinds[kind](**texts)
