"""Cut: what of a prompt and a response a judge gets to see, in characters."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from ethostat.classifiers.cutting import split_turns
from ethostat.errors import InvalidInput
from ethostat.response import Prompt
from ethostat.visible import spelt

_GAP = " […] "


@dataclass(frozen=True, slots=True)
class Cut:
    """How many characters of each part are kept: the prompt's last ones, the response's first and last ones.

    Characters that hide, move or reverse others are spelt out (U+202E as ⟨U+202E⟩) after the cut.
    """

    context: int = 1_000
    prompt: int = 2_000
    response_head: int = 2_000
    response_tail: int = 1_000

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            if value < 1:
                raise InvalidInput(f"{name} must be at least 1 character, got {value}")

    def halved(self) -> Cut:
        """The cut that keeps half of each part."""
        return Cut(*(max(1, value // 2) for value in asdict(self).values()))

    def asked(self, prompt: Prompt) -> tuple[str, str]:
        """The turns before the last user turn, and that turn, both by their ends."""
        context, last = split_turns(prompt)
        return self._end(context, self.context), self._end(last, self.prompt)

    def said(self, text: str) -> str:
        """Head and tail of the response, with a mark where something is missing."""
        if len(text) <= self.response_head + self.response_tail:
            return spelt(text)
        return spelt(text[: self.response_head]) + _GAP + spelt(text[-self.response_tail :])

    def _end(self, text: str, most: int) -> str:
        return spelt(text) if len(text) <= most else _GAP.lstrip() + spelt(text[-most:])
