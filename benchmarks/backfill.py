"""Backfill: ready verdicts of many streams through monitors, in CPU seconds and in wall-clock seconds.

    python benchmarks/backfill.py [--rows 10000000] [--streams 1000] [--workers 2] [--format parquet] [--no-warn]

CPU seconds are of this process and its workers. On a machine with other work the wall clock says more about that.
"""

from __future__ import annotations

import argparse
import os
import resource
import tempfile
import time
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
from pyarrow import parquet

import ethostat as es

NORMAL = np.array((0.7, 0.05, 0.2, 0.03, 0.02))
CHANGED = np.array((0.45, 0.3, 0.2, 0.03, 0.02))
GOALS = np.array(es.FIVE_GOALS.keys)
_PIECE = 500_000


def write_log(folder: Path, rows: int, streams: int, *, kind: str) -> int:
    """Streams of about equal size, 5 % of which change half-way; bytes on disk."""
    rng = np.random.default_rng(1)
    changes = rng.random(streams) < 0.05
    for place, start in enumerate(range(0, rows, _PIECE)):
        n = min(_PIECE, rows - start)
        which = rng.integers(streams, size=n)
        is_late = changes[which] & (start + np.arange(n) > rows / 2)
        laws = np.where(is_late[:, None], CHANGED.cumsum(), NORMAL.cumsum())
        labels = (rng.random(n)[:, None] > laws).sum(axis=1).clip(max=4)
        table = pa.table(
            {
                "id": np.char.mod("r%d", start + np.arange(n)),
                "stream": pa.array(np.char.mod("stream-%d", which)).dictionary_encode(),
                "goal": pa.array(GOALS[labels]).dictionary_encode(),
            }
        )
        if kind == "parquet":
            parquet.write_table(table, folder / f"{place:04d}.parquet", row_group_size=100_000)
        else:
            lines = "".join(
                f'{{"id":"{id}","stream":"{stream}","goal":"{goal}"}}\n'
                for id, stream, goal in zip(*(table[name].to_pylist() for name in table.column_names), strict=True)
            )
            (folder / f"{place:04d}.jsonl").write_text(lines)
    return sum(path.stat().st_size for path in folder.iterdir())


def cpu() -> float:
    """CPU seconds of this process and of its children that ended."""
    return sum(
        usage.ru_utime + usage.ru_stime
        for usage in (resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN))
    )


def main() -> None:
    """Write, replay, tell."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--streams", type=int, default=1000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--format", choices=("parquet", "jsonl"), default="parquet")
    parser.add_argument("--no-warn", action="store_true", help="pages alone, as `ethostat backfill --no-warn`")
    args = parser.parse_args()
    template = es.Monitor(es.Baseline.of_first(500), name="m", policy=es.Policy(warn=not args.no_warn))
    opener = es.Opener(partial(es.open_classifier, "goals-in-text"))
    crew = es.Alone() if args.workers == 1 else es.Processes(args.workers)
    with tempfile.TemporaryDirectory() as path:
        size = write_log(Path(path), args.rows, args.streams, kind=args.format)
        spent, began = cpu(), time.perf_counter()
        found = es.backfill(
            [path], template, key=("stream",), classifier=opener, rules=es.Spread(crew, fragment_bytes=2**22)
        )
        spent, wall = cpu() - spent, time.perf_counter() - began
    pages = sum(one.tier == "page" and one.kind == "change" for one in found.alerts)
    print(f"{found.rows:,} verdicts ({args.format}, {size / 2**20:.0f} MB), {len(found.monitors):,} streams, ", end="")
    print(f"{len(found.alerts):,} alerts, {pages} of them pages of a change")
    print(f"{spent:.1f} CPU s, {1e6 * spent / found.rows:.2f} us a verdict; {wall:.1f} s of wall clock")
    print(f"with {args.workers} workers; load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")


if __name__ == "__main__":
    main()
