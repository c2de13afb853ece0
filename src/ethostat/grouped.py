"""Grouped: measurements side by side of responses that agree in some fields: model, day, route."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ethostat.errors import InvalidInput
from ethostat.measurement import Measurement
from ethostat.taxonomy import Taxonomy


@dataclass(frozen=True, slots=True)
class Group:
    """The responses that agree in some fields, measured. `key` maps each of those fields to its value."""

    key: Mapping[str, str]
    measurement: Measurement

    @property
    def name(self) -> str:
        """The values in one line; "all" where nothing was told apart."""
        return ", ".join(self.key.values()) or "all"

    def to_dict(self) -> dict[str, Any]:
        """A Measurement's plain values, and `key`."""
        return {"key": dict(self.key), **self.measurement.to_dict()}

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> Group:
        """The inverse of `to_dict`. Raises InvalidInput where it is none."""
        return cls(dict(fields.get("key", {})), Measurement.from_dict(fields))


@dataclass(frozen=True, slots=True)
class Grouped:
    """Measurements by group, in the order of their keys; `by` are the fields that tell groups apart.

    `rejected` rows of the sources could not be used, of which `first` says why.
    """

    source: str
    by: tuple[str, ...]
    taxonomy: Taxonomy
    groups: tuple[Group, ...]
    rejected: int = 0
    first: tuple[str, ...] = ()

    @property
    def n(self) -> int:
        """Responses that were measured."""
        return sum(group.measurement.profile.n for group in self.groups)

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader of the groups has to know, each once."""
        return tuple(dict.fromkeys(note for group in self.groups for note in group.measurement.provenance.notes))

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "source": self.source,
            "by": list(self.by),
            "taxonomy": self.taxonomy.to_dict(),
            "rejected": self.rejected,
            "first": list(self.first),
            "groups": [group.to_dict() for group in self.groups],
        }

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> Grouped:
        """The inverse of `to_dict`. Raises InvalidInput where it is none."""
        try:
            return cls(
                fields["source"],
                tuple(fields["by"]),
                Taxonomy.from_dict(fields["taxonomy"]),
                tuple(Group.from_dict(group) for group in fields["groups"]),
                fields["rejected"],
                tuple(fields["first"]),
            )
        except (KeyError, TypeError) as error:
            raise InvalidInput(f"these are no measurements by group: {error!r}; measure with --by") from error
