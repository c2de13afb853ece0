"""What fits no goal: from a row's typicality to the list that a person reviews."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import ethostat as es
from ethostat.cli import app
from ethostat.cli.frame import run
from ethostat.errors import InvalidInput, TooLittleEvidence
from ethostat.maths.conformal import Cells
from ethostat.outside import Outside, find_outside
from ethostat.response import Prompt, Response, Verdict
from goals import PROMPTS, WordClassifier, speaking
from graphs import reference_of, with_features, with_reference

SHARES = (0.5, 0.2, 0.1, 0.1, 0.1)


class RatingClassifier(WordClassifier):
    """Reads the typicality off the text too: small where its number ends in 7, else spread evenly over (0, 1]."""

    hash = "rating0123456789"
    cells = Cells((0,) * 5, (99,))

    def classify(self, responses: Sequence[Response]) -> list[Verdict]:
        """The goal that the text begins with, and the p-value that its number stands for."""
        numbers = [int(one.text.split()[-1]) for one in responses]
        return [
            replace(verdict, typicality=0.01 if number % 10 == 7 else (1 + number % 100) / 100)
            for verdict, number in zip(super().classify(responses), numbers, strict=True)
        ]


@pytest.fixture
def store(tmp_path: Path):
    """A store in a new file."""
    with es.Store(tmp_path / "runs.db") as opened:
        yield opened


def verdicts_of(values: Sequence[float | None], *, goal: str = "g5") -> list[Verdict]:
    """A verdict a value, four to a prompt."""
    return [
        replace(
            Verdict.from_goal(es.FIVE_GOALS, goal, prompt_id=f"p{at // 4}", response_id=f"p{at // 4}/{at % 4}"),
            typicality=value,
        )
        for at, value in enumerate(values)
    ]


def found_in(verdicts: Sequence[Verdict], **options) -> Outside | None:
    """What is outside among these."""
    prompts = [Prompt(id, Prompt.from_text("?").messages) for id in dict.fromkeys(v.prompt_id for v in verdicts)]
    return find_outside(verdicts, prompts=prompts, goals=es.FIVE_GOALS.keys, **options)


def test_odd_verdicts_are_flagged_counted_and_listed_first() -> None:
    """Five of 40 have p = 0.001: those five are flagged in their goal, and head a list of twenty."""
    typical = list(np.linspace(0.03, 1, 35))
    found = found_in(verdicts_of(typical + [0.001] * 5))

    assert found.flagged == (0, 0, 0, 0, 5)
    assert [row.flagged for row in found.review] == [True] * 5 + [False] * 15
    assert [row.typicality for row in found.review] == sorted([0.001] * 5 + typical)[:20]
    assert found.review[0].response_id == "p8/3"
    assert found.share.low <= 5 / 40 <= found.share.high


def test_verdicts_without_typicality_are_left_out() -> None:
    """Only rated responses count; where none is rated there is nothing to say."""
    assert found_in(verdicts_of([0.5, None, 0.7, None])).share.n == 2
    assert found_in(verdicts_of([None, None])) is None


def test_a_long_list_ends_at_two_hundred() -> None:
    """All 400 are flagged; 200 are listed."""
    found = found_in(verdicts_of([0.0001] * 400))

    assert found.total == 400
    assert len(found.review) == 200


def test_the_list_is_as_long_as_the_share_says() -> None:
    """60 of 120 have p = 0.08, which no rule can flag; the excess over chance, (0.5 - 0.1) / 0.9 of 120, is 54 rows."""
    found = found_in(verdicts_of([0.08] * 60 + [0.5] * 60))

    assert found.share.value * 120 == pytest.approx(160 / 3)
    assert (found.total, len(found.review)) == (0, 54)


def test_calibration_rows_count_in_the_interval() -> None:
    """With 20 calibration rows the interval is wider than with none known."""
    verdicts = verdicts_of(list(np.linspace(0.01, 1, 100)))

    exact, known = found_in(verdicts).share, found_in(verdicts, cells=Cells((0,) * 5, (20,))).share
    assert known.high > exact.high
    assert "calibration taken as exact" in exact.method


@pytest.mark.parametrize("value", [0, -0.1, 1.01, float("nan")])
def test_a_p_value_lies_above_0_and_at_most_at_1(value: float) -> None:
    """Anything else is refused with the rule."""
    with pytest.raises(InvalidInput, match="typicality must be above 0 and at most 1"):
        verdicts_of([value])


def test_a_measurement_carries_what_fits_no_goal(store: es.Store) -> None:
    """Measured, stored and read back, `outside` is the same, JSON included; the rows to review have their texts."""
    measured = es.measure(speaking(SHARES), PROMPTS, samples=10, seed=7, classifier=RatingClassifier(), store=store)
    stored, _ = es.stored_measurement(store, "latest")
    rows = es.review_rows(store, measured)

    assert measured.outside is not None
    assert "and calibration" in measured.outside.share.method
    assert stored.outside == measured.outside
    assert es.Measurement.from_dict(json.loads(json.dumps(measured.to_dict()))).outside == measured.outside
    assert [row["id"] for row in rows] == [row.response_id for row in measured.outside.review]
    assert [row["typicality"] for row in rows] == sorted(row["typicality"] for row in rows)
    assert all(row["response"].startswith(row["goal"]) for row in rows)


def test_a_classifier_that_rates_nothing_leaves_it_out(store: es.Store) -> None:
    """Without typicality `outside` is None, and asking for the list says what is missing."""
    measured = es.measure(speaking(SHARES), PROMPTS, samples=4, seed=7, classifier=WordClassifier(), store=store)

    assert measured.outside is None
    assert measured.to_dict()["outside"] is None
    with pytest.raises(TooLittleEvidence, match="first-word does not say how typical a response is"):
        es.review_rows(store, measured)


def test_exported_rows_keep_their_typicality(store: es.Store, tmp_path: Path) -> None:
    """A run that is exported and measured again flags the same number of responses."""
    measured = es.measure(speaking(SHARES), PROMPTS, samples=10, seed=7, classifier=RatingClassifier(), store=store)
    es.export(store, measured.provenance.run, tmp_path / "rows.jsonl")

    again = es.measure_transcripts(tmp_path / "rows.jsonl")
    assert again.outside.flagged == measured.outside.flagged
    assert "calibration taken as exact" in again.outside.share.method


def rows_file(path: Path, *rows: dict) -> Path:
    """A JSONL file of these rows."""
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.mark.parametrize(("value", "reason"), [("odd", "must be a finite number"), (0, "above 0"), (2, "at most 1")])
def test_a_row_with_an_impossible_typicality_is_named(tmp_path: Path, value: object, reason: str) -> None:
    """It is set aside with its line; beside it the good row counts."""
    path = rows_file(
        tmp_path / "rows.jsonl", {"prompt": "q", "goal": "g1", "typicality": value}, {"prompt": "q", "goal": "g1"}
    )

    note = es.measure_transcripts(path).provenance.notes[0]
    assert "rows.jsonl:1" in note
    assert reason in note


def test_classified_rows_carry_typicality_of_this_classifier_only(tmp_path: Path) -> None:
    """A classifier with a reference adds it; one without, classifying again, drops what another had said."""
    plain = es.open_classifier(str(with_features(tmp_path / "plain")))
    known = plain.features(Prompt.from_text("How do I bake bread?"), "Mix flour and water.")
    rating = es.open_classifier(str(with_reference(tmp_path / "rating", reference_of(known, [0.01, 0.02, 0.03]))))
    asked = {"prompt": "How do I bake bread?", "response": "Mix flour and water.", "typicality": 0.123}
    path = rows_file(tmp_path / "rows.jsonl", asked)

    (rated,) = es.classify_rows(path, classifier=rating)
    (bare,) = es.classify_rows(path, classifier=plain)
    (kept,) = es.classify_rows(rows_file(tmp_path / "kept.jsonl", rated), classifier=plain)
    assert rated["typicality"] == 1
    assert "typicality" not in bare
    assert kept == rated


@pytest.fixture
def run_folder(tmp_path: Path, monkeypatch) -> Path:
    """A working directory with a database of one rated run, whose odd responses are hostile to a terminal."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("COLUMNS", "120")
    typical = [
        {"prompt": f"q{at % 5}", "response": "Yes.", "goal": "g1", "typicality": (at + 1) / 30} for at in range(30)
    ]
    odd = {"id": "odd", "prompt": "q0", "response": "\x1b[2Jquiet\nplan", "goal": "g5", "typicality": 0.001}
    with es.Store("runs.db") as store:
        es.measure_transcripts(rows_file(tmp_path / "rows.jsonl", *typical, odd), store=store)
    return tmp_path


