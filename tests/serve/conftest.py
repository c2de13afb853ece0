"""Services run in folders of their own, on SQLite and on PostgreSQL."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from databases import database, postgres_database, postgres_server  # noqa: F401
from proxied import served


@pytest.fixture(autouse=True)
def _at_home(tmp_path, monkeypatch):
    """Every test runs in a folder of its own, with its own data folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "home"))
    for name in [name for name in os.environ if name.startswith("ETHOSTAT_")]:
        monkeypatch.delenv(name)


@pytest.fixture
def serve() -> Iterator[Callable[[Any], str]]:
    """Serves apps until the test ends."""
    with ExitStack() as stack:
        yield lambda app: stack.enter_context(served(app))
