"""TransformersModel: a Hugging Face causal language model in this process."""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

from ethostat.errors import ContextOverflow, MissingExtra, ModelError, ModelNotFound
from ethostat.models.base import Decoding, as_plain_text, as_they_come, with_system
from ethostat.models.weights import sha256_of_folder
from ethostat.response import Prompt, Response


class TransformersModel:
    """A causal language model of the Hugging Face format, on the GPU where torch finds one (extra `train`).

    `name_or_path` is a directory, or the name of a model on the hub. Conversations go through the tokenizer's
    chat template; without a template the model continues plain text. Up to `batch` answers are sampled
    together, each from its own random numbers: an answer depends on its seed, not on its neighbours, apart
    from ties decided by rounding.
    """

    def __init__(self, name_or_path: str, *, batch: int = 8, device: str | None = None) -> None:
        try:
            import torch  # noqa: F401
            import transformers  # noqa: F401
        except ImportError as error:
            raise MissingExtra(error.name or "torch", "train") from error
        self._source, self._batch, self._device = name_or_path, batch, device
        self._loaded: tuple[Any, Any] | None = None
        self._lock = asyncio.Lock()

    @property
    def name(self) -> str:
        return f"hf:{self._source}"

    @property
    def identity(self) -> dict[str, Any]:
        """A directory is known by the digest of its files, a model of the hub by its name and revision."""
        directory = Path(self._source)
        if directory.is_dir():
            return {"kind": "transformers", "sha256": sha256_of_folder(directory)}
        model, _ = self._load()
        return {"kind": "transformers", "name": self._source, "revision": getattr(model.config, "_commit_hash", None)}

    def __repr__(self) -> str:
        return f"TransformersModel({self._source!r})"

    async def sample(self, prompt: Prompt, decoding: Decoding, seeds: Sequence[int]) -> AsyncIterator[Response]:
        """Answers in batches, one batch at a time."""
        streams = [
            self._answer(prompt, decoding, start, seeds[start : start + self._batch])
            for start in range(0, len(seeds), self._batch)
        ]
        async for response in as_they_come(streams):
            yield response

    async def aclose(self) -> None:
        """Free the weights; the model loads again if it is used again."""
        self._loaded = None

    async def _answer(
        self, prompt: Prompt, decoding: Decoding, start: int, seeds: Sequence[int]
    ) -> AsyncIterator[Response]:
        async with self._lock:
            responses = await asyncio.to_thread(self._generate, prompt, decoding, start, seeds)
        for response in responses:
            yield response

    def _generate(self, prompt: Prompt, decoding: Decoding, start: int, seeds: Sequence[int]) -> list[Response]:
        model, tokenizer = self._load()
        began = time.monotonic()
        tokens = self._encode(tokenizer, prompt, decoding).to(model.device)
        _refuse_overflow(self.name, model, tokens.shape[-1], decoding.max_tokens)
        answers = continued(model, tokens, decoding, seeds)
        seconds = time.monotonic() - began
        return [
            Response(
                prompt=prompt,
                text=tokenizer.decode(answer.tokens, skip_special_tokens=True),
                index=start + i,
                model=self.name,
                seed=seeds[i],
                finish_reason="stop" if answer.has_ended else "length",
                prompt_tokens=tokens.shape[-1],
                completion_tokens=len(answer.tokens),
                seconds=seconds,
            )
            for i, answer in enumerate(answers)
        ]

    def _encode(self, tokenizer: Any, prompt: Prompt, decoding: Decoding) -> Any:
        messages = with_system(prompt, decoding)
        if getattr(tokenizer, "chat_template", None) is None:
            return tokenizer(as_plain_text(messages), return_tensors="pt")["input_ids"]
        rows = [{"role": m.role, "content": m.content} for m in messages]
        text = tokenizer.apply_chat_template(rows, add_generation_prompt=True, tokenize=False)
        return tokenizer(text, return_tensors="pt", add_special_tokens=False)["input_ids"]

    def _load(self) -> tuple[Any, Any]:
        if self._loaded is None:
            self._loaded = _read(self._source, self._device)
        return self._loaded


class _Unfinished:
    """An answer while it is written."""

    def __init__(self, generator: Any) -> None:
        self.generator = generator
        self.tokens: list[int] = []
        self.has_ended = False


def _read(source: str, device: str | None) -> tuple[Any, Any]:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(source)
        model = AutoModelForCausalLM.from_pretrained(source)
    except OSError as error:
        raise ModelNotFound(f"hf:{source} is neither a model directory nor a model that can be fetched") from error
    except (ValueError, RuntimeError) as error:
        raise ModelError(f"hf:{source} cannot be loaded as a causal language model: {error}") from error
    return model.to(device or ("cuda" if torch.cuda.is_available() else "cpu")).eval(), tokenizer


def _refuse_overflow(name: str, model: Any, prompt_tokens: int, max_tokens: int) -> None:
    context = getattr(model.config, "max_position_embeddings", None)
    if context is not None and prompt_tokens + max_tokens > context:
        raise ContextOverflow(
            f"{name}: {prompt_tokens} tokens of prompt and {max_tokens} of answer exceed the model's context of "
            f"{context}; shorten the prompt or lower max_tokens"
        )


def continued(model: Any, prompt_tokens: Any, decoding: Decoding, seeds: Sequence[int]) -> list[_Unfinished]:
    """One answer a seed. The prompt is read once and its cache repeated for the batch."""
    import torch

    answers = [_Unfinished(torch.Generator().manual_seed(seed % 2**63)) for seed in seeds]
    ends = _end_tokens(model)
    # The argument has another name in newer transformers. What it holds grows in place.
    held = "cache" if "cache" in inspect.signature(model.forward).parameters else "past_key_values"
    with torch.inference_mode():
        step = model(prompt_tokens, use_cache=True)
        cache = step.past_key_values
        cache.batch_repeat_interleave(len(seeds))
        logits = step.logits[:, -1].repeat(len(seeds), 1)
        for _ in range(decoding.max_tokens):
            chosen = [
                _choose(row, decoding, answer.generator)
                for row, answer in zip(logits.float().cpu(), answers, strict=True)
            ]
            for token, answer in zip(chosen, answers, strict=True):
                answer.has_ended = answer.has_ended or token in ends
                if not answer.has_ended:
                    answer.tokens.append(token)
            if all(answer.has_ended for answer in answers):
                break
            following = torch.tensor(chosen, device=prompt_tokens.device)[:, None]
            logits = model(following, use_cache=True, **{held: cache}).logits[:, -1]
    return answers


def _choose(logits: Any, decoding: Decoding, generator: Any) -> int:
    """One token from the tempered distribution, cut to the nucleus of mass top_p."""
    import torch

    if decoding.temperature == 0:
        return int(logits.argmax())
    probabilities = torch.softmax(logits / decoding.temperature, dim=-1)
    if decoding.top_p < 1:
        ordered, places = probabilities.sort(descending=True)
        ordered[ordered.cumsum(0) - ordered >= decoding.top_p] = 0
        return int(places[torch.multinomial(ordered, 1, generator=generator)])
    return int(torch.multinomial(probabilities, 1, generator=generator))


def _end_tokens(model: Any) -> set[int]:
    ends = model.generation_config.eos_token_id
    if ends is None:
        return set()
    return set(ends) if isinstance(ends, (list, tuple)) else {ends}
