"""What cannot be trained is refused before anything is spent, in a sentence that says what to do."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import making
import pytest
import torch_extra

import ethostat as es
from ethostat.cli import app
from ethostat.cli.frame import run
from ethostat.errors import ClassifierError, EthostatError, InvalidInput, MissingExtra, TooLittleEvidence
from ethostat.training.run import prepare


def refused(source: Path, tmp_path: Path, kind: type[EthostatError], **more: object) -> str:
    """The message of a run that must not start, and leaves no folder."""
    told = {"backbone": "nowhere", "out": tmp_path / "out", "taxonomy": making.KITCHEN} | more
    with pytest.raises(kind) as caught:
        es.train(source, **told)
    assert not (tmp_path / "out" / "run.json").exists()
    return str(caught.value)


def test_an_unknown_label_is_named_with_its_line(tmp_path: Path) -> None:
    """Nothing is learned from a file of which one row cannot be used."""
    rows = making.rows(100)
    rows[6]["label"] = "bake"
    message = refused(making.write_rows(tmp_path / "rows.jsonl", rows), tmp_path, InvalidInput)

    assert "rows.jsonl:7" in message
    assert "bake" in message
    assert "correct or remove it" in message


@torch_extra.NEEDED
def test_raters_that_are_evenly_split_are_left_out_and_counted(rows: Path, tmp_path: Path, t5: Path) -> None:
    """A response with two labels of three raters has the majority's; one with one each is left out."""
    given = making.rows(360)
    raters = [
        given[0] | {"rater": name, "label": label}
        for name, label in zip("abc", ("stray", "stray", "cook"), strict=True)
    ]
    raters += [given[1] | {"rater": name, "label": label} for name, label in zip("ab", ("cook", "refuse"), strict=True)]
    source = making.write_rows(tmp_path / "rows.jsonl", [*raters, *given[2:]])
    job = prepare(source, backbone=str(t5), out=tmp_path / "out", taxonomy=making.KITCHEN, recipe=es.Recipe())
    labels = {row.response.id: row.label for part in job.split.parts().values() for row in part}

    assert job.unsettled == 1
    assert labels["r0"] == "stray"
    assert len(labels) == 359


@torch_extra.NEEDED
def test_two_processes_cannot_train_in_one_folder(rows: Path, tmp_path: Path, t5: Path) -> None:
    """While one holds the folder the same command is refused; afterwards it goes on."""
    job = prepare(rows, backbone=str(t5), out=tmp_path / "out", taxonomy=making.KITCHEN, recipe=es.Recipe())

    with job.folder.held(), pytest.raises(InvalidInput, match="another process"):
        es.train(rows, backbone=str(t5), out=tmp_path / "out", taxonomy=making.KITCHEN)
    with job.folder.held():
        assert job.folder.work.is_dir()


def test_a_goal_needs_rows_in_three_groups(tmp_path: Path) -> None:
    """Two rows of a goal in two prompts are too few; the goal and its count are named."""
    rows = [row for row in making.rows(120) if row["label"] != "stray"]
    rows[0]["label"] = rows[50]["label"] = "stray"
    message = refused(making.write_rows(tmp_path / "rows.jsonl", rows), tmp_path, TooLittleEvidence)

    assert "goal stray has 2 rows in 2 groups" in message


def test_one_group_cannot_be_split(tmp_path: Path) -> None:
    """Rows of one split_group say nothing of rows of another."""
    rows = [row | {"split_group": "all"} for row in making.rows(120)]
    message = refused(making.write_rows(tmp_path / "rows.jsonl", rows), tmp_path, TooLittleEvidence)

    assert "the rows form 1 group " in message
    assert "at least 20" in message


def test_a_missing_extra_is_named(rows: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without torch the message says what to install."""
    monkeypatch.setitem(sys.modules, "onnx", None)

    assert "pip install 'ethostat[train]'" in refused(rows, tmp_path, MissingExtra)


def test_other_peoples_folders_and_files_are_left_alone(rows: Path, tmp_path: Path) -> None:
    """A folder with other files, and a file, are refused."""
    taken = tmp_path / "taken"
    taken.mkdir()
    (taken / "thesis.txt").write_text("chapter one")

    assert "holds files of something else" in refused(rows, tmp_path, InvalidInput, out=taken)
    assert "is a file" in refused(rows, tmp_path, InvalidInput, out=taken / "thesis.txt")


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"batch": 0}, "batch must be at least 1, got 0"),
        ({"epochs": 0}, "epochs must be at least 1"),
        ({"tokens": 3}, "tokens must be at least 16"),
        ({"learning_rate": 0.0}, "learning_rate must lie above 0"),
        ({"learning_rate": float("nan")}, "learning_rate must lie above 0"),
        ({"warm_up": 1.0}, "warm_up is a share"),
        ({"weight_decay": -1.0}, "weight_decay must be at least 0"),
    ],
)
def test_numbers_out_of_range_are_refused(setting: dict[str, float], message: str) -> None:
    """Each number of a recipe names its rule."""
    with pytest.raises(InvalidInput, match=message):
        es.Recipe(**setting)


@torch_extra.NEEDED
def test_no_such_backbone(rows: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A name that is no folder, and that the hub cannot be asked for, exits with 2 and says to name a folder."""
    (tmp_path / "goals.json").write_text(json.dumps(making.KITCHEN.to_dict()))
    told = [str(rows), "--out", str(tmp_path / "out"), "--taxonomy", str(tmp_path / "goals.json"), "--json"]

    assert run(app, ["train", *told, "--backbone", "nobody/nothing"]) == 2
    error = json.loads(capsys.readouterr().out)["error"]
    assert "'nobody/nothing' is no folder with a model" in error["message"]
    assert "name a local folder" in error["message"]


@torch_extra.NEEDED
def test_a_folder_without_a_model(rows: Path, tmp_path: Path) -> None:
    """An empty folder, and one whose config names no kind that is known, cannot be loaded."""
    (tmp_path / "empty").mkdir()
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "config.json").write_text('{"model_type": "teapot"}')

    for name in ("empty", "broken"):
        message = refused(rows, tmp_path, ClassifierError, backbone=str(tmp_path / name))

        assert "cannot be loaded" in message
        assert "name a BERT-like encoder or a T5" in message


@torch_extra.NEEDED
def test_a_backbone_too_large_for_a_graph_is_refused_before_training(
    t5: Path, rows: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What could not be exported is not trained."""
    monkeypatch.setattr("ethostat.training.run.LARGEST_GRAPH", 2**18)

    assert "name a smaller one" in refused(rows, tmp_path, InvalidInput, backbone=str(t5))


@torch_extra.NEEDED
def test_a_head_that_does_not_fit_is_refused(bert: Path, t5: Path, rows: Path, tmp_path: Path) -> None:
    """BERT cannot write, and T5 has no first sign to pool."""
    text, first = es.Recipe(head=es.Head.TEXT), es.Recipe(pooling=es.Pooling.CLS)

    assert "--head text needs a T5" in refused(rows, tmp_path, InvalidInput, backbone=str(bert), recipe=text)
    assert "--pooling cls needs" in refused(rows, tmp_path, InvalidInput, backbone=str(t5), recipe=first)
