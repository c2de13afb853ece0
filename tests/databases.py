"""Fixtures: an empty database of each kind, PostgreSQL from a server of its own."""

from __future__ import annotations

from itertools import count

import pytest

from servers import new_database, postgres

_NUMBERS = count()


@pytest.fixture(scope="session")
def postgres_server(tmp_path_factory):
    """A PostgreSQL server for all tests."""
    with postgres(tmp_path_factory.mktemp("postgres") / "db") as url:
        yield url


@pytest.fixture
def postgres_database(postgres_server):
    """An empty database on that server."""
    return new_database(postgres_server, f"test{next(_NUMBERS)}")


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request, tmp_path):
    """An empty database of either kind: a path, or a URL."""
    if request.param == "sqlite":
        return str(tmp_path / "serve.db")
    return request.getfixturevalue("postgres_database")
