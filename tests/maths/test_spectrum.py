"""The spectrum of a matrix known by its products, against the whole matrix."""

from __future__ import annotations

import numpy as np
import pytest

from ethostat.maths.spectrum import critical_rate, lanczos, trace


def symmetric(size, seed=0):
    """A positive matrix whose eigenvalues fall like 1/k^2, as those of Fisher matrices do."""
    rng = np.random.default_rng(seed)
    axes, _ = np.linalg.qr(rng.standard_normal((size, size)))
    return axes @ np.diag(1 / np.arange(1, size + 1) ** 2) @ axes.T


def test_the_largest_eigenvalues_are_those_of_the_whole_matrix():
    """Twenty products give the five largest of 300 eigenvalues to a millionth."""
    matrix = symmetric(300)

    found = lanczos(lambda v: matrix @ v, 300, steps=20, rng=np.random.default_rng(1))

    assert found.values[:5] == pytest.approx(np.linalg.eigvalsh(matrix)[::-1][:5], rel=1e-6)


@pytest.mark.parametrize("steps", [3, 6, 12])
def test_an_eigenvalue_lies_within_each_residual(steps):
    """However early it stops, some eigenvalue is as near to a Ritz value as its residual says, none above the first."""
    matrix = symmetric(80, seed=steps)
    truth = np.linalg.eigvalsh(matrix)

    found = lanczos(lambda v: matrix @ v, 80, steps=steps, rng=np.random.default_rng(2))

    near = np.abs(found.values[:, None] - truth[None]).min(axis=1)
    assert (near <= found.residuals + 1e-6).all()
    assert found.values[0] <= truth[-1] * (1 + 1e-6)


def test_it_ends_where_the_matrix_has_no_more_directions():
    """A matrix of rank two with a null space is exhausted after three products, and its eigenvalues are exact."""
    axes = np.linalg.qr(np.random.default_rng(3).standard_normal((40, 2)))[0]
    matrix = axes @ np.diag([5.0, 2.0]) @ axes.T

    found = lanczos(lambda v: matrix @ v, 40, steps=20, rng=np.random.default_rng(4))

    assert found.values[:2] == pytest.approx([5, 2], rel=1e-6)
    assert found.products <= 5


def test_the_trace_of_a_diagonal_matrix_needs_one_sign():
    """Signs square to 1, so each probe gives the trace of a diagonal matrix exactly."""
    found = trace(lambda v: np.arange(10) * v, 10, probes=2, rng=np.random.default_rng(5))

    assert (found.value, found.low, found.high) == pytest.approx((45, 45, 45))


def test_the_trace_interval_covers_the_trace():
    """Of 200 intervals at 95 %, between 180 and 200 hold the trace: chance gives fewer once in 500 runs."""
    matrix = np.random.default_rng(6).standard_normal((30, 30))
    matrix = matrix @ matrix.T
    rng = np.random.default_rng(7)

    found = [trace(lambda v: matrix @ v, 30, probes=10, rng=rng) for _ in range(200)]

    assert 180 <= sum(one.low <= np.trace(matrix) <= one.high for one in found) <= 200


def test_one_probe_has_no_interval():
    """With a single probe the trace is undefined and says why."""
    assert "two probes" in trace(lambda v: v, 3, probes=1, rng=np.random.default_rng(0)).method


def test_the_critical_rate_of_the_source():
    """lambda_max = 1.2 and 7 billion parameters give 13.6, and 1.5 times that is the 20.4 of the source's abstract."""
    assert 1.5 * critical_rate(1.2, 7 * 10**9) == pytest.approx(20.4, abs=0.05)


@pytest.mark.parametrize(("largest", "parameters"), [(-1.0, 10), (1.0, 0)])
def test_a_critical_rate_that_cannot_be(largest, parameters):
    """A negative eigenvalue of a Fisher matrix and a model without parameters are refused."""
    with pytest.raises(ValueError, match="must be 0 or more"):
        critical_rate(largest, parameters)


def test_no_step_is_refused():
    """Lanczos without a product knows nothing."""
    with pytest.raises(ValueError, match="a step or more"):
        lanczos(lambda v: v, 3, steps=0, rng=np.random.default_rng(0))
