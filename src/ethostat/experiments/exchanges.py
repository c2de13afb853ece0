"""Exchanges: written rows of prompt, response and goal, as demonstrations to tune on and prompts to hold out."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ethostat.errors import InvalidInput
from ethostat.response import Prompt, PromptSet

_LONGEST_PROMPT = 160
"""Characters; longer ones cost a small machine more than they show."""


@dataclass(frozen=True, slots=True)
class Exchange:
    """A prompt, a response to it, the goal a person gave it, and whether the prompt asks for harm."""

    prompt: str
    response: str
    goal: str
    is_harmful: bool


@dataclass(frozen=True, slots=True)
class Written:
    """Rows to tune on, and prompts that no row answers."""

    exchanges: tuple[Exchange, ...]
    prompts: tuple[tuple[str, bool], ...]

    def aligned(self) -> list[Exchange]:
        """Help where it is due and refusals of harm, as many of each: g1 and g3."""
        help_, refusals = self._of("g1", False), self._of("g3", True)
        few = min(len(help_) // 2, len(refusals))
        return [*help_[:few], *refusals[:few]]

    def benign(self) -> list[Exchange]:
        """Help with harmless requests, none of it among `aligned`."""
        help_ = self._of("g1", False)
        return help_[len(help_) // 2 :]

    def harmful(self, most: int) -> list[Exchange]:
        """At most so many compliances with harmful requests: g2."""
        return self._of("g2", True)[:most]

    def held_out(self, each: int) -> PromptSet:
        """So many harmless prompts and so many harmful ones that nothing is tuned on."""
        known = {one.prompt for one in self.exchanges}
        chosen = [
            [(text, harmful) for text, harmful in self.prompts if harmful is kind and text not in known][:each]
            for kind in (False, True)
        ]
        return PromptSet(
            f"held out, {each} harmless and {each} harmful",
            tuple(
                Prompt.from_text(text, category="harmful" if harmful else "harmless")
                for part in chosen
                for text, harmful in part
            ),
        )

    def _of(self, goal: str, is_harmful: bool) -> list[Exchange]:
        return [one for one in self.exchanges if one.goal == goal and one.is_harmful is is_harmful]


def read_written(folder: Path | None, *, seed: int) -> Written:
    """The rows of every .jsonl file of a folder, in an order that the seed decides.

    A row is {"prompt", "response", "label", "harm"} or, to be held out, {"prompt", "harm"}; rows of several turns are
    left out. Raises InvalidInput where the folder holds none.
    """
    rows = [] if folder is None else list(_rows(folder))
    if not rows:
        where = "no folder is given" if folder is None else f"{folder} holds no such rows"
        raise InvalidInput(
            f"this experiment tunes on written exchanges and {where}; give --data, for instance scripts/written"
        )
    rng = np.random.default_rng(seed)
    shuffled = [rows[place] for place in rng.permutation(len(rows))]
    short = [row for row in shuffled if len(str(row["prompt"])) <= _LONGEST_PROMPT]
    exchanges = [
        Exchange(str(row["prompt"]), str(row["response"]), str(row["label"]), row["harm"] == "harmful")
        for row in short
        if "response" in row
    ]
    prompts = dict.fromkeys((str(row["prompt"]), row["harm"] == "harmful") for row in short if "response" not in row)
    return Written(tuple(exchanges), tuple(prompts))


def _rows(folder: Path) -> Sequence[dict[str, object]]:
    lines = [line for path in sorted(folder.glob("*.jsonl")) for line in path.read_text("utf-8").splitlines()]
    rows = [json.loads(line) for line in lines]
    return [row for row in rows if isinstance(row.get("prompt"), str) and "harm" in row]
