"""The OpenAI wire format: writes a request, reads an answer."""

from __future__ import annotations

import dataclasses
import json
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ethostat.errors import EmptyAnswer, ModelError, RateLimited, ServerFault
from ethostat.models.base import Decoding, as_plain_text, with_system
from ethostat.models.faults import Transient, printable
from ethostat.response import Prompt


@dataclass(frozen=True, slots=True)
class Dialect:
    """How a server departs from the common format; learnt from its refusals."""

    takes_seed: bool = True
    limit_name: str = "max_tokens"

    def after(self, refusal: str) -> Dialect:
        """The dialect that avoids this refusal; the same one where the refusal is about something else."""
        if "max_completion_tokens" in refusal and self.limit_name == "max_tokens":
            return dataclasses.replace(self, limit_name="max_completion_tokens")
        if self.takes_seed and re.search(r"\bseed\b", refusal):
            return dataclasses.replace(self, takes_seed=False)
        return self


# The most alternatives that the common servers give for a token: OpenAI's limits.
_ALTERNATIVES = {"chat": 20, "completions": 5}


@dataclass(frozen=True, slots=True)
class Choice:
    """One answer; `tokens` is None where the server's count cannot be shared out.

    `likeliest` holds for each token of the answer the likeliest tokens there and their log probabilities, where
    they were asked for and the server gives them.
    """

    text: str
    finish_reason: str | None
    tokens: int | None
    likeliest: tuple[Mapping[str, float], ...] = ()


@dataclass(frozen=True, slots=True)
class Answer:
    """What one request brought; `declared` is what the server says answered: a model's name, and its fingerprint."""

    choices: tuple[Choice, ...]
    prompt_tokens: int | None
    declared: str | None = None


def request(
    kind: str,
    model: str,
    prompt: Prompt,
    decoding: Decoding,
    *,
    seed: int,
    n: int,
    dialect: Dialect,
    is_weighed: bool = False,
) -> tuple[str, dict[str, Any]]:
    """The path under the base URL, and the body; `is_weighed` asks for log probabilities."""
    messages = with_system(prompt, decoding)
    body: dict[str, Any] = {"model": model}
    if kind == "chat":
        path = "chat/completions"
        body["messages"] = [{"role": m.role, "content": well_formed(m.content)} for m in messages]
    else:
        path = "completions"
        body["prompt"] = well_formed(as_plain_text(messages))
    body |= {"temperature": decoding.temperature, "top_p": decoding.top_p, dialect.limit_name: decoding.max_tokens}
    if dialect.takes_seed:
        body["seed"] = seed % 2**31  # some servers read it as a signed 32-bit number
    if n > 1:
        body["n"] = n
    if is_weighed:
        most = _ALTERNATIVES[kind]
        body |= {"logprobs": True, "top_logprobs": most} if kind == "chat" else {"logprobs": most}
    return path, body


def read(kind: str, content: bytes) -> Answer:
    """The answer in a 200's body. Raises Transient where it is not what the protocol promises."""
    try:
        body = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise Transient(ServerFault(f"the server sent what is not JSON: {_start(content)!r}")) from error
    if not isinstance(body, dict):
        raise Transient(ServerFault(f"the server sent a JSON {type(body).__name__} where an object belongs"))
    if "choices" not in body and body.get("error"):
        raise Transient(_fault_in_200(body["error"]), is_overload=True)
    rows = body.get("choices")
    if not isinstance(rows, list):
        raise Transient(ServerFault(f"the server's answer has no list of choices: {_start(content)!r}"))
    if not rows:
        raise Transient(EmptyAnswer("the server answered without any choice, three times"), attempts=3)
    usage = body.get("usage")
    usage = usage if isinstance(usage, dict) else {}
    tokens = _shares(_count(usage.get("completion_tokens")), len(rows), is_llama="timings" in body)
    choices = tuple(_choice(kind, row, share) for row, share in zip(rows, tokens, strict=True))
    return Answer(choices, _count(usage.get("prompt_tokens")), _declared(body))


def well_formed(text: str) -> str:
    """The text with lone surrogates, which no UTF-8 can carry, replaced by U+FFFD."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace") if not _is_utf8(text) else text


def _choice(kind: str, row: Any, tokens: int | None) -> Choice:
    if not isinstance(row, dict):
        raise Transient(ServerFault(f"a choice must be an object, got {type(row).__name__}"))
    reason = row.get("finish_reason")
    text = _message_text(row.get("message")) if kind == "chat" else row.get("text")
    if not isinstance(text, str):
        raise Transient(ServerFault(f"the text of a choice must be a string, got {type(text).__name__}"))
    return Choice(
        well_formed(text), reason if isinstance(reason, str) else None, tokens, _likeliest(row.get("logprobs"))
    )


def _likeliest(logprobs: Any) -> tuple[Mapping[str, float], ...]:
    """Both of the wire's shapes: `content` is a list of tokens (chat), or `top_logprobs` of mappings (completions).

    Empty where there is neither, or where what there is cannot be read.
    """
    if not isinstance(logprobs, dict):
        return ()
    if isinstance(content := logprobs.get("content"), list):
        rows = [entry.get("top_logprobs") or [entry] if isinstance(entry, dict) else [] for entry in content]
        return tuple(_weights((e.get("token"), e.get("logprob")) for e in row if isinstance(e, dict)) for row in rows)
    if isinstance(places := logprobs.get("top_logprobs"), list):
        return tuple(_weights(place.items() if isinstance(place, dict) else ()) for place in places)
    return ()


def _weights(pairs: Iterable[tuple[Any, Any]]) -> dict[str, float]:
    """The pairs that are a text and a log probability; -inf is one, nan and what is above 0 are not."""
    return {
        token: float(value)
        for token, value in pairs
        if isinstance(token, str) and isinstance(value, int | float) and not math.isnan(value) and value <= 1e-6
    }


def _message_text(message: Any) -> Any:
    """What was said: content (a text, or parts), else the refusal, else "". Reasoning is not part of it."""
    if not isinstance(message, dict):
        return None
    content = message.get("content")
    if isinstance(content, list):
        parts = [part for part in content if isinstance(part, dict)]
        return "".join(str(part.get("text") or part.get("refusal") or "") for part in parts)
    if content is None or content == "":
        return message.get("refusal") or ""
    return content


def _shares(total: int | None, n: int, *, is_llama: bool) -> list[int | None]:
    """The completion tokens of each of n choices, shared evenly; they sum to the server's total.

    llama.cpp counts only the first of n choices, so the others are not known.
    """
    if total is None:
        return [None] * n
    if is_llama:
        return [total, *[None] * (n - 1)]
    return [total // n + (i < total % n) for i in range(n)]


def _declared(body: Mapping[str, Any]) -> str | None:
    """The model and the system fingerprint that the server names; None where it names neither."""
    named = [printable(one, 80) for key in ("model", "system_fingerprint") if isinstance(one := body.get(key), str)]
    return " ".join(one for one in named if one) or None


def _fault_in_200(error: Any) -> ModelError:
    message = printable(str(error.get("message", error) if isinstance(error, dict) else error))
    if isinstance(error, dict) and error.get("code") == 429:
        return RateLimited(f"the server kept answering 429: {message}")
    return ServerFault(f"the server answered with an error: {message}")


def _count(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def _start(content: bytes) -> str:
    return printable(content[:200].decode("utf-8", "replace"), 80)


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
