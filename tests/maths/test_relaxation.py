"""The relaxation: exact curves are found, what the evidence cannot say is left unsaid, coverage."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import curve_fit

from ethostat.maths.relaxation import early_rates, fit_curves, is_curved, relaxation
from ethostat.maths.trajectory import Paths, slopes

STEPS = np.linspace(0, 500, 51)


def curve(t, start, limit, tau):
    """S(t)."""
    return limit - (limit - start) * np.exp(-t / tau)


def replicates(n, *, start=0.2, limit=0.9, tau=60.0, noise=0.02, spread=0.1, seed=1) -> Paths:
    """Paths that relax, each with its own tau."""
    rng = np.random.default_rng(seed)
    taus = tau * np.exp(spread * rng.standard_normal(n))
    clean = np.stack([curve(STEPS, start, limit, one) for one in taus])
    return Paths(clean + noise * rng.standard_normal(clean.shape), STEPS, 5, 1000)


@pytest.mark.parametrize(("start", "limit", "tau"), [(0.1, 0.7, 44.6), (1.2, 0.3, 120.0), (0.0, 1.6, 15.0)])
def test_an_exact_curve_is_found(start, limit, tau):
    """Without noise the three numbers come back to 1 %."""
    paths = Paths(curve(STEPS, start, limit, tau)[None], STEPS, 5, 100)

    found = [float(one[0]) for one in fit_curves(paths.entropy, paths)]
    assert found == pytest.approx([tau, start, limit], rel=0.01, abs=0.005)


def test_a_noisy_curve_is_that_of_scipy():
    """Where the box does not bind, grid and parabola give the least squares that curve_fit finds."""
    paths = replicates(6, noise=0.03)

    tau, start, limit = fit_curves(paths.entropy, paths)
    for k, row in enumerate(paths.entropy):
        expected, _ = curve_fit(curve, STEPS, row, p0=(0.3, 0.8, 80))
        assert [start[k], limit[k], tau[k]] == pytest.approx(expected, rel=0.01)


def test_no_curve_leaves_the_range_of_entropy():
    """A line to 1.6 nats would have its limit far beyond ln 5; start and limit stay within."""
    rng = np.random.default_rng(2)
    rows = np.clip(np.linspace(0.02, 1.59, 51) + 0.02 * rng.standard_normal((5, 51)), 0, np.log(5))

    tau, start, limit = fit_curves(rows, Paths(rows, STEPS, 5, 100))
    assert (start >= 0).all()
    assert (limit <= np.log(5) + 1e-9).all()
    assert np.isfinite(tau).all()


def test_the_population_is_found():
    """Eight replicates around tau = 60: every interval holds its truth, early rate 0.7 / 60."""
    found = relaxation(replicates(8))

    for estimate, truth in ((found.tau, 60), (found.start, 0.2), (found.limit, 0.9), (found.early_rate, 0.7 / 60)):
        assert estimate.low <= truth <= estimate.high
        assert estimate.half_width < 0.1 * truth
    assert found.is_curved
    assert found.words == ()
    assert len(found.curves) == 8
    assert found.curves[0].early_rate == pytest.approx(0.7 / 60, rel=0.2)


def test_a_line_over_the_run_understates_the_early_rate_many_times():
    """The straight line's slope is less than a tenth of the early rate when tau is an eighth of the horizon."""
    paths = replicates(5)

    assert early_rates(paths).value > 10 * slopes(paths).value


def test_straight_paths_have_no_tau():
    """Paths that do not bend leave tau and limit undefined, in words; the early rate is the line's."""
    rng = np.random.default_rng(4)
    paths = Paths(0.4 + 0.0005 * STEPS + 0.02 * rng.standard_normal((6, 51)), STEPS, 5, 100)

    found = relaxation(paths)
    assert not found.is_curved
    assert not found.tau.is_defined
    assert not found.limit.is_defined
    assert found.early_rate.value == pytest.approx(0.0005, rel=0.2)
    assert "do not bend" in found.words[0]


def test_tau_beyond_the_horizon_is_not_identified():
    """With tau four times the horizon, limit and tau are undefined and the words say to run longer."""
    found = relaxation(replicates(12, limit=1.5, tau=2000, noise=0.005))

    assert found.is_curved
    assert not found.tau.is_defined
    assert not found.limit.is_defined
    assert "longer than the horizon" in found.words[0]
    assert found.early_rate.low <= 1.3 / 2000 <= found.early_rate.high


def test_what_does_not_relax_is_said():
    """A leap half way bends, and leaves any relaxation by more than chance."""
    rng = np.random.default_rng(5)
    paths = Paths(np.where(STEPS > 250, 0.9, 0.2) + 0.02 * rng.standard_normal((6, 51)), STEPS, 5, 100)

    assert "it does not relax" in relaxation(paths).words[-1]


@pytest.mark.parametrize("n", [1, 2])
def test_few_replicates_give_curves_without_intervals(n):
    """Below three replicates the curves stand alone."""
    found = relaxation(replicates(n))

    assert not found.early_rate.is_defined
    assert "3 replicates" in found.early_rate.method
    assert found.curves[0].tau == pytest.approx(60, rel=0.2)
    with pytest.raises(ValueError, match="3 replicates"):
        early_rates(replicates(n))


def test_many_replicates_are_left_out_in_groups():
    """A hundred replicates give 40 pseudo-values, and the interval shrinks with the root of n."""
    few, many = early_rates(replicates(20, spread=0.3)), early_rates(replicates(100, spread=0.3))

    assert len(many.each) == 40
    assert 0.25 < many.error / few.error < 0.8


def test_a_flat_path_is_rarely_curved():
    """Of 200 flat sets of paths about 5 % at most bend beyond chance."""
    rng = np.random.default_rng(6)
    flat = [Paths(0.4 + 0.05 * rng.standard_normal((6, 51)), STEPS, 5, 100) for _ in range(200)]

    assert sum(map(is_curved, flat)) <= 18


def test_coverage_of_the_early_rate():
    """The interval of the early rate holds E[A / tau] in at least 90 % of 120 runs of 8 unlike replicates."""
    truth, kept = 0.7 / 60 * np.exp(0.2**2 / 2), 0
    for seed in range(120):
        found = relaxation(replicates(8, noise=0.05, spread=0.2, seed=seed)).early_rate
        kept += found.low <= truth <= found.high

    assert kept / 120 > 0.90 - 0.04
