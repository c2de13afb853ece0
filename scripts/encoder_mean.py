"""Make one encoder of several: the mean of their weights, exported, evaluated, with its card.

    python scripts/encoder_mean.py DATA --backbone PATH --out DIR --harm 1.2 --version 4 RUN/checkpoint.pt ...

Runs of scripts/train_encoder.py that continue one another differ by what their last rows drew them to; their mean errs
less than either. `--harm` is added to the logit of a harmful request: pairs composed for training are mostly benign.
Source: Wortsman and others 2022, Model soups.
"""

from __future__ import annotations

import argparse
import random
from pathlib import Path

import torch

from encoder_card import evaluate, write_card
from encoder_export import export
from encoder_network import FactorNetwork
from encoder_rows import prompt_of, read_corpus
from ethostat.classifiers.cutting import Cutting
from train_encoder import plain_tokenizer


def main() -> None:
    """Read, average, export, evaluate, write the card."""
    options = _options()
    options.out.mkdir(parents=True, exist_ok=True)
    runs = [torch.load(path, weights_only=True)["network"] for path in options.checkpoints]
    mean = {name: sum(run[name] for run in runs) / len(runs) for name in runs[0]}
    mean["harm.bias"] = mean["harm.bias"] + options.harm
    network = FactorNetwork(options.backbone)
    network.load_state_dict(mean)
    corpus, tokenizer = read_corpus(options.data), plain_tokenizer(options.backbone)
    rows = random.Random(0).sample(corpus.held, 200)  # noqa: S311 - nothing secret is drawn
    tokens = [tuple(Cutting().tokens(tokenizer, prompt_of(row), row.response)) for row in rows]
    parity = export(network, tokenizer, tokens, options.out)
    evaluation = evaluate(options.out, corpus, parity=parity, without=[], seed=0)
    write_card(
        options.out,
        evaluation,
        also=options.also,
        backbone=options.backbone_name,
        version=options.version,
        recipe=options.recipe,
    )


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("checkpoints", type=Path, nargs="+", help="checkpoint.pt of each run")
    parser.add_argument("--backbone", type=Path, required=True, help="folder of the encoder the runs started from")
    parser.add_argument("--backbone-name", default="sentence-transformers/all-MiniLM-L6-v2 (Apache-2.0)")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--harm", type=float, default=0.0, help="added to the logit of a harmful request")
    parser.add_argument("--version", default="1")
    parser.add_argument("--recipe", default="the mean of several runs", help="how it was trained, for the card")
    parser.add_argument("--also", nargs="*", type=Path, default=[], metavar="FILE")
    return parser.parse_args()


if __name__ == "__main__":
    main()
