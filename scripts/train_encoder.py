"""Train the built-in encoder on a folder of labelled rows, export it to int8 ONNX and write its card.

    pip install -e '.[train]'
    python scripts/train_encoder.py DATA --backbone PATH --out DIR [--epochs 2] [--without SOURCE ...]

DATA holds human.jsonl, judge.jsonl, constructed.jsonl, aux.jsonl and prompts/; PATH an encoder with a
WordPiece tokenizer (all-MiniLM-L6-v2 for the one we ship). An interrupted run continues from its checkpoint
when it is started again with the same --out. `--without` holds whole sources out, to ask how the classifier
does on a source it has never seen; `--also FILE` adds the evaluation.json of such a run to the card.

    torchrun --nproc-per-node 2 scripts/train_encoder.py DATA ... --threads 1

takes two batches a step, one a process: on a busy machine faster than two threads.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import random
import time
from collections.abc import Iterator
from pathlib import Path

import torch
from tokenizers import Tokenizer
from torch import Tensor, distributed
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy

from encoder_card import evaluate, write_card
from encoder_export import export
from encoder_network import FactorNetwork, compose
from encoder_rows import GOALS, Corpus, Example, compose_epoch, prompt_of, read_corpus
from ethostat.classifiers.cutting import Cutting

UNKNOWN = -100
TOKENS_A_BATCH = 2048
MOST_ROWS_A_BATCH = 48
# A constant, not the rows of the batch: short rows come many to a batch and would each count less.
ROWS_A_BATCH = 18
CHECKPOINT_EVERY = 20
WARM, COOL = 40, 300
# Twice as fast on processors with AMX, half as fast on those that have bfloat16 in AVX-512 alone.
BF16 = torch.cpu._is_amx_tile_supported()


def main() -> None:
    """Read, learn, export, evaluate, write the card."""
    options = _options()
    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    if "WORLD_SIZE" in os.environ:
        distributed.init_process_group("gloo")
    options.out.mkdir(parents=True, exist_ok=True)
    corpus = read_corpus(options.data, without=options.without)
    print(
        f"learning from {len(corpus.rows)} rows, {len(corpus.written)} written ones and {len(corpus.prompts)} prompts; "
        f"{len(corpus.held)} and {len(corpus.written_held)} rows held out"
    )
    tokenizer = plain_tokenizer(options.backbone)
    network = FactorNetwork(options.backbone)
    if options.weights:
        network.load_state_dict(torch.load(options.weights, weights_only=True)["network"])
    learn(network, tokenizer, corpus, options)
    if distributed.is_initialized() and distributed.get_rank() > 0:
        return
    finish(network, tokenizer, corpus, options)


def finish(network: FactorNetwork, tokenizer: Tokenizer, corpus: Corpus, options: argparse.Namespace) -> None:
    """Export a network to options.out, evaluate what was exported, and write its card."""
    compared, learned = (_sample(rows, tokenizer) for rows in (corpus.held, corpus.rows + corpus.written))
    parity = export(network, tokenizer, compared, learned, options.out)
    print(f"parity: {json.dumps(parity)}")
    evaluation = evaluate(options.out, corpus, parity=parity, without=options.without, seed=options.seed)
    write_card(
        options.out,
        evaluation,
        also=options.also,
        backbone=options.backbone_name,
        version=options.version,
        recipe=options.recipe,
    )


def learn(network: FactorNetwork, tokenizer: Tokenizer, corpus: Corpus, options: argparse.Namespace) -> None:
    """Fit in place, leaving a checkpoint every twenty steps; continue from one that is there."""
    batches = [batch for epoch in range(options.epochs) for batch in _batches(corpus, tokenizer, options.seed, epoch)]
    ranks = distributed.get_world_size() if distributed.is_initialized() else 1
    rank = distributed.get_rank() if ranks > 1 else 0
    batches = batches[rank : len(batches) - len(batches) % ranks : ranks][: options.steps]
    heads = [weights for name, weights in network.named_parameters() if not name.startswith("backbone")]
    groups = [{"params": network.backbone.encoder.parameters()}, {"params": heads, "lr": 5 * options.rate}]
    optimiser = torch.optim.AdamW(groups, lr=options.rate, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: _slope(step, len(batches)))
    checkpoint = options.out / "checkpoint.pt"
    start = _resume(checkpoint, network, optimiser, schedule)
    network.train()
    began, mean = time.monotonic(), math.nan
    for step, batch in enumerate(batches[start:], start):
        # A seed a step: an interrupted run continues with the dropout that it would have had.
        torch.manual_seed((options.seed * 100_000 + step) * ranks + rank)
        loss = _loss(network, *_tensors(batch))
        optimiser.zero_grad()
        loss.backward()
        if ranks > 1:
            _average_gradients(network, ranks)
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
        schedule.step()
        mean = loss.item() if math.isnan(mean) else 0.97 * mean + 0.03 * loss.item()
        if rank == 0 and step % 10 == 0:
            pace = (time.monotonic() - began) / (step - start + 1)
            print(f"step {step}/{len(batches)}  loss {mean:.3f}  {pace * (len(batches) - step):.0f} s left", flush=True)
        if rank == 0 and ((step + 1) % CHECKPOINT_EVERY == 0 or step + 1 == len(batches)):
            _save(checkpoint, step + 1, network, optimiser, schedule)
    network.eval()


def plain_tokenizer(backbone: Path) -> Tokenizer:
    """The backbone's tokenizer without cutting and padding of its own: `Cutting` decides what is kept."""
    tokenizer = Tokenizer.from_file(str(backbone / "tokenizer.json"))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def options_of(description: str, *, recipe: str) -> argparse.ArgumentParser:
    """What every script that ends in `finish` is told; `recipe` is what the card says unless told otherwise."""
    parser = argparse.ArgumentParser(description=description.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--backbone", type=Path, required=True, help="folder of the encoder to start from")
    parser.add_argument("--backbone-name", default="sentence-transformers/all-MiniLM-L6-v2 (Apache-2.0)")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--version", default="1")
    parser.add_argument("--recipe", default=recipe, help="how it was trained, for the card")
    parser.add_argument("--without", nargs="*", default=[], metavar="SOURCE")
    parser.add_argument("--also", nargs="*", type=Path, default=[], metavar="FILE")
    return parser


def _options() -> argparse.Namespace:
    parser = options_of(__doc__, recipe="one run of scripts/train_encoder.py")
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--steps", type=int, default=None, help="end after so many steps, where time is scarce")
    parser.add_argument("--rate", type=float, default=1e-4, help="peak learning rate of the backbone")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--weights", type=Path, default=None, help="checkpoint of another run to take the weights from")
    return parser.parse_args()


def _batches(
    corpus: Corpus, tokenizer: Tokenizer, seed: int, epoch: int
) -> Iterator[list[tuple[Example, list[int], list[int]]]]:
    """Batches of rows of near length, at most TOKENS_A_BATCH tokens with padding, in random order."""
    rng = random.Random(seed * 1000 + epoch)  # noqa: S311 - nothing secret is drawn
    cutting = Cutting()
    rows = [(row, *cutting.tokens(tokenizer, prompt_of(row), row.response)) for row in compose_epoch(corpus, rng)]
    rows.sort(key=lambda row: len(row[1]) + rng.random() * 10)
    batches, batch = [], []
    for row in rows:
        tokens = (len(batch) + 1) * max(len(row[1]), *(len(other[1]) for other in batch), 1)
        if batch and (tokens > TOKENS_A_BATCH or len(batch) == MOST_ROWS_A_BATCH):
            batches.append(batch)
            batch = []
        batch.append(row)
    rng.shuffle(batches)
    yield from batches
    yield batch


def _tensors(batch: list[tuple[Example, list[int], list[int]]]) -> tuple[Tensor, ...]:
    """ids, segments, real (rows, length); harm, behaviour, bad (rows,), UNKNOWN where so; allowed (rows, 5)."""
    length = max(len(ids) for _, ids, _ in batch)
    ids = torch.tensor([ids + [0] * (length - len(ids)) for _, ids, _ in batch])
    segments = torch.tensor([segments + [0] * (length - len(segments)) for _, _, segments in batch])
    real = torch.tensor([[True] * len(ids) + [False] * (length - len(ids)) for _, ids, _ in batch])
    rows = [row for row, _, _ in batch]
    known = [
        torch.tensor([UNKNOWN if value is None else value for value in values])
        for values in ([r.harm for r in rows], [r.behaviour for r in rows], [r.bad for r in rows])
    ]
    allowed = torch.tensor([[goal in row.goals for goal in GOALS] for row in rows])
    return ids, segments, real, *known, allowed


def _loss(
    network: FactorNetwork,
    ids: Tensor,
    segments: Tensor,
    real: Tensor,
    harm: Tensor,
    behaviour: Tensor,
    bad: Tensor,
    allowed: Tensor,
) -> Tensor:
    """Nats a row: each factor where it is known, and the set of allowed goals where only that is."""
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=BF16):
        factors = network.factors(ids, segments, real)
    harm_logits, act_logits, bad_logits = (factor.float() for factor in factors)
    goals = compose(harm_logits, act_logits, bad_logits)
    of_set = -torch.logsumexp(goals.masked_fill(~allowed, -1e4), dim=-1)
    return (
        _binary(harm_logits, harm)
        + cross_entropy(act_logits, behaviour, ignore_index=UNKNOWN, reduction="sum", label_smoothing=0.02)
        + _binary(bad_logits, bad)
        + of_set[behaviour == UNKNOWN].sum()
    ) / ROWS_A_BATCH


