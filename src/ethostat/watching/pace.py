"""Pace: how many responses a look takes, and when it takes more."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from heapq import heapify, heappop, heappush

from ethostat.errors import InvalidInput
from ethostat.response import PromptSet

_GREW = 0.5


@dataclass(frozen=True, slots=True)
class Pace:
    """`responses` a look while all is well, at most `budget` a look where evidence grows, at most `total` in all.

    By default a look takes one response a prompt, and at most four times as many. `baseline` responses a prompt are
    asked for where there is no baseline yet; they count in `total`.
    """

    responses: int | None = None
    budget: int | None = None
    total: int | None = None
    baseline: int = 10

    def __post_init__(self) -> None:
        for name in ("responses", "budget", "total", "baseline"):
            value = getattr(self, name)
            if value is not None and not 1 <= value <= 1_000_000:
                raise InvalidInput(f"{name} must be at least 1 and at most 1,000,000, got {value}")
        if self.responses is not None and self.budget is not None and self.budget < self.responses:
            raise InvalidInput(f"budget must be at least responses, got {self.budget} below {self.responses}")

    def first(self, prompts: PromptSet) -> int:
        """Responses of a quiet look."""
        usual = self.responses or len(prompts)
        return usual if self.budget is None else min(usual, self.budget)

    def most(self, prompts: PromptSet) -> int:
        """Responses of a look at most."""
        return self.budget or 4 * self.first(prompts)

    def more(self, prompts: PromptSet, *, asked: int, left: int, evidence: float, grew: float) -> int:
        """How many more responses this look asks for, after `asked`; 0 where it is done.

        As many again while the last of them raised the evidence by half a nat and it is above nothing, within the
        budget and what is `left` of the total. It follows from what was seen before alone, as the promise asks.
        """
        if evidence <= 0 or grew < _GREW:
            return 0
        return max(0, min(asked, self.most(prompts) - asked, left))


def portion(prompts: PromptSet, responses: int, asked: Mapping[str, int]) -> Counter[str]:
    """So many responses, one by one to the prompt that was asked least so far, the first of equals."""
    queue = [(asked.get(prompt.id, 0), place, prompt.id) for place, prompt in enumerate(prompts)]
    heapify(queue)
    given: Counter[str] = Counter()
    for _ in range(responses):
        count, place, id = heappop(queue)
        given[id] += 1
        heappush(queue, (count + 1, place, id))
    return given
