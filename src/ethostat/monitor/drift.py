"""Slow drift: whether a baseline that was learned is still the one that learning began with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ethostat.maths.evidence.baseline import same_profile_p_value
from ethostat.monitor.baseline import UNSTRATIFIED, Counts
from ethostat.monitor.finding import REVIEW, find
from ethostat.monitor.watch import Watch
from ethostat.taxonomy import Taxonomy

TEST = "same-profile"
LEVEL = 0.01
"""The chance, over the life of a baseline, that the test warns although nothing drifted."""
_DRAWS = 9999
_PROMISE = (
    f"a baseline that did not drift brings this warning with a chance of {LEVEL:.0%} at most, once in all; it rests on "
    "an exact test of the responses that the baseline began with against those that it learned from"
)


@dataclass(frozen=True, slots=True)
class Drift:
    """What a baseline began with and what it learned, (K,) each, and the p-value of their being alike."""

    before: Counts
    learned: Counts
    p_value: float
    level: float

    @property
    def is_found(self) -> bool:
        """Whether they differ."""
        return self.p_value <= self.level

    def fields(self, taxonomy: Taxonomy, unit: str) -> dict[str, Any]:
        """What an alert says of it."""
        found = find({UNSTRATIFIED: self.before}, {UNSTRATIFIED: self.learned}, taxonomy, unit=unit)
        reason = (
            "the baseline moved while it was learned, too slowly for the evidence; measure, and choose what is normal"
        )
        return {
            "detector": TEST,
            "statistic": self.p_value,
            "threshold": self.level,
            "run_length": None,
            "alpha": LEVEL,
            "promise": _PROMISE,
            "finding": replace(found, action=REVIEW, reason=reason),
        }


def drift_of(watch: Watch, stratum: str, taxonomy: Taxonomy, *, place: int) -> Drift | None:
    """The test of a stratum's baseline, the place-th (from 1) to stop learning; None while it learns.

    The j-th is tested at LEVEL / (j (j + 1)), which sums to LEVEL however many strata there are. A baseline that
    learned nothing, or began with nothing, has not drifted.
    """
    taught = watch.taught(stratum)
    if taught is None:
        return None
    before, learned = taught
    level = LEVEL / (place * (place + 1)) if stratum != UNSTRATIFIED else LEVEL
    is_tested = round(sum(before)) > 0 and round(sum(learned)) > 0
    return Drift(before, learned, _p_value(before, learned, taxonomy.aligned) if is_tested else 1.0, level)


def _p_value(before: Counts, learned: Counts, aligned: Sequence[bool]) -> float:
    """Of the whole profile and of the aligned share, which sees less and that sooner: twice the smaller one."""
    rng = np.random.default_rng(0)
    whole = same_profile_p_value(before, learned, rng, draws=_DRAWS)
    if len(set(aligned)) == 1:
        return whole
    sides = np.array([aligned, [not one for one in aligned]], dtype=np.float64)
    share = same_profile_p_value(sides @ np.array(before), sides @ np.array(learned), rng, draws=_DRAWS)
    return min(1.0, 2 * min(whole, share))
