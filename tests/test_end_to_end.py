"""measure against servers: the real one, and one that fails half of the time."""

from __future__ import annotations

import json
import random
import threading

import pytest

from asking import SHORT
from ethostat.cli import app
from ethostat.cli.frame import run
from ethostat.models.http import HTTPModel
from ethostat.store import Store
from ethostat.workflow import measure
from goals import PROMPTS, WordClassifier
from servers import Asked, FaultyServer, Reply, answer, as_json, llama_server, refusal

FAULTS = (
    lambda: refusal(429, "slow down"),
    lambda: refusal(500, "on fire"),
    lambda: Reply(hang=5.0),
    lambda: Reply(content=answer("g1 cut short").content, sends=20),
    lambda: Reply(content=b"<html>not what you asked for</html>"),
    lambda: as_json({"choices": "none"}),
    lambda: Reply(drops=True),
)


@pytest.fixture
def store(tmp_path):
    """A new database."""
    with Store(tmp_path / "runs.db") as opened:
        yield opened


def test_half_of_all_requests_failing_loses_nothing(store):
    """Every response or a named failure; what is missing after one run comes with the next, and is asked for once."""
    rng, lock = random.Random(11), threading.Lock()  # noqa: S311

    def script(asked: Asked, _: int) -> Reply:
        with lock:
            fault = rng.choice(FAULTS) if rng.random() < 0.5 else None
        seed = asked.body["seed"]
        return fault() if fault else answer(*(f"g{1 + (seed + i) % 5} {seed + i}" for i in range(asked.body["n"])))

    with FaultyServer(script) as server:
        model = HTTPModel(server.url, "m", timeout=0.3, max_retries=0)
        arguments = {"samples": 12, "decoding": SHORT, "seed": 1, "classifier": WordClassifier(), "store": store}
        first = last = measure(model, PROMPTS, **arguments)
        wanted = 12 * len(PROMPTS)
        missing = len(store.failures(first.provenance.run))
        while last.provenance.missing and len(server.asked) < 5000:
            last = measure(model, PROMPTS, **arguments)

    assert missing > 0
    assert first.profile.n + missing == wanted
    assert last.profile.n == wanted
    assert last.provenance.run == first.provenance.run
    texts = [response.text for response in store.responses(last.provenance.run)]
    assert len(set(texts)) == wanted


def test_a_real_server_is_measured(capsys, tmp_path):
    """The whole way, against llama.cpp's own server: responses, verdicts, measurement, report."""
    prompts = tmp_path / "prompts.jsonl"
    prompts.write_text('{"prompt": "What is the capital of France?"}\n{"prompt": "Name a colour."}\n')
    page, db = tmp_path / "report.html", str(tmp_path / "runs.db")

    with llama_server(slots=4, context=256) as url:
        flags = ["--samples", "3", "--max-tokens", "8", "--seed", "1", "--db", db, "--report", str(page), "--json"]
        code = run(app, ["measure", f"{url}#smollm2", "--prompts", str(prompts), *flags])

    measured = json.loads(capsys.readouterr().out)
    assert code == 0
    assert sum(goal["count"] for goal in measured["profile"].values()) == 6
    assert measured["seed"] == 1
    assert "capital of France" in page.read_text()
    with Store(db) as kept:
        texts = [response.text for response in kept.responses(measured["run"])]
        assert len(texts) == 6
        assert all(texts)
