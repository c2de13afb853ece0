"""Fit: the epochs of a run, with a checkpoint every so many steps from which it goes on exactly.

A checkpoint holds the network, the optimiser, where the schedule and the epoch are, torch's random state, and what
the epoch has shown so far. Batches depend on seed and epoch alone. So on one device, with the same number of threads,
a run that was killed ends with the weights of one that was not.
"""

from __future__ import annotations

import math
import pickle
import time
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ethostat.errors import ClassifierError
from ethostat.training.batches import TokenRows, epoch_batches, in_order
from ethostat.training.curves import Epoch, Figures, figures_of
from ethostat.training.progress import Step
from ethostat.training.recipe import Recipe
from ethostat.whole import replacing

CHECKPOINT, BEST = "checkpoint.pt", "best.pt"
_LARGEST_GRADIENT = 1.0
_UNSEEN = -1

Whole = NDArray[np.int64]
Padded = tuple[Tensor, Tensor, Tensor]


class Fit:
    """A run under way. `run` takes it to its end, from its last checkpoint where there is one.

    `every` is the number of steps between checkpoints; an epoch's end always leaves one.
    """

    def __init__(
        self,
        network: Any,
        rows: tuple[TokenRows, TokenRows],
        recipe: Recipe,
        folder: Path,
        *,
        goals: int,
        pad: int,
        every: int,
        on_step: Callable[[Step], None],
    ) -> None:
        self._device = "cuda" if torch.cuda.is_available() else "cpu"
        self.network = network.to(self._device)
        self._training, self._validation = rows
        self._recipe, self._folder, self._goals, self._pad = recipe, folder, goals, pad
        self._every, self._on_step = every, on_step
        self._optimiser = _optimiser(network, recipe)
        weights = self._training.goal_weights(goals) if recipe.is_balanced else np.ones(goals)
        self._weights = torch.tensor(weights, dtype=torch.float32, device=self._device)
        self._steps_an_epoch = math.ceil(len(self._training) / recipe.batch)
        self.epochs: tuple[Epoch, ...] = ()
        self._at = 0
        self._losses, self._said = self._nothing_seen()
        self._clock, self._done_before = 0.0, 0

    @property
    def best(self) -> int:
        """The number of the best epoch, the first of equals; 0 before there is one."""
        scores = [epoch.validation.watched(self._recipe.watched) for epoch in self.epochs]
        return scores.index(max(scores)) + 1 if scores else 0

    @property
    def is_over(self) -> bool:
        """Whether all epochs are done, or none of the last few was better."""
        return len(self.epochs) == self._recipe.epochs or len(self.epochs) - self.best >= self._recipe.patience

    def run(self) -> None:
        """Train to the end; the network then has the weights of the best epoch."""
        self._restore()
        self._clock, self._done_before = time.monotonic(), self._done
        while not self.is_over:
            self._run_epoch()
        self.network.load_state_dict(_load(self._folder / BEST, self._device)["network"])
        self.network.eval()

    def logits(self, rows: TokenRows) -> NDArray[np.float32]:
        """What the network says of rows, (N, goals)."""
        return self._look_at(rows)[1]

    @property
    def _done(self) -> int:
        return len(self.epochs) * self._steps_an_epoch + self._at

    @property
    def _steps(self) -> int:
        return self._recipe.epochs * self._steps_an_epoch

    def _run_epoch(self) -> None:
        batches = epoch_batches(
            self._training.lengths(), batch=self._recipe.batch, seed=self._recipe.seed, epoch=len(self.epochs)
        )
        for places in batches[self._at :]:
            self._learn(places)
            self._at += 1
            self._on_step(self._progress())
            if self._done % self._every == 0 and self._at < len(batches):
                self._keep()
        self._close_epoch()

    def _learn(self, places: Whole) -> None:
        """One step on the rows at these places."""
        self.network.train()
        for group in self._optimiser.param_groups:
            group["lr"] = self._recipe.rate(self._done, self._steps)
        truth = torch.tensor(self._training.truth[places], device=self._device)
        with torch.autocast(self._device, torch.bfloat16, enabled=self._recipe.bfloat16):
            losses, logits = self.network.losses(*self._padded(self._training, places), truth)
        loss = (losses * self._weights[truth]).mean()
        if not torch.isfinite(loss):
            raise ClassifierError(
                f"the loss is {loss.item()} at step {self._done + 1}; start anew with a lower learning rate"
            )
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), _LARGEST_GRADIENT)
        self._optimiser.step()
        self._optimiser.zero_grad(set_to_none=True)
        self._losses[places] = losses.detach().float().cpu().numpy()
        self._said[places] = logits.detach().argmax(dim=1).cpu().numpy()

    def _close_epoch(self) -> None:
        """Look at the validation rows; keep the weights where they are the best so far, and a checkpoint."""
        losses, logits = self._look_at(self._validation)
        self.epochs += (
            Epoch(
                number=len(self.epochs) + 1,
                steps=self._at,
                training=self._figures(self._training, self._losses, self._said),
                validation=self._figures(self._validation, losses, logits.argmax(axis=1)),
            ),
        )
        self._at = 0
        self._losses, self._said = self._nothing_seen()
        if self.best == len(self.epochs):
            _save(self._folder / BEST, {"network": self.network.state_dict()})
        self._keep()

    def _look_at(self, rows: TokenRows) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
        """Losses (N,) and logits (N, goals), without learning; no random number is used."""
        self.network.eval()
        losses = np.zeros(len(rows))
        logits = np.zeros((len(rows), self._goals), dtype=np.float32)
        with torch.inference_mode():
            for places in in_order(rows.lengths(), batch=self._recipe.batch):
                truth = torch.tensor(rows.truth[places], device=self._device)
                found, said = self.network.losses(*self._padded(rows, places), truth)
                losses[places], logits[places] = found.cpu().numpy(), said.cpu().numpy()
        return losses, logits

    def _figures(self, rows: TokenRows, losses: NDArray[np.float64], said: Whole) -> Figures:
        return figures_of(losses, said, rows.truth, rows.group, goals=self._goals)

    def _padded(self, rows: TokenRows, places: Whole) -> Padded:
        chosen = [rows.tokens[at] for at in places]
        longest = max(len(row.ids) for row in chosen)
        ids = [row.ids + [self._pad] * (longest - len(row.ids)) for row in chosen]
        segments = [row.segments + [0] * (longest - len(row.ids)) for row in chosen]
        real = [[1] * len(row.ids) + [0] * (longest - len(row.ids)) for row in chosen]
        first, second, third = (torch.tensor(each, device=self._device) for each in (ids, segments, real))
        return first, second, third

    def _nothing_seen(self) -> tuple[NDArray[np.float64], Whole]:
        return np.zeros(len(self._training)), np.full(len(self._training), _UNSEEN, dtype=np.int64)

    def _progress(self) -> Step:
        seen = self._said != _UNSEEN
        rate = (time.monotonic() - self._clock) / max(self._done - self._done_before, 1)
        return Step(
            done=self._done,
            steps=self._steps,
            epoch=len(self.epochs) + 1,
            epochs=self._recipe.epochs,
            loss=float(self._losses[seen].mean()),
            accuracy=float((self._said == self._training.truth)[seen].mean()),
            seconds_left=rate * (self._steps - self._done),
        )

    def _keep(self) -> None:
        state = {
            "network": self.network.state_dict(),
            "optimiser": self._optimiser.state_dict(),
            "epochs": [epoch.to_dict() for epoch in self.epochs],
            "at": self._at,
            "losses": torch.from_numpy(self._losses),
            "said": torch.from_numpy(self._said),
            "random": torch.get_rng_state(),
            "random_cuda": torch.cuda.get_rng_state_all() if self._device == "cuda" else [],
        }
        _save(self._folder / CHECKPOINT, state)

    def _restore(self) -> None:
        """Take up the last checkpoint; without one, start from the recipe's seed."""
        path = self._folder / CHECKPOINT
        if not path.exists():
            torch.manual_seed(self._recipe.seed)
            return
        state = _load(path, "cpu")
        self.network.load_state_dict(state["network"])
        self._optimiser.load_state_dict(state["optimiser"])
        self.epochs = tuple(Epoch.from_dict(each) for each in state["epochs"])
        self._at = state["at"]
        self._losses, self._said = state["losses"].numpy(), state["said"].numpy()
        torch.set_rng_state(state["random"])
        if state["random_cuda"]:
            torch.cuda.set_rng_state_all(state["random_cuda"])


def _optimiser(network: Any, recipe: Recipe) -> Any:
    """AdamW; biases and the scales of norms do not decay."""
    every: Sequence[Any] = [each for each in network.parameters() if each.requires_grad]
    groups = [
        {"params": [each for each in every if each.ndim > 1], "weight_decay": recipe.weight_decay},
        {"params": [each for each in every if each.ndim <= 1], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=recipe.learning_rate)


def _save(path: Path, state: dict[str, Any]) -> None:
    """Whole or not at all, whenever the process dies."""
    with replacing(path) as unfinished:
        torch.save(state, unfinished)


def _load(path: Path, device: str) -> dict[str, Any]:
    try:
        found: dict[str, Any] = torch.load(path, map_location=device, weights_only=True)
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError, zipfile.BadZipFile) as error:
        raise ClassifierError(f"{path} cannot be read: {error}; delete the folder and train anew") from error
    return found
