"""People's labels without the terminal: which rows are chosen, a rater's way through them, the file they are in."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import ethostat as es
from ethostat.choosing import strata
from ethostat.errors import InvalidInput, TooLittleEvidence
from ethostat.maths.confusion import labels_wanted
from ethostat.tasks import Task, adjudicate, begin_labelling
from goals import PROMPTS, WordClassifier, speaking

BEGIN = """
import sys
import ethostat as es
from ethostat.tasks import begin_labelling
with es.Store(sys.argv[1]) as store:
    print("ready", flush=True)
    sys.stdin.readline()
    print(begin_labelling(store, es.Task(sys.argv[2], selection=es.Selection("all")), rater="ann").run_id)
"""
SHARES = (0.6, 0.05, 0.2, 0.1, 0.05)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """A store with one measured run of 12 prompts x 50 responses, whose goals their first word says."""
    with es.Store(tmp_path_factory.mktemp("labelling") / "runs.db") as opened:
        es.measure(speaking(SHARES), PROMPTS, samples=50, seed=7, classifier=WordClassifier(), store=opened)
        yield opened


def write_rows(path: Path, rows) -> Path:
    """Rows as a JSONL file."""
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def task(way: str | None = None, source: str = "latest", **selection) -> Task:
    """Rows of the measured run, or of a file."""
    return Task(source, selection=es.Selection(way, **selection))


def predicted(store: es.Store, rows) -> list[str]:
    """What the classifier said of rows: their first word."""
    run = store.get_run("latest").id
    return [store.response(run, *place).text.split()[0] for place in rows]


def test_the_default_choice_is_70_of_the_modal_goal_and_20_of_each_other(store):
    """Stratified by the run's own verdicts, each row once, and the order tells nothing of what was predicted."""
    rows = begin_labelling(store, task(), rater="ann").rows

    said = predicted(store, rows)
    assert Counter(said) == {"g1": 70, "g2": 20, "g3": 20, "g4": 20, "g5": 20}
    assert len(set(rows)) == 150
    # In random order 70 of 150 rows make about 75 changes between g1 and another goal; in blocks 1 or 2.
    assert 50 < sum((one == "g1") != (other == "g1") for one, other in pairwise(said)) < 100


def test_equal_tasks_give_every_rater_the_same_rows_and_another_seed_others(store):
    """Rows and order are those of the stored choice."""
    ann, bo = (begin_labelling(store, task(), rater=name).rows for name in ("ann", "bo"))

    assert ann == bo
    assert begin_labelling(store, task(seed=1), rater="ann").rows != ann


@settings(deadline=None)
@given(said=st.lists(st.integers(0, 400), min_size=2, max_size=8).filter(any), wanted=st.integers(8, 600))
def test_strata_are_never_larger_than_what_there_is_or_is_wanted(said, wanted):
    """No more rows of a goal than it has, none left out that occurs, `wanted` in all where the modal goal has them."""
    counts = np.array(said)
    quota = strata(counts, wanted)

    assert (quota <= counts).all()
    assert ((quota > 0) == (counts > 0)).all()
    assert quota.sum() <= wanted
    assert quota.sum() == wanted or quota[counts.argmax()] == counts.max()
    assert (strata(counts) == labels_wanted(counts)).all()


def test_scaled_strata_keep_their_proportions():
    """Twice the labels: 140 and 40; 15 of them: 7 and 2."""
    said = np.array([900, 100, 100, 100, 100])

    assert strata(said, 300).tolist() == [140, 40, 40, 40, 40]
    assert strata(said, 15).tolist() == [7, 2, 2, 2, 2]
    with pytest.raises(InvalidInput, match="at least 5"):
        strata(said, 4)


def test_informative_rows_are_the_most_uncertain_and_never_correct_anything(tmp_path, store):
    """The first is the one nearest to even odds, equal texts come once, and the label file says how it was chosen."""
    odds = [0.99, 0.5, 0.8, 0.5, 0.97]
    texts = ["sure", "even", "likely", "even", "nearly"]
    rows = [
        {"id": f"r{i}", "prompt": "q", "response": text, "probabilities": [p, 1 - p, 0, 0, 0]}
        for i, (p, text) in enumerate(zip(odds, texts, strict=True))
    ]
    source = write_rows(tmp_path / "log.jsonl", rows)
    with es.Store(tmp_path / "runs.db") as own:
        work = begin_labelling(own, task("informative", str(source), wanted=3), rater="ann")
        file = es.LabelFile(tmp_path / "labels.jsonl", own, work.run_id, taxonomy=work.taxonomy)
        shown = []
        while (item := work.item) is not None:
            shown.append(item.response.text)
            work.label("g1")
        file.write()
        measured, goals = es.stored_measurement(own, "latest")
        labels = es.read_labels(tmp_path / "labels.jsonl", taxonomy=goals)
        corrected = es.correct(measured, es.evidence_of(own, measured), taxonomy=goals, labels=labels).corrected

    assert shown == ["even", "likely", "nearly"]
    assert {row.chosen for row in labels.rows} == {"informative"}
    assert corrected.method == "none"
    assert "not chosen at random" in " ".join(corrected.notes)


