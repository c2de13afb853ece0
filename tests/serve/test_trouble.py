"""What a service does when disk, database and clock do not what they should: it says so, and loses nothing."""

from __future__ import annotations

import json
import sqlite3
import threading
import time
from contextlib import closing
from pathlib import Path

import pytest

from ethostat.ledger import Ledger, NewEvent
from ethostat.server.following import replay
from serving import FLAGS, STEPPED, TEMPLATE, serving, told

CHANGED = (0.2, 0.6, 0.1, 0.05, 0.05)


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """The folder of a service, and of the clock that it goes by."""
    folder = tmp_path_factory.mktemp("trouble")
    (folder / "clock").write_text("0")
    return folder


@pytest.fixture(scope="module")
def one(home):
    """A service whose wall clock can be set while it runs, and which keeps events for three minutes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(home)
        with serving(home / "serve.db", *FLAGS, "--retention", "0.002", program=STEPPED) as running:
            yield running


def set_clock(home: Path, seconds: float) -> None:
    """Ahead of the real one by so much, at once and as a whole."""
    (home / "next").write_text(str(seconds))
    (home / "next").replace(home / "clock")


def is_degraded(one, part: str) -> bool:
    """Whether both /readyz and /metrics say so."""
    shown = f'ethostat_degraded{{part="{part}"}} 1.0' in one.client.get("/metrics").text
    ready = one.client.get("/readyz")
    return shown and ready.status_code == 503 and part in ready.json()["degraded"]


def test_a_disk_that_takes_nothing_is_said_and_loses_nothing(one, home):
    """While the file is locked a request waits, and after five seconds the state says so; then it is acknowledged."""
    answers = []
    with closing(sqlite3.connect(home / "serve.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        client = threading.Thread(target=lambda: answers.append(one.tell(told(50, stream="slow"))))
        client.start()
        one.wait_until(lambda: is_degraded(one, "intake"))
        waiting = one.client.get("/metrics").text
        assert not answers
        other.execute("ROLLBACK")
    client.join()

    assert "ethostat_queue_events 50.0" in waiting
    assert answers[0].json()["accepted"] == 50
    one.wait_until(lambda: one.client.get("/readyz").status_code == 200)
    assert one.wait_for(50, "slow")["count"] == 50


def test_a_clock_that_is_set_moves_nothing(one, home):
    """An hour on, back by more, ten days on: each event counts once, in order; what is young stays; no lag below 0."""
    began = time.monotonic()
    for n, offset in enumerate((0, 3_600, -60, 864_000)):
        set_clock(home, offset)
        assert one.tell(told(100, stream="clock", start=100 * n)).json()["accepted"] == 100
        assert one.tell(told(100, stream="clock", start=100 * n)).json()["duplicates"] == 100
        assert one.wait_for(100 * (n + 1), "clock")["lag"]["seconds"] >= 0
        assert "ethostat_lag_seconds -" not in one.client.get("/metrics").text
    one.tell(told(100, stream="clock", start=400, shares=CHANGED))
    one.wait_for(500, "clock")
    time.sleep(max(0.0, began + 18 - time.monotonic()))  # what is old is deleted every 17 seconds
    with Ledger(home / "serve.db") as ledger:
        position = ledger.find_stream("", "clock")
        monitor, alerts = replay(ledger, position.stream_key, TEMPLATE)

        assert [event.seq for event in ledger.events(position.stream_key)] == list(range(1, 501))
        assert json.loads(json.dumps(monitor.to_dict())).items() <= position.monitor.items()
        assert [alert.id for alert in alerts] == [one.id for one in reversed(ledger.alerts(stream="clock"))]


def test_a_lease_of_before_the_clock_was_set_back_holds_nobody_up(postgres_database):
    """What a dead process holds for longer than any lease lasts is free at once; what a living one holds is not."""
    with Ledger(postgres_database) as ledger:
        ledger.append([NewEvent(name, "1", goal="g1") for name in ("a", "b")])
        assert len(ledger.claim("dead", seconds=3_600)) == 2
        assert ledger.claim("living", seconds=15) == frozenset({1, 2})
        assert ledger.claim("other", seconds=15) == frozenset()
