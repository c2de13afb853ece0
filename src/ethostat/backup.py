"""Backup and restore: everything of a database (runs, events, monitors, alerts, keys) in one SQLite file, and back.

A backup is a snapshot: what was on disk at one moment, while others go on writing. It is taken of a SQLite file or of
PostgreSQL, and restored into either, so that it is also the way from one to the other.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import URL, Connection, Engine, Table, delete, func, insert, select, text, update

from ethostat.access import tables as access_tables
from ethostat.errors import InvalidInput, StoreError
from ethostat.ledger import tables as ledger_tables
from ethostat.store.database import check_version, open_database, read_url, shown, translated, writing
from ethostat.store.tables import SCHEMA, VERSION_TABLE, metadata
from ethostat.whole import replacing

_AT_ONCE = 2_000
_OWN = 0o600
_LOCKS = (
    "UPDATE positions SET owner = NULL, lease_until = NULL",
    "DELETE FROM processes",
    "DELETE FROM sessions",
)
"""What belonged to the processes and log-ins of then."""


@dataclass(frozen=True, slots=True)
class Copied:
    """What was copied: where it lies now, its size in bytes where it is a file, and how many rows of each table."""

    place: str
    bytes: int | None
    rows: dict[str, int]


def back_up(database: str | Path, out: str | Path) -> Copied:
    """Write a snapshot of a database to `out`, a SQLite file that none but its owner reads: whole, or not there.

    A file is copied page by page without what was erased from it; PostgreSQL row by row, in one transaction that sees
    no later one. Nobody who writes is held up. Raises InvalidInput where `out` exists, StoreError where the database
    cannot be read or was written by another version.
    """
    url, place = read_url(database), Path(out).expanduser()
    if place.exists():
        raise InvalidInput(f"{place} exists; a backup takes the place of no file: name another, or remove it first")
    with _errors_of(place), replacing(place) as unfinished:
        if url.get_backend_name() == "sqlite":
            _vacuumed(Path(str(url.database)), unfinished)
        else:
            _rows_to_file(url, unfinished)
        rows = _checked(unfinished)
        unfinished.chmod(_OWN)
    return Copied(str(place), place.stat().st_size, rows)


def restore(backup: str | Path, database: str | Path) -> Copied:
    """Fill an empty database with what a backup holds: a path where no file is yet, or PostgreSQL without rows of ours.

    It is restored whole or not at all. Log-ins have ended in it, and no process has its streams; deliveries of alerts
    that were queued then are made. Raises InvalidInput where the database is not empty, StoreError where the backup is
    damaged or of a newer version.
    """
    place, url = Path(backup).expanduser(), read_url(database)
    if not place.is_file():
        raise InvalidInput(f"there is no backup {place}; `ethostat db backup --out FILE` makes one")
    with _errors_of(place):
        _checked(place)
        if url.get_backend_name() == "sqlite":
            return _restored_file(place, Path(str(url.database)))
        return _restored_rows(place, url)


def _restored_file(backup: Path, path: Path) -> Copied:
    if path.exists():
        raise InvalidInput(f"{path} exists; a backup is restored to a path where nothing is: name another")
    with replacing(path) as unfinished:
        _vacuumed(backup, unfinished)
        with closing(sqlite3.connect(unfinished, isolation_level=None)) as connection:
            there = _tables_in(connection)
            for statement in _LOCKS:
                if there & set(statement.split()):
                    connection.execute(statement)
        rows = _checked(unfinished)
        unfinished.chmod(_OWN)
    return Copied(str(path), path.stat().st_size, rows)


def _restored_rows(backup: Path, url: URL) -> Copied:
    """A backup of an older version is brought up to date beside itself first."""
    beside = backup.with_name(f"{backup.name}.{os.getpid()}.current")
    try:
        _vacuumed(backup, beside)
        source, target = open_database(read_url(beside), create=False), open_database(url, create=True)
        with (
            closing(_Both(source, target)),
            translated(url),
            source.connect() as reading,
            writing(target) as connection,
        ):
            _check_empty(connection, url)
            rows = _copy(reading, connection)
            _let_go(connection)
            _count_on(connection)
    finally:
        for name in (beside, Path(f"{beside}-wal"), Path(f"{beside}-shm")):
            name.unlink(missing_ok=True)
    return Copied(shown(url), None, rows)


def _rows_to_file(url: URL, path: Path) -> None:
    check_version(url)
    source, target = open_database(url, create=False), open_database(read_url(path), create=True)
    with closing(_Both(source, target)), translated(url):
        one_moment = source.connect().execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
        with one_moment as reading, writing(target) as connection:
            _copy(reading, connection)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode = DELETE")  # one file, not three


@dataclass(frozen=True, slots=True)
class _Both:
    """Two engines that are closed together."""

    source: Engine
    target: Engine

    def close(self) -> None:
        self.source.dispose()
        self.target.dispose()


def _tables() -> list[Table]:
    """All of them, those that are referred to before those that refer to them."""
    assert {ledger_tables.events, access_tables.audit} <= set(metadata.sorted_tables)  # noqa: S101 - imported above
    return list(metadata.sorted_tables)


def _copy(source: Connection, target: Connection) -> dict[str, int]:
    """Every row of every table; gives how many."""
    counts = {}
    for table in _tables():
        rows = source.execution_options(yield_per=_AT_ONCE).execute(select(table))
        counts[table.name] = 0
        for some in rows.mappings().partitions(_AT_ONCE):
            target.execute(insert(table), [dict(row) for row in some])
            counts[table.name] += len(some)
    return counts


def _check_empty(connection: Connection, url: URL) -> None:
    for table in _tables():
        if found := connection.scalar(select(func.count()).select_from(table)):
            raise InvalidInput(
                f"{shown(url)} has {found:,} rows in {table.name!r}; a backup is restored into a database without any"
            )


def _let_go(connection: Connection) -> None:
    connection.execute(update(ledger_tables.positions).values(owner=None, lease_until=None))
    connection.execute(delete(ledger_tables.processes))
    connection.execute(delete(access_tables.sessions))


def _count_on(connection: Connection) -> None:
    """PostgreSQL numbers new rows from where the restored ones end."""
    for table in _tables():
        column = table.autoincrement_column
        if column is not None:
            where = {"name": table.name, "column": column.name}
            sequence = connection.scalar(text("SELECT pg_get_serial_sequence(:name, :column)"), where)
            last = connection.scalar(select(func.max(column)))
            if sequence is not None and last is not None:
                connection.execute(text("SELECT setval(:sequence, :last)"), {"sequence": sequence, "last": last})


# Files


def _vacuumed(path: Path, out: Path) -> None:
    """A copy of a SQLite file as of one moment, without free pages; writers go on meanwhile."""
    if not path.is_file():
        raise InvalidInput(f"there is no database at {path}; check --db")
    with closing(sqlite3.connect(path, timeout=60, isolation_level=None)) as connection:
        connection.execute("VACUUM INTO ?", (str(out),))


def _checked(path: Path) -> dict[str, int]:
    """The rows of a backup by table. Raises StoreError where it is damaged, not one of ours, or newer than we are."""
    with closing(sqlite3.connect(f"file:{_quoted(path)}?mode=ro", uri=True)) as connection:
        faults = [row[0] for row in connection.execute("PRAGMA integrity_check(3)")]
        if faults != ["ok"] or connection.execute("PRAGMA foreign_key_check").fetchone() is not None:
            raise StoreError(f"{path} is damaged: {faults[0]}; take another backup")
        there = _tables_in(connection)
        if VERSION_TABLE not in there:
            raise StoreError(f"{path} is a SQLite file and no database of ethostat; check its name")
        (version,) = connection.execute(f"SELECT version_num FROM {VERSION_TABLE}").fetchone()  # noqa: S608 - a constant
        if version > SCHEMA:
            raise StoreError(
                f"{path} was written by a newer ethostat (schema {version}, this one knows {SCHEMA}); upgrade first"
            )
        return {
            name: connection.execute(f'SELECT count(*) FROM "{name}"').fetchone()[0]  # noqa: S608 - names of ours
            for name in sorted(there & {table.name for table in _tables()})
        }


def _tables_in(connection: sqlite3.Connection) -> set[str]:
    return {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}


def _quoted(path: Path) -> str:
    return str(path).replace("%", "%25").replace("?", "%3f").replace("#", "%23")


@contextmanager
def _errors_of(path: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise StoreError(f"{path}: {error}; check the disk and that the file is a database of ethostat") from error
    except OSError as error:
        raise StoreError(f"{path} cannot be written or read ({error.strerror or error}); check the folder") from error
