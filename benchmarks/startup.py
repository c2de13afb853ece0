"""How long a user waits before anything happens: `import ethostat` and `ethostat --help`.

    python benchmarks/startup.py [--times 20]

Each is started anew that many times; the figure is the median, in seconds, of the whole process. Targets: 0.3 s and
0.5 s.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

COMMANDS = {
    "import ethostat": ([sys.executable, "-c", "import ethostat"], 0.3),
    "ethostat --help": ([str(Path(sys.executable).with_name("ethostat")), "--help"], 0.5),
}


def main() -> None:
    """Measure and print; exit 1 above a target."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, default=20)
    times = parser.parse_args().times
    missed = False
    for name, (command, target) in COMMANDS.items():
        seconds = statistics.median(once(command) for _ in range(times))
        missed |= seconds > target
        print(f"{name}: {seconds:.3f} s (target {target} s) {'FAIL' if seconds > target else 'PASS'}")
    sys.exit(missed)


def once(command: Sequence[str]) -> float:
    """Seconds of one process from start to end."""
    began = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
