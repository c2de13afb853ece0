"""Which store: the caller's, the user's own, or one that lives as long as a call."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from platformdirs import user_data_path

from ethostat.store.store import Store


def default_path() -> Path:
    """ethostat.db in the user's data folder, which is made where it is missing."""
    return user_data_path("ethostat", appauthor=False, ensure_exists=True) / "ethostat.db"


@contextmanager
def opened(store: Store | None) -> Iterator[Store]:
    """The caller's store, left open, or one in a temporary folder."""
    if store is not None:
        yield store
        return
    with tempfile.TemporaryDirectory(prefix="ethostat-") as folder, Store(Path(folder) / "runs.db") as own:
        yield own
