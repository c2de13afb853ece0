"""Hook: a command for each alert, which cannot lose one, stop the monitor or reach a shell."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import pytest

import ethostat as es
from ethostat.errors import InvalidInput

TAKE = "import json, sys; open('taken', 'a').write(json.load(sys.stdin)['id'] + '\\n')"


@pytest.fixture(autouse=True)
def _at_home(tmp_path, monkeypatch):
    """Every test runs in a folder of its own."""
    monkeypatch.chdir(tmp_path)


def watching(on_alert, **more) -> es.Session:
    """A session over 100 responses of which the last 40 differ."""
    rows = [{"goal": "g1"}] * 60 + [{"goal": "g2"}] * 40
    Path("log.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    template = es.Monitor(es.Baseline.of_first(50), run_length=1000, policy=es.Policy(renotify=10, warn=False))
    return es.Session(es.Monitors(template), "log.jsonl", es.Sorter(es.FIVE_GOALS), on_alert=on_alert, **more)


def test_a_command_gets_each_alert_as_json():
    """Once each, in order, on its standard input."""
    told: list[str] = []
    hook = es.Hook((sys.executable, "-c", TAKE), told.append)
    alerts = list(watching(hook).alerts())

    assert len(alerts) > 1
    assert Path("taken").read_text().split() == [alert.id for alert in alerts]
    assert told == []


def test_words_are_taken_apart_and_no_shell_sees_them():
    """A semicolon, a dollar sign and a glob are arguments like any other."""
    told: list[str] = []
    program = "import sys; open('seen', 'w').write(repr(sys.argv[1:]))"
    hook = es.Hook.from_words(f'{sys.executable} -c "{program}" ";" "$HOME" "*" "a b"', told.append)
    next(watching(hook).alerts())

    assert told == []
    assert Path("seen").read_text() == repr([";", "$HOME", "*", "a b"])


def test_a_command_that_fails_or_hangs_loses_no_alert():
    """What went wrong is told, tamely; the alert is given all the same, and children are killed in time."""
    told: list[str] = []
    fails = es.Hook((sys.executable, "-c", "import sys; sys.exit('no \x1b[31mway')"), told.append)
    hangs = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'import time; time.sleep(99)'])"
    slow = es.Hook((sys.executable, "-c", hangs), told.append, timeout=1.0)
    gone = es.Hook(("./none",), told.append)
    given = [next(watching(hook).alerts()).id for hook in (fails, gone)]
    began = time.monotonic()
    given.append(next(watching(slow).alerts()).id)

    assert time.monotonic() - began < 60
    assert given == ["monitor/1"] * 3
    assert [text.split(": ", 1)[1] for text in told] == [
        "exit code 1: no [31mway",
        "No such file or directory",
        "it took longer than 1 seconds",
    ]
    assert "\x1b" not in "".join(told)


def test_after_a_crash_a_command_sees_the_alert_again():
    """It is run before an alert counts as given: at least once, under the same id."""
    seen: list[str] = []

    def dies(alert: es.Alert | es.Look) -> None:
        seen.append(alert.id)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        list(watching(dies, state=Path("s"), out=Path("out")).alerts())
    found = list(watching(lambda alert: seen.append(alert.id), state=Path("s"), out=Path("out")).alerts())

    assert seen == ["monitor/1", *(alert.id for alert in found)]
    assert found[0].id == "monitor/1"
    assert [json.loads(line)["id"] for line in Path("out").read_text().splitlines()] == [alert.id for alert in found]


@pytest.mark.parametrize(
    ("words", "message"), [("", "no program"), ("'open", "close the quotation"), ("./none at all", "no program")]
)
def test_what_is_no_command_is_refused_before_anything_is_read(words, message):
    """The value and the next step are named."""
    with pytest.raises(InvalidInput, match=message):
        es.Hook.from_words(words, print)
