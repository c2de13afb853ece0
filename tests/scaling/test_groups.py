"""Measurements by group: what `measure_transcripts` makes of the group's rows, whoever does the work, however often."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from logs import STATED, figures, rows, write

import ethostat as es
from ethostat.cli import app
from ethostat.cli.frame import run
from ethostat.errors import InvalidInput, TooLittleEvidence

BY = ("model", "day")
SMALL = 4_000


@pytest.fixture(scope="module")
def log(tmp_path_factory) -> Path:
    """300 rows in two files."""
    folder, some = tmp_path_factory.mktemp("log"), rows(300)
    write(folder / "first.jsonl", some[:140])
    write(folder / "second.jsonl", some[140:])
    return folder


@pytest.fixture(scope="module")
def whole(log) -> es.Grouped:
    """The groups of the log, measured by this process in one go."""
    return es.measure_groups([str(log)], by=BY, classifier=STATED)


def _same(a: es.Grouped, b: es.Grouped) -> bool:
    return [one.to_dict() for one in a.groups] == [one.to_dict() for one in b.groups]


def test_a_group_is_what_measuring_its_rows_alone_gives(log, whole, tmp_path):
    """Every figure of every group is that of `measure_transcripts` on the rows of the group, to the last bit."""
    some = rows(300)
    groups = {tuple(one.key.values()): one.measurement for one in whole.groups}
    assert set(groups) == {(model, f"2026-03-0{day}") for model in "ab" for day in (2, 3, 4)}

    for (model, day), measured in groups.items():
        early = f"2026-03-0{int(day[-1]) - 1}"  # 23:30 at UTC-2 is the next day in UTC
        mine = [row for row in some if row["model"] == model and row["time"].startswith(early)]
        alone = es.measure_transcripts(write(tmp_path / "alone.jsonl", mine), classifier=STATED())
        assert figures(measured) == figures(alone)


def test_pieces_and_processes_change_nothing(log, whole):
    """Small fragments, done by two processes in any order, give the same groups."""
    spread = es.Spread(es.Processes(2), fragment_bytes=SMALL)

    assert _same(es.measure_groups([str(log)], by=BY, classifier=STATED, rules=spread), whole)


def test_a_group_too_large_for_memory_keeps_all_that_counts_give(log, whole):
    """Above `whole_rows` responses a group is measured from counts: the same, but for what needs each verdict."""
    found = es.measure_groups(
        [str(log)], by=BY, classifier=STATED, rules=es.Spread(fragment_bytes=SMALL, whole_rows=10)
    )

    for one, other in zip(found.groups, whole.groups, strict=True):
        mine, theirs = figures(one.measurement), figures(other.measurement)
        assert {name for name in mine if mine[name] != theirs[name]} <= {"variance", "outside", "notes"}
        assert "not worked out for more than 10 responses" in one.measurement.provenance.notes[0]


class _Stops:
    """A crew that stops after some items, as a process that is killed does."""

    size = 1

    def __init__(self, after: int) -> None:
        self.after = after

    def run(self, work, items):
        for place, item in enumerate(items):
            if place == self.after:
                raise KeyboardInterrupt
            yield item, work(item)


def test_a_job_goes_on_where_it_was_stopped(log, whole, tmp_path):
    """What was done is not done again, and the result is that of a job that was never stopped."""
    into = str(tmp_path / "job")
    with pytest.raises(KeyboardInterrupt):
        es.measure_groups([str(log)], by=BY, classifier=STATED, rules=es.Spread(_Stops(3), into, SMALL))
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "job/parts").iterdir()}
    (tmp_path / "job/parts/0.parquet.4711.part").write_bytes(b"PAR1, and then its writer was killed")
    told: list[es.Stand] = []

    found = es.measure_groups([str(log)], by=BY, classifier=STATED, rules=es.Spread(into=into, on_progress=told.append))

    assert len(before) == 3
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert told[0].begun_with == 3
    assert (told[-1].done, told[-1].rows) == (told[-1].fragments, 300)
    assert len(list((tmp_path / "job/parts").iterdir())) == told[-1].fragments
    assert _same(found, whole)
    assert _same(es.read_grouped(into), whole)


def test_a_file_that_came_since_is_added(log, tmp_path):
    """The next day's file costs its own rows alone."""
    folder, into = tmp_path / "log", str(tmp_path / "job")
    folder.mkdir()
    write(folder / "1.jsonl", rows(40))
    es.measure_groups([str(folder)], classifier=STATED, rules=es.Spread(into=into))
    write(folder / "2.jsonl", rows(30, seed=2))
    told: list[es.Stand] = []

    found = es.measure_groups([str(folder)], classifier=STATED, rules=es.Spread(into=into, on_progress=told.append))

    assert [one.begun_with for one in told] == [1]
    assert found.n == 70


def test_a_driver_that_is_killed_loses_and_repeats_nothing(tmp_path):
    """After `kill -9` the same command gives what one that was never killed gives."""
    log, into = write(tmp_path / "log.jsonl", rows(6_000)), tmp_path / "job"
    command = [
        sys.executable, "-c",
        "import sys, ethostat as es; from functools import partial\n"
        "opener = es.Opener(partial(es.open_classifier, 'goals-in-text'))\n"
        "es.measure_groups([sys.argv[1]], by=('model',), classifier=opener, rules=es.Spread(into=sys.argv[2], "
        "fragment_bytes=20_000))", str(log), str(into),
    ]  # fmt: skip
    driver = subprocess.Popen(command)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and len(list(into.glob("parts/*.parquet"))) < 3:
        time.sleep(0.005)
    os.kill(driver.pid, signal.SIGKILL)
    driver.wait()
    done = len(list(into.glob("parts/*.parquet")))

    found = es.measure_groups([str(log)], by=("model",), classifier=STATED, rules=es.Spread(into=str(into)))

    assert 3 <= done < len(list(into.glob("parts/*.parquet")))
    assert _same(found, es.measure_groups([str(log)], by=("model",), classifier=STATED))


