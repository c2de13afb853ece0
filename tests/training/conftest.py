"""What the training tests stand on: backbones made here, rows written here, and no network."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

os.environ["HF_HUB_OFFLINE"] = "1"  # before transformers is imported

import making


@pytest.fixture(scope="session")
def one_thread() -> Iterator[None]:
    """One thread, so that a run is the same on every machine and leaves the other cores alone."""
    torch = pytest.importorskip("torch", reason="the extra `train` is not installed")
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def t5(one_thread: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A T5 of two layers that nobody has trained."""
    return making.tiny_t5(tmp_path_factory.mktemp("t5"))


@pytest.fixture(scope="session")
def bert(one_thread: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A BERT of two layers that nobody has trained."""
    return making.tiny_bert(tmp_path_factory.mktemp("bert"))


@pytest.fixture(scope="session")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Rows of three goals, as JSONL."""
    return making.write_rows(tmp_path_factory.mktemp("rows") / "rows.jsonl", making.rows(360))
