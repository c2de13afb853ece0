"""`ethostat monitor`: rows in, alerts out, over crashes; exit codes; what a hostile stream cannot do."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import ethostat as es
from ethostat.cli import app
from ethostat.cli.frame import run
from ethostat.errors import InvalidInput
from goals import WordClassifier

RUN = "import sys; from ethostat.cli import app; from ethostat.cli.frame import run; sys.exit(run(app, sys.argv[1:]))"
FLAGS = ("--baseline", "first:100", "--run-length", "1000")  # those of `session`


@pytest.fixture(autouse=True)
def _at_home(tmp_path, monkeypatch):
    """Every test runs in a folder of its own, with its own data folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "home"))
    for name in [name for name in os.environ if name.startswith("ETHOSTAT_")]:
        monkeypatch.delenv(name)


def simulated(name: str = "jump?from=0.12&to=0.9&when=60", *, steps: int = 100, seed: int = 3) -> list[dict]:
    """Rows of a model whose behaviour changes after 600 of 1,000 responses."""
    return list(es.simulate(es.SimulatedModel.from_spec(name), steps=steps, samples=10, seed=seed))


def write_rows(path: str, rows) -> str:
    """Rows as a JSONL file."""
    Path(path).write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def call(capsys, *arguments: str) -> tuple[int, list[dict], str]:
    """Exit code, alerts, standard error."""
    code = run(app, arguments)
    printed = capsys.readouterr()
    return code, [json.loads(line) for line in printed.out.splitlines()], printed.err


def test_a_jump_is_an_alert_and_exit_100(capsys):
    """An alert says what moved, since when and on what promise; the exit code says that it stands."""
    write_rows("log.jsonl", simulated())
    code, alerts, err = call(capsys, "monitor", "log.jsonl", "--baseline", "first:400")

    (alert,) = [alert for alert in alerts if alert["tier"] == "page"]
    assert code == 100
    assert 600 < alert["step"] < 700
    assert alert["run_length"] == 10_000
    assert alert["since"]["low"] <= 601 <= alert["since"]["high"]
    assert set(alert["moved"][0]) == {"goal", "name", "from", "to"}
    assert alert["window"]["profile"]["g1"] < sum(alert["window"]["profile"].values())
    assert set(alert["exemplars"]) <= {row["id"] for row in simulated()[int(alert["since"]["value"]) - 1 :]}
    assert "1000 responses in 1 stream; 1 alert standing" in err


def test_nothing_changes_exit_0_and_no_data_exit_3(capsys):
    """A quiet stream ends with 0; one that is too short for its baseline, or empty, with 3."""
    write_rows("quiet.jsonl", simulated("constant?at=0.3", steps=60))
    Path("empty.jsonl").touch()

    assert call(capsys, "monitor", "quiet.jsonl", "--baseline", "first:300", "--no-warn")[:2] == (0, [])
    assert call(capsys, "monitor", "quiet.jsonl", "--baseline", "first:601")[0] == 3
    assert call(capsys, "monitor", "empty.jsonl")[0] == 3


def test_baselines_from_files(capsys, monkeypatch):
    """A transcript, a Measurement file and a run of the store are the same baseline."""
    write_rows("before.jsonl", simulated("constant?at=0.12", steps=60, seed=1))
    write_rows("log.jsonl", simulated())
    measured = es.measure_transcripts("before.jsonl")
    Path("before.json").write_text(json.dumps(measured.to_dict()))
    with es.Store("runs.db") as store:
        es.measure_transcripts("before.jsonl", store=store)
    found = [
        [alert["step"] for alert in call(capsys, "monitor", "log.jsonl", "--baseline", *source)[1]]
        for source in (["before.jsonl"], ["before.json"], ["latest", "--db", "runs.db"])
    ]

    assert found[0]
    assert found[0] == found[1] == found[2]


