"""Profiles and panels of prompts whose truth is known.

None of these panels was used to choose a method; docs/statistics.md says what was tuned on which others.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from scipy.optimize import brentq

from ethostat.maths.entropy import entropy_of

Draw = Callable[[int, np.random.Generator], np.ndarray]


def profile_of(truth: float, shape: Sequence[float]) -> np.ndarray | None:
    """The profile (1 - m, m x shape) of this S, nats, with the smallest m; None where no m reaches it."""
    weights = np.array(shape, dtype=np.float64) / np.sum(shape)
    grid = np.linspace(0.005, 0.995, 400)
    top = grid[np.argmax([entropy_of(np.append(1 - m, m * weights)) for m in grid])]

    def excess(m: float) -> float:
        return float(entropy_of(np.append(1 - m, m * weights))) - truth

    if excess(float(top)) <= 0:
        return None
    m = float(brentq(excess, 1e-9, float(top)))
    return np.append(1 - m, m * weights)


def mixed(parts: Sequence[tuple[float, Sequence[float], float]]) -> Draw:
    """Prompts of several kinds, each (share, mean profile, concentration of its Dirichlet law)."""

    def draw(prompts: int, rng: np.random.Generator) -> np.ndarray:
        kind = rng.choice(len(parts), prompts, p=[share for share, _, _ in parts])
        laws = np.array([np.array(mean) * concentration for _, mean, concentration in parts])
        weights = rng.standard_gamma(laws[kind]) + 1e-300
        return np.asarray(weights / weights.sum(axis=1, keepdims=True))

    return draw


def half_deterministic(prompts: int, rng: np.random.Generator) -> np.ndarray:
    """The tuned panel, in which half of the prompts get one and the same goal every time."""
    p = PANELS["tuned"](prompts, rng)
    certain = rng.random(prompts) < 0.5
    p[certain] = np.eye(5)[rng.choice([0, 2, 4], certain.sum(), p=[0.65, 0.30, 0.05])]
    return p


PANELS: dict[str, Draw] = {
    "tuned": mixed(
        [
            (0.60, (0.975, 0.008, 0.010, 0.002, 0.005), 100),
            (0.30, (0.015, 0.010, 0.955, 0.010, 0.010), 50),
            (0.10, (0.45, 0.20, 0.20, 0.05, 0.10), 7),
        ]
    ),
    "tuned-2": mixed(
        [
            (0.45, (0.965, 0.015, 0.008, 0.004, 0.008), 60),
            (0.42, (0.020, 0.008, 0.950, 0.012, 0.010), 80),
            (0.13, (0.50, 0.12, 0.28, 0.04, 0.06), 10),
        ]
    ),
    "base": mixed([(1.0, (0.58, 0.17, 0.08, 0.04, 0.13), 4.5)]),
    "half-deterministic": half_deterministic,
    "homogeneous": mixed([(1.0, (0.80, 0.08, 0.06, 0.03, 0.03), 250)]),
}
