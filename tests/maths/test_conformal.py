"""Conformal p-values: uniform where rows are typical, small where they are not, and what is made of them."""

import numpy as np
import pytest
from scipy.stats import binom, norm

from ethostat.maths.conformal import Cells, Reference, benjamini_hochberg, fit_reference, outside_share

WIDTH, GOALS = 16, 3
CENTRES = np.eye(WIDTH)[:GOALS] * 6


@pytest.fixture
def rng() -> np.random.Generator:
    """A generator with a fixed seed."""
    return np.random.default_rng(7)


def typical(rng: np.random.Generator, n: int, shares=(0.6, 0.3, 0.1)) -> tuple[np.ndarray, np.ndarray]:
    """Features around the centre of their goal, and the goals; the third goal is rare and scattered widely."""
    goals = rng.choice(GOALS, n, p=shares)
    scale = np.where(goals == 2, 2.0, 1.0)[:, None]
    return CENTRES[goals] + scale * rng.normal(size=(n, WIDTH)), goals


def odd(rng: np.random.Generator, n: int) -> np.ndarray:
    """Features that lie around no goal's centre."""
    return -CENTRES.sum(axis=0) + rng.normal(size=(n, WIDTH))


def fitted(rng: np.random.Generator, calibration: int = 600, **options) -> Reference:
    """A reference of 300 rows, calibrated on so many others."""
    features, goals = typical(rng, 300)
    fresh, said = typical(rng, calibration)
    return fit_reference(features, goals, calibration=fresh, predicted=said, goal_count=GOALS, rng=rng, **options)


def p_values(reference: Reference, features: np.ndarray, goals: np.ndarray) -> np.ndarray:
    """One a row."""
    return np.array([reference.p_value(row, int(goal)) for row, goal in zip(features, goals, strict=True)])


def test_a_p_value_is_a_rank_among_the_scores_of_its_goal() -> None:
    """Worked by hand: one of three scores is as large, so p = 2/4; in the other cell none is, so p = 1/2."""
    rows = np.array([[127, 0]] * 6, dtype=np.int8)
    reference = Reference(rows, (np.array([0.1, 0.5, 1.0]), np.array([0.2])), (0, 1, 0))

    assert reference.nonconformity([0, 3]) == pytest.approx(1.0)
    assert [reference.p_value([0, 3], goal) for goal in range(3)] == pytest.approx([2 / 4, 1 / 2, 2 / 4])
    assert reference.p_value([5, 0], 0) == 1


def test_of_one_rank_the_farther_is_less_typical() -> None:
    """Beyond every calibration score p is 1/3 to six digits, and still smaller the farther a vector is."""
    rows = np.array([[127, 0]] * 6, dtype=np.int8)
    reference = Reference(rows, (np.array([0.1, 0.2]),), (0,))
    p = [reference.p_value([np.cos(angle), np.sin(angle)], 0) for angle in (1.0, 2.0, 3.0)]

    assert p == sorted(p, reverse=True)
    assert len(set(p)) == 3
    assert p == pytest.approx([1 / 3] * 3, abs=1e-6)


def test_p_values_of_typical_rows_are_uniform(rng: np.random.Generator) -> None:
    """Over 300 calibrations of 99 rows, P(p <= t) is t within the 0.001 and 0.999 quantiles of the binomial."""
    found = []
    for _ in range(300):
        reference = fitted(rng, calibration=99)
        found.append(p_values(reference, *typical(rng, 1))[0])

    for t in (0.05, 0.1, 0.25, 0.5, 0.9):
        assert binom.ppf(0.001, 300, t) <= (np.array(found) <= t).sum() <= binom.ppf(0.999, 300, t)


def test_a_rare_goal_keeps_its_promise(rng: np.random.Generator) -> None:
    """Ranked among their own, rows of a scattered goal have p <= 0.1 in a tenth; among all rows, in most of them."""
    reference = fitted(rng, calibration=3000)
    features, goals = typical(rng, 2000, shares=(0, 0, 1))
    pooled = Reference(reference.rows, (np.sort(np.concatenate(reference.scores)),), (0,) * GOALS)

    own = (p_values(reference, features, goals) <= 0.1).mean()
    assert 0.05 <= own <= 0.15
    assert (p_values(pooled, features, goals) <= 0.1).mean() > 0.5


