"""`ethostat streams`: a monitor's state, listed, ordered about while it runs or not, and saved as baselines."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

import ethostat as es
from ethostat.cli import app
from ethostat.cli.frame import run
from ethostat.errors import InvalidInput

STATE = Path("s")


@pytest.fixture(autouse=True)
def _at_home(tmp_path, monkeypatch):
    """Every test runs in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("ETHOSTAT_")]:
        monkeypatch.delenv(name)


def simulated(name: str, *, seed: int = 3) -> list[dict]:
    """1,000 rows of a model."""
    return list(es.simulate(es.SimulatedModel.from_spec(name), steps=100, samples=10, seed=seed))


def two_streams() -> list[dict]:
    """Rows in two languages; in the first, behaviour changes after 600 of 1,000 responses."""
    pairs = zip(simulated("jump?from=0.12&to=0.9&when=60"), simulated("constant?at=0.12"), strict=True)
    return [{**row, "lang": lang} for pair in pairs for lang, row in zip(("de", "en"), pair, strict=True)]


def watching(rows: list[dict], **more) -> es.Session:
    """A session over these rows, whose first 300 of each language are normal."""
    Path("log.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    template = es.Monitor(es.Baseline.of_first(300), name="prod", policy=es.Policy(warn=False, renotify=50))
    monitors = es.Monitors(template, **more)
    return es.Session(monitors, "log.jsonl", es.Sorter(es.FIVE_GOALS), columns=es.Columns(("lang",)), state=STATE)


def state_of(stream: str) -> dict:
    """The row of this stream."""
    return {row["stream"]: row for row in es.stream_rows(es.read_streams(STATE))}[stream]


def call(capsys, *arguments: str) -> tuple[int, dict, str]:
    """Exit code, JSON, standard error."""
    code = run(app, [*arguments, "--json"])
    printed = capsys.readouterr()
    return code, json.loads(printed.out), printed.err


def test_a_state_is_listed_for_people_and_machines(capsys):
    """One row a stream: what stands, since when, what is normal."""
    list(watching(two_streams()).alerts())
    code, found, _ = call(capsys, "streams", "list", "s")
    run(app, ["streams", "list", "s"])
    shown = capsys.readouterr().out

    de, en = found["streams"]
    assert code == 0
    assert (de["stream"], de["state"], de["responses"], de["key"]) == ("prod/de", "alert", 1000, ["de"])
    assert de["since"]["low"] <= 601 <= de["since"]["high"]
    assert (en["state"], en["since"], en["baseline"]) == ("ok", None, "the first 300 responses")
    assert "prod/de" in shown
    assert "alert" in shown


def test_orders_are_carried_out_on_a_state_that_nobody_holds(capsys):
    """Acknowledged, an alert is not repeated; snoozed, it is held back; after both the stream goes on as it was."""
    rows = two_streams()
    list(watching(rows[:1500]).alerts())
    assert call(capsys, "streams", "acknowledge", "s", "prod/de")[:2] == (
        0,
        {"stream": "prod/de", "order": "acknowledge", "done": True},
    )
    assert state_of("prod/de")["acknowledged"]
    assert list(watching(rows).alerts()) == []
    assert call(capsys, "streams", "snooze", "s", "prod/en", "--responses", "70")[0] == 0
    assert state_of("prod/en")["snoozed_until"] == 1070


def test_an_expected_change_is_the_new_normal():
    """What came since the change becomes the baseline of a new epoch; the alert is closed and does not come again."""
    rows = two_streams()
    list(watching(rows[:1500]).alerts())
    assert es.give_order(STATE, es.Order("expect", "prod/de"))
    found = list(watching(rows).alerts())

    assert [(alert.kind, alert.monitor) for alert in found] == [("closed", "prod/de")]
    row = state_of("prod/de")
    assert row["epoch"]["number"] == 1
    assert row["baseline"].startswith("what came since response ")
    assert row["state"] == "learning"


def test_what_came_since_is_enough_where_it_is_much():
    """With 100 responses to learn from the monitor watches at once, and what was normal before is a change."""
    template = es.Monitor(es.Profile((960, 14, 20, 2, 4)), policy=es.Policy(relearn=100, warn=False))
    said = [row["goal"] for row in simulated("constant?at=0.9")]
    for goal in said[:200]:
        template.update(goal)
    template.expect()

    assert template.state == "ok"
    assert template.due() is not None
    assert [alert for goal in said[200:600] if (alert := template.update(goal))] == []
    with pytest.raises(InvalidInput, match="no alert of monitor stands"):
        template.expect()


def test_a_process_that_holds_the_state_takes_orders_from_beside_it():
    """Handed over, an order is followed by the running session, once, over a restart too."""
    rows = two_streams()
    running = watching(rows)
    alerts = running.alerts()
    first = next(alerts)
    assert es.give_order(STATE, es.Order("acknowledge", "prod/de")) is False
    rest = list(alerts)

    assert first.kind == "change"
    assert len(rest) <= 1  # what was read already
    assert state_of("prod/de")["acknowledged"]
    es.give_order(STATE, es.Order("expect", "prod/de"))
    again = watching(rows)
    assert [alert.kind for alert in again.alerts()] == ["closed"]
    assert again.refused == []


def test_orders_that_cannot_be_followed_say_why(capsys):
    """No such state, stream or alert; a name is needed where there are several."""
    list(watching(two_streams()).alerts())
    for arguments, message in (
        (["acknowledge", "none"], "does not exist"),
        (["acknowledge", "s", "prod/fr"], "0 streams are named 'prod/fr'"),
        (["acknowledge", "s"], "must be named; there are 2: prod/de, prod/en"),
        (["expect", "s", "prod/en"], "no alert of prod/en stands"),
        (["snooze", "s", "prod/en", "--responses", "0"], "1 or more"),
    ):
        code, found, _ = call(capsys, "streams", *arguments)
        assert code == 2
        assert message in found["error"]["message"]
    Path("s.orders").write_text('{"verb": "dance"}\n[]\n{"verb": "acknowledge", "stream": "prod/en"}\nhalf')
    session = watching(two_streams())
    assert list(session.alerts()) == []
    assert [reason.split("; ")[0] for reason in session.refused][2] == "no alert of prod/en stands"
    assert len(session.refused) == 3


def test_each_key_begins_with_its_own_baseline(capsys):
    """What was saved of each stream is where it begins; a key that the file lacks learns."""
    list(watching(two_streams()[:1000]).alerts())
    assert call(capsys, "streams", "save", "s", "--out", "normal.jsonl")[1] == {"file": "normal.jsonl", "streams": 2}
    saved = es.read_baselines("normal.jsonl")
    STATE.unlink()
    rows = [{**row, "lang": "fr"} if n % 50 == 0 else row for n, row in enumerate(two_streams()[1000:])]
    session = watching(rows, baselines=saved)
    found = list(session.alerts())

    assert sum(map(sum, saved["de",].counts.values())) == 500
    assert saved["de",].counts != saved["en",].counts
    assert (found[0].monitor, found[0].kind) == ("prod/de", "change")
    assert {key: one.state for key, one in session.monitors} == {
        ("de",): "alert",
        ("en",): "ok",
        ("fr",): "learning",
    }
    with pytest.raises(InvalidInput, match="another baselines"):
        list(watching(rows).alerts())
    code = run(app, ["monitor", "log.jsonl", "--key", "lang", "--baselines", "normal.jsonl", "--no-warn"])
    assert code == 100


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"key": "de", "counts": {"g1": 5}}', "a list of texts"),
        ('{"key": ["de"], "counts": {"g9": 5}}', "must map goals"),
        ('{"key": ["de"], "counts": {"g1": -5}}', "at least 0"),
        ('{"key": ["de"], "counts": {"g1": 0}}', "at least 1 response"),
        ('{"key": ["de"], "counts": {"g1": 5}, "taxonomy": "other"}', "other goals"),
        ('{"key": ["de"], "counts": {"g1": 5}, "unit": "sessions"}', "does not count responses"),
        ('{"key": ["de"], "counts": {"g1": 5}}\n{"key": ["de"], "counts": {"g1": 5}}', ":2: a baseline of"),
        ("no", "normal.jsonl:1"),
        ("", "holds no row"),
    ],
)
def test_files_of_baselines_are_checked(text, message):
    """The line, the value and the rule are named."""
    Path("normal.jsonl").write_text(text + "\n")
    with pytest.raises(InvalidInput, match=message):
        es.read_baselines("normal.jsonl")
