"""kill -9, and stopping early: what a run ends with does not depend on how it got there."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import making
import pytest
import torch_extra

from ethostat.errors import InvalidInput
from ethostat.training.recipe import Recipe, Watched
from ethostat.training.run import fit, prepare

pytestmark = torch_extra.NEEDED
TRAINER = Path(__file__).with_name("trainer.py")


def killed_after(step: int, arguments: list[str]) -> None:
    """A process that trains until it has said this step, and then no more."""
    with subprocess.Popen([sys.executable, TRAINER, *arguments], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if int(line) >= step:
                process.send_signal(signal.SIGKILL)
                break
        process.wait()
        assert process.returncode == -signal.SIGKILL


def test_a_killed_run_ends_with_the_weights_of_an_unbroken_one(
    t5: Path, rows: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Killed within the second epoch, behind a checkpoint, and resumed: every weight and every curve is the same."""
    import torch
    import trainer

    broken, whole = ([str(rows), str(t5), str(tmp_path / name)] for name in ("broken", "whole"))
    killed_after(27, broken)
    again = trainer.train(*broken)
    steps = capsys.readouterr().out.split()
    once = trainer.train(*whole)
    left, right = (fitted.run.network.state_dict() for fitted in (again, once))

    assert int(steps[0]) == 26  # what was learned up to the checkpoint at 25 is not learned again
    assert left.keys() == right.keys()
    assert all(torch.equal(left[name], right[name]) for name in left)
    assert again.epochs == once.epochs


def test_a_run_stops_where_nothing_gets_better(t5: Path, tmp_path: Path) -> None:
    """On labels drawn by lot validation soon gets worse: the run stops one epoch later, with the best one's weights."""
    rng = random.Random(3)  # noqa: S311
    drawn = [row | {"label": rng.choice(making.KITCHEN.keys)} for row in making.rows(240)]
    source = making.write_rows(tmp_path / "rows.jsonl", drawn)
    recipe = Recipe(learning_rate=5e-3, epochs=30, watched=Watched.LOSS, patience=1)
    job = prepare(source, backbone=str(t5), out=tmp_path / "out", taxonomy=making.KITCHEN, recipe=recipe)
    fitted = fit(job)
    kept = fitted.epochs[fitted.best - 1].validation
    losses = [epoch.validation.loss.value for epoch in fitted.epochs]
    accuracy = (fitted.run.logits(fitted.validation).argmax(axis=1) == fitted.validation.truth).mean()

    assert len(losses) < 30
    assert fitted.best == len(losses) - 1
    assert min(losses) == losses[fitted.best - 1]
    assert accuracy == pytest.approx(kept.accuracy.value)


def test_an_interrupted_run_is_continued_by_the_same_recipe_only(t5: Path, rows: Path, tmp_path: Path) -> None:
    """Another rate, or other rows, in the folder of an interrupted run are refused, and named."""
    told = {"backbone": str(t5), "out": tmp_path / "out", "taxonomy": making.KITCHEN}
    other = making.write_rows(tmp_path / "other.jsonl", making.rows(200))
    prepare(rows, recipe=Recipe(), **told)

    prepare(rows, recipe=Recipe(), **told)
    with pytest.raises(InvalidInput, match=r"differs in recipe\.learning_rate; repeat its command"):
        prepare(rows, recipe=replace(Recipe(), learning_rate=1e-4), **told)
    with pytest.raises(InvalidInput, match="differs in rows"):
        prepare(other, recipe=Recipe(), **told)
