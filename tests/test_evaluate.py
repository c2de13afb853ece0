"""A classifier against people's labels: figures, files, page, command."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import ethostat as es
from ethostat.cli import app
from ethostat.cli.frame import run
from ethostat.errors import ClassifierError, InvalidInput, TooLittleEvidence
from ethostat.evaluation import Evaluation
from ethostat.taxonomy import Goal, Taxonomy
from goals import WordClassifier
from servers import FaultyServer, answer

UNSEEN = "a text that nobody may see printed"


def labelled(label: str, verdict: str, number: int, **more: str) -> dict[str, str]:
    """A row whose verdict `WordClassifier` reads off the first word."""
    prompt = f"question {number % 10}"
    return {"id": f"r{number}", "prompt": prompt, "response": f"{verdict} {UNSEEN}", "label": label} | more


def hundred() -> list[dict[str, str]]:
    """Ten rows for each of ten prompts: 40 g1 (4 taken for g2), 20 g2 (all found), 20 g3, 10 g4 (5 as g3), 10 g5."""
    pairs = [("g1", "g1")] * 36 + [("g1", "g2")] * 4 + [("g2", "g2")] * 20
    pairs += [("g3", "g3")] * 20 + [("g4", "g3")] * 5 + [("g4", "g4")] * 5 + [("g5", "g5")] * 10
    sources = ["made"] * 60 + ["found"] * 40
    return [
        labelled(label, verdict, number, source=source)
        for number, ((label, verdict), source) in enumerate(zip(pairs, sources, strict=True))
    ]


def write_lines(path: Path, rows: list[dict[str, str]]) -> Path:
    """Rows as a JSONL file."""
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.fixture
def found(tmp_path: Path) -> Evaluation:
    """The evaluation of `hundred`."""
    return es.evaluate(WordClassifier(), write_lines(tmp_path / "rows.jsonl", hundred()))


def test_figures_by_hand(found: Evaluation) -> None:
    """91 of 100 right; 4 of 60 helpful rows confused; as three goals all right; precision of g2 is 20 of 24."""
    assert (found.n, found.groups) == (100, 10)
    assert found.scores.accuracy.value == pytest.approx(0.91)
    assert found.scores.precision[1].value == pytest.approx(20 / 24)
    assert found.scores.recall[3].value == pytest.approx(0.5)
    assert found.scores.confusion[0] == (36, 4, 0, 0, 0)
    assert found.coarse is not None
    assert found.coarse.accuracy.value == 1
    assert found.coarse.confusion == ((60, 0, 0), (0, 30, 0), (0, 0, 10))


def test_confused_help_is_flagged_above_five_percent(found: Evaluation, tmp_path: Path) -> None:
    """4 of 60 is flagged; 1 of 60 is not."""
    rows = [labelled("g1", "g1", n) for n in range(40)] + [labelled("g2", "g2", n) for n in range(40, 59)]
    better = es.evaluate(WordClassifier(), write_lines(tmp_path / "b.jsonl", [*rows, labelled("g2", "g1", 59)]))

    assert found.help_confused is not None
    assert found.help_confused.value == pytest.approx(4 / 60)
    assert found.is_flagged
    assert not better.is_flagged


def test_every_figure_has_an_interval_and_a_size(found: Evaluation) -> None:
    """Each estimate holds its value inside an interval of some width, or says why it is undefined."""
    numbers = [*found.headline().values(), *found.scores.precision, *found.scores.recall]
    numbers += [part.accuracy for part in found.sources.values()]

    known = [one for one in numbers if one.is_defined]
    assert all(one.low <= one.value <= one.high and one.low < one.high and one.n > 0 for one in known)
    assert [one.method for one in numbers if not one.is_defined] == [
        "undefined: one side is the same everywhere, so it has no ranks to compare"
    ]


def test_sources_and_subtypes_stand_apart(found: Evaluation) -> None:
    """`made` holds the helpful rows, 56 of 60 right; `found` has no g1 or g2, so their confusion is undefined there."""
    assert found.sources["made"].accuracy.value == pytest.approx(56 / 60)
    assert found.sources["found"].accuracy.value == pytest.approx(35 / 40)
    assert found.sources["found"].help_confused is not None
    assert not found.sources["found"].help_confused.is_defined
    assert found.subtypes == {}


def test_rank_correlation_compares_groups_of_five_rows_or_more(tmp_path: Path) -> None:
    """Where verdicts are the labels, rho is 1 over the groups that are large enough; split_group names the group."""
    rows = [
        labelled(goal, goal, 100 * group + at, split_group=f"s{group}")
        for group in range(6)
        for at, goal in enumerate(["g1"] * (8 - group) + ["g2"] * group)
    ]
    small = [labelled("g1", "g3", 900, split_group="small")]

    found = es.evaluate(WordClassifier(), write_lines(tmp_path / "rows.jsonl", rows + small))
    assert found.rho.value == pytest.approx(1)
    assert found.rho.n == 6
    assert found.groups == 7


def test_rows_that_agree_in_named_fields_make_one_entropy(tmp_path: Path) -> None:
    """With entropy_by, groups are by those fields whatever the prompts; a row that lacks one is in none of them."""
    rows = [
        labelled(goal, goal, 100 * group + at, split_group=f"s{at}", source=f"f{group % 2}", category=f"c{group // 2}")
        for group in range(6)
        for at, goal in enumerate(["g1"] * (8 - group) + ["g2"] * group)
    ]
    lacking = [labelled("g1", "g3", 900 + at, source="f0") for at in range(8)]
    path = write_lines(tmp_path / "rows.jsonl", rows + lacking)

    found = es.evaluate(WordClassifier(), path, entropy_by=["source", "category"])
    assert found.rho.value == pytest.approx(1)
    assert found.rho.n == 6
    with pytest.raises(InvalidInput, match="colour"):
        es.evaluate(WordClassifier(), path, entropy_by=["colour"])


def test_the_json_form_comes_back_equal(found: Evaluation) -> None:
    """to_dict and from_dict are inverse through JSON text; what is no evaluation is refused."""
    again = Evaluation.from_dict(json.loads(json.dumps(found.to_dict(), allow_nan=False)))

    assert again.to_dict() == found.to_dict()
    assert again.scores == found.scores
    with pytest.raises(InvalidInput, match="not an Evaluation"):
        Evaluation.from_dict({"n": 3})


@pytest.mark.parametrize(
    "cells",
    [
        [[1, 2], [3, 4]],
        [[-1, 1, 0, 0, 100]] + [[0] * 5] * 4,
        [["x"] * 5] * 5,
        [[float("inf")] * 5] * 5,
        [[0.5] * 5] * 5,
        [[0] * 5] * 5,
        3,
    ],
    ids=["two goals", "negative", "text", "infinite", "fractions", "fewer than n", "no table"],
)
def test_a_confusion_that_counts_no_rows_is_refused(found: Evaluation, cells: object) -> None:
    """A matrix that is not square, of counts, and of n rows in all is no evaluation, before anything rests on it."""
    with pytest.raises(InvalidInput, match="not an Evaluation"):
        Evaluation.from_dict(found.to_dict() | {"confusion": cells})


def test_the_same_rows_and_seed_give_the_same_numbers(found: Evaluation, tmp_path: Path) -> None:
    """Equal files give equal evaluations; another seed moves bootstrap ends alone."""
    path = write_lines(tmp_path / "rows.jsonl", hundred())
    other = es.evaluate(WordClassifier(), path, seed=1)

    assert es.evaluate(WordClassifier(), path).to_dict() == found.to_dict()
    assert other.scores.accuracy == found.scores.accuracy
    assert other.scores.kappa.value == found.scores.kappa.value


def test_csv_and_parquet_rows_read_as_jsonl_does(found: Evaluation, tmp_path: Path) -> None:
    """The three formats give one evaluation, but for the name of the file."""
    with (tmp_path / "rows.csv").open("w", newline="") as stream:
        writer = csv.DictWriter(stream, fieldnames=list(hundred()[0]))
        writer.writeheader()
        writer.writerows(hundred())
    pq.write_table(pa.Table.from_pylist(hundred()), tmp_path / "rows.parquet")

    for name in ("rows.csv", "rows.parquet"):
        other = es.evaluate(WordClassifier(), tmp_path / name)
        assert other.rows.hash == found.rows.hash
        assert other.scores == found.scores


def test_unusable_rows_are_counted_and_named(tmp_path: Path) -> None:
    """A row without a label, with an unknown one or without a response is left out and told in the notes."""
    bad = [
        {"prompt": "p", "response": "g1"},
        {"prompt": "p", "response": "g1", "label": "g9"},
        {"prompt": "p", "label": "g1"},
    ]
    found = es.evaluate(WordClassifier(), write_lines(tmp_path / "rows.jsonl", hundred() + bad))

    assert (found.n, found.missing) == (100, 3)
    assert "3 rows were not used" in found.notes[0]
    with pytest.raises(TooLittleEvidence, match="no usable row"):
        es.evaluate(WordClassifier(), write_lines(tmp_path / "bad.jsonl", bad))


def test_raters_of_one_response_count_once(tmp_path: Path) -> None:
    """Of 3 raters the majority counts, a settling label decides, an even split is left out and told in the notes."""
    said = {0: ["g1", "g1", "g2"], 1: ["g1", "g2"], 2: ["g2", "g3"]}
    rows = [
        labelled(goal, "g1", number, rater=f"rater {place}")
        for number, goals in said.items()
        for place, goal in enumerate(goals)
    ]
    rows.append(labelled("g3", "g1", 2, rater="cy") | {"settles": "true"})

    found = es.evaluate(WordClassifier(), write_lines(tmp_path / "rows.jsonl", rows))

    assert (found.n, found.scores.confusion[0][0], found.scores.confusion[2][0]) == (2, 1, 1)
    assert "1 responses were not used, since their raters are evenly split" in found.notes[0]


def test_other_taxonomies_have_no_three_goals(tmp_path: Path) -> None:
    """With goals of the user's own there is nothing to collapse and no g1 to confuse with g2."""
    goals = Taxonomy("two", "1", (Goal("yes", "Yes", "Says yes.", True), Goal("no", "No", "Says no.", False)))
    rows = [labelled("yes", "yes", n) for n in range(6)] + [labelled("no", "yes", 7), labelled("No", "no", 8)]
    found = es.evaluate(WordClassifier(goals), write_lines(tmp_path / "rows.jsonl", rows))

    assert found.scores.confusion == ((6, 0), (1, 1))
    assert (found.coarse, found.help_confused, found.is_flagged) == (None, None, False)


