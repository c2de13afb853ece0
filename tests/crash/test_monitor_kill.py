"""kill -9 of `ethostat monitor`: audits, a command for each alert, and orders that are given while it dies."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import ethostat as es
from ethostat.errors import InvalidInput
from ethostat.orders import EXPECT, SNOOZE, Order, give_order, read_streams

RUN = "import sys; from ethostat.cli import app; from ethostat.cli.frame import run; sys.exit(run(app, sys.argv[1:]))"
RULE = ("--baseline", "first:200", "--detector", "paper-threshold")  # it alarms at once, and says so on and on


def start(folder: Path, *flags: str) -> subprocess.Popen[bytes]:
    """A monitor of the log in this folder, whose state and alerts lie beside it."""
    folder.mkdir(exist_ok=True)
    kept = ("--state", "state", "--out", "alerts.jsonl")
    call = [sys.executable, "-c", RUN, "monitor", "../log.jsonl", *RULE, *flags, *kept]
    return subprocess.Popen(call, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def kill_once(process: subprocess.Popen[bytes], is_time: Callable[[], bool]) -> None:
    """kill -9 as soon as it is time, or nothing where the process was faster."""
    deadline = time.monotonic() + 120
    while process.poll() is None and not is_time() and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()


def size(path: Path) -> int:
    """Bytes, 0 where there is no file."""
    return path.stat().st_size if path.exists() else 0


def kept(folder: Path) -> dict[str, Any]:
    """The state."""
    return json.loads((folder / "state").read_bytes())


def ids(path: Path) -> list[str]:
    """The alerts of a file, or those that a command was given, in order."""
    return [json.loads(line)["id"] for line in path.read_bytes().splitlines()]


def write_log(path: Path, rows: Iterable[dict]) -> None:
    """Prompts and responses, which a classifier has still to read."""
    path.write_text("".join(json.dumps({**row, "goal": None}) + "\n" for row in rows))


def test_killed_it_audits_as_often_and_the_command_misses_nothing(tmp_path):
    """Killed at random moments, its rounds of audit and its evidence are those of an unbroken run; the command gets
    every alert, and at most one again for each death.
    """
    rows = list(es.simulate(es.SimulatedModel.from_spec("constant?at=0.5"), steps=80, samples=20, seed=1))
    rng, broken, whole = random.Random(3), tmp_path / "broken", tmp_path / "whole"  # noqa: S311 - moments of death
    write_log(tmp_path / "log.jsonl", rows)
    (tmp_path / "set.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows[:60]))
    audit = ("--audit", "../set.jsonl", "--audit-every", "70", "--classifier", "goals-in-text")
    flags = (*audit, "--renotify", "40", "--on-alert", "tee -a told")
    assert start(whole, *flags).wait() == 100
    out, deaths = broken / "alerts.jsonl", 3
    for _ in range(deaths):
        until = size(out) + rng.randrange(1, size(whole / "alerts.jsonl") // 4)
        kill_once(start(broken, *flags), lambda until=until: size(out) >= until)
    assert start(broken, *flags).wait() == 100

    told = ids(broken / "told")
    assert out.read_bytes() == (whole / "alerts.jsonl").read_bytes()
    assert kept(broken)["audit"] == kept(whole)["audit"]
    assert kept(broken)["monitors"] == kept(whole)["monitors"]
    assert list(dict.fromkeys(told)) == ids(out)
    assert len(told) <= len(ids(out)) + deaths


def test_orders_given_while_it_dies_are_followed_once(tmp_path):
    """Each order that was accepted is followed once, whoever dies: an epoch for each `expect`, and the last snooze."""
    rows = list(es.simulate(es.SimulatedModel.from_spec("constant?at=0.5"), steps=180, samples=20, seed=2))
    folder, epochs = tmp_path / "one", 3
    for epoch in range(epochs):
        write_log(tmp_path / "log.jsonl", rows[: 1200 * (epoch + 1)])  # 500 to learn again, and some to alarm
        process = start(folder, "--classifier", "goals-in-text", "--follow")
        kill_once(process, lambda epoch=epoch: stands(folder, epoch) and accepted(folder, Order(EXPECT)))
    give_order(folder / "state", Order(SNOOZE, responses=100_000))

    (one,) = [monitor for _, monitor in read_streams(folder / "state")]
    assert one.epoch.number == epochs
    assert one.snoozed_until == one.step + 100_000


def stands(folder: Path, epochs: int) -> bool:
    """Whether an alert stands on which no order waits."""
    if not (folder / "state").exists():
        return False
    (one,) = [monitor for _, monitor in read_streams(folder / "state")] or [None]
    return one is not None and one.is_alerting and one.epoch.number == epochs


def accepted(folder: Path, order: Order) -> bool:
    """Whether an order was taken; it is refused where the alert is over by now."""
    try:
        give_order(folder / "state", order)
    except InvalidInput:
        return False
    return True
