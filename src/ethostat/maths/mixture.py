"""Mixture: an empirical-Bayes mixture of Dirichlet laws over the prompts of a panel.

Prompts fall into a few kinds (answered, refused, mixed). Learning each kind's Dirichlet law from all prompts
together takes the bias out of per-prompt entropies that few responses cannot determine alone.
Sources: Minka 2000, Estimating a Dirichlet distribution (fixed point); Wolpert and Wolf 1995 (moments of S).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import digamma, gammaln, polygamma

Floats = NDArray[np.float64]

_MOST_COMPONENTS = 5
_DOMINANT = 0.8
_START_CORRELATION = (0.001, 0.5)
_SMALLEST, _LARGEST = 1e-5, 1e4
_ROUNDS = 100
_STEPS = 3
_TOLERANCE = 1e-3
_RELAXATION = 1.8
_PRIOR = 0.1


@dataclass(frozen=True, slots=True)
class Mixture:
    """G Dirichlet laws over K goals, `concentrations` (G, K), with `weights` (G,) that sum to 1."""

    weights: Floats
    concentrations: Floats

    def memberships(self, counts: ArrayLike) -> Floats:
        """Posterior probability of each component for each prompt, shape (J, G)."""
        joint = self._log_joint(np.asarray(counts, dtype=np.float64))
        return np.asarray(np.exp(joint - np.logaddexp.reduce(joint, axis=1, keepdims=True)))

    def log_likelihood(self, counts: ArrayLike) -> Floats:
        """Log likelihood of each prompt's counts (J,), without its multinomial coefficient."""
        return np.asarray(np.logaddexp.reduce(self._log_joint(np.asarray(counts, dtype=np.float64)), axis=1))

    def expected_entropy(self, counts: ArrayLike) -> Floats:
        """Posterior mean of each prompt's S, nats, shape (J,)."""
        return self._average(np.asarray(counts, dtype=np.float64), dirichlet_entropy)

    def expected_varentropy(self, counts: ArrayLike) -> Floats:
        """Posterior mean of each prompt's V, nats squared, shape (J,)."""
        return self._average(np.asarray(counts, dtype=np.float64), dirichlet_varentropy)

    def _average(self, n: Floats, moment: Callable[[Floats], Floats]) -> Floats:
        parts = moment(n[:, None, :] + self.concentrations[None, :, :])
        return np.asarray((self.memberships(n) * parts).sum(axis=1))

    def _log_joint(self, n: Floats) -> Floats:
        a = self.concentrations
        total = a.sum(axis=1)
        size = gammaln(total) - gammaln(n.sum(axis=1)[:, None] + total)
        goals = (gammaln(n[:, None, :] + a[None]) - gammaln(a)[None]).sum(axis=2)
        return np.asarray(np.log(self.weights) + size + goals)


def fit_mixture(counts: ArrayLike) -> Mixture:
    """The mixture of 1 to 5 Dirichlet laws that the prompts' counts (J, K) suggest.

    Two are fitted and the better by BIC is kept: one law for all prompts, and one law for each frequent kind of
    prompt (its dominant goal, or none). EM moves them, with three of Minka's fixed-point steps a round, towards the
    largest likelihood x product of a^0.1: the weak prior keeps goals that few prompts show from vanishing. Rows may
    differ in size; empty rows are ignored. Raises ValueError where no row has a response.
    """
    n = np.asarray(counts, dtype=np.float64)
    n = n[n.sum(axis=1) > 0]
    if len(n) == 0:
        raise ValueError("a mixture needs at least one prompt with a response, got none")
    rows, times = np.unique(n, axis=0, return_counts=True)
    return _fitted(rows.tobytes(), rows.shape[1], times.tobytes())


@lru_cache(maxsize=4)
def _fitted(rows: bytes, goals: int, times: bytes) -> Mixture:
    """The fit, kept for the next question about the same counts: within, between and variance ask in turn."""
    tally = _Tally.of(np.frombuffer(rows).reshape(-1, goals), np.frombuffer(times, dtype=np.int64))
    kinds = _kinds(tally.rows, tally.times)
    alone = _fit(tally, np.ones((len(tally.rows), 1)))
    if kinds.shape[1] == 1:
        return alone
    several = _fit(tally, kinds)
    return several if _bic(several, tally) < _bic(alone, tally) else alone


@dataclass(frozen=True, slots=True)
class _Tally:
    """Distinct rows of counts (R, K), how often each occurs (R,), and where each distinct count and size stands.

    Counts repeat far more often than rows, and digamma is what a fit spends its time on: it is taken once a value.
    """

    rows: Floats
    times: NDArray[np.int64]
    values: Floats
    cells: NDArray[np.int64]
    sizes: Floats
    size_cells: NDArray[np.int64]

    @classmethod
    def of(cls, rows: Floats, times: NDArray[np.int64]) -> _Tally:
        """Index the rows: cell (k, u) of a row says that goal k has the u-th of the distinct counts."""
        values, place = np.unique(rows, return_inverse=True)
        cells = place.reshape(rows.shape) + np.arange(rows.shape[1]) * len(values)
        sizes, size_cells = np.unique(rows.sum(axis=1), return_inverse=True)
        return cls(rows, times, values, cells.ravel(), sizes, size_cells)

    def weigh(self, members: Floats) -> tuple[Floats, Floats]:
        """How much membership (R, G) falls on each count of each goal, (G, K, U), and on each size, (G, Z)."""
        goals, values = self.rows.shape[1], len(self.values)
        counts = np.empty((members.shape[1], goals * values))
        sizes = np.empty((members.shape[1], len(self.sizes)))
        for law, member in enumerate(members.T):
            counts[law] = np.bincount(self.cells, np.repeat(member, goals), goals * values)
            sizes[law] = np.bincount(self.size_cells, member, len(self.sizes))
        return counts.reshape(-1, goals, values), sizes


