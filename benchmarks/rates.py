"""What intervals of rates, and tests of drift, promise and keep.

Base and tuned paths with a known law: every replicate has its own amplitude and its own tau (log-normal), S wanders
around its path (AR(1)), and each S comes from k responses. The truth is that of the population of replicates.

python benchmarks/rates.py [--quick] [--json FILE]
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from _table import Row, fact, line, run
from ethostat.guarantees.rates import (
    EDGE,
    EQUAL,
    MARGIN,
    OTHER,
    RELAXING,
    Law,
    flat,
    gamma_of,
    held,
    kept_by,
    truths_of,
)
from ethostat.maths.trajectory import direction, horizon_mean, no_drift, slope


def error_of(share: float, runs: int) -> float:
    """Standard error of a share of so many runs."""
    return float(np.sqrt(max(share * (1 - share), 0.04 * 0.96) / runs))


def judged(title: str, kept: float, runs: int, least: float = 0.93, most: float = 0.97) -> Row:
    """A line for a coverage; it fails beyond its bounds by more than two standard errors."""
    error = error_of(kept, runs)
    target = f"{least:.0%}-{most:.0%}" if most < 1 else f">= {least:.0%}"
    return line(title, kept, f"{target} +- 2 SE", met=least - 2 * error <= kept <= most + 2 * error, error=error)


def coverage(rng: np.random.Generator, quick: bool) -> Iterable[Row]:
    """gamma over the horizon and early on, and the parts of the relaxation, over scenarios of their own."""
    runs, pooled = (40 if quick else 250), []
    for name, law in (RELAXING | OTHER).items():
        truth, found = truths_of(law, rng), []
        found += [kept_by(law, rng, truth) for _ in range(runs)]
        shares = np.array([mean_of(column) for column in np.array(found).T])
        pooled.append(shares)
        yield judged(f"coverage, {name}: gamma, horizon mean", shares[0], runs)
        if law.path in ("relaxation", "line"):
            yield judged(f"coverage, {name}: gamma, early", shares[1], runs)
        if law.path == "relaxation":
            for title, share in zip(("early rate", "tau", "S_inf"), shares[2:], strict=True):
                yield judged(f"coverage, {name}: relaxation, {title}", share, runs, 0.90, 1.0)
    means = [mean_of(column) for column in np.array(pooled).T]
    many = runs * len(RELAXING)
    for title, mean in zip(("gamma, horizon mean", "gamma, early"), means, strict=False):
        yield judged(f"coverage, all scenarios: {title}", float(mean), many)


def mean_of(values: np.ndarray) -> float:
    """Of those that are numbers; nan where none is."""
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else np.nan


def size(rng: np.random.Generator, quick: bool) -> Iterable[Row]:
    """How often gamma > 0 is found at 5 % where both models move alike, by pairs and by groups; and its power."""
    runs = 200 if quick else 1000
    for name, law in EQUAL.items():
        for paired in (True, False):
            way = "pairs" if paired else "groups"
            rejected = np.mean([gamma_of(law, law, is_paired=paired, rng=rng).p_value <= 0.05 for _ in range(runs)])
            error = error_of(float(rejected), runs)
            yield line(
                f"size, {way}, {name}", rejected, "<= 5.5% + 2 SE", met=rejected <= 0.055 + 2 * error, error=error
            )
    slow = Law(0.5, 0.1, 1, 500, 50, 8, 200, path="line")
    for paired in (True, False):
        way = "pairs" if paired else "groups"
        found = [
            gamma_of(slow, flat(slow, start=0.5), is_paired=paired, rng=rng).p_value <= 0.05 for _ in range(runs // 4)
        ]
        yield fact(f"power, {way}, 0.1 nats over the horizon", float(np.mean(found)), error=error_of(0.5, runs // 4))


def equivalence(rng: np.random.Generator, quick: bool) -> Iterable[Row]:
    """How often "no drift" is found where S drifts by exactly the margin, and where it does not drift."""
    runs = 200 if quick else 1000
    for name, law in EDGE.items():
        found = np.mean([no_drift(law.paths(rng), margin=MARGIN).holds for _ in range(runs)])
        error = error_of(float(found), runs)
        yield line(f"TOST, {name}, drift = margin", found, "<= 5% + 2 SE", met=found <= 0.05 + 2 * error, error=error)
    for replicates in (5, 10, 20):
        still = flat(Law(0.2, 0, 1, 500, 50, replicates, 200))
        found = np.mean([no_drift(still.paths(rng), margin=MARGIN).holds for _ in range(runs // 4)])
        yield fact(f"TOST, power without drift, {replicates} replicates", found, error=error_of(0.5, runs // 4))


def one_path(rng: np.random.Generator, quick: bool) -> Iterable[Row]:
    """What a single path says: its line through stretches, and its own rate."""
    runs = 200 if quick else 1000
    for memory in (0.0, 0.6, 0.8, 0.95):
        law = Law(0.5, 0.2, 1, 1000, 100, 1, 100, spread=0.0, wander=0.06, memory=memory, path="line")
        found = [slope(law.paths(rng)) for _ in range(runs)]
        kept = np.mean([held(one, 0.2 / 1000) for one in found])
        yield fact(f"coverage, one path, slope, memory {memory}", kept, error=error_of(kept, runs))
    short = Law(0.3, 0.4, 1, 10, 11, 1, 100, spread=0.0, wander=0.0, path="line")
    kept = np.mean([held(horizon_mean(short.paths(rng)), 0.04) for _ in range(runs)])
    yield fact("coverage, one path, its own horizon mean, k = 100", kept, error=error_of(kept, runs))


def directions(rng: np.random.Generator, quick: bool) -> Iterable[Row]:
    """How often a goal is said to have risen or fallen where no share moves."""
    runs = 200 if quick else 600
    for replicates in (1, 8):
        still = flat(Law(0.5, 0, 1, 500, 50, replicates, 60, wander=0.0), start=0.5)
        moved = [direction(still.counts(rng), still.steps) for _ in range(runs)]
        wrong = float(np.mean([bool(one.rose or one.fell) for one in moved]))
        error = error_of(wrong, runs)
        title = f"a goal is said to move, none does, {replicates} replicates"
        yield line(title, wrong, "<= 5% + 2 SE", met=wrong <= 0.05 + 2 * error, error=error)


if __name__ == "__main__":
    run(__doc__, coverage, size, equivalence, one_path, directions, seed=41_421)
