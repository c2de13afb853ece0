"""compare: what is matched, what is refused, what is said; from measurements, files, transcripts and runs."""

from __future__ import annotations

import json
import os
import random
from dataclasses import replace
from pathlib import Path

import pytest

import ethostat as es
from ethostat.cli import app
from ethostat.cli.frame import run
from ethostat.correction import Basis, Correction
from ethostat.errors import InvalidInput
from ethostat.shift import ALPHA, Shift
from goals import PROMPTS, WordClassifier, speaking

ALIGNED = (0.85, 0.03, 0.08, 0.02, 0.02)
CALM = (0.99, 0.0025, 0.0025, 0.0025, 0.0025)
CERTAIN = (1, 0, 0, 0, 0)
LOOSE = (0.45, 0.43, 0.08, 0.02, 0.02)


@pytest.fixture(autouse=True)
def _at_home(tmp_path, monkeypatch):
    """Every test runs in a folder of its own, with no settings from outside and its own data folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("COLUMNS", "160")
    for name in [name for name in os.environ if name.startswith("ETHOSTAT_")]:
        monkeypatch.delenv(name)


def measured(shares, *, seed: int = 1, samples: int = 20, prompts=PROMPTS, store=None, name: str = "speaking"):
    """A measurement of a model with these shares."""
    model, sorter = speaking(shares, name=name), WordClassifier()
    return es.measure(model, prompts, samples=samples, seed=seed, classifier=sorter, store=store)


def write_rows(path: str, shares, *, seed: int, prompts: int = 20, each: int = 20, asked: str = "question {}", **more):
    """Rows that carry their goal, drawn with these shares; `asked` None names no prompt."""
    draw = random.Random(seed)  # noqa: S311
    with Path(path).open("w") as file:
        for prompt in range(prompts):
            for _ in range(each):
                row = {"goal": draw.choices(es.FIVE_GOALS.keys, shares)[0], **more}
                file.write(json.dumps(row | ({"prompt": asked.format(prompt)} if asked else {})) + "\n")
    return path


def call(capsys, *arguments: str) -> tuple[int, str, str]:
    """Exit code, standard output, standard error."""
    code = run(app, arguments)
    printed = capsys.readouterr()
    return code, printed.out, printed.err


def test_a_looser_model_has_changed():
    """Twice as much misaligned help: g1 and g2 are called, S grows, and the verdict is changed."""
    found = es.compare(measured(ALIGNED), measured(LOOSE))

    assert found.verdict == "changed"
    assert [one.goal for one in found.goals if one.p_adjusted <= ALPHA] == ["g1", "g2"]
    assert found.entropy_difference_here.low > 0
    assert found.matched.prompts == 12
    assert found.matched.by == "set"
    assert found.aligned_difference.high < 0
    assert found.prompt_divergence_here.low > 0


def test_one_model_twice_is_never_called_changed_and_is_equivalent_with_enough_responses():
    """Few responses leave it open; 400 a prompt show that nothing moved by more than 0.05 nats or 5 %."""
    few = es.compare(measured(ALIGNED, samples=5), measured(ALIGNED, samples=5, seed=2))
    many = es.compare(measured(CALM, samples=400), measured(CALM, samples=400, seed=2))

    assert few.verdict == "inconclusive"
    assert many.verdict == "equivalent"
    assert all(one.holds for one in many.equivalence.conditions)


def test_a_swap_that_leaves_entropy_alone_is_no_equivalence():
    """All g1 and all g2 are both S = 0: equivalence asks for every share as well, and the test is sure."""
    found = es.compare(measured((1, 0, 0, 0, 0), samples=50), measured((0, 1, 0, 0, 0), samples=50))

    assert found.headline.value == pytest.approx(0, abs=0.01)
    assert found.verdict == "changed"
    assert {"g1", "g2"} <= {one.name for one in found.equivalence.failing}


def test_json_is_lossless():
    """What to_dict gives is JSON with the fields of the contract, and from_dict makes it whole again."""
    found = es.compare(measured(ALIGNED), measured(LOOSE))
    text = json.dumps(found.to_dict(), allow_nan=False)
    fields = json.loads(text)

    assert {"a", "b", "entropy_difference", "pooled_entropy_difference", "goals", "divergence"} <= set(fields)
    assert {"p_value", "equivalent", "verdict", "summary"} <= set(fields)
    assert list(fields["goals"]) == list(es.FIVE_GOALS.keys)
    assert json.dumps(Shift.from_dict(fields).to_dict()) == text
    with pytest.raises(InvalidInput, match="not a comparison"):
        Shift.from_dict({"a": 1})


def test_the_same_seed_gives_the_same_shift():
    """Swaps are drawn from the seed alone."""
    a, b = measured(ALIGNED), measured(ALIGNED, seed=3)

    assert es.compare(a, b, seed=4).to_dict() == es.compare(a, b, seed=4).to_dict()


def test_prompts_are_matched_by_content_whatever_their_ids():
    """Two sets that share six texts under other ids are compared on those six, and the note counts the rest."""
    some = es.PromptSet(
        "six", (*(replace(one, id=f"other {one.id}") for one in PROMPTS.prompts[:6]), es.Prompt.from_text("new"))
    )
    found = es.compare(measured(ALIGNED), measured(LOOSE, prompts=some))

    assert found.matched.by == "content"
    assert (found.matched.prompts, found.matched.only_a, found.matched.only_b) == (6, 6, 1)
    assert any("left out" in note for note in found.notes)
    assert {one.id_b for one in found.prompts} == {f"other p{i}" for i in range(6)}


def test_equal_ids_are_matched_with_a_note_where_texts_are_unknown():
    """A measurement from before texts were hashed is matched by id, and the note says to check."""
    a = measured(ALIGNED)
    old = replace(
        a,
        provenance=replace(a.provenance, prompts=replace(a.provenance.prompts, hash="old")),
        per_prompt=tuple(replace(one, hash=None) for one in a.per_prompt),
    )
    found = es.compare(a, old)

    assert found.matched.by == "id"
    assert any("by id" in note for note in found.notes)


def test_other_prompts_are_compared_as_independent_sets(tmp_path):
    """Where no prompt is the same there is no paired figure, and the note says what that means."""
    a, b = write_rows("a.jsonl", ALIGNED, seed=1), write_rows("b.jsonl", LOOSE, seed=2, asked="another {}")
    found = es.compare(a, b)

    assert not found.matched.is_paired
    assert not found.entropy_difference_here.is_defined
    assert found.entropy_difference.is_defined
    assert found.equivalence.scope == "prompts like these"
    assert found.verdict == "changed"
    assert any("no prompt is the same" in note for note in found.notes)


def test_rows_that_name_no_prompt_are_pools():
    """Bare goals are two pools: pooled S and shares are compared, within-prompt S is not."""
    found = es.compare(
        write_rows("a.jsonl", ALIGNED, seed=1, asked=None), write_rows("b.jsonl", LOOSE, seed=2, asked=None)
    )

    assert not found.a.entropy.is_defined
    assert found.pooled_entropy_difference.low > 0
    assert found.verdict == "changed"
    assert "pooled S" in found.summary()


def test_measurements_under_other_goals_are_refused():
    """Profiles over different goals cannot be subtracted."""
    three = es.Taxonomy("three", "1", es.FIVE_GOALS.goals[:3])
    sorter = WordClassifier(three)
    other = es.measure(speaking((1, 0, 0, 0, 0)), PROMPTS, samples=2, seed=1, classifier=sorter)

    with pytest.raises(InvalidInput, match="same goals"):
        es.compare(measured(ALIGNED), other)


def test_other_classifiers_and_temperatures_are_noted():
    """A difference may come from the classifier or the decoding, so the notes name them."""
    a = measured(ALIGNED)
    b = replace(
        a, provenance=replace(a.provenance, classifier=replace(a.provenance.classifier, hash="ffff"), temperature=1.0)
    )
    notes = " ".join(es.compare(a, b).notes)

    assert "different classifiers" in notes
    assert "different temperatures" in notes


def test_margins_that_cannot_be_meant_are_refused():
    """A margin is above 0, a share margin below 1 too."""
    a = measured(ALIGNED)

    for bad in ({"margin": 0.0}, {"margin": float("nan")}, {"share_margin": 1.0}):
        with pytest.raises(InvalidInput, match="margin"):
            es.compare(a, a, **bad)


def test_corrected_figures_stand_beside_the_raw_ones():
    """Where both measurements carry corrected figures, their differences are there too."""
    a, b = measured(ALIGNED), measured(LOOSE)

    def corrected(one):
        basis = Basis("labels", "00", 150)
        figures = Correction(
            method="post-stratified", labels=basis, calibration=None, calibration_p_value=None,
            entropy=one.entropy, pooled_entropy=one.pooled_entropy, aligned=one.aligned, shares=one.shares,
        )  # fmt: skip
        return replace(one, corrected=figures)

    found = es.compare(corrected(a), corrected(b))

    assert es.compare(a, corrected(b)).corrected is None
    assert found.corrected is not None
    assert found.corrected.shares[1].value == pytest.approx(b.shares[1].value - a.shares[1].value)
    assert Shift.from_dict(found.to_dict()).corrected == found.corrected


def test_the_prompt_and_category_that_moved_come_first_with_responses(tmp_path):
    """Of 12 prompts one changed: it is first, with what was asked and a response of either side; so is its category."""
    with es.Store(tmp_path / "runs.db") as store:
        calm = (1, 0, 0, 0, 0)

        async def moved(prompt: es.Prompt, seed: int) -> str:
            goal = "g2" if prompt.id == "p5" else "g1"
            return f"{goal} \x1b[31mbecause of {seed}"

        a = measured(calm, store=store)
        b = es.measure(es.FunctionModel(moved), PROMPTS, samples=20, seed=1, classifier=WordClassifier(), store=store)
        found = es.compare(a.provenance.run, b.provenance.run, store=store)

    first = found.prompts[0]
    assert [one.id for one in found.prompts if one.has_moved] == ["p5"]
    assert first.asked == "question 5"
    assert [(one.side, one.goal) for one in first.examples] == [("a", "g1"), ("b", "g2")]
    assert [one.id for one in found.categories if one.has_moved] == ["odd"]


def test_runs_files_and_transcripts_are_found(tmp_path, capsys):
    """A run by the beginning of its id, its JSON and its exported rows all say that nothing changed."""
    with es.Store(tmp_path / "runs.db") as store:
        a = measured(ALIGNED, store=store)
        es.export(store, a.provenance.run, tmp_path / "rows.jsonl")
        (tmp_path / "m.json").write_text(json.dumps(a.to_dict()))
        for other in (a.provenance.run[:20], tmp_path / "m.json", "rows.jsonl", "transcripts:rows.jsonl"):
            found = es.compare(a, other, store=store)
            assert found.p_value == 1
            assert found.a.profile == found.b.profile
            assert found.matched.prompts == 12
        runs = len(store.runs())

    assert runs == 1, "comparing a transcript leaves no run behind"


def test_what_is_nowhere_is_said_so(tmp_path):
    """A name that is no file and no run is refused with both facts."""
    with es.Store(tmp_path / "runs.db") as store, pytest.raises(InvalidInput, match="is no file, and no run either"):
        es.compare("nothing.json", "nothing.json", store=store)


def test_several_models_share_their_false_discoveries():
    """Three against one baseline: p-values are adjusted for three, and the verdict rests on the adjusted one."""
    base = measured(ALIGNED)
    found = es.compare_many(base, [measured(ALIGNED, seed=2), measured(LOOSE), measured(ALIGNED, seed=3)])

    assert [one.verdict for one in found] == ["inconclusive", "changed", "inconclusive"]
    assert all(one.p_adjusted >= one.p_value for one in found)


def test_the_gate_answers_in_exit_codes(capsys):
    """100 where something changed, 3 where evidence is short, 0 where equivalence holds; without the flag always 0."""
    base = write_rows("base.jsonl", CERTAIN, seed=1, each=100)
    same = write_rows("same.jsonl", CERTAIN, seed=2, each=100)
    short = write_rows("short.jsonl", CERTAIN, seed=3, each=4)
    loose = write_rows("loose.jsonl", LOOSE, seed=4)

    assert call(capsys, "compare", base, loose)[0] == 0
    for other, code, word in ((loose, 100, "changed"), (short, 3, "inconclusive"), (same, 0, "equivalent")):
        got, out, _ = call(capsys, "compare", base, other, "--fail-on-drift")
        assert got == code
        assert out.splitlines()[-1].startswith(f"{word}: transcripts:{other} against transcripts:{base}: S ")
    assert call(capsys, "compare", base, same, loose, "--fail-on-drift")[0] == 100


def test_a_narrow_margin_asks_for_more_evidence(capsys):
    """What is equivalent within 0.05 is not shown so within 0.001."""
    base, same = (write_rows(f"{i}.jsonl", CERTAIN, seed=i, each=100) for i in (1, 2))

    assert call(capsys, "compare", base, same, "--fail-on-drift", "--margin", "0.001")[0] == 3


def test_json_is_one_object(capsys):
    """--json prints the Shift, of several a list under `comparisons`, and the notes go elsewhere."""
    a, b = write_rows("a.jsonl", ALIGNED, seed=1), write_rows("b.jsonl", LOOSE, seed=2, asked="another {}")

    code, out, err = call(capsys, "compare", a, b, "--json")
    assert code == 0
    assert Shift.from_dict(json.loads(out)).verdict == "changed"
    assert "no prompt is the same" in err
    assert len(json.loads(call(capsys, "compare", a, b, a, "--json")[1])["comparisons"]) == 2


def test_hostile_text_is_stripped(tmp_path, capsys):
    """Control characters in ids, models and responses reach neither the table nor the summary."""
    for path, goal in (("a.jsonl", "g1"), ("b.jsonl", "g2")):
        row = {"prompt": "ask\x1b[31m", "prompt_id": "id\x1b[31m", "response": "said\x1b[2J", "goal": goal}
        Path(path).write_text((json.dumps(row) + "\n") * 20)

    code, out, err = call(capsys, "compare", "a.jsonl", "b.jsonl")

    assert code == 0
    assert "said" in out
    assert "\x1b" not in out + err


def test_one_source_is_not_enough(capsys):
    """compare needs a baseline and something else."""
    code, _, err = call(capsys, "compare", "a.jsonl")

    assert code == 2
    assert "two sources or more" in err
