"""Spectrum: the largest eigenvalues and the trace of a symmetric matrix known only by its products with vectors.

For Fisher matrices of networks, which have as many rows as there are parameters: no entry is ever formed. A product
is a function from (n,) to (n,).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import eigh_tridiagonal
from scipy.stats import t

from ethostat.maths.estimate import Estimate

Floats = NDArray[np.float64]
Product = Callable[[Floats], Floats]

_NOTHING_LEFT = 1e-10


@dataclass(frozen=True, eq=False)
class Ritz:
    """Approximate eigenvalues, descending, and the residual of each: an eigenvalue lies within it.

    `products` is how many products were spent. A Ritz value is never above the largest eigenvalue.
    """

    values: Floats
    residuals: Floats
    products: int


def lanczos(product: Product, size: int, *, steps: int, rng: np.random.Generator) -> Ritz:
    """The largest eigenvalues of a symmetric matrix, from `steps` products at most.

    Every new direction is made orthogonal to all before it, twice, so that no eigenvalue appears as a ghost of itself;
    that keeps `steps` vectors of `size` in memory, in single precision. Ends early where the space of the start is
    exhausted: then the values are exact. Raises ValueError for no step. Source: Golub and Van Loan 2013, section 10.3;
    Paige 1976 for the residuals.
    """
    if steps < 1:
        raise ValueError(f"lanczos needs a step or more, got {steps}")
    steps = min(steps, size)
    basis = np.zeros((steps, size), dtype=np.float32)
    diagonal, beside = np.zeros(steps), np.zeros(steps)
    direction = rng.standard_normal(size)
    direction /= np.linalg.norm(direction)
    taken = 0
    for k in range(steps):
        basis[k] = direction
        image = np.asarray(product(direction), dtype=np.float64)
        diagonal[k], taken = float(direction @ image), k + 1
        image = _apart(_apart(image, basis[:taken]), basis[:taken])
        beside[k] = float(np.linalg.norm(image))
        if beside[k] <= _NOTHING_LEFT * max(1.0, float(np.abs(diagonal).max())):
            beside[k] = 0.0
            break
        direction = image / beside[k]
    values, vectors = eigh_tridiagonal(diagonal[:taken], beside[: taken - 1])
    residuals = beside[taken - 1] * np.abs(vectors[-1])
    return Ritz(np.asarray(values[::-1], dtype=np.float64), np.asarray(residuals[::-1], dtype=np.float64), taken)


def trace(product: Product, size: int, *, probes: int, rng: np.random.Generator, level: float = 0.95) -> Estimate:
    """The trace, from the products with `probes` vectors of random signs; Student's interval over probes.

    Unbiased; `n` of the estimate is the number of probes. Undefined for fewer than two. Source: Hutchinson 1990.
    """
    if probes < 2:
        return Estimate.undefined("a trace needs two probes or more", level=level, unit="coefficient", n=probes)
    signs = (rng.choice((-1.0, 1.0), size) for _ in range(probes))
    found = np.array([float(sign @ product(sign)) for sign in signs])
    margin = float(t.ppf((1 + level) / 2, probes - 1) * found.std(ddof=1) / np.sqrt(probes))
    value = float(found.mean())
    method = f"Hutchinson, {probes} probes; t interval"
    return Estimate(value, value - margin, value + margin, level, "coefficient", probes, method)


def critical_rate(largest: float, parameters: int) -> float:
    """gamma_crit = (lambda_max / 2) ln N, the stability boundary of arXiv 2511.10704, as its abstract gives it.

    It has the unit of `largest`, and so depends on how the parameters are written down; the source compares it with
    rates in nats a step. Raises ValueError for a negative eigenvalue or no parameter.

    >>> round(critical_rate(1.2, 7_000_000_000), 2)
    13.6
    """
    if largest < 0 or parameters < 1:
        raise ValueError(f"the eigenvalue must be 0 or more and N at least 1, got {largest} and {parameters}")
    return largest / 2 * float(np.log(parameters))


def _apart(vector: Floats, basis: NDArray[np.float32]) -> Floats:
    """The vector without its parts along the rows of the basis."""
    along = basis @ vector.astype(np.float32)
    return vector - (along @ basis).astype(np.float64)
