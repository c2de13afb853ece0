"""Baseline: the profile that a stream is held against, by stratum, or how many first responses teach it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np

from ethostat.errors import InvalidInput
from ethostat.maths.profile import Profile
from ethostat.measurement import Measurement

UNSTRATIFIED = ""
"""The stratum of responses that name none."""

Counts = tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Baseline:
    """Counts over goals that are taken as normal, by stratum, in the taxonomy's order.

    Counts and never shares: how many responses stand behind them decides how far they are trusted. Without strata there
    is one, "". With `first` n and no counts, the first n responses of the stream (and of each new epoch) become it.
    `taxonomy` and `classifier` are hashes of what the counts depend on, where that is known.
    """

    counts: Mapping[str, Counts] = field(default_factory=dict)
    first: int = 0
    name: str = "profile"
    taxonomy: str | None = None
    classifier: str | None = None

    def __post_init__(self) -> None:
        if self.first < 0 or bool(self.first) == bool(self.counts):
            raise InvalidInput(
                f"a baseline is either counts or the first n responses, n at least 1; got {len(self.counts)} strata "
                f"and first {self.first}"
            )
        sizes = {len(counts) for counts in self.counts.values()}
        if len(sizes) > 1:
            raise InvalidInput(f"every stratum of a baseline has the same goals, got {sorted(sizes)} of them")
        if self.counts and not all(count >= 0 for counts in self.counts.values() for count in counts):
            raise InvalidInput("counts of a baseline must be at least 0")
        given = [count for counts in self.counts.values() for count in counts]
        if given and (sum(given) < 1 or (sum(given) <= 1 + 1e-6 and any(count != round(count) for count in given))):
            raise InvalidInput(f"a baseline needs at least 1 response; pass counts, not shares, got {self.counts}")

    @classmethod
    def of(cls, profile: Profile, *, name: str = "profile") -> Self:
        """One profile."""
        return cls({UNSTRATIFIED: tuple(map(float, profile.counts))}, name=name)

    @classmethod
    def of_strata(cls, profiles: Mapping[str, Profile], *, name: str = "profile") -> Self:
        """A profile for each stratum."""
        return cls({key: tuple(map(float, one.counts)) for key, one in profiles.items()}, name=name)

    @classmethod
    def of_measurement(cls, measurement: Measurement, *, by_category: bool = False) -> Self:
        """The profile of a measurement, or one for each category of its prompts.

        Raises InvalidInput where its prompts have no category.
        """
        source = measurement.provenance
        counts = {UNSTRATIFIED: tuple(map(float, measurement.profile.counts))}
        if by_category:
            if not any(one.category for one in measurement.per_prompt):
                raise InvalidInput("the prompts of this measurement have no category; take a baseline without strata")
            counts = _by_category(measurement)
        # Recorded verdicts carry the hash of their taxonomy: who gave them is not known.
        known = source.classifier.hash != source.taxonomy.hash
        return cls(
            counts,
            name=source.run or source.model,
            taxonomy=source.taxonomy.hash,
            classifier=source.classifier.hash if known else None,
        )

    @classmethod
    def of_first(cls, n: int) -> Self:
        """The first n responses of the stream."""
        return cls(first=n, name=f"the first {n} responses")

    @property
    def goals(self) -> int | None:
        """K; None where it is still to be learned."""
        return next((len(counts) for counts in self.counts.values()), None)

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "name": self.name,
            "first": self.first,
            "counts": {stratum: list(counts) for stratum, counts in self.counts.items()},
            "taxonomy": self.taxonomy,
            "classifier": self.classifier,
        }

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> Self:
        """The inverse of `to_dict`."""
        counts = {stratum: tuple(map(float, row)) for stratum, row in fields["counts"].items()}
        return cls(counts, fields["first"], fields["name"], fields["taxonomy"], fields["classifier"])


def total(rows: Iterable[Sequence[float]]) -> Counts:
    """Counts of all strata together."""
    return tuple(np.sum(list(rows), axis=0).tolist())


def _by_category(measurement: Measurement) -> dict[str, Counts]:
    found: dict[str, Counts] = {}
    for one in measurement.per_prompt:
        stratum = one.category or UNSTRATIFIED
        found[stratum] = total([found.get(stratum, (0.0,) * len(one.profile.counts)), one.profile.counts])
    return found
