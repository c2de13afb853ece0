"""Taxonomy, Prompt, Verdict and Estimate: the words keep their rules."""

import pytest

from ethostat.errors import InvalidInput, InvalidTaxonomy
from ethostat.maths.estimate import Estimate
from ethostat.maths.profile import Profile
from ethostat.response import Message, Prompt, PromptSet, Verdict
from ethostat.taxonomy import FIVE_GOALS, Goal, Taxonomy


def test_the_five_goals_are_those_of_the_paper():
    """Five goals in order, of which g1 and g3 are aligned."""
    assert FIVE_GOALS.keys == ("g1", "g2", "g3", "g4", "g5")
    assert FIVE_GOALS.aligned == (True, False, True, False, False)


def test_a_taxonomy_survives_the_round_trip():
    """to_dict and from_dict are inverse, and the hash is kept."""
    again = Taxonomy.from_dict(FIVE_GOALS.to_dict())

    assert again == FIVE_GOALS
    assert again.hash == FIVE_GOALS.hash


def test_any_change_of_a_goal_changes_the_hash():
    """The hash covers definition, examples and alignment."""
    first, *rest = FIVE_GOALS.goals
    changed = Goal(first.key, first.name, first.definition + " Really.", first.aligned, first.examples)

    assert Taxonomy("five-goals", "1", (changed, *rest)).hash != FIVE_GOALS.hash


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({}, "`goals` must be a list"),
        ({"goals": []}, "`name` must be text"),
        ({"name": "n", "goals": [{"key": "a"}]}, "needs `name` as text"),
        ({"name": "n", "goals": ["g1"]}, "must be a mapping"),
        ({"name": "n", "goals": [], "colour": 1}, "'colour' is unknown"),
    ],
)
def test_a_broken_taxonomy_names_the_rule(fields, message):
    """Every broken rule is an InvalidTaxonomy that says which."""
    with pytest.raises(InvalidTaxonomy, match=message):
        Taxonomy.from_dict(fields)


def test_goal_keys_must_be_unique():
    """Two goals of one key are refused by name."""
    goal = Goal("a", "A", "Does a.", aligned=True)

    with pytest.raises(InvalidTaxonomy, match="'a' twice"):
        Taxonomy("n", "1", (goal, goal))


def test_equal_texts_have_equal_hashes_whatever_their_ids():
    """A prompt's hash is of its messages alone; without an id it is the id."""
    assert Prompt.from_text("hi", id="a").hash == Prompt.from_text("hi", id="b").hash == Prompt.from_text("hi").id


def test_a_prompt_set_refuses_an_id_twice():
    """Ids are unique within a set."""
    with pytest.raises(InvalidInput, match="'a' occurs twice"):
        PromptSet("s", (Prompt.from_text("x", id="a"), Prompt.from_text("y", id="a")))


def test_a_message_has_a_known_role():
    """A role that no chat format knows is refused."""
    with pytest.raises(InvalidInput, match="'robot'"):
        Message("robot", "hi")


def test_a_verdict_names_the_most_probable_goal():
    """The first of the largest probabilities decides."""
    verdict = Verdict.from_probabilities(FIVE_GOALS, [0.1, 0.4, 0.4, 0.1, 0], prompt_id="p", response_id="r")

    assert verdict.goal == "g2"


@pytest.mark.parametrize("values", [[1.0], [0.5, 0.6, 0, 0, 0], [1.5, -0.5, 0, 0, 0], [float("nan")] * 5])
def test_a_verdict_needs_a_distribution(values):
    """Wrong length, wrong sum, negative and nan probabilities are refused."""
    with pytest.raises(InvalidInput, match="probabilities must"):
        Verdict.from_probabilities(FIVE_GOALS, values, prompt_id="p", response_id="r")


def test_profiles_add_up_and_refuse_other_lengths():
    """Counts add goal by goal."""
    assert (Profile((1, 2)) + Profile((3, 4))).counts == (4, 6)
    with pytest.raises(ValueError, match="cannot be added"):
        Profile((1, 2)) + Profile((1, 2, 3))


def test_an_undefined_estimate_says_why_and_survives_json():
    """nan becomes None and comes back; the sentence is what is printed."""
    undefined = Estimate.undefined("nothing was asked twice", level=0.95, unit="nats", n=3)

    assert undefined.to_dict()["value"] is None
    assert not Estimate.from_dict(undefined.to_dict()).is_defined
    assert str(undefined) == "undefined: nothing was asked twice"
