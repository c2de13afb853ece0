"""Text from elsewhere, made safe to show: what hides, moves or reverses its neighbours is stripped or spelt out.

And numbers, to so many digits.
"""

from __future__ import annotations

import math
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


def digits(number: float, *, most: int = 3) -> str:
    """A number with so many digits that count, without an exponent.

    >>> digits(12_345.6), digits(3.456), digits(0.0712, most=1)
    ('12,300', '3.46', '0.07')
    """
    if number == 0 or not math.isfinite(number):
        return f"{number:g}"
    places = most - 1 - math.floor(math.log10(abs(number)))
    return f"{round(number, places):,.{max(places, 0)}f}"
