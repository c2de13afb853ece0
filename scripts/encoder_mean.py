"""Make one encoder of several: the mean of their weights, exported, evaluated, with its card.

    python scripts/encoder_mean.py DATA --backbone PATH --out DIR --harm 1.2 --version 4 RUN/checkpoint.pt ...

Runs of scripts/train_encoder.py that continue one another differ by what their last rows drew them to; their mean errs
less than either. `--harm` is added to the logit of a harmful request: pairs composed for training are mostly benign.
Source: Wortsman and others 2022, Model soups.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

from encoder_network import FactorNetwork
from encoder_rows import read_corpus
from train_encoder import finish, options_of, plain_tokenizer


def main() -> None:
    """Read, average, export, evaluate, write the card."""
    options = _options()
    options.out.mkdir(parents=True, exist_ok=True)
    runs = [torch.load(path, weights_only=True)["network"] for path in options.checkpoints]
    mean = {name: sum(run[name] for run in runs) / len(runs) for name in runs[0]}
    mean["harm.bias"] = mean["harm.bias"] + options.harm
    network = FactorNetwork(options.backbone)
    network.load_state_dict(mean)
    corpus = read_corpus(options.data, without=options.without)
    finish(network, plain_tokenizer(options.backbone), corpus, options)


def _options() -> argparse.Namespace:
    parser = options_of(__doc__, recipe="the mean of several runs")
    parser.add_argument("checkpoints", type=Path, nargs="+", help="checkpoint.pt of each run")
    parser.add_argument("--harm", type=float, default=0.0, help="added to the logit of a harmful request")
    return parser.parse_args()


if __name__ == "__main__":
    main()
