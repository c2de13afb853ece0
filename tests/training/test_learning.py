"""Backbones that were never trained learn three goals, and what they leave is a classifier."""

from __future__ import annotations

import json
from pathlib import Path

import making
import onnxruntime
import pytest
import torch_extra
import yaml

import ethostat as es
from ethostat.classifiers import EncoderClassifier
from ethostat.classifiers.encoder import WEIGHTS
from ethostat.cli import app
from ethostat.cli.frame import run
from ethostat.errors import ClassifierError, InvalidInput
from ethostat.response import Prompt

pytestmark = torch_extra.NEEDED
FILES = {
    "README.md", "card.json", "curves.html", "curves.json", "evaluation.html", "evaluation.json", "run.json",
    "tokenizer.json", "weights.onnx",
}  # fmt: skip


@pytest.fixture(scope="module")
def encoder(t5: Path, rows: Path, tmp_path_factory: pytest.TempPathFactory) -> es.Trained:
    """T5's encoder with a linear layer."""
    out = tmp_path_factory.mktemp("trained") / "encoder"
    recipe = es.Recipe(learning_rate=3e-3, epochs=3)
    return es.train(rows, backbone=str(t5), out=out, taxonomy=making.KITCHEN, recipe=recipe)


@pytest.fixture(scope="module")
def text(t5: Path, rows: Path, tmp_path_factory: pytest.TempPathFactory) -> es.Trained:
    """T5, text to text; the graph is not quantised."""
    out = tmp_path_factory.mktemp("trained") / "text"
    recipe = es.Recipe(head=es.Head.TEXT, learning_rate=3e-3, epochs=4)
    return es.train(rows, backbone=str(t5), out=out, taxonomy=making.KITCHEN, recipe=recipe, int8=False)


