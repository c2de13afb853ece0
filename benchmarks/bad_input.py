"""Ten thousand generated bad inputs against every file door: how each ended. Exits with 1 if any ended otherwise.

    python benchmarks/bad_input.py [COUNT] [--cli]

Good rows, named bad rows and refusals that name the file are the only ends allowed. The generators are those of
tests/test_bad_input.py. With --cli, the files also go through `ethostat classify` and `ethostat taxonomy`: its
exit code must be 0, 1, 2 or 3 and its stderr free of tracebacks.
"""

import argparse
import importlib.util
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from hypothesis import HealthCheck, Phase, given, settings

ROOT = Path(__file__).parent.parent


def load_generators():
    """The test module, whose strategies and checks are used here."""
    spec = importlib.util.spec_from_file_location("bad_input_tests", ROOT / "tests" / "test_bad_input.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def run(count: int, strategy, check) -> None:
    """Give `count` generated files to `check`."""
    settings(
        max_examples=count,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )(given(strategy)(check))()


def through_library(count: int, folder: Path) -> Counter[tuple[str, str]]:
    """Outcomes by door."""
    tests, found = load_generators(), Counter()

    def check_rows(file):
        path = tests.written(folder, *file)
        for door in tests.DOORS:
            for outcome, times in tests.outcomes(door, path).items():
                found[door.__name__, outcome] += times
        found["files", file[0]] += 1

    def check_taxonomy(file):
        path = tests.written(folder, *file)
        for outcome, times in tests.outcomes(lambda path: [tests.load_taxonomy(path)], path).items():
            found["load_taxonomy", outcome] += times
        found["files", f"taxonomy {file[0]}"] += 1

    run(count * 4 // 5, tests.files, check_rows)
    run(count - count * 4 // 5, tests.taxonomy_files, check_taxonomy)
    return found


def through_cli(count: int, folder: Path) -> Counter[tuple[str, str]]:
    """Exit codes of the command line; a traceback or another code is an error."""
    tests, found = load_generators(), Counter()

    def check(command):
        def check_file(file):
            path = tests.written(folder, *file)
            ended = subprocess.run(  # noqa: S603
                [sys.executable, "-m", "ethostat.cli", *command, str(path)],
                check=False,
                capture_output=True,
                timeout=120,
            )
            said = ended.stderr.decode(errors="replace")
            assert ended.returncode in (0, 1, 2, 3), said
            assert "Traceback" not in said, said
            found["ethostat " + " ".join(command), f"exit {ended.returncode}"] += 1

        return check_file

    run(count // 2, tests.files, check(["classify"]))
    run(count // 2, tests.taxonomy_files, check(["taxonomy"]))
    return found


def main() -> None:
    """Run, and print a line an outcome."""
    parser = argparse.ArgumentParser()
    parser.add_argument("count", type=int, nargs="?", default=10_000)
    parser.add_argument("--cli", action="store_true", help="through the command line too (one process a file)")
    arguments = parser.parse_args()
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        found = through_library(arguments.count, Path(folder))
        if arguments.cli:
            found += through_cli(min(arguments.count, 200), Path(folder))
    for (door, outcome), times in sorted(found.items()):
        print(f"{door:<20} {outcome:<16} {times:>8,}")
    files = sum(times for (door, _), times in found.items() if door == "files")
    print(f"{files:,} files in {time.perf_counter() - started:.0f} s; every one ended in rows or a clear error")


if __name__ == "__main__":
    main()
