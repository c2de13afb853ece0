"""Stored traffic through monitors: the alerts and states of `monitor` on the same rows, however the work is spread."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pytest
from logs import STATED, write
from pyarrow import parquet

import ethostat as es
from ethostat.cli import app
from ethostat.cli.frame import run
from ethostat.errors import InvalidInput

STATE = Path("s")


def _template(**more) -> es.Monitor:
    return es.Monitor(es.Baseline.of_first(150), name="prod", **more)


@pytest.fixture(scope="module")
def traffic() -> list[dict]:
    """Three languages of 1,000 responses; behaviour changes in one of them, and comes back in another."""
    specs = {
        "de": "jump?from=0.12&to=0.9&when=50",
        "en": "constant?at=0.12",
        "fr": "burst?from=0.12&to=0.9&when=40&for=20",
    }
    streams = {
        lang: list(es.simulate(es.SimulatedModel.from_spec(spec), steps=100, samples=10, seed=3))
        for lang, spec in specs.items()
    }
    return [
        {**row, "lang": lang, "id": f"{lang}{place}", "goal": row["response"].split()[0]}
        for place, rows in enumerate(zip(*streams.values(), strict=True))
        for lang, row in zip(streams, rows, strict=True)
    ]


def _plain(row: dict) -> dict:
    return {name: row[name] for name in ("lang", "id", "goal", "prompt", "response")}


def _expected(path: Path) -> tuple[list[dict], dict]:
    """What `monitor` says of a file, and where it stands."""
    session = es.Session(es.Monitors(_template()), str(path), es.Sorter(es.FIVE_GOALS), columns=es.Columns(("lang",)))
    alerts = [alert.to_dict() for alert in session.alerts()]
    return alerts, {key: one.to_dict() for key, one in session.monitors}


def _states(found: es.Replayed) -> dict:
    return {key: one.to_dict() for key, one in found.monitors}


def test_a_backfill_says_what_monitor_says(traffic, tmp_path):
    """Plain rows of JSONL, in small fragments by two processes, and of Parquet: the same alerts and states."""
    rows = [_plain(row) for row in traffic]
    path = write(tmp_path / "log.jsonl", rows)
    alerts, states = _expected(path)
    table = tmp_path / "log.parquet"
    parquet.write_table(pa.Table.from_pylist(rows), table, row_group_size=700)
    assert {one["kind"] for one in alerts} >= {"change", "recovered"}

    spread = es.Spread(es.Processes(2), fragment_bytes=40_000)
    for source, rules in ((path, spread), (table, es.Spread(fragment_bytes=10_000))):
        found = es.backfill([str(source)], _template(), key=("lang",), classifier=STATED, rules=rules)

        assert [one.to_dict() for one in found.alerts] == alerts
        assert _states(found) == states
        assert found.monitors.to_dict()["screenings"] == [len(rows), 0, 0]


def test_rows_that_are_not_plain_are_read_as_monitor_reads_them(tmp_path):
    """Probabilities, goals by name, numbers as keys, times, conversations, no id, rows that are none: all alike."""
    rows = [
        {"goal": "g1", "lang": 1, "time": "2026-03-01T00:00:00Z"},
        {"goal": "Helpful & Aligned", "lang": 1, "id": 7},
        {"probabilities": [0.1, 0.6, 0.1, 0.1, 0.1], "lang": 2, "id": "p"},
        {"messages": [{"role": "user", "content": "x"}], "response": "g3 no", "goal": "g3", "lang": None},
        {"goal": "g9", "lang": 1, "id": "bad"},
        {"goal": "g1", "lang": [1], "id": "bad key"},
        {"goal": "g1", "time": "yesterday", "id": "bad time"},
        {"goal": "g5", "prompt": 7, "id": "bad prompt"},
    ]
    path = write(tmp_path / "log.jsonl", rows * 30)
    path.write_text(path.read_text() + "not JSON\n\n")
    session = es.Session(es.Monitors(_template()), str(path), es.Sorter(es.FIVE_GOALS), columns=es.Columns(("lang",)))
    list(session.alerts())

    found = es.backfill([str(path)], _template(), key=("lang",), classifier=STATED, rules=es.Spread(fragment_bytes=500))

    assert _states(found) == {key: one.to_dict() for key, one in session.monitors}
    assert (found.rows, found.rejected) == (session.rows, session.rejected.count)


def test_rows_without_a_verdict_are_classified(traffic, tmp_path):
    """Each verdict then names its classifier, as in `monitor`."""
    rows = [{"prompt": row["prompt"], "response": row["response"], "id": row["id"]} for row in traffic[:900]]
    path = write(tmp_path / "log.jsonl", rows)
    session = es.Session(es.Monitors(_template()), str(path), es.Sorter(es.FIVE_GOALS, STATED()))
    expected = [alert.to_dict() for alert in session.alerts()]

    found = es.backfill([str(path)], _template(), classifier=STATED)

    assert [one.to_dict() for one in found.alerts] == expected
    assert _states(found) == {key: one.to_dict() for key, one in session.monitors}
    assert found.monitors.get(()).epoch.classifier == STATED().hash


def test_the_command_leaves_a_state_that_streams_reads(traffic, tmp_path, monkeypatch, capsys):
    """`backfill --state`, then `streams list` and `streams save`; exit code 100 where an alert stands."""
    monkeypatch.chdir(tmp_path)
    write(Path("log.jsonl"), [_plain(row) for row in traffic])
    alerts, _ = _expected(Path("log.jsonl"))

    code = run(
        app, ["backfill", "log.jsonl", "--key", "lang", "--baseline", "first:150", "--name", "prod", "--state", "s"]
    )

    printed = capsys.readouterr()
    assert code == 100
    assert [json.loads(line) for line in printed.out.splitlines()] == alerts
    assert "3,000 responses in 3 streams; 1 alerts standing" in printed.err
    assert [row["stream"] for row in es.stream_rows(es.read_streams(STATE))] == ["prod/de", "prod/en", "prod/fr"]
    assert run(app, ["streams", "save", "s", "--out", "normal.jsonl"]) == 0


def test_sessions_and_strata_are_refused(tmp_path):
    """The message says what to use."""
    path = write(tmp_path / "log.jsonl", [{"goal": "g1", "id": "1"}])

    with pytest.raises(InvalidInput, match="no sessions, strata or soft"):
        es.backfill([str(path)], _template(sessions=es.SessionEnd()), classifier=STATED)


def test_a_log_of_a_service_is_read_again(traffic, tmp_path, monkeypatch, capsys):
    """Streams of a ledger under other settings: what monitors say that take its events one by one."""
    from ethostat.ledger import Ledger, NewEvent

    monkeypatch.chdir(tmp_path)
    with Ledger(tmp_path / "serve.db") as ledger:
        ledger.append(
            [NewEvent(row["lang"], row["id"], goal=row["goal"], time="2026-03-01T00:00:00Z") for row in traffic]
        )
        ledger.append([NewEvent("en", "waits", response="not judged yet")])
    monitors = es.Monitors(_template())
    expected = [
        one.to_dict()
        for row in traffic
        for one in [monitors.update(row["goal"], (row["lang"],), time="2026-03-01T00:00:00Z", id=row["id"])]
        if one is not None
    ]

    found = es.backfill_ledger("serve.db", _template(), crew=es.Processes(2))

    assert sorted(one.id for one in found.alerts) == sorted(one["id"] for one in expected)
    assert {one.id: one.to_dict() for one in found.alerts} == {one["id"]: one for one in expected}
    assert _states(found) == {key: one.to_dict() for key, one in monitors}
    assert (found.rows, found.rejected) == (len(traffic), 1)
    assert run(app, ["backfill", "ledger:serve.db", "--baseline", "first:150", "--name", "prod"]) == 100
    assert len(capsys.readouterr().out.splitlines()) == len(expected)
