"""Register: keys, users, sessions and what was done with them, in the service's database."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from sqlalchemy import Connection, Row, Select, delete, exists, insert, select, update

from ethostat.access import tables as t
from ethostat.access.identity import KEY, USER, Identity, checked_name, checked_scopes
from ethostat.access.secrets import (
    MintedKey,
    check_password,
    hash_password,
    hashed,
    is_password,
    mint_key,
    mint_token,
    prefix_of,
    same,
)
from ethostat.errors import InvalidInput
from ethostat.store.database import open_database, read_url, shown, translated, writing

SESSION_SECONDS = 12 * 3600.0
"""How long a log-in lasts."""
_LONGEST_ADDRESS = 64


@dataclass(frozen=True, slots=True)
class ApiKey:
    """What is known of a key, which is all but the key. Times in seconds since 1970."""

    prefix: str
    name: str
    tenant: str
    scopes: frozenset[str]
    created: float
    expires: float | None
    revoked: float | None

    def is_valid(self, now: float) -> bool:
        """Whether it opens anything."""
        return self.revoked is None and (self.expires is None or now < self.expires)


@dataclass(frozen=True, slots=True)
class User:
    """What is known of a user; `is_removed` ones cannot log in."""

    name: str
    tenant: str
    scopes: frozenset[str]
    created: float
    is_removed: bool


@dataclass(frozen=True, slots=True)
class Act:
    """A line of the audit log: who did what to what, from where, and what came of it; `number` orders lines."""

    time: float
    tenant: str
    actor: str
    action: str
    subject: str
    address: str | None
    outcome: str
    number: int = 0


class Register:
    """Who may do what. `database` is the service's: a path, made if absent unless `create` is false, or a URL.

    Every method may be called from any thread, and is on disk when it returns. Raises StoreError where the database
    cannot do what was asked.
    """

    def __init__(self, database: str | Path, *, create: bool = True) -> None:
        self._url = read_url(database)
        self._engine = open_database(self._url, create=create)
        is_file = self._url.get_backend_name() == "sqlite"
        self._turn: Any = threading.Lock() if is_file else nullcontext()

    @property
    def name(self) -> str:
        """The path or URL as it may be printed."""
        return shown(self._url)

    def close(self) -> None:
        """Release the connections. Safe to call twice."""
        self._engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def is_closed(self) -> bool:
        """Whether there ever was a key or a user: from then on everybody says who they are."""
        query = select(exists(select(t.api_keys.c.key)) | exists(select(t.users.c.key)))
        return bool(self._rows(query)[0][0])

    def has_way_in(self, now: float) -> bool:
        """Whether somebody can get in: a valid key, or a user."""
        return any(key.is_valid(now) for key in self.api_keys()) or any(not user.is_removed for user in self.users())

    # Keys

    def add_key(
        self, name: str, scopes: Iterable[str], *, tenant: str = "", expires: float | None = None, now: float, by: str
    ) -> MintedKey:
        """A new key, whose text is given here and never again. Raises InvalidInput."""
        checked_name(name, what="a key's name")
        if tenant:
            checked_name(tenant, what="a tenant")
        if expires is not None and expires <= now:
            raise InvalidInput("a key must expire in the future")
        minted = mint_key()
        row = {"prefix": minted.prefix, "hash": minted.hash, "name": name, "tenant": tenant, "created": now}
        with self._writing() as connection:
            allowed = sorted(checked_scopes(scopes))
            connection.execute(insert(t.api_keys), {**row, "scopes": allowed, "expires": expires})
            _note(connection, Act(now, tenant, by, "keys add", f"{minted.prefix} {name}", None, ", ".join(allowed)))
        return minted

    def api_keys(self) -> list[ApiKey]:
        """All keys, the oldest first, also those that are over."""
        return [_key(row) for row in self._rows(select(t.api_keys).order_by(t.api_keys.c.key))]

    def revoke_key(self, prefix: str, *, now: float, by: str) -> ApiKey:
        """End a key, which its prefix names. Raises InvalidInput where there is none."""
        this = t.api_keys.c.prefix == prefix.removeprefix("ethostat_")[:12]
        with self._writing() as connection:
            connection.execute(update(t.api_keys).where(this, t.api_keys.c.revoked.is_(None)).values(revoked=now))
            row = connection.execute(select(t.api_keys).where(this)).first()
            if row is None:
                raise InvalidInput(f"there is no key {prefix!r:.40}; `ethostat keys list` shows their prefixes")
            _note(connection, Act(now, row.tenant, by, "keys revoke", f"{row.prefix} {row.name}", None, "revoked"))
        return _key(row)

    def identify_key(self, text: str, now: float) -> tuple[Identity, float | None] | None:
        """Whose key this is and when it expires; None where it opens nothing."""
        prefix = prefix_of(text)
        rows = self._rows(select(t.api_keys).where(t.api_keys.c.prefix == prefix)) if prefix else []
        if not rows or not same(hashed(text), rows[0].hash):
            return None
        key = _key(rows[0])
        if not key.is_valid(now):
            return None
        return Identity(KEY, f"{key.prefix} {key.name}", key.tenant, key.scopes), key.expires

    # Users

    def add_user(
        self, name: str, password: str, scopes: Iterable[str], *, tenant: str = "", now: float, by: str
    ) -> None:
        """A new user, or one that was removed. Raises InvalidInput where the name is taken or the password is weak."""
        checked_name(name, what="a user's name")
        if tenant:
            checked_name(tenant, what="a tenant")
        check_password(password, name=name)
        allowed, kept = sorted(checked_scopes(scopes)), hash_password(password)
        values = {"password": kept, "tenant": tenant, "scopes": allowed, "created": now}
        with self._writing() as connection:
            row = connection.execute(select(t.users).where(t.users.c.name == name)).first()
            if row is not None and row.password is not None:
                raise InvalidInput(f"there is a user {name!r} already; `ethostat users password` changes the password")
            if row is None:
                connection.execute(insert(t.users), {"name": name, **values})
            else:
                connection.execute(update(t.users).where(t.users.c.key == row.key).values(**values))
            _note(connection, Act(now, tenant, by, "users add", name, None, ", ".join(allowed)))

    def set_password(self, name: str, password: str, *, now: float, by: str) -> None:
        """Another password; whoever is logged in as this user is logged out. Raises InvalidInput."""
        check_password(password, name=name)
        self._change_user(name, hash_password(password), Act(now, "", by, "users password", name, None, "changed"))

    def remove_user(self, name: str, *, now: float, by: str) -> None:
        """End a user; whoever is logged in as it is logged out. Raises InvalidInput where there is none."""
        self._change_user(name, None, Act(now, "", by, "users remove", name, None, "removed"))

    def users(self) -> list[User]:
        """All users by name, also those that were removed."""
        return [_user(row) for row in self._rows(select(t.users).order_by(t.users.c.name))]

    def log_in(self, name: str, password: str, *, now: float, address: str | None) -> str | None:
        """A new session's token, None where name or password is wrong; takes as long either way."""
        rows = self._rows(select(t.users).where(t.users.c.name == name))
        kept = rows[0].password if rows else None
        is_right = is_password(password, kept)
        token, tenant = mint_token(), rows[0].tenant if rows else ""
        with self._writing() as connection:
            outcome = "welcome" if is_right else "refused"
            _note(connection, Act(now, tenant, f"{USER}:{name[:200]}", "log in", "", address, outcome))
            if not is_right:
                return None
            connection.execute(delete(t.sessions).where(t.sessions.c.expires <= now))
            row = {"hash": hashed(token), "user_key": rows[0].key, "created": now, "expires": now + SESSION_SECONDS}
            connection.execute(insert(t.sessions), row)
        return token

    def identify_session(self, token: str, now: float) -> tuple[Identity, float] | None:
        """Whose session this is and when it ends; None where it is none."""
        query = (
            select(t.users, t.sessions.c.expires)
            .join(t.sessions, t.sessions.c.user_key == t.users.c.key)
            .where(t.sessions.c.hash == hashed(token), t.sessions.c.expires > now, t.users.c.password.is_not(None))
        )
        rows = self._rows(query)
        if not rows:
            return None
        user = _user(rows[0])
        return Identity(USER, user.name, user.tenant, user.scopes), rows[0].expires

    def log_out(self, token: str) -> None:
        """End a session."""
        with self._writing() as connection:
            connection.execute(delete(t.sessions).where(t.sessions.c.hash == hashed(token)))

    # What was done

    def note(self, act: Act) -> None:
        """Add a line to the audit log."""
        with self._writing() as connection:
            _note(connection, act)

    def acts(self, *, tenant: str | None = None, most: int = 100, before: int | None = None) -> list[Act]:
        """The audit log, the latest first; of one tenant, or all of it. `before` is the number of a line."""
        query = select(t.audit).order_by(t.audit.c.key.desc()).limit(most)
        if before is not None:
            query = query.where(t.audit.c.key < before)
        if tenant is not None:
            query = query.where(t.audit.c.tenant == tenant)
        return [_act(row) for row in self._rows(query)]

    def _change_user(self, name: str, password: str | None, act: Act) -> None:
        with self._writing() as connection:
            row = connection.execute(
                select(t.users).where(t.users.c.name == name, t.users.c.password.is_not(None))
            ).first()
            if row is None:
                raise InvalidInput(f"there is no user {name!r:.80}; `ethostat users list` shows them")
            connection.execute(update(t.users).where(t.users.c.key == row.key).values(password=password))
            connection.execute(delete(t.sessions).where(t.sessions.c.user_key == row.key))
            _note(connection, act, tenant=row.tenant)

    @contextmanager
    def _writing(self) -> Iterator[Connection]:
        with translated(self._url), self._turn, writing(self._engine) as connection:
            yield connection

    def _rows(self, query: Select[Any]) -> Sequence[Row[Any]]:
        with translated(self._url), self._engine.connect() as connection:
            return connection.execute(query).all()


def _note(connection: Connection, act: Act, *, tenant: str | None = None) -> None:
    row = {
        "time": act.time,
        "tenant": act.tenant if tenant is None else tenant,
        "actor": act.actor,
        "action": act.action[:64],
        "subject": act.subject,
        "address": None if act.address is None else act.address[:_LONGEST_ADDRESS],
        "outcome": act.outcome[:32],
    }
    connection.execute(insert(t.audit), row)


def _key(row: Row[Any]) -> ApiKey:
    scopes = frozenset(row.scopes)
    return ApiKey(row.prefix, row.name, row.tenant, scopes, row.created, row.expires, row.revoked)


def _user(row: Row[Any]) -> User:
    return User(row.name, row.tenant, frozenset(row.scopes), row.created, row.password is None)


def _act(row: Row[Any]) -> Act:
    return Act(row.time, row.tenant, row.actor, row.action, row.subject, row.address, row.outcome, row.key)