def test_a_folder_takes_one_job(log, tmp_path):
    """Another question in the same folder is refused, and the message says what differs."""
    into = es.Spread(into=str(tmp_path / "job"))
    es.measure_groups([str(log)], by=BY, classifier=STATED, rules=into)

    with pytest.raises(InvalidInput, match="begun with another by"):
        es.measure_groups([str(log)], by=("model",), classifier=STATED, rules=into)


def test_rows_that_cannot_be_used_are_counted_and_said(tmp_path):
    """A bad line, a value that is no text, an answer without a goal: each is named, the rest counts."""
    some = rows(20)
    some[3]["route"], some[4]["response"] = [1], "no goal"
    path = write(tmp_path / "log.jsonl", some)
    path.write_text(path.read_text() + "not JSON\n")

    found = es.measure_groups([str(path)], by=("route",), classifier=STATED)

    assert (found.n, found.rejected) == (18, 3)
    assert [one.key for one in found.groups] == [{"route": "(none)"}]
    with pytest.raises(TooLittleEvidence, match="no usable row"):
        es.measure_groups([str(write(tmp_path / "bad.jsonl", [{"x": 1}]))], classifier=STATED)


def test_too_many_groups_are_refused(tmp_path, monkeypatch):
    """A field that is other in every row is no group."""
    monkeypatch.setattr("ethostat.scaling.jobs.MOST_GROUPS", 50)

    with pytest.raises(InvalidInput, match="id make more than 50 groups"):
        es.measure_groups([str(write(tmp_path / "log.jsonl", rows(60)))], by=("id",), classifier=STATED)


def test_classified_files_hold_the_rows_of_classify(log, tmp_path):
    """Parquet files with the rows in order, fields and all, as `classify_rows` gives them; they can be measured."""
    into = tmp_path / "classified"
    stand = es.classify_files([str(log)], classifier=STATED, rules=es.Spread(es.Processes(2), str(into), SMALL))

    expected = [
        row for name in ("first", "second") for row in es.classify_rows(log / f"{name}.jsonl", classifier=STATED())
    ]
    plan = json.loads((into / "plan.json").read_text())
    found = [
        row
        for one in plan["fragments"]
        for row in es.classify_rows(into / "parts" / f"{one['id']}.parquet", classifier=STATED())
    ]
    assert (stand.rows, stand.rejected) == (300, 0)
    assert found == expected
    measured = es.measure_groups([str(into / "parts")], by=("model",), classifier=STATED)
    assert measured.groups[0].measurement.provenance.classifier.name == "recorded verdicts"


def test_fields_of_several_kinds_are_kept_as_text(tmp_path):
    """A column that no type fits is JSON text; the others stay what they are."""
    some = rows(3)
    some[0]["extra"], some[1]["extra"], some[2]["score"] = 1, "one", 0.5
    into = tmp_path / "out"

    es.classify_files([str(write(tmp_path / "log.jsonl", some))], classifier=STATED, rules=es.Spread(into=str(into)))

    (part,) = into.glob("parts/*.parquet")
    found = list(es.classify_rows(part, classifier=STATED()))
    assert [row["extra"] for row in found] == ["1", '"one"', None]
    assert [row["score"] for row in found] == [None, None, 0.5]


def test_the_command_measures_by_group_and_reports(log, whole, tmp_path, capsys, monkeypatch):
    """JSON is a list of measurements with their keys; the page and `report FOLDER` show the groups."""
    monkeypatch.chdir(tmp_path)
    ask = ["measure", f"transcripts:{log}", "--classifier", "goals-in-text", "--by", "model", "--by", "day"]

    assert run(app, [*ask, "--into", "job", "--report", "groups.html", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == [one.to_dict() for one in whole.groups]
    page = Path("groups.html").read_text()
    assert "2026-03-04" in page
    assert "by model, day" in page

    assert run(app, ["report", "job", "--out", "groups.md"]) == 0
    assert "| `a` | `2026-03-02` |" in Path("groups.md").read_text()
    assert "2026-03-03" in capsys.readouterr().out


def test_the_command_classifies_into_a_folder(log, tmp_path, capsys, monkeypatch):
    """`classify FOLDER --into` says how many rows there are; --workers needs a folder."""
    monkeypatch.chdir(tmp_path)
    ask = ["classify", str(log), "--classifier", "goals-in-text"]

    assert run(app, [*ask, "--into", "out", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"fragments": 2, "rows": 300, "rejected": 0}
    assert run(app, [*ask, "--workers", "2"]) == 2


def test_names_of_groups_are_inert(tmp_path):
    """A field of a row is text that a model may have written: it is escaped in the page and in Markdown."""
    some = [row | {"route": "<script>alert(1)</script>|[x](javascript:y)"} for row in rows(30)]
    found = es.measure_groups([str(write(tmp_path / "log.jsonl", some))], by=("route",), classifier=STATED)

    for name in ("page.html", "page.md"):
        es.write_groups(tmp_path / name, found)

    assert "<script>alert" not in (tmp_path / "page.html").read_text()
    assert "\\|" in (tmp_path / "page.md").read_text()
