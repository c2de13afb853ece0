"""Raters: how far people who labelled the same responses agree, and on which they do not."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ethostat.errors import TooLittleEvidence
from ethostat.labelled import LabelledRow, read_labelled
from ethostat.maths import agreement
from ethostat.maths.estimate import Estimate
from ethostat.measurement import Identity
from ethostat.rows import Rejected
from ethostat.store import Store
from ethostat.taxonomy import FIVE_GOALS, Taxonomy

Floats = NDArray[np.float64]
_LEAST_PAIR = 2


@dataclass(frozen=True, slots=True)
class Pair:
    """Two raters on the responses that both labelled: share of equal labels, and Cohen's kappa."""

    first: str
    second: str
    n: int
    same: Estimate
    kappa: Estimate


@dataclass(frozen=True, slots=True)
class Dispute:
    """A response on which raters differ: how many gave each goal, and the goal that settled it, if one did."""

    id: str
    labels: Mapping[str, int]
    settled: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """How far raters agree. `n` responses have labels, `shared` of them those of two raters or more.

    `raters` counts the labels of each. `same` is the share of pairs of labels that are equal, `fleiss` is of the
    responses that all raters labelled, `alpha` of all shared ones; `goals` holds for each goal the chance that another
    rater says it too. Intervals are over prompts, or over responses where there is one prompt.
    """

    name: str
    taxonomy: Identity
    raters: Mapping[str, int]
    n: int
    shared: int
    same: Estimate
    alpha: Estimate
    fleiss: Estimate
    pairs: tuple[Pair, ...]
    goals: Mapping[str, Estimate]
    disputes: tuple[Dispute, ...]
    notes: tuple[str, ...] = ()

    def headline(self) -> dict[str, Estimate]:
        """The figures of all raters, by the names they are shown under."""
        return {"Labels that agree": self.same, "Krippendorff's alpha": self.alpha, "Fleiss' kappa": self.fleiss}

    def to_dict(self) -> dict[str, Any]:
        """Plain values; the JSON form."""
        return {
            "labels": self.name,
            "taxonomy": self.taxonomy.to_dict(),
            "raters": dict(self.raters),
            "n": self.n,
            "shared": self.shared,
            "same": self.same.to_dict(),
            "alpha": self.alpha.to_dict(),
            "fleiss": self.fleiss.to_dict(),
            "pairs": [
                {
                    "raters": [pair.first, pair.second],
                    "n": pair.n,
                    "same": pair.same.to_dict(),
                    "kappa": pair.kappa.to_dict(),
                }
                for pair in self.pairs
            ],
            "goals": {key: estimate.to_dict() for key, estimate in self.goals.items()},
            "disputes": [asdict(dispute) for dispute in self.disputes],
            "notes": list(self.notes),
        }


@dataclass(slots=True)
class _Row:
    """One response: its group, the goal that each rater gave it, and the one that settles it."""

    id: str
    group: str
    given: dict[str, str]
    settled: str | None = None


def agreement_of(paths: Sequence[Path], *, taxonomy: Taxonomy, seed: int = 0) -> Agreement:
    """How far the raters of label files agree; a response is the same where id, prompt and text are.

    `seed` is the bootstrap's. Raises InvalidInput for an unusable file, TooLittleEvidence where no two raters labelled
    the same response. Rows that cannot be used, or name no rater, are counted in the notes.
    """
    rejected = Rejected()
    rows = [row for path in paths for row in rejected.set_aside(read_labelled(path, taxonomy=taxonomy))]
    name = ", ".join(path.name for path in paths)
    return _agreement(rows, name, taxonomy, seed, (str(rejected),) if rejected.count else ())


def stored_agreement(store: Store, run: str, *, taxonomy: Taxonomy | None = None, seed: int = 0) -> Agreement:
    """How far the raters of a stored run agree; without a taxonomy, on the run's goals.

    `run` is an id, the beginning of one, or "latest". Raises as `agreement_of`.
    """
    found = store.get_run(run)
    goals = taxonomy or (FIVE_GOALS if found.taxonomy is None else Taxonomy.from_dict(found.taxonomy))
    rows = [
        LabelledRow(
            response := store.response(found.id, label.prompt_id, label.index),
            label.goal,
            response.prompt.hash,
            rater=label.rater,
            settles=label.settles,
        )
        for label in store.labels(found.id, taxonomy_hash=goals.hash)
    ]
    return _agreement(rows, f"run {found.id}", goals, seed, ())


