"""Small: a language model made here in seconds, for the short forms: they show that the code runs, nothing else."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ethostat.errors import MissingExtra
from ethostat.experiments.exchanges import Exchange
from ethostat.experiments.language import TURNS, Language

_TOKENS, _WIDTH, _STEPS = 600, 48, 40


def small_opener(exchanges: Callable[[], Sequence[Exchange]], seed: int) -> Callable[[str], Language]:
    """Opens small models by any name; two names give two models. All have read the same exchanges for a few steps."""

    def open_small(name: str) -> Language:
        return small_language(name, exchanges(), seed + len(name))

    return open_small


def small_language(name: str, exchanges: Sequence[Exchange], seed: int) -> Language:
    """A Llama of two layers and 48 numbers a token, after 40 steps on these exchanges.

    Raises MissingExtra without the extra `experiments`.
    """
    try:
        import torch
        from transformers import LlamaConfig, LlamaForCausalLM
    except ImportError as error:
        raise MissingExtra(error.name or "transformers", "experiments") from error
    from ethostat.experiments.adapting import response_loss, tokens_of

    torch.manual_seed(seed)
    settings = LlamaConfig(
        vocab_size=_TOKENS,
        hidden_size=_WIDTH,
        intermediate_size=2 * _WIDTH,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        bos_token_id=0,
        eos_token_id=1,
        tie_word_embeddings=True,
        attn_implementation="eager",
    )
    network = LlamaForCausalLM(settings)
    language = Language(
        label=f"small {name}",
        state=f"small-{name}-{seed}",
        network=network,
        tokenizer=_tokenizer(exchanges),
        form=TURNS,
    )
    read = tokens_of(language, exchanges[:200], longest=24)
    optimiser = torch.optim.AdamW(network.parameters(), lr=5e-3)
    for step in range(_STEPS):
        loss = response_loss(network, read[step * 8 % 192 : step * 8 % 192 + 8])
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
    network.eval()
    return language


def _tokenizer(exchanges: Sequence[Exchange]) -> object:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    made = Tokenizer(models.BPE(unk_token=None))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=_TOKENS,
        special_tokens=["<s>", "</s>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    made.train_from_iterator([f"{one.prompt}\n{one.response}" for one in exchanges[:600]], trainer)
    return PreTrainedTokenizerFast(tokenizer_object=made, bos_token="<s>", eos_token="</s>")  # noqa: S106
