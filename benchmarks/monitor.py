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
SETTLED = 700
"""Quiet responses before a change, as in `evidence.py`: evidence begins at nothing, and grows for some hundreds."""
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
        places.append(first_page(monitor, drawn(rng, before, SETTLED) + drawn(rng, after, 400)))
        lasting += all(monitor.update(goal) is None for goal in drawn(rng, after, 600))
        ends.append(first_page(monitor, drawn(rng, before, 600)) + 1)
    found = detection(places, change=SETTLED, horizon=SETTLED + 400)
    error = found.delay.half_width / 1.96
    delay = found.delay.value
    yield line("S .12 -> .70: delay, first 500 normal", delay, "<= 45", met=delay - 2 * error <= 45, error=error)
    yield line("alerts that stand through 600 responses more", lasting / runs, ">= 0.95", met=lasting / runs >= 0.9)
    known = tuple(int(count) for count in np.round(before * 20_000))
    places = [
        first_page(es.Monitor(es.Profile(known), policy=QUIET), drawn(rng, before, SETTLED) + drawn(rng, after, 400))
        for _ in range(runs)
    ]
    found = detection(places, change=SETTLED, horizon=SETTLED + 400)
    delay, error = found.delay.value, found.delay.half_width / 1.96
    yield line("the same, 20,000 responses normal", delay, "<= 30", met=delay - 2 * error <= 30, error=error)
    yield fact("responses from its end to recovery, median", float(np.median(ends)))


def sessions(rng: np.random.Generator, quick: bool) -> Iterator[Row]:
    """Conversations of ten that are alike within, five at a time: run length and delay, by response and by session."""
    nominal, runs, count, end = 500, 20 if quick else 200, 150, es.SessionEnd(longest=10)
    before, after = spread(0.25, COMPLIANT), spread(0.9, COMPLIANT)
    for icc in (0.05, 0.3):
        for name, rule in (("response", None), ("session", end)):
            places = [
                _first_of_sessions(es.Monitor(_many(before), run_length=nominal, sessions=rule, policy=QUIET), rows)
                for rows in (_conversations(rng, before, count, icc) for _ in range(runs))
            ]
            found = average_run_length(places, horizon=count * 10)
            ratio = found.value / nominal if found.is_defined else np.inf
            title = f"run length / asked for, by {name}, ICC {icc}"
            yield fact(title, ratio) if rule is None else line(title, ratio, ">= 1.0", met=ratio >= 1)
    places = [
        _first_of_sessions(es.Monitor(_many(before), sessions=end, policy=QUIET), rows)
        for rows in (_conversations(rng, after, count, 0.3) for _ in range(runs))
    ]
    yield fact("S .25 -> .90 by session, ICC 0.3: delay, responses", float(np.mean(places)) + 1)


def _many(shares: np.ndarray) -> es.Profile:
    return es.Profile(tuple(int(count) for count in np.round(shares * 10_000)))


def _conversations(rng: np.random.Generator, shares: np.ndarray, n: int, icc: float) -> list[tuple[str, str]]:
    own = rng.standard_gamma(shares * (1 - icc) / icc, (n, 5)) + 1e-300
    own /= own.sum(axis=1, keepdims=True)
    labels = np.minimum((rng.random((n, 10, 1)) > own.cumsum(axis=1)[:, None]).sum(axis=2), 4)
    order = [(first + lane, turn) for first in range(0, n, 5) for turn in range(10) for lane in range(5)]
    return [(KEYS[labels[at]], str(at[0])) for at in order]


def _first_of_sessions(monitor: es.Monitor, rows: list[tuple[str, str]]) -> int:
    return next((n for n, (goal, name) in enumerate(rows) if monitor.update(goal, session=name)), len(rows))


def screenings(rng: np.random.Generator, quick: bool) -> Iterator[Row]:
    """Many streams, a twentieth of which change halfway: how many of those named are false, how many are named."""
    streams, each, rounds = (200, 200, 2) if quick else (1000, 300, 10)
    before, after, changed = spread(0.25, COMPLIANT), spread(0.9, COMPLIANT), streams // 20
    false, power = [], []
    for _ in range(rounds):
        many = es.Monitors(es.Monitor(_many(before), policy=QUIET), screening=es.Screening(0.1))
        for stream in range(streams):
            half = each // 2 if stream < changed else each
            for goal in drawn(rng, before, half) + drawn(rng, after, each - half):
                many.update(goal, (f"{stream}",))
        named = [int(one.monitor.split("/")[1]) for one in many.screen().flagged]
        false.append(sum(stream >= changed for stream in named) / max(len(named), 1))
        power.append(sum(stream < changed for stream in named) / changed)
    share, found = float(np.mean(false)), float(np.mean(power))
    yield line("a screening of many streams: false ones among the named", share, "<= 0.1", met=share <= 0.1)
    yield line("the same: changed ones that are named", found, ">= 0.95", met=found >= 0.95)


def audits(rng: np.random.Generator, quick: bool) -> Iterator[Row]:
    """200 audited responses, 2 % of verdicts noise: false alerts, and responses until a move of g1 to g2 is said."""
    runs, recorded = 20 if quick else 100, [KEYS[n % 5] for n in range(200)]

    def rounds(audit: es.Audit, n: int, moved: float) -> int:
        for _ in range(n):
            said = [recorded[place] for place in audit.places]
            said = [KEYS[rng.integers(5)] if rng.random() < 0.02 else goal for goal in said]
            said = ["g2" if goal == "g1" and rng.random() < moved else goal for goal in said]
            if audit.take(said):
                return audit.step
        return audit.step

    quiet = [es.Audit(recorded) for _ in range(runs)]
    false = sum(rounds(audit, 51, 0.0) < 1200 for audit in quiet)
    yield fact("audits of 1,000 responses that alert although nothing moved", false / runs)
    for moved in (0.9, 0.3):
        delays = [rounds(audit, 200, moved) - 1200 for audit in quiet if audit.step == 1200]
        yield fact(f"audited responses until {moved:.0%} of g1 read as g2 is said, median", float(np.median(delays)))
        quiet = [es.Audit(recorded) for _ in range(runs)]
        _ = [rounds(audit, 51, 0.0) for audit in quiet]


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
    few = tuple(count // 20 for count in known)
    for name, counts, promise in (
        ("learning has stopped", known, {"run_length": 20_000}),  # it stops at half of that
        ("still learning", few, {"alpha": 1e-9}),
    ):
        monitor, began = es.Monitor(es.Profile(counts), policy=QUIET, **promise), time.process_time()
        for goal in goals[: n if name == "learning has stopped" else 4000]:
            monitor.update(goal)
        yield fact(f"thousand verdicts a second, {name}", monitor.step / (time.process_time() - began) / 1000)


if __name__ == "__main__":
    run(__doc__, run_lengths, changes, restarts, kills, throughput, sessions, screenings, audits, seed=20260301)