def test_raters_who_begin_at_the_same_moment_label_one_run(tmp_path):
    """Of processes that find the file unrecorded, one records it and the others wait for that."""
    source = write_rows(
        tmp_path / "log.jsonl", [{"id": f"r{i}", "prompt": f"q{i}", "response": "a"} for i in range(40)]
    )
    es.Store(tmp_path / "runs.db").close()
    begin = [sys.executable, "-c", BEGIN, str(tmp_path / "runs.db"), str(source)]

    several = [subprocess.Popen(begin, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    for one in several:
        assert one.stdout.readline() == "ready\n"
    for one in several:
        one.stdin.write("go\n")
        one.stdin.flush()
    runs = {one.communicate()[0] for one in several}

    with es.Store(tmp_path / "runs.db") as own:
        assert runs == {f"{run.id}\n" for run in own.runs()}
        assert len(runs) == 1


def test_recorded_goals_without_doubt_have_no_informative_rows(tmp_path):
    """Where every verdict is certain, nothing is more informative than the rest, and the error says what to do."""
    source = write_rows(tmp_path / "log.jsonl", [{"prompt": "q", "response": "a", "goal": "g1"}] * 3)

    with es.Store(tmp_path / "runs.db") as own, pytest.raises(InvalidInput, match="choose random"):
        begin_labelling(own, task("informative", str(source)), rater="ann")


def test_other_goals_are_labelled_without_a_classifier(tmp_path):
    """Where no classifier knows the goals, all rows are labelled, also those that carry a verdict on other goals."""
    goals = es.Taxonomy("two", "1", (es.Goal("yes", "Yes", "Agrees.", True), es.Goal("no", "No", "Does not.", False)))
    source = write_rows(tmp_path / "log.jsonl", [{"prompt": "q", "response": f"a{i}", "goal": "g1"} for i in range(4)])
    with es.Store(tmp_path / "runs.db") as own:
        work = begin_labelling(own, Task(str(source), taxonomy=goals), rater="ann")
        for _ in range(4):
            work.label("no")

        assert work.current is None
        assert [label.goal for label in own.labels(work.run_id, taxonomy_hash=goals.hash)] == ["no"] * 4
        with pytest.raises(InvalidInput, match="--choose random or all"):
            begin_labelling(own, Task(str(source), taxonomy=goals, selection=es.Selection("stratified")), rater="ann")


def test_with_overlap_a_row_behind_it_is_for_one_rater(store):
    """Both label the first rows; of the others each is labelled once, and together they cover all."""
    ann, bo = (
        begin_labelling(store, task("random", wanted=20, overlap=5, seed=3), rater=name) for name in ("amy", "ben")
    )
    given = Counter()
    while ann.item or bo.item:
        for work in (ann, bo):
            if work.item:
                given[work.current] += 1
                work.label("g1")

    assert sorted(given.values()) == [1] * 15 + [2] * 5
    assert ann.progress.done + bo.progress.done == 25
    assert ann.progress.total == ann.progress.done


@settings(max_examples=12, deadline=None)
@given(presses=st.text("lllsun", max_size=12))
def test_whatever_is_pressed_a_new_sitting_is_where_the_old_one_was(store, presses):
    """Row, counts and note after any keys are those that a second process finds."""
    rater = f"rater {presses}"
    one = begin_labelling(store, task("random", wanted=4, seed=5), rater=rater)
    for key in presses:
        if key == "u":
            one.undo()
        elif one.current is None:
            break
        elif key == "n":
            one.note(f"note {one.progress.done}")
        else:
            one.skip() if key == "s" else one.label("g2")

    other = begin_labelling(store, task("random", wanted=4, seed=5), rater=rater)

    assert (other.item, other.progress) == (one.item, one.progress)


def test_skipped_rows_come_back_when_they_are_asked_for(store):
    """A skip is passed over until `again`; what is labelled then is no longer skipped."""
    work = begin_labelling(store, task("random", wanted=3, seed=9), rater="ann")
    skipped = work.current
    work.skip()
    work.label("g1")
    work.label("g1")

    assert work.current is None
    assert work.again() == 1
    assert work.current == skipped
    work.label("g3")
    assert (work.current, work.progress.skipped, work.progress.done) == (None, 0, 3)


def test_a_file_that_was_measured_is_the_same_run(tmp_path):
    """`measure transcripts:` and then `label` on one file share a run, so that its report has the labels."""
    rows = [{"prompt": "q", "response": f"a{i}", "goal": "g1"} for i in range(4)]
    source = write_rows(tmp_path / "log.jsonl", rows)
    with es.Store(tmp_path / "runs.db") as own:
        measured = es.measure_transcripts(source, store=own)
        work = begin_labelling(own, task(source=str(source)), rater="ann")
        work.label("g2")

        assert work.run_id == measured.provenance.run
        assert len(es.stored_labels(own, measured).rows) == 1


def test_a_label_file_goes_on_in_another_store(tmp_path):
    """Labels that only the file has come into the store, with time and note; a log that grew keeps them, marked."""
    rows = [{"id": f"r{i}", "prompt": "q", "response": f"a{i}"} for i in range(3)]
    source, out = write_rows(tmp_path / "log.jsonl", rows), tmp_path / "labels.jsonl"
    with es.Store(tmp_path / "one.db") as own:
        work = begin_labelling(own, task("all", str(source)), rater="ann")
        file = es.LabelFile(out, own, work.run_id, taxonomy=work.taxonomy)
        work.note("seen twice")
        work.label("g4")
        file.write()
    before = json.loads(out.read_text())

    write_rows(source, [*rows, {"id": "r3", "prompt": "q", "response": "a3"}])
    with es.Store(tmp_path / "two.db") as own:
        work = begin_labelling(own, task("random", str(source), wanted=1, seed=2), rater="ann")
        file = es.LabelFile(out, own, work.run_id, taxonomy=work.taxonomy)
        after = json.loads(out.read_text())

    assert file.taken == 1
    assert after | {name: before[name] for name in ("chosen", "log")} == before
    assert (before["chosen"], before["note"]) == ("all", "seen twice")
    assert after["chosen"] in ("all", "unknown")


def test_a_file_of_anything_else_is_never_written_over(tmp_path):
    """Rows that are no labels of these responses are refused by count, and stay as they were."""
    source = write_rows(tmp_path / "log.jsonl", [{"id": "r0", "prompt": "q", "response": "a"}])
    other = write_rows(
        tmp_path / "other.jsonl", [{"id": "r0", "prompt": "q", "response": "b", "label": "g1", "rater": "x"}]
    )
    kept = other.read_text()
    with es.Store(tmp_path / "runs.db") as own:
        work = begin_labelling(own, task("all", str(source)), rater="ann")

        with pytest.raises(InvalidInput, match="1 rows that are no labels of these responses"):
            es.LabelFile(other, own, work.run_id, taxonomy=work.taxonomy)
        with pytest.raises(InvalidInput, match=r"must end in \.jsonl"):
            es.LabelFile(tmp_path / "x.csv", own, work.run_id, taxonomy=work.taxonomy)

    assert other.read_text() == kept


def test_a_label_file_is_read_by_evaluate_and_by_corrections(tmp_path):
    """What one label writes, `evaluate` counts with its label and `correct` with its stratum."""
    rows = [{"prompt": f"q{i % 7}", "response": f"{'g1' if i % 3 else 'g4'} {i}"} for i in range(60)]
    source, out = write_rows(tmp_path / "log.jsonl", rows), tmp_path / "labels.jsonl"
    classifier = WordClassifier()
    with es.Store(tmp_path / "runs.db") as own:
        work = begin_labelling(
            own, Task(str(source), classifier=classifier, selection=es.Selection(wanted=30)), rater="ann"
        )
        file = es.LabelFile(out, own, work.run_id, taxonomy=work.taxonomy)
        while (item := work.item) is not None:
            work.label(item.response.text.split()[0])
            file.write()
        measured, goals = es.stored_measurement(own, "latest")
        labels = es.read_labels(out, taxonomy=goals)
        corrected = es.correct(measured, es.evidence_of(own, measured), taxonomy=goals, labels=labels).corrected

    found = es.evaluate(classifier, out)
    assert (found.n, found.scores.accuracy.value) == (30, 1.0)
    assert corrected.labels.n == 30
    assert corrected.notes == ()


def test_adjudication_goes_through_the_disputed_rows_and_nothing_else(tmp_path):
    """Labels from elsewhere are taken in first; the settling label counts, and it can be taken back."""
    rows = [{"id": f"r{i}", "prompt": "q", "response": f"a{i}"} for i in range(4)]
    source = write_rows(tmp_path / "log.jsonl", rows)
    said = {"ann": ["g1", "g1", "g2", "g4"], "bo": ["g1", "g3", "g2", "g5"]}
    files = [
        write_rows(
            tmp_path / f"{who}.jsonl",
            [row | {"label": goal, "rater": who} for row, goal in zip(rows, goals, strict=True)],
        )
        for who, goals in said.items()
    ]
    with es.Store(tmp_path / "runs.db") as own:
        with pytest.raises(TooLittleEvidence, match="nobody has labelled"):
            adjudicate(own, task(source=str(source)), rater="cy")
        work = adjudicate(own, task(source=str(source)), rater="cy", labels=files)
        first, second = work.item, work.label("g3") or work.item
        work.label("g4")

        assert work.current is None
        assert [first.response.id, second.response.id] == ["r1", "r3"]
        assert (first.said.goals, second.said.goals) == ({"g1": 1, "g3": 1}, {"g4": 1, "g5": 1})
        assert [label.goal for label in own.labels(work.run_id) if label.settles] == ["g3", "g4"]
        assert work.undo() == "g4"
        again = adjudicate(own, task(source=str(source)), rater="di")
        assert (again.item.response.id, again.progress.done) == ("r3", 1)


def test_labels_of_two_machines_keep_how_their_rows_were_chosen(tmp_path):
    """Brought together they still say stratified and what was predicted; in a log that grew since, unknown."""
    rows = [{"id": f"r{i}", "prompt": f"q{i % 3}", "response": f"{'g1' if i % 2 else 'g4'} {i}"} for i in range(12)]
    source = write_rows(tmp_path / "log.jsonl", rows)
    stratified = Task(str(source), classifier=WordClassifier(), selection=es.Selection(wanted=6))
    files = []
    for who, goal in (("ann", "g1"), ("bo", "g2")):
        with es.Store(tmp_path / f"{who}.db") as own:
            work = begin_labelling(own, stratified, rater=who)
            file = es.LabelFile(tmp_path / f"{who}.jsonl", own, work.run_id, taxonomy=work.taxonomy)
            while work.item is not None:
                work.label(goal)
            file.write()
            files.append(file.path)

    kinds = []
    for more in ([], [{"id": "new", "prompt": "q0", "response": "g1 new"}]):
        write_rows(source, [*rows, *more])
        with es.Store(tmp_path / f"cy{len(more)}.db") as own:
            work = adjudicate(own, task(source=str(source)), rater="cy", labels=files)
            out = es.LabelFile(tmp_path / f"cy{len(more)}.jsonl", own, work.run_id, taxonomy=work.taxonomy).path
            written = [json.loads(line) for line in out.read_text().splitlines()]
            kinds.append({(row["chosen"], row.get("predicted") == row["response"].split()[0]) for row in written})
            assert len(written) == 12

    assert kinds == [{("stratified", True)}, {("unknown", False)}]


@pytest.mark.parametrize("name", ["", "  ", "a\x1b[2J", "x" * 65, "two\nlines"])
def test_a_rater_has_a_name_that_can_be_shown(store, name):
    """Empty, overlong and unprintable names are refused before anything is read."""
    with pytest.raises(InvalidInput, match="a rater's name must be"):
        begin_labelling(store, task(), rater=name)


@pytest.mark.parametrize(
    ("way", "numbers", "rule"),
    [
        ("best", {}, "must be stratified"),
        ("all", {"wanted": 3}, "choose random"),
        ("random", {"wanted": 0}, "at least 1"),
        (None, {"overlap": -1}, "at least 0"),
        (None, {"seed": -1}, "from 0"),
    ],
)
def test_numbers_that_cannot_be_meant_are_refused(way, numbers, rule):
    """Each error names the option and its rule."""
    with pytest.raises(InvalidInput, match=rule):
        es.Selection(way, **numbers)