def _binary(logits: Tensor, truth: Tensor) -> Tensor:
    known = truth != UNKNOWN
    return binary_cross_entropy_with_logits(logits[known], truth[known].float(), reduction="sum")


def _slope(step: int, steps: int) -> float:
    """Linear warm-up, a plateau, linear decay to zero: until it decays, a run is the start of any longer one."""
    return min((step + 1) / WARM, 1.0, (steps - step) / COOL)


def _average_gradients(network: FactorNetwork, ranks: int) -> None:
    """Every process ends with the mean gradient of all, and so with the same weights."""
    gradients = [weights.grad for weights in network.parameters() if weights.grad is not None]
    whole = torch.cat([gradient.flatten() for gradient in gradients])
    distributed.all_reduce(whole)
    parts = torch.split(whole / ranks, [gradient.numel() for gradient in gradients])
    for gradient, part in zip(gradients, parts, strict=True):
        gradient.copy_(part.view_as(gradient))


def _save(path: Path, step: int, network: FactorNetwork, *states: object) -> None:
    whole = {"step": step, "network": network.state_dict(), "states": [state.state_dict() for state in states]}
    torch.save(whole, path.with_suffix(".new"))
    path.with_suffix(".new").replace(path)


def _resume(path: Path, network: FactorNetwork, *states: object) -> int:
    if not path.exists():
        return 0
    whole = torch.load(path, weights_only=True)
    network.load_state_dict(whole["network"])
    for state, saved in zip(states, whole["states"], strict=True):
        state.load_state_dict(saved)
    print(f"continuing from step {whole['step']}")
    return whole["step"]


def _sample(rows: list[Example], tokenizer: Tokenizer) -> list[tuple[list[int], list[int]]]:
    """Two hundred rows as tokens."""
    rng = random.Random(0)  # noqa: S311 - nothing secret is drawn
    some = rng.sample(rows, min(200, len(rows)))
    return [tuple(Cutting().tokens(tokenizer, prompt_of(row), row.response)) for row in some]


if __name__ == "__main__":
    main()
