"""`ethostat fisher` on a model in a folder."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from networks import NEEDED

from ethostat.cli import app
from ethostat.cli.frame import run
from ethostat.experiments.exchanges import read_written
from ethostat.experiments.small import small_language

WRITTEN = Path(__file__).parents[2] / "scripts" / "written"
pytestmark = NEEDED


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A small model and its tokenizer, saved in the Hugging Face form."""
    path = tmp_path_factory.mktemp("small")
    language = small_language("z", read_written(WRITTEN, seed=3).exchanges[:200], 3)
    language.network.save_pretrained(path)
    language.tokenizer.save_pretrained(path)
    return path


FEW = ["--most", "2", "--max-tokens", "3", "--steps", "2", "--probes", "2"]


def test_it_prints_eigenvalues_trace_and_critical_rate(folder, capsys):
    """As JSON: N of the model, two values descending with their residuals, and positions of two answers at most."""
    code = run(app, ["fisher", f"hf:{folder}", *FEW, "--json"])

    found = json.loads(capsys.readouterr().out)
    assert code == 0
    assert found["eigenvalues"][0] >= found["eigenvalues"][1] > 0
    assert len(found["residuals"]) == 2
    assert 2 <= found["positions"] <= 2 * 4
    assert found["parameters"] > 10_000


def test_a_person_gets_a_table(folder, capsys):
    """Without --json a table names the eigenvalues, the trace and gamma_crit."""
    code = run(app, ["fisher", f"hf:{folder}", *FEW])

    shown = capsys.readouterr().out
    assert code == 0
    assert all(word in shown for word in ("eigenvalue 1", "trace", "gamma_crit"))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["sim:jump"], "must be one of smollm2"),
        (["smollm2", "--steps", "0"], "steps must be at least 1"),
        (["gguf:nowhere.gguf"], "is no file"),
    ],
)
def test_what_it_cannot_do_is_said(arguments, words, capsys):
    """A model it cannot open and a number that cannot be end with a sentence and a code above 0."""
    assert run(app, ["fisher", *arguments]) in (1, 2)

    assert words in capsys.readouterr().err
