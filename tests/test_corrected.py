"""The classifier's errors undone in a measurement: what it rests on, what is refused, how it is shown."""

from __future__ import annotations

import json
import os
import random
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

import ethostat as es
from ethostat.cli import app
from ethostat.cli.frame import run
from ethostat.correction import Basis
from ethostat.errors import InvalidInput
from ethostat.maths.confusion import choose_rows, labels_wanted
from ethostat.report import html, markdown
from ethostat.response import Response, Verdict
from ethostat.store import Act, Choice, ChosenRow
from ethostat.taxonomy import FIVE_GOALS
from goals import WordClassifier

KEYS = FIVE_GOALS.keys
TRUE_SHARES = (0.90, 0.03, 0.04, 0.01, 0.02)
ERRORS = np.array(
    [
        [0.955, 0.030, 0.004, 0.003, 0.008],
        [0.055, 0.920, 0.003, 0.007, 0.015],
        [0.006, 0.004, 0.955, 0.030, 0.005],
        [0.006, 0.010, 0.040, 0.930, 0.014],
        [0.020, 0.015, 0.007, 0.008, 0.950],
    ]
)
LAX = np.array([[0.70, 0.30, 0.0, 0.0, 0.0], *ERRORS[1:]])

Rows = list[tuple[Response, Verdict]]


def answer(prompt: es.Prompt, seed: int) -> str:
    """Two goals: first what `WordClassifier` says, second what a person would; they differ as in ERRORS."""
    rng = random.Random(f"{prompt.id}/{seed}")  # noqa: S311
    truth = rng.choices(range(5), TRUE_SHARES)[0]
    return f"{rng.choices(KEYS, ERRORS[truth])[0]} {KEYS[truth]} {seed}"


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> tuple[es.Measurement, Rows]:
    """40 prompts, 50 responses each, classified with errors."""
    asked = es.PromptSet("forty", tuple(es.Prompt.from_text(f"question {i}", id=f"q{i}") for i in range(40)))
    with es.Store(tmp_path_factory.mktemp("store") / "runs.db") as store:
        found = es.measure(
            es.FunctionModel(answer), asked, samples=50, seed=7, classifier=WordClassifier(), store=store
        )
        return found, list(es.evidence_of(store, found))


def chosen(rows: Rows) -> Rows:
    """70 responses of the modal verdict and 20 of each other, at random."""
    said = np.array([KEYS.index(verdict.goal) for _, verdict in rows])
    wanted = labels_wanted(np.bincount(said, minlength=5))
    return [rows[place] for place in choose_rows(said, wanted, goals=5, rng=np.random.default_rng(1))]


def label_row(response: Response, **more: object) -> dict[str, object]:
    """What a person says of a response."""
    return {
        "id": response.id,
        "prompt": response.prompt.text,
        "response": response.text,
        "label": response.text.split()[1],
    } | more


def read(path: Path, rows: Sequence[dict[str, object]]) -> es.Labels:
    """Rows by way of a file."""
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return es.read_labels(path, taxonomy=FIVE_GOALS)


def calibration(folder: Path, errors: np.ndarray = ERRORS, *, each: int = 300) -> es.Evaluation:
    """`WordClassifier` evaluated on rows of every goal that it misjudges as `errors` says."""
    rng = random.Random(3)  # noqa: S311
    rows = [
        {"prompt": f"c{n}", "response": f"{rng.choices(KEYS, errors[n % 5])[0]} {n}", "label": KEYS[n % 5]}
        for n in range(5 * each)
    ]
    path = folder / "calibration.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return es.evaluate(WordClassifier(), path)


def corrected(measured: tuple[es.Measurement, Rows], **with_what: object) -> es.Correction:
    """The correction of the measurement."""
    found = es.correct(measured[0], measured[1], taxonomy=FIVE_GOALS, **with_what).corrected
    assert found is not None
    return found


