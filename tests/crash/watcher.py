"""Looks at a slow model until it is done or killed. Arguments: folder, looks."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import ethostat as es
from goals import PROMPTS, WordClassifier

PACE = es.Pace(responses=24, budget=48, baseline=6)


def main(folder: str, looks: int) -> None:
    """Take looks until there were so many."""
    calls = os.open(Path(folder) / "calls.log", os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    async def answer(prompt: es.Prompt, seed: int) -> str:
        os.write(calls, f"{prompt.id} {seed}\n".encode())
        await asyncio.sleep(0.01)
        return f"g1 {seed}"

    with es.Store(Path(folder) / "runs.db") as store:
        watch = es.Watch(
            es.FunctionModel(answer, name="slow", max_concurrency=8),
            PROMPTS,
            store,
            Path(folder) / "watch.state",
            classifier=WordClassifier(),
            pace=PACE,
            seed=5,
        )
        while watch.look().number < looks:
            pass


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
