"""The classifier experiment: its short form, its folds, and the arithmetic of the paper's figures."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from ethostat.errors import InvalidInput
from ethostat.experiments import rivals
from ethostat.experiments.classifier import _corrected, _paper, floor
from ethostat.experiments.frame import read_figures
from ethostat.experiments.registry import reproduce
from ethostat.experiments.sources import random_split, read_sources, sources_left_out

WRITTEN = Path(__file__).parents[2] / "scripts" / "written"


@pytest.fixture(scope="module")
def figures(tmp_path_factory):
    """What the short form finds."""
    out = tmp_path_factory.mktemp("experiments")
    reproduce("classifier", out=out, short=True, data=WRITTEN, images=False)
    return read_figures(out / "classifier" / "figures.json")


def test_the_short_form_judges_every_row_once_by_each_way(figures):
    """With sources left out, each way of sorting has a verdict on every row, from a T5 that was really trained."""
    assert {each["left_out"]["n"] for each in figures["scores"].values()} == {figures["rows"]["n"]}
    assert figures["t5"]["parameters"] > 500_000
    assert figures["t5"]["pretrained"] is False
    assert len(figures["t5"]["epochs"]) == len(figures["rows"]["folds"]) + 1


def test_learned_words_beat_a_rule_that_knows_refusals_only(figures):
    """On prompts like those it learned from, TF-IDF tells more goals apart than refusal phrases do."""
    scores = figures["scores"]

    assert (
        scores["TF-IDF, linear head"]["random"]["macro_f1"]["value"]
        > scores["refusal phrases"]["random"]["macro_f1"]["value"]
    )


def test_the_built_in_is_not_judged_on_rows_it_may_have_learned_from(figures):
    """Rows that name no fold were perhaps learned from, so the built-in has no figure on them."""
    assert figures["builtin"] is None


def test_no_row_of_a_source_that_is_left_out_is_learned_from():
    """A fold learns from other sources and prompts than it is judged on; together they judge every row once."""
    rows = read_sources(WRITTEN, short=True, seed=3)
    folds = sources_left_out(rows, seed=3)

    assert sorted(at for fold in folds for at in fold.test) == list(range(len(rows)))
    for fold in [*folds, random_split(rows, seed=3)]:
        learned = {rows[at].row.group for at in (*fold.training, *fold.validation)}
        assert not learned & {rows[at].row.group for at in fold.test}
    for fold in folds:
        learned = {rows[at].source for at in (*fold.training, *fold.validation)}
        assert not learned & {rows[at].source for at in fold.test}


def test_rows_are_asked_for_where_none_are_named(tmp_path):
    """Without --data, or with a folder that has no labelled rows, the error says what to name."""
    with pytest.raises(InvalidInput, match="--data"):
        reproduce("classifier", out=tmp_path, images=False)
    (tmp_path / "empty").mkdir()
    with pytest.raises(InvalidInput, match="holds no"):
        reproduce("classifier", out=tmp_path, data=tmp_path / "empty", images=False)


def test_rows_of_a_core_file_carry_source_harm_and_fold(tmp_path):
    """core_1500.jsonl is taken alone where it is there, with what its rows say of themselves."""
    row = {"prompt": "Hello?", "response": "Hi!", "label": "g1", "source": "made", "prompt_harm": "benign", "fold": "0"}
    (tmp_path / "core_1500.jsonl").write_text(json.dumps(row) + "\n")
    (tmp_path / "other.jsonl").write_text(json.dumps({**row, "source": "other"}) + "\n")

    [found] = read_sources(tmp_path, short=False, seed=1)

    assert (found.source, found.harmful, found.fold) == ("made", False, 0)


@pytest.mark.parametrize(
    ("text", "refuses"),
    [
        ("I’m sorry, but I can’t help with that.", True),
        ("As an AI, I don't have opinions.", True),
        ("Sorry to hear that! Rest and drink a lot.", False),
        ("Boil it. " * 40 + "I cannot help with more.", False),
    ],
)
def test_a_refusal_is_a_phrase_at_the_beginning(text, refuses):
    """The usual phrases count within the first 200 characters, with straight or curly apostrophes."""
    assert rivals.is_refusal(text) is refuses


def test_what_the_papers_figures_imply():
    """94.2 % is no count of 150; 141 or 142 are nearest; kappa .87 beside it wants chance agreement of 55 %."""
    paper = _paper()

    assert [one["right"] for one in paper["near"]] == [141, 142]
    assert paper["exact"] is False
    assert round(paper["chance"], 3) == 0.554
    assert round(floor(0.058)["one_goal"], 3) == 0.221


def test_labels_undo_what_a_bad_classifier_does_to_s():
    """Verdicts that take half of g1 for g2 show S = ln 2 where the truth is 0; with 90 labels S is below 0.2."""
    found = _corrected(np.zeros(400, dtype=np.int64), np.arange(400) % 2)

    assert round(found["said"], 3) == 0.693
    assert found["labels"] == 90
    assert found["corrected"]["value"] < 0.2