def test_keys_strata_versions(capsys):
    """Fields of the rows tell streams apart, stratify the baseline and begin epochs."""
    changed, same = simulated(), simulated("constant?at=0.12")
    rows = [
        {**row, "lang": lang, "route": "ab"[n % 2], "v": "1" if n < 900 else "2"}
        for n, pair in enumerate(zip(changed, same, strict=True))
        for lang, row in zip(("de", "en"), pair, strict=True)
    ]
    write_rows("log.jsonl", rows)
    code, alerts, _ = call(
        capsys, "monitor", "log.jsonl", "--baseline", "first:400", "--key", "lang", "--stratum", "route",
        "--version-field", "v", "--no-warn", "--name", "prod",
    )  # fmt: skip

    assert [(alert["monitor"], alert["kind"]) for alert in alerts] == [("prod/de", "change"), ("prod/de", "closed")]
    assert code == 3  # after the new version every stream learns its first 400 responses anew


def test_sessions_count_once(capsys):
    """Ten copies of each response in a session of its own are as much evidence as one; a file is a baseline of them."""
    rows = simulated()
    tenfold = [{**row, "chat": str(n)} for n, row in enumerate(rows) for _ in range(10)]
    write_rows("once.jsonl", rows[600:700])
    write_rows("tenfold.jsonl", tenfold[6000:7000])
    write_rows("before.jsonl", tenfold[:4000])
    counted = es.read_baseline("before.jsonl", session="chat")
    code, alerts, _ = call(
        capsys, "monitor", "tenfold.jsonl", "--baseline", "before.jsonl", "--session", "chat", "--session-idle", "20",
        "--run-length", "100000", "--no-warn",
    )  # fmt: skip
    write_rows("before.jsonl", rows[:400])
    once = es.Monitor(es.read_baseline("before.jsonl"))
    first = next(alert.step for row in rows[600:] if (alert := once.update(row["goal"])) and alert.tier == "page")

    assert counted.counts == es.read_baseline("before.jsonl").counts
    assert code == 100
    assert first * 10 <= alerts[0]["step"] <= first * 10 + 31
    assert alerts[0]["unit"] == "sessions"


def test_screenings_name_the_streams_that_changed(capsys):
    """With --fdr a screening comes at the end, or every so many responses; another rate is another state."""
    changed, same = simulated(), simulated("constant?at=0.12")
    rows = [
        {**row, "lang": lang} for pair in zip(changed, same, strict=True) for lang, row in zip("ab", pair, strict=True)
    ]
    flags = ["--baseline", "first:400", "--key", "lang", "--no-warn", "--fdr"]
    write_rows("log.jsonl", rows)
    looks = [one for one in call(capsys, "monitor", "log.jsonl", *flags, "0.1")[1] if one["kind"] == "screening"]
    often = [*flags, "0.1", "--fdr-every", "900", "--state", "s"]
    write_rows("log.jsonl", rows[:1000])
    call(capsys, "monitor", "log.jsonl", *often)
    write_rows("log.jsonl", rows)
    later = [one for one in call(capsys, "monitor", "log.jsonl", *often)[1] if one["kind"] == "screening"]

    assert [[one["monitor"] for one in look["flagged"]] for look in looks] == [["monitor/a"]]
    assert [(one["id"], one["step"]) for one in later] == [("monitor/screening/2", 1800)]
    code, _, err = call(capsys, "monitor", "log.jsonl", *flags, "0.2", "--fdr-every", "900", "--state", "s")
    assert code == 2
    assert "another screening" in err


def test_responses_are_classified_on_the_fly():
    """Rows without a verdict get one from the classifier; another classifier begins an epoch that learns anew."""
    rows = [{"prompt": "?", "response": row["response"]} for row in simulated()]
    write_rows("log.jsonl", rows)
    template = es.Monitor(es.Baseline.of_first(400))
    session = es.Session(es.Monitors(template), "log.jsonl", es.Sorter(es.FIVE_GOALS, WordClassifier()))
    alerts = list(session.alerts())

    assert [alert.tier for alert in alerts][-1] == "page"
    assert session.rows == 1000
    (one,) = [monitor for _, monitor in session.monitors]
    assert one.epoch.classifier == WordClassifier.hash


