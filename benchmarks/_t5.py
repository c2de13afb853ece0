"""T5-base, the paper's classifier, as a peer for speed: the published architecture, on the tokens the encoder sees.

Speed does not depend on what the weights say, so where there are no weights of t5-base at hand they are random.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

import torch
from transformers import T5Config, T5ForConditionalGeneration

WORDS_OF_T5 = 32_128
_ROWS_A_BATCH = 16


def t5_base() -> T5ForConditionalGeneration:
    """T5-base as published: 12 layers, width 768, feed-forward 3072, 223 million parameters."""
    config = T5Config(
        vocab_size=WORDS_OF_T5, d_model=768, d_kv=64, d_ff=3072, num_layers=12, num_heads=12, decoder_start_token_id=0
    )
    return T5ForConditionalGeneration(config).eval()


def rows_a_second(model: T5ForConditionalGeneration, rows: Sequence[Sequence[int]]) -> float:
    """Rows classified a second: batches of rows of near length, one decoder step each, as for one label token."""
    began = time.perf_counter()
    with torch.inference_mode():
        for ids, real in _batches(rows):
            start = torch.zeros(len(ids), 1, dtype=torch.long)
            model(input_ids=ids, attention_mask=real, decoder_input_ids=start).logits[:, 0].argmax(dim=-1)
    return len(rows) / (time.perf_counter() - began)


def _batches(rows: Sequence[Sequence[int]]) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    by_length = sorted(rows, key=len)
    for at in range(0, len(by_length), _ROWS_A_BATCH):
        batch = [torch.tensor(row) for row in by_length[at : at + _ROWS_A_BATCH]]
        ids = torch.nn.utils.rnn.pad_sequence(batch, batch_first=True)
        real = torch.nn.utils.rnn.pad_sequence([torch.ones_like(row) for row in batch], batch_first=True)
        yield ids, real
