"""Layouts: where the parts of a row stand, and how a card says so."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from tokenizers import Tokenizer, models, pre_tokenizers

from ethostat.classifiers import EncoderClassifier, load_builtin
from ethostat.classifiers.cutting import Cutting
from ethostat.classifiers.encoder import BUILTIN, CARD
from ethostat.classifiers.layout import BERT, PairLayout, TextLayout, layout_from
from ethostat.errors import ClassifierError
from ethostat.response import Message, Prompt, Response


def words(*known: str) -> Tokenizer:
    """A tokenizer whose tokens are these words."""
    tokenizer = Tokenizer(models.WordLevel({word: at for at, word in enumerate(["<unk>", "</s>", *known])}, "<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return tokenizer


def test_a_text_layout_puts_the_parts_in_their_places() -> None:
    """Context, the last user turn and the response stand where the template says, and the end ends it."""
    tokenizer = words("Hi", "Hello", "Bake?", "Yes", "user:", "assistant:", "q:", "a:")
    prompt = Prompt("p", (Message("user", "Hi"), Message("assistant", "Hello"), Message("user", "Bake?")))
    layout = TextLayout("{context} q: {prompt} a: {response}")
    row = layout.tokens(Cutting(), tokenizer, prompt, "Yes")

    said = [tokenizer.id_to_token(id) for id in row.ids]
    assert said == ["user:", "Hi", "assistant:", "Hello", "q:", "Bake?", "a:", "Yes", "</s>"]
    assert set(row.segments) == {0}


def test_layouts_survive_the_card() -> None:
    """What to_dict gives, layout_from reads; a card without a layout has BERT's; others are refused."""
    for layout in (PairLayout("<s>", "</s>"), TextLayout("{prompt} {response}", "<eos>")):
        assert layout_from(layout.to_dict()) == layout
    assert layout_from(None) == BERT
    with pytest.raises(ClassifierError, match="kind must be bert-pair or t5-text"):
        layout_from({"kind": "gpt"})
    with pytest.raises(ClassifierError, match="once each"):
        TextLayout("only {prompt}")


def test_the_built_ins_layout_need_not_be_named(tmp_path: Path) -> None:
    """A card that names BERT's layout has the hash and verdicts of one that names none; other signs change the hash."""
    folder = Path(shutil.copytree(BUILTIN, tmp_path / "copy"))
    card = json.loads((folder / CARD).read_text())
    response, builtin = Response(Prompt.from_text("How do I bake bread?"), "Mix and bake."), load_builtin()
    (folder / CARD).write_text(json.dumps(card | {"layout": BERT.to_dict()}))
    named = EncoderClassifier(folder)
    (folder / CARD).write_text(json.dumps(card | {"layout": PairLayout("[CLS]", "[MASK]").to_dict()}))
    other = EncoderClassifier(folder)

    assert "layout" not in card
    assert named.hash == builtin.hash
    assert named.classify([response]) == builtin.classify([response])
    assert other.hash != builtin.hash


def test_a_sign_that_the_tokenizer_lacks_is_named(tmp_path: Path) -> None:
    """A layout with another tokenizer's signs cannot be used."""
    folder = Path(shutil.copytree(BUILTIN, tmp_path / "copy"))
    card = json.loads((folder / CARD).read_text())
    (folder / CARD).write_text(json.dumps(card | {"layout": PairLayout("<s>", "</s>").to_dict()}))
    with pytest.raises(ClassifierError, match="the tokenizer has no <s>"):
        EncoderClassifier(folder).classify([Response(Prompt.from_text("Hi"), "Hello")])
