"""Hostile text and values, made safe to stand in a page."""

from __future__ import annotations

import base64
import hashlib
import json
import re

# Control characters save tab and newline, marks and overrides of direction, line separators, lone surrogates.
_UNSEEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff\ud800-\udfff]"
)
_MARKUP = {ord(sign): f"\\u{ord(sign):04x}" for sign in "<>&\u2028\u2029"}


def visible(text: str) -> str:
    """The text with every character that hides, moves or reverses its neighbours shown by its code point.

    >>> visible("red\\x1b[31m")
    'red⟨U+001B⟩[31m'
    """
    return _UNSEEN.sub(_sign, text.replace("\r\n", "\n"))


def one_line(text: str) -> str:
    """`visible`, with every run of white space as one space."""
    return " ".join(visible(text).split())


def json_text(value: object) -> str:
    """JSON that may stand inside a <script> element: no sign in it can end the element or a line."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")).translate(_MARKUP)


def script_text(source: str) -> str:
    """JavaScript that may stand inside a <script> element, its lines ended by a newline."""
    lines = source.replace("\r\n", "\n").replace("\r", "\n")
    return re.sub(r"<(?=/script|script|!--)", r"\\x3c", lines, flags=re.IGNORECASE)


def script_hash(source: str) -> str:
    """What a Content-Security-Policy calls this script."""
    digest = hashlib.sha256(source.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"


def _sign(match: re.Match[str]) -> str:
    return f"⟨U+{ord(match[0]):04X}⟩"
