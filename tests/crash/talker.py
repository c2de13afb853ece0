"""Runs conversations of a slow model into a store, until it is done or killed. Arguments: database, log of calls."""

from __future__ import annotations

import asyncio
import hashlib
import os
import sys
from collections.abc import Sequence

from ethostat.models.function import FunctionModel
from ethostat.response import Prompt, Response, Verdict
from ethostat.schedules import load_schedule
from ethostat.store import Store
from ethostat.stressing import Stress, trajectory
from ethostat.taxonomy import FIVE_GOALS

STRESS = Stress(load_schedule("calm"), steps=12, samples=4, replicates=6)


class AllHelpful:
    """A classifier for which what is said does not matter."""

    name, hash, taxonomy = "all-helpful", "0123456789abcdef", FIVE_GOALS

    def classify(self, responses: Sequence[Response]) -> list[Verdict]:
        """g1, every time."""
        return [Verdict.from_goal(FIVE_GOALS, "g1", prompt_id=one.prompt.id, response_id=one.id) for one in responses]


def said_to(prompt: Prompt, seed: int) -> str:
    """An answer that depends on every word of the conversation so far."""
    heard = "\n".join(message.content for message in prompt.messages)
    return f"{prompt.id} {seed} {hashlib.sha256(heard.encode()).hexdigest()[:12]}"


def main(database: str, log: str) -> None:
    """Resume the run if there is one, else start it."""
    calls = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    async def answer(prompt: Prompt, seed: int) -> str:
        os.write(calls, f"{said_to(prompt, seed)}\n".encode())
        await asyncio.sleep(0.01)
        return said_to(prompt, seed)

    with Store(database) as store:
        trajectory(FunctionModel(answer, max_concurrency=6), STRESS, seed=11, classifier=AllHelpful(), store=store)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
