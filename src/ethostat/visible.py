"""Text from elsewhere, made safe to show: what hides, moves or reverses its neighbours is stripped or spelt out."""

from __future__ import annotations

import re

# Control characters save tab and newline, marks and overrides of direction, line separators, lone surrogates.
_UNSEEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff\ud800-\udfff]"
)


def stripped(text: str, *, most: int | None = None) -> str:
    """The text on one line without the unseen, cut to `most` characters.

    >>> stripped("a\\x1b[31mred\\nnext")
    'a[31mred next'
    """
    line = " ".join(_UNSEEN.sub("", text).split())
    return line if most is None or len(line) <= most else line[: most - 1] + "…"


def spelt(text: str) -> str:
    """The text with everything unseen shown by its code point; lines stay lines.

    >>> spelt("red\\x1b[31m")
    'red⟨U+001B⟩[31m'
    """
    return _UNSEEN.sub(lambda match: f"⟨U+{ord(match[0]):04X}⟩", text.replace("\r\n", "\n"))


def one_line(text: str) -> str:
    """`spelt`, with every run of white space as one space."""
    return " ".join(spelt(text).split())