def test_goals_with_few_calibration_rows_share_a_cell(rng: np.random.Generator) -> None:
    """80 and 180 rows share a cell; 120 alone takes the next smallest goal in; enough everywhere needs no sharing."""

    def cells(*sizes: int) -> Cells:
        said = np.repeat(np.arange(len(sizes)), sizes)
        fresh = rng.normal(size=(len(said), WIDTH))
        return fit_reference(
            fresh[:50], said[:50], calibration=fresh, predicted=said, goal_count=len(sizes), rng=rng
        ).cells

    assert cells(600, 80, 180) == Cells((0, 1, 1), (600, 260))
    assert cells(600, 400, 120) == Cells((0, 1, 1), (600, 520))
    assert cells(200, 200, 200) == Cells((0, 1, 2), (200, 200, 200))
    assert cells(30, 0, 0) == Cells((0, 0, 0), (30,))


def test_odd_rows_are_found_and_few_others(rng: np.random.Generator) -> None:
    """30 odd rows among 270: at a false discovery rate of 10 % at least 25 are listed."""
    reference = fitted(rng, calibration=1500)
    features, goals = typical(rng, 270)
    p = np.r_[p_values(reference, features, goals), p_values(reference, odd(rng, 30), np.zeros(30))]

    listed = benjamini_hochberg(p, rate=0.1)
    assert listed[270:].sum() >= 25
    assert listed[:270].sum() <= 12


def test_false_discoveries_stay_within_the_rate(rng: np.random.Generator) -> None:
    """Over 200 calibrations the mean share of false ones among the listed is at most 10 %, with 3 standard errors."""
    shares = []
    for _ in range(200):
        # Uniform scores: nonconformity is what it is, and the ranks are all that counts.
        scores = np.sort(rng.random(400))
        drawn = np.r_[rng.random(180), 0.97 + 0.05 * rng.random(20)]
        p = (1 + 400 - np.searchsorted(scores, drawn)) / 401
        listed = benjamini_hochberg(p, rate=0.1)
        shares.append(listed[:180].sum() / max(listed.sum(), 1))

    assert np.mean(shares) <= 0.1 + 3 * np.std(shares) / np.sqrt(200)


def test_the_list_is_that_of_the_step_up_definition(rng: np.random.Generator) -> None:
    """Rejected are the j smallest, for the largest j with p_(j) <= rate j / n."""
    for _ in range(50):
        p = rng.random(20) ** 3
        ordered = np.sort(p)
        most = max((j for j in range(1, 21) if ordered[j - 1] <= 0.1 * j / 20), default=0)

        assert benjamini_hochberg(p, rate=0.1).sum() == most
    assert benjamini_hochberg([], rate=0.1).tolist() == []


def simulated(rng: np.random.Generator, outside: float, calibration: int, prompts: int = 60, samples: int = 8):
    """p-values by prompt where this share is outside (whole prompts are, more or less), two cells of calibration."""
    chance = np.clip(rng.beta(0.3, 0.3 * (1 - outside) / max(outside, 1e-9), prompts), 0, 1) * (outside > 0)
    is_odd = rng.random((prompts, samples)) < chance[:, None]
    goals = rng.integers(0, 2, (prompts, samples))
    scores = [np.sort(rng.random(calibration)) for _ in range(2)]
    drawn = np.where(is_odd, 2.0, rng.random((prompts, samples)))
    ranks = np.where(goals == 0, np.searchsorted(scores[0], drawn), np.searchsorted(scores[1], drawn))
    p = (1 + calibration - ranks) / (calibration + 1)
    return p.ravel(), np.repeat(np.arange(prompts), samples), goals.ravel()


