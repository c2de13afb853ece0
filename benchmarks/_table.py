"""The table that a benchmark prints: every figure with its target, and whether it was met."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np

Row = dict[str, object]
Section = Callable[[np.random.Generator, bool], Iterable[Row]]


def run(description: str | None, *sections: Section, seed: int) -> None:
    """Run the sections in turn, each with (rng, quick), and exit with 1 where a target is missed."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer simulations, targets less their sampling error")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures to FILE")
    arguments = parser.parse_args()
    begun, rows = time.perf_counter(), []
    for place, section in enumerate(sections):
        rows += section(np.random.default_rng([seed, place]), arguments.quick)
        print(f"      after {time.perf_counter() - begun:.0f} s", flush=True)
    if arguments.json:
        arguments.json.write_text(json.dumps(rows, indent=1))
    raise SystemExit(0 if all(row["met"] for row in rows) else 1)


def line(figure: str, value: float, target: str, *, met: bool, error: float | None = None) -> Row:
    """One line of the table, printed and returned; `error` is the figure's standard error."""
    spread = "" if error is None else f" +- {error:.3f}"
    print(f"{'PASS' if met else 'FAIL'}  {figure:64s} {value:9.3f}{spread:10s} (target {target})", flush=True)
    return {"figure": figure, "value": round(float(value), 4), "error": error, "target": target, "met": bool(met)}


def fact(figure: str, value: float, *, error: float | None = None) -> Row:
    """A figure that has no target."""
    spread = "" if error is None else f" +- {error:.3f}"
    print(f"      {figure:64s} {value:9.3f}{spread}", flush=True)
    return {"figure": figure, "value": round(float(value), 4), "error": error, "target": None, "met": True}
