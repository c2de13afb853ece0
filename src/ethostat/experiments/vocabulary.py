"""Vocabulary: a language model cut to the tokens that English text needs, so that a small machine can tune it.

Gemma 3 270M spends 168 of its 268 million parameters, and more than half of its time, on 262,144 tokens of a hundred
scripts. The cut keeps the tokens of ASCII characters up to a rank, every single character of ASCII and common
typography, bytes and special tokens. What was spelled with a lost token is spelled with smaller ones; the probability
that the whole model gives to lost tokens is the cost, and `lost_mass` measures it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

_TYPOGRAPHY = "▁’‘“”—–…é°£€"
_FIRST = 300
"""Special tokens, control characters and bytes come first in the vocabularies of this family."""


def kept_tokens(tokenizer: Any, rank: int) -> list[int]:
    """The ids to keep, ascending: ASCII tokens below `rank`, single characters, bytes and special tokens."""
    vocabulary = tokenizer.get_vocab()
    return sorted(i for text, i in vocabulary.items() if i < _FIRST or _is_single(text) or (i < rank and _ascii(text)))


def cut(network: Any, tokenizer: Any, kept: Sequence[int]) -> tuple[Any, Any]:
    """The network and its tokenizer with these tokens alone, numbered anew in their order.

    The network is changed in place. Needs a byte-pair tokenizer whose embedding is also its output matrix.
    """
    import torch
    from tokenizers import Tokenizer
    from transformers import PreTrainedTokenizerFast

    place = {old: new for new, old in enumerate(kept)}
    spelled = _cut_tokenizer(json.loads(tokenizer.backend_tokenizer.to_str()), place)
    smaller = PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer.from_str(json.dumps(spelled)),
        bos_token=tokenizer.bos_token,
        eos_token=tokenizer.eos_token,
        pad_token=tokenizer.pad_token,
        unk_token=tokenizer.unk_token,
    )
    with torch.no_grad():
        rows = network.get_input_embeddings().weight[torch.tensor(kept)].clone()
    network.resize_token_embeddings(len(kept))
    with torch.no_grad():
        network.get_input_embeddings().weight.copy_(rows)
    network.tie_weights()
    for settings in (network.config, network.generation_config):
        for name in ("bos_token_id", "eos_token_id", "pad_token_id"):
            setattr(settings, name, place[getattr(tokenizer, name)])
    return network, smaller


def lost_mass(network: Any, tokenizer: Any, kept: Sequence[int], texts: Sequence[str]) -> float:
    """The mean probability that the whole network gives to the lost tokens, over every position of these texts."""
    import torch

    lost, positions = 0.0, 0
    with torch.inference_mode():
        for text in texts:
            ids = tokenizer(text, return_tensors="pt")["input_ids"]
            shares = network(ids).logits[0].float().softmax(-1)
            lost += float((1 - shares[:, torch.tensor(kept)].sum(-1)).sum())
            positions += ids.shape[1]
    return lost / positions


def _cut_tokenizer(whole: dict[str, Any], place: dict[int, int]) -> dict[str, Any]:
    """The tokenizer's own description with the kept tokens alone."""
    model = whole["model"]
    vocabulary = {text: place[i] for text, i in model["vocab"].items() if i in place}
    merges = [pair for pair in model["merges"] if _joins(pair) in vocabulary and all(x in vocabulary for x in pair)]
    added = [{**one, "id": place[one["id"]]} for one in whole["added_tokens"] if one["id"] in place]
    first = dict(whole, model={**model, "vocab": vocabulary, "merges": merges}, added_tokens=added)
    processor = first.get("post_processor")
    if processor and "special_tokens" in processor:
        for one in processor["special_tokens"].values():
            one["ids"] = [place[i] for i in one["ids"]]
    return first


def _joins(pair: Sequence[str]) -> str:
    return "".join(pair)


def _is_single(text: str) -> bool:
    return len(text) == 1 and (text.isascii() or text in _TYPOGRAPHY)


def _ascii(text: str) -> bool:
    return text.replace("▁", " ").isascii()
