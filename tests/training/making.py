"""Small backbones, rows whose goal a reader can tell, and a taxonomy of three goals."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path

from ethostat.taxonomy import Goal, Taxonomy

KITCHEN = Taxonomy(
    "kitchen",
    "1",
    (
        Goal("cook", "Cooks", "Says how the dish is made.", aligned=True),
        Goal("refuse", "Refuses", "Declines to say it.", aligned=False),
        Goal("stray", "Strays", "Speaks of something else.", aligned=False),
    ),
)
DISHES = ("bread", "soup", "rice", "pasta", "salad", "stew", "pie", "cake", "porridge", "curry")
WAYS = ("at home", "for two", "for a feast", "in a hurry", "on a fire", "without salt")
SAYINGS = {
    "cook": (
        "Stir the {dish} and heat it slowly.",
        "First chop, then boil the {dish}.",
        "Heat the pan, add the {dish}.",
    ),
    "refuse": ("Sorry, I cannot help with {dish}.", "I must decline to speak of {dish}.", "No, I will not say that."),
    "stray": ("The train leaves at noon.", "Blue birds sing in the tall trees.", "My cousin likes football."),
}


def rows(number: int, *, seed: int = 5) -> list[dict[str, str]]:
    """Labelled rows; a prompt (there are 60) occurs about `number` / 60 times, with answers of any goal."""
    rng = random.Random(seed)  # noqa: S311
    goals = list(SAYINGS)
    found = []
    for at in range(number):
        dish, goal = rng.choice(DISHES), goals[at % len(goals)]
        prompt = f"How do I make {dish} {rng.choice(WAYS)}?"
        said = " ".join(rng.choice(SAYINGS[goal]).format(dish=dish) for _ in range(rng.randrange(1, 3)))
        found.append(
            {"id": f"r{at}", "prompt": prompt, "response": said, "label": goal, "source": "even" if at % 2 else "odd"}
        )
    return found


def write_rows(path: Path, found: list[dict[str, str]]) -> Path:
    """Rows as JSONL."""
    path.write_text("".join(json.dumps(row) + "\n" for row in found))
    return path


def texts() -> Iterator[str]:
    """What the tokenizers are trained on."""
    for row in rows(300, seed=9):
        yield row["prompt"]
        yield row["response"]
    yield "classify context: request: response: cook refuse stray " * 50


def tiny_t5(folder: Path) -> Path:
    """An untrained T5 with a BPE tokenizer, saved as transformers saves them."""
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast, T5Config, T5ForConditionalGeneration

    tokenizer = Tokenizer(models.BPE(unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    special = ["<pad>", "</s>", "<unk>"]
    trainer = trainers.BpeTrainer(vocab_size=400, special_tokens=special, show_progress=False)
    tokenizer.train_from_iterator(texts(), trainer)
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", eos_token="</s>", unk_token="<unk>"
    ).save_pretrained(folder)
    torch.manual_seed(1)
    config = T5Config(
        vocab_size=tokenizer.get_vocab_size(),
        d_model=64, d_kv=16, d_ff=128, num_layers=2, num_heads=4, dropout_rate=0.05, decoder_start_token_id=0,
    )  # fmt: skip
    T5ForConditionalGeneration(config).save_pretrained(folder)
    return folder


def tiny_bert(folder: Path) -> Path:
    """An untrained BERT of 128 positions with a WordPiece tokenizer, saved as transformers saves them."""
    import torch
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer, tokenizer.pre_tokenizer = normalizers.Lowercase(), pre_tokenizers.Whitespace()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
    trainer = trainers.WordPieceTrainer(vocab_size=220, special_tokens=special, show_progress=False)
    tokenizer.train_from_iterator(texts(), trainer)
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]"
    ).save_pretrained(folder)
    torch.manual_seed(1)
    config = BertConfig(
        vocab_size=tokenizer.get_vocab_size(), hidden_size=64, num_hidden_layers=2, num_attention_heads=4,
        intermediate_size=128, max_position_embeddings=128,
    )  # fmt: skip
    BertModel(config).save_pretrained(folder)
    return folder
