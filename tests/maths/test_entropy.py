"""Entropy of one profile."""

import itertools

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import digamma, gammaln, xlogy
from scipy.stats import entropy as scipy_entropy

from ethostat.maths.entropy import (
    ESTIMATORS,
    STRICT_RADIUS,
    entropy,
    entropy_of,
    fixed_radius,
    grassberger,
    jackknife,
    likelihood_interval,
    miller_madow,
    nsb,
    plug_in,
    time_uniform_radius,
    varentropy,
)

EVERY_ESTIMATOR = pytest.mark.parametrize("estimator", ESTIMATORS.values(), ids=ESTIMATORS.keys())


def all_counts(size: int, goals: int) -> np.ndarray:
    """Every outcome of `size` responses over `goals` goals."""
    cuts = itertools.combinations(range(size + goals - 1), goals - 1)
    return np.array([np.diff([-1, *cut, size + goals - 1]) - 1 for cut in cuts])


def chances(counts: np.ndarray, p: np.ndarray) -> np.ndarray:
    """Multinomial probability of each row."""
    return np.exp(gammaln(counts.sum(axis=1) + 1) - gammaln(counts + 1).sum(axis=1) + xlogy(counts, p).sum(axis=1))


def random_counts(rng: np.random.Generator, size: int, goals: int, rows: int) -> np.ndarray:
    """Rows from profiles between peaked and even."""
    profiles = rng.dirichlet(np.full(goals, 0.3), rows)
    return rng.multinomial(size, profiles)


def divergence(n: np.ndarray, p: np.ndarray) -> float:
    """Sum n ln(n / (N p))."""
    seen = n > 0
    return float((n[seen] * np.log(n[seen] / n.sum() / np.maximum(p[seen], 1e-300))).sum())


def extreme(n: np.ndarray, radius: float, sign: int) -> float:
    """Smallest (sign 1) or largest (sign -1) S in the likelihood set, by SLSQP from several starts."""
    rng, found = np.random.default_rng(0), []
    limits = (
        {"type": "eq", "fun": lambda p: p.sum() - 1},
        {"type": "ineq", "fun": lambda p: radius - divergence(n, p)},
    )
    for start in ((n + 0.3) / (n + 0.3).sum(), *rng.dirichlet(n + 0.3, 4)):
        with np.errstate(all="ignore"):
            end = minimize(
                lambda p: sign * float(entropy_of(np.clip(p, 0, 1))),
                start,
                method="SLSQP",
                bounds=[(1e-12, 1)] * len(n),
                constraints=limits,
                options={"maxiter": 400, "ftol": 1e-12},
            )
        if abs(end.x.sum() - 1) < 1e-7 and divergence(n, end.x) <= radius + 1e-5:
            found.append(float(entropy_of(np.clip(end.x, 0, 1))))
    return min(found) if sign > 0 else max(found)


def test_the_papers_example_is_0639_nats() -> None:
    """S of shares .8, .1, .1 is 0.639 nats, as -.8 ln .8 - .2 ln .1 gives by hand."""
    by_hand = -0.8 * np.log(0.8) - 0.2 * np.log(0.1)

    assert float(plug_in([80, 10, 10])) == pytest.approx(by_hand)
    assert round(float(plug_in([80, 10, 10])), 3) == 0.639


def test_plug_in_agrees_with_scipy() -> None:
    """The plug-in is scipy's entropy of the counts, for every outcome of seven responses over four goals."""
    counts = all_counts(7, 4)

    np.testing.assert_allclose(plug_in(counts), scipy_entropy(counts, axis=1), atol=1e-12)


def test_varentropy_is_the_variance_of_the_surprise() -> None:
    """V equals the variance of -ln p of a response, and is 0 for even and for certain profiles."""
    p = np.array([0.5, 0.3, 0.2])
    surprise = -np.log(p)

    assert float(varentropy(p)) == pytest.approx(p @ surprise**2 - (p @ surprise) ** 2)
    assert float(varentropy([1, 0, 0])) == 0
    assert float(varentropy([0.5, 0.5, 0])) == pytest.approx(0, abs=1e-12)


def test_jackknife_leaves_out_each_response_in_turn() -> None:
    """The closed form equals the definition, computed response by response."""
    counts = np.array([4, 2, 0, 1])
    left_out = [plug_in(counts - np.eye(4, dtype=int)[goal]) for goal in np.repeat(np.arange(4), counts)]

    assert float(jackknife(counts)) == pytest.approx(7 * float(plug_in(counts)) - 6 * float(np.mean(left_out)))


def test_miller_madow_counts_every_goal() -> None:
    """Miller-Madow adds (K - 1) / 2n with the K goals of the taxonomy, not only those seen."""
    assert float(miller_madow([100, 0, 0, 0, 0])) == pytest.approx(4 / 200)


