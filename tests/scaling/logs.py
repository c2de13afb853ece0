"""Logs of several models over several days, with their verdicts, or with answers that state their goal."""

from __future__ import annotations

import json
import random
from functools import partial
from pathlib import Path

import ethostat as es

STATED = es.Opener(partial(es.open_classifier, "goals-in-text"))
"""A classifier that costs nothing: the goal is the answer's first word."""


def rows(count: int, *, prompts: int = 4, seed: int = 1, verdicts: bool = False) -> list[dict]:
    """Rows of two models over three days; the answers state their goals, or the rows carry them."""
    rng = random.Random(seed)  # noqa: S311 - not for secrets
    found = []
    for place in range(count):
        model, day = rng.choice("ab"), 1 + 3 * place // count
        goal = rng.choices(es.FIVE_GOALS.keys, (0.6, 0.1, 0.2, 0.05, 0.05) if model == "a" else (1, 1, 1, 1, 1))[0]
        row = {"prompt": f"question {rng.randrange(prompts)}", "response": f"{goal} because", "model": model}
        row |= {"time": f"2026-03-0{day}T23:30:00-02:00", "id": f"r{place}"}
        found.append(row | {"goal": goal} if verdicts else row)
    return found


def write(path: Path, some: list[dict]) -> Path:
    """As JSONL."""
    path.write_text("".join(json.dumps(row) + "\n" for row in some))
    return path


def figures(measured: es.Measurement) -> dict:
    """All of a measurement that does not say where and when it was made."""
    fields = measured.to_dict()
    return {name: fields[name] for name in fields if name not in ("model", "prompts", "run", "started", "finished")}
