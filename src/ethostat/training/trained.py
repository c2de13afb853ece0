"""Trained: a classifier that training left in a folder, and all that is known of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ethostat.evaluation import Evaluation
from ethostat.measurement import Identity
from ethostat.training.curves import Epoch
from ethostat.training.parity import Parity
from ethostat.training.recipe import Recipe


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """A classifier that was trained: its folder and all that is known of it.

    `best` is the number of the epoch whose weights it has. `sizes` counts rows, groups and goals of each part,
    `unsettled` the responses that were left out since their raters are evenly split;
    `evaluation` is of the test part, through the exported graph.
    """

    folder: Path
    classifier: Identity
    backbone: str
    recipe: Recipe
    sizes: dict[str, Any]
    unsettled: int
    sources: dict[str, int]
    epochs: tuple[Epoch, ...]
    best: int
    parity: Parity
    temperature: float
    evaluation: Evaluation

    @property
    def stopped_early(self) -> bool:
        """Whether epochs were left when nothing improved any more."""
        return len(self.epochs) < self.recipe.epochs

    def to_dict(self) -> dict[str, Any]:
        """Plain values; the JSON form."""
        return {
            "folder": str(self.folder),
            "classifier": self.classifier.to_dict(),
            "backbone": self.backbone,
            "recipe": self.recipe.to_dict(),
            "rows": self.sizes,
            "unsettled": self.unsettled,
            "sources": self.sources,
            "epochs": [epoch.to_dict() for epoch in self.epochs],
            "best_epoch": self.best,
            "stopped_early": self.stopped_early,
            "parity": self.parity.to_dict(),
            "temperature": self.temperature,
            "evaluation": self.evaluation.to_dict(),
        }
