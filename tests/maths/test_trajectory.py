"""Rates of S over time: worked examples, what one path may say, what is refused, coverage."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from ethostat.maths.entropy import entropy_of
from ethostat.maths.estimate import Estimate
from ethostat.maths.trajectory import (
    Paths,
    constant_rate,
    direction,
    horizon_mean,
    horizon_means,
    no_drift,
    slope,
    slopes,
)

STEPS = np.arange(0.0, 101.0, 10.0)


def paths_of(entropy, steps=STEPS, variance=None) -> Paths:
    """Paths of five goals."""
    return Paths(np.atleast_2d(np.asarray(entropy, dtype=float)), np.asarray(steps, dtype=float), 5, 1000, variance)


def lines(rates, *, noise=0.0, seed=1) -> Paths:
    """One straight path for each rate, from 0.5 nats."""
    wander = noise * np.random.default_rng(seed).standard_normal((len(rates), len(STEPS)))
    return paths_of(0.5 + np.outer(rates, STEPS) + wander)


def test_slopes_of_straight_paths_are_their_rates():
    """Three straight paths of 1, 2 and 3 thousandths a step: mean 0.002, -+ 4.303 x 0.001 / sqrt 3 (t, 2 d.f.)."""
    found = slope(lines([0.001, 0.002, 0.003]))

    assert slopes(lines([0.001, 0.002, 0.003])).each == pytest.approx([0.001, 0.002, 0.003])
    assert found.value == pytest.approx(0.002)
    assert found.half_width == pytest.approx(4.302653 * 0.001 / np.sqrt(3), rel=1e-5)
    assert found.unit == "nats/step"


def test_slopes_are_those_of_scipy():
    """Each replicate's slope equals linregress on its points."""
    paths = lines([0.001, -0.002], noise=0.1)

    expected = [stats.linregress(paths.steps, row).slope for row in paths.entropy]
    assert slopes(paths).each == pytest.approx(expected)


def test_the_horizon_mean_is_what_was_gained_over_the_steps():
    """A path that leaps from 0.2 to 0.7 gains 0.5 in 100 steps, whenever it leaps; its line says another thing."""
    early = paths_of(np.where(STEPS >= 20, 0.7, 0.2))

    assert horizon_means(early).value == pytest.approx(0.005)
    assert slopes(early).value < 0.0045


def test_a_window_averages_both_ends():
    """With windows of three points a straight path keeps its rate, and the method says what was averaged."""
    found = horizon_mean(lines([0.001, 0.001, 0.002]), window=3)

    assert found.value == pytest.approx(0.004 / 3)
    assert "means of 3 points" in found.method


@pytest.mark.parametrize("window", [0, 6, -1])
def test_windows_that_overlap_are_refused(window):
    """Eleven points have room for windows of one to five."""
    with pytest.raises(ValueError, match="window must be 1 to 5"):
        horizon_mean(lines([0.1, 0.2]), window=window)


def test_one_path_without_variance_is_undefined_and_says_what_it_needs():
    """Points of one path are no replicates: no interval is made of them."""
    for found in (slope(lines([0.001])), horizon_mean(lines([0.001]))):
        assert not found.is_defined
        assert "run at least two replicates" in found.method


def test_one_path_with_variance_speaks_of_itself_alone():
    """With 11 points of variance 0.01 the horizon mean has standard error sqrt(0.02) / 100."""
    paths = paths_of(0.5 + 0.001 * STEPS, variance=np.full((1, len(STEPS)), 0.01))

    found = horizon_mean(paths)
    assert found.value == pytest.approx(0.001)
    assert found.half_width == pytest.approx(1.959964 * np.sqrt(0.02) / 100, rel=1e-5)
    assert "this path only" in found.method


def test_a_long_path_is_judged_by_its_stretches():
    """With noise that lasts some steps the line through six stretches keeps 95 % nearly; iid errors would keep half."""
    rng, steps, kept, naive = np.random.default_rng(7), np.arange(120.0), 0, 0
    for _ in range(300):
        noise = np.zeros(120)
        for k in range(1, 120):
            noise[k] = 0.8 * noise[k - 1] + 0.05 * rng.standard_normal()
        path = 0.6 + 0.001 * steps + noise
        found, plain = slope(paths_of(path, steps)), stats.linregress(steps, path)
        kept += found.low <= 0.001 <= found.high
        naive += abs(plain.slope - 0.001) <= 1.98 * plain.stderr

    assert kept / 300 > 0.88
    assert naive / 300 < 0.65


def test_a_rate_that_leaves_the_range_is_refused_in_words():
    """0.013 nats a step from 0.7 reach ln 5 = 1.609 after (1.609 - 0.7) / 0.013 = 70 steps, long before 1,000."""
    found = constant_rate(0.013, start=0.7, horizon=1000, goals=5)

    assert not found.is_possible
    assert found.lasts == pytest.approx((np.log(5) - 0.7) / 0.013)
    assert "cannot have been constant over 1000 steps" in found.words
    assert "after 70 steps" in found.words


