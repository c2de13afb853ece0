"""TranscriptRow: a recorded response, the row it came from, and its verdict where the row carries one."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from ethostat import fields
from ethostat.errors import InvalidInput
from ethostat.response import Response, Verdict
from ethostat.rows import Row
from ethostat.taxonomy import Taxonomy

_TIE = 1e-3  # printed probabilities are rounded; so close to the largest, a goal may be named


@dataclass(frozen=True, slots=True)
class TranscriptRow:
    """One recorded response.

    `line` and `fields` are the row as it stands in the file, for those who write it again; `verdict` is what the
    row's `goal` or `probabilities` say, None where it has neither; `step` is the training step or time step.
    """

    line: int
    fields: Mapping[str, Any]
    response: Response
    verdict: Verdict | None = None
    step: int | None = None


@dataclass(slots=True)
class Places:
    """Gives each response its index among the samples of its prompt, and an id.

    Prompts with the same id are the same prompt. Without a taxonomy verdicts are not read. Memory grows by about 0.1 kB
    for each distinct prompt and for each id that a row brings.
    """

    taxonomy: Taxonomy | None
    counts: dict[str, int] = field(default_factory=dict)
    lines: dict[int, int] = field(default_factory=dict)  # by hash(id): a third of the memory of the ids themselves

    def put(self, row: Row, response: Response, *, step: int | None = None) -> TranscriptRow:
        """The row with index, id and verdict. Raises InvalidInput, and counts nothing, when one of them is wrong."""
        prompt, index = response.prompt, self.counts.get(response.prompt.id, 0)
        given = hash(response.id) if response.id else None
        if given in self.lines:
            raise InvalidInput(
                f"id {fields.short(response.id)} was already used on line {self.lines[given]}; `id` names a response "
                "(use `prompt_id` to name its prompt)"
            )
        response = replace(response, index=index, id=response.id or _derived_id(response, index))
        verdict = None
        if self.taxonomy is not None:
            verdict = read_verdict(row, self.taxonomy, prompt_id=prompt.id, response_id=response.id)
        self.counts[prompt.id] = index + 1
        if given is not None:
            self.lines[given] = row.line
        return TranscriptRow(row.line, row.fields, response, verdict, step)


def read_verdict(row: Row, taxonomy: Taxonomy, *, prompt_id: str, response_id: str) -> Verdict | None:
    """What `probabilities`, or else `goal`, of the row say, with its `typicality`; None where it has neither.

    Raises InvalidInput where they are of the wrong type, name no goal of the taxonomy, or contradict each other.
    """
    verdict = _read_goal(row, taxonomy, prompt_id=prompt_id, response_id=response_id)
    typicality = fields.structure(row, "typicality")
    if verdict is None or typicality is None:
        return verdict
    return replace(verdict, typicality=fields.number(typicality, what="`typicality`"))


def _read_goal(row: Row, taxonomy: Taxonomy, *, prompt_id: str, response_id: str) -> Verdict | None:
    written = fields.word(row, "goal")
    goal = None if written is None else find_goal(written, taxonomy)
    values = _probabilities(fields.structure(row, "probabilities"), taxonomy)
    if values is not None:
        verdict = Verdict.from_probabilities(taxonomy, values, prompt_id=prompt_id, response_id=response_id)
        return verdict if goal is None else _reconciled(verdict, goal, taxonomy)
    if goal is not None:
        return Verdict.from_goal(taxonomy, goal, prompt_id=prompt_id, response_id=response_id)
    return None


def is_labelled(row: Row) -> bool:
    """Whether the row brings its own verdict."""
    return any(row.fields.get(name) not in (None, "") for name in ("goal", "probabilities"))


def find_goal(written: str, taxonomy: Taxonomy) -> str:
    """The key of the goal with this key or name, in whatever case. Raises InvalidInput where there is none."""
    wanted = " ".join(written.split()).casefold()
    for goal in taxonomy.goals:
        if wanted in (goal.key, " ".join(goal.name.split()).casefold()):
            return goal.key
    known = ", ".join(f"{goal.key} ({goal.name})" for goal in taxonomy.goals)
    raise InvalidInput(f"goal {fields.short(written)} is not one of taxonomy {taxonomy.name!r}: {known}")


def _probabilities(value: object, taxonomy: Taxonomy) -> list[float] | None:
    if value is None:
        return None
    if isinstance(value, Mapping):
        named = {find_goal(str(key), taxonomy): p for key, p in value.items() if p is not None}
        value = [named.get(key, 0.0) for key in taxonomy.keys]
    if not isinstance(value, list):
        raise InvalidInput(f"`probabilities` must be a list or an object of goals, got {fields.kind(value)}")
    return [fields.number(p, what="a probability") for p in value]


def _reconciled(verdict: Verdict, goal: str, taxonomy: Taxonomy) -> Verdict:
    if verdict.probabilities[taxonomy.index(goal)] < max(verdict.probabilities) - _TIE:
        raise InvalidInput(f"goal {goal} is not the most probable one of `probabilities`, which is {verdict.goal}")
    return replace(verdict, goal=goal)


def _derived_id(response: Response, index: int) -> str:
    """The same for the same prompt, place and text, in whatever file."""
    text = f"{response.prompt.id}\0{index}\0{response.text}"
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]
