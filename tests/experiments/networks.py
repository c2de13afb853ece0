"""Language models small enough to write their Fisher matrix down."""

from __future__ import annotations

from importlib.util import find_spec

import pytest

from ethostat.experiments.language import PLAIN, Language

NEEDED = [
    pytest.mark.skipif(
        not all(find_spec(package) for package in ("torch", "transformers", "peft", "gguf")),
        reason="the extra `experiments` is not installed",
    ),
    # Forward differentiation imports a module of torch's own that uses what torch has deprecated.
    pytest.mark.filterwarnings("ignore:`torch.jit.script`:DeprecationWarning"),
    # peft asks transformers by a name that transformers has deprecated.
    pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning"),
]


def tiny_network(seed=0, *, vocabulary=11, width=4, tied=True):
    """A Llama of two layers with random weights, in double precision."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(seed)
    settings = LlamaConfig(
        vocab_size=vocabulary,
        hidden_size=width,
        intermediate_size=2 * width,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        tie_word_embeddings=tied,
        initializer_range=0.4,
        attn_implementation="eager",
    )
    return LlamaForCausalLM(settings).double().eval()


def tiny_language(seed=0, **more):
    """A Language around it; it has no tokenizer, since these tests speak in token ids."""
    return Language(label="tiny", state=f"tiny-{seed}", network=tiny_network(seed, **more), tokenizer=None, form=PLAIN)
