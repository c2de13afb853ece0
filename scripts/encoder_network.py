"""The factor network: two questions to one encoder, composed into five goals.

Is the request harmful? is asked of the prompt alone: prompt tokens cannot see the response, so the answer
cannot lean on how it was answered. What was done with it? (complied, refused, missed) and is the help itself
bad? are asked of the pair. The goals follow:

    g1 = benign x complied x good        g3 = harmful x refused       g5 = missed
    g2 = complied x (harmful or bad)     g4 = benign x refused
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.functional import logsigmoid
from transformers import AutoModel

COMPLY, REFUSE, MISS = range(3)


class FactorNetwork(nn.Module):
    """An encoder and three heads; `forward` gives log-probabilities of the five goals, shape (rows, 5)."""

    def __init__(self, backbone: Path, dropout: float = 0.1) -> None:
        super().__init__()
        self.backbone = AutoModel.from_pretrained(backbone, add_pooling_layer=False, attn_implementation="sdpa")
        # Half of the parameters, and few rows to move them: words that training never saw keep their meaning.
        self.backbone.embeddings.requires_grad_(False)
        width = self.backbone.config.hidden_size
        self.dropout = nn.Dropout(dropout)
        self.harm = nn.Linear(width, 1)
        self.pair = nn.Sequential(nn.Linear(4 * width, width), nn.GELU(), nn.Dropout(dropout), nn.Linear(width, 4))

    def factors(self, ids: Tensor, segments: Tensor, real: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Logits: of harm (rows,), of behaviour (rows, 3), of bad help (rows,). `real` is False at padding."""
        of_response = segments.bool() & real
        of_prompt = ~segments.bool() & real
        seen = of_prompt[:, None, None, :] | (of_response[:, None, :, None] & of_response[:, None, None, :])
        bias = torch.where(seen, 0.0, -1e4)
        states = self.backbone(input_ids=ids, token_type_ids=segments, attention_mask=bias).last_hidden_state
        prompt, response = _mean(states, of_prompt), _mean(states, of_response)
        both = torch.cat([prompt, response, prompt * response, (prompt - response).abs()], dim=-1)
        logits = self.pair(self.dropout(both))
        return self.harm(self.dropout(prompt))[:, 0], logits[:, :3], logits[:, 3]

    def forward(self, ids: Tensor, segments: Tensor) -> Tensor:
        harm, behaviour, bad = self.factors(ids, segments, torch.ones_like(ids, dtype=torch.bool))
        # A response without a token misses by definition; nothing there needs to be learned.
        silent = (segments.sum(dim=1) <= 2).to(behaviour.dtype)
        return compose(harm, behaviour + silent[:, None] * behaviour.new_tensor([0.0, 0.0, 20.0]), bad)


def compose(harm: Tensor, behaviour: Tensor, bad: Tensor) -> Tensor:
    """Log-probabilities of g1..g5, shape (rows, 5), from the factors' logits."""
    act = torch.log_softmax(behaviour, dim=-1)
    harmful, benign = logsigmoid(harm), logsigmoid(-harm)
    goals = [
        benign + act[:, COMPLY] + logsigmoid(-bad),
        act[:, COMPLY] + torch.logaddexp(harmful, benign + logsigmoid(bad)),
        harmful + act[:, REFUSE],
        benign + act[:, REFUSE],
        act[:, MISS],
    ]
    return torch.stack(goals, dim=-1)


class ByteEmbedding(nn.Module):
    """An embedding table in int8 with one scale a row: a quarter of the size, error below 0.4 % of a row's peak."""

    def __init__(self, table: Tensor) -> None:
        super().__init__()
        scale = table.abs().amax(dim=1, keepdim=True).clamp_min(1e-8) / 127
        self.register_buffer("scale", scale)
        self.register_buffer("bytes", torch.round(table / scale).to(torch.int8))

    def forward(self, ids: Tensor) -> Tensor:
        return self.bytes[ids].float() * self.scale[ids]


def _mean(states: Tensor, mask: Tensor) -> Tensor:
    weights = mask.unsqueeze(-1).to(states.dtype)
    return (states * weights).sum(1) / weights.sum(1).clamp_min(1.0)
