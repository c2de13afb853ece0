"""Allocation: how many more responses each prompt is asked for, and when the panel's S is known well enough.

Looking at an interval after every round and stopping when it is narrow breaks an ordinary interval's promise. The
one here is an asymptotic confidence sequence: it holds at all rounds at once, so stopping may depend on it.
Its price is about 2.4 times the responses of an interval for a number fixed beforehand; bias correction saves more
than that against a fixed 100 responses a prompt. Sampling stays even over prompts: sampling by estimated variance
saves 0-12 % here, since prompts that nearly always agree keep a high V.
Source: Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas 2024, arXiv 2103.06476.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ethostat.maths.estimate import Estimate
from ethostat.maths.panel import LEAST_PROMPTS_FOR_MIXTURE, learnt_variance, sampling_variance, within_entropy

LEAST_RESPONSES = 50
FIRST_ROUND = 10
_USUAL_VARENTROPY = 0.5


def planned_responses(precision: float) -> float:
    """Number of responses at which the sequence is made narrowest, for a half-width of `precision` nats.

    It follows from a usual varentropy of 0.5 and from nothing observed, as validity asks. Raises ValueError for a
    precision that is not above 0.
    """
    if not precision > 0:
        raise ValueError(f"precision must be above 0 nats, got {precision}")
    return 9.2 * _USUAL_VARENTROPY / precision**2


def time_uniform_within(counts: ArrayLike, *, precision: float, level: float = 0.95) -> Estimate:
    """Mean within-prompt S of these prompts, nats, with an interval that holds at all rounds at once.

    `counts` (J, K); `precision` as it was given to `next_round`. The chance that the interval ever misses, from 50
    responses on, is asymptotically 1 - level. Before that, and where no prompt was asked twice, it is undefined.
    """
    n = np.asarray(counts, dtype=np.float64)
    size = int(n.sum())
    if size < LEAST_RESPONSES:
        reason = f"a time-uniform interval needs {LEAST_RESPONSES} responses, got {size}"
        return Estimate.undefined(reason, level=level, unit="nats", n=size)
    point = within_entropy(n, level=level)
    if not point.is_defined:
        return point
    margin = _width_factor(size, planned_responses(precision), 1 - level) * np.sqrt(_variance(n))
    low, high = max(point.value - margin, 0.0), min(point.value + margin, float(np.log(n.shape[1])))
    title = point.method.partition(";")[0]
    return Estimate(point.value, low, high, level, "nats", size, f"{title}; time-uniform, these prompts")


def time_uniform_half_width(counts: ArrayLike, *, precision: float, level: float = 0.95) -> float:
    """Half-width, nats, of the sequence before it is cut off at 0 and ln K; infinite where it is undefined."""
    n = np.asarray(counts, dtype=np.float64)
    if n.sum() < LEAST_RESPONSES or n.sum(axis=1).max() < 2:
        return float("inf")
    factor = _width_factor(float(n.sum()), planned_responses(precision), 1 - level)
    return float(factor * np.sqrt(_variance(n)))


def next_round(
    counts: ArrayLike, *, precision: float, level: float = 0.95, most: int | None = None
) -> NDArray[np.int64]:
    """How many more responses to ask of each prompt, (J,), to know the mean within-prompt S to +- `precision` nats.

    The first round asks 10 of each (more when the panel is small); later ones go half of the forecast way, evenly,
    and bring up prompts that fell behind. All 0 when the half-width is reached, or at `most` responses a prompt.
    """
    n = np.asarray(counts, dtype=np.float64)
    sizes = n.sum(axis=1).astype(np.int64)
    first = max(FIRST_ROUND, -(-LEAST_RESPONSES // len(n)))
    if sizes.min() < first:
        target = first
    elif (width := time_uniform_half_width(n, precision=precision, level=level)) <= precision:
        return np.zeros(len(n), dtype=np.int64)
    else:
        mean = sizes.mean()
        target = int(np.ceil(mean + max(mean * ((width / precision) ** 2 - 1) / 2, 1)))
        target = min(target, 4 * int(np.ceil(mean)))
    if most is not None:
        target = min(target, most)
    return np.asarray(np.maximum(target - sizes, 0))


def _width_factor(size: float, planned: float, alpha: float) -> float:
    """Half-width over standard error of the asymptotic confidence sequence: at least 3.04 at 95 %."""
    scale = -2 * np.log(alpha)
    spread = size * (scale + np.log(scale + 1)) / planned
    return float(np.sqrt(2 * (spread + 1) / spread * np.log(np.sqrt(spread + 1) / alpha)))


def _variance(n: NDArray[np.float64]) -> float:
    """Variance of the mean within-prompt S over repeated sampling, nats squared.

    From 30 prompts on it is half-way between `sampling_variance` and the mixture's, of which the first is too large
    and the second too small where many prompts nearly always agree; the mixture's alone stops too early.
    """
    n = n[n.sum(axis=1) > 0]
    large = sampling_variance(n)
    return (large + learnt_variance(n)) / 2 if len(n) >= LEAST_PROMPTS_FOR_MIXTURE else large
