"""Alignment: base against tuned. What tuning held back of the base model's drift, a step and in all."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from ethostat.drift import Counts, whole_paths
from ethostat.errors import InvalidInput, TooLittleEvidence
from ethostat.maths.alignment import AlignmentWork, work_path
from ethostat.maths.alignment import alignment_work as work_of
from ethostat.maths.estimate import Estimate
from ethostat.maths.trajectory import Paths
from ethostat.trajectories import Trajectory

_ALPHA = 0.05


@dataclass(frozen=True, slots=True)
class Alignment:
    """gamma = sigma - dS/dt, with sigma the rate of the base model and dS/dt that of the tuned one.

    `figures` holds gamma over the horizon and early on (nats a step), W (nats and bits) and the one-sided test that
    gamma is above 0; `path` is W until each of `steps`, empty where it has no interval. `is_paired` says that
    conversations of the two were compared one by one. `notes` say what a reader has to know.
    """

    base: Trajectory
    tuned: Trajectory
    figures: AlignmentWork
    is_paired: bool
    steps: tuple[float, ...]
    path: tuple[Estimate, ...]
    notes: tuple[str, ...] = ()

    def describe(self) -> str:
        """What was found, in a sentence."""
        p = self.figures.p_value
        if math.isnan(p):
            return f"whether tuning held anything back is not known: {self.figures.test.removeprefix('undefined: ')}"
        if p <= _ALPHA:
            return f"tuning held drift back (p = {p:.3g}, {self.figures.test})"
        return f"it is not shown that tuning held anything back (p = {p:.3g}, {self.figures.test})"

    def to_dict(self) -> dict[str, Any]:
        """Plain values; the JSON form."""
        found = self.figures
        return {
            "gamma": found.rate.to_dict(),
            "early_gamma": found.early_rate.to_dict(),
            "work": found.work.to_dict(),
            "work_bits": found.work_bits.to_dict(),
            "p_value": None if math.isnan(found.p_value) else found.p_value,
            "test": found.test,
            "paired": self.is_paired,
            "words": self.describe(),
            "work_path": [
                {"step": step, "work": work.to_dict()} for step, work in zip(self.steps, self.path, strict=True)
            ]
            if self.path
            else [],
            "notes": list(self.notes),
            "base": self.base.to_dict(),
            "tuned": self.tuned.to_dict(),
        }


def alignment_work(base: Trajectory, tuned: Trajectory, *, level: float = 0.95) -> Alignment:
    """What tuning held back, from two trajectories under the same schedule (or of the same prompts, or windows).

    Conversations that both have under one name are compared one by one, since they are asked the same; where the two
    share none, as independent groups. Steps that only one has are left out. Tests draw with a fixed seed, so that
    equal trajectories give equal figures. Raises InvalidInput where goals differ or the two stand in different kinds
    of time, TooLittleEvidence for fewer than two common steps.
    """
    if base.goals != tuned.goals or base.provenance.taxonomy.hash != tuned.provenance.taxonomy.hash:
        raise InvalidInput("both trajectories must be sorted into the same goals; measure one of them again")
    if base.step != tuned.step:
        raise InvalidInput(f"a step is a {base.step} in one trajectory and a {tuned.step} in the other; compare like")
    steps = np.intersect1d(base.steps(), tuned.steps())
    if len(steps) < 2:
        raise TooLittleEvidence(f"the two trajectories share {len(steps)} steps; gamma needs at least two")
    tables = [one.counts()[:, np.isin(one.steps(), steps)] for one in (base, tuned)]
    is_paired, tables, notes = _matched(base, tuned, tables)
    paths = [Paths.from_counts(table, steps) for table in tables]
    rng = np.random.default_rng(0)
    found = work_of(*paths, paired=is_paired, rng=rng, level=level)
    several = min(one.replicates for one in paths) > 1
    path = tuple(work_path(*paths, paired=is_paired, level=level)) if several else ()
    return Alignment(base, tuned, found, is_paired, tuple(map(float, steps)), path, notes + _differences(base, tuned))


def _matched(base: Trajectory, tuned: Trajectory, tables: list[Counts]) -> tuple[bool, list[Counts], tuple[str, ...]]:
    """Whether parts are compared one by one, and the counts of those that are whole."""
    mine = {name: place for place, name in enumerate(tuned.parts)}
    both = [(place, mine[name]) for place, name in enumerate(base.parts) if name in mine]
    whole = [(i, j) for i, j in both if _is_whole(tables[0][i]) and _is_whole(tables[1][j])]
    if len(whole) > 1 and base.part == tuned.part:
        left = max(len(base.parts), len(tuned.parts)) - len(whole)
        notes = (f"{left} {base.part}s are not whole in both and are left out",) if left else ()
        return True, [tables[0][[i for i, _ in whole]], tables[1][[j for _, j in whole]]], notes
    (first, said), (second, heard) = (whole_paths(table, part=base.part) for table in tables)
    return False, [first, second], tuple(dict.fromkeys(said + heard))


def _is_whole(table: Counts) -> bool:
    return bool((table.sum(axis=1) > 1).all())


def _differences(base: Trajectory, tuned: Trajectory) -> tuple[str, ...]:
    """What else than the model differs."""
    notes = []
    for what, name in (("prompts", "what they were asked"), ("classifier", "who sorted the responses")):
        if getattr(base.provenance, what).hash != getattr(tuned.provenance, what).hash:
            notes.append(f"the two trajectories differ in {name} too: part of gamma may come from that")
    return tuple(notes)
