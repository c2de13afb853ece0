"""Calibration: the temperature with which probabilities fit held-out labels best."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax

_LEAST, _MOST = 0.05, 20.0


def fit_temperature(logits: NDArray[np.float64], truth: NDArray[np.int64]) -> float:
    """What to divide logits (N, K) by so that the true goals (N,) are most likely; between 0.05 and 20.

    Targets are Platt's: (N + 1) / (N + K) for the true goal and 1 / (N + K) for each other, so that rows which are all
    right make the classifier as sure as their number allows and not infinitely so.
    Sources: Guo, Pleiss, Sun and Weinberger 2017, arXiv 1706.04599; Platt 1999, section 2.2.

    >>> rng = np.random.default_rng(0)
    >>> logits = rng.normal(size=(20_000, 3))
    >>> truth = np.array([rng.choice(3, p=np.exp(row)) for row in log_softmax(logits, axis=1)])
    >>> round(fit_temperature(2 * logits, truth), 1)
    2.0
    """

    rows, goals = logits.shape
    targets = np.full((rows, goals), 1 / (rows + goals))
    targets[np.arange(rows), truth] = (rows + 1) / (rows + goals)

    def loss(log_temperature: float) -> float:
        return float(-(targets * log_softmax(logits / math.exp(log_temperature), axis=1)).sum(axis=1).mean())

    found = minimize_scalar(loss, bounds=(math.log(_LEAST), math.log(_MOST)), method="bounded")
    return math.exp(found.x)
