"""The real models that the contract is held against."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from ethostat.models.base import Model
from ethostat.models.function import FunctionModel
from ethostat.models.http import HTTPModel
from ethostat.models.local import LocalModel
from ethostat.models.simulated import SimulatedModel
from servers import llama_server


@pytest.fixture(scope="session")
def llama() -> Iterator[str]:
    """The base URL of llama.cpp's own server with SmolLM2."""
    with llama_server(slots=8, context=256) as url:
        yield url


@pytest.fixture(scope="session")
def smollm2() -> Iterator[LocalModel]:
    """SmolLM2 in this process."""
    model = LocalModel("smollm2", slots=8, context=256)
    yield model
    asyncio.run(model.aclose())


@pytest.fixture(params=["function", "simulated", "http", "http-base", "local"])
def model(request: pytest.FixtureRequest) -> Model:
    """Every Model in turn."""
    if request.param == "function":
        return FunctionModel(lambda prompt, seed: " ".join(f"{prompt.id[0]}{seed * i}" for i in range(1, 90)))
    if request.param == "simulated":
        return SimulatedModel("constant", {"at": 1.0})
    if request.param == "local":
        return request.getfixturevalue("smollm2")
    kind = "completions" if request.param == "http-base" else "chat"
    return HTTPModel(request.getfixturevalue("llama"), "smollm2", kind=kind)