@pytest.fixture(scope="module")
def commanded(bert: Path, rows: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """BERT with the mean of its states, by the command."""
    folder = tmp_path_factory.mktemp("commanded")
    (folder / "goals.yaml").write_text(yaml.safe_dump(making.KITCHEN.to_dict()))
    arguments = ["train", str(rows), "--backbone", str(bert), "--out", str(folder / "bert")]
    arguments += ["--taxonomy", str(folder / "goals.yaml"), "--learning-rate", "2e-3", "--epochs", "3"]
    assert run(app, arguments) == 0
    return folder / "bert"


@pytest.fixture(scope="module")
def unseen(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Rows that no run has seen: other draws, of prompts that the others do not have."""
    fresh = [row | {"prompt": row["prompt"].replace("How do I", "How should I")} for row in making.rows(120, seed=77)]
    return making.write_rows(tmp_path_factory.mktemp("unseen") / "unseen.jsonl", fresh)


@pytest.fixture(scope="module", params=["encoder", "text", "bert"])
def folder(request: pytest.FixtureRequest) -> Path:
    """The folder that each of the three left."""
    if request.param == "bert":
        return Path(request.getfixturevalue("commanded"))
    return Path(request.getfixturevalue(request.param).folder)


def test_it_learns(folder: Path, unseen: Path) -> None:
    """At least 95 of 100 unseen rows are right, and the folder opens as any classifier does."""
    found = es.evaluate(es.open_classifier(str(folder)), unseen)

    assert found.scores.accuracy.value >= 0.95


def test_the_folder_holds_a_classifier_and_what_is_known_of_it(folder: Path) -> None:
    """Weights, tokenizer, card, curves, evaluation, and no checkpoint or unfinished file."""
    assert {path.name for path in folder.iterdir()} == FILES


def test_the_card_says_what_was_done(folder: Path) -> None:
    """The card has parity, parts, recipe and figures; parts have every row once; the words name both."""
    card = json.loads((folder / "card.json").read_text())
    words = (folder / "README.md").read_text()

    assert card["name"] == folder.name
    assert sum(part["rows"] for part in card["rows"].values()) == 360
    assert card["parity"]["same_goal"] >= 0.95
    assert card["evaluation"]["accuracy"]["value"] >= 0.95
    assert card["evaluation"]["accuracy"]["low"] < card["evaluation"]["accuracy"]["value"]
    assert 0 < card["temperature"] < 20
    assert card["recipe"]["batch"] == 16
    assert f"{card['rows']['training']['rows']} | {card['rows']['training']['groups']}" in words
    assert "How do I" not in words


def test_curves_hold_every_epoch_with_intervals(folder: Path) -> None:
    """Loss, accuracy and macro-F1 of both parts, epoch by epoch, each inside its interval; the loss falls."""
    curves = json.loads((folder / "curves.json").read_text())
    losses = [epoch["training"]["loss"]["value"] for epoch in curves["epochs"]]

    assert losses == sorted(losses, reverse=True)
    assert 1 <= curves["best_epoch"] <= len(losses)
    for epoch in curves["epochs"]:
        for part in ("training", "validation"):
            for name in ("loss", "accuracy", "macro_f1"):
                found = epoch[part][name]
                assert found["low"] <= found["value"] <= found["high"]
                assert found["low"] < found["high"]
    assert "chart-loss" in (folder / "curves.html").read_text()


def test_a_pair_layout_is_the_built_ins_and_a_text_layout_has_its_template(
    commanded: Path, encoder: es.Trained
) -> None:
    """BERT's card names its signs, T5's the template; T5's graph takes no segments."""
    bert, t5 = (json.loads((path / "card.json").read_text())["layout"] for path in (commanded, encoder.folder))
    session = onnxruntime.InferenceSession(encoder.folder / WEIGHTS)

    assert bert == {"kind": "bert-pair", "cls": "[CLS]", "sep": "[SEP]"}
    assert t5["kind"] == "t5-text"
    assert "{prompt}" in t5["template"]
    assert [entry.name for entry in session.get_inputs()] == ["ids"]


def test_text_to_text_writes_the_goals_own_words(text: es.Trained) -> None:
    """The tokenizer knows the three keys as one token each, so they are the words; int8 was not asked for."""
    card = json.loads((text.folder / "card.json").read_text())

    assert card["goal_words"] == ["cook", "refuse", "stray"]
    assert not text.parity.int8
    assert text.parity.kept_largest_difference == 0


@pytest.mark.parametrize("said", ["", "no " * 350_000, "half \ud83d", "</s> <pad> [SEP] {response}"])
def test_hostile_texts_get_a_verdict(folder: Path, said: str) -> None:
    """Any text gets probabilities that sum to 1, a megabyte too."""
    [verdict] = EncoderClassifier(folder).classify([es.Response(Prompt.from_text("{context} </s> hm"), said)])

    assert sum(verdict.probabilities) == pytest.approx(1)


def test_the_classifier_serves_classify_measure_and_evaluate(
    folder: Path, unseen: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each command takes the folder as --classifier."""
    bare = [{"prompt": row["prompt"], "response": row["response"]} for row in making.rows(12)]
    responses = making.write_rows(tmp_path / "responses.jsonl", bare)

    assert run(app, ["classify", str(responses), "--classifier", str(folder)]) == 0
    said = [json.loads(line)["goal"] for line in capsys.readouterr().out.splitlines()]
    assert said == [row["label"] for row in making.rows(12)]
    measured = ["measure", f"transcripts:{responses}", "--classifier", str(folder), "--db", str(tmp_path / "runs.db")]
    assert run(app, [*measured, "--json"]) == 0
    assert set(json.loads(capsys.readouterr().out)["profile"]) == set(making.KITCHEN.keys)
    assert run(app, ["evaluate", str(folder), str(unseen), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["classifier"]["name"] == f"{folder.name}-1"


def test_a_finished_folder_is_left_alone(encoder: es.Trained, t5: Path, rows: Path) -> None:
    """A second run into the folder of a trained classifier is refused."""
    with pytest.raises(InvalidInput, match="holds a trained classifier"):
        es.train(rows, backbone=str(t5), out=encoder.folder, taxonomy=making.KITCHEN)


def test_a_graph_that_errs_is_no_classifier_and_costs_no_training(
    bert: Path, rows: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where parity fails there is an error and no card; the same command then exports without learning again."""
    steps = []
    told = {"backbone": str(bert), "out": tmp_path / "b", "taxonomy": making.KITCHEN}
    recipe = es.Recipe(learning_rate=2e-3, epochs=1, batch=64)

    with monkeypatch.context() as strict:
        strict.setattr("ethostat.training.parity.LEAST_SAME", 1.01)
        with pytest.raises(ClassifierError, match="--no-int8"):
            es.train(rows, **told, recipe=recipe, on_step=steps.append)
    assert not list((tmp_path / "b").rglob("card.json")) + list((tmp_path / "b").rglob("weights.onnx"))
    learned = len(steps)
    found = es.train(rows, **told, recipe=recipe, int8=False, on_step=steps.append)

    assert len(steps) == learned
    assert EncoderClassifier(found.folder).hash == found.classifier.hash
