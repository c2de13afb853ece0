"""Ten thousand generated bad inputs against every file door: how each ended. Exits with 1 if any ended otherwise.

    python benchmarks/bad_input.py [COUNT] [--cli]

Good rows, named bad rows and refusals that name the file are the only ends allowed. The generators are those of
tests/test_bad_input.py. With --cli, as many files go through `ethostat prompts show`, `taxonomy` and
`measure transcripts:`; the exit code must be 0, 1, 2 or 3, without a traceback or an internal error.
"""

import argparse
import contextlib
import importlib.util
import io
import logging
import tempfile
import time
from collections import Counter
from functools import partial
from pathlib import Path

from hypothesis import HealthCheck, Phase, given, settings

from ethostat.cli import app, frame

ROOT = Path(__file__).parent.parent


def load_generators():
    """The test module, whose strategies and checks are used here."""
    spec = importlib.util.spec_from_file_location("bad_input_tests", ROOT / "tests" / "test_bad_input.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def run(count: int, strategy, check) -> None:
    """Give `count` generated files to `check`."""

    def once(file):
        check(file)

    limits = {"max_examples": count, "database": None, "deadline": None, "phases": [Phase.generate]}
    settings(**limits, suppress_health_check=list(HealthCheck))(given(strategy)(once))()


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
    """Exit codes of the command line: 0, 1, 2 or 3, without a traceback and without an internal error."""
    tests, found = load_generators(), Counter()
    store = ["--db", f"sqlite:///{folder / 'runs.db'}"]
    commands = {
        "prompts show": (tests.files, lambda path: ["prompts", "show", path]),
        "taxonomy": (tests.taxonomy_files, lambda path: ["taxonomy", path]),
        "measure": (tests.files, lambda path: ["measure", f"transcripts:{path}", "--json", *store]),
    }
    for name, (strategy, arguments) in commands.items():
        run(count // len(commands), strategy, partial(ends_well, tests.written, folder, name, arguments, found))
    return found


def ends_well(written, folder, name, arguments, found, file) -> None:
    """Counts how this command ended with this file; fails where it must not end so."""
    code, said = invoke(arguments(str(written(folder, *file))))
    assert code in (0, 1, 2, 3), (code, said)
    assert "Traceback" not in said, said
    assert "internal error" not in said, said
    found[f"ethostat {name}", f"exit {code}"] += 1


def invoke(arguments: list[str]) -> tuple[int, str]:
    """Exit code and standard error of one command, in this process."""
    said = io.StringIO()
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(said):
        return frame.run(app, arguments), said.getvalue()


def main() -> None:
    """Run, and print a line an outcome."""
    parser = argparse.ArgumentParser()
    parser.add_argument("count", type=int, nargs="?", default=10_000)
    parser.add_argument("--cli", action="store_true", help="through the command line too")
    arguments = parser.parse_args()
    logging.getLogger("ethostat").setLevel(logging.ERROR)
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        found = through_library(arguments.count, Path(folder))
        if arguments.cli:
            found += through_cli(arguments.count, Path(folder))
    for (door, outcome), times in sorted(found.items()):
        print(f"{door:<20} {outcome:<16} {times:>8,}")
    files = sum(times for (door, _), times in found.items() if door == "files")
    print(f"{files:,} files in {time.perf_counter() - started:.0f} s; every one ended in rows or a clear error")


if __name__ == "__main__":
    main()
