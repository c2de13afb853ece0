"""How fast responses reach the disk: responses a second through RunKeeper, and what one commit costs.

python benchmarks/store.py [--db PATH] [--responses 20000]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

from ethostat.models.base import Decoding
from ethostat.response import Prompt, PromptSet, Response
from ethostat.sampling import Plan, sample
from ethostat.store import RunKeeper, RunSetup, Store


class Instant:
    """A model that answers at once, with 450 characters."""

    name = "instant"

    @property
    def identity(self) -> dict[str, Any]:
        """Nothing decides what it says."""
        return {"kind": "instant"}

    async def sample(self, prompt: Prompt, _decoding: Decoding, seeds: Sequence[int]) -> AsyncIterator[Response]:
        """All answers."""
        for index, seed in enumerate(seeds):
            yield Response(prompt, "nine char" * 50, index, seed=seed)

    async def aclose(self) -> None:
        """Nothing to release."""


def main() -> None:
    """Measure, then print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--db", type=Path, help="where to write it (default: a temporary folder)")
    parser.add_argument("--responses", type=int, default=20_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, Store(options.db or Path(folder) / "runs.db") as store:
        print(json.dumps({"responses_per_second": _throughput(store, options.responses), "commit_ms": _commit(store)}))


def _throughput(store: Store, count: int) -> float:
    prompts = PromptSet("set", tuple(Prompt.from_text(f"question {i}") for i in range(100)))
    run = store.start_run(RunSetup("instant", {}, prompts, seed=1))
    plan = Plan(prompts, Decoding(), max(1, count // 100), 1)
    progress = asyncio.run(sample(Instant(), plan, RunKeeper(store, run.id)))
    return round(progress.responses_per_second)


def _commit(store: Store) -> float:
    """Milliseconds until a single response is on disk, the median of 50."""
    prompt = Prompt.from_text("one")
    run = store.start_run(RunSetup("instant", {}, PromptSet("one", (prompt,))))
    seconds = []
    for index in range(50):
        began = time.perf_counter()
        store.add_responses(run.id, [Response(prompt, "x" * 450, index)])
        seconds.append(time.perf_counter() - began)
    return round(1000 * sorted(seconds)[25], 2)


if __name__ == "__main__":
    main()
