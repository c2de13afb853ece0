"""Many files by one process, by processes and on Ray: equal results, a killed node, CPU, memory, pace by workers.

    python benchmarks/scale.py [--rows 200000] [--classified 3000] [--workers 1 2] [--skip-ray]

The rows bring their verdicts, save `--classified` of them in a log of their own, which the built-in classifier judges.
Ray is two node processes of this machine with a core each; one is killed in the middle of the run that says so. CPU
seconds are of all processes of the tree that ended, Ray's own daemons included; the wall clock is worth what the load
average beside it says.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import psutil

import ethostat as es

WORDS = (
    "the",
    "model",
    "said",
    "that",
    "it",
    "would",
    "help",
    "with",
    "this",
    "and",
    "then",
    "did",
    "so",
    "at",
    "length",
)
SIZE = 2**20


def write_log(path: Path, count: int, *, verdicts: bool) -> None:
    """Rows of 4 models over 10 days and 50 prompts."""
    rng = random.Random(1)  # noqa: S311 - not for secrets
    with path.open("w") as file:
        for place in range(count):
            row = {
                "id": f"r{place}",
                "prompt": f"Question {rng.randrange(50)}: what about it?",
                "response": " ".join(rng.choices(WORDS, k=rng.randrange(20, 120))),
                "model": f"model-{rng.randrange(4)}",
                "time": f"2026-03-{1 + 10 * place // count:02d}T12:00:00Z",
            }
            if verdicts:
                row["goal"] = rng.choices(es.FIVE_GOALS.keys, (0.6, 0.1, 0.2, 0.05, 0.05))[0]
            file.write(json.dumps(row) + "\n")


class Watched:
    """The largest memory of any worker below this process, MB, looked at five times a second."""

    def __init__(self) -> None:
        self.most = 0.0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def _look(self) -> None:
        me = psutil.Process()
        while not self._over.wait(0.2):
            for one in me.children(recursive=True):
                try:
                    is_worker = "multiprocessing" in " ".join(one.cmdline()) or one.name().startswith("ray::")
                    self.most = max(self.most, one.memory_info().rss / 2**20 if is_worker else 0.0)
                except psutil.Error:
                    continue

    def __enter__(self) -> Watched:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()


@contextmanager
def two_nodes() -> Iterator[object]:
    """A Ray cluster of two node processes; gives what kills the second."""
    from ethostat.scaling.cluster import imported_ray

    ray = imported_ray()
    from ray.cluster_utils import Cluster

    node = {"num_cpus": 1, "object_store_memory": 100 * 2**20, "include_dashboard": False}
    cluster = Cluster(initialize_head=True, head_node_args=node)
    second = cluster.add_node(num_cpus=1, object_store_memory=100 * 2**20)
    ray.init(address=cluster.address, log_to_driver=False, logging_level="ERROR")
    try:
        yield lambda: cluster.remove_node(second, allow_graceful=False)
    finally:
        ray.shutdown()
        cluster.shutdown()


def cpu() -> float:
    """CPU seconds of this process and of all below it, alive or ended."""
    spent = 0.0
    for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN):
        usage = resource.getrusage(who)
        spent += usage.ru_utime + usage.ru_stime
    for one in psutil.Process().children(recursive=True):
        try:
            times = one.cpu_times()
            spent += times.user + times.system
        except psutil.Error:
            continue
    return spent


def measured(name: str, path: Path, crew: es.Crew, opener: es.Opener, *, on_progress=None) -> list[dict]:
    """The groups by model and day, and a line about what they took."""
    before, began = cpu(), time.perf_counter()
    with Watched() as memory:
        rules = es.Spread(crew, fragment_bytes=SIZE, **({} if on_progress is None else {"on_progress": on_progress}))
        found = es.measure_groups([str(path)], by=("model", "day"), classifier=opener, rules=rules)
    spent, wall = cpu() - before, time.perf_counter() - began
    print(
        f"{name:34} {found.n:>9,} rows {spent:8.1f} CPU s {1e6 * spent / found.n:9.1f} us a row {wall:8.1f} s wall, "
        f"load {os.getloadavg()[0]:4.1f}, largest worker {memory.most:5.0f} MB",
        flush=True,
    )
    return [one.to_dict() for one in found.groups]


def main() -> None:
    """Write the logs, measure each way, compare."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--classified", type=int, default=3_000)
    parser.add_argument("--workers", type=int, nargs="*", default=[1, 2])
    parser.add_argument("--skip-ray", action="store_true")
    args = parser.parse_args()
    opener = es.Opener(partial(es.open_classifier, "builtin", threads=1))
    with tempfile.TemporaryDirectory() as folder:
        ready, raw = Path(folder) / "ready.jsonl", Path(folder) / "raw.jsonl"
        write_log(ready, args.rows, verdicts=True)
        logs = {"ready": ready}
        if args.classified:
            write_log(raw, args.classified, verdicts=False)
            logs["classified"] = raw
        alone = {name: measured(f"{name}, this process", path, es.Alone(), opener) for name, path in logs.items()}
        for workers in args.workers:
            for name, path in logs.items():
                same = measured(f"{name}, {workers} processes", path, es.Processes(workers), opener) == alone[name]
                print(f"    equal to one process: {same}", flush=True)
        if not args.skip_ray:
            with two_nodes() as kill:
                on_ray(logs, alone, opener, kill)


def on_ray(logs: dict[str, Path], alone: dict[str, list[dict]], opener: es.Opener, kill) -> None:
    """Each log on two nodes, and the ready one again while one of them is killed."""
    with es.RayCrew() as crew:
        for name, path in logs.items():
            same = measured(f"{name}, Ray on 2 nodes", path, crew, opener) == alone[name]
            print(f"    equal to one process: {same}", flush=True)

        def killing(stand: es.Stand) -> None:
            if stand.done == max(2, stand.fragments // 3):
                kill()
                print(f"    a node is killed at {stand}", flush=True)

        name, path = next(iter(logs.items()))
        same = measured(f"{name}, Ray, a node killed", path, crew, opener, on_progress=killing) == alone[name]
        print(f"    equal to one process: {same}", flush=True)


if __name__ == "__main__":
    main()
