"""Adapting: a language model tuned on exchanges with low-rank adapters, and what it was on the way.

The loss is the mean negative log probability of the response's tokens and its end; logits are formed at those places
alone. At every checkpoint the adapter, the optimiser and the random numbers are kept, so that a course that was
interrupted goes on where it was. Source: Hu et al. 2022 (LoRA).
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ethostat.errors import MissingExtra
from ethostat.experiments.exchanges import Exchange
from ethostat.experiments.language import Language
from ethostat.response import Message
from ethostat.whole import replacing


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How a course tunes: `rows` exchanges a step, responses cut to `longest` tokens, adapters of `rank`."""

    rows: int = 4
    longest: int = 40
    rank: int = 16
    learning_rate: float = 1e-3
    seed: int = 7


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """A course of tuning: what it starts from, what it is shown, and the steps at which it is looked at.

    `steps` ascend from 1 or more; `folder` holds its checkpoints. `start` is opened only where something is to be run;
    `progress` is told of each checkpoint.
    """

    name: str
    start: Callable[[], Language]
    exchanges: Sequence[Exchange]
    steps: tuple[int, ...]
    recipe: Recipe
    folder: Path
    progress: Callable[[str], None] = lambda _line: None

    def at(self, step: int) -> Language:
        """The model after so many of its `steps`; the course is run where it was not."""
        self.run()
        start = self.start()
        tuned = _adapted(start, self.recipe)
        tuned.load_state_dict(_read(self._path(step))["adapter"], strict=False)
        network = tuned.merge_and_unload().eval()
        label = f"{start.label}, {self.name} {step}"
        return replace(start, network=network, label=label, state=f"{start.state}/{self.name}-{step}")

    def losses(self) -> list[float]:
        """The loss of every step so far, nats a token."""
        done = [step for step in self.steps if self._path(step).exists()]
        return list(_read(self._path(done[-1]))["losses"]) if done else []

    def seconds(self) -> float:
        """CPU seconds that its steps took, whenever they were run."""
        done = [step for step in self.steps if self._path(step).exists()]
        return float(_read(self._path(done[-1]))["cpu_seconds"]) if done else 0.0

    def run(self) -> None:
        """Tune until the last step; goes on from the last checkpoint that there is."""
        done = [step for step in self.steps if self._path(step).exists()]
        if len(done) == len(self.steps):
            return
        _tune(self, self.start(), done[-1] if done else 0)

    def _path(self, step: int) -> Path:
        return self.folder / f"{self.name}-{step:04}.pt"


def _tune(course: Course, start: Language, done: int) -> None:
    import torch

    recipe = course.recipe
    tuned = _adapted(start, recipe).train()
    weights = [one for one in tuned.parameters() if one.requires_grad]
    optimiser = torch.optim.AdamW(weights, lr=recipe.learning_rate, weight_decay=0.0)
    generator = torch.Generator().manual_seed(recipe.seed)
    losses: list[float] = []
    spent, began = 0.0, time.process_time()
    if done:
        kept = _read(course._path(done))
        tuned.load_state_dict(kept["adapter"], strict=False)
        optimiser.load_state_dict(kept["optimiser"])
        generator.set_state(kept["generator"])
        losses, spent = list(kept["losses"]), float(kept["cpu_seconds"])
    read = tokens_of(start, course.exchanges, longest=recipe.longest)
    for step in range(done + 1, course.steps[-1] + 1):
        chosen = torch.randperm(len(read), generator=generator)[: recipe.rows].tolist()
        loss = response_loss(tuned.get_base_model(), [read[place] for place in chosen])
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(weights, 1.0)
        optimiser.step()
        losses.append(float(loss.detach()))
        if step in course.steps:
            adapter = {name: one for name, one in tuned.state_dict().items() if "lora_" in name}
            kept = {"adapter": adapter, "optimiser": optimiser.state_dict(), "losses": losses}
            kept |= {"generator": generator.get_state(), "cpu_seconds": spent + time.process_time() - began}
            _write(course._path(step), kept)
            course.progress(f"{course.name}: step {step} of {course.steps[-1]}, loss {losses[-1]:.3f}")


def response_loss(network: Any, batch: Sequence[tuple[list[int], int]]) -> Any:
    """Mean negative log probability of the responses' tokens, nats; `batch` holds ids and where the response begins."""
    import torch

    width = max(len(ids) for ids, _ in batch)
    read = torch.zeros((len(batch), width), dtype=torch.long)
    shown, wanted = torch.zeros_like(read), torch.full_like(read, -100)
    for row, (ids, start) in enumerate(batch):
        read[row, : len(ids)] = torch.tensor(ids)
        shown[row, : len(ids)] = 1
        wanted[row, start - 1 : len(ids) - 1] = torch.tensor(ids[start:])
    hidden = network.model(input_ids=read, attention_mask=shown).last_hidden_state
    places = wanted != -100
    return torch.nn.functional.cross_entropy(network.lm_head(hidden[places]).float(), wanted[places])


def tokens_of(language: Language, exchanges: Sequence[Exchange], *, longest: int = 40) -> list[tuple[list[int], int]]:
    """The tokens of each exchange as the model reads it, responses cut to `longest`, and where its response begins."""
    return [_ids(language, one, longest) for one in exchanges]


def _ids(language: Language, exchange: Exchange, longest: int) -> tuple[list[int], int]:
    """The tokens of an exchange and where its response begins; one that is too long is cut and has no end token."""
    asked = language.ids([Message("user", exchange.prompt)])
    space = "" if language.form.write([Message("user", "")]).endswith("\n") else " "
    said = language.tokenizer(space + exchange.response, add_special_tokens=False)["input_ids"]
    end = [language.tokenizer.eos_token_id] if len(said) <= longest else []
    return [*asked, *said[:longest], *end], len(asked)


def _adapted(language: Language, recipe: Recipe) -> Any:
    try:
        import torch
        from peft import LoraConfig, get_peft_model
    except ImportError as error:
        raise MissingExtra(error.name or "peft", "experiments") from error
    torch.manual_seed(recipe.seed)
    settings = LoraConfig(r=recipe.rank, lora_alpha=2 * recipe.rank, target_modules="all-linear", task_type="CAUSAL_LM")
    return get_peft_model(copy.deepcopy(language.network), settings)


def _read(path: Path) -> dict[str, Any]:
    import torch

    kept: dict[str, Any] = torch.load(path, weights_only=True)
    return kept


def _write(path: Path, kept: dict[str, Any]) -> None:
    import torch

    with replacing(path) as unfinished:
        torch.save(kept, unfinished)
