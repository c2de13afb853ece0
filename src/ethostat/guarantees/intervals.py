"""Intervals and estimates of S: coverage, error against the Cramer-Rao bound, stopping at a precision."""

from __future__ import annotations

import numpy as np

from ethostat.guarantees.check import Bounds, Check, Checks, Floats, Generator, holds, ratio_of, share_of
from ethostat.guarantees.populations import PANELS, Draw, profile_of
from ethostat.maths.allocation import next_round, time_uniform_within
from ethostat.maths.entropy import entropy_of, fixed_radius, likelihood_interval, nsb, plug_in, varentropy
from ethostat.maths.estimate import Estimate
from ethostat.maths.mixture import fit_mixture

FAMILY = "S and its interval"
POINT_SHAPES = {"linear": (4, 3, 2, 1), "steep": (0.80, 0.15, 0.04, 0.01), "half": (0.6, 0.2, 0.1, 0.1)}
SHAPES = {
    "falling": (0.45, 0.30, 0.15, 0.10),
    "tail": (0.90, 0.05, 0.03, 0.02),
    "two-and-two": (0.4, 0.4, 0.1, 0.1),
    "three": (0.5, 0.3, 0.2, 0),
    "pair": (0.8, 0.2, 0, 0),
    "K=3": (0.75, 0.25),
    "K=8": (0.25, 0.20, 0.20, 0.12, 0.10, 0.08, 0.05),
}
GRID = np.round(np.geomspace(0.035, 1.57, 20), 3)
LEAST_COVERAGE = {50: 0.89, 100: 0.92, 200: 0.92, 1000: 0.92}


def distinct(samples: np.ndarray) -> tuple[np.ndarray, Floats]:
    """Distinct rows and their relative frequencies."""
    rows, times = np.unique(samples, axis=0, return_counts=True)
    return rows, times / len(samples)


def kept(p: Floats, truth: float, size: int, runs: int, rng: Generator) -> float:
    """Share of simulated profiles of `size` responses whose 95 % interval holds the truth."""
    counts, weight = distinct(rng.multinomial(size, p, runs))
    ends = likelihood_interval(counts, fixed_radius(counts))
    return float(weight @ ((ends.low <= truth + 1e-9) & (truth - 1e-9 <= ends.high)))


def kept_everywhere(size: int, runs: int, rng: Generator) -> list[tuple[float, str, float, Floats]]:
    """(share kept, shape, S, profile) of every shape and S there is, from the least share to the largest."""
    found = []
    for name, shape in SHAPES.items():
        for truth in GRID:
            p = profile_of(truth, shape)
            if p is not None:
                found.append((kept(p, truth, size, runs, rng), name, float(truth), p))
    return sorted(found, key=lambda part: part[0])


def panel_errors(draw: Draw, runs: int, rng: Generator) -> tuple[Floats, Floats]:
    """Errors of mean within-prompt S on panels of 100 x 20, (runs,), and the Cramer-Rao variance of each."""
    errors, bounds = np.empty(runs), np.empty(runs)
    for turn in range(runs):
        p = draw(100, rng)
        counts = rng.multinomial(20, p)
        errors[turn] = fit_mixture(counts).expected_entropy(counts).mean() - entropy_of(p).mean()
        bounds[turn] = varentropy(p).mean() / 2000
    return errors, bounds


def until_precise(draw: Draw, half_width: float, rng: Generator) -> tuple[int, bool]:
    """Responses asked for, and whether the interval at the stop holds the mean S of these prompts."""
    p = draw(100, rng)
    counts = np.zeros(p.shape, dtype=np.int64)
    while (more := next_round(counts, precision=half_width)).any():
        counts += rng.multinomial(more, p)
    found = time_uniform_within(counts, precision=half_width)
    return found.n, holds(found, float(entropy_of(p).mean()))


def coverage(rng: Generator, full: bool) -> Checks:
    """The 95 % interval of S of one profile: on average, and where it is at its worst."""
    few, many = (2_000, 20_000) if full else (200, 4_000)
    for size in LEAST_COVERAGE if full else (50, 200):
        cells = kept_everywhere(size, few, rng)
        hits = sum(part[0] for part in cells) * few
        mean = share_of(hits, few * len(cells), of="profiles whose interval holds S")
        most = 0.98 if size < 100 else 0.97
        yield Check(FAMILY, f"interval of S, {size} responses, {len(cells)} profiles", Bounds(0.95, most, 0.01), mean)
        again = [(kept(p, truth, size, many, rng), name, truth) for _, name, truth, p in cells[:3]]
        least, name, truth = min(again)
        worst = share_of(least * many, many, of="profiles whose interval holds S")
        bounds = Bounds(least=LEAST_COVERAGE[size], slack=0.01)
        yield Check(FAMILY, f"the same, the worst of them ({name}, S = {truth:g})", bounds, worst)


def errors(rng: Generator, full: bool) -> Checks:
    """Error of S against the smallest that is possible, and the paper's plug-in beside it."""
    runs = 40_000 if full else 12_000
    for size in (20, 50, 100, 200) if full else (20, 100):
        found = []
        for truth in (0.12, 0.70, 1.30):
            for shape in POINT_SHAPES.values():
                p = profile_of(truth, shape)
                if p is not None:
                    found.append((_point_errors(p, truth, size, runs // 6, rng)[0].value, p, truth))
        # The worst is simulated again, so that it is not the largest of many noisy figures.
        _, p, truth = max(found, key=lambda one: one[0])
        ours, plug = _point_errors(p, truth, size, runs, rng)
        name = f"error of S, {size} responses / the least possible, the worst of {len(found)}"
        yield Check(FAMILY, name, Bounds(most=1.05, slack=0.03), ours, {"plug-in S": plug})
    for panel in ("tuned", "tuned-2"):
        squares, bounds = panel_errors(PANELS[panel], 2000 if full else 200, rng)
        ratio = ratio_of(squares**2, bounds, of="panels of 100 x 20", root=True)
        name = f"error of mean within-prompt S / the least possible, panel {panel}"
        yield Check(FAMILY, name, Bounds(most=1.15, slack=0.05 if full else 0.15), ratio)


def _point_errors(p: Floats, truth: float, size: int, runs: int, rng: Generator) -> tuple[Estimate, ...]:
    samples = rng.multinomial(size, p, runs)
    rows, place = np.unique(samples, axis=0, return_inverse=True)
    bound = np.full(runs, varentropy(p) / size)
    return tuple(
        ratio_of((np.asarray(one(rows)) - truth)[place.ravel()] ** 2, bound, of="profiles", root=True)
        for one in (nsb, plug_in)
    )


def stopping(rng: Generator, full: bool) -> Checks:
    """`--precision 0.05`: whether the interval at the stop holds, however often it was looked at."""
    runs = 1000 if full else 60
    for panel in ("tuned", "base"):
        hits = sum(until_precise(PANELS[panel], 0.05, rng)[1] for _ in range(runs))
        found = share_of(hits, runs, of="panels whose interval at the stop holds S")
        bounds = Bounds(least=0.95, slack=0.01 if full else 0.06)
        yield Check(FAMILY, f"interval where --precision 0.05 stops, panel {panel}", bounds, found)
