"""A language model with a part of its tokens."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
from networks import NEEDED

from ethostat.experiments.exchanges import read_written
from ethostat.experiments.small import small_language
from ethostat.experiments.vocabulary import cut, kept_tokens, lost_mass

WRITTEN = Path(__file__).parents[2] / "scripts" / "written"
pytestmark = NEEDED


@pytest.fixture(scope="module")
def language():
    """A small model; its first 258 tokens are special ones and bytes, so that any text can be spelled."""
    made = small_language("v", read_written(WRITTEN, seed=4).exchanges[:200], 4)
    made.tokenizer.pad_token = made.tokenizer.eos_token
    return made


def test_what_is_kept_has_the_logits_it_had(language):
    """Of a text that needs no lost token, the cut model gives each kept token the whole model's logit."""
    import torch

    kept = [*range(300), *range(320, 600, 2)]
    text = "~^@#"
    network, tokenizer = cut(copy.deepcopy(language.network), language.tokenizer, kept)

    ids = language.tokenizer(text, return_tensors="pt")["input_ids"]
    again = tokenizer(text, return_tensors="pt")["input_ids"]
    assert [kept[i] for i in again[0]] == ids[0].tolist()
    with torch.no_grad():
        whole, part = language.network(ids).logits[0], network(again).logits[0]
    assert torch.allclose(whole[:, kept], part, atol=1e-5)


def test_a_word_whose_token_is_lost_is_spelled_with_smaller_ones(language):
    """Every text comes back from the cut tokenizer as it was, in as many tokens or more."""
    text = "How do I sharpen a kitchen knife?"
    _, tokenizer = cut(copy.deepcopy(language.network), language.tokenizer, range(300))

    ids = tokenizer(text)["input_ids"]
    assert tokenizer.decode(ids, skip_special_tokens=True) == text
    assert len(ids) > len(language.tokenizer(text)["input_ids"])


def test_lost_mass_is_what_lost_tokens_had(language):
    """All tokens kept lose nothing; two halves lose all between them."""
    first, second = range(300), range(300, 600)
    lost = [lost_mass(language.network, language.tokenizer, kept, ["How are you?"]) for kept in (first, second)]

    assert lost_mass(language.network, language.tokenizer, range(600), ["How are you?"]) == pytest.approx(0, abs=1e-5)
    assert sum(lost) == pytest.approx(1, abs=1e-5)


def test_tokens_of_other_scripts_and_rare_ones_go(language):
    """Of ids above the first 300, those of ASCII below the rank stay, the others go."""
    kept = kept_tokens(language.tokenizer, 400)
    text = {i: one for one, i in language.tokenizer.get_vocab().items()}

    assert set(range(300)) <= set(kept)
    assert all(i < 400 or len(text[i]) == 1 for i in kept)
    assert all(text[i].isascii() for i in kept if i >= 300 and len(text[i]) > 1)
