"""Alignment work: what tuning held back, and tests that can be checked by counting."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from scipy import stats

from ethostat.maths.alignment import alignment_work, permutation_test, sign_flip_test, work_path
from ethostat.maths.trajectory import Paths

STEPS = np.linspace(0, 100, 11)


def rng() -> np.random.Generator:
    """The same each time."""
    return np.random.default_rng(11)


def rising(gains, *, start=0.2, variance=None) -> Paths:
    """One straight path for each gain over 100 steps."""
    return Paths(start + np.outer(gains, STEPS / 100), STEPS, 5, 500, variance)


def test_work_is_what_the_base_gained_beyond_the_tuned():
    """Gains of 0.5, 0.6, 0.7 against 0.1 each: gamma 0.005 nats a step, work 0.5 nats = 0.721 bits."""
    found = alignment_work(rising([0.5, 0.6, 0.7]), rising([0.1] * 3), paired=True, rng=rng())

    assert found.rate.value == pytest.approx(0.005)
    assert found.work.value == pytest.approx(0.5)
    assert found.work_bits.value == pytest.approx(0.5 / np.log(2))
    assert (found.rate.unit, found.work.unit, found.work_bits.unit) == ("nats/step", "nats", "bits")
    assert found.rate.half_width == pytest.approx(4.302653 * 0.001 / np.sqrt(3), rel=1e-5)
    assert found.early_rate.value == pytest.approx(0.005)


def test_independent_groups_have_welchs_interval():
    """Without pairs the interval is that of scipy's Welch test."""
    base, tuned = np.array([0.5, 0.6, 0.9, 0.4]), np.array([0.1, 0.12, 0.15])

    found = alignment_work(rising(base), rising(tuned), paired=False, rng=rng()).work
    expected = stats.ttest_ind(base, tuned, equal_var=False).confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))


def test_the_work_path_ends_with_the_work():
    """Accumulated work starts at 0 and ends where the whole does, interval and all."""
    pair = rising([0.5, 0.6, 0.7]), rising([0.1, 0.2, 0.1])

    path = work_path(*pair, paired=True)
    whole = alignment_work(*pair, paired=True, rng=rng()).work
    assert len(path) == 11
    assert path[0].value == 0
    assert (path[-1].low, path[-1].high) == pytest.approx((whole.low, whole.high))


def test_the_sign_flip_test_counts_all_signs():
    """For (3, 1, -1): the sum 3 is reached by 3 of the 8 signs."""
    by_hand = sum(np.dot(signs, (3, 1, -1)) >= 3 for signs in product((-1, 1), repeat=3))

    assert by_hand == 3
    assert sign_flip_test([3, 1, -1], rng=rng())[0] == 3 / 8


def test_the_sign_flip_test_is_that_of_scipy():
    """Exact p of eight differences, as scipy enumerates them."""
    values = np.random.default_rng(12).normal(0.4, 1, 8)

    expected = stats.permutation_test(
        (values,), np.mean, permutation_type="samples", alternative="greater", n_resamples=np.inf
    )
    assert sign_flip_test(values, rng=rng())[0] == pytest.approx(expected.pvalue)


@pytest.mark.parametrize("n", [1, 4, 14, 30])
def test_p_is_never_zero(n):
    """However large the difference, p is at least 2^-n, or one in 10,000."""
    assert sign_flip_test(np.full(n, 9.0), rng=rng())[0] == pytest.approx(max(2.0**-n, 1e-4 if n > 14 else 0))


def test_the_permutation_test_counts_all_divisions():
    """Three against three, all of the first larger: one of 20 divisions."""
    found, name = permutation_test([5, 6, 7.5], [1, 2, 2.5], rng=rng())

    assert found == pytest.approx(1 / 20)
    assert "all 20 ways" in name
    assert 0 < permutation_test(np.arange(50.0) + 99, np.arange(50.0), rng=rng())[0] <= 2e-4


def test_two_paths_speak_of_themselves_alone():
    """With one replicate each, gamma has a sampling interval where variances are known, and no test."""
    known = np.full((1, 11), 0.01)
    found = alignment_work(rising([0.5], variance=known), rising([0.1], variance=known), paired=True, rng=rng())

    assert found.work.value == pytest.approx(0.4)
    assert found.work.half_width == pytest.approx(1.959964 * np.sqrt(0.04), rel=1e-5)
    assert "these paths only" in found.work.method
    assert np.isnan(found.p_value)
    assert not found.early_rate.is_defined
    unknown = alignment_work(rising([0.5]), rising([0.1]), paired=False, rng=rng())
    assert not unknown.work.is_defined


def test_groups_that_cannot_be_compared_are_refused():
    """Other horizons, unequal pairs, other steps."""
    long = Paths(np.zeros((3, 2)), np.array([0.0, 200.0]), 5, 10)
    with pytest.raises(ValueError, match="same horizon"):
        alignment_work(rising([0.1] * 3), long, paired=True, rng=rng())
    with pytest.raises(ValueError, match="as many replicates"):
        alignment_work(rising([0.1] * 3), rising([0.1] * 2), paired=True, rng=rng())
    with pytest.raises(ValueError, match="same steps"):
        work_path(rising([0.1] * 3), long, paired=True)


def test_size_and_power():
    """With nothing changed gamma > 0 is found in at most 5 % of 400 runs, within chance; a change is found."""
    draws, hits, found = np.random.default_rng(13), 0, 0
    for _ in range(400):
        base, tuned = draws.normal(0.2, 0.1, (2, 7))
        hits += sign_flip_test(base - tuned, rng=draws)[0] <= 0.05
        found += sign_flip_test(base + 0.2 - tuned, rng=draws)[0] <= 0.05

    assert hits / 400 <= 0.05 + 0.022
    assert found / 400 > 0.9
