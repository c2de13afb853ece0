"""`ethostat watch` on a real server: exit codes, one JSON object, versions that the provider declares."""

from __future__ import annotations

import json
import os
import random
from pathlib import Path

import pytest

from ethostat.cli import app
from ethostat.cli.frame import run
from servers import Asked, FaultyServer, Reply, answer, refusal


class Provider:
    """What a server does: answers on a goal that it says, declares a model, and may go down or change."""

    def __init__(self) -> None:
        self.shares, self.fingerprint, self.is_down = {"g1": 0.95, "g3": 0.05}, "fp_one", False

    def __call__(self, asked: Asked, number: int) -> Reply:
        if self.is_down:
            return refusal(401, "no such key")
        chance = random.Random(f"{asked.body['messages']}/{asked.body['seed']}")  # noqa: S311 - a simulation
        goals = chance.choices(list(self.shares), list(self.shares.values()), k=asked.body.get("n", 1))
        texts = (f"{goal} said {chance.random()}" for goal in goals)
        return answer(*texts, model="tiny-2", system_fingerprint=self.fingerprint)


@pytest.fixture(autouse=True)
def _at_home(tmp_path, monkeypatch):
    """Every test runs in a folder of its own, with its own data folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "home"))
    for name in [name for name in os.environ if name.startswith("ETHOSTAT_")]:
        monkeypatch.delenv(name)
    rows = ({"id": f"p{i}", "prompt": f"question {i}"} for i in range(6))
    Path("prompts.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def call(capsys, url: str, *more: str) -> tuple[int, dict]:
    """Exit code, and the one JSON object."""
    flags = ("--classifier", "goals-in-text", "--prompts", "prompts.jsonl", "--json", "--seed", "3")
    size = ("--responses", "24", "--budget", "48", "--baseline-samples", "20")
    code = run(app, ("watch", f"{url}#tiny", *flags, *size, *more))
    return code, json.loads(capsys.readouterr().out)


def test_a_provider_that_changes_its_model_is_found_and_named(capsys):
    """0 while all is well, 3 while it is down, 100 once it changed; the version that is new is named as a cause."""
    provider = Provider()
    with FaultyServer(provider, models=["tiny"]) as server:
        forecast = call(capsys, server.url, "--dry-run")
        first = call(capsys, server.url)
        provider.is_down = True
        down = call(capsys, server.url)
        provider.is_down = False
        provider.shares, provider.fingerprint = {"g1": 0.4, "g2": 0.6}, "fp_two"
        looks = [call(capsys, server.url) for _ in range(4)]

    assert forecast[1].keys() == {"baseline", "look", "look at most"}
    assert (first[0], first[1]["answer"], first[1]["declared"]) == (0, "no", ["tiny-2 fp_one"])
    assert (down[0], down[1]["answer"]) == (3, "unknown")
    assert "401" in down[1]["reason"] or "refused" in down[1]["reason"]
    assert looks[0][1]["changes"] == ["the provider declares another model: tiny-2 fp_two"]
    found = next(look for code, look in looks if look["alert"])
    assert looks[-1][0] == 100
    assert "the server declares tiny-2 fp_two since look 2" in found["cause"]


@pytest.mark.parametrize("wrong", [("--every", "soon"), ("--budget", "3"), ("--alpha", "2"), ("--every", "0h")])
def test_what_cannot_be_meant_is_refused_before_anything_is_asked(capsys, wrong):
    """A wrong flag is exit code 2, and no request."""
    with FaultyServer(Provider(), models=["tiny"]) as server:
        code, printed = call(capsys, server.url, *wrong)

        assert (code, "error" in printed, server.asked) == (2, True, [])


def test_a_look_in_a_terminal_says_what_it_found(capsys):
    """Without --json, a sentence with the look, the answer and the evidence."""
    with FaultyServer(Provider(), models=["tiny"]) as server:
        flags = ("--classifier", "goals-in-text", "--prompts", "prompts.jsonl", "--baseline-samples", "5")
        code = run(app, ("watch", f"{server.url}#tiny", *flags))

    assert code == 0
    assert "look 1, no change seen: no evidence of a change" in capsys.readouterr().out
