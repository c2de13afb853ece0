"""Grouping: which label of an event tells its stratum, and which its session. A stream keeps what it began with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from ethostat.errors import InvalidInput
from ethostat.ledger.reading import AnyRow
from ethostat.monitor.baseline import UNSTRATIFIED

_NONE = "(none)"
_FIELDS = ("session", "model")
_STRATUM, _SESSION = "stratum", "session"


@dataclass(frozen=True, slots=True)
class Grouping:
    """Names of labels, or `session` or `model` for the fields of that name.

    `stratum` None: the stream has one baseline. `session` counts where the monitor counts sessions.
    """

    stratum: str | None = None
    session: str = _SESSION

    def __post_init__(self) -> None:
        if self.stratum == "" or not self.session:
            raise InvalidInput("a stratum and a session are told by a label or a field of events; give its name")

    @classmethod
    def of(cls, kept: Mapping[str, Any] | None, otherwise: Self) -> Self:
        """What lies with the monitor of a stream; `otherwise` where it has none yet."""
        return otherwise if kept is None else cls(kept.get(_STRATUM), kept.get(_SESSION, _SESSION))

    def to_dict(self) -> dict[str, str]:
        """What is kept with a monitor; nothing where all is as usual."""
        kept = {} if self.stratum is None else {_STRATUM: self.stratum}
        return kept if self.session == _SESSION else {**kept, _SESSION: self.session}

    def stratum_of(self, row: AnyRow) -> str:
        """The stratum of an event; one that does not say is in a stratum of its kind."""
        return UNSTRATIFIED if self.stratum is None else _named(row, self.stratum) or _NONE

    def session_of(self, row: AnyRow) -> str | None:
        """The session of an event, None where it does not say."""
        return _named(row, self.session)


def _named(row: AnyRow, name: str) -> str | None:
    found = getattr(row, name) if name in _FIELDS else (row.labels or {}).get(name)
    return None if found is None else str(found)
