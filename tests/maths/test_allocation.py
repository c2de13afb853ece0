"""Rounds of sampling, and when to stop."""

import numpy as np
import pytest

from ethostat.maths.allocation import next_round, planned_responses, time_uniform_half_width, time_uniform_within
from ethostat.maths.entropy import entropy_of
from ethostat.maths.panel import within_entropy


def panel_of(rng: np.random.Generator, prompts: int) -> np.ndarray:
    """Profiles (J, 4): most prompts nearly certain, some undecided."""
    laws = np.array([[60, 1, 0.5, 0.5], [0.5, 0.5, 30, 1], [4, 2, 2, 1]])
    return np.array([rng.dirichlet(laws[kind]) for kind in rng.choice(3, prompts, p=[0.5, 0.3, 0.2])])


def sample_until(precision: float, p: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Counts when `next_round` asks for no more."""
    counts = np.zeros(p.shape, dtype=np.int64)
    while (more := next_round(counts, precision=precision)).any():
        counts += rng.multinomial(more, p)
    return counts


def test_the_first_round_asks_ten_of_each_prompt() -> None:
    """100 prompts get 10 each; a panel of two gets 25 each, as the sequence starts at 50 responses."""
    assert next_round(np.zeros((100, 5)), precision=0.05).tolist() == [10] * 100
    assert next_round(np.zeros((2, 5)), precision=0.05).tolist() == [25, 25]


def test_prompts_that_fell_behind_are_brought_up() -> None:
    """A prompt whose responses failed is asked for what it lacks; prompts that are ahead are left alone."""
    counts = np.array([[10, 0, 0]] * 9 + [[3, 0, 0]])

    assert next_round(counts, precision=0.05).tolist() == [0] * 9 + [7]


def test_no_prompt_is_asked_for_more_than_most() -> None:
    """`most` bounds the responses a prompt, at the price of precision."""
    counts = np.full((10, 4), 5)

    assert next_round(counts, precision=0.001, most=22).tolist() == [2] * 10
    assert next_round(counts, precision=0.001, most=20).tolist() == [0] * 10


def test_sampling_stops_at_the_half_width() -> None:
    """At the stop the half-width is at most the precision, and the estimate says that it is time-uniform."""
    rng = np.random.default_rng(0)
    counts = sample_until(0.08, panel_of(rng, 40), rng)
    found = time_uniform_within(counts, precision=0.08)

    assert time_uniform_half_width(counts, precision=0.08) <= 0.08
    assert found.half_width <= 0.08
    assert "time-uniform" in found.method


def test_the_promise_for_all_rounds_costs_width() -> None:
    """The time-uniform interval is wider than the one for a number fixed beforehand, and has the same value."""
    rng = np.random.default_rng(1)
    counts = rng.multinomial(30, panel_of(rng, 20))
    always, once = time_uniform_within(counts, precision=0.05), within_entropy(counts)

    assert always.value == once.value
    assert always.low <= once.low < once.high <= always.high


def test_too_few_responses_are_undefined() -> None:
    """Below 50 responses, and with one response a prompt, there is no interval and the half-width is infinite."""
    few, single = np.array([[20, 5], [10, 5]]), np.eye(2, dtype=int)[np.zeros(60, dtype=int)]

    assert "needs 50 responses, got 40" in time_uniform_within(few, precision=0.05).method
    assert "only one response a prompt" in time_uniform_within(single, precision=0.05).method
    assert time_uniform_half_width(few, precision=0.05) == time_uniform_half_width(single, precision=0.05) == np.inf


@pytest.mark.parametrize("precision", [0.0, -0.1, float("nan")])
def test_a_precision_must_be_above_0(precision: float) -> None:
    """Zero, negative and nan are refused with the value and the rule."""
    with pytest.raises(ValueError, match="precision must be above 0 nats, got"):
        planned_responses(precision)


def test_it_never_misses_more_often_than_promised() -> None:
    """Looked at after each of 25 rounds, the interval ever misses in at most 5 % of 60 runs (binomial bound 11 %)."""
    rng, missed = np.random.default_rng(2), 0
    for _ in range(60):
        p = panel_of(rng, 12)
        counts = rng.multinomial(8, p)
        looks = []
        for _ in range(25):
            counts += rng.multinomial(4, p)
            found = time_uniform_within(counts, precision=0.05)
            looks.append(found.low <= entropy_of(p).mean() <= found.high)
        missed += not all(looks)

    assert missed / 60 <= 0.11
