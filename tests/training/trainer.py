"""Trains until it is done or killed, and says each step. Arguments: rows, backbone, folder."""

from __future__ import annotations

import sys

import making
import torch

from ethostat.training.progress import Step
from ethostat.training.recipe import Head, Recipe
from ethostat.training.run import Fitted, fit, prepare

RECIPE = Recipe(head=Head.TEXT, learning_rate=3e-3, epochs=2)
EVERY = 5


def train(rows: str, backbone: str, out: str) -> Fitted:
    """All of a run but the export."""
    job = prepare(rows, backbone=backbone, out=out, taxonomy=making.KITCHEN, recipe=RECIPE)
    return fit(job, every=EVERY, on_step=say)


def say(step: Step) -> None:
    """One line a step."""
    sys.stdout.write(f"{step.done}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    torch.set_num_threads(1)
    train(*sys.argv[1:])
