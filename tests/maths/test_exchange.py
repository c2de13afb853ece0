"""Permutation tests that respect prompts, and corrections for many of them."""

from itertools import combinations

import numpy as np
import pytest
from scipy.stats import false_discovery_control

from ethostat.maths import exchange, shift


def rng() -> np.random.Generator:
    """Always the same."""
    return np.random.default_rng(1)


def test_a_small_case_is_that_of_all_swaps():
    """One prompt, 4 + 4 responses: the p-value of all 70 ways to share them out, to the sampling error of 20,000."""
    a, b = np.array([[4, 0]]), np.array([[1, 3]])
    goals = np.array([0] * 5 + [1] * 3)
    apart = [abs(int((goals[list(mine)] == 0).sum()) - 2.5) for mine in combinations(range(8), 4)]
    wanted = np.mean(np.array(apart) >= 1.5)

    found = exchange.exchange_test(shift.paired(a, b), rng=rng(), swaps=20_000)

    assert found.pooled == pytest.approx(wanted, abs=0.01)
    assert found.goals == pytest.approx([wanted, wanted], abs=0.01)


def test_it_is_never_0():
    """However plain the change, p is at least 1 / (1 + swaps)."""
    a, b = np.tile([50, 0], (20, 1)), np.tile([0, 50], (20, 1))
    found = exchange.exchange_test(shift.paired(a, b), rng=rng(), swaps=99)

    assert found.p_value == found.pooled == found.prompts == 0.01


def test_equal_counts_give_1():
    """A model compared with its own counts has p = 1."""
    counts = rng().multinomial(20, [0.5, 0.3, 0.2], 10)

    assert exchange.exchange_test(shift.paired(counts, counts), rng=rng()).p_value == 1


def test_a_swap_between_goals_that_leaves_entropy_alone_is_found():
    """All of 20 prompts go from mostly g1 to mostly g2: S is the same and the test is sure."""
    a = rng().multinomial(10, [0.9, 0.1], 20)
    found = exchange.exchange_test(shift.paired(a, a[:, ::-1]), rng=rng(), swaps=199)

    assert found.p_value == pytest.approx(1 / 200)


def test_prompts_that_move_against_each_other_are_found():
    """Half of the prompts go one way and half the other: pooled shares say nothing, the prompts do.

    Looking twice costs at most a factor of two.
    """
    a = np.array([[9, 1], [1, 9]] * 10)
    found = exchange.exchange_test(shift.paired(a, a[:, ::-1]), rng=rng(), swaps=199)

    assert found.pooled > 0.5
    assert found.prompts == pytest.approx(1 / 200)
    assert found.p_value <= 2 / 200


def test_only_the_goals_that_moved_are_called():
    """g1 became g2; g3 did as before: Holm calls g1 and g2."""
    a = np.tile([16, 0, 4], (20, 1))
    b = np.tile([8, 8, 4], (20, 1))
    adjusted = exchange.holm(exchange.exchange_test(shift.paired(a, b), rng=rng()).goals)

    assert list(adjusted <= 0.05) == [True, True, False]


def test_differences_between_prompts_are_no_change():
    """Prompts that differ utterly, each treated alike: 400 panels call a change in 5 % or fewer, within 2 errors."""
    draws, p_values = np.random.default_rng(2), []
    for _ in range(400):
        p = draws.dirichlet([0.3, 0.3, 0.3], 12)
        pair = shift.paired(draws.multinomial(10, p), draws.multinomial(14, p))
        p_values.append(exchange.exchange_test(pair, rng=draws, swaps=99).p_value)

    assert np.mean(np.array(p_values) <= 0.05) <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / 400)


def test_unpaired_sets_swap_whole_prompts():
    """Two sets of 15 prompts of one population, half all g1, half all g2: not called, though responses abound."""
    draws, p_values = np.random.default_rng(3), []
    for _ in range(100):
        a, b = (50 * np.eye(2, dtype=int)[draws.integers(0, 2, 15)] for _ in range(2))
        p_values.append(exchange.exchange_test(shift.unpaired(a, b), rng=draws, swaps=99).p_value)

    assert np.mean(np.array(p_values) <= 0.05) <= 0.12


def test_unnamed_prompts_swap_responses():
    """Two pools without prompts are two samples of independent responses."""
    pair = shift.unpaired([[80, 20]], [[50, 50]])

    assert exchange.exchange_test(pair, rng=rng(), swaps=199).p_value == pytest.approx(1 / 200)


def test_a_side_without_a_response_is_refused():
    """There is nothing to swap."""
    with pytest.raises(ValueError, match="both sides"):
        exchange.exchange_test(shift.unpaired(np.zeros((1, 2)), [[1, 2]]), rng=rng())


def test_the_one_prompt_that_moved_is_found_among_many():
    """One of 60 prompts changed: its p-value goes down far enough to be called among 60, and it alone is."""
    a = np.tile([20, 0, 0], (60, 1))
    b = a.copy()
    b[17] = [2, 18, 0]
    adjusted = exchange.false_discovery(exchange.prompt_tests(shift.paired(a, b), rng=rng(), swaps=199))

    assert np.flatnonzero(adjusted <= 0.05).tolist() == [17]


def test_false_discovery_is_scipys():
    """Benjamini and Hochberg's adjusted p-values are scipy's; what is not a number stays so and counts for nothing."""
    p = rng().random(12) ** 3

    assert exchange.false_discovery(p) == pytest.approx(false_discovery_control(p))
    assert exchange.false_discovery([0.01, np.nan, 0.04])[[0, 2]] == pytest.approx([0.02, 0.04])
    assert np.isnan(exchange.holm([0.01, np.nan])[1])
