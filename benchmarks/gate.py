"""A gate: how often an unchanged model passes, how often a changed one does or is found, by prompts and samples.

    python benchmarks/gate.py [--quick] [--json FILE]

Panels and changes are those of ethostat.guarantees; margins 0.05 nats and 0.05 of responses.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import numpy as np

from _table import Row, fact, line, run
from ethostat.comparing import Margins, _equivalence  # a verdict alone, without the figures around it
from ethostat.guarantees.comparison import looser, nothing, swapped
from ethostat.guarantees.populations import PANELS
from ethostat.maths import exchange
from ethostat.maths.shift import paired

SIZES = ((25, 20), (25, 50), (25, 100), (100, 20), (100, 50), (100, 100))
GOALS = ("g1", "g2", "g3", "g4", "g5")


def rulings(rng: np.random.Generator, quick: bool) -> Iterable[Row]:
    """Nothing changed: passes, and false alarms. Looser, swapped: found, and let through."""
    runs = 20 if quick else 60
    for prompts, samples in SIZES:
        for change in (nothing, looser, swapped):
            said = Counter(_ruling(prompts, samples, change, rng) for _ in range(runs))
            shares = {name: said[name] / runs for name in ("equivalent", "changed")}
            name = f"{change.__name__}, {prompts} x {samples} ({runs})"
            wrong = shares["changed"] if change is nothing else shares["equivalent"]
            error = (0.05 * 0.95 / runs) ** 0.5
            yield fact(f"right: {name}", shares["equivalent"] if change is nothing else shares["changed"])
            yield line(f"wrong: {name}", wrong, "<= 0.05", met=wrong <= 0.05 + 2 * error, error=error)


def _ruling(prompts: int, samples: int, change, rng: np.random.Generator) -> str:
    p = PANELS["tuned"](prompts, rng)
    pair = paired(rng.multinomial(samples, p), rng.multinomial(samples, change(p, rng)))
    if _equivalence(pair, GOALS, Margins()).holds:
        return "equivalent"
    return "changed" if exchange.exchange_test(pair, rng=rng, swaps=199).p_value <= 0.05 else "inconclusive"


if __name__ == "__main__":
    run(__doc__, rulings, seed=90_210)
