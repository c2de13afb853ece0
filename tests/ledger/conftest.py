"""Every test of the ledger runs on SQLite and on PostgreSQL."""

from __future__ import annotations

from itertools import count

import pytest

from ethostat.ledger import Ledger
from servers import new_database, postgres

_NUMBERS = count()


@pytest.fixture(scope="session")
def postgres_server(tmp_path_factory):
    """A PostgreSQL server for all tests."""
    with postgres(tmp_path_factory.mktemp("postgres") / "db") as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request, tmp_path):
    """An empty database: a path, or a URL."""
    if request.param == "sqlite":
        return str(tmp_path / "serve.db")
    return new_database(request.getfixturevalue("postgres_server"), f"ledger{next(_NUMBERS)}")


@pytest.fixture
def ledger(database):
    """A ledger in an empty database."""
    with Ledger(database) as opened:
        yield opened
