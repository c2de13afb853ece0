"""keys, users, audit and notify from the command line."""

from __future__ import annotations

import io
import json

import pytest
from alerts import changed
from receivers import receiver

from ethostat.cli import app
from ethostat.cli.frame import run


@pytest.fixture
def ethostat(tmp_path, monkeypatch, capsys):
    """Runs a command line; gives exit code, standard output and standard error."""
    monkeypatch.chdir(tmp_path)

    def go(*arguments):
        code = run(app, arguments)
        said = capsys.readouterr()
        return code, said.out, said.err

    return go


def test_a_key_is_shown_once_listed_and_revoked(ethostat):
    """`add` prints the key alone on standard output; `list` never does."""
    code, key, note = ethostat(
        "keys", "add", "otel", "--scope", "ingest", "--scope", "read", "--days", "30", "--db", "s.db"
    )
    _, listed, _ = ethostat("keys", "list", "--db", "s.db", "--json")
    (row,) = json.loads(listed)

    assert code == 0
    assert key.startswith(f"ethostat_{row['prefix']}_")
    assert "only time" in note
    assert (row["scopes"], row["state"]) == ("ingest, read", "valid")
    assert key.strip() not in listed
    assert ethostat("keys", "revoke", row["prefix"], "--db", "s.db")[0] == 0
    assert json.loads(ethostat("keys", "list", "--db", "s.db", "--json")[1])[0]["state"] == "revoked"
    assert ethostat("keys", "revoke", "nope", "--db", "s.db")[0] == 2


def test_a_password_comes_from_the_environment_never_from_a_flag(ethostat, monkeypatch):
    """There is no such option; without terminal and variable the command says what to set."""
    assert ethostat("users", "add", "ann", "--db", "s.db")[0] == 2
    monkeypatch.setenv("ETHOSTAT_PASSWORD", "correct horse battery")
    assert ethostat("users", "add", "ann", "--db", "s.db")[0] == 0
    assert ethostat("users", "password", "ann", "--db", "s.db")[0] == 0
    assert ethostat("users", "remove", "ann", "--db", "s.db")[0] == 0
    (row,) = json.loads(ethostat("users", "list", "--db", "s.db", "--json")[1])
    acts = json.loads(ethostat("audit", "--db", "s.db", "--json")[1])

    assert (row["name"], row["state"]) == ("ann", "removed")
    assert [act["did"] for act in acts] == ["users remove", "users password", "users add"]
    assert ethostat("users", "add", "bob", "--password", "x", "--db", "s.db")[0] == 2


def test_targets_are_tried_and_alerts_sent_by_rules(ethostat, tmp_path, monkeypatch):
    """`notify test` says of each target whether it answered; `notify send` delivers what `monitor` prints."""
    alert = changed().to_dict()
    with receiver() as good, receiver(lambda _: (307, {"location": "http://127.0.0.1/"}, b"")) as bad:
        (tmp_path / "targets.yaml").write_text(
            f"targets:\n  good: {{webhook: '{good.url}', allow: [127.0.0.1]}}\n"
            f"  bad: {{webhook: '{bad.url}', allow: [127.0.0.1]}}\n"
            "rules:\n- {tiers: [page], targets: [good]}\n- {streams: [test-*], targets: [bad]}\n"
        )
        code, out, _ = ethostat("notify", "test", "targets.yaml", "--json")
        monkeypatch.setattr("sys.stdin", io.StringIO(json.dumps(alert) + "\n\n"))
        sent = ethostat("notify", "send", "targets.yaml", "--json")
        monkeypatch.setattr("sys.stdin", io.StringIO(json.dumps(alert)))
        failed = ethostat("notify", "send", "targets.yaml", "--stream", "test-1", "--json")

    assert code == 1
    assert [(row["target"], row["arrived"]) for row in json.loads(out)] == [("good", True), ("bad", False)]
    assert (sent[0], json.loads(sent[1])) == (0, {"sent": 1, "failed": 0})
    assert (failed[0], json.loads(failed[1])) == (1, {"sent": 1, "failed": 1})
    assert "did not reach bad: 127.0.0.1 answered 307" in failed[2]
    assert [json.loads(got.body)["type"] for got in good.got] == ["ethostat.test", "ethostat.alert", "ethostat.alert"]