def test_labels_bring_the_shares_to_the_truth(measured: tuple[es.Measurement, Rows], tmp_path: Path) -> None:
    """150 labels move g1 and the aligned share from the classifier's to the true ones of these responses."""
    measurement, rows = measured
    truth = np.mean([[response.text.split()[1] == key for key in KEYS] for response, _ in rows], axis=0)

    found = corrected(measured, labels=read(tmp_path / "l.jsonl", [label_row(one) for one, _ in chosen(rows)]))
    assert (found.method, found.labels.n, found.calibration, found.notes) == ("post-stratified", 150, None, ())
    assert found.shares[0].low <= truth[0] <= found.shares[0].high
    assert found.aligned.low <= truth[0] + truth[2] <= found.aligned.high
    assert measurement.shares[0].high < truth[0]
    assert found.pooled_entropy.value < measurement.pooled_entropy.low


def test_the_raw_figures_stay_as_they_were(measured: tuple[es.Measurement, Rows], tmp_path: Path) -> None:
    """A correction is added under `corrected`, comes back from JSON equal, and changes nothing else."""
    measurement, rows = measured
    labels = read(tmp_path / "l.jsonl", [label_row(one) for one, _ in chosen(rows)])
    found = es.correct(measurement, rows, taxonomy=FIVE_GOALS, labels=labels, calibration=calibration(tmp_path))

    told = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert es.Measurement.from_dict(told).to_dict() == found.to_dict()
    assert {key: value for key, value in found.to_dict().items() if key != "corrected"} == {
        key: value for key, value in measurement.to_dict().items() if key != "corrected"
    }
    assert told["corrected"]["labels"]["n"] == 150
    assert told["corrected"]["calibration"]["n"] == 1500
    assert told["corrected"]["profile"].keys() == set(KEYS)


def test_the_within_prompt_entropy_is_undefined_and_says_why(
    measured: tuple[es.Measurement, Rows], tmp_path: Path
) -> None:
    """Pooled labels say nothing of single prompts."""
    found = corrected(measured, labels=read(tmp_path / "l.jsonl", [label_row(one) for one, _ in chosen(measured[1])]))

    assert not found.entropy.is_defined
    assert "errors of single prompts are not known" in found.entropy.method


def test_a_calibration_beside_labels_is_joint_and_narrower(
    measured: tuple[es.Measurement, Rows], tmp_path: Path
) -> None:
    """1,500 calibration rows that hold here make the interval narrower; alone they are marked as an assumption."""
    labels, known = (
        read(tmp_path / "l.jsonl", [label_row(one) for one, _ in chosen(measured[1])]),
        calibration(tmp_path),
    )
    both, alone = corrected(measured, labels=labels, calibration=known), corrected(measured, calibration=known)

    assert (both.method, both.calibration.n, both.notes) == ("joint", 1500, ())
    assert both.calibration_p_value > 0.05
    assert both.aligned.half_width < corrected(measured, labels=labels).aligned.half_width
    assert (alone.method, alone.labels) == ("joint", None)
    assert "rests on the assumption that the classifier errs here as on calibration.jsonl" in alone.notes[0]


def test_a_stale_calibration_is_named_and_not_used_where_labels_can_do_without(
    measured: tuple[es.Measurement, Rows], tmp_path: Path
) -> None:
    """With labels it is post-stratified, asked for it is joint with a warning, alone it says what to do next."""
    rows = [label_row(one) for one, _ in chosen(measured[1])]
    labels, stale = read(tmp_path / "l.jsonl", rows), calibration(tmp_path, LAX)
    used = corrected(measured, labels=labels, calibration=stale)
    forced = corrected(measured, labels=labels, calibration=stale, way=es.CORRECTIONS["joint"])
    alone = corrected(measured, calibration=stale)

    assert used.method == "post-stratified"
    assert used.calibration_p_value <= 0.05
    assert "the calibration is stale" in used.notes[0]
    assert "it was not used" in used.notes[0]
    assert forced.method == "joint"
    assert "do not rely on the corrected figures" in forced.notes[0]
    assert "looks stale" in alone.notes[0]
    assert "label 150 of these responses" in alone.notes[0]


def test_labels_of_other_responses_are_counted_and_never_used(
    measured: tuple[es.Measurement, Rows], tmp_path: Path
) -> None:
    """The same id with another text is another response: ids of sampled responses are places, equal in every run."""
    rows = [label_row(one) for one, _ in chosen(measured[1])]
    strangers = [{**row, "response": f"{row['response']} elsewhere", "label": "g5"} for row in rows[:30]]
    strangers += [{**row, "id": f"other {row['id']}", "label": "g5"} for row in rows[:12]]

    mixed = corrected(measured, labels=read(tmp_path / "mixed.jsonl", rows + strangers))
    assert mixed.shares == corrected(measured, labels=read(tmp_path / "l.jsonl", rows)).shares
    assert mixed.labels.n == 150
    assert mixed.notes[0].startswith("42 of 192 labels (mixed.jsonl) are not of responses of this measurement")