@pytest.mark.parametrize(
    ("rate", "possible"), [(0.0009, True), (0.00091, False), (-0.0007, True), (-0.00071, False), (0, True)]
)
def test_room_above_and_below(rate, possible):
    """From 0.7 there are 0.909 nats up to ln 5 and 0.7 down to 0."""
    assert constant_rate(rate, start=0.7, horizon=1000, goals=5).is_possible is possible


def test_still_paths_do_not_drift():
    """Ten replicates that wander by 0.01 nats stay within 0.05."""
    found = no_drift(lines([0.0] * 10, noise=0.01), margin=0.05)

    assert found.holds
    assert found.p_value < 0.001
    assert "stayed within 0.05 nats" in found.words


def test_a_leap_is_drift_though_a_line_would_pass():
    """A leap up and down again leaves the line flat; the windows see it."""
    path = np.where((STEPS >= 30) & (STEPS <= 70), 0.9, 0.5)
    rng = np.random.default_rng(3)
    found = no_drift(paths_of(path + 0.01 * rng.standard_normal((8, len(STEPS)))), margin=0.1)

    assert abs(found.drift.value) < 0.02
    assert not found.holds
    assert "S drifted" in found.words


def test_short_evidence_is_not_called_stillness():
    """Two noisy replicates neither show drift nor exclude it, and the words say what to add."""
    found = no_drift(lines([0.0, 0.0], noise=0.2), margin=0.05)

    assert not found.holds
    assert "add replicates or responses" in found.words
    assert not no_drift(lines([0.0]), margin=0.05).holds


def test_the_direction_names_the_goals_that_moved():
    """g1 gives way to g2 while S at both ends is the same: S is blind to it, the direction is not."""
    share = np.linspace(0.9, 0.1, 11)
    profiles = np.stack([share, 1 - share, *np.zeros((3, 11))], axis=1)
    counts = np.random.default_rng(5).multinomial(100, profiles, (6, 11))

    found = direction(counts, STEPS)
    assert (found.rose, found.fell) == ((1,), (0,))
    assert found.changes[0].low < -0.8 < found.changes[0].high
    assert [one.unit for one in found.changes] == ["share"] * 5
    assert direction(counts[:1], STEPS).rose == (1,)


def test_changes_of_shares_add_to_nothing():
    """What one goal gains the others lose."""
    counts = np.random.default_rng(6).multinomial(50, [0.5, 0.2, 0.1, 0.1, 0.1], (4, 11))

    assert sum(one.value for one in direction(counts, STEPS).changes) == pytest.approx(0, abs=1e-12)


def test_paths_from_counts_are_nearly_unbiased():
    """The mean over 2,000 cells of 40 responses is within 0.02 nats of the truth, where the plug-in is 0.05 low."""
    p = np.array([0.7, 0.1, 0.1, 0.05, 0.05])
    counts = np.random.default_rng(8).multinomial(40, p, (20, 100))
    paths = Paths.from_counts(counts, np.arange(100))

    assert paths.entropy.mean() == pytest.approx(float(entropy_of(p)), abs=0.02)
    assert paths.responses == counts.sum()
    assert paths.variance is not None
    assert paths.variance.mean() == pytest.approx(paths.entropy.var(), rel=0.25)


@pytest.mark.parametrize(
    ("entropy", "steps", "rule"),
    [
        (np.zeros((2, 3)), np.arange(4.0), "must be"),
        (np.zeros((2, 3)), np.array([0.0, 2.0, 1.0]), "ascending"),
        (np.full((2, 3), np.nan), np.arange(3.0), "an S at every step"),
        (np.zeros((0, 3)), np.arange(3.0), "a replicate"),
    ],
)
def test_what_is_no_path_is_refused(entropy, steps, rule):
    """Shapes, order and missing values are named."""
    with pytest.raises(ValueError, match=rule):
        Paths(entropy, steps, 5, 10)


def test_counts_with_an_empty_step_are_refused():
    """A step without two responses has no S."""
    with pytest.raises(ValueError, match="two responses"):
        Paths.from_counts(np.zeros((1, 3, 5)), np.arange(3))


def test_a_small_rate_is_printed_with_digits_that_matter():
    """0.00041 nats a step is not printed as 0.000."""
    found = Estimate(0.00041, 0.00032, 0.0005, 0.95, "nats/step", 100, "m")

    assert str(found) == "0.000410 nats/step [0.000320, 0.000500] 95%, n=100"


def test_coverage_of_rates():
    """95 % intervals of slope and horizon mean hold the population's rate in 93-97 % of 600 runs, within chance."""
    rng, kept = np.random.default_rng(9), np.zeros(2)
    for _ in range(600):
        rates = 0.002 * np.exp(0.3 * rng.standard_normal(8) - 0.045)
        paths = paths_of(0.4 + np.outer(rates, STEPS) + 0.05 * rng.standard_normal((8, 11)))
        for place, found in enumerate((slope(paths), horizon_mean(paths))):
            kept[place] += found.low <= 0.002 <= found.high

    assert (kept / 600 > 0.93 - 0.018).all()
    assert (kept / 600 < 0.97 + 0.018).all()
