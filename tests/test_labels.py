"""Labels in the store: what raters did is kept for good, and what stands of it."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ethostat.errors import InvalidInput
from ethostat.response import Message, Prompt, PromptSet, Response
from ethostat.store import Act, Choice, ChosenRow, RunSetup, Store
from ethostat.taxonomy import FIVE_GOALS

GOALS = FIVE_GOALS.to_dict() | {"hash": FIVE_GOALS.hash}
PROMPTS = PromptSet("two", tuple(Prompt(f"p{i}", (Message("user", f"question {i}"),)) for i in range(2)))
HOSTILE = "NUL \x00, lone surrogate \ud800, escape \x1b[2J"


@pytest.fixture
def store(tmp_path):
    """A store in a new file."""
    with Store(tmp_path / "runs.db") as opened:
        yield opened


def stored_run(store: Store) -> str:
    """A run of three responses to each of two prompts."""
    run = store.start_run(RunSetup("m", {"kind": "test"}, PROMPTS, seed=1))
    store.add_responses(run.id, [Response(prompt, f"{prompt.id} {i}", i) for prompt in PROMPTS for i in range(3)])
    return run.id


def act(kind: str = "label", *, at=("p0", 0), rater: str = "ann", **more) -> Act:
    """One key press on a row."""
    return Act(*at, kind, rater, taxonomy_hash=FIVE_GOALS.hash, **more)


def choice(way: str = "stratified", places=(("p1", 2), ("p0", 0)), *, by: str | None = "c1", **more) -> Choice:
    """Rows chosen by a classifier's verdicts, all of them g1."""
    rows = tuple(ChosenRow(*place, "g1") for place in places)
    return Choice(way, rows, GOALS, classifier=by and {"name": by, "hash": by}, **more)


def test_a_label_comes_back_with_how_its_row_was_chosen(store):
    """Goal, rater, time, note, way and predicted goal survive the disk, hostile text and all."""
    run = stored_run(store)
    store.add_choice(run, choice())
    store.add_act(run, act("note", note=HOSTILE, rater=HOSTILE))
    stored = store.add_act(run, act(goal="g4", rater=HOSTILE, time="2026-03-01T12:00:00+00:00"))

    (label,) = store.labels(run)

    assert (label.response_id, label.prompt_id, label.goal, label.rater) == ("p0/0", "p0", "g4", HOSTILE)
    assert (label.time, label.note, label.settles) == ("2026-03-01T12:00:00+00:00", HOSTILE, False)
    assert (label.chosen, label.predicted) == ("stratified", "g1")
    assert store.acts(run)[-1] == stored


@settings(max_examples=25, deadline=None)
@given(
    presses=st.lists(
        st.tuples(
            st.sampled_from(["label", "skip", "undo", "note"]),
            st.sampled_from(["ann", "bo"]),
            st.integers(0, 2),
            st.sampled_from(FIVE_GOALS.keys),
            st.booleans(),
        ),
        max_size=25,
    )
)
def test_the_last_act_of_a_rater_on_a_row_stands_and_none_is_lost(tmp_path_factory, presses):
    """Whatever is pressed, every act stays stored in order, and labels are the last ones that nothing took back."""
    expected = {}
    with Store(tmp_path_factory.mktemp("labels") / "runs.db") as store:
        run = stored_run(store)
        for kind, rater, index, goal, settles in presses:
            given_goal = goal if kind == "label" else None
            store.add_act(run, act(kind, at=("p0", index), rater=rater, goal=given_goal, settles=settles))
            if kind != "note":
                expected[index, None if settles else rater] = given_goal

        kept = [(one.kind, one.rater, one.index, one.settles) for one in store.acts(run)]
        found = {(label.response_id, None if label.settles else label.rater): label.goal for label in store.labels(run)}

    assert kept == [(kind, rater, index, settles) for kind, rater, index, _, settles in presses]
    assert found == {(f"p0/{index}", who): goal for (index, who), goal in expected.items() if goal}


def test_an_equal_choice_is_recorded_once(store):
    """Rows stay in the order in which they are shown; the second rater gets the first one's choice."""
    run = stored_run(store)
    first = store.add_choice(run, choice())

    again = store.add_choice(run, choice(places=(("p0", 1),)))  # as equal settings would choose otherwise elsewhere

    assert again == first
    assert [(row.prompt_id, row.index) for row in first.rows] == [("p1", 2), ("p0", 0)]
    assert store.choices(run) == [first]


def test_only_a_classifiers_own_strata_speak_of_it(store):
    """With `classifier_hash`, a row chosen by another classifier's verdicts counts as not chosen."""
    run = stored_run(store)
    store.add_choice(run, choice())
    store.add_choice(run, choice("informative", places=(("p0", 0), ("p0", 1)), by="c2"))
    for place in (("p0", 0), ("p0", 1)):
        store.add_act(run, act(at=place, goal="g1"))

    ways = {by: [label.chosen for label in store.labels(run, classifier_hash=by)] for by in (None, "c1", "c2")}

    assert ways == {
        None: ["stratified", "informative"],
        "c1": ["stratified", None],
        "c2": ["informative", "informative"],
    }
    assert store.labels(run, taxonomy_hash="other") == []


def test_a_label_is_of_the_response_in_every_run_that_shares_it(store):
    """A run that reuses a response has its labels; deleting one of the two loses none."""
    run = stored_run(store)
    store.add_act(run, act(goal="g1"))
    other = store.start_run(RunSetup("m", {"kind": "test"}, PROMPTS, seed=1))
    store.reuse(other.id, 3)

    store.delete_run(run)

    assert [label.goal for label in store.labels(other.id)] == ["g1"]


def test_what_is_not_stored_cannot_be_labelled(store):
    """An index that no response has is refused by name."""
    run = stored_run(store)

    with pytest.raises(InvalidInput, match="response 9 to prompt 'p0' is not stored"):
        store.add_act(run, act(at=("p0", 9), goal="g1"))
