"""kill -9: nothing that was stored is lost, nothing is asked for twice."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

from ethostat.models.base import Decoding
from ethostat.response import Message, Prompt, PromptSet
from ethostat.sampling import Plan
from ethostat.store import Store

SAMPLER = Path(__file__).with_name("sampler.py")
PLAN = Plan(  # that of sampler.py
    PromptSet("crash", tuple(Prompt(f"p{i}", (Message("user", f"question {i}"),)) for i in range(10))),
    Decoding(),
    samples=60,
    seed=11,
)
PROMPTS = {prompt.id: prompt for prompt in PLAN.prompts}


def start(tmp_path: Path) -> subprocess.Popen[bytes]:
    """A process that samples into the store."""
    return subprocess.Popen([sys.executable, SAMPLER, tmp_path / "runs.db", tmp_path / "calls.log"])


def calls(tmp_path: Path) -> Counter[str]:
    """How often each (prompt, seed) was asked for; a line that the kill cut off is not one."""
    path = tmp_path / "calls.log"
    return Counter(path.read_text().splitlines()) if path.exists() else Counter()


def stored(tmp_path: Path) -> dict[tuple[str, int], str]:
    """The texts on disk by prompt and index."""
    with Store(tmp_path / "runs.db") as store:
        return (
            {(r.prompt.id, r.index): r.text for r in store.responses(store.get_run("latest").id)}
            if store.runs()
            else {}
        )


def test_killed_run_loses_and_repeats_nothing(tmp_path):
    """Killed at six random moments and resumed, a run has every response once; what was stored was asked for once."""
    rng, kept, asked = random.Random(5), {}, Counter()  # noqa: S311 - moments of death, not secrets

    for _ in range(6):
        process = start(tmp_path)
        wait_for_calls(tmp_path, process, more=rng.randrange(1, 120))
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert_nothing_stored_was_touched(tmp_path, kept, asked)
        kept, asked = stored(tmp_path), calls(tmp_path)
    assert start(tmp_path).wait(timeout=60) == 0

    assert_nothing_stored_was_touched(tmp_path, kept, asked)
    assert stored(tmp_path) == {(p, i): f"{p} {PLAN.seed_of(PROMPTS[p], i)}" for p in PROMPTS for i in range(60)}
    # Asked for again is only what was under way, or waited for its commit, at a death: each at most once a death.
    assert max(calls(tmp_path).values()) <= 1 + 6
    with Store(tmp_path / "runs.db") as store:
        assert [run.status for run in store.runs()] == ["finished"]


def assert_nothing_stored_was_touched(tmp_path: Path, kept: dict[tuple[str, int], str], asked: Counter[str]) -> None:
    """What was stored at the last death is still there, and was not asked for since."""
    assert kept.items() <= stored(tmp_path).items()
    now = calls(tmp_path)
    assert {text: now[text] for text in kept.values()} == {text: asked[text] for text in kept.values()}


def wait_for_calls(tmp_path: Path, process: subprocess.Popen[bytes], *, more: int) -> None:
    """Until the process has made so many calls, or is done."""
    before = calls(tmp_path).total()
    while calls(tmp_path).total() < before + more and process.poll() is None:
        time.sleep(0.002)
