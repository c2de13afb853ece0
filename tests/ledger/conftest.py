"""Every test of the ledger runs on SQLite and on PostgreSQL."""

from __future__ import annotations

import pytest

from databases import database, postgres_database, postgres_server  # noqa: F401
from ethostat.ledger import Ledger


@pytest.fixture
def ledger(database):  # noqa: F811
    """A ledger in an empty database."""
    with Ledger(database) as opened:
        yield opened