def test_review_lists_the_least_typical_first(run_folder: Path, capsys) -> None:
    """In the terminal with texts stripped; as JSON whole; as JSONL rows that `measure` reads again."""
    assert run(app, ["review", "latest", "--db", "runs.db"]) == 0
    shown = capsys.readouterr().out
    assert shown.index("odd  g5  typicality 0.0010  flagged") < shown.index("typicality 0.0333")
    assert "[2Jquiet plan" in shown
    assert "\x1b[2J" not in shown

    assert run(app, ["review", "latest", "--db", "runs.db", "--json", "--out", "odd.jsonl"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert (rows[0]["id"], rows[0]["response"], rows[0]["flagged"]) == ("odd", "\x1b[2Jquiet\nplan", True)
    assert es.measure_transcripts("odd.jsonl").profile.n == len(rows) == 20


def test_measure_says_what_fits_no_goal(run_folder: Path, capsys) -> None:
    """The summary has the share, the flagged by goal, and the command that lists them."""
    assert run(app, ["report", "latest", "--db", "runs.db"]) == 0

    shown = " ".join(capsys.readouterr().out.split())
    assert "Unusual beyond chance, perhaps outside every goal: 0." in shown
    assert "1 flagged at a false discovery rate of 10% (g5 1); `ethostat review " in shown


def test_review_of_an_unrated_run_is_too_little_evidence(run_folder: Path, capsys) -> None:
    """Exit code 3 and what to do; a list of another format is wrong usage."""
    with es.Store("runs.db") as store:
        es.measure_transcripts(rows_file(run_folder / "bare.jsonl", {"prompt": "q", "goal": "g1"}), store=store)

    assert run(app, ["review", "latest", "--db", "runs.db"]) == 3
    assert "whose card names a reference" in capsys.readouterr().err
    assert run(app, ["review", "latest", "--db", "runs.db", "--out", "odd.csv"]) == 2
