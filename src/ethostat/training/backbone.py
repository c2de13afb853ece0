"""Backbone: a pretrained encoder or T5 with its tokenizer, from a folder or from the hub.

This is the door to transformers: it is imported here, when a backbone is opened.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from ethostat.classifiers.cutting import Cutting
from ethostat.classifiers.layout import PairLayout, TextLayout
from ethostat.errors import ClassifierError, InvalidInput, MissingExtra
from ethostat.models.weights import sha256_of_folder
from ethostat.taxonomy import Taxonomy
from ethostat.training.batches import cutting_of
from ethostat.training.recipe import Head, Pooling, Recipe

_T5 = ("t5", "mt5", "umt5")
_SIGNS = 5
_POSITIONS_KEPT_FREE = 2  # RoBERTa counts positions from 2


@dataclass(frozen=True, slots=True)
class Backbone:
    """What a network is built on.

    `origin` is the digest of a folder's files, or the revision on the hub. `words` are the goals' words for text to
    text, else empty. `pad` is the id that fills a batch, `longest` the tokens a row may
    have, None without a limit.
    """

    name: str
    origin: str
    kind: str
    network: Any
    tokenizer: Tokenizer
    layout: PairLayout | TextLayout
    cutting: Cutting
    pad: int
    longest: int | None = None
    words: tuple[str, ...] = ()

    def parameters(self) -> int:
        """Numbers that are trained."""
        return sum(each.numel() for each in self.network.parameters())


def check_extra() -> None:
    """Raises MissingExtra where a package of the extra `train` is not installed."""
    try:
        import onnx  # noqa: F401
        import onnxscript  # noqa: F401
        import torch  # noqa: F401
        import transformers  # noqa: F401
    except ImportError as error:
        raise MissingExtra(error.name or "torch", "train") from error


def open_backbone(source: str, *, taxonomy: Taxonomy, recipe: Recipe) -> Backbone:
    """The network of a folder, or of a name on the hub, with a new head drawn from the recipe's seed.

    Raises InvalidInput where there is no such model, or the recipe's head does not fit it; ClassifierError where it
    is of a kind that cannot be trained here.
    """
    import torch

    torch.manual_seed(recipe.seed)
    with _loading(source) as transformers:
        config = transformers.AutoConfig.from_pretrained(source)
        _check_kind(source, config, recipe)
        reader = transformers.AutoTokenizer.from_pretrained(source)
    tokenizer = _plain_tokenizer(source, reader)
    is_t5, goals = config.model_type in _T5, len(taxonomy.goals)
    longest = None if is_t5 else _positions(config, reader)
    words = goal_words(tokenizer, taxonomy) if recipe.head is Head.TEXT else ()
    return Backbone(
        name=source,
        origin=_origin(source, config),
        kind=config.model_type,
        network=_text(source, tokenizer, words, reader)
        if words
        else _encoder(source, config, goals=goals, pooling=recipe.pooling),
        tokenizer=tokenizer,
        layout=TextLayout(end=reader.eos_token) if is_t5 else _pair_layout(source, reader),
        cutting=cutting_of(recipe.tokens if longest is None else min(recipe.tokens, longest - _SIGNS)),
        pad=reader.pad_token_id or 0,
        longest=longest,
        words=words,
    )


def goal_words(tokenizer: Tokenizer, taxonomy: Taxonomy) -> tuple[str, ...]:
    """A word for each goal that the tokenizer knows as one token: keys, else names, numbers, letters, or T5's blanks.

    Raises ClassifierError where the vocabulary has no such words.
    """
    goals = taxonomy.goals
    letters = [chr(ord("A") + place) if place < 26 else "" for place in range(len(goals))]
    for words in (
        [goal.key for goal in goals],
        [goal.name for goal in goals],
        [str(place) for place in range(1, len(goals) + 1)],
        letters,
        [f"<extra_id_{place}>" for place in range(len(goals))],
    ):
        found = [tokenizer.encode(word, add_special_tokens=False).ids for word in words]
        known = {ids[0] for ids in found if len(ids) == 1 and ids[0] != tokenizer.token_to_id("<unk>")}
        if len(known) == len(goals):
            return tuple(words)
    raise ClassifierError(
        f"the tokenizer knows no {len(goals)} words as one token each (tried keys, names, numbers, letters, "
        "<extra_id_0>...); train with --head encoder, or name the goals in words of its vocabulary"
    )


def _check_kind(source: str, config: Any, recipe: Recipe) -> None:
    is_t5 = config.model_type in _T5
    if config.is_encoder_decoder and not is_t5:
        raise ClassifierError(f"backbone {source!r} is a {config.model_type}; BERT-like encoders and T5 can be trained")
    if recipe.head is Head.TEXT and not is_t5:
        raise InvalidInput(
            f"--head text needs a T5, and {source!r} is a {config.model_type}; use --head encoder, or name a T5"
        )
    if recipe.pooling is Pooling.CLS and is_t5:
        raise InvalidInput("--pooling cls needs an encoder that starts rows with a sign of their own; T5 has none")


@contextmanager
def _loading(source: str) -> Iterator[Any]:
    """transformers, silent, its errors in our words."""
    import transformers

    log = transformers.utils.logging
    verbosity, had_bar = log.get_verbosity(), log.is_progress_bar_enabled()
    log.set_verbosity_error()
    log.disable_progress_bar()
    try:
        yield transformers
    except OSError as error:
        raise InvalidInput(
            f"backbone {source!r} is no folder with a model, and could not be fetched from the hub "
            f"({_first_line(error)}); name a local folder, or check the name and the connection"
        ) from error
    except (ValueError, KeyError, ImportError, RuntimeError) as error:
        if isinstance(error, InvalidInput):
            raise
        raise ClassifierError(
            f"backbone {source!r} cannot be loaded: {_first_line(error)}; name a BERT-like encoder or a T5"
        ) from error
    finally:
        log.set_verbosity(verbosity)
        if had_bar:
            log.enable_progress_bar()


def _encoder(source: str, config: Any, *, goals: int, pooling: Pooling) -> Any:
    from ethostat.training.network import EncoderNetwork

    with _loading(source) as transformers:
        door = transformers.AutoModelForTextEncoding if config.is_encoder_decoder else transformers.AutoModel
        encoder = door.from_pretrained(source, attn_implementation="eager").float()
    takes_segments = (
        "token_type_ids" in inspect.signature(encoder.forward).parameters and getattr(config, "type_vocab_size", 0) > 1
    )
    return EncoderNetwork(encoder, goals=goals, pooling=pooling, takes_segments=takes_segments)


def _text(source: str, tokenizer: Tokenizer, words: Sequence[str], reader: Any) -> Any:
    from ethostat.training.network import TextNetwork

    with _loading(source) as transformers:
        model = transformers.AutoModelForSeq2SeqLM.from_pretrained(source, attn_implementation="eager").float()
    ids = [tokenizer.encode(word, add_special_tokens=False).ids[0] for word in words]
    return TextNetwork(model, words=ids, end=reader.eos_token_id)


def _plain_tokenizer(source: str, reader: Any) -> Tokenizer:
    """The tokenizer itself, without cutting and padding of its own."""
    inner = getattr(reader, "backend_tokenizer", None)
    if not isinstance(inner, Tokenizer):
        raise ClassifierError(f"backbone {source!r} has no tokenizer.json and none can be made of what it has")
    plain = Tokenizer.from_str(inner.to_str())
    plain.no_truncation()
    plain.no_padding()
    return plain


def _pair_layout(source: str, reader: Any) -> PairLayout:
    if reader.cls_token is None or reader.sep_token is None:
        raise ClassifierError(
            f"the tokenizer of backbone {source!r} has no cls and sep tokens; name a BERT-like encoder or a T5"
        )
    return PairLayout(reader.cls_token, reader.sep_token)


def _positions(config: Any, reader: Any) -> int:
    """Tokens that an encoder with a fixed number of positions can take."""
    positions = getattr(config, "max_position_embeddings", None) or reader.model_max_length
    return int(min(positions - _POSITIONS_KEPT_FREE, reader.model_max_length))


def _origin(source: str, config: Any) -> str:
    folder = Path(source)
    return sha256_of_folder(folder) if folder.is_dir() else str(getattr(config, "_commit_hash", None))


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0].rstrip(".")
