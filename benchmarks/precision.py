"""What intervals of panels promise and keep, and what `--precision` costs.

python benchmarks/precision.py [--quick] [--json FILE]
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from _table import Row, fact, line, run
from ethostat.guarantees.intervals import until_precise
from ethostat.guarantees.populations import PANELS, Draw
from ethostat.maths import panel
from ethostat.maths.entropy import entropy_of

ALIGNED = (True, False, True, False, False)
KINDS = ("tuned", "base", "half-deterministic", "homogeneous")
TITLES = ("within, these", "within, like these", "pooled", "between", "aligned share")


def error_of(share: float, runs: int) -> float:
    """Standard error of a coverage of 95 % from so many panels, or of the share found where that is larger."""
    return float(np.sqrt(max(share * (1 - share), 0.95 * 0.05) / runs))


def precision(rng: np.random.Generator, quick: bool) -> Iterable[Row]:
    """Responses until +- 0.05 nats on 100 prompts, and how often the interval at the stop holds the truth.

    Coverage is to be 95 % or more; a figure fails where it lies more than two standard errors below.
    """
    runs, spent = (40 if quick else 300), []
    for name in ("tuned", "base", "half-deterministic"):
        found = np.array([until_precise(PANELS[name], 0.05, rng) for _ in range(runs)])
        spent.append(found[:, 0].mean())
        yield fact(f"responses to +-0.05 nats, {name}", spent[-1], error=float(found[:, 0].std() / np.sqrt(runs)))
        kept = float(found[:, 1].mean())
        error = error_of(kept, runs)
        yield line(f"coverage at the stop, {name}", kept, ">= 0.95 - 2 SE", met=kept >= 0.95 - 2 * error, error=error)
    mean = float(np.mean(spent))
    yield line("responses to +-0.05 nats, average of the three", mean, "<= 2500", met=mean <= 2500)


def coverage(rng: np.random.Generator, quick: bool) -> Iterable[Row]:
    """How often each 95 % interval of a panel holds its truth: these prompts for within, else prompts like these.

    A cell fails where it lies more than three standard errors below 93 %: sixty cells are looked at.
    """
    runs = 40 if quick else 300
    for name in KINDS:
        for prompts, size in ((100, 20), (100, 100), (30, 10)):
            for title, kept in zip(TITLES, _kept(PANELS[name], prompts, size, runs, rng), strict=True):
                error = error_of(kept, runs)
                label = f"coverage, {name} {prompts} x {size}: {title}"
                yield line(label, kept, ">= 0.93 - 3 SE", met=kept >= 0.93 - 3 * error, error=error)


def too_little(rng: np.random.Generator, quick: bool) -> Iterable[Row]:
    """The same for panels smaller than advised: 10 prompts, and 3 responses a prompt."""
    runs = 40 if quick else 300
    for name in KINDS:
        for prompts, size in ((10, 20), (100, 3)):
            for title, kept in zip(TITLES, _kept(PANELS[name], prompts, size, runs, rng), strict=True):
                yield fact(f"coverage, {name} {prompts} x {size}: {title}", kept, error=error_of(kept, runs))


def _kept(draw: Draw, prompts: int, size: int, runs: int, rng: np.random.Generator) -> list[float]:
    """Share of so many panels whose intervals, in the order of TITLES, hold the truth."""
    many = draw(200_000, rng)
    pooled, within = float(entropy_of(many.mean(axis=0))), float(entropy_of(many).mean())
    truths = within, pooled, float(many.mean(axis=0)[list(ALIGNED)].sum())
    found = np.array([_intervals(draw(prompts, rng), size, truths, rng) for _ in range(runs)])
    return [float(share) for share in found.mean(axis=0)]


def _intervals(
    p: np.ndarray, size: int, truths: tuple[float, float, float], rng: np.random.Generator
) -> tuple[bool, ...]:
    counts = rng.multinomial(size, p)
    within, pooled, aligned = truths
    asked = (
        (panel.within_entropy(counts), float(entropy_of(p).mean())),
        (panel.within_entropy_population(counts), within),
        (panel.pooled_entropy(counts), pooled),
        (panel.between_prompts(counts), pooled - within),
        (panel.aligned_share(counts, ALIGNED), aligned),
    )
    return tuple(found.low <= truth <= found.high for found, truth in asked)


if __name__ == "__main__":
    run(__doc__, precision, coverage, too_little, seed=31_338)