@pytest.mark.parametrize(("outside", "calibration"), [(0.0, 200), (0.05, 400), (0.3, 400)])
def test_intervals_of_the_share_cover(rng: np.random.Generator, outside: float, calibration: int) -> None:
    """The 95 % interval holds the truth in at least 90 % of 200 data sets, calibration and prompts drawn anew."""
    cells, held, values = Cells((0, 1), (calibration, calibration)), 0, []
    for _ in range(200):
        p, prompts, goals = simulated(rng, outside, calibration)
        found = outside_share(p, prompts, goals=goals, cells=cells)
        held += found.low <= outside <= found.high
        values.append(found.value)

    assert held >= 180
    assert abs(np.mean(values) - outside) <= 0.02


def test_all_typical_is_a_share_of_about_nothing(rng: np.random.Generator) -> None:
    """Exactly a tenth of p-values at most 0.1 is an excess of 0; all of them is 1; the value is never below 0."""
    p = np.arange(1, 101) / 100

    assert outside_share(p, np.arange(100)).value == pytest.approx(0, abs=1e-12)
    assert outside_share(np.full(50, 0.01), np.arange(50)).value == 1
    assert outside_share(np.full(50, 0.9), np.arange(50)).low == 0


def test_a_small_calibration_widens_the_interval(rng: np.random.Generator) -> None:
    """100 calibration rows leave more doubt than 10,000, by about the spread of their Beta distribution."""
    p, prompts = np.arange(1, 20_001) / 20_000, np.arange(20_000)
    goals = np.zeros(20_000, dtype=int)
    small, large = (outside_share(p, prompts, goals=goals, cells=Cells((0,), (m,))).high for m in (100, 10_000))

    assert small > 5 * large
    assert small == pytest.approx(norm.ppf(0.975) * np.sqrt(0.1 * 0.9 / 102) / 0.9, abs=5e-3)


def test_no_p_value_is_no_share() -> None:
    """Nothing to count is undefined, and says why."""
    assert outside_share([], []).method == "undefined: no response has a p-value"


def test_few_rows_are_kept_of_every_goal(rng: np.random.Generator) -> None:
    """Of 300 rows 30 are kept, ten a goal, though the third goal has a tenth of the rows."""
    features, goals = typical(rng, 300)
    reference = fit_reference(
        features, goals, calibration=features, predicted=goals, goal_count=GOALS, rng=rng, most=30
    )
    nearest = [np.argmax(features @ row / np.linalg.norm(features, axis=1)) for row in reference.rows.astype(float)]

    assert np.bincount(goals[nearest], minlength=3).tolist() == [10, 10, 10]


def test_vectors_without_a_direction_are_as_odd_as_can_be(rng: np.random.Generator) -> None:
    """Zeros, nan and infinity have the smallest p-value there is; another width is refused."""
    reference = fitted(rng, calibration=99)

    for value in (0.0, np.nan, np.inf):
        assert reference.p_value(np.full(WIDTH, value), 0) == 1 / 100
    with pytest.raises(ValueError, match="must have shape"):
        reference.p_value(np.ones(WIDTH + 1), 0)


def test_what_does_not_fit_together_is_refused(rng: np.random.Generator) -> None:
    """Shapes that differ, too few calibration rows and impossible goals are named."""
    x, y = typical(rng, 40)
    with pytest.raises(ValueError, match="must be"):
        fit_reference(x, y[:-1], calibration=x, predicted=y, goal_count=3, rng=rng)
    with pytest.raises(ValueError, match="at least 20 rows, got 5"):
        fit_reference(x, y, calibration=x[:5], predicted=y[:5], goal_count=3, rng=rng)
    with pytest.raises(ValueError, match="from 0 to 0"):
        fit_reference(x, y, calibration=x, predicted=y, goal_count=1, rng=rng)
    with pytest.raises(ValueError, match="finite"):
        fit_reference(x * np.nan, y, calibration=x, predicted=y, goal_count=3, rng=rng)
    rows = np.ones((6, 2), dtype=np.int8)
    for scores, of_goal in (((), (0,)), ((np.array([2.0, 1.0]),), (0,)), ((np.array([1.0]),), (1,))):
        with pytest.raises(ValueError, match="cell"):
            Reference(rows, scores, of_goal)
