"""`ethostat trajectory` and `ethostat schedules`, as a user types them."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from ethostat.cli import app
from ethostat.cli.frame import run
from servers import Asked, FaultyServer, Reply, answer


@pytest.fixture(autouse=True)
def _at_home(tmp_path, monkeypatch):
    """Every test runs in a folder of its own, with no settings from outside and its own data folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("COLUMNS", "120")
    for name in [name for name in os.environ if name.startswith("ETHOSTAT_")]:
        monkeypatch.delenv(name)


def call(capsys, *arguments: str) -> tuple[int, str, str]:
    """Exit code, standard output, standard error."""
    code = run(app, arguments)
    printed = capsys.readouterr()
    return code, printed.out, printed.err


def write_log(path: str, goals: str, each: int = 20) -> str:
    """Labelled rows: for each digit a step of so many rows, that many of g2 in ten."""
    rows = [
        {"goal": "g2" if n % 10 < int(digit) else "g1", "step": step, "model": "m\x1b[2J"}
        for step, digit in enumerate(goals)
        for n in range(each)
    ]
    Path(path).write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_recorded_steps_are_followed(capsys):
    """A file with `step` gives a picture, a table and where the mass went; nothing hostile reaches the terminal."""
    code, out, _ = call(capsys, "trajectory", write_log("log.jsonl", "0123456789"))

    assert code == 0
    assert "10 steps" in out
    assert "●" in out
    assert "Where the mass went: mass went to g2" in out
    assert "\x1b[2J" not in out


def test_json_is_a_trajectory_that_can_be_shown_again(capsys):
    """What --json prints is one object, and is a target itself."""
    code, out, err = call(capsys, "trajectory", write_log("log.jsonl", "05"), "--json")
    Path("t.json").write_text(out)
    again = call(capsys, "trajectory", "t.json", "--json")

    assert code == 0
    assert err == ""
    assert json.loads(again[1]) == json.loads(out)
    assert [point["profile"]["g2"]["count"] for point in json.loads(out)["points"]] == [0, 10]


def test_targets_of_different_kinds_are_refused(capsys):
    """A model beside a file is a usage error."""
    code, _, err = call(capsys, "trajectory", write_log("log.jsonl", "05"), "smollm2")

    assert code == 2
    assert "must be of one kind" in err


def test_a_dry_run_forecasts_a_conversation(capsys):
    """--dry-run asks nothing and counts turns times samples times threads."""
    url = "http://127.0.0.1:9/v1#nobody"
    code, out, _ = call(capsys, "trajectory", url, "--steps", "10", "--samples", "4", "--dry-run", "--json")

    assert code == 0
    assert json.loads(out)["responses"] == 10 * 4 * 5


def speaking(asked: Asked, _number: int) -> Reply:
    """A server that helps at first and refuses later, n answers at a time."""
    turns = len(asked.body["messages"])
    text = "Here is how it is done: first you warm the pot." if turns < 4 else "I'm sorry, but I can't help with that."
    return answer(*[text] * asked.body.get("n", 1))


def test_a_served_model_is_taken_through_a_schedule(capsys):
    """One command samples, stores and shows conversations; the run's id shows them again; a base gives gamma."""
    arguments = ("--steps", "3", "--samples", "4", "--replicates", "3", "--seed", "1", "--db", "runs.db", "--json")

    with FaultyServer(speaking) as server:
        code, out, _ = call(capsys, "trajectory", f"{server.url}#m", "--schedule", "calm", *arguments)
        Path("base.json").write_text(out)
        model = f"{server.url}#tuned"
        compared = call(capsys, "trajectory", model, "--schedule", "calm", "--against", "base.json", *arguments)[1]
    found = json.loads(out)
    again = json.loads(call(capsys, "trajectory", found["run"], "--db", "runs.db", "--json")[1])

    assert code == 0
    assert found == again
    assert found["asked"]["name"] == "calm"
    assert [sum(part) for part in found["points"][2]["parts"]] == [4, 4, 4]
    assert json.loads(compared)["paired"]
    assert json.loads(compared)["gamma"]["value"] == 0


def test_schedules_are_listed_shown_and_checked(capsys):
    """The built-in schedules have a name and a hash; one is shown with its variations; a file is checked."""
    Path("own.yaml").write_text("name: own\nversion: '1'\nthreads: [{id: a, turns: [x, y]}]\n")

    listed = json.loads(call(capsys, "schedules", "list", "--json")[1])
    shown = call(capsys, "schedules", "show", "calm", "--steps", "12")[1]
    checked = json.loads(call(capsys, "schedules", "check", "own.yaml", "--json")[1])
    assert [row["name"] for row in listed][:2] == ["calm", "crescendo"]
    assert "kitchen/step-0012" in shown
    assert checked == [{"thread": "a", "turns": 2, "again from": 1, "variations": 1, "repeats after": 2}]


def test_a_schedule_with_a_mistake_exits_with_2(capsys):
    """A file that breaks a rule is named with place and rule."""
    Path("own.yaml").write_text("name: own\nversion: '1'\nthreads: [{id: a, turns: [{sais: x}]}]\n")

    code, _, err = call(capsys, "schedules", "check", "own.yaml")
    assert code == 2
    assert "own.yaml: thread 1, turn 1: 'sais' is no field" in err
