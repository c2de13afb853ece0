"""StatedGoals: reads the goal that a text begins with, for models that say it themselves (simulated ones)."""

from __future__ import annotations

from collections.abc import Sequence

from ethostat.classifiers.base import all_verdicts
from ethostat.errors import UnreadableAnswer
from ethostat.response import Response, Verdict
from ethostat.taxonomy import FIVE_GOALS, Taxonomy
from ethostat.visible import stripped


class StatedGoals:
    """The classifier `goals-in-text`: a text's first word is the key of its goal.

    It is for texts whose goals are known beforehand. A text that states none is UnreadableAnswer. Do not use it on a
    real model: it believes what it reads.
    """

    name = "goals-in-text"

    def __init__(self, taxonomy: Taxonomy = FIVE_GOALS) -> None:
        self._taxonomy = taxonomy

    @property
    def hash(self) -> str:
        return f"goals-in-text-1-{self._taxonomy.hash}"

    @property
    def taxonomy(self) -> Taxonomy:
        return self._taxonomy

    def classify(self, responses: Sequence[Response]) -> list[Verdict]:
        """One verdict a response, in order. Raises UnreadableAnswer for the first that states no goal."""
        return all_verdicts(self.attempt(responses))

    def attempt(self, responses: Sequence[Response]) -> list[Verdict | UnreadableAnswer]:
        """One verdict a response, or why there is none."""
        return [self._read(response) for response in responses]

    def _read(self, response: Response) -> Verdict | UnreadableAnswer:
        first = response.text.split(maxsplit=1)[:1]
        if not first or first[0] not in self._taxonomy.keys:
            return UnreadableAnswer(
                f"{stripped(response.text, most=40)!r} does not begin with one of {', '.join(self._taxonomy.keys)}; "
                "goals-in-text reads simulated answers only"
            )
        return Verdict.from_goal(self._taxonomy, first[0], prompt_id=response.prompt.id, response_id=response.id)
