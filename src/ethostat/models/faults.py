"""Faults: what a server's refusal means, and whether it may pass."""

from __future__ import annotations

import contextlib
import email.utils
import json
import math
import re
import time
from collections.abc import Mapping
from typing import Any

from ethostat.errors import (
    AuthenticationFailed,
    ContextOverflow,
    ModelError,
    ModelNotFound,
    RateLimited,
    ServerFault,
)
from ethostat.models.keys import KEY_VARIABLES, Key

LONGEST_WAIT = 60.0

# OpenAI: context_length_exceeded; llama.cpp: exceed_context_size_error; vLLM and others say it in words.
_OVERFLOW = re.compile(
    r"context_length_exceeded|exceed_context_size|maximum context length|context (size|window|length)"
    r"|max_model_len|(prompt|input).{0,20} too (long|large)|exceeds? the (available|model'?s?).{0,20} context",
    re.IGNORECASE,
)
_UNKNOWN_MODEL = re.compile(r"model_not_found|model.{0,80}(does not exist|not found|not exist|unknown)", re.IGNORECASE)
_FLAGGED = re.compile(r"moderation|flagged|content.?(policy|filter)", re.IGNORECASE)
_NO_QUOTA = re.compile(r"insufficient_quota|billing|credit", re.IGNORECASE)


class Transient(Exception):
    """A failure that may pass: `fault` is raised in the end if it does not.

    `wait` is how many seconds the server asked us to wait; `attempts` bounds how often it is tried.
    """

    def __init__(
        self,
        fault: ModelError,
        *,
        wait: float | None = None,
        attempts: int | None = None,
        is_overload: bool = False,
        is_unreachable: bool = False,
    ) -> None:
        super().__init__(str(fault))
        self.fault, self.wait, self.attempts = fault, wait, attempts
        self.is_overload, self.is_unreachable = is_overload, is_unreachable


class Refused(Exception):
    """The server does not take the request as it was put; said differently it might."""

    def __init__(self, fault: ModelError, message: str) -> None:
        super().__init__(message)
        self.fault, self.message = fault, message
        self.dialect: Any = None


def check_status(status: int, headers: Mapping[str, str], content: bytes, *, url: str, key: Key | None) -> None:
    """Pass a 200; raise what any other status means."""
    if status == 200:
        return
    message = _message(content, key)
    if status == 403 and _FLAGGED.search(message):
        raise Refused(ModelError(f"{url} did not let the prompt through ({status}): {message}"), message)
    if status in (401, 403):
        raise AuthenticationFailed(_authentication(status, url, key))
    if 300 <= status < 400:
        target = "".join(c for c in headers.get("location", "elsewhere")[:200] if c.isprintable())
        raise ServerFault(f"{url} redirects to {target}, which is not followed; give that URL instead")
    if status == 429:
        limited = RateLimited(f"{url} kept answering 429: {message}; lower the concurrency or wait")
        if _NO_QUOTA.search(message):
            raise limited
        raise Transient(limited, wait=retry_after(headers), is_overload=True)
    if status in (408, 409, 425) or status >= 500:
        fault = ServerFault(f"{url} answered {status}: {message}")
        raise Transient(fault, wait=retry_after(headers), is_overload=True)
    if status in (400, 413, 422) and _OVERFLOW.search(message):
        raise ContextOverflow(f"{url}: {message}; shorten the prompt or lower max_tokens")
    if status == 404 or (status == 400 and _UNKNOWN_MODEL.search(message)):
        raise ModelNotFound(message or "404")
    raise Refused(ModelError(f"{url} refused the request ({status}): {message}"), message)


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds that Retry-After asks for (a number or an HTTP date), at most LONGEST_WAIT; None without it."""
    value = headers.get("retry-after")
    if value is None:
        return None
    try:
        seconds = float(value)
    except ValueError:
        try:
            seconds = email.utils.parsedate_to_datetime(value).timestamp() - time.time()
        except (ValueError, OverflowError):
            return None
    return min(max(seconds, 0.0), LONGEST_WAIT) if math.isfinite(seconds) else None


def model_names(content: bytes) -> list[str]:
    """The ids that a /models answer lists; empty where it cannot be read."""
    try:
        rows = json.loads(content)["data"]
        return [printable(str(row["id"]), 100) for row in rows]
    except (ValueError, KeyError, TypeError, RecursionError):
        return []


def printable(text: str, longest: int = 300) -> str:
    """Foreign text on one line, without control characters, cut to `longest` characters."""
    line = "".join(c if c.isprintable() else " " for c in text[: 4 * longest])
    line = " ".join(line.split())
    return line if len(line) <= longest else line[: longest - 1] + "…"


def _authentication(status: int, url: str, key: Key | None) -> str:
    if key is None:
        return f"{url} answered {status} and no key was sent; set {KEY_VARIABLES[0]} (or {KEY_VARIABLES[1]})"
    return f"{url} answered {status} to the key in {key.variable}; set {key.variable} to a key it accepts"


def _message(content: bytes, key: Key | None) -> str:
    text = content[:100_000].decode("utf-8", "replace")
    with contextlib.suppress(ValueError, RecursionError):
        text = _words(json.loads(text))
    return printable(text.replace(key, "***") if key else text)


def _words(body: Any) -> str:
    error = body.get("error", body) if isinstance(body, dict) else body
    if not isinstance(error, dict):
        return str(error)
    parts = [error.get(name) for name in ("message", "detail", "code", "type")]
    return " / ".join(str(part) for part in parts if part not in (None, "", 400, 404, 422, 429, 500))
