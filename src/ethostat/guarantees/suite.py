"""Selftest: every guarantee that the documentation prints, simulated again and judged."""

from __future__ import annotations

import platform
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Any

import numpy as np

from ethostat.errors import InvalidInput
from ethostat.guarantees import alarms, comparison, correction, intervals, rates
from ethostat.guarantees.check import BROKEN, CANNOT_TELL, HOLDS, LEVEL, VERDICTS, Check, Family

SEED = 20_261_126
PARTS: dict[str, tuple[Family, ...]] = {
    "intervals": (intervals.coverage, intervals.errors, intervals.stopping),
    "correction": (correction.post_stratification, correction.joint, correction.soft),
    "comparison": (comparison.sizes, comparison.equivalence),
    "rates": (rates.coverage, rates.sizes, rates.equivalence, rates.directions),
    "alarms": (alarms.run_lengths, alarms.learned_run_lengths, alarms.lifetimes, alarms.as_monitored, alarms.sessions),
    "delays": (alarms.delays, alarms.drift, alarms.classified),
    "streams": (alarms.many, alarms.since),
}
"""The simulations, by what --only calls them."""


@dataclass(frozen=True, slots=True)
class Selftest:
    """The checks, in the order of the documentation, and how they were made."""

    checks: tuple[Check, ...]
    full: bool
    seed: int
    seconds: float
    versions: dict[str, str] = field(default_factory=dict)

    @property
    def verdict(self) -> str:
        """`broken` where a check is, else `cannot tell` where one cannot, else `holds`."""
        return max((check.verdict for check in self.checks), key=VERDICTS.index, default=CANNOT_TELL)

    @property
    def families(self) -> dict[str, list[Check]]:
        """The checks by family."""
        found: dict[str, list[Check]] = {}
        for check in self.checks:
            found.setdefault(check.family, []).append(check)
        return found

    def count(self, verdict: str) -> int:
        """How many checks have this verdict."""
        return sum(check.verdict == verdict for check in self.checks)

    def describe(self) -> str:
        """The whole in one sentence."""
        return (
            f"{self.count(HOLDS)} of {len(self.checks)} promises hold, {self.count(BROKEN)} broken, "
            f"{self.count(CANNOT_TELL)} not to be told with so many simulations"
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "verdict": self.verdict,
            "holds": self.count(HOLDS),
            "broken": self.count(BROKEN),
            "cannot_tell": self.count(CANNOT_TELL),
            "full": self.full,
            "seed": self.seed,
            "level": LEVEL,
            "cpu_seconds": round(self.seconds, 1),
            "versions": self.versions,
            "checks": [check.to_dict() for check in self.checks],
        }


Watching = Callable[[int, int, Check], None]


def selftest(
    *, full: bool = False, only: Sequence[str] = (), seed: int | None = None, on_check: Watching | None = None
) -> Selftest:
    """Simulate and judge. The short form takes under two minutes of one core's time, the full one hours.

    `only` names PARTS. `on_check` is called with how many simulations are done, how many there are, and the check.
    The same seed (SEED where none is given) gives the same figures on the same versions of numpy and scipy. Raises
    InvalidInput for another part.
    """
    if unknown := [name for name in only if name not in PARTS]:
        raise InvalidInput(f"selftest has no part {unknown[0]!r}; there are {', '.join(PARTS)}")
    seed = SEED if seed is None else seed
    began = time.process_time()
    chosen = list(_chosen(only))
    checks: list[Check] = []
    for done, (place, simulate) in enumerate(chosen):
        for check in simulate(np.random.default_rng([seed, place]), full):
            checks.append(check)
            if on_check is not None:
                on_check(done, len(chosen), check)
    versions = {"python": platform.python_version(), **{name: version(name) for name in ("numpy", "scipy")}}
    return Selftest(tuple(checks), full, seed, time.process_time() - began, versions)


def _chosen(only: Sequence[str]) -> Iterator[tuple[int, Family]]:
    """The simulations with their places, which do not depend on what else is chosen."""
    everything = [(name, simulate) for name, part in PARTS.items() for simulate in part]
    for place, (name, simulate) in enumerate(everything):
        if not only or name in only:
            yield place, simulate