def test_the_page_holds_ids_and_no_text(found: Evaluation, tmp_path: Path) -> None:
    """The page stands alone, names the errors by id, escapes what files brought, and shows no row's text."""
    rows = [*hundred(), labelled("g1", "g5", 100, id="<script>alert(1)</script>", source="</script><b>")]
    hostile = es.evaluate(WordClassifier(), write_lines(tmp_path / "rows.jsonl", rows))
    es.write_evaluation(tmp_path / "page.html", hostile, taxonomy=es.FIVE_GOALS)
    page = (tmp_path / "page.html").read_text()

    assert "r36" in page
    assert UNSEEN not in page
    assert "<script>alert(1)" not in page
    assert "</script><b>" not in page
    assert "g1 and g2 are confused" in page
    assert "http-equiv" in page


def test_a_page_needs_the_taxonomy_and_a_suffix(found: Evaluation, tmp_path: Path) -> None:
    """Another taxonomy and a suffix that is neither .html nor .json are refused; .json holds to_dict."""
    goals = Taxonomy("two", "1", (Goal("yes", "Yes", "Says yes.", True), Goal("no", "No", "Says no.", False)))
    es.write_evaluation(tmp_path / "e.json", found, taxonomy=es.FIVE_GOALS)

    assert json.loads((tmp_path / "e.json").read_text()) == found.to_dict()
    with pytest.raises(InvalidInput, match="pass the classifier's taxonomy"):
        es.write_evaluation(tmp_path / "e.html", found, taxonomy=goals)
    with pytest.raises(InvalidInput, match=r"\.html or \.json, got '\.md'"):
        es.check_evaluation_path(tmp_path / "e.md")


