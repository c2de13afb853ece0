"""Raters against each other: figures that can be checked by hand, disputes by id, and the command."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import ethostat as es
from ethostat.cli import app
from ethostat.cli.frame import run
from ethostat.errors import TooLittleEvidence

# Two raters on 100 responses: 20 both g1, 20 and 10 differ, 50 both g2 (Artstein and Poesio 2008): kappa is 0.348.
TABLE = [("g1", "g1")] * 20 + [("g1", "g2")] * 20 + [("g2", "g1")] * 10 + [("g2", "g2")] * 50


def rows_of(*raters: tuple[str, list[str | None]]) -> list[dict]:
    """A row for each label; response i is to prompt i."""
    return [
        {"id": f"r{i}", "prompt": f"q{i}", "response": f"a{i}", "label": goal, "rater": who}
        for who, goals in raters
        for i, goal in enumerate(goals)
        if goal
    ]


def write_rows(path: Path, rows) -> Path:
    """Rows as a JSONL file."""
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def call(capsys, *arguments: str) -> tuple[int, str, str]:
    """Exit code, standard output, standard error."""
    code = run(app, arguments)
    printed = capsys.readouterr()
    return code, printed.out, printed.err


def test_two_raters_of_a_published_table(tmp_path):
    """70 of 100 labels agree, Cohen's kappa is 0.348, and another rater says g1 too with 40/70, g2 with 100/130."""
    ann, bo = zip(*TABLE, strict=True)
    files = [write_rows(tmp_path / f"{who}.jsonl", rows_of((who, goals))) for who, goals in (("ann", ann), ("bo", bo))]

    found = es.agreement_of(files, taxonomy=es.FIVE_GOALS)

    (pair,) = found.pairs
    assert (found.n, found.shared, dict(found.raters)) == (100, 100, {"ann": 100, "bo": 100})
    assert (pair.kappa.value, pair.same.value) == (pytest.approx(0.348, abs=5e-4), pytest.approx(0.7))
    assert found.same.value == pytest.approx(0.7)
    assert found.goals["g1"].value == pytest.approx(40 / 70)
    assert found.goals["g2"].value == pytest.approx(100 / 130)
    assert not found.goals["g3"].is_defined
    assert found.alpha.low < found.alpha.value < found.alpha.high
    assert len(found.disputes) == 30


def test_raters_of_different_rows_are_compared_where_they_meet(tmp_path):
    """Fleiss' kappa is of rows that all have, alpha of all with two labels; pairs that never meet are left out."""
    goals = ["g1", "g2"] * 10
    rows = rows_of(("ann", goals), ("bo", [*goals[:10], *["g3"] * 4, *[None] * 6]), ("cy", [*[None] * 18, *goals[18:]]))

    found = es.agreement_of([write_rows(tmp_path / "labels.jsonl", rows)], taxonomy=es.FIVE_GOALS)

    assert [(pair.first, pair.second, pair.n) for pair in found.pairs] == [("ann", "bo", 14), ("ann", "cy", 2)]
    assert (found.shared, found.alpha.n, found.same.value) == (16, 16, pytest.approx(12 / 16))
    assert "no response has a label of every rater" in found.fleiss.method
    assert [(one.id, one.labels) for one in found.disputes][:2] == [
        ("r10", {"g1": 1, "g3": 1}),
        ("r11", {"g2": 1, "g3": 1}),
    ]


def test_the_last_label_of_a_rater_counts_and_a_settling_one_is_nobodys(tmp_path):
    """A later row replaces the rater's earlier one; the settling label is named with the dispute and rated nowhere."""
    rows = rows_of(("ann", ["g1", "g2", "g3"]), ("bo", ["g1", "g4", "g3"]))
    rows += [rows[0] | {"label": "g5"}, rows[1] | {"label": "g2", "rater": "cy", "settles": True}]
    rows.append({key: value for key, value in rows[2].items() if key != "rater"})

    found = es.agreement_of([write_rows(tmp_path / "labels.jsonl", rows)], taxonomy=es.FIVE_GOALS)

    assert list(found.raters) == ["ann", "bo"]
    assert [(one.id, one.settled) for one in found.disputes] == [("r0", None), ("r1", "g2")]
    assert "1 labels name no rater" in found.notes[0]


def test_one_rater_is_too_little(tmp_path):
    """Without a response that two raters labelled there is no agreement, and the error says what to do."""
    file = write_rows(tmp_path / "labels.jsonl", rows_of(("ann", ["g1", "g2"])))

    with pytest.raises(TooLittleEvidence, match="let a second rater"):
        es.agreement_of([file], taxonomy=es.FIVE_GOALS)


def test_responses_of_one_prompt_are_independent(tmp_path):
    """Where all rows have one prompt the interval is over responses."""
    rows = [row | {"prompt": "q"} for row in rows_of(("ann", ["g1", "g2"] * 10), ("bo", ["g1"] * 15 + ["g2"] * 5))]

    found = es.agreement_of([write_rows(tmp_path / "labels.jsonl", rows)], taxonomy=es.FIVE_GOALS)

    assert found.alpha.is_defined
    assert found.pairs[0].kappa.is_defined


def test_the_command_names_disputes_by_id_and_shows_no_text(capsys, tmp_path, monkeypatch):
    """A file and a run of the store give the same figures; --json prints one object; no text of a row is in it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    rows = rows_of(("ann", ["g1", "g2", "g3", "g1"]), ("bo", ["g1", "g4", "g3", "g2"]))
    write_rows(Path("labels.jsonl"), rows)
    write_rows(Path("log.jsonl"), [{key: row[key] for key in ("id", "prompt", "response")} for row in rows[:4]])
    with es.Store("runs.db") as store:
        es.adjudicate(store, es.Task("log.jsonl"), rater="cy", labels=[Path("labels.jsonl")]).label("g2")

    code, out, err = call(capsys, "agreement", "labels.jsonl", "--json")
    _, stored, _ = call(capsys, "agreement", "latest", "--db", "runs.db", "--json")
    _, shown, _ = call(capsys, "agreement", "latest", "--db", "runs.db")

    found, again = json.loads(out), json.loads(stored)
    assert (code, err) == (0, "")
    assert [one["id"] for one in found["disputes"]] == ["r1", "r3"]
    assert [one["settled"] for one in again["disputes"]] == ["g2", None]
    assert {key: found[key] for key in ("alpha", "fleiss", "pairs", "goals")} == {
        key: again[key] for key in ("alpha", "fleiss", "pairs", "goals")
    }
    assert "Raters differ on 2, 1 to settle" in shown
    assert not any(text in out + shown for text in ("q1", "a1"))


def test_without_a_terminal_labelling_is_refused(capsys, tmp_path, monkeypatch):
    """Exit code 2, what is missing, what to do; nothing was written."""
    monkeypatch.chdir(tmp_path)
    write_rows(Path("log.jsonl"), rows_of(("ann", ["g1"])))

    code, _, err = call(capsys, "label", "log.jsonl", "--db", "runs.db")

    assert code == 2
    assert "needs a terminal" in err
    assert [path.name for path in Path().iterdir()] == ["log.jsonl"]
