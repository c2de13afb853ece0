"""Sessions: the responses of one conversation or user, which count as one bet when it is over."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from ethostat.errors import InvalidInput
from ethostat.maths.detector import Floats


@dataclass(frozen=True, slots=True)
class SessionEnd:
    """When a session is over: `longest` responses long, or so long without one of its own.

    `idle` counts responses of the stream, `silence` seconds, where responses are dated. What comes under the same name
    afterwards is a session of its own, so that all three should be too large rather than too small: what is cut apart
    depends on each other still, and what is long waits to be counted. At most `idle` sessions are open at a time.
    """

    longest: int = 20
    idle: int = 500
    silence: float = 1800.0

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            if not value > 0:
                raise InvalidInput(f"{name} of a session must be above 0, got {value}")


@dataclass(slots=True)
class Gathered:
    """Responses of a session: the steps of the first and last, their rows (K,) added up, how many, when the last."""

    began: int
    row: list[float] = field(default_factory=list)
    size: int = 0
    last: int = 0
    seconds: float | None = None

    @property
    def mean(self) -> Floats:
        """The session's mean profile, (K,)."""
        return np.array(self.row) / self.size

    def add(self, row: Floats, *, step: int, seconds: float | None) -> None:
        """One response."""
        self.row = [a + b for a, b in zip(self.row, row.tolist(), strict=True)] if self.row else row.tolist()
        self.size, self.last = self.size + 1, step
        self.seconds = self.seconds if seconds is None else seconds


class OpenSessions:
    """The sessions that are not over yet, the one that was silent for longest first."""

    def __init__(self, end: SessionEnd) -> None:
        self.end = end
        self._open: dict[str, Gathered] = {}

    def take(self, name: str | None, row: Floats, *, step: int, seconds: float | None = None) -> list[Gathered]:
        """One response: the sessions that are over now. A response without a session's name is one of its own."""
        over = self._silent(step, seconds)
        one = self._open.pop(name) if name is not None and name in self._open else Gathered(step)
        one.add(row, step=step, seconds=seconds)
        if name is None or one.size >= self.end.longest:
            over.append(one)
        else:
            self._open[name] = one
        return over

    def close(self) -> list[Gathered]:
        """All of them, as though they were over."""
        over, self._open = list(self._open.values()), {}
        return over

    def _silent(self, step: int, seconds: float | None) -> list[Gathered]:
        over = []
        for name, one in self._open.items():
            waited = 0.0 if seconds is None or one.seconds is None else seconds - one.seconds
            if step - one.last <= self.end.idle and waited <= self.end.silence:
                break
            over.append(name)
        return [self._open.pop(name) for name in over]

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {name: [one.began, one.row, one.size, one.last, one.seconds] for name, one in self._open.items()}

    def restore(self, fields: Mapping[str, Any]) -> None:
        """Go on with these."""
        self._open = {name: Gathered(*one) for name, one in fields.items()}
