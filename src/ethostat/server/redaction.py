r"""Redaction: what is taken out of events before anything keeps, classifies or shows them.

    >>> from ethostat.ledger import NewEvent
    >>> redact = read_redaction(["email", r"re:case \d+"])
    >>> redact(NewEvent("chat", "1", response="Mail ann@example.org about case 4711.")).response
    'Mail [email] about [redacted].'

Patterns are written so that no text, however made, takes more than time in proportion to its length. They find what
looks like a secret or an address; they are no proof that none is left.
"""

from __future__ import annotations

import importlib
import ipaddress
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ethostat.errors import InvalidInput
from ethostat.ledger import NewEvent
from ethostat.response import Message, Prompt

Redact = Callable[[NewEvent], NewEvent | None]
"""An event as it may be kept; None where it may not be kept at all."""
_PATTERN, _ALL = "re:", "all"


@dataclass(frozen=True, slots=True)
class Finder:
    """What looks like `name`: where `pattern` matches and `holds` agrees, [name] is written."""

    name: str
    pattern: re.Pattern[str]
    holds: Callable[[str], bool] = lambda _: True

    def clean(self, text: str) -> str:
        """The text without it."""
        return self.pattern.sub(lambda found: f"[{self.name}]" if self.holds(found[0]) else found[0], text)


def _digits(text: str) -> list[int]:
    return [int(sign) for sign in text if "0" <= sign <= "9"]


def _is_card(text: str) -> bool:
    """Luhn's check. Source: ISO/IEC 7812-1, annex B."""
    digits = _digits(text)
    doubled = [sum(divmod(2 * digit, 10)) for digit in digits[-2::-2]]
    return 13 <= len(digits) <= 19 and (sum(doubled) + sum(digits[-1::-2])) % 10 == 0


def _is_phone(text: str) -> bool:
    """An international number, or ten digits and more that are no date."""
    digits = len(_digits(text))
    is_date = re.match(r"\d{4}-\d\d-\d\d", text) is not None
    return digits <= 15 and (digits >= 10 or (text.startswith("+") and digits >= 8)) and not is_date


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


_KEYS = (
    r"-----BEGIN [A-Z ]{0,30}PRIVATE KEY-----[A-Za-z0-9+/=\s]{0,10000}(?:-----END [A-Z ]{0,30}PRIVATE KEY-----)?",
    r"\b(?:sk|pk|rk)[-_][A-Za-z0-9_-]{16,200}",
    r"\b(?:ghp|gho|ghu|ghs|ghr|github_pat|glpat|hf|xox[abprs]|ethostat|whsec)[-_][A-Za-z0-9_-]{10,300}",
    r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b",
    r"\bAIza[A-Za-z0-9_-]{35}",
    r"\beyJ[A-Za-z0-9_-]{5,2000}\.[A-Za-z0-9_-]{5,4000}\.[A-Za-z0-9_-]{5,2000}",
    r"(?i:\bbearer )[A-Za-z0-9._~+/-]{16,4000}",
)
KINDS = {
    one.name: one
    for one in (
        Finder("key", re.compile("|".join(_KEYS))),
        Finder(
            "email",
            re.compile(r"(?<![\w.+%-])[\w.+%-]{1,64}@(?:[A-Za-z0-9-]{1,63}\.){1,8}[A-Za-z]{2,24}\b"),
        ),
        Finder("card", re.compile(r"(?<![\d+])\d(?:[ -]?\d){12,18}(?!\d)"), _is_card),
        Finder(
            "ip",
            re.compile(
                r"(?<![\d.])\d{1,3}(?:\.\d{1,3}){3}(?!\.?\d)|(?<![\w:])(?=[0-9A-Fa-f]{0,4}:)[0-9A-Fa-f:]{3,39}(?![\w:])"
            ),
            _is_address,
        ),
        Finder("phone", re.compile(r"(?<![\w+.-])\+?\(?\d(?:[ ()./-]{0,2}\d){6,16}(?![\w-])"), _is_phone),
    )
}
"""What can be taken out by name, in the order in which it is looked for."""


@dataclass(frozen=True, slots=True)
class Redaction:
    """Finders, then hooks, in order: over prompt, response and the values of labels.

    An event's stream, id, session and model stay, since it is found, and deleted again, by them; a hook may change
    them too.
    """

    finders: tuple[Finder, ...] = ()
    hooks: tuple[Redact, ...] = ()

    def __call__(self, event: NewEvent) -> NewEvent | None:
        """The event as it may be kept. Raises whatever a hook raises: the event is not to be kept then."""
        seen: NewEvent | None = self._cleaned(event) if self.finders else event
        for hook in self.hooks:
            if seen is None:
                return None
            seen = hook(seen)
        return seen

    def _cleaned(self, event: NewEvent) -> NewEvent:
        return replace(
            event,
            prompt=None if event.prompt is None else self._prompt(event.prompt),
            response=None if event.response is None else self._text(event.response),
            labels={name: self._text(value) for name, value in event.labels.items()},
        )

    def _prompt(self, prompt: Prompt) -> Prompt:
        return replace(prompt, messages=tuple(Message(turn.role, self._text(turn.content)) for turn in prompt.messages))

    def _text(self, text: str) -> str:
        for finder in self.finders:
            text = finder.clean(text)
        return text


def kept(event: NewEvent, redact: Redact | None) -> NewEvent:
    """The event as it may be kept. Raises InvalidInput where it may not, or where that cannot be said."""
    if redact is None:
        return event
    try:
        seen = redact(event)
    except Exception as error:  # noqa: BLE001 - a hook is somebody else's; its message may hold what was said
        raise InvalidInput(f"redaction failed ({type(error).__name__}), so that it is not kept") from None
    if seen is None:
        raise InvalidInput("redaction leaves it out")
    return seen


def read_redaction(written: Sequence[str]) -> Redaction | None:
    """What these words ask for: kinds by name or `all`, `re:PATTERN`, or a function as `module:function`.

    None where nothing is asked for. Raises InvalidInput for what is none of them.
    """
    finders: dict[str, Finder] = {}
    hooks: list[Redact] = []
    for word in written:
        if word == _ALL:
            finders |= KINDS
        elif word in KINDS:
            finders[word] = KINDS[word]
        elif word.startswith(_PATTERN):
            finders[word] = Finder("redacted", _compiled(word.removeprefix(_PATTERN)))
        elif ":" in word:
            hooks.append(_function(word))
        else:
            raise InvalidInput(
                f"what is redacted must be {', '.join(KINDS)} or {_ALL}, {_PATTERN}PATTERN, or module:function; "
                f"got {word!r}"
            )
    if not finders and not hooks:
        return None
    order = {name: place for place, name in enumerate(KINDS)}
    ordered = sorted(finders, key=lambda name: order.get(name, -1))  # a pattern of one's own goes first
    return Redaction(tuple(finders[name] for name in ordered), tuple(hooks))


def _compiled(pattern: str) -> re.Pattern[str]:
    try:
        return re.compile(pattern)
    except re.error as error:
        raise InvalidInput(f"{pattern!r} is no regular expression: {error}") from error


def _function(word: str) -> Redact:
    """The function of a module that is installed, or lies in the folder one is in."""
    module, _, name = word.partition(":")
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        found: object = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise InvalidInput(f"{word!r} names no function that can be imported: {error}") from error
    if not callable(found):
        raise InvalidInput(f"{word!r} is not a function from event to event")
    hook: Redact = found
    return hook
