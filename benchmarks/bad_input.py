"""Ten thousand generated bad inputs against every file door: how each ended. Exits with 1 if any ended otherwise.

    python benchmarks/bad_input.py [COUNT] [--cli COUNT]

Good rows, named bad rows and refusals that name the file are the only ends allowed. The generators are those of
tests/test_bad_input.py. With --cli, that many files and lists of flags go through `ethostat prompts show`, `taxonomy`,
`classify`, `measure transcripts:` and `measure --dry-run`; the exit code must be 0, 1, 2 or 3, without a traceback or
an internal error.
"""

import argparse
import contextlib
import importlib.util
import io
import logging
import tempfile
import time
from collections import Counter
from pathlib import Path

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from ethostat.cli import app, frame

ROOT = Path(__file__).parent.parent
NUMBERS = st.one_of(st.integers().map(str), st.floats().map(str), st.sampled_from(["0", "-1", "1e400", "nan", ""]))
FLAGS = st.lists(
    st.tuples(
        st.sampled_from(
            [
                "samples",
                "precision",
                "temperature",
                "top-p",
                "max-tokens",
                "seed",
                "timeout",
                "concurrency",
                "max-cost",
                "estimator",
                "system",
                "classifier",
                "taxonomy",
                "prompts",
            ]
        ),
        st.one_of(NUMBERS, st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=30)),
    ),
    min_size=1,
    max_size=4,
).map(lambda pairs: [part for flag, value in pairs for part in (f"--{flag}", value)])
"""Flags with values of every kind: k = 0, T < 0, nan, nonsense."""


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
        "classify": (tests.files, lambda path: ["classify", path]),
        "measure": (tests.files, lambda path: ["measure", f"transcripts:{path}", "--json", *store]),
    }
    for name, (strategy, arguments) in commands.items():
        each = count // 2 // len(commands)
        run(each, strategy, lambda file, name=name, arguments=arguments: ends_well(
            found, name, arguments(str(tests.written(folder, *file)))
        ))  # fmt: skip
    asked = ["measure", "http://127.0.0.1:9/v1#nobody", "--prompts", "demo", "--dry-run", *store]
    run(count // 2, FLAGS, lambda flags: ends_well(found, "measure --dry-run", [*asked, *flags]))
    return found


def ends_well(found, name, arguments) -> None:
    """Counts how this command ended; fails where it must not end so."""
    code, said = invoke(arguments)
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
    parser.add_argument("--cli", type=int, default=0, help="how many through the command line too")
    arguments = parser.parse_args()
    logging.getLogger("ethostat").setLevel(logging.ERROR)
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        found = through_library(arguments.count, Path(folder))
        if arguments.cli:
            found += through_cli(arguments.cli, Path(folder))
    for (door, outcome), times in sorted(found.items()):
        print(f"{door:<20} {outcome:<16} {times:>8,}")
    files = sum(times for (door, _), times in found.items() if door == "files")
    print(f"{files:,} files in {time.perf_counter() - started:.0f} s; every one ended in rows or a clear error")


if __name__ == "__main__":
    main()