def test_labels_of_nothing_here_leave_the_figures_undefined(
    measured: tuple[es.Measurement, Rows], tmp_path: Path
) -> None:
    """Where no label matches and there is no calibration, nothing is invented."""
    row = {"id": "x", "prompt": "p", "response": "g1 g1", "label": "g1"}
    found = corrected(measured, labels=read(tmp_path / "l.jsonl", [row]))

    assert (found.method, found.labels.n) == ("none", 0)
    assert not any(one.is_defined for one in (found.entropy, found.pooled_entropy, found.aligned, *found.shares))
    assert "no usable label" in found.aligned.method


def test_raters_are_settled_by_the_adjudicator_or_the_majority(
    measured: tuple[es.Measurement, Rows], tmp_path: Path
) -> None:
    """Two against one counts, one against one does not, and who settles it decides."""
    (one, _), (two, _), (three, _) = chosen(measured[1])[:3]
    rows = [label_row(one, label=goal, rater=who) for goal, who in (("g1", "a"), ("g2", "b"), ("g2", "c"))]
    rows += [label_row(two, label=goal, rater=who) for goal, who in (("g1", "a"), ("g2", "b"))]
    rows += [label_row(three, label=goal, rater=who) for goal, who in (("g1", "a"), ("g1", "b"))]
    rows += [label_row(three, label="g4", rater="c", settles=True)]
    agreed = [label_row(one, label="g2"), label_row(three, label="g4")]

    found = corrected(measured, labels=read(tmp_path / "l.jsonl", rows))
    assert found.shares == corrected(measured, labels=read(tmp_path / "a.jsonl", agreed)).shares
    assert found.labels.n == 2
    assert "1 labelled responses were not used, since their raters are evenly split" in found.notes


def test_rows_chosen_for_doubt_or_by_another_classifier_are_not_used(
    measured: tuple[es.Measurement, Rows], tmp_path: Path
) -> None:
    """Only rows that are a random choice within this classifier's verdict say what that verdict means."""
    pairs = chosen(measured[1])
    rows = [label_row(one, chosen="stratified", predicted=verdict.goal) for one, verdict in pairs[:100]]
    rows += [label_row(one, chosen="informative", predicted=verdict.goal) for one, verdict in pairs[100:110]]
    rows += [
        label_row(one, chosen="stratified", predicted="g5" if verdict.goal == "g1" else "g1")
        for one, verdict in pairs[110:115]
    ]

    found = corrected(measured, labels=read(tmp_path / "l.jsonl", rows))
    assert found.labels.n == 100
    assert any(note.startswith("15 labels (l.jsonl) are of responses that were not chosen") for note in found.notes)


def test_a_verdict_that_nobody_labelled_is_named(measured: tuple[es.Measurement, Rows], tmp_path: Path) -> None:
    """Without labels among the rows called g4 the classifier's word stands there, and the note says so."""
    rows = [label_row(one) for one, verdict in chosen(measured[1]) if verdict.goal != "g4"]

    assert "calls g4 is labelled" in corrected(measured, labels=read(tmp_path / "l.jsonl", rows)).notes[0]


def test_another_classifier_taxonomy_or_the_same_rows_are_refused(
    measured: tuple[es.Measurement, Rows], tmp_path: Path
) -> None:
    """A calibration must be this classifier's, over these goals, on rows that are not the labels."""
    rows = [label_row(one) for one, _ in chosen(measured[1])]
    labels = read(tmp_path / "l.jsonl", rows)
    fields = calibration(tmp_path).to_dict()
    other = es.Evaluation.from_dict({**fields, "classifier": {"name": "else", "hash": "f" * 16}})
    goals = es.Evaluation.from_dict({**fields, "taxonomy": {"name": "two", "hash": "e" * 16}})

    with pytest.raises(InvalidInput, match="is of classifier 'else'"):
        corrected(measured, calibration=other)
    with pytest.raises(InvalidInput, match="counts the goals of 'two'"):
        corrected(measured, calibration=goals)
    with pytest.raises(InvalidInput, match="the same rows"):
        corrected(measured, labels=labels, calibration=es.evaluate(WordClassifier(), tmp_path / "l.jsonl"))
    with pytest.raises(InvalidInput, match="pass the responses behind it"):
        es.correct(measured[0], measured[1][:-1], taxonomy=FIVE_GOALS, labels=labels)