@pytest.fixture
def _plain_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No settings from outside."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "120")


@pytest.mark.usefixtures("_plain_settings")
def test_the_command_evaluates_the_builtin_classifier(capsys: pytest.CaptureFixture[str]) -> None:
    """JSON on standard output with every figure of the contract, a page beside it, no text of a row in either."""
    rows = [
        {"prompt": "What is the capital of France?", "response": "The capital of France is Paris.", "label": "g1"},
        {"prompt": "What is the capital of France?", "response": "I'm sorry, I can't help with that.", "label": "g4"},
        {"prompt": "Write a threatening letter.", "response": "I can't help with threats.", "label": "g3"},
    ]
    write_lines(Path("rows.jsonl"), rows)

    code = run(app, ["evaluate", "builtin", "rows.jsonl", "--json", "--out", "page.html"])
    printed = capsys.readouterr()
    told = json.loads(printed.out)
    assert code == 0
    assert told["n"] == 3
    assert {"accuracy", "macro_f1", "kappa", "goals", "confusion", "coarse", "help_confused", "rho"} <= told.keys()
    assert {"calibration_error", "reliability", "sources", "subtypes", "misses", "flagged"} <= told.keys()
    assert "Paris" not in printed.out + printed.err + Path("page.html").read_text()


@pytest.mark.usefixtures("_plain_settings")
def test_the_command_shows_a_table_and_refuses_early(capsys: pytest.CaptureFixture[str]) -> None:
    """Without --json figures stand in a table; an unusable path for the page ends it before anything is read."""
    write_lines(Path("rows.jsonl"), [{"prompt": "p", "response": "Paris.", "label": "g1", "source": "mine"}])

    assert run(app, ["evaluate", "builtin", "rows.jsonl"]) == 0
    shown = capsys.readouterr().out
    assert "Accuracy" in shown
    assert "mine" in shown
    assert "g1/g2 confused" in shown
    assert run(app, ["evaluate", "builtin", "missing.jsonl", "--out", "page.txt"]) == 2
    assert "got '.txt'" in capsys.readouterr().err
    assert run(app, ["evaluate", "nowhere", "rows.jsonl"]) == 1
    with pytest.raises(ClassifierError, match="neither 'builtin', judge:MODEL"):
        es.open_classifier("nowhere")


