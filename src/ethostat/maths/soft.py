"""Soft: the goals' shares from calibrated probabilities, by likelihood; no verdict is counted.

Where P(g | x) is calibrated on rows with shares prior(g), the likelihood of a response x under goal g is
P(g | x) / prior(g) up to a factor of x alone, and the shares of other rows are those of the largest likelihood. A
probability says more than the verdict made from it, but nothing here notices probabilities that are not calibrated:
over-confident ones leave S as far off as counting verdicts does.
Source: Saerens, Latinne and Decaestecker 2002, Adjusting the outputs of a classifier to new a priori probabilities.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ethostat.maths.confusion import Corrected, prompt_shape
from ethostat.maths.entropy import entropy_of

Floats = NDArray[np.float64]

DRAWS = 300
_ROUNDS = 500
_TOLERANCE = 1e-5
_AT_ONCE = 3_000_000  # cells of rows x draws in memory


def soft_correction(
    probabilities: ArrayLike, prior: ArrayLike, *, prompts: ArrayLike, rng: np.random.Generator, draws: int = DRAWS
) -> Corrected:
    """The goals' true shares from probabilities (N, K) that are calibrated where shares are `prior` (K,).

    `prompts` (N,) holds the place of each row's prompt. The interval is a Bayesian bootstrap over prompts (over rows
    where there is one prompt); it takes the probabilities as calibrated, and says nothing of how well they are.
    10,000 rows take about two seconds. Raises ValueError for a prior that is not above 0 everywhere.
    """
    known, base = np.asarray(probabilities, dtype=np.float64), np.asarray(prior, dtype=np.float64)
    if (base <= 0).any() or known.shape != (len(known), len(base)):
        raise ValueError(f"every goal needs a prior above 0, and rows as many probabilities, got prior {base.tolist()}")
    ratios = known / (base / base.sum())
    ratios /= ratios.max(axis=1, keepdims=True)
    place = np.unique(np.asarray(prompts), return_inverse=True)[1]
    count = int(place.max()) + 1
    if count == 1:
        place, count = np.arange(len(known)), len(known)
    best = _most_likely(ratios, np.ones((len(known), 1)), np.full((1, len(base)), 1 / len(base)))
    found, shape = [], prompt_shape(count)
    size = max(_AT_ONCE // len(known), 1)
    for start in range(0, draws, size):
        weights = rng.standard_gamma(shape, (count, min(size, draws - start)))
        found.append(_most_likely(ratios, weights[place], best))
    shares = np.concatenate(found)
    lost = float(entropy_of(best)[0] - entropy_of(shares).mean())
    title = "soft-label likelihood; bootstrap over prompts, probabilities taken as calibrated"
    return Corrected(shares, len(known), title, shift=2 * max(lost, 0.0))


def _most_likely(ratios: Floats, weights: Floats, start: Floats) -> Floats:
    """Shares (D, K) of the largest weighted likelihood by EM, weights (N, D), from `start` (1, K) onwards."""
    weights = weights / weights.sum(axis=0)
    shares = np.broadcast_to(start, (weights.shape[1], ratios.shape[1])).copy()
    for _ in range(_ROUNDS):
        before = shares
        shares = before * ((weights / (ratios @ before.T)).T @ ratios)
        if np.abs(shares - before).max() < _TOLERANCE:
            break
    return shares
