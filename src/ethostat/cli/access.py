"""keys, users, audit: who may do what with a service."""

from __future__ import annotations

import getpass
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

import ethostat as es
from ethostat.cli.frame import print_json, warn
from ethostat.cli.options import AsJson, Db, option
from ethostat.errors import InvalidInput
from ethostat.terminal import rows_view, to_terminal

keys_app = typer.Typer(help="API keys of a service: add, list, revoke.", no_args_is_help=True)
users_app = typer.Typer(help="Users of a service: add, list, password, remove.", no_args_is_help=True)
if TYPE_CHECKING:
    from ethostat.access import Register

_PASSWORD = "ETHOSTAT_PASSWORD"  # noqa: S105 - the name of a variable
_DAY = 86_400.0
Tenant = Annotated[
    str, option("--tenant", "Whose streams: those of this tenant and no other.", show_default="the one without a name")
]
Scopes = Annotated[
    list[str], option("--scope", "ingest, read, label or admin, which includes the others (repeatable).")
]


@keys_app.command("add")
def add_key(
    name: Annotated[str, typer.Argument(help="What it is for; shown in lists and in the audit log.")],
    scope: Scopes = ["ingest"],  # noqa: B006 - typer copies it
    days: Annotated[float | None, option("--days", "Days until it expires.", show_default="never")] = None,
    tenant: Tenant = "",
    db: Db = None,
    as_json: AsJson = False,
) -> None:
    """Make an API key. It is shown now and never again; the database keeps a hash of it.

    Send it as `Authorization: Bearer KEY`. From the first key on, a service on this machine asks for one too.
    """
    now = time.time()
    if days is not None and not 0 < days < 36_500:
        raise InvalidInput(f"--days must be above 0 and below 36500, got {days}")
    expires = None if days is None else now + days * _DAY
    with _register(db, create=True) as register:
        minted = register.add_key(name, scope, tenant=tenant, expires=expires, now=now, by=whoami())
    if as_json:
        print_json({"key": minted.text, "prefix": minted.prefix, "name": name, "scopes": sorted(scope)})
        return
    warn("this is the only time that the key is shown:")
    sys.stdout.write(minted.text + "\n")


@keys_app.command("list")
def list_keys(db: Db = None, as_json: AsJson = False) -> None:
    """List API keys by their prefixes; the keys themselves are not kept."""
    now = time.time()
    with _register(db) as register:
        rows = [
            {
                "prefix": key.prefix,
                "name": key.name,
                "tenant": key.tenant,
                "scopes": ", ".join(sorted(key.scopes)),
                "created": _moment(key.created),
                "expires": _moment(key.expires),
                "state": "valid" if key.is_valid(now) else "revoked" if key.revoked else "expired",
            }
            for key in register.api_keys()
        ]
        _show(rows, title=f"API keys in {register.name}", as_json=as_json)


@keys_app.command("revoke")
def revoke_key(
    prefix: Annotated[str, typer.Argument(help="The prefix that `list` shows.")], db: Db = None, as_json: AsJson = False
) -> None:
    """End an API key; services stop taking it within five seconds."""
    with _register(db) as register:
        key = register.revoke_key(prefix, now=time.time(), by=whoami())
    print_json({"revoked": key.prefix}) if as_json else to_terminal(f"revoked {key.prefix} ({key.name})")


@users_app.command("add")
def add_user(
    name: Annotated[str, typer.Argument(help="The name to log in with.")],
    scope: Scopes = ["read", "label"],  # noqa: B006 - typer copies it
    tenant: Tenant = "",
    db: Db = None,
    as_json: AsJson = False,
) -> None:
    """Add a user of the dashboard. The password is asked for, or read from ETHOSTAT_PASSWORD."""
    with _register(db, create=True) as register:
        register.add_user(name, _password(), scope, tenant=tenant, now=time.time(), by=whoami())
    print_json({"added": name, "scopes": sorted(scope)}) if as_json else to_terminal(f"added {name}")


@users_app.command("password")
def set_password(
    name: Annotated[str, typer.Argument(help="The user's name.")], db: Db = None, as_json: AsJson = False
) -> None:
    """Change a user's password, asked for or read from ETHOSTAT_PASSWORD; sessions of the user end."""
    with _register(db) as register:
        register.set_password(name, _password(), now=time.time(), by=whoami())
    print_json({"changed": name}) if as_json else to_terminal(f"changed the password of {name}")


@users_app.command("list")
def list_users(db: Db = None, as_json: AsJson = False) -> None:
    """List users."""
    with _register(db) as register:
        rows = [
            {
                "name": user.name,
                "tenant": user.tenant,
                "scopes": ", ".join(sorted(user.scopes)),
                "created": _moment(user.created),
                "state": "removed" if user.is_removed else "active",
            }
            for user in register.users()
        ]
        _show(rows, title=f"Users in {register.name}", as_json=as_json)


@users_app.command("remove")
def remove_user(
    name: Annotated[str, typer.Argument(help="The user's name.")], db: Db = None, as_json: AsJson = False
) -> None:
    """Remove a user and end its sessions; what it did stays in the audit log."""
    with _register(db) as register:
        register.remove_user(name, now=time.time(), by=whoami())
    print_json({"removed": name}) if as_json else to_terminal(f"removed {name}")


def audit(
    limit: Annotated[int, option("--limit", "How many lines, the latest first.")] = 50,
    tenant: Annotated[str | None, option("--tenant", "Of this tenant alone.")] = None,
    db: Db = None,
    as_json: AsJson = False,
) -> None:
    """Show who did what with a service: log-ins, keys, users, and every change over the API."""
    if limit < 1:
        raise InvalidInput(f"--limit must be at least 1, got {limit}")
    with _register(db) as register:
        rows = [
            {
                "time": _moment(act.time),
                "tenant": act.tenant,
                "who": act.actor,
                "did": act.action,
                "to": act.subject,
                "from": act.address,
                "outcome": act.outcome,
            }
            for act in register.acts(tenant=tenant, most=limit)
        ]
        _show(rows, title=f"Audit log of {register.name}", as_json=as_json)


@contextmanager
def _register(db: str | None, *, create: bool = False) -> Iterator[Register]:
    """The register that --db names, else the user's own; a named one must exist unless `create` is true."""
    from ethostat.access import Register  # --help need not load a database

    with Register(db or es.default_path(), create=create or db is None) as register:
        yield register


def _password() -> str:
    given = os.environ.get(_PASSWORD)
    if given is not None:
        return given
    if not sys.stdin.isatty():
        raise InvalidInput(f"there is no terminal to ask for the password; set {_PASSWORD}")
    password = getpass.getpass("Password: ")
    if getpass.getpass("Once more: ") != password:
        raise InvalidInput("the two passwords differ; run it again")
    return password


def whoami() -> str:
    """Who works at this terminal, as the audit log names it."""
    try:
        return f"shell:{getpass.getuser()}"
    except (KeyError, OSError):  # a container without a user of this number
        return "shell"


def _moment(seconds: float | None) -> str | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")


def _show(rows: list[dict[str, Any]], *, title: str, as_json: bool) -> None:
    print_json(rows) if as_json else to_terminal(rows_view(title, rows))
