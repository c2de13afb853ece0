"""A conversation of 1,000 steps: what it takes beyond the model's own time, and what kill -9 costs.

    python benchmarks/long_conversation.py [--steps 1000] [--samples 20] [--replicates 1] [--kills 5] [--builtin]

A model that answers at once is taken through the schedule `crescendo`; its own time is measured inside it. Then the
same conversation is killed with SIGKILL at random moments and started again until it is done. Counted are

  lost       responses that were on disk once and are not at the end, and those that are missing at the end;
  repeated   calls for a response that was on disk before its process began;
  astray     responses whose stored history is not the one that the model was shown.

PASS is that none of these happened, and that the work beyond the model's takes less than 60 s by
the clock. Processor time is printed beside it: on a machine that does other work the clock says more about that work.

Without --builtin, verdicts come from a classifier that takes no time, so that the engine alone is measured.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

from ethostat.classifiers import Classifier, load_builtin
from ethostat.models.base import Decoding
from ethostat.response import Prompt, Response, Verdict
from ethostat.schedules import load_schedule
from ethostat.store import Store
from ethostat.stressing import Stress, trajectory
from ethostat.taxonomy import FIVE_GOALS

WORDS = "I can help with that. Here is a first thought, and then a second one, and after that a third. "


class Synthetic:
    """A model that says at once how likely each goal is at its step: S relaxes from 0.1 towards 1.3 nats.

    Its answers end in a fingerprint of all that it was shown. `seconds` is the time that it took itself.
    """

    name = "synthetic"

    def __init__(self, log: Path | None) -> None:
        self.seconds = 0.0
        self._log = None if log is None else os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    @property
    def identity(self) -> dict[str, Any]:
        """Nothing but its name decides what it says."""
        return {"kind": self.name}

    async def sample(self, prompt: Prompt, _decoding: Decoding, seeds: Sequence[int]) -> AsyncIterator[Response]:
        """All answers to one turn."""
        for index, seed in enumerate(seeds):
            began = time.perf_counter()
            text = self._say(prompt, seed)
            if self._log is not None:
                os.write(self._log, f"{prompt.id} {seed} {text[-12:]}\n".encode())
            self.seconds += time.perf_counter() - began
            yield Response(prompt, text, index, seed=seed, prompt_tokens=500, completion_tokens=60)

    async def aclose(self) -> None:
        """Nothing to release."""

    @staticmethod
    def _say(prompt: Prompt, seed: int) -> str:
        step = int(prompt.id[-4:])
        spread = 0.55 * (1 - 2.718281828 ** (-step / 150))
        weights = [1 - spread, 0.4 * spread, 0.3 * spread, 0.2 * spread, 0.1 * spread]
        goal = random.Random(seed).choices(FIVE_GOALS.keys, weights)[0]  # noqa: S311
        return f"{goal} {WORDS * 2}{fingerprint(prompt)}"


class FirstWord:
    """Reads the goal off the first word."""

    name, hash, taxonomy = "first-word", "0123456789abcdef", FIVE_GOALS

    def classify(self, responses: Sequence[Response]) -> list[Verdict]:
        """The goal that each text begins with."""
        return [
            Verdict.from_goal(FIVE_GOALS, one.text.split()[0], prompt_id=one.prompt.id, response_id=one.id)
            for one in responses
        ]


def fingerprint(prompt: Prompt) -> str:
    """Of every word that was shown."""
    shown = "\n".join(message.content for message in prompt.messages)
    return hashlib.sha256(shown.encode("utf-8", "surrogatepass")).hexdigest()[:12]


def talk(database: Path, options: argparse.Namespace, log: Path | None = None) -> dict[str, Any]:
    """The whole conversation; how long it took, and how long of that the model."""
    model, began = Synthetic(log), time.perf_counter()
    classifier: Classifier = load_builtin() if options.builtin else FirstWord()
    stress = Stress(load_schedule("crescendo"), options.steps, options.samples, options.replicates)
    with Store(database) as store:
        found = trajectory(model, stress, seed=options.seed, classifier=classifier, store=store)
    whole = time.perf_counter() - began
    last = found.points[-1].entropy
    return {
        "responses": int(found.counts().sum()),
        "seconds": round(whole, 1),
        "model_seconds": round(model.seconds, 1),
        "beyond_the_model": round(whole - model.seconds, 1),
        "cpu_seconds": round(time.process_time(), 1),
        "last_S": str(last),
    }


def kill_and_resume(folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    """So many deaths, then a process that may finish; what was lost, repeated, astray."""
    database, log = folder / "killed.db", folder / "calls.log"
    command = [sys.executable, __file__, "--talk", str(database), "--log", str(log)]
    for name in ("steps", "samples", "replicates", "seed"):
        command += [f"--{name}", str(getattr(options, name))]
    rng = random.Random(options.seed)  # noqa: S311 - moments of death, not secrets
    kept, lost, repeated = dict[tuple[str, int], str](), 0, 0
    seen: Counter[str] = Counter()
    for _ in range(options.kills):
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        goal = seen.total() + rng.randrange(1, max(2, options.steps * options.samples * options.replicates // 8))
        while process.poll() is None and lines(log) < goal:
            time.sleep(0.05)
        process.kill()
        process.wait()
        kept, lost, repeated, seen = count(database, log, kept, lost, repeated, seen)
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    final, lost, repeated, _ = count(database, log, kept, lost, repeated, seen)
    wanted = options.steps * options.samples * options.replicates
    with Store(database) as store:
        told = store.responses(store.get_run("latest").id)
        astray = sum(not response.text.endswith(fingerprint(response.prompt)) for response in told)
    return {"kills": options.kills, "lost": lost + wanted - len(final), "repeated": repeated, "astray": astray}


def count(
    database: Path, log: Path, kept: dict[tuple[str, int], str], lost: int, repeated: int, seen: Counter[str]
) -> tuple[dict[tuple[str, int], str], int, int, Counter[str]]:
    """What is on disk now, and what was lost and asked for again since `kept`."""
    with Store(database) as store:
        runs = store.runs()
        assert len(runs) == 1, "the run was not resumed: a second one was begun"
        rows = list(store.responses(runs[0].id))
    now = {(row.prompt.id, row.index): row.text for row in rows}
    after = calls(log)
    lines = {(row.prompt.id, row.index): f"{row.prompt.id} {row.seed} {row.text[-12:]}" for row in rows}
    lost += sum(now.get(place) != text for place, text in kept.items())
    repeated += sum(after[lines[place]] > seen[lines[place]] for place in kept if place in lines)
    return now, lost, repeated, after


def calls(log: Path) -> Counter[str]:
    """How often each answer was asked for."""
    return Counter(log.read_text().splitlines()) if log.exists() else Counter()


def lines(log: Path) -> int:
    """How many answers were asked for."""
    return log.read_bytes().count(b"\n") if log.exists() else 0


def main() -> None:
    """Time it, kill it, and say PASS or FAIL."""
    options = _options()
    if options.talk:
        talk(options.talk, options, options.log)
        return
    with tempfile.TemporaryDirectory() as folder:
        timed = talk(Path(folder) / "timed.db", options)
        print(json.dumps(timed), flush=True)
        killed = kill_and_resume(Path(folder), options)
        print(json.dumps(killed))
    good = timed["beyond_the_model"] < 60 and not any(killed[name] for name in ("lost", "repeated", "astray"))
    print("PASS" if good else "FAIL")
    sys.exit(0 if good else 1)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--samples", type=int, default=20)
    parser.add_argument("--replicates", type=int, default=1)
    parser.add_argument("--kills", type=int, default=5)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--builtin", action="store_true", help="classify with the built-in classifier")
    parser.add_argument("--talk", type=Path, help="only talk, into this database")
    parser.add_argument("--log", type=Path)
    return parser.parse_args()


if __name__ == "__main__":
    main()
