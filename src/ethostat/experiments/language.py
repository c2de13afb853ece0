"""Language: a causal language model in torch whose weights an experiment can change, as a Model of the house.

The packaged GGUF weights are dequantised once into the user's cache, in the Hugging Face form. Gemma 3 270M is cut to
the tokens of English (`vocabulary`).
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import platformdirs

from ethostat.errors import InvalidInput, MissingExtra, ModelNotFound
from ethostat.experiments.vocabulary import cut, kept_tokens
from ethostat.models.base import Decoding, as_plain_text, with_system
from ethostat.models.transformers import continued
from ethostat.models.weights import PACKAGED, sha256_of
from ethostat.response import Message, Prompt, Response

RANK = 98_304
"""ASCII tokens of Gemma's vocabulary below this rank are kept: 65,187 of 262,144 with single characters and bytes."""
_CUT = {"gemma3-270m"}
_ONE_AT_A_TIME = threading.Lock()


@dataclass(frozen=True, slots=True)
class Form:
    """How a conversation is written for a model to continue, and what ends its answer beside its end token."""

    name: str
    write: Callable[[Sequence[Message]], str]
    stops: tuple[str, ...] = ()


def _turns(messages: Sequence[Message]) -> str:
    return "\n\n".join([*(f"{one.role.capitalize()}: {one.content}" for one in messages), "Assistant:"])


def _chatml(messages: Sequence[Message]) -> str:
    turns = "".join(f"<|im_start|>{one.role}\n{one.content}<|im_end|>\n" for one in messages)
    return f"{turns}<|im_start|>assistant\n"


PLAIN = Form("plain text", as_plain_text)
TURNS = Form("named turns", _turns, ("\nUser:", "\n\nAssistant:"))
CHATML = Form("ChatML", _chatml)


@dataclass(frozen=True, slots=True, kw_only=True)
class Language:
    """A network and its tokenizer, and how it is asked; it answers as any Model does.

    `label` names it in figures; `state` is what decides its answers (weights' digest, course of tuning and step).
    """

    label: str
    state: str
    network: Any
    tokenizer: Any
    form: Form

    @property
    def name(self) -> str:
        return f"torch:{self.label}"

    @property
    def identity(self) -> dict[str, Any]:
        return {"kind": "torch", "state": self.state, "form": self.form.name}

    @property
    def parameters(self) -> int:
        """N, an embedding that is also the output matrix counted once."""
        return sum(one.numel() for one in self.network.parameters())

    def asked(self, form: Form) -> Language:
        """The same network, asked in another form."""
        return replace(self, form=form)

    def ids(self, messages: Sequence[Message]) -> list[int]:
        """What the network reads."""
        return list(self.tokenizer(self.form.write(messages))["input_ids"])

    async def sample(self, prompt: Prompt, decoding: Decoding, seeds: Sequence[int]) -> AsyncIterator[Response]:
        """All answers together; each has its own random numbers, so that a seed gives the same answer in any batch."""
        for response in await asyncio.to_thread(self._answers, prompt, decoding, seeds):
            yield response

    async def aclose(self) -> None:
        """Nothing to release: the network is the caller's."""

    def _answers(self, prompt: Prompt, decoding: Decoding, seeds: Sequence[int]) -> list[Response]:
        import torch

        read = torch.tensor([self.ids(with_system(prompt, decoding))])
        with _ONE_AT_A_TIME:
            answers = continued(self.network, read, decoding, seeds)
        return [
            Response(
                prompt=prompt,
                text=self._until_stop(self.tokenizer.decode(answer.tokens, skip_special_tokens=False)),
                index=place,
                model=self.name,
                seed=seeds[place],
                finish_reason="stop" if answer.has_ended else "length",
                prompt_tokens=read.shape[-1],
                completion_tokens=len(answer.tokens),
            )
            for place, answer in enumerate(answers)
        ]

    def _until_stop(self, text: str) -> str:
        for stop in self.form.stops:
            text = text.split(stop, 1)[0]
        return text.strip()


def open_language(spec: str) -> Language:
    """A model in torch, in single precision: "gemma3-270m", "smollm2", gguf:PATH or hf:NAME_OR_PATH.

    A GGUF file is dequantised into the user's cache at the first call (a minute). It is asked in ChatML where its
    tokenizer knows it, else in named turns. Raises MissingExtra without the extra `experiments`, ModelNotFound without
    the weights, InvalidInput for another name.
    """
    try:
        import accelerate  # noqa: F401
        import gguf  # noqa: F401
        import torch  # noqa: F401
        import transformers  # noqa: F401
    except ImportError as error:
        raise MissingExtra(error.name or "transformers", "experiments") from error
    scheme, _, rest = spec.partition(":")
    if spec in PACKAGED:
        return _of_gguf(spec, PACKAGED[spec].path())
    if scheme == "gguf" and rest:
        return _of_gguf(spec, Path(rest))
    if scheme == "hf" and rest:
        return _of_folder(spec, rest)
    raise InvalidInput(f"model {spec!r} must be one of {', '.join(PACKAGED)}, gguf:PATH, hf:NAME_OR_PATH")


def _of_gguf(spec: str, path: Path) -> Language:
    if not path.is_file():
        raise ModelNotFound(f"{str(path)!r} is no file; give the path of a .gguf")
    name = spec if spec in PACKAGED else path.stem
    folder = platformdirs.user_cache_path("ethostat") / "torch" / f"{name}-{sha256_of(path)[:16]}"
    if not (folder / "whole").exists():
        _dequantise(path, folder, shorten=spec in _CUT)
    return replace(_of_folder(spec, str(folder)), state=folder.name)


def _of_folder(spec: str, source: str) -> Language:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    try:
        network = AutoModelForCausalLM.from_pretrained(source, dtype="float32", attn_implementation="eager").eval()
        tokenizer = AutoTokenizer.from_pretrained(source)
    except (OSError, ValueError) as error:
        raise ModelNotFound(f"{spec} is neither a model directory nor a model that can be fetched") from error
    form = CHATML if "<|im_start|>" in tokenizer.get_vocab() else TURNS
    return Language(label=spec, state=source, network=network, tokenizer=tokenizer, form=form)


def dequantised(path: Path) -> tuple[Any, Any]:
    """The network (single precision) and the tokenizer of a GGUF file."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(path.parent, gguf_file=path.name)
    read = AutoModelForCausalLM.from_pretrained(path.parent, gguf_file=path.name, dtype="float32")
    # A network read from GGUF is marked as quantised and refuses to be saved; its weights in a new one do not.
    settings = read.config
    settings.__dict__.pop("quantization_config", None)
    settings.__dict__.pop("_pre_quantization_dtype", None)
    network = AutoModelForCausalLM.from_config(settings)
    network.load_state_dict(read.state_dict())
    network.tie_weights()
    network.generation_config = read.generation_config
    return network.eval(), tokenizer


def _dequantise(path: Path, folder: Path, *, shorten: bool) -> None:
    network, tokenizer = dequantised(path)
    if shorten:
        network, tokenizer = cut(network, tokenizer, kept_tokens(tokenizer, RANK))
    network.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    (folder / "whole").write_text(json.dumps({"source": path.name}))
