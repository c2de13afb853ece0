"""Hostile text and values, made safe to stand in a page."""

from __future__ import annotations

import base64
import hashlib
import json
import re

_MARKUP = {ord(sign): f"\\u{ord(sign):04x}" for sign in "<>&\u2028\u2029"}


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