class Rereading(WordClassifier):
    """The same by its hash, and reads g1 as g2."""

    def classify(self, responses):
        """As before, but for g1."""
        return [
            es.Verdict.from_goal(es.FIVE_GOALS, one.goal.replace("g1", "g2"), prompt_id="", response_id="")
            for one in super().classify(responses)
        ]


def test_a_classifier_that_moves_is_told_from_a_model():
    """Asked again about a fixed set, a classifier that reads otherwise is an alert of its own, over restarts too."""
    rows = [{"prompt": "?", "response": row["response"]} for row in simulated("constant?at=0.3")]
    write_rows("set.jsonl", [{**row, "goal": row["response"].split()[0]} for row in rows[:100]])
    write_rows("log.jsonl", rows)
    found = []
    for part, classifier in ((400, WordClassifier()), (1000, Rereading())):
        write_rows("log.jsonl", rows[:part])
        template = es.Monitor(es.Baseline.of_first(200), policy=es.Policy(warn=False))
        audit = es.read_audit("set.jsonl", every=100)
        watched = es.Session(
            es.Monitors(template), "log.jsonl", es.Sorter(es.FIVE_GOALS, classifier), audit=audit, state=Path("s")
        )
        found += list(watched.alerts())

    assert [(alert.kind, alert.monitor) for alert in found if alert.kind != "change"] == [
        ("classifier", "monitor/audit")
    ]


def test_cut_anywhere_the_alerts_are_those_of_an_unbroken_run(tmp_path):
    """A session that ends and goes on from its state gives the same alerts, wherever it ended."""
    rows = simulated("burst?from=0.12&to=1.2&when=30&for=10", steps=60)
    write_rows("whole.jsonl", rows)
    whole = [alert.to_dict() for alert in session("whole.jsonl").alerts()]

    for cut in (1, 99, 305, 320, 333, 400, 599):
        path, state = tmp_path / f"{cut}.jsonl", tmp_path / f"{cut}.state"
        write_rows(str(path), rows[:cut])
        found = [alert.to_dict() for alert in session(str(path), state=state).alerts()]
        write_rows(str(path), rows)
        again = session(str(path), state=state)
        found += [alert.to_dict() for alert in again.alerts()]
        assert again.resumed
        assert found == whole
    assert {alert["kind"] for alert in whole} == {"change", "recovered"}


def session(path: str, **more) -> es.Session:
    """A session whose first 100 responses are normal."""
    template = es.Monitor(es.Baseline.of_first(100), run_length=1000)
    return es.Session(es.Monitors(template), path, es.Sorter(es.FIVE_GOALS), **more)


def test_an_alert_that_was_not_taken_is_given_again():
    """Whoever dies with an alert in hand finds it first when it comes back, and the ids say which it was."""
    write_rows("log.jsonl", simulated())
    first = next(session("log.jsonl", state=Path("s")).alerts())
    again = list(session("log.jsonl", state=Path("s")).alerts())

    assert again[0].to_dict() == first.to_dict()
    assert len({alert.id for alert in again}) == len(again)


def test_a_state_belongs_to_its_settings():
    """Another promise, baseline or column is refused by name."""
    write_rows("log.jsonl", simulated())
    list(session("log.jsonl", state=Path("s")).alerts())
    other = es.Session(
        es.Monitors(es.Monitor(es.Baseline.of_first(100), alpha=0.01)),
        "log.jsonl",
        es.Sorter(es.FIVE_GOALS),
        columns=es.Columns(key=("lang",)),
        state=Path("s"),
    )
    with pytest.raises(InvalidInput, match="another columns, promise"):
        list(other.alerts())


