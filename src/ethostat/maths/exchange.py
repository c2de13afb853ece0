"""Exchange: tests that A and B do the same, by swapping who said what.

Where the prompts are the same, the labels A and B are swapped among the responses to one prompt, never between
prompts: exact whatever the prompts are, as long as the responses to a prompt are exchangeable if nothing changed. Where
they are not, whole prompts are swapped. A p-value is (1 + as extreme) / (1 + swaps): never 0.
Sources: Phipson and Smyth 2010, Permutation p-values should never be zero; Landis, Heyman and Koch 1978 (generalised
Cochran-Mantel-Haenszel); Besag and Clifford 1991, Sequential Monte Carlo p-values; Holm 1979.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import xlogy

from ethostat.maths.shift import Pair

Floats = NDArray[np.float64]

SWAPS = 1999
MOST_SWAPS = 99_999
_RARE = 10
_AT_ONCE = 1_000_000
_SAME = 1e-9


@dataclass(frozen=True, slots=True)
class Exchanged:
    """p-values: `p_value` of no change at all, `goals` (K,) of no change of each goal's share, `swaps` behind them.

    `pooled` and `prompts` are the two parts of `p_value`: that the shares moved in one direction across prompts, and
    that prompts moved in any direction (nan where the prompts are not the same).
    """

    p_value: float
    pooled: float
    prompts: float
    goals: Floats
    swaps: int


def exchange_test(pair: Pair, *, rng: np.random.Generator, swaps: int = SWAPS) -> Exchanged:
    """Whether A and B do the same; sensitive to every goal, and to prompts that move against each other.

    Paired: the smaller of the p-values of the generalised Cochran-Mantel-Haenszel statistic and of the sum over
    prompts of G, set against its own law under the same swaps, so that looking twice costs what it should. Unpaired:
    the studentised distance of the pooled profiles. Raises ValueError where a side has no response.
    """
    if not pair.prompts:
        raise ValueError("a test needs responses on both sides, got none on one of them")
    if pair.is_paired or max(len(pair.a), len(pair.b)) == 1:
        return _within_prompts(pair.a, pair.b, rng=rng, swaps=swaps)
    return _whole_prompts(pair.a, pair.b, rng=rng, swaps=swaps)


def prompt_tests(pair: Pair, *, rng: np.random.Generator, swaps: int = SWAPS, most: int = MOST_SWAPS) -> Floats:
    """For each paired prompt the p-value (J,) that nothing changed, by G.

    Prompts with fewer than 10 of the swaps as extreme are swapped on, 200 times the number of prompts, `most` at most:
    it is they whose p-value has to be small enough to survive a correction for that many.
    """
    observed = _g(pair.a, pair.b) - _SAME
    extreme, done = np.zeros(len(pair.a)), np.zeros(len(pair.a))
    for size in (swaps, max(swaps, min(200 * len(pair.a), most))):
        going = np.flatnonzero((extreme < _RARE) & (done < size)) if done.any() else np.arange(len(pair.a))
        for place in (going,) if len(going) else ():
            a, b = pair.a[place], pair.b[place]
            hits, tried = np.zeros(len(place)), 0
            for drawn in _swapped(a, b, rng, size):
                hits += (_g(drawn, (a + b)[None] - drawn) >= observed[place]).sum(axis=0)
                tried += len(drawn)
            extreme[place], done[place] = hits, tried
    return np.asarray((1 + extreme) / (1 + done))


def holm(p_values: ArrayLike) -> Floats:
    """p-values (G,) adjusted so that one false discovery among all G has at most the level's chance; nan stays.

    >>> holm([0.01, 0.04, 0.03]).tolist()
    [0.03, 0.06, 0.06]
    """
    p = np.asarray(p_values, dtype=np.float64)
    known = np.flatnonzero(~np.isnan(p))
    order = known[np.argsort(p[known], kind="stable")]
    adjusted = np.full(p.shape, np.nan)
    steps = p[order] * np.arange(len(order), 0, -1)
    adjusted[order] = np.minimum(np.maximum.accumulate(steps), 1.0) if len(order) else steps
    return adjusted


def false_discovery(p_values: ArrayLike) -> Floats:
    """p-values (G,) adjusted by Benjamini and Hochberg: those up to q hold a share q of false ones; nan stays.

    >>> false_discovery([0.01, 0.04, 0.03]).tolist()
    [0.03, 0.04, 0.04]
    """
    p = np.asarray(p_values, dtype=np.float64)
    known = np.flatnonzero(~np.isnan(p))
    order = known[np.argsort(p[known], kind="stable")]
    adjusted = np.full(p.shape, np.nan)
    steps = p[order] * len(order) / np.arange(1, len(order) + 1)
    adjusted[order] = np.minimum.accumulate(steps[::-1])[::-1] if len(order) else steps
    return np.asarray(np.minimum(adjusted, 1.0))


def _within_prompts(a: Floats, b: Floats, *, rng: np.random.Generator, swaps: int) -> Exchanged:
    both = a + b
    size, mine = both.sum(axis=1), a.sum(axis=1)
    expected = (mine / size) @ both
    spread = mine * (size - mine) / (size**2 * np.maximum(size - 1, 1))
    cov = np.diag((spread * size) @ both) - (both * spread[:, None]).T @ both
    inverse = np.linalg.pinv(cov, rcond=1e-9, hermitian=True)
    tables = np.empty((swaps + 1, a.shape[1]))
    likelihood = np.empty(swaps + 1)
    tables[0], likelihood[0] = a.sum(axis=0), _g(a, b).sum()
    done = 1
    for drawn in _swapped(a, b, rng, swaps):
        tables[done : done + len(drawn)] = drawn.sum(axis=1)
        likelihood[done : done + len(drawn)] = _g(drawn, both - drawn).sum(axis=-1)
        done += len(drawn)
    apart = tables - expected
    pooled = _ranks(np.einsum("bi,ij,bj->b", apart, inverse, apart))
    single = _ranks(likelihood)
    goals = np.array([_ranks(np.abs(column))[0] for column in apart.T])
    together = _ranks(-np.minimum(pooled, single))
    return Exchanged(float(together[0]), float(pooled[0]), float(single[0]), goals, swaps)


def _whole_prompts(a: Floats, b: Floats, *, rng: np.random.Generator, swaps: int) -> Exchanged:
    """Rows trade places between the sides; studentised, so that sides of different size and spread stay comparable."""
    rows, mine = np.concatenate([a, b]), len(a)
    found = np.empty((swaps + 1, a.shape[1]))
    order = np.arange(len(rows))
    for turn in range(swaps + 1):
        found[turn] = _studentised(rows[order[:mine]], rows[order[mine:]])
        order = rng.permutation(len(rows))
    total = _ranks(found.sum(axis=1))
    goals = np.array([_ranks(column)[0] for column in found.T])
    return Exchanged(float(total[0]), float(total[0]), float("nan"), goals, swaps)


def _studentised(a: Floats, b: Floats) -> Floats:
    """Squared difference of each goal's pooled share over its variance (K,), 0 where neither side shows the goal."""
    shares, variances = [], []
    for n in (a, b):
        share = n.sum(axis=0) / n.sum()
        rest = n - n.sum(axis=1, keepdims=True) * share
        shares.append(share)
        variances.append((rest**2).sum(axis=0) / n.sum() ** 2 + share * (1 - share) / n.sum() ** 2)
    apart, spread = shares[1] - shares[0], variances[0] + variances[1]
    return np.asarray(np.where(spread > 0, apart**2 / np.where(spread > 0, spread, 1.0), 0.0))


