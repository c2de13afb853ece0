"""Samples a slow model into a store, until it is done or killed. Arguments: database, log of calls."""

from __future__ import annotations

import asyncio
import os
import sys

from ethostat.models.base import Decoding
from ethostat.models.function import FunctionModel
from ethostat.response import Message, Prompt, PromptSet
from ethostat.sampling import Plan, sample
from ethostat.store import RunKeeper, RunSetup, Store

PLAN = Plan(
    PromptSet("crash", tuple(Prompt(f"p{i}", (Message("user", f"question {i}"),)) for i in range(10))),
    Decoding(),
    samples=60,
    seed=11,
)
SETUP = RunSetup("slow", {"kind": "slow"}, PLAN.prompts, samples=60, seed=11, seed_is_given=True)


def main(database: str, log: str) -> None:
    """Resume the run if there is one, else start it."""
    calls = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    async def answer(prompt: Prompt, seed: int) -> str:
        os.write(calls, f"{prompt.id} {seed}\n".encode())
        await asyncio.sleep(0.02)
        return f"{prompt.id} {seed}"

    with Store(database) as store:
        found = store.unfinished_run(SETUP.fingerprint)
        run = store.resume_run(found.id) if found else store.start_run(SETUP)
        asyncio.run(sample(FunctionModel(answer, max_concurrency=8), PLAN, RunKeeper(store, run.id)))
        store.finish_run(run.id)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
