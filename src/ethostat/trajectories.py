"""Trajectory: measurements in time, of whichever kind: turns of a conversation, versions of a model, or the clock.

A point holds the profile of one step, whole and by part; parts (conversations, or prompts) are what is followed from
step to step, and what intervals of rates count as one observation each.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ethostat.drift import MARGIN, Drift, drift_of
from ethostat.errors import InvalidInput, TooLittleEvidence
from ethostat.maths import panel
from ethostat.maths.entropy import jackknife
from ethostat.maths.estimate import Estimate
from ethostat.maths.profile import Profile
from ethostat.measurement import Provenance
from ethostat.summary import Counts
from ethostat.taxonomy import Taxonomy

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """What happened at one step.

    `step` is its place in time, in the trajectory's steps; `time` (ISO 8601) and `model` stand where they are known.
    `parts` holds one profile for each of the trajectory's parts, empty where a part has no response here. The
    estimates are those of a `Measurement`, over parts in place of prompts.
    """

    step: float
    profile: Profile
    parts: tuple[Profile, ...]
    entropy: Estimate
    entropy_population: Estimate
    pooled_entropy: Estimate
    aligned: Estimate
    shares: tuple[Estimate, ...]
    time: str | None = None
    model: str | None = None

    @property
    def headline(self) -> Estimate:
        """The mean S within parts where that is known, else the pooled S."""
        return self.entropy if self.entropy.is_defined else self.pooled_entropy


@dataclass(frozen=True, kw_only=True)
class Trajectory:
    """S and profile over time.

    `step` says what one step is ("turn", "version", "day", "window of 100 rows"); `part` what a part is
    ("conversation", "prompt"), and `parts` names them, in the order of each point's profiles. `margin` is the change of
    S over the whole, nats, that counts as no drift.
    """

    provenance: Provenance
    goals: tuple[str, ...]
    aligned: tuple[bool, ...]
    step: str
    part: str
    parts: tuple[str, ...]
    points: tuple[Point, ...]
    margin: float = MARGIN

    @cached_property
    def rates(self) -> Drift | None:
        """How S moved, with intervals; None where there are fewer than two steps, or too few responses at one."""
        try:
            return drift_of(self.counts(), self.steps(), self.goals, part=self.part, margin=self.margin)
        except TooLittleEvidence:
            return None

    def steps(self) -> Floats:
        """The places in time, shape (T,)."""
        return np.array([point.step for point in self.points], dtype=np.float64)

    def counts(self) -> Counts:
        """Responses by part, step and goal, shape (R, T, K)."""
        rows = [[part.counts for part in point.parts] for point in self.points]
        return np.array(rows, dtype=np.int64).transpose(1, 0, 2)

    def entropies(self) -> Floats:
        """S of each part at each step, nats, shape (R, T); nan where fewer than two responses are there.

        By the jackknife, which is nearly unbiased at small k: a rate of plug-in values is one of their bias too.
        """
        counts = self.counts().astype(np.float64)
        values = np.full(counts.shape[:2], np.nan)
        known = counts.sum(axis=2) > 1
        values[known] = jackknife(counts[known])
        return values

    def to_dict(self) -> dict[str, Any]:
        """Plain values; the JSON form of a trajectory."""
        return {
            **self.provenance.to_dict(asked="asked"),
            "step": self.step,
            "part": self.part,
            "parts": list(self.parts),
            "aligned_goals": [goal for goal, aligned in zip(self.goals, self.aligned, strict=True) if aligned],
            "margin": self.margin,
            "rates": None if self.rates is None else self.rates.to_dict(),
            "goals": list(self.goals),
            "points": [_point_to_dict(point, self.goals) for point in self.points],
        }

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> Trajectory:
        """The inverse of `to_dict`; what is computed from the points is computed again.

        Raises InvalidInput where a field is missing or of the wrong type.
        """
        try:
            return _from_dict(fields)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise InvalidInput(
                f"this is not a Trajectory: {error!r}; pass what `ethostat trajectory --json` printed"
            ) from error


def point_of(
    counts: Counts,
    *,
    step: float,
    taxonomy: Taxonomy,
    time: str | None = None,
    model: str | None = None,
    level: float = 0.95,
) -> Point:
    """The point that these counts, shape (parts, goals), make. Raises TooLittleEvidence where there are none."""
    if not counts.sum():
        raise TooLittleEvidence(f"step {step:g} has no classified response; leave it out")
    return Point(
        step=step,
        profile=Profile.from_array(counts.sum(axis=0)),
        parts=tuple(Profile.from_array(row) for row in counts),
        entropy=panel.within_entropy(counts, level=level),
        entropy_population=panel.within_entropy_population(counts, level=level),
        pooled_entropy=panel.pooled_entropy(counts, level=level),
        aligned=panel.aligned_share(counts, taxonomy.aligned, level=level),
        shares=tuple(panel.goal_shares(counts, level=level)),
        time=time,
        model=model,
    )


_NUMBERS = ("entropy", "entropy_population", "pooled_entropy", "aligned")


def _point_to_dict(point: Point, goals: Sequence[str]) -> dict[str, Any]:
    fields: dict[str, Any] = {"step": point.step}
    fields |= {name: getattr(point, name) for name in ("time", "model") if getattr(point, name) is not None}
    fields |= {name: getattr(point, name).to_dict() for name in _NUMBERS}
    fields["profile"] = {
        goal: {"count": count, "share": share.to_dict()}
        for goal, count, share in zip(goals, point.profile.counts, point.shares, strict=True)
    }
    return fields | {"parts": [list(part.counts) for part in point.parts]}


def _point_from_dict(fields: Mapping[str, Any], goals: Sequence[str]) -> Point:
    return Point(
        step=float(fields["step"]),
        profile=Profile(tuple(fields["profile"][goal]["count"] for goal in goals)),
        parts=tuple(Profile(tuple(counts)) for counts in fields["parts"]),
        shares=tuple(Estimate.from_dict(fields["profile"][goal]["share"]) for goal in goals),
        time=fields.get("time"),
        model=fields.get("model"),
        **{name: Estimate.from_dict(fields[name]) for name in _NUMBERS},
    )


def _from_dict(fields: Mapping[str, Any]) -> Trajectory:
    goals = tuple(fields["goals"])
    return Trajectory(
        provenance=Provenance.from_dict(fields, asked="asked"),
        goals=goals,
        aligned=tuple(goal in fields["aligned_goals"] for goal in goals),
        step=fields["step"],
        part=fields["part"],
        parts=tuple(fields["parts"]),
        margin=float(fields["margin"]),
        points=tuple(_point_from_dict(point, goals) for point in fields["points"]),
    )