def _agreement(
    rows: Sequence[LabelledRow], name: str, taxonomy: Taxonomy, seed: int, notes: tuple[str, ...]
) -> Agreement:
    found, nameless = _by_response(rows)
    raters = sorted({rater for row in found for rater in row.given})
    shared = [row for row in found if len(row.given) >= _LEAST_PAIR]
    if not shared:
        raise TooLittleEvidence(
            f"{name} has {len(found)} labelled responses of {len(raters)} raters, and none that two of them labelled; "
            "let a second rater label the same ones (`ethostat label --rater NAME`)"
        )
    rng = np.random.default_rng(seed)
    counts, groups = _counts(shared, taxonomy), _groups(shared)
    if nameless:
        notes += (f"{nameless} labels name no rater and were not used",)
    return Agreement(
        name=name,
        taxonomy=Identity(taxonomy.name, taxonomy.hash, taxonomy.version),
        raters={rater: sum(rater in row.given for row in found) for rater in raters},
        n=len(found),
        shared=len(shared),
        same=agreement.pair_agreement(counts, groups=groups, rng=rng),
        alpha=agreement.krippendorff_alpha(counts, groups=groups, rng=rng),
        fleiss=_fleiss([row for row in shared if len(row.given) == len(raters)], taxonomy, rng),
        pairs=tuple(_pairs(shared, raters, taxonomy, rng)),
        goals=dict(zip(taxonomy.keys, agreement.goal_agreement(counts, groups=groups, rng=rng), strict=True)),
        disputes=tuple(_disputes(shared, taxonomy)),
        notes=notes,
    )


def _by_response(rows: Iterable[LabelledRow]) -> tuple[list[_Row], int]:
    """Responses with the last label of each rater, and how many rows name no rater."""
    found: dict[tuple[str, str, str], _Row] = {}
    nameless = 0
    for row in rows:
        response = row.response
        content = (response.id, response.prompt.hash, response.text)
        one = found.setdefault(content, _Row(response.id, row.group, {}))
        if row.settles:
            one.settled = row.label
        elif row.rater:
            one.given[row.rater] = row.label
        else:
            nameless += 1
    return [row for row in found.values() if row.given], nameless


def _counts(rows: Sequence[_Row], taxonomy: Taxonomy) -> Floats:
    """How many raters gave each goal, (N, K)."""
    counts = np.zeros((len(rows), len(taxonomy.goals)))
    for place, row in enumerate(rows):
        for goal in row.given.values():
            counts[place, taxonomy.index(goal)] += 1
    return counts


def _groups(rows: Sequence[_Row]) -> list[str] | None:
    """The rows' prompts; None where there is only one, whose responses are then independent."""
    groups = [row.group for row in rows]
    return groups if len(set(groups)) > 1 else None


def _fleiss(rows: Sequence[_Row], taxonomy: Taxonomy, rng: np.random.Generator) -> Estimate:
    if not rows:
        reason = "no response has a label of every rater; alpha needs no such"
        return Estimate.undefined(reason, level=0.95, unit="coefficient", n=0)
    return agreement.fleiss_kappa(_counts(rows, taxonomy), groups=_groups(rows), rng=rng)


def _pairs(rows: Sequence[_Row], raters: Sequence[str], taxonomy: Taxonomy, rng: np.random.Generator) -> Iterable[Pair]:
    """Every two raters who labelled a response in common."""
    for first, second in combinations(raters, 2):
        both = [row for row in rows if first in row.given and second in row.given]
        if both:
            one, other = ([taxonomy.index(row.given[who]) for row in both] for who in (first, second))
            tables = agreement.confusion_tables(one, other, goals=len(taxonomy.goals), groups=_groups(both))
            yield Pair(first, second, len(both), agreement.accuracy(tables), agreement.cohen_kappa(tables, rng=rng))


def _disputes(rows: Iterable[_Row], taxonomy: Taxonomy) -> Iterable[Dispute]:
    for row in rows:
        said = list(row.given.values())
        if len(set(said)) > 1:
            yield Dispute(row.id, {key: said.count(key) for key in taxonomy.keys if key in said}, row.settled)
