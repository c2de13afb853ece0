"""SimulatedModel: its truth is its formula, its answers are drawn from it, its parameters are checked."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest
from scipy import stats

from asking import ask
from ethostat.classifiers.stated import StatedGoals
from ethostat.errors import InvalidInput, UnreadableAnswer
from ethostat.judges import open_classifier
from ethostat.maths.trajectory import Paths, direction, horizon_mean
from ethostat.models.simulated import SCENARIOS, SimulatedModel, entropy_of, profile_at, simulate
from ethostat.response import Message, Prompt, Response
from ethostat.taxonomy import FIVE_GOALS
from ethostat.workflow import measure
from goals import PROMPTS


def at_step(step: int) -> Prompt:
    """A prompt that names its step."""
    return Prompt.from_text(f"Say something at step {step}.")


@pytest.mark.parametrize(
    ("spec", "t", "truth"),
    [
        ("sim:constant?at=0.7", 99, 0.7),
        ("sim:relaxation?from=0.12&to=0.7&tau=200", 200, 0.7 - 0.58 / math.e),
        ("sim:jump?from=.2&to=.9&when=10", 9, 0.2),
        ("sim:jump?from=.2&to=.9&when=10", 10, 0.9),
        ("sim:burst?from=.2&to=.9&when=10&for=5", 14, 0.9),
        ("sim:burst?from=.2&to=.9&when=10&for=5", 15, 0.2),
        ("sim:recovery?from=.2&to=.9&when=10&tau=5", 15, 0.2 + 0.7 / math.e),
        ("sim:seasonal?at=.5&swing=.3&period=40", 10, 0.8),
        ("sim:relaxation?from=0.12&to=0.7&tau=200&start=200", 0, 0.7 - 0.58 / math.e),
    ],
)
def test_the_truth_is_the_formula(spec, t, truth):
    """S(t) is what the scenario says, and the profile at t has that S."""
    model = SimulatedModel.from_spec(spec)

    assert model.truth(t) == pytest.approx(truth)
    assert entropy_of(model.profile(t)) == pytest.approx(truth, abs=1e-9)
    assert sum(model.profile(t)) == pytest.approx(1)


@pytest.mark.parametrize("entropy", [0.0, 1e-6, 0.01, 0.7, 1.3, 1.6, math.log(5)])
def test_a_profile_has_the_entropy_it_was_made_for(entropy):
    """From certain to even, g1 leads."""
    shares = profile_at(entropy)

    assert entropy_of(shares) == pytest.approx(entropy, abs=1e-9)
    assert max(shares) == shares[0]


def test_a_swap_leaves_entropy_and_moves_goals():
    """At the swap g1 and g2 change places, and S does not move."""
    model = SimulatedModel.from_spec("swap?at=.5&when=30")

    before, after = model.profile(29), model.profile(30)
    assert after == (before[1], before[0], *before[2:])
    assert model.truth(29) == model.truth(30) == 0.5


@pytest.mark.parametrize(
    ("prompt", "t"),
    [
        (at_step(12), 12),
        (Prompt("step-7", (Message("user", "hello"),)), 7),
        (Prompt.from_text("hello"), 0),
        (Prompt("x", (Message("user", "a"), Message("assistant", "step 9"), Message("user", "b"))), 1),
    ],
)
def test_time_is_the_step_or_the_turn(prompt, t):
    """A step that the last message or the id names; else the turn of the conversation."""
    (response,) = ask(SimulatedModel("constant"), [1], prompt=prompt)

    assert SimulatedModel("constant").answer(prompt, 1)[1].endswith(f"at {t}")
    assert response.text.split()[0] in FIVE_GOALS.keys


def test_time_can_be_the_request():
    """With time=request every answer is one later than the last."""
    model = SimulatedModel.from_spec("sim:jump?from=0&to=1.6&when=3&time=request")

    texts = [model.answer(at_step(0), seed)[1] for seed in range(5)]
    assert [text.split()[-1] for text in texts] == ["0", "1", "2", "3", "4"]
    assert all(text.startswith("g1") for text in texts[:3])


def test_answers_are_drawn_from_the_profile():
    """20,000 answers at one step fit the profile (chi-square, 1 in 1,000)."""
    model = SimulatedModel("relaxation", {"from": 0.2, "to": 1.2, "tau": 30})

    drawn = Counter(model.answer(at_step(25), seed)[0] for seed in range(20_000))
    expected = np.array(model.profile(25)) * 20_000
    assert stats.chisquare([drawn[key] for key in FIVE_GOALS.keys], expected).pvalue > 0.001


@pytest.mark.parametrize(
    ("spec", "rule"),
    [
        ("sim:nothing", "must be one of constant, relaxation"),
        ("sim:jump?too=1", "'too' is not one of jump: from, to, when, time, start"),
        ("sim:jump?to=2", "0 to ln 5 = 1.609 nats, got 2"),
        ("sim:jump?to=-0.1", "0 to ln 5"),
        ("sim:jump?to=nan", "must be a number"),
        ("sim:jump?to=inf", "must be a number"),
        ("sim:jump?to=x\x1b[2J", "must be a number"),
        ("sim:jump?to=1&to=1", "given twice"),
        ("sim:jump?to", "key=value"),
        ("sim:relaxation?tau=0", "at least 0.001"),
        ("sim:seasonal?at=0.2&swing=0.3", "must stay within 0"),
        ("sim:constant?time=now", "time must be one of step, request"),
        ("sim:constant?start=-1", "0 to 10"),
    ],
)
def test_what_is_no_simulation_is_refused(spec, rule):
    """The message names the value and the rule, on one printable line."""
    with pytest.raises(InvalidInput, match=rule) as refusal:
        SimulatedModel.from_spec(spec)
    assert str(refusal.value).isprintable()


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_name_says_all_that_decides_the_answers(name):
    """The model that its own name opens is the same model."""
    model = SimulatedModel(name, clock="request", start=3)
    again = SimulatedModel.from_spec(model.name)

    assert again.identity == model.identity
    assert [again.truth(t) for t in (0, 50, 500)] == [model.truth(t) for t in (0, 50, 500)]


def test_a_measurement_finds_the_truth():
    """Twelve prompts at step 0 of S = 0.7, read by goals-in-text: the interval holds 0.7."""
    model = SimulatedModel("constant", {"at": 0.7})

    found = measure(model, PROMPTS, samples=50, seed=3, classifier=open_classifier("goals-in-text")).entropy
    assert found.low <= 0.7 <= found.high


def test_a_text_that_states_no_goal_is_unreadable():
    """goals-in-text reads the first word alone, and says so where it is no goal."""
    responses = [
        Response(Prompt.from_text("q"), text, id=str(i)) for i, text in enumerate(("g3 is it", "is it g3", ""))
    ]

    found = StatedGoals().attempt(responses)
    assert [getattr(one, "goal", None) for one in found] == ["g3", None, None]
    with pytest.raises(UnreadableAnswer, match="does not begin with one of g1, g2"):
        StatedGoals().classify(responses)


def test_rows_are_a_trajectory_whose_rate_is_known():
    """From 0.2 to 0.8 in 40 steps, four conversations: the horizon mean's interval holds 0.6 (1 - 1/e^2) / 40."""
    model = SimulatedModel("relaxation", {"from": 0.2, "to": 0.8, "tau": 20})
    rows = list(simulate(model, steps=41, samples=60, replicates=4, seed=1))

    counts = np.zeros((4, 41, 5), dtype=int)
    for row in rows:
        counts[row["replicate"], row["step"], FIVE_GOALS.index(row["goal"])] += 1
    found = horizon_mean(Paths.from_counts(counts, np.arange(41)), window=1)
    assert (counts.sum(axis=2) == 60).all()
    assert found.low <= (model.truth(40) - model.truth(0)) / 40 <= found.high
    assert direction(counts, np.arange(41)).fell == (0,)
    assert len({row["id"] for row in rows}) == len(rows)


def test_the_same_seed_gives_the_same_rows():
    """Another seed, or another conversation, gives others."""
    model = SimulatedModel("constant", {"at": 1.2})
    first, again, other = (list(simulate(model, steps=3, replicates=2, seed=seed)) for seed in (1, 1, 2))

    assert first == again
    assert [row["response"] for row in first] != [row["response"] for row in other]
    assert len({row["response"] for row in first}) == len(first)


@pytest.mark.parametrize("bad", [{"steps": 0}, {"steps": 1, "samples": 0}, {"steps": 10**6, "samples": 100}])
def test_numbers_of_rows_are_checked(bad):
    """Each is at least 1, and all together at most ten million, before the first row."""
    with pytest.raises(InvalidInput):
        simulate(SimulatedModel("constant"), **bad)