def _swapped(a: Floats, b: Floats, rng: np.random.Generator, swaps: int) -> Iterator[Floats]:
    """Counts of A (B, J, K) when its responses are drawn anew among all responses to each prompt."""
    both = (a + b).astype(np.int64)
    at_once = max(_AT_ONCE // both.size, 1)
    for begin in range(0, swaps, at_once):
        turns = min(at_once, swaps - begin)
        left = np.broadcast_to(a.sum(axis=1).astype(np.int64), (turns, len(a))).copy()
        rest = np.broadcast_to(both.sum(axis=1), (turns, len(a))).copy()
        drawn = np.zeros((turns, *both.shape), dtype=np.float64)
        for goal in range(both.shape[1]):
            here = both[:, goal]
            taken = rng.hypergeometric(np.broadcast_to(here, left.shape), rest - here, left)
            drawn[:, :, goal] = taken
            left -= taken
            rest -= here
        yield drawn


def _g(a: Floats, b: Floats) -> Floats:
    """G of each prompt: 2 sum n ln(n / expected) against a common profile, counts (..., K)."""
    both = a + b
    return np.asarray(2 * (_log_sum(a) + _log_sum(b) - _log_sum(both)))


def _log_sum(n: Floats) -> Floats:
    size = n.sum(axis=-1)
    return np.asarray(xlogy(n, n).sum(axis=-1) - xlogy(size, size))


def _ranks(statistics: Floats) -> Floats:
    """For each value the share of all, itself included, that are at least as large: its p-value."""
    ordered = np.sort(statistics)
    slack = _SAME * max(float(np.abs(ordered).max()), 1.0)
    return np.asarray((len(ordered) - np.searchsorted(ordered, statistics - slack, side="left")) / len(ordered))
