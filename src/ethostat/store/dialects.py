"""The few statements that SQLite and PostgreSQL write alike and SQL does not know."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Insert, Table
from sqlalchemy.dialects import postgresql, sqlite

from ethostat.errors import StoreError

_INSERTS: dict[str, Any] = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}


def insert_new(connection: Connection, table: Table) -> Insert:
    """An insert that leaves a row alone that is there already."""
    statement: Insert = _insert(connection, table).on_conflict_do_nothing()
    return statement


def insert_or_replace(connection: Connection, table: Table, keys: Sequence[str], values: Sequence[str]) -> Insert:
    """An insert that, where there is a row with the same `keys`, replaces its `values`."""
    made = _insert(connection, table)
    statement: Insert = made.on_conflict_do_update(
        index_elements=list(keys), set_={name: made.excluded[name] for name in values}
    )
    return statement


def _insert(connection: Connection, table: Table) -> Any:
    name = connection.dialect.name
    if name not in _INSERTS:
        raise StoreError(f"a service needs SQLite or PostgreSQL, not {name}; choose another --db")
    return _INSERTS[name](table)
