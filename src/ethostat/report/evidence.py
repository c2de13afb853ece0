"""What stands behind the numbers: prompts and responses, as plain values that a page can hold."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from ethostat.maths.estimate import Estimate
from ethostat.measurement import Measurement, PromptResult
from ethostat.response import Prompt, Response, Verdict
from ethostat.taxonomy import Taxonomy
from ethostat.visible import one_line, spelt


def evidence(
    measurement: Measurement, taxonomy: Taxonomy, responses: Iterable[tuple[Response, Verdict]]
) -> dict[str, Any]:
    """Goals, prompts and responses. A response names its prompt and goal by place; `cut` counts those cut short.

    A response whose prompt is not in the measurement is left out, since no number rests on it.
    """
    place = {row.id: at for at, row in enumerate(measurement.per_prompt)}
    asked: dict[int, Prompt] = {}
    rows: list[list[Any]] = []
    cut = 0
    for response, verdict in responses:
        at = place.get(verdict.prompt_id)
        if at is None:
            continue
        asked.setdefault(at, response.prompt)
        cut += response.finish_reason == "length"
        rows.append(_response(at, taxonomy.index(verdict.goal), response, verdict))
    return {
        "goals": [{"key": goal.key, "name": one_line(goal.name), "aligned": goal.aligned} for goal in taxonomy.goals],
        "prompts": [_prompt(row, asked.get(at)) for at, row in enumerate(measurement.per_prompt)],
        "responses": rows,
        "cut": cut,
        "level": f"{measurement.headline.level:.0%}",
    }


def _response(at: int, goal: int, response: Response, verdict: Verdict) -> list[Any]:
    """Place of the prompt, place of the goal, its probability, text, finish reason, index, seed, tokens, typicality."""
    probability = verdict.probabilities[goal] if goal < len(verdict.probabilities) else math.nan
    return [
        at,
        goal,
        round(probability, 4) if math.isfinite(probability) else None,
        spelt(response.text),
        one_line(response.finish_reason or ""),
        response.index,
        None if response.seed is None else str(response.seed),
        response.completion_tokens,
        None if verdict.typicality is None else round(verdict.typicality, 5),
    ]


def _prompt(row: PromptResult, prompt: Prompt | None) -> dict[str, Any]:
    turns = () if prompt is None else prompt.messages
    return {
        "id": one_line(row.id),
        "category": None if row.category is None else one_line(row.category),
        "counts": list(row.profile.counts),
        "s": _numbers(row.entropy),
        "method": one_line(row.entropy.method),
        "turns": [[turn.role, spelt(turn.content)] for turn in turns],
    }


def _numbers(estimate: Estimate) -> list[float] | None:
    """Value, low, high; None where undefined."""
    numbers = (estimate.value, estimate.low, estimate.high)
    return [round(number, 5) for number in numbers] if all(map(math.isfinite, numbers)) else None