class OddsClassifier(WordClassifier):
    """Reads five calibrated probabilities off the response: P(g | x) under equal shares."""

    name, hash = "odds", "fedcba9876543210"

    def classify(self, responses: Sequence[Response]) -> list[Verdict]:
        """The probabilities that the text holds."""
        return [
            Verdict.from_probabilities(FIVE_GOALS, json.loads(one.text), prompt_id=one.prompt.id, response_id=one.id)
            for one in responses
        ]


def odds(rng: np.random.Generator, goal: int, *, sharpness: float = 1.0) -> str:
    """P(g | x) for x ~ N(e_goal, 0.4), printed."""
    x = np.eye(5)[goal] + 0.4 * rng.standard_normal(5)
    logits = sharpness * x / 0.4**2
    weights = np.exp(logits - logits.max())
    return json.dumps([round(float(p), 9) for p in weights / weights.sum()])


def odds_rows(path: Path, shares: Sequence[float], rows: int, *, sharpness: float = 1.0) -> Path:
    """Labelled rows with probabilities."""
    rng = np.random.default_rng(5)
    goals = rng.choice(5, rows, p=shares)
    lines = [
        {"id": f"r{n}", "prompt": f"q{n % 100}", "response": odds(rng, g, sharpness=sharpness), "label": KEYS[g]}
        for n, g in enumerate(goals)
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def test_soft_takes_calibrated_probabilities_and_no_others(tmp_path: Path) -> None:
    """Calibrated ones give back the shifted shares; with an ECE above 0.05, or a goal unseen, soft is refused."""
    judge, way, shares = OddsClassifier(), es.CORRECTIONS["soft"], np.array([0.8, 0.05, 0.05, 0.04, 0.06])
    known = es.evaluate(judge, odds_rows(tmp_path / "c.jsonl", [0.2] * 5, 2000))
    sharp = es.evaluate(judge, odds_rows(tmp_path / "sharp.jsonl", [0.2] * 5, 2000, sharpness=5.0))
    three = es.evaluate(judge, odds_rows(tmp_path / "three.jsonl", [0.4, 0.3, 0.3, 0, 0], 2000))
    with es.Store(tmp_path / "runs.db") as store:
        log = odds_rows(tmp_path / "log.jsonl", shares, 2000)
        found = es.measure_transcripts(log, classifier=judge, store=store)
        rows = list(es.evidence_of(store, found))

    soft = es.correct(found, rows, taxonomy=FIVE_GOALS, calibration=known, way=way).corrected
    assert soft is not None
    assert soft.method == "soft"
    assert [share.value for share in soft.shares] == pytest.approx(shares, abs=0.025)
    with pytest.raises(InvalidInput, match="soft needs calibrated probabilities"):
        es.correct(found, rows, taxonomy=FIVE_GOALS, calibration=sharp, way=way)
    with pytest.raises(InvalidInput, match="has none of g4, g5"):
        es.correct(found, rows, taxonomy=FIVE_GOALS, calibration=es.Evaluation.from_dict(_calm(three)), way=way)
    with pytest.raises(InvalidInput, match="soft needs a calibration"):
        es.correct(found, rows, taxonomy=FIVE_GOALS, way=way)


def _calm(found: es.Evaluation) -> dict[str, object]:
    """The evaluation with a calibration error below the gate."""
    fields = found.to_dict()
    return {**fields, "calibration_error": {**fields["calibration_error"], "value": 0.01, "low": 0.0}}


def test_the_page_names_and_draws_both(measured: tuple[es.Measurement, Rows], tmp_path: Path) -> None:
    """Table and chart hold raw and corrected with both intervals; without a correction neither speaks of one."""
    measurement, rows = measured
    labels = read(tmp_path / "<b>l.jsonl", [label_row(one) for one, _ in chosen(rows)[:-20]])
    found = es.correct(measurement, rows, taxonomy=FIVE_GOALS, labels=labels)
    page, plain = html(found, taxonomy=FIVE_GOALS), html(measurement, taxonomy=FIVE_GOALS)

    raw, better = found.shares[0], found.corrected.shares[0]
    for share in (raw, better):
        assert f"{share.low:.1%} to {share.high:.1%}" in page
    assert "interval, corrected</th>" in page
    assert "The figures above are what the classifier said." in page
    assert "Pooled, corrected" in page
    assert "<b>l.jsonl" not in page
    assert "orrected" not in plain.split('<script type="application/json"')[0]
    figures = json.loads(page.split('id="figures">')[1].split("</script>")[0])["light"]["profile"]["data"]
    assert [trace["name"] for trace in figures] == ["as classified", "corrected"]
    assert figures[1]["x"] == pytest.approx([share.value for share in found.corrected.shares])
    ends = [x + up for x, up in zip(figures[1]["x"], figures[1]["error_x"]["array"], strict=True)]
    assert ends == pytest.approx([share.high for share in found.corrected.shares])


def test_markdown_names_both(measured: tuple[es.Measurement, Rows], tmp_path: Path) -> None:
    """The table has columns of its own for corrected shares and intervals, and a line for what they rest on."""
    labels = read(tmp_path / "l.jsonl", [label_row(one) for one, _ in chosen(measured[1])])
    text = markdown(es.correct(*measured, taxonomy=FIVE_GOALS, labels=labels), FIVE_GOALS)

    assert "| share | interval | corrected | interval, corrected |" in text
    assert "Aligned share, corrected (`post-stratified, 150 labels (l.jsonl)`)" in text
    assert "Mean within-prompt S, corrected: undefined" in text
    assert "corrected" not in markdown(measured[0], FIVE_GOALS)


def test_labels_in_the_store_are_found_with_how_they_were_chosen(tmp_path: Path) -> None:
    """Rows that this classifier's verdicts stratified count; rows whose choice is another classifier's do not."""
    asked = es.PromptSet("two", tuple(es.Prompt.from_text(f"question {i}", id=f"q{i}") for i in range(2)))
    goals = FIVE_GOALS.to_dict() | {"hash": FIVE_GOALS.hash}
    with es.Store(tmp_path / "runs.db") as store:
        found = es.measure(
            es.FunctionModel(answer), asked, samples=30, seed=7, classifier=WordClassifier(), store=store
        )
        run_id, rows = str(found.provenance.run), list(es.evidence_of(store, found))
        assert es.stored_labels(store, found) is None
        for hash, part in ((WordClassifier.hash, rows[:25]), ("f" * 16, rows[30:34])):
            picked = tuple(ChosenRow(one.prompt.id, one.index, verdict.goal) for one, verdict in part)
            store.add_choice(run_id, Choice("stratified", picked, goals, classifier={"name": "c", "hash": hash}))
            for one, _ in part:
                goal = one.text.split()[1]
                store.add_act(
                    run_id, Act(one.prompt.id, one.index, "label", "ann", goal=goal, taxonomy_hash=FIVE_GOALS.hash)
                )
        labels = es.stored_labels(store, found)

    got = corrected((found, rows), labels=labels)
    assert got.labels == Basis(f"labels of run {run_id}", labels.hash, 25)
    assert got.notes[0].startswith(f"4 labels (labels of run {run_id}) are of responses that were not chosen at random")


@pytest.fixture
def _plain_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No settings from outside, a folder and a store of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("COLUMNS", "130")
    for name in [name for name in os.environ if name.startswith("ETHOSTAT_")]:
        monkeypatch.delenv(name)


def call(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    """Exit code, standard output, standard error."""
    code = run(app, arguments)
    printed = capsys.readouterr()
    return code, printed.out, printed.err


def log_rows(rows: int) -> list[dict[str, object]]:
    """Answers and refusals to two questions."""
    said = ["The capital of France is Paris.", "I'm sorry, but I can't help with that.", "Paris, on the Seine."]
    return [
        {"id": f"r{n}", "prompt": "What is the capital of France?", "response": f"{said[n % 3]} ({n})"}
        for n in range(rows)
    ]


@pytest.mark.usefixtures("_plain_settings")
def test_the_command_corrects_a_transcript_and_its_report(capsys: pytest.CaptureFixture[str]) -> None:
    """`measure --labels --calibration --json`, then `report latest` on the same run: raw and corrected."""
    rows = log_rows(60)
    goal = {0: "g1", 1: "g4", 2: "g1"}
    labels = [{**row, "label": goal[n % 3]} for n, row in enumerate(rows)][:40]
    known = [{**row, "prompt": "And of Italy?", "label": goal[n % 3]} for n, row in enumerate(log_rows(45))]
    for name, lines in (("log", rows), ("labels", labels), ("known", known)):
        Path(f"{name}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    _, evaluation, _ = call(capsys, "evaluate", "builtin", "known.jsonl", "--json")
    Path("evaluation.json").write_text(evaluation)
    undoing = ("--labels", "labels.jsonl", "--calibration", "evaluation.json")

    code, out, _ = call(capsys, "measure", "transcripts:log.jsonl", *undoing, "--json", "--db", "runs.db")
    told = json.loads(out)
    assert code == 0
    assert told["corrected"]["labels"]["n"] == 40
    assert told["corrected"]["calibration"]["n"] == 45
    assert told["profile"]["g1"]["count"] + told["profile"]["g4"]["count"] <= 60
    code, out, _ = call(capsys, "report", "latest", *undoing, "--db", "runs.db", "--out", "r.html", "--json")
    assert code == 0
    assert json.loads(out)["corrected"] == told["corrected"]
    assert "interval, corrected" in Path("r.html").read_text()
    code, out, _ = call(capsys, "report", "latest", "--labels", "labels.jsonl", "--db", "runs.db")
    assert code == 0
    assert "pooled, corrected" in out
    assert "corrected: post-stratified, 40 labels (labels.jsonl)" in out


@pytest.mark.usefixtures("_plain_settings")
def test_the_command_refuses_before_it_spends(capsys: pytest.CaptureFixture[str]) -> None:
    """An unknown way, a way without its calibration, an unreadable or foreign file end it with exit code 2 or 3."""
    Path("log.jsonl").write_text("".join(json.dumps(row) + "\n" for row in log_rows(3)))
    Path("bad.json").write_text("{")
    Path("other.json").write_text('{"n": 3}')
    measure = ("measure", "transcripts:log.jsonl", "--db", "runs.db")

    for more, said in (
        (("--correction", "magic"), "must be auto, post-stratified, joint, soft"),
        (("--correction", "soft"), "soft needs --calibration"),
        (("--calibration", "bad.json"), "is not JSON"),
        (("--calibration", "other.json"), "not an Evaluation"),
        (("--calibration", "none.json"), "cannot be read"),
        (("--labels", "none.jsonl"), "none.jsonl"),
    ):
        code, _, err = call(capsys, *measure, *more)
        assert code == 2
        assert said in err
    code, _, err = call(capsys, *measure, "--labels", "log.jsonl")
    assert code == 3
    assert "no usable label" in err


@pytest.mark.usefixtures("_plain_settings")
def test_recorded_verdicts_take_labels_but_no_foreign_calibration(capsys: pytest.CaptureFixture[str]) -> None:
    """Verdicts that a file brought are post-stratified by labels; a calibration of an encoder is refused."""
    rows = [{**row, "goal": "g1"} for row in log_rows(30)]
    Path("log.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    Path("labels.jsonl").write_text("".join(json.dumps({**row, "label": "g1"}) + "\n" for row in rows[:20]))
    _, evaluation, _ = call(capsys, "evaluate", "builtin", "labels.jsonl", "--json")
    Path("evaluation.json").write_text(evaluation)

    code, out, _ = call(capsys, "measure", "transcripts:log.jsonl", "--labels", "labels.jsonl", "--json")
    assert code == 0
    assert json.loads(out)["corrected"]["profile"]["g1"]["share"]["low"] > 0.7
    code, _, err = call(capsys, "measure", "transcripts:log.jsonl", "--calibration", "evaluation.json")
    assert code == 2
    assert "the verdicts are of 'recorded verdicts'" in err
