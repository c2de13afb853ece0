"""How good the entropy estimates are: error against the Cramer-Rao bound, coverage of intervals, responses saved.

    python benchmarks/estimators.py [--quick] [--json FILE]

What was tuned, and on which other distributions, stands in docs/statistics.md.
"""

from __future__ import annotations

import time
from collections.abc import Iterable

import numpy as np

from _table import Row, fact, line, run
from ethostat.guarantees.intervals import LEAST_COVERAGE, POINT_SHAPES, distinct, kept, kept_everywhere, panel_errors
from ethostat.guarantees.populations import PANELS, profile_of
from ethostat.maths.entropy import entropy_of, fixed_radius, likelihood_interval, nsb, plug_in, varentropy
from ethostat.maths.mixture import fit_mixture

SIZES = {
    "tuned": (16, 20, 24, 28),
    "tuned-2": (16, 20, 24, 28),
    "base": (12, 16, 20, 28),
    "half-deterministic": (28, 36, 44, 52),
}


def point_error(rng: np.random.Generator, quick: bool) -> Iterable[Row]:
    """RMSE of NSB over the Cramer-Rao standard deviation, the worst of three shapes and three S a size."""
    for size in (20, 50, 100, 200):
        ratios = []
        for truth in (0.12, 0.70, 1.30):
            for shape, weights in POINT_SHAPES.items():
                p = profile_of(truth, weights)
                if p is not None:
                    counts, weight = distinct(rng.multinomial(size, p, 4_000 if quick else 20_000))
                    rmse = np.sqrt(weight @ (nsb(counts) - truth) ** 2)
                    ratios.append((rmse / np.sqrt(varentropy(p) / size), truth, shape))
        worst, truth, shape = max(ratios)
        bound = 1.08 if quick else 1.05
        yield line(f"NSB RMSE / CR, n={size}, worst (S={truth}, {shape})", worst, f"<= {bound}", met=worst <= bound)


def coverage(rng: np.random.Generator, quick: bool) -> Iterable[Row]:
    """Mean and least coverage of the 95 % interval over shapes and S.

    The three profiles that come out lowest are simulated again with fresh draws, so that the least is not the
    lowest of many noisy figures.
    """
    few, many = (400, 4_000) if quick else (2_000, 20_000)
    for size, least_allowed in LEAST_COVERAGE.items():
        found = kept_everywhere(size, few, rng)
        mean = float(np.mean([part[0] for part in found]))
        least, name, truth = min((kept(p, truth, size, many, rng), name, truth) for _, name, truth, p in found[:3])
        high, slack = (0.98 if size < 100 else 0.97), (0.01 if quick else 0.0)
        label = f"interval coverage, n={size}, mean of {len(found)}"
        yield line(label, mean, f"0.95-{high}, to the percent", met=0.95 <= round(mean, 2) <= high)
        label = f"interval coverage, n={size}, least ({name}, S={truth})"
        yield line(label, least, f">= {least_allowed}", met=least >= least_allowed - slack)


def panel_error(rng: np.random.Generator, quick: bool) -> Iterable[Row]:
    """RMSE of the mixture over the Cramer-Rao standard deviation, 100 prompts x 20 responses."""
    for name, draw in PANELS.items():
        runs = 60 if quick else 800 if name.startswith("tuned") else 300
        errors, bounds = panel_errors(draw, runs, rng)
        ratio = float(np.sqrt(np.mean(errors**2) / bounds.mean()))
        error = ratio * float(np.std(errors**2) / np.mean(errors**2)) / (2 * np.sqrt(runs))
        label = f"panel RMSE / CR, 100 x 20, {name} ({runs} panels)"
        if name.startswith("tuned"):
            slack = 2 * error if quick else 0.0
            yield line(label, ratio, "<= 1.15", met=ratio <= 1.15 + slack, error=error)
        else:
            yield fact(label, ratio, error=error)


def saving(rng: np.random.Generator, quick: bool) -> Iterable[Row]:
    """RMSE of the mixture over that of plug-in S with 100 responses for each of 100 prompts, on the same panels.

    With 28 responses a prompt (3.57 times fewer) the upper end of a one-sided 95 % bootstrap interval is to be at
    most 1. The number that gives the same RMSE is interpolated.
    """
    for name, sizes in SIZES.items():
        runs = 60 if quick else 500 if name.startswith("tuned") else 150
        squares = np.array([_squared_errors(PANELS[name](100, rng), sizes, rng) for _ in range(runs)])
        ratios = _relative_error(squares)
        needed = float(np.interp(-1, -np.minimum.accumulate(ratios), sizes))
        yield fact(f"responses saved, {name}: k={needed:.0f} for plug-in k=100 ({runs} panels)", 100 / needed)
        if name.startswith("tuned"):
            draws = [_relative_error(squares[rng.integers(0, runs, runs)])[-1] for _ in range(500)]
            high, bound = float(np.quantile(draws, 0.95)), 1.25 if quick else 1.0
            yield fact(f"RMSE of k=28 over plug-in k=100, {name}", ratios[-1], error=float(np.std(draws)))
            yield line("the same, upper 95 % bound", high, f"<= {bound}", met=high <= bound)


def _relative_error(squares: np.ndarray) -> np.ndarray:
    """RMSE of each size over that of the plug-in, which stands first."""
    means = squares.mean(axis=0)
    return np.asarray(np.sqrt(means[1:] / means[0]))


def _squared_errors(p: np.ndarray, sizes: tuple[int, ...], rng: np.random.Generator) -> list[float]:
    """Of the plug-in with 100 responses a prompt, then of the mixture with each of these sizes."""
    truth = entropy_of(p).mean()
    errors = [plug_in(rng.multinomial(100, p)).mean() - truth]
    for size in sizes:
        counts = rng.multinomial(size, p)
        errors.append(fit_mixture(counts).expected_entropy(counts).mean() - truth)
    return [float(error**2) for error in errors]


def speed(rng: np.random.Generator, quick: bool) -> Iterable[Row]:
    """Milliseconds for the intervals of 100 prompts, the best of three."""
    del quick
    counts, spent = rng.multinomial(100, rng.dirichlet(np.full(5, 0.3), 100)), []
    for _ in range(3):
        begun = time.perf_counter()
        likelihood_interval(counts, fixed_radius(counts))
        spent.append(1000 * (time.perf_counter() - begun))
    yield line("likelihood intervals of 100 prompts, ms", min(spent), "< 100", met=min(spent) < 100)


if __name__ == "__main__":
    run(__doc__, point_error, coverage, panel_error, saving, speed, seed=31_337)
