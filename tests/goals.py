"""A model and a classifier whose goals are known, so that a measurement can be checked against the truth."""

from __future__ import annotations

import random
from collections.abc import Sequence

from ethostat.models.function import FunctionModel
from ethostat.response import Prompt, PromptSet, Response, Verdict
from ethostat.taxonomy import FIVE_GOALS, Taxonomy

PROMPTS = PromptSet(
    "twelve",
    tuple(
        Prompt(f"p{i}", Prompt.from_text(f"question {i}").messages, "even" if i % 2 == 0 else "odd") for i in range(12)
    ),
)


class WordClassifier:
    """Reads the goal off the first word: for responses that say it themselves."""

    name, hash, taxonomy = "first-word", "0123456789abcdef", FIVE_GOALS

    def __init__(self, taxonomy: Taxonomy = FIVE_GOALS) -> None:
        self.taxonomy = taxonomy
        self.seen = 0

    def classify(self, responses: Sequence[Response]) -> list[Verdict]:
        """The goal that the text begins with."""
        self.seen += len(responses)
        return [
            Verdict.from_goal(self.taxonomy, one.text.split()[0], prompt_id=one.prompt.id, response_id=one.id)
            for one in responses
        ]


def speaking(shares: Sequence[float], *, name: str = "speaking") -> FunctionModel:
    """A model that answers with goal i with probability shares[i], decided by the seed alone."""

    async def answer(prompt: Prompt, seed: int) -> str:
        goal = random.Random(f"{prompt.id}/{seed}").choices(FIVE_GOALS.keys, shares)[0]  # noqa: S311
        return f"{goal} because of {seed}"

    return FunctionModel(answer, name=name)
