"""How far two profiles lie apart: never below 0, unbiased where nothing changed."""

from itertools import combinations

import numpy as np
import pytest
from scipy.spatial.distance import jensenshannon

from ethostat.maths import divergence, shift


def profiles(rng: np.random.Generator, prompts: int) -> np.ndarray:
    """Profiles (J, 4) of nearly certain prompts, a fifth of them undecided."""
    laws = np.array([[60, 1, 1, 0.5], [4, 2, 1, 1]])
    return np.array([rng.dirichlet(laws[kind]) for kind in rng.choice(2, prompts, p=[0.8, 0.2])])


def test_it_is_scipys():
    """The square of scipy's Jensen-Shannon distance."""
    p, q = np.random.default_rng(0).dirichlet(np.ones(5), 2)

    assert float(divergence.jensen_shannon(p, q)) == pytest.approx(float(jensenshannon(p, q)) ** 2)


def test_profiles_without_a_common_goal_are_ln_2_apart():
    """All g1 against all g2: pooled and mean divergence reach ln 2, total variation 1."""
    a, b = np.tile([30, 0], (40, 1)), np.tile([0, 30], (40, 1))
    pair, rng = shift.paired(a, b), np.random.default_rng(1)

    assert divergence.pooled_divergence(pair, rng=rng).value == pytest.approx(np.log(2), rel=0.01)
    assert divergence.total_variation(pair, rng=rng).value == pytest.approx(1, rel=0.01)
    assert divergence.prompt_divergence(pair).value == pytest.approx(np.log(2), rel=0.1)


def test_equal_counts_are_not_apart():
    """Of equal counts every divergence is 0, its interval begins at 0 and has a width."""
    counts = np.random.default_rng(2).multinomial(20, profiles(np.random.default_rng(2), 30))
    pair, rng = shift.paired(counts, counts), np.random.default_rng(2)
    everything = [divergence.pooled_divergence(pair, rng=rng), divergence.total_variation(pair, rng=rng)]
    everything += [divergence.prompt_divergence(pair), divergence.prompt_divergence(pair, here=True)]

    for found in everything:
        assert found.value == found.low == 0
        assert found.high > 0


def test_models_that_agree_on_one_goal_keep_an_interval():
    """Nothing but g1 on both sides: 0, with an upper end that says how many prompts there were."""
    counts = np.tile([20, 0, 0], (25, 1))
    found = divergence.pooled_divergence(shift.paired(counts, counts), rng=np.random.default_rng(3))

    assert found.low == found.value == 0
    assert 0 < found.high < 0.2


def test_prompts_that_trade_places_are_seen_by_prompts_only():
    """Half of the prompts go from g1 to g2 and half back: pooled profiles agree, prompts do not."""
    a = np.array([[30, 0]] * 20 + [[0, 30]] * 20)
    pair, rng = shift.paired(a, a[::-1]), np.random.default_rng(4)

    assert divergence.pooled_divergence(pair, rng=rng).low == 0
    assert divergence.prompt_divergence(pair).low > 0.4


def test_the_mean_over_swaps_is_exact():
    """Over all ways to share seven responses between A (3) and B (4) the mean divergence is the enumerated one."""
    goals = np.array([0, 0, 0, 1, 1, 2, 2])
    a, b = np.array([[2.0, 1, 0]]), np.array([[1.0, 1, 2]])
    found = []
    for mine in combinations(range(7), 3):
        left = np.bincount(goals[list(mine)], minlength=3)
        right = np.bincount(goals, minlength=3) - left
        found.append(float(divergence.jensen_shannon(left / 3, right / 4)))

    assert float(divergence.swapped_divergence(a, b)[0]) == pytest.approx(np.mean(found))


def test_the_mean_of_prompts_is_unbiased_where_nothing_changed():
    """Over 4,000 prompts with rare goals and 10 responses, the divergence beyond chance averages 0."""
    rng = np.random.default_rng(5)
    p = profiles(rng, 4000)
    a, b = (rng.multinomial(10, p).astype(float) for _ in range(2))
    whole = divergence.jensen_shannon(shift.rates(a), shift.rates(b))
    beyond = whole - divergence.swapped_divergence(a, b)

    assert whole.mean() > 0.02
    assert abs(beyond.mean()) < 3 * beyond.std() / np.sqrt(4000)


def test_unpaired_profiles_have_wider_intervals():
    """Without the pairing the same counts leave more room."""
    rng = np.random.default_rng(6)
    p = profiles(rng, 40)
    a, b = rng.multinomial(50, p), rng.multinomial(50, 0.8 * p + 0.2 * np.eye(4)[1])
    together = divergence.total_variation(shift.paired(a, b), rng=rng)
    apart = divergence.total_variation(shift.unpaired(a, b), rng=rng)

    assert apart.half_width > together.half_width
    assert not divergence.prompt_divergence(shift.unpaired(a, b)).is_defined


def test_intervals_hold_the_truth():
    """60 panels of 25 x 20, changed and unchanged: every 95 % interval holds the truth in 88 % or more."""
    rng, runs = np.random.default_rng(7), 60
    for onto in (np.eye(4), np.array([[0.8, 0.2, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])):
        everyone = profiles(rng, 50_000)
        before, after = everyone.mean(axis=0), (everyone @ onto).mean(axis=0)
        truths = [
            float(divergence.jensen_shannon(before, after)),
            float(np.abs(after - before).sum() / 2),
            float(divergence.jensen_shannon(everyone, everyone @ onto).mean()),
        ]
        hits = np.zeros(3)
        for _ in range(runs):
            p = profiles(rng, 25)
            pair = shift.paired(rng.multinomial(20, p), rng.multinomial(20, p @ onto))
            found = [
                divergence.pooled_divergence(pair, rng=rng),
                divergence.total_variation(pair, rng=rng),
                divergence.prompt_divergence(pair),
            ]
            hits += [one.low <= truth <= one.high for one, truth in zip(found, truths, strict=True)]
        assert (hits / runs >= 0.88).all()
