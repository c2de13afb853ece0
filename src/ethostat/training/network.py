"""Networks: a pretrained encoder or T5 with what turns its states into goals.

Rows come padded: `ids` and `segments`, int64 (B, L), and `real` (B, L), False at padding. `logits` (B, K) are over
goals; `losses` (B,) are in nats; `graph` is what is exported: one row of real tokens in, its logits out.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from ethostat.training.recipe import Pooling

_DROPOUT = 0.1


class EncoderNetwork(nn.Module):  # type: ignore[misc]
    """The states of an encoder, pooled, and one linear layer."""

    def __init__(self, encoder: Any, *, goals: int, pooling: Pooling, takes_segments: bool) -> None:
        super().__init__()
        self.encoder, self.pooling, self.takes_segments = encoder, pooling, takes_segments
        self.dropout = nn.Dropout(_DROPOUT)
        self.head = nn.Linear(encoder.config.hidden_size, goals)

    def logits(self, ids: Tensor, segments: Tensor, real: Tensor | None) -> Tensor:
        more = {"token_type_ids": segments} if self.takes_segments else {}
        states = self.encoder(input_ids=ids, attention_mask=real, **more).last_hidden_state
        return self.head(self.dropout(self._pooled(states, real)))

    def losses(self, ids: Tensor, segments: Tensor, real: Tensor, truth: Tensor) -> tuple[Tensor, Tensor]:
        """Cross-entropy of each row's goal, and the logits."""
        logits = self.logits(ids, segments, real)
        return cross_entropy(logits.float(), truth, reduction="none"), logits

    def graph(self) -> nn.Module:
        return _PairGraph(self) if self.takes_segments else _IdsGraph(self)

    def _pooled(self, states: Tensor, real: Tensor | None) -> Tensor:
        if self.pooling is Pooling.CLS:
            return states[:, 0]
        if real is None:
            return states.mean(dim=1)
        kept = real.unsqueeze(-1).to(states.dtype)
        return (states * kept).sum(dim=1) / kept.sum(dim=1)


class TextNetwork(nn.Module):  # type: ignore[misc]
    """T5, text to text: trained to write the word of the goal and to end; a goal's logit is that of its word.

    `words` are the token ids of the goals' words, all different, and `end` that of the sign that ends a text.
    """

    takes_segments = False

    def __init__(self, model: Any, *, words: Sequence[int], end: int) -> None:
        super().__init__()
        self.model = model
        self.register_buffer("words", torch.tensor(words), persistent=False)
        self.register_buffer("ending", torch.tensor([end]), persistent=False)

    def logits(self, ids: Tensor, segments: Tensor, real: Tensor | None) -> Tensor:  # noqa: ARG002 - the other's shape
        first = self.model(
            input_ids=ids, attention_mask=real, decoder_input_ids=self._start(ids), use_cache=False
        ).logits
        return first[:, 0, self.words]

    def losses(self, ids: Tensor, segments: Tensor, real: Tensor, truth: Tensor) -> tuple[Tensor, Tensor]:  # noqa: ARG002
        """Mean cross-entropy of the word and the end over the whole vocabulary, and the logits over goals."""
        word = self.words[truth][:, None]
        written = torch.cat([self._start(ids), word], dim=1)
        wanted = torch.cat([word, self.ending.expand(len(ids), 1)], dim=1)
        scores = self.model(input_ids=ids, attention_mask=real, decoder_input_ids=written, use_cache=False).logits
        losses = cross_entropy(scores.float().transpose(1, 2), wanted, reduction="none").mean(dim=1)
        return losses, scores[:, 0, self.words]

    def graph(self) -> nn.Module:
        return _TextGraph(self)

    def _start(self, ids: Tensor) -> Tensor:
        return torch.full_like(ids[:, :1], self.model.config.decoder_start_token_id)


class _PairGraph(nn.Module):  # type: ignore[misc]
    def __init__(self, network: EncoderNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, ids: Tensor, segments: Tensor) -> Tensor:
        return self.network.logits(ids, segments, None)


class _IdsGraph(nn.Module):  # type: ignore[misc]
    def __init__(self, network: EncoderNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, ids: Tensor) -> Tensor:
        return self.network.logits(ids, ids, None)


class _TextGraph(nn.Module):  # type: ignore[misc]
    """The encoder, one step of the decoder, and of the vocabulary's rows only those of the goals' words."""

    def __init__(self, network: TextNetwork) -> None:
        super().__init__()
        model, config = network.model, network.model.config
        self.encoder, self.decoder = model.encoder, model.decoder
        self.start = config.decoder_start_token_id
        # T5 shares the table of words with its decoder and then scales its states; T5 1.1 does neither.
        is_scaled = getattr(config, "scale_decoder_outputs", config.tie_word_embeddings)
        scale = config.d_model**-0.5 if is_scaled else 1.0
        self.rows = nn.Parameter((model.lm_head.weight.detach()[network.words] * scale).T.contiguous())

    def forward(self, ids: Tensor) -> Tensor:
        states = self.encoder(input_ids=ids).last_hidden_state
        start = torch.full_like(ids[:, :1], self.start)
        step = self.decoder(input_ids=start, encoder_hidden_states=states, use_cache=False)
        return step.last_hidden_state[:, 0] @ self.rows