def _fit(tally: _Tally, members: Floats) -> Mixture:
    """EM from these memberships (R, G)."""
    times = tally.times[:, None]
    mixture = _start(tally.rows, members * times)
    for _ in range(_ROUNDS):
        members = mixture.memberships(tally.rows) * times
        weights = (members.sum(axis=0) + 1e-6) / (members.sum() + 1e-6 * members.shape[1])
        moved = Mixture(weights, _climb(tally, members, mixture.concentrations))
        before, mixture = mixture.concentrations, moved
        if (np.abs(moved.concentrations - before) <= _TOLERANCE * before).all():
            break
    return mixture


def _bic(mixture: Mixture, tally: _Tally) -> float:
    parameters = mixture.concentrations.size + len(mixture.weights) - 1
    return float(parameters * np.log(tally.times.sum()) - 2 * tally.times @ mixture.log_likelihood(tally.rows))


def dirichlet_entropy(parameters: Floats) -> Floats:
    """Mean of S, nats, under Dirichlet(parameters); parameters (..., K)."""
    total = parameters.sum(axis=-1)
    return np.asarray(digamma(total + 1) - (parameters * digamma(parameters + 1)).sum(axis=-1) / total)


def dirichlet_varentropy(parameters: Floats) -> Floats:
    """Mean of V = sum p ln^2 p - S^2, nats squared, under Dirichlet(parameters); parameters (..., K)."""
    a, total = parameters, parameters.sum(axis=-1, keepdims=True)
    mean_log = digamma(a + 1) - digamma(total + 1)
    square = (a / total * (mean_log**2 + polygamma(1, a + 1) - polygamma(1, total + 1))).sum(axis=-1)
    return np.asarray(np.maximum(square - _mean_squared_entropy(a, total), 0.0))


def _mean_squared_entropy(a: Floats, total: Floats) -> Floats:
    """Mean of S squared under Dirichlet(a): sums over pairs of goals and over single goals."""
    spread = polygamma(1, total[..., 0] + 2)
    one = digamma(a + 1) - digamma(total + 2)
    two = digamma(a + 2) - digamma(total + 2)
    pairs = (a * one).sum(axis=-1) ** 2 - (a**2 * one**2).sum(axis=-1)
    pairs -= spread * (a.sum(axis=-1) ** 2 - (a**2).sum(axis=-1))
    singles = (a * (a + 1) * (two**2 + polygamma(1, a + 2) - spread[..., None])).sum(axis=-1)
    return np.asarray((pairs + singles) / (total[..., 0] * (total[..., 0] + 1)))


def _kinds(n: Floats, times: NDArray[np.int64]) -> Floats:
    """Memberships (J, G) in the frequent kinds of prompt: by dominant goal, or none."""
    goals = n.shape[1]
    smooth = (n + 1 / goals) / (n.sum(axis=1, keepdims=True) + 1)
    kind = np.where(smooth.max(axis=1) >= _DOMINANT, smooth.argmax(axis=1), goals)
    sizes = np.bincount(kind, weights=times, minlength=goals + 1)
    kept = np.argsort(-sizes, kind="stable")[: _MOST_COMPONENTS - 1]
    kind = np.where(np.isin(kind, kept), kind, goals)
    kinds = np.unique(kind)
    return np.asarray(0.9 * (kind[:, None] == kinds[None, :]) + 0.1 / len(kinds))


def _start(n: Floats, members: Floats) -> Mixture:
    """Means of the members' smoothed proportions, and concentrations from their overdispersion (moments)."""
    goals, sizes = n.shape[1], n.sum(axis=1)
    smooth = (n + 1 / goals) / (sizes + 1)[:, None]
    amount = members.sum(axis=0)
    means = members.T @ smooth / amount[:, None]
    spread = ((n / sizes[:, None])[:, None, :] - means[None]) ** 2
    relative = (members * spread.sum(axis=2)).sum(axis=0) / amount / (1 - (means**2).sum(axis=1))
    noise = (members / sizes[:, None]).sum(axis=0) / amount
    correlation = np.clip((relative - noise) / np.maximum(1 - noise, 1e-9), *_START_CORRELATION)
    return Mixture(amount / amount.sum(), np.maximum(means * (1 / correlation - 1)[:, None], _SMALLEST))


def _climb(tally: _Tally, members: Floats, concentrations: Floats) -> Floats:
    """Minka's fixed point, a few over-relaxed steps, for every component at once.

    Its linear convergence has rates between 0 and 1, so a power below 2 stays stable and nearly halves the steps.
    The prior adds 0.1 / a to each gradient.
    """
    a = concentrations
    on_counts, on_sizes = tally.weigh(members)
    for _ in range(_STEPS):
        total = a.sum(axis=1, keepdims=True)
        gain = (on_counts * (digamma(tally.values + a[..., None]) - digamma(a)[..., None])).sum(axis=2)
        scale = (on_sizes * (digamma(tally.sizes + total) - digamma(total))).sum(axis=1, keepdims=True)
        ratio = (gain + _PRIOR / a) / np.maximum(scale, 1e-12)
        a = np.clip(a * ratio**_RELAXATION, _SMALLEST, _LARGEST)
    return a
