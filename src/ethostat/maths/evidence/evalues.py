"""e-values of many streams: which of them changed, and what they say together. Everything in logs."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray


def e_benjamini_hochberg(log_e_values: ArrayLike, *, rate: float) -> NDArray[np.bool_]:
    """Which of S streams changed, so that false ones are at most this share of them on average.

    Rejected are the j largest, for the largest j whose smallest e-value is at least S / (rate j). It holds for e-values
    that depend on each other in any way. Source: Wang and Ramdas 2022, False discovery rate control with e-values.

    >>> e_benjamini_hochberg([4.0, 3.5, 0.0], rate=0.1).tolist()  # 3 / (0.1 x 2) is 15, ln 15 is 2.7
    [True, True, False]
    """
    if not 0 < rate < 1:
        raise ValueError(f"a rate of false discoveries must be between 0 and 1, got {rate}")
    logs = np.asarray(log_e_values, dtype=np.float64)
    if logs.size == 0:
        return np.zeros(0, dtype=bool)
    needed = np.log(logs.size) - np.log(rate) - np.log(np.arange(1, logs.size + 1))
    enough = np.nonzero(np.sort(logs)[::-1] >= needed)[0]
    return np.asarray(logs >= needed[enough[-1]]) if enough.size else np.zeros(logs.size, dtype=bool)


def merge_independent(log_e_values: ArrayLike) -> float:
    """Log of one e-value from those of independent streams: their product."""
    return float(np.sum(np.asarray(log_e_values, dtype=np.float64)))


def merge_any(log_e_values: ArrayLike) -> float:
    """Log of one e-value from those of streams that depend on each other in any way: their mean.

    Source: Vovk and Wang 2021, E-values: calibration, combination and applications.
    """
    logs = np.asarray(log_e_values, dtype=np.float64)
    return float(np.logaddexp.reduce(logs) - np.log(len(logs)))