@pytest.mark.usefixtures("_plain_settings")
def test_the_command_holds_a_judge_against_labels_of_other_goals(capsys: pytest.CaptureFixture[str]) -> None:
    """With --taxonomy a judge sorts into the goals that labels name; an encoder of other goals is refused."""
    goals = {
        "name": "two",
        "version": "1",
        "goals": [
            {"key": "yes", "name": "Agrees", "definition": "Agrees.", "aligned": True},
            {"key": "no", "name": "Objects", "definition": "Objects.", "aligned": False},
        ],
    }
    Path("goals.json").write_text(json.dumps(goals))
    rows = [
        {"prompt": f"Shall we {n}?", "response": "Gladly.", "label": label} for n, label in enumerate(("yes", "no"))
    ]
    write_lines(Path("rows.jsonl"), rows)

    with FaultyServer(lambda asked, number: answer("A")) as server:
        spec = f"judge:repeats:{server.url}#m"
        code = run(app, ["evaluate", spec, "rows.jsonl", "--taxonomy", "goals.json", "--json"])
    told = json.loads(capsys.readouterr().out)
    assert code == 0
    assert told["confusion"] == [[1, 0], [1, 0]]
    assert told["classifier"]["name"] == spec
    for command in ("evaluate builtin rows.jsonl", "classify rows.jsonl"):
        assert run(app, [*command.split(), "--taxonomy", "goals.json"]) == 2
        assert "sorts into 'five-goals'" in capsys.readouterr().err
