"""db: the database of runs and services, as a whole: backup, restore, forget."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

import ethostat as es
from ethostat.cli.access import whoami
from ethostat.cli.frame import print_json
from ethostat.cli.options import AsJson, Db, option
from ethostat.errors import InvalidInput
from ethostat.terminal import to_terminal

db_app = typer.Typer(help="The database of runs and services: backup, restore, forget.", no_args_is_help=True)


@db_app.command("backup")
def backup(
    out: Annotated[Path, option("--out", "The file to write, which must not exist.")],
    db: Db = None,
    as_json: AsJson = False,
) -> None:
    """Write everything to one file, while a service goes on: runs, events, monitors, alerts, keys.

    The file is a SQLite database, whole or not there, of a SQLite database as of PostgreSQL. It holds what the database
    holds, texts and hashes of keys among it: keep it as safe.
    """
    _say(es.back_up(db or es.default_path(), out), "backed up to", as_json=as_json)


@db_app.command("restore")
def restore(
    file: Annotated[Path, typer.Argument(help="A file of `ethostat db backup`.")],
    db: Annotated[
        str,
        option("--db", "Where to: a path where no file is yet, or the URL of an empty PostgreSQL database.", env="DB"),
    ],
    as_json: AsJson = False,
) -> None:
    """Fill an empty database with a backup, whole or not at all.

    A backup of a SQLite file may be restored into PostgreSQL, and the other way round: so a service moves from one to
    the other.
    """
    _say(es.restore(file, db), "restored to", as_json=as_json)


def _label(written: str) -> tuple[str, str]:
    name, equals, value = written.partition("=")
    if not name or not equals:
        raise InvalidInput(f"--label takes a name and a value, as user=ann, got {written!r:.80}")
    return name, value


def _say(done: es.Copied, verb: str, *, as_json: bool) -> None:
    if as_json:
        print_json(asdict(done))
        return
    size = "" if done.bytes is None else f", {done.bytes / 2**20:,.1f} MB"
    to_terminal(f"{verb} {done.place}: {sum(done.rows.values()):,} rows, {done.rows.get('events', 0):,} events{size}")


@db_app.command("forget")
def forget(
    older_than: Annotated[
        float | None, option("--older-than", "Days: delete events that came before; counts and alerts stay.")
    ] = None,
    session: Annotated[str | None, option("--session", "Erase what was said in this session.")] = None,
    label: Annotated[
        str | None, option("--label", "Erase what was said under this label, as user=ann: of one person, say.")
    ] = None,
    stream: Annotated[str | None, option("--stream", "Of this stream alone; by itself: forget it whole.")] = None,
    tenant: Annotated[str, option("--tenant", "Of this tenant.", show_default="the one without a name")] = "",
    db: Db = None,
    as_json: AsJson = False,
) -> None:
    """Forget what was said: what is old, or of one session, person or stream. A service may be running.

    Texts, labels and sessions go from the log, from runs that were drawn from it to be labelled, and from the exemplars
    of alerts. What was counted stays counted, so that monitors go on as they were; a stream that is forgotten begins
    anew. It is noted in the audit log, without the name of the person.
    """
    what = es.Forgetting(older_than, session, None if label is None else _label(label), stream, tenant)
    done = es.forget(db or es.default_path(), what, by=whoami())
    if as_json:
        print_json(asdict(done))
    else:
        to_terminal(
            f"{done.deleted:,} events deleted, {done.erased:,} erased; {done.alerts:,} alerts no longer name some of "
            f"them; {done.copies:,} copies erased"
        )