def test_grassberger_scores_agreement_by_parity() -> None:
    """The warned-of artefact: a unanimous prompt scores about 0 for even n and about 1/n for odd n."""
    assert abs(float(grassberger([20, 0, 0]))) < 0.002
    assert float(grassberger([21, 0, 0])) == pytest.approx(1 / 21, abs=0.002)


def test_nsb_agrees_with_brute_force() -> None:
    """NSB equals the average of S over draws from its prior, weighted by the likelihood of the counts."""
    rng = np.random.default_rng(1)
    counts = np.array([3, 1, 0])
    fine = np.geomspace(1e-4, 1e3, 4000)

    flat = np.gradient(digamma(3 * fine + 1) - digamma(fine + 1))
    beta = rng.choice(fine, 400_000, p=flat / flat.sum())
    gamma = rng.standard_gamma(np.repeat(beta[:, None], 3, axis=1)) + 1e-300
    p = gamma / gamma.sum(axis=1, keepdims=True)
    weight = np.exp(xlogy(counts, p).sum(axis=1))

    assert float(nsb(counts)) == pytest.approx(float((weight * entropy_of(p)).sum() / weight.sum()), abs=0.005)


@EVERY_ESTIMATOR
def test_estimators_do_not_care_for_the_order_of_goals(estimator) -> None:
    """Permuting the goals changes no estimate."""
    rng = np.random.default_rng(2)
    counts = random_counts(rng, 30, 5, 50)

    np.testing.assert_allclose(estimator(counts), estimator(counts[:, rng.permutation(5)]), atol=1e-10)


@EVERY_ESTIMATOR
def test_estimators_take_any_shape_and_say_nan_for_no_response(estimator) -> None:
    """(..., K) counts give (...,) nats; a row without responses gives nan, without a warning."""
    counts = np.array([[[3, 1, 0], [0, 0, 0]], [[1, 0, 0], [2, 2, 2]]])
    found = estimator(counts)

    assert found.shape == (2, 2)
    assert np.isnan(found[0, 1])
    assert np.isfinite(np.delete(found.ravel(), 1)).all()


@pytest.mark.parametrize("estimator", [plug_in, nsb])
def test_plug_in_and_nsb_stay_within_0_and_ln_k(estimator) -> None:
    """They lie between 0 and ln K for every outcome of six responses over five goals."""
    found = estimator(all_counts(6, 5))

    assert found.min() >= 0
    assert found.max() <= np.log(5) + 1e-12


@EVERY_ESTIMATOR
def test_estimators_converge(estimator) -> None:
    """At ten million responses every estimator is within 1e-5 nats of the truth."""
    p = np.array([0.9, 0.06, 0.03, 0.01, 0.0])

    assert float(estimator(10_000_000 * p)) == pytest.approx(float(entropy_of(p)), abs=1e-5)


def test_corrections_take_most_of_the_bias() -> None:
    """Over every outcome of 20 responses, jackknife and Miller-Madow keep less than half of the plug-in's bias."""
    p = np.array([0.6, 0.25, 0.1, 0.05])
    counts = all_counts(20, 4)
    weight = chances(counts, p)

    bias = {f: abs(float(weight @ f(counts)) - float(entropy_of(p))) for f in (plug_in, jackknife, miller_madow)}

    assert bias[plug_in] > 0.05
    assert max(bias[jackknife], bias[miller_madow]) < 0.5 * bias[plug_in]


def test_nsb_is_close_to_the_cramer_rao_bound() -> None:
    """The exact RMSE of NSB at n = 20 stays within 5 % of sqrt(V / n)."""
    p = np.array([0.75, 0.15, 0.06, 0.04])
    counts = all_counts(20, 4)
    rmse = np.sqrt(chances(counts, p) @ (nsb(counts) - entropy_of(p)) ** 2)

    assert rmse <= 1.05 * np.sqrt(varentropy(p) / 20)


@pytest.mark.parametrize("case", range(12))
def test_interval_ends_are_those_an_optimiser_finds(case: int) -> None:
    """Both ends agree with SLSQP to 1e-3 nats, over sizes 1 to 10,000, 2 to 8 goals and several radii."""
    rng = np.random.default_rng(case)
    goals, size = int(rng.choice([2, 3, 5, 8])), int(rng.choice([1, 3, 10, 100, 10_000]))
    counts = random_counts(rng, size, goals, 1)[0]
    radius = float(rng.choice([0.5, 2.1, 6.0]))
    low, high = likelihood_interval(counts, radius)

    assert low[0] == pytest.approx(extreme(counts, radius, 1), abs=1e-3)
    assert high[0] == pytest.approx(extreme(counts, radius, -1), abs=1e-3)


