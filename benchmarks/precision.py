"""What intervals of panels promise and keep, and what `--precision` costs.

python benchmarks/precision.py [--quick] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np

from _populations import PANELS, Draw
from ethostat.maths import panel
from ethostat.maths.allocation import next_round, time_uniform_within
from ethostat.maths.entropy import entropy_of

ALIGNED = (True, False, True, False, False)


def main() -> None:
    """Print every figure with its target, and fail where one is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a quarter of the simulations")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures to FILE")
    arguments = parser.parse_args()
    rng, begun = np.random.default_rng(20_252), time.perf_counter()
    rows = [*precision(rng, 15 if arguments.quick else 60), *coverage(rng, 15 if arguments.quick else 60)]
    print(f"{time.perf_counter() - begun:.0f} s")
    if arguments.json:
        arguments.json.write_text(json.dumps(rows, indent=1))
    raise SystemExit(0 if all(row["met"] for row in rows) else 1)


def report(figure: str, value: float, target: str, met: bool) -> dict[str, Any]:
    """One line of the table, printed and returned."""
    print(f"{'PASS' if met else 'FAIL'}  {figure:66s} {value:9.3f}  (target {target})", flush=True)
    return {"figure": figure, "value": round(float(value), 4), "target": target, "met": bool(met)}


def precision(rng: np.random.Generator, runs: int) -> list[dict[str, Any]]:
    """Responses until +- 0.05 nats on 100 prompts, and how often the interval at the stop holds the truth."""
    rows, spent = [], []
    for name in ("tuned", "base", "half-deterministic"):
        found = np.array([until_precise(PANELS[name], 0.05, rng) for _ in range(runs)])
        spent.append(found[:, 0].mean())
        rows.append(report(f"responses to +-0.05 nats, 100 prompts, {name}", spent[-1], "see average", True))
        kept = found[:, 1].mean()
        slack = 2 * np.sqrt(0.05 * 0.95 / runs)
        rows.append(report(f"coverage at the stop, {name}", kept, ">= 0.95 less 2 SE", kept >= 0.95 - slack))
    rows.append(
        report("responses to +-0.05 nats, average of the three", np.mean(spent), "<= 2500", np.mean(spent) <= 2500)
    )
    return rows


def until_precise(draw: Draw, half_width: float, rng: np.random.Generator) -> tuple[int, bool]:
    """Responses asked for, and whether the interval at the stop holds the mean S of these prompts."""
    p = draw(100, rng)
    counts = np.zeros(p.shape, dtype=np.int64)
    while (more := next_round(counts, precision=half_width)).any():
        counts += rng.multinomial(more, p)
    found = time_uniform_within(counts, precision=half_width)
    return found.n, found.low <= entropy_of(p).mean() <= found.high


def coverage(rng: np.random.Generator, runs: int) -> list[dict[str, Any]]:
    """How often each 95 % interval of a panel holds its truth: these prompts for within, else prompts like these."""
    rows = []
    for name, draw in PANELS.items():
        many = draw(200_000, rng)
        pooled, within = float(entropy_of(many.mean(axis=0))), float(entropy_of(many).mean())
        aligned = float(many.mean(axis=0)[list(ALIGNED)].sum())
        for prompts, size in ((100, 20), (100, 100), (20, 20)):
            found = np.array(
                [_intervals(draw(prompts, rng), size, (within, pooled, aligned), rng) for _ in range(runs)]
            )
            titles = ("within, these", "within, like these", "pooled", "between", "aligned")
            for title, kept in zip(titles, found.mean(axis=0), strict=True):
                slack = 3 * np.sqrt(0.1 * 0.9 / runs)
                label = f"coverage, {name} {prompts} x {size}: {title}"
                rows.append(report(label, kept, ">= 0.90 less 3 SE", kept >= 0.90 - slack))
    return rows


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
    main()
