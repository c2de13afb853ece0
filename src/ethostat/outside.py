"""Outside: which responses perhaps fit no goal, how many there are beyond chance, and which to look at first.

A taxonomy has a place for everything only because a classifier always names a goal. Here stands what it named without
having seen the like. `to_dict` and `from_dict` are its JSON form, the key `outside` of a measurement's.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Protocol

import numpy as np

from ethostat.maths.conformal import Cells, benjamini_hochberg, outside_share
from ethostat.maths.estimate import Estimate
from ethostat.response import Verdict

FALSE_DISCOVERY_RATE = 0.1
"""Share of typical responses to expect among the flagged."""
MOST_LISTED = 200
LEAST_LISTED = 20


class Named(Protocol):
    """A prompt, as far as its verdicts name it."""

    @property
    def id(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Atypical:
    """A response to review: where it is, the goal that it was given, its conformal p-value, whether it was flagged."""

    response_id: str
    prompt_id: str
    goal: str
    typicality: float
    flagged: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Outside:
    """What fits no goal, as far as typicality tells.

    `share` is the share of responses beyond what chance calls atypical; its n is the number of responses that have a
    typicality. `flagged` counts the responses of each goal, in the taxonomy's order, that Benjamini and Hochberg's rule
    picks, of which `false_discovery_rate` are expected to be typical. `review` lists the least typical first: all that
    are flagged, as many as `share` says are outside, and at least twenty; at most 200.
    """

    share: Estimate
    false_discovery_rate: float
    flagged: tuple[int, ...]
    review: tuple[Atypical, ...]

    @property
    def total(self) -> int:
        """How many responses were flagged."""
        return sum(self.flagged)

    def to_dict(self, goals: Sequence[str]) -> dict[str, Any]:
        """Plain values; the goals' keys name the counts."""
        return {
            "share": self.share.to_dict(),
            "false_discovery_rate": self.false_discovery_rate,
            "flagged": dict(zip(goals, self.flagged, strict=True)),
            "review": [asdict(row) for row in self.review],
        }

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> Outside:
        """The inverse of `to_dict`."""
        return cls(
            share=Estimate.from_dict(fields["share"]),
            false_discovery_rate=fields["false_discovery_rate"],
            flagged=tuple(fields["flagged"].values()),
            review=tuple(Atypical(**row) for row in fields["review"]),
        )


def find_outside(
    verdicts: Iterable[Verdict],
    *,
    prompts: Sequence[Named],
    goals: Sequence[str],
    cells: Cells | None = None,
    level: float = 0.95,
) -> Outside | None:
    """What the typicality of these verdicts says; None where none has one.

    `cells` are the classifier's; without them the interval takes its calibration as exact.
    """
    rows = [verdict for verdict in verdicts if verdict.typicality is not None]
    if not rows:
        return None
    column, place = {key: at for at, key in enumerate(goals)}, {prompt.id: at for at, prompt in enumerate(prompts)}
    p = np.array([verdict.typicality for verdict in rows], dtype=np.float64)
    said = np.array([column[verdict.goal] for verdict in rows], dtype=np.int64)
    asked = np.array([place[verdict.prompt_id] for verdict in rows], dtype=np.int64)
    flagged = benjamini_hochberg(p, rate=FALSE_DISCOVERY_RATE)
    share = outside_share(p, asked, goals=said, cells=cells, level=level)
    wanted = max(int(flagged.sum()), math.ceil(share.value * len(p)), LEAST_LISTED)
    listed = np.argsort(p, kind="stable")[: min(wanted, MOST_LISTED)]
    return Outside(
        share=share,
        false_discovery_rate=FALSE_DISCOVERY_RATE,
        flagged=tuple(int(count) for count in np.bincount(said[flagged], minlength=len(goals))),
        review=tuple(_atypical(rows[at], is_flagged=bool(flagged[at])) for at in listed),
    )


def _atypical(verdict: Verdict, *, is_flagged: bool) -> Atypical:
    return Atypical(verdict.response_id, verdict.prompt_id, verdict.goal, float(verdict.typicality or 0), is_flagged)
