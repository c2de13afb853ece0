"""Opens a database: reads its URL, sets up SQLite, applies migrations, translates errors."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, inspect, make_url, text
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, OperationalError, SQLAlchemyError

from ethostat.errors import MissingExtra, StoreError
from ethostat.store.tables import SCHEMA, VERSION_TABLE

_LOCK_WAIT_SECONDS = 60
# A server that is gone is noticed within seconds, also where the network swallows packets without a word.
_CONNECTING: dict[str, dict[str, Any]] = {"postgresql": {"connect_timeout": 5, "tcp_user_timeout": 10_000}}
_MIGRATING = 0x6574686F73746174
"""The number of the lock under which one process migrates: "ethostat" in ASCII."""
_MIGRATIONS = Path(__file__).parent.parent / "migrations"


def read_url(database: str | Path) -> URL:
    """The URL of a database; a plain path is a SQLite file. Raises StoreError for what cannot be one."""
    name = str(database)
    if "://" not in name:
        return URL.create("sqlite", database=str(Path(name).expanduser()))
    try:
        url = make_url(name)
    except (ArgumentError, ValueError) as error:
        raise StoreError(
            "the database URL cannot be read; pass a path (runs.db) or dialect://user:password@host/name"
        ) from error
    if url.drivername in {"postgres", "postgresql"}:
        return url.set(drivername="postgresql+psycopg")
    return url


def shown(url: URL) -> str:
    """The URL as it may be printed: SQLite by its path, others without password."""
    if url.get_backend_name() == "sqlite":
        return str(url.database)
    return url.set(query={}).render_as_string(hide_password=True)


def lock_path(url: URL) -> Path | None:
    """The file beside a SQLite database that says which runs are being sampled; None for other databases."""
    return Path(f"{url.database}.lock") if url.get_backend_name() == "sqlite" else None


def open_database(url: URL, *, create: bool) -> Engine:
    """An engine on a database whose tables are of this version. Raises StoreError where that cannot be had."""
    if url.get_backend_name() == "sqlite":
        _check_file(url, create=create)
    engine = _engine(url)
    try:
        with translated(url):
            version = _version(engine)
            if version != SCHEMA:
                _migrate(engine, url, version)
    except BaseException:
        engine.dispose()
        raise
    return engine


@contextmanager
def translated(url: URL) -> Iterator[None]:
    """Turns SQLAlchemy's errors into StoreError naming the database and the next step."""
    try:
        yield
    except SQLAlchemyError as error:
        reason = str(getattr(error, "orig", None) or error).strip().splitlines()[0]
        raise StoreError(f"{shown(url)}: {reason}; {_next_step(error, reason)}") from error


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """A transaction that will write: SQLite takes its lock at once, so that it waits instead of failing later."""
    with engine.connect().execution_options(ethostat_writes=True) as connection, connection.begin():
        yield connection


def _check_file(url: URL, *, create: bool) -> None:
    if not url.database or url.database == ":memory:":
        raise StoreError("a database in memory forgets what it was paid for; name a file, such as runs.db")
    path = Path(url.database)
    if not path.exists() and not create:
        raise StoreError(f"there is no database at {path}; check --db, or measure something first")
    if not path.parent.is_dir():
        raise StoreError(f"{path}: the folder {path.parent} does not exist; create it first")


def _engine(url: URL) -> Engine:
    try:
        sqlite = url.get_backend_name() == "sqlite"
        options = {"timeout": _LOCK_WAIT_SECONDS} if sqlite else _CONNECTING.get(url.get_backend_name(), {})
        # Parameters are what people and models said: they stay out of error messages.
        engine = create_engine(url, pool_pre_ping=not sqlite, hide_parameters=True, connect_args=options)
    except NoSuchModuleError as error:
        raise StoreError(f"{url.drivername!r} is not a known database; use sqlite:/// or postgresql://") from error
    except ModuleNotFoundError as error:
        if "psycopg" in str(error):
            raise MissingExtra("psycopg", "postgres") from error
        raise StoreError(
            f"{url.drivername!r} needs the Python module {error.name}; install it, or name a path"
        ) from error
    if sqlite:
        event.listen(engine, "connect", _set_up_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
    return engine


def _set_up_sqlite(connection: Any, _record: object) -> None:
    # The driver's own transaction control neither covers table changes nor takes the lock early; see _begin_sqlite.
    connection.isolation_level = None
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}").close()


def _begin_sqlite(connection: Connection) -> None:
    writes = connection.get_execution_options().get("ethostat_writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _version(engine: Engine) -> str | None:
    with engine.connect() as connection:
        return _version_in(connection)


def _version_in(connection: Connection) -> str | None:
    if not inspect(connection).has_table(VERSION_TABLE):
        return None
    return connection.execute(text(f"SELECT version_num FROM {VERSION_TABLE}")).scalar()  # noqa: S608


def check_version(url: URL) -> None:
    """Raises StoreError where the tables are not of this version, before anything is changed in them."""
    engine = _engine(url)
    try:
        with translated(url):
            version = _version(engine)
    finally:
        engine.dispose()
    if version != SCHEMA:
        _refuse_newer(url, version)
        raise StoreError(
            f"{shown(url)} has the tables of schema {version}, and this ethostat those of {SCHEMA}; use the version "
            "that wrote it, or start the service once, which brings it up to date"
        )


def _migrate(engine: Engine, url: URL, version: str | None) -> None:
    _refuse_newer(url, version)
    # Alembic takes half a second to import and is not needed to open a database that is up to date.
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    with writing(engine) as connection:
        if connection.dialect.name == "postgresql":  # SQLite has one writer anyway
            connection.execute(text("SELECT pg_advisory_xact_lock(:one)"), {"one": _MIGRATING})
        found = _version_in(connection)
        _refuse_newer(url, found)
        if found != SCHEMA:  # another process may have been faster
            config.attributes["connection"] = connection
            command.upgrade(config, "head")


def _refuse_newer(url: URL, version: str | None) -> None:
    if version is not None and version > SCHEMA:
        raise StoreError(
            f"{shown(url)} was written by a newer ethostat (schema {version}, this one knows {SCHEMA}); "
            "upgrade ethostat, or choose another --db"
        )


def _next_step(error: SQLAlchemyError, reason: str) -> str:
    if "not a database" in reason:
        return "choose another --db: this file is something else"
    if "full" in reason:
        return "free disk space, then run the same command again: it goes on where it stopped"
    if "locked" in reason:
        return "another process is writing to it; wait, or choose another --db"
    if isinstance(error, OperationalError):
        return "check that the database can be reached and written to"
    return "check the database, then run the same command again"