def test_killed_again_and_again_it_loses_and_repeats_nothing(tmp_path):
    """kill -9 while a log grows: the alerts on file are those of an unbroken run, each once, to the last digit."""
    rows = simulated("burst?from=0.12&to=1.2&when=30&for=10", steps=80)
    lines = "".join(json.dumps(row) + "\n" for row in rows).encode()
    log, out, state = tmp_path / "log.jsonl", tmp_path / "alerts.jsonl", tmp_path / "state"
    write_rows("whole.jsonl", rows)
    whole = [alert.to_dict() for alert in session("whole.jsonl").alerts()]
    log.touch()
    written = 0
    for share in (0.41, 0.44, 0.53, 1.0):
        process = subprocess.Popen(
            [sys.executable, "-c", RUN, "monitor", log, *FLAGS, "--follow", "--state", state, "--out", out],
            stdout=subprocess.DEVNULL,
        )
        until = int(share * len(lines))
        while written < until:
            step = min(written + 7919, until)
            with log.open("ab") as file:
                file.write(lines[written:step])
            written = step
            time.sleep(0.01)
        wait_for(state, process, offset=lines.rfind(b"\n", 0, written) + 1 if share == 1.0 else 1)
        process.send_signal(signal.SIGKILL)
        process.wait()

    assert len(whole) >= 2
    assert [json.loads(line) for line in out.read_text().splitlines()] == whole


def wait_for(state: Path, process: subprocess.Popen, *, offset: int) -> None:
    """Until the state says that so much of the log was read."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        assert process.poll() is None
        if state.exists() and json.loads(state.read_text())["place"]["offset"] >= offset:
            return
        time.sleep(0.05)
    raise AssertionError("the monitor did not read the log")


def test_hostile_rows_are_named_and_cost_nothing(capsys):
    """Rows of any kind are refused or shown tame; the others count."""
    good = simulated()
    bad = [
        {"goal": "g9"},
        {"goal": 3},
        {"probabilities": [1, 2]},
        {"goal": "g1", "time": "soon"},
        {"prompt": "x"},
        {"goal": "g1", "id": ["x"]},
        {"goal": "g1", "lang": {"a": 1}},
        [],
        "x",
    ]
    named = [{**row, "id": f"\x1b[2J\u202e{row['id']}", "lang": "\x1b]0;owned\x07"} for row in good]
    write_rows("log.jsonl", [row for n, one in enumerate(named) for row in ([bad[n]] if n < len(bad) else []) + [one]])
    code = run(app, ["monitor", "log.jsonl", "--baseline", "first:400", "--key", "lang"])
    printed = capsys.readouterr()

    assert code == 100
    assert "9 rows were not used" in printed.err
    assert "\x1b" not in printed.out + printed.err
    assert all("\x1b" not in json.loads(line)["message"] for line in printed.out.splitlines())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--baseline", "first:0"], "first:N needs"),
        (["--baseline", "first:x"], "first:N needs"),
        (["--detector", "oracle"], "must be one of profile"),
        (["--run-length", "0"], "run length"),
        (["--alpha", "2"], "alpha"),
        (["--stratum", "lang", "--detector", "directed", "--baseline", "log.jsonl"], "no strata"),
        (["--soft", "--baseline", "log.jsonl"], "first:N"),
        (["--renotify", "0"], "renotify must be above 0"),
    ],
)
def test_wrong_flags_are_usage_errors(capsys, arguments, message):
    """Exit code 2, and the message names value and rule."""
    write_rows("log.jsonl", simulated(steps=1))
    code, _, err = call(capsys, "monitor", "log.jsonl", *arguments)

    assert code == 2
    assert message in err


def test_people_get_sentences(capsys, monkeypatch):
    """On a terminal an alert is a line for people on call, with what moved under it."""
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    write_rows("log.jsonl", simulated())
    run(app, ["monitor", "log.jsonl", "--baseline", "first:400"])
    out = capsys.readouterr().out

    assert "PAGE: monitor changed since response" in out
    assert "aligned share" in out
    assert "promise: false pages at least 10,000 responses apart on average" in out.replace("\n", " ")
