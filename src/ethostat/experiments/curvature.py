"""Curvature: the Fisher matrix of a language model, by its largest eigenvalues and its trace.

F is that of the next token's distribution, averaged over T positions of given texts: the mean of J' (diag p - p p') J,
with J the derivative of a position's logits by all N parameters and p its probabilities. It is exact for these
positions: no label is drawn. F has N^2 entries, but its eigenvalues above 0 are those of A = C' J J' C / T, with
C = diag(r) - p r', r the root of p, whose vectors have one entry a position and token. One product with A is one
derivative backward (J' C v) and one forward (J of that). Source: Martens 2020, sections 5 and 9; Amari 1998.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ethostat.errors import InvalidInput
from ethostat.experiments.language import Language, open_language
from ethostat.maths.estimate import Estimate
from ethostat.maths.spectrum import critical_rate, lanczos, trace
from ethostat.models.base import Decoding
from ethostat.models.transformers import continued
from ethostat.response import Prompt, PromptSet

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Text:
    """Tokens, and the place of the first of them whose distribution counts."""

    ids: tuple[int, ...]
    start: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Curvature:
    """What is known of a Fisher matrix: an eigenvalue lies within each residual of each of `eigenvalues`.

    `parameters` is N, `positions` T. `critical_rate` is gamma_crit of arXiv 2511.10704, (lambda_max / 2) ln N.
    """

    model: str
    parameters: int
    positions: int
    eigenvalues: tuple[float, ...]
    residuals: tuple[float, ...]
    trace: Estimate
    critical_rate: float

    def to_dict(self) -> dict[str, Any]:
        """Plain values; the JSON form."""
        return {
            "model": self.model,
            "parameters": self.parameters,
            "positions": self.positions,
            "eigenvalues": list(self.eigenvalues),
            "residuals": list(self.residuals),
            "trace": self.trace.to_dict(),
            "critical_rate": self.critical_rate,
        }


def curvature(
    language: Language,
    texts: Sequence[Text],
    *,
    eigenvalues: int = 5,
    steps: int = 10,
    probes: int = 4,
    seed: int = 7,
    progress: Callable[[str], None] = lambda _line: None,
) -> Curvature:
    """The largest eigenvalues and the trace of the Fisher matrix over these texts.

    `steps` bounds the products of the Lanczos iteration, `probes` are those of the trace; a product costs about six
    readings of the texts. Raises InvalidInput where no position counts.
    """
    positions = sum(len(one.ids) - one.start + 1 for one in texts)
    if not texts or any(not 1 <= one.start <= len(one.ids) for one in texts):
        raise InvalidInput("a Fisher matrix needs texts, each with a position from 1 to its length")
    product = _Product(language.network, texts, progress)
    rng = np.random.default_rng(seed)
    found = lanczos(product, product.size, steps=steps, rng=rng)
    return Curvature(
        model=language.label,
        parameters=language.parameters,
        positions=positions,
        eigenvalues=tuple(map(float, found.values[:eigenvalues])),
        residuals=tuple(map(float, found.residuals[:eigenvalues])),
        trace=trace(product, product.size, probes=probes, rng=rng),
        critical_rate=critical_rate(max(0.0, float(found.values[0])), language.parameters),
    )


def fisher(
    spec: str,
    prompts: PromptSet,
    *,
    most: int = 4,
    tokens: int = 12,
    steps: int = 10,
    probes: int = 4,
    seed: int = 7,
    on_progress: Callable[[str], None] = lambda _line: None,
) -> Curvature:
    """The curvature of a model where its own answers to these prompts go: each of the first `most` is answered once.

    `spec` names a model as `open_language` takes it; `tokens` of each answer count. Raises InvalidInput for a number
    below 1, MissingExtra without the extra `experiments`, ModelNotFound without the weights.
    """
    for name, value in {"most": most, "max tokens": tokens, "steps": steps}.items():
        if value < 1:
            raise InvalidInput(f"{name} must be at least 1, got {value}")
    language = open_language(spec)
    on_progress(f"{language.label} answers {min(most, len(prompts))} prompts")
    texts = own_texts(language, prompts.prompts[:most], tokens=tokens, seed=seed)
    return curvature(language, texts, steps=steps, probes=probes, seed=seed, progress=on_progress)


def own_texts(language: Language, prompts: Sequence[Prompt], *, tokens: int, seed: int) -> list[Text]:
    """What the model itself says to these prompts, once each at temperature 1: F where the model goes."""
    import torch

    texts = []
    for place, prompt in enumerate(prompts):
        asked = language.ids(prompt.messages)
        decoding = Decoding(temperature=1.0, max_tokens=tokens)
        said = continued(language.network, torch.tensor([asked]), decoding, [seed + place])[0].tokens
        texts.append(Text((*asked, *said), len(asked)))
    return texts


class _Product:
    """A times a vector of one entry a position and token, flat."""

    def __init__(self, network: Any, texts: Sequence[Text], progress: Callable[[str], None]) -> None:
        import torch

        self._network, self._progress, self._done = network, progress, 0
        self._weights = {name: one.detach() for name, one in network.named_parameters()}
        self._read = [torch.tensor([one.ids]) for one in texts]
        self._places = [torch.arange(one.start - 1, len(one.ids)) for one in texts]
        with torch.no_grad():
            self._shares = [self._logits(each)(self._weights).softmax(-1) for each in range(len(texts))]
        self._positions = sum(len(one) for one in self._places)
        self.size = sum(one.numel() for one in self._shares)

    def __call__(self, vector: Floats) -> Floats:
        import torch

        parts = torch.as_tensor(vector, dtype=self._shares[0].dtype).split([one.numel() for one in self._shares])
        along: dict[str, Any] = {name: torch.zeros_like(one) for name, one in self._weights.items()}
        for each, part in enumerate(parts):
            self._add_backward(along, each, part.view_as(self._shares[each]))
        image = [self._forward(along, each).flatten() for each in range(len(parts))]
        self._done += 1
        self._progress(f"product {self._done} with the Fisher matrix of {len(self._read)} texts")
        return np.asarray(torch.cat(image).double().numpy() / self._positions)

    def _add_backward(self, along: dict[str, Any], each: int, part: Any) -> None:
        """Adds J' C v of one text."""
        import torch

        shares = self._shares[each]
        root = shares.sqrt()
        seed = root * part - shares * (root * part).sum(-1, keepdim=True)
        weights = {name: one.requires_grad_() for name, one in self._weights.items()}
        found = torch.autograd.grad((self._logits(each)(weights) * seed).sum(), list(weights.values()))
        for name, one in zip(weights, found, strict=True):
            along[name] += one
            self._weights[name].requires_grad_(False)

    def _forward(self, along: dict[str, Any], each: int) -> Any:
        """C' J of a direction among the parameters, for one text."""
        import torch

        _, moved = torch.func.jvp(self._logits(each), (self._weights,), (along,))
        shares = self._shares[each]
        root = shares.sqrt()
        return (root * moved - root * (shares * moved).sum(-1, keepdim=True)).detach()

    def _logits(self, each: int) -> Callable[[dict[str, Any]], Any]:
        """The logits at the positions that count, as a function of all parameters."""
        import torch

        def of(weights: dict[str, Any]) -> Any:
            options = {"use_cache": False, "logits_to_keep": self._places[each]}
            return torch.func.functional_call(self._network, weights, (self._read[each],), options).logits[0]

        return of
