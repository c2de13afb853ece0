"""The Monitor itself: run length, delay, recovery, mix of strata, restarts, throughput, on the whole path of a verdict.

`evidence.py` scores the detectors; this checks that what is built on them keeps what they promise.
`python benchmarks/monitor.py [--quick] [--json FILE]`.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

import ethostat as es
from _table import Row, fact, line, run
from ethostat.guarantees.streams import COMPLIANT, spread
from ethostat.maths.detection import average_run_length, detection

KEYS = es.FIVE_GOALS.keys
QUIET = es.Policy(warn=False)
LABELLED = 500
CHAT, GUARD = (0.95, 0.01, 0.02, 0.01, 0.01), (0.30, 0.02, 0.65, 0.02, 0.01)


def drawn(rng: np.random.Generator, shares: np.ndarray, n: int) -> list[str]:
    """Goals of n responses."""
    return [KEYS[label] for label in rng.choice(5, n, p=shares).tolist()]


def learned(rng: np.random.Generator, shares: np.ndarray, **settings: float) -> es.Monitor:
    """A monitor whose baseline are the first 500 responses."""
    monitor = es.Monitor(es.Baseline.of_first(LABELLED), policy=QUIET, **settings)
    for goal in drawn(rng, shares, LABELLED):
        monitor.update(goal)
    return monitor


def first_page(monitor: es.Monitor, goals: list[str]) -> int:
    """The place of the first page, or how many goals there are."""
    return next((place for place, goal in enumerate(goals) if monitor.update(goal)), len(goals))


def run_lengths(rng: np.random.Generator, quick: bool) -> Iterator[Row]:
    """Responses between false pages, as a multiple of what was asked for."""
    nominal, runs = (500, 100) if quick else (2000, 200)
    shares, horizon = spread(0.25, COMPLIANT), 3 * nominal
    places = [first_page(learned(rng, shares, run_length=nominal), drawn(rng, shares, horizon)) for _ in range(runs)]
    yield _ratio("run length / asked for, first 500 responses normal", places, horizon, nominal)
    places = [_stratified(rng, nominal, horizon) for _ in range(runs)]
    yield _ratio("the same, strata whose mix turns from 10 to 60 % guarded", places, horizon, nominal)


def _ratio(name: str, places: list[int], horizon: int, nominal: int) -> Row:
    found = average_run_length(places, horizon=horizon)
    if not found.is_defined:
        return line(name, np.inf, ">= 0.8", met=True)
    error = found.half_width / 1.96 / nominal
    return line(name, found.value / nominal, ">= 0.8", met=found.value / nominal + 2 * error >= 0.8, error=error)


def _stratified(rng: np.random.Generator, nominal: int, horizon: int) -> int:
    monitor = es.Monitor(es.Baseline.of_first(LABELLED), run_length=nominal, stratified=True, policy=QUIET)
    for place in range(LABELLED + horizon):
        stratum = "guard" if rng.random() < (0.1 if place < LABELLED else 0.6) else "chat"
        goal = KEYS[rng.choice(5, p=GUARD if stratum == "guard" else CHAT)]
        if monitor.update(goal, stratum=stratum):
            return place - LABELLED
    return horizon


def changes(rng: np.random.Generator, quick: bool) -> Iterator[Row]:
    """Delay from a change to its page, whether that stands while the change does, delay from its end to recovery."""
    before, after, runs = spread(0.12, COMPLIANT), spread(0.70, COMPLIANT), 100 if quick else 400
    places, ends, lasting = [], [], 0
    for _ in range(runs):
        monitor = learned(rng, before)
        places.append(first_page(monitor, drawn(rng, before, 200) + drawn(rng, after, 400)))
        lasting += all(monitor.update(goal) is None for goal in drawn(rng, after, 600))
        ends.append(first_page(monitor, drawn(rng, before, 600)) + 1)
    found = detection(places, change=200, horizon=600)
    error = found.delay.half_width / 1.96
    delay = found.delay.value
    yield line("S .12 -> .70: delay, first 500 normal", delay, "<= 45", met=delay - 2 * error <= 45, error=error)
    yield line("alerts that stand through 600 responses more", lasting / runs, ">= 0.95", met=lasting / runs >= 0.9)
    known = tuple(int(count) for count in np.round(before * 20_000))
    places = [
        first_page(es.Monitor(es.Profile(known), policy=QUIET), drawn(rng, before, 200) + drawn(rng, after, 400))
        for _ in range(runs)
    ]
    found = detection(places, change=200, horizon=600)
    delay, error = found.delay.value, found.delay.half_width / 1.96
    yield line("the same, 20,000 responses normal", delay, "<= 30", met=delay - 2 * error <= 30, error=error)
    yield fact("responses from its end to recovery, median", float(np.median(ends)))


def restarts(rng: np.random.Generator, quick: bool) -> Iterator[Row]:
    """Through JSON and back at every event: alerts that differ from those of an unbroken run."""
    before, after, n = spread(0.12, COMPLIANT), spread(0.70, COMPLIANT), 100 if quick else 1000
    whole, broken = learned(rng, before), learned(rng, before)
    broken = es.Monitor.from_dict(json.loads(json.dumps(whole.to_dict())))
    differing = 0
    for goal in drawn(rng, before, n) + drawn(rng, after, n) + drawn(rng, before, n):
        one, other = whole.update(goal), broken.update(goal)
        broken = es.Monitor.from_dict(json.loads(json.dumps(broken.to_dict())))
        differing += (one and one.to_dict()) != (other and other.to_dict())
    yield line("alerts that differ after restarts at every event", differing, "0", met=differing == 0)
    yield fact("state of one monitor as JSON, kB", len(json.dumps(whole.to_dict()["state"])) / 1000)


def kills(rng: np.random.Generator, quick: bool) -> Iterator[Row]:
    """A process that reads a file is killed at random moments; its file of alerts against that of an unbroken run."""
    model = es.SimulatedModel.from_spec("constant?at=0.5")
    rows = es.simulate(model, steps=700 if quick else 5000, samples=20, seed=1)
    with TemporaryDirectory() as folder:
        here = Path(folder)
        (here / "log.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        whole, broken, died = here / "whole.jsonl", here / "broken.jsonl", 0
        _reading(here, whole).wait()
        size = whole.stat().st_size
        while not broken.exists() or broken.stat().st_size < size:
            process, until = _reading(here, broken), _size(broken) + int(rng.integers(1, size // 5))
            while process.poll() is None and _size(broken) < until:
                time.sleep(rng.random() / 100)
            died += process.poll() is None
            process.kill()
            process.wait()
        same = whole.read_bytes() == broken.read_bytes()
        yield fact("alerts of an unbroken run", len(whole.read_bytes().splitlines()))
    yield fact("times that kill -9 hit the other", died)
    yield line("their files of alerts differ", not same, "0", met=same)


def _reading(here: Path, out: Path) -> subprocess.Popen[bytes]:
    """The command over the log, with a rule that alarms at once and says so every 60 responses."""
    rule = ["--baseline", "first:500", "--detector", "paper-threshold", "--renotify", "60"]
    call = [sys.executable, "-c", "from ethostat.cli import main; main()", "monitor", here / "log.jsonl", *rule]
    kept = ["--out", out, "--state", out.with_suffix(".state")]
    return subprocess.Popen([*call, *kept], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def throughput(rng: np.random.Generator, quick: bool) -> Iterator[Row]:
    """Verdicts a second of processor time through one monitor."""
    shares, n = spread(0.12, COMPLIANT), 10_000 if quick else 50_000
    known = tuple(int(count) for count in np.round(shares * 10_000))
    goals = drawn(rng, shares, n)
    for name, counts in (("learning has stopped", known), ("still learning", tuple(c // 20 for c in known))):
        monitor, began = es.Monitor(es.Profile(counts), alpha=1e-9, policy=QUIET), time.process_time()
        for goal in goals[: n if name == "learning has stopped" else 4000]:
            monitor.update(goal)
        yield fact(f"thousand verdicts a second, {name}", monitor.step / (time.process_time() - began) / 1000)


if __name__ == "__main__":
    run(__doc__, run_lengths, changes, restarts, kills, throughput, seed=20260301)