@pytest.mark.parametrize("goals", [2, 5, 32])
@pytest.mark.parametrize("size", [1, 20, 10_000_000])
def test_intervals_hold_the_plug_in_and_have_width(goals: int, size: int) -> None:
    """0 <= low <= plug-in <= high <= ln K and high > low, whatever the size and the number of goals."""
    rng = np.random.default_rng(3)
    counts = np.vstack([random_counts(rng, size, goals, 50), size * np.eye(goals, dtype=int)])
    low, high = likelihood_interval(counts, fixed_radius(counts))

    assert (low >= 0).all()
    assert (high <= np.log(goals) + 1e-12).all()
    assert (low <= plug_in(counts) + 1e-9).all()
    assert (plug_in(counts) <= high + 1e-9).all()
    assert (high > low).all()


def test_a_larger_radius_gives_a_wider_interval() -> None:
    """Intervals of growing radius are nested."""
    counts = random_counts(np.random.default_rng(4), 50, 5, 40)
    inner, outer = likelihood_interval(counts, 1.0), likelihood_interval(counts, 3.0)

    assert (outer.low <= inner.low + 1e-12).all()
    assert (outer.high >= inner.high - 1e-12).all()


def test_an_empty_row_has_no_interval() -> None:
    """A row without responses gives [nan, nan] and leaves the others alone."""
    low, high = likelihood_interval([[0, 0, 0], [5, 1, 0]], 2.1)

    assert np.isnan([low[0], high[0]]).all()
    assert low[1] < high[1]


def test_unanimity_is_judged_by_the_rule_of_three() -> None:
    """When all agree the 95 % radius is -ln 0.05, so at most 1 - 0.05^(1/n) of the mass may be elsewhere."""
    assert float(fixed_radius([40, 0, 0])) == pytest.approx(-np.log(0.05))
    assert float(fixed_radius([40_000, 20_000, 20_000])) == pytest.approx(2.1, abs=1e-3)
    share = 1 - 0.05 ** (1 / 40)
    expected = entropy_of([1 - share, share])

    assert likelihood_interval([40, 0], float(fixed_radius([40, 0]))).high[0] == pytest.approx(float(expected))


def test_radii_are_ordered_and_levels_are_checked() -> None:
    """Fixed < strict < time-uniform, a higher level is wider, and a level outside (0, 1) is refused."""
    counts = [70, 20, 10]

    assert fixed_radius(counts) < fixed_radius(counts, at_95=STRICT_RADIUS) < time_uniform_radius(counts)
    assert fixed_radius(counts, level=0.8) < fixed_radius(counts) < fixed_radius(counts, level=0.99)
    with pytest.raises(ValueError, match="level must be between 0 and 1, got 95"):
        fixed_radius(counts, level=95)


def test_interval_covers_in_simulation() -> None:
    """At n = 100 the 95 % interval holds the truth in at least 92 % of outcomes for each of twelve profiles."""
    rng = np.random.default_rng(5)
    for off in (0.01, 0.04, 0.1, 0.3):
        for shape in ((1, 0, 0, 0), (0.55, 0.25, 0.15, 0.05), (0.25, 0.25, 0.25, 0.25)):
            p = np.append(1 - off, off * np.array(shape))
            counts, times = np.unique(rng.multinomial(100, p, 3000), axis=0, return_counts=True)
            low, high = likelihood_interval(counts, fixed_radius(counts))
            truth = float(entropy_of(p))

            kept = times[(low <= truth + 1e-9) & (truth <= high + 1e-9)].sum() / 3000
            assert kept >= 0.92 - 3 * np.sqrt(0.92 * 0.08 / 3000), (off, shape)


def test_time_uniform_interval_survives_peeking() -> None:
    """Looked at thirty times on the way to n = 1000, it ever misses in at most 5 % of runs."""
    rng, runs = np.random.default_rng(6), 200
    p = np.array([0.9, 0.05, 0.03, 0.02])
    looks = np.unique(np.geomspace(5, 1000, 30).astype(int))
    labels = rng.choice(4, size=(runs, 1000), p=p)
    counts = (labels[..., None] == np.arange(4)).cumsum(axis=1)[:, looks - 1].reshape(-1, 4)
    low, high = likelihood_interval(counts, time_uniform_radius(counts))
    kept = (low <= entropy_of(p)) & (entropy_of(p) <= high)

    assert (~kept.reshape(runs, -1).all(axis=1)).mean() <= 0.05


@EVERY_ESTIMATOR
def test_an_estimate_lies_in_its_interval_and_names_its_method(estimator) -> None:
    """For every outcome of five responses over three goals, low <= value <= high."""
    for counts in all_counts(5, 3):
        found = entropy(counts, estimator=estimator)
        assert found.low <= found.value <= found.high
        assert found.n == 5
        assert "profile likelihood r=" in found.method


def test_no_response_is_undefined() -> None:
    """Without a response the estimate is nan and says so."""
    found = entropy([0, 0, 0])

    assert not found.is_defined
    assert "no response" in found.method
