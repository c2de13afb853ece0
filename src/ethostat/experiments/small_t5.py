"""A T5 by the paper's recipe: text to text, AdamW, batches of 16, the best epoch kept.

Where no pretrained T5 is at hand, a small one is begun from nothing: two layers of width 128, with a vocabulary made
of the training rows. It has the paper's shape and not its pretraining, so that its figures say nothing about T5-base.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from ethostat.experiments.sources import Fold, Sourced
from ethostat.taxonomy import FIVE_GOALS
from ethostat.training.backbone import Backbone, check_extra, open_backbone
from ethostat.training.batches import TokenRows, token_rows
from ethostat.training.recipe import Head, Recipe

Floats = NDArray[np.float64]
PRETRAINED = "t5-base"
"""The folder of a data folder that is taken as the backbone where it is there."""
VOCABULARY, WIDTH, LAYERS = 3000, 128, 2
_SPECIAL = ("<pad>", "</s>", "<unk>")


def recipe_for(data: Path | None, *, short: bool, seed: int) -> Recipe:
    """The paper's recipe for a pretrained T5; from nothing the rate is 1e-3, rows have 96 tokens, epochs are 6."""
    if pretrained(data) is not None:
        return Recipe(head=Head.TEXT, seed=seed)
    return Recipe(head=Head.TEXT, learning_rate=1e-3, epochs=2 if short else 6, tokens=96, patience=3, seed=seed)


def pretrained(data: Path | None) -> Path | None:
    """The folder of a pretrained T5, None where there is none."""
    folder = None if data is None else data / PRETRAINED
    return folder if folder is not None and (folder / "config.json").exists() else None


def by_t5(
    rows: Sequence[Sourced], fold: Fold, *, data: Path | None, recipe: Recipe, work: Path, say: Callable[[str], None]
) -> tuple[Floats, dict[str, int]]:
    """What a T5 trained on the fold's training rows says of its test rows (N, 5), and its size and epochs.

    An interrupted training goes on from its last checkpoint; the checkpoints go once it is done. Raises MissingExtra
    without the extra.
    """
    check_extra()
    from ethostat.training.fit import Fit

    work.mkdir(parents=True, exist_ok=True)
    source = pretrained(data) or small_t5([rows[at] for at in fold.training], work / "backbone", seed=recipe.seed)
    base = open_backbone(str(source), taxonomy=FIVE_GOALS, recipe=recipe)
    parts = [_tokens(base, [rows[at] for at in places]) for places in (fold.training, fold.validation, fold.test)]
    run = Fit(
        base.network, (parts[0], parts[1]), recipe, work, goals=len(FIVE_GOALS.goals), pad=base.pad, every=10_000,
        on_step=lambda _step: None,
    )  # fmt: skip
    run.run()
    last = run.epochs[-1]
    say(f"T5, {fold.name}: {len(run.epochs)} epochs, the best is {run.best}; loss {last.training.loss.value:.2f} nats")
    said = softmax(run.logits(parts[2]).astype(np.float64), axis=1)
    shutil.rmtree(work)
    return said, {"parameters": base.parameters(), "epochs": len(run.epochs), "best": run.best}


def small_t5(rows: Sequence[Sourced], folder: Path, *, seed: int) -> Path:
    """A T5 that has learned nothing, saved as transformers saves one, its vocabulary made of these rows."""
    import torch
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast, T5Config, T5ForConditionalGeneration

    tokenizer = Tokenizer(models.BPE(unk_token="<unk>"))  # noqa: S106 - a token of the vocabulary
    tokenizer.normalizer, tokenizer.pre_tokenizer = normalizers.Lowercase(), pre_tokenizers.Metaspace()
    trainer = trainers.BpeTrainer(vocab_size=VOCABULARY, special_tokens=list(_SPECIAL), show_progress=False)
    texts = [text[:2000] for one in rows for text in (one.row.response.prompt.text, one.row.response.text)]
    tokenizer.train_from_iterator([*texts, " ".join(FIVE_GOALS.keys) * 50], trainer)
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", eos_token="</s>", unk_token="<unk>"  # noqa: S106
    ).save_pretrained(folder)  # fmt: skip
    torch.manual_seed(seed)
    config = T5Config(
        vocab_size=tokenizer.get_vocab_size(), d_model=WIDTH, d_kv=32, d_ff=2 * WIDTH, num_layers=LAYERS,
        num_heads=4, dropout_rate=0.1, decoder_start_token_id=0,
    )  # fmt: skip
    with without_bars():
        T5ForConditionalGeneration(config).save_pretrained(folder)
    return folder


@contextmanager
def without_bars() -> Iterator[None]:
    """transformers without its progress bars, as it was afterwards."""
    from transformers.utils import logging

    had_bars = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if had_bars:
            logging.enable_progress_bar()


def _tokens(base: Backbone, rows: Sequence[Sourced]) -> TokenRows:
    return token_rows(
        [one.row for one in rows], taxonomy=FIVE_GOALS, tokenizer=base.tokenizer, cutting=base.cutting,
        layout=base.layout,
    )  # fmt: skip
