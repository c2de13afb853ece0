"""train: a classifier from labelled rows."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

import ethostat as es
from ethostat.cli.frame import print_json
from ethostat.cli.options import AsJson, option
from ethostat.terminal import Gauge, to_terminal, trained_view

_MODEL, _RECIPE, _STOP, _KEPT = "What is trained", "The recipe", "When it stops", "What is kept"


def train(
    rows: Annotated[
        str,
        typer.Argument(
            metavar="DATA",
            help="Labelled rows (JSONL, CSV, Parquet): prompt or messages, response, label; and where known source and "
            "split_group.",
        ),
    ],
    backbone: Annotated[
        str,
        option(
            "--backbone",
            "A BERT-like encoder or a T5: a local folder, or a name on the hub (`t5-base`, `bert-base-uncased`).",
            env="BACKBONE",
            panel=_MODEL,
        ),
    ],
    out: Annotated[
        Path,
        option("--out", "Folder of the classifier: new, or that of the same run, interrupted.", panel=_KEPT),
    ],
    taxonomy: Annotated[
        str,
        option(
            "--taxonomy",
            "Goals that the labels name: a built-in name, or a YAML or JSON file.",
            env="TAXONOMY",
            panel=_MODEL,
        ),
    ] = "five-goals",
    head: Annotated[
        es.Head,
        option(
            "--head",
            "encoder: a linear layer on the encoder's pooled states. text (T5 only): the first step of the decoder "
            "scores one token a goal.",
            panel=_MODEL,
        ),
    ] = es.Head.ENCODER,
    pooling: Annotated[
        es.Pooling, option("--pooling", "Of the encoder's states the mean, or the first.", panel=_MODEL)
    ] = es.Pooling.MEAN,
    row_tokens: Annotated[
        int, option("--row-tokens", "Tokens that are kept of a prompt and response, at most.", panel=_MODEL)
    ] = 256,
    learning_rate: Annotated[float, option("--learning-rate", "Peak rate of AdamW.", panel=_RECIPE)] = 5e-5,
    batch: Annotated[int, option("--batch", "Rows a step.", panel=_RECIPE)] = 16,
    epochs: Annotated[int, option("--epochs", "Passes over the training rows, at most.", panel=_RECIPE)] = 5,
    warm_up: Annotated[
        float,
        option("--warm-up", "Share of the steps in which the rate rises; it then falls linearly to 0.", panel=_RECIPE),
    ] = 0.1,
    weight_decay: Annotated[float, option("--weight-decay", "AdamW's.", panel=_RECIPE)] = 0.01,
    balance: Annotated[
        bool,
        option("--balance/--no-balance", "Weigh rows so that all goals count alike.", panel=_RECIPE),
    ] = True,
    bfloat16: Annotated[
        bool, option("--bfloat16", "Multiply in bfloat16 while training: faster where it is supported.", panel=_RECIPE)
    ] = False,
    seed: Annotated[
        int, option("--seed", "Seed of the split, the new layer, the order of rows and dropout.", panel=_RECIPE)
    ] = 0,
    watch: Annotated[
        es.Watched,
        option("--watch", "The figure of the validation rows that says which epoch is best.", panel=_STOP),
    ] = es.Watched.MACRO_F1,
    patience: Annotated[int, option("--patience", "Stop after so many epochs without a better one.", panel=_STOP)] = 2,
    checkpoint_every: Annotated[int, option("--checkpoint-every", "Steps between checkpoints.", panel=_KEPT)] = 200,
    int8: Annotated[
        bool,
        option("--int8/--no-int8", "Quantise the exported graph: a quarter of the size, and faster.", panel=_KEPT),
    ] = True,
    as_json: AsJson = False,
) -> None:
    """Fine-tune a backbone on labelled rows; what it leaves in --out is a classifier for measure, classify, evaluate.

    The recipe is the paper's (arXiv 2512.03047): AdamW at 5e-5 with linear warm-up and decay, batches of 16, at most 5
    epochs, and the best epoch kept. Rows are split 80/10/10 by prompt, or by `split_group` where rows name one: the
    first part is learned from, the second chooses the epoch and calibrates the probabilities, the third is looked at
    once, through the exported graph. 1,500 labels suffice to start (the paper's number), in 20 prompts at the least;
    every goal must occur. A rate of 5e-5 is for a pretrained backbone; a small one may want 1e-4 to 3e-4.

    Interrupted, the same command goes on from the last checkpoint and ends with the same weights. The graph is compared
    with the network before the run is called done. A README.md in the folder says what was found; curves.html shows
    loss and accuracy by epoch.

    Needs the extra `train` (torch, transformers, onnx).

    Example: ethostat train labelled.jsonl --backbone t5-base --head text --out my-classifier
    """
    recipe = es.Recipe(
        head=head,
        pooling=pooling,
        learning_rate=learning_rate,
        batch=batch,
        epochs=epochs,
        warm_up=warm_up,
        weight_decay=weight_decay,
        is_balanced=balance,
        watched=watch,
        patience=patience,
        tokens=row_tokens,
        bfloat16=bfloat16,
        seed=seed,
    )
    with Gauge() as gauge:
        found = es.train(
            rows,
            backbone=backbone,
            out=out,
            taxonomy=es.load_taxonomy(taxonomy),
            recipe=recipe,
            int8=int8,
            checkpoint_every=checkpoint_every,
            on_stage=gauge.say,
            on_step=gauge.show_step,
        )
    print_json(found.to_dict()) if as_json else to_terminal(trained_view(found))
