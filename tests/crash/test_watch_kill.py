"""kill -9 of a watch: no response is paid for twice, none is lost, and the evidence is that of an unbroken watch."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import ethostat as es

WATCHER = Path(__file__).with_name("watcher.py")
LOOKS = 3
ALL = 12 * 6 + LOOKS * 24


def start(folder: Path) -> subprocess.Popen[bytes]:
    """A process that takes looks in this folder."""
    paths = [str(WATCHER.parent.parent), os.environ.get("PYTHONPATH", "")]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(paths)}
    return subprocess.Popen([sys.executable, WATCHER, folder, str(LOOKS)], env=environment)


def calls(folder: Path) -> Counter[str]:
    """How often each (prompt, seed) was asked for."""
    path = folder / "calls.log"
    return Counter(path.read_text().splitlines()) if path.exists() else Counter()


def stored(folder: Path) -> set[str]:
    """What is on disk, as the log names it."""
    if not (folder / "runs.db").exists():
        return set()
    with es.Store(folder / "runs.db") as store:
        return {f"{one.prompt.id} {one.seed}" for run in store.runs() for one in store.responses(run.id)}


def detector_in(folder: Path) -> dict:
    """The evidence as the state holds it."""
    kept = json.loads((folder / "watch.state").read_bytes())
    return {key: kept[key] for key in ("detector", "looks", "spent", "asked", "versions", "ends")}


def test_a_killed_watch_loses_and_repeats_nothing(tmp_path):
    """Killed at five random moments, it has every response once, and what was stored was asked for once."""
    rng, broken, whole = random.Random(6), tmp_path / "broken", tmp_path / "whole"  # noqa: S311 - moments of death
    broken.mkdir()
    whole.mkdir()
    assert start(whole).wait(timeout=120) == 0
    for _ in range(5):
        process, until = start(broken), calls(broken).total() + rng.randrange(1, ALL // 5)
        while process.poll() is None and calls(broken).total() < until:
            time.sleep(0.002)
        process.send_signal(signal.SIGKILL)
        process.wait()
        kept, asked = stored(broken), calls(broken)
        assert all(asked[one] >= 1 for one in kept)
    assert start(broken).wait(timeout=120) == 0

    assert {one: calls(broken)[one] for one in kept} == {one: asked[one] for one in kept}
    assert stored(broken) == stored(whole) == set(calls(whole))
    assert detector_in(broken) == detector_in(whole)
