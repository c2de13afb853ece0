"""Servers that last as long as a test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from proxied import served


@pytest.fixture
def serve() -> Iterator[Callable[[Any], str]]:
    """Serves apps until the test ends."""
    with ExitStack() as stack:
        yield lambda app: stack.enter_context(served(app))
