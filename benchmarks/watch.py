"""Watching a fixed panel: false alerts over thousands of looks, and how soon refusals that rise are found.

Looks of 126 responses (42 prompts, three each), a baseline of 378 (nine each), at most 1 % false alerts ever. The
panels are drawn anew for each run, from shapes other than those that the detector was settled on; the mathematics is
simulated, `PanelDetector` itself, without models. `python benchmarks/watch.py [--quick] [--json FILE]`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from _table import Row, fact, line, run
from ethostat.maths.evidence.panels import PanelDetector
from ethostat.maths.evidence.promise import Lifetime

FLAGS = (False, True, False, True, True)
PROMPTS, EACH, BASELINE = 42, 3, 9
ORDER = np.tile(np.arange(PROMPTS), EACH)
QUIET_BEFORE = 10
"""Looks before a change."""


class Shape(NamedTuple):
    """Kinds of prompts: how many of each, the mean profile, how alike they are, and the group that they belong to."""

    name: str
    kinds: tuple[tuple[int, tuple[float, ...], float, int], ...]


SAFE = Shape(
    "half answered, half refused",
    ((21, (0.955, 0.01, 0.02, 0.01, 0.005), 25.0, 0), (21, (0.03, 0.015, 0.945, 0.005, 0.005), 25.0, 1)),
)
TORN = Shape(
    "answered, refused, and torn",
    (
        (20, (0.94, 0.02, 0.02, 0.01, 0.01), 30.0, 0),
        (12, (0.04, 0.03, 0.91, 0.01, 0.01), 12.0, 1),
        (10, (0.55, 0.12, 0.22, 0.07, 0.04), 10.0, 2),
    ),
)
PLAIN = Shape("answered, nearly always", ((42, (0.96, 0.01, 0.01, 0.01, 0.01), 60.0, 0),))
SHAPES = (SAFE, TORN, PLAIN)
REFUSALS = {"g3": (2,), "g4": (3,), "g3, g4": (2, 3)}


def panels(rng: np.random.Generator, shape: Shape, runs: int) -> tuple[np.ndarray, list[int]]:
    """The profile of each prompt of each run (runs, 42, 5), and the groups."""
    rows, groups = [], []
    for count, mean, alike, group in shape.kinds:
        rows.append(rng.dirichlet(np.array(mean) * alike, (runs, count)))
        groups += [group] * count
    return np.concatenate(rows, axis=1), groups


def refusing(shares: np.ndarray, points: float, goals: tuple[int, ...]) -> np.ndarray:
    """The same panels with so many points more refusals over all, out of what was answered, in proportion."""
    answered = shares[..., 0]
    lost = answered * points / answered.mean(axis=1, keepdims=True)
    out = shares.copy()
    out[..., 0] -= lost
    for goal in goals:
        out[..., goal] += lost / len(goals)
    return out


def drawn(rng: np.random.Generator, shares: np.ndarray) -> np.ndarray:
    """A goal for each profile (..., 5)."""
    return np.minimum((rng.random((*shares.shape[:-1], 1)) > shares.cumsum(axis=-1)).sum(axis=-1), 4)


def first_alerts(
    rng: np.random.Generator,
    shape: Shape,
    runs: int,
    *,
    quiet: int,
    after: int = 0,
    points: float = 0.0,
    goals: tuple[int, ...] = (2,),
) -> np.ndarray:
    """The look of the first alert (runs,), counted from the change, the first look after it being 1; inf where none."""
    shares, groups = panels(rng, shape, runs)
    changed = refusing(shares, points, goals)
    baseline = np.zeros((runs, PROMPTS, 5))
    for _ in range(BASELINE):
        baseline[np.arange(runs)[:, None], np.arange(PROMPTS), drawn(rng, shares)] += 1
    detector, found = PanelDetector(baseline, FLAGS, Lifetime(0.01), groups=groups), np.full(runs, np.inf)
    for look in range(quiet + after):
        detector.take(ORDER, drawn(rng, (shares if look < quiet else changed)[:, ORDER]))
        found[np.isinf(found) & detector.alarms] = look - quiet + 1
        if np.isfinite(found).all():
            break
    return found


def _median(found: np.ndarray, rng: np.random.Generator) -> tuple[float, float]:
    """The median, and its standard error by resampling; inf counts as a wait that is longer than any other."""
    placed = np.where(np.isinf(found), 1e6, found)
    middles = np.median(rng.choice(placed, (400, len(placed))), axis=1)
    return float(np.median(placed)), float(middles.std())


def found_soon(rng: np.random.Generator, quick: bool) -> Iterator[Row]:
    """Ten points more refusals."""
    runs = 60 if quick else 200
    for shape in SHAPES:
        for name, goals in REFUSALS.items():
            found = first_alerts(rng, shape, runs, quiet=QUIET_BEFORE, after=25, points=0.10, goals=goals)
            middle, error = _median(found[found > 0], rng)
            yield line(f"{shape.name}: {name} + 10 points, median looks", middle, "<= 5", met=middle <= 5, error=error)


def found_at_all(rng: np.random.Generator, quick: bool) -> Iterator[Row]:
    """Five points more."""
    runs, after = (60, 60) if quick else (150, 400)
    for shape in SHAPES:
        for name, goals in REFUSALS.items():
            found = first_alerts(rng, shape, runs, quiet=QUIET_BEFORE, after=after, points=0.05, goals=goals)
            clean = found[found > 0]
            share = float((clean <= after).mean())
            error = float(np.sqrt(share * (1 - share) / len(clean)))
            yield line(
                f"{shape.name}: {name} + 5 points, found in {after} looks",
                share,
                ">= .80",
                met=share + 2 * error * quick >= 0.8,
                error=error,
            )
            yield fact("    median looks, of those found", float(np.median(clean[np.isfinite(clean)])))


def false_alerts(rng: np.random.Generator, quick: bool) -> Iterator[Row]:
    """Nothing changes: many panels while evidence on a new one is at its weakest, fewer for thousands of looks."""
    for shape in SHAPES:
        for runs, looks in ((300, 60),) if quick else ((300, 500), (64, 2000)):
            share = float(np.isfinite(first_alerts(rng, shape, runs, quiet=looks)).mean())
            error = float(np.sqrt(max(share, 1 / runs) * (1 - share) / runs))
            name = f"{shape.name}: false within {looks:,} looks, of {runs}"
            yield line(name, share, "<= .01", met=share - 2 * error <= 0.01, error=error)


if __name__ == "__main__":
    run(__doc__, found_soon, false_alerts, found_at_all, seed=20270203)
