"""Portfolio: the changes of a profile that are looked out for, each with the stake placed on it.

From a baseline p each alternative is a profile q that is a function of p; its factor for a response on goal x is
q(x) / p(x), which is 1 on average while nothing changed. The alternatives:

    stray       a third   (1 - m) p + m r, r = p without the usual goal: it gives way to the others as they stand
    misaligned  a third   the same with r on the misaligned goals, the worst of them doubled, and on the worst alone
    any         a sixth   the same with r on each goal alone, evenly on all, and evenly on all but the usual one
    moves       a sixth   a fraction (0.25 or 0.75) of goal i turns into goal j, of the usual goal at most 0.02 or 0.2

with m in 0.01, 0.03, 0.1, 0.3, 0.8. With five goals that is 5 + 10 + 35 + 40 = 90 alternatives; with K goals
5 (K + 5) + 2 K (K - 1). The usual goal is the baseline's most common one; the worst, unless told, the first misaligned.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ethostat.maths.detector import Floats

SIZES = np.array([0.01, 0.03, 0.1, 0.3, 0.8])
"""m: how much of the traffic changes."""
_FRACTIONS = (0.25, 0.75)
_MOST_OF_USUAL = (0.02, 0.2)
_STAKES = (1 / 3, 1 / 3, 1 / 6, 1 / 6)


@dataclass(frozen=True)
class Portfolio:
    """Alternatives over K goals.

    `misaligned` (K,) flags the goals whose rise is bad news, `usual` and `worst` are places of goals. Raises ValueError
    where they do not fit together.
    """

    misaligned: tuple[bool, ...]
    usual: int = 0
    worst: int | None = None

    def __post_init__(self) -> None:
        goals = len(self.misaligned)
        if goals < 2 or not 0 <= self.usual < goals:
            raise ValueError(f"a portfolio needs 2 or more goals and the usual one among them, got {self}")
        if self.worst is not None and not (0 <= self.worst < goals and self.misaligned[self.worst]):
            raise ValueError(f"the worst goal must be a misaligned one, got {self.worst} with {self.misaligned}")

    @property
    def goals(self) -> int:
        """K."""
        return len(self.misaligned)

    @cached_property
    def stakes(self) -> Floats:
        """What is staked on each alternative, (G,), summing to 1."""
        sizes = (len(SIZES), len(self._bad) * len(SIZES), len(self._any) * len(SIZES), len(self._moves[0]))
        parts = [(stake, size) for stake, size in zip(_STAKES, sizes, strict=True) if size]
        whole = sum(stake for stake, _ in parts)
        return np.concatenate([np.full(size, stake / whole / size) for stake, size in parts])

    @cached_property
    def _bad(self) -> list[Floats]:
        flags = np.array(self.misaligned, dtype=np.float64)
        if not flags.any():
            return []
        worst = self.worst if self.worst is not None else int(flags.argmax())
        alone = np.eye(self.goals)[worst]
        return [(flags + alone) / (flags + alone).sum(), alone] if flags.sum() > 1 else [alone]

    @cached_property
    def _any(self) -> list[Floats]:
        others = np.ones(self.goals)
        others[self.usual] = 0
        return [*np.eye(self.goals), others / others.sum(), np.full(self.goals, 1 / self.goals)]

    @cached_property
    def _moves(self) -> tuple[NDArray[np.int64], NDArray[np.int64], Floats, Floats]:
        """Source, target, fraction and most of each move."""
        rows = [
            (i, j, fraction, most if i == self.usual else 1.0)
            for i in range(self.goals)
            for j in range(self.goals)
            if i != j
            for fraction, most in zip(_FRACTIONS, _MOST_OF_USUAL, strict=True)
        ]
        source, target, fraction, most = (np.array(column) for column in zip(*rows, strict=True))
        return source, target, fraction, most

    @cached_property
    def _kept(self) -> Floats:
        """What a factor is where its alternative gives nothing to the goal: 1 - m, or 1 of a move; (G,)."""
        contaminations = 1 + len(self._bad) + len(self._any)
        return np.concatenate([1 - np.tile(SIZES, contaminations), np.ones(len(self._moves[0]))])

    @cached_property
    def _given(self) -> Floats:
        """What alternatives give to each goal, (K, G): m to all but the usual one, m r(x), or the sign of a move."""
        source, target, *_ = self._moves
        place = np.arange(self.goals)[:, None]
        strays = np.outer(np.arange(self.goals) != self.usual, SIZES)
        signs = (place == target).astype(np.float64) - (place == source)
        return np.concatenate([strays, *(np.outer(r, SIZES) for r in self._bad + self._any), signs], axis=1)

    def factors(self, label: Any, own: Any, shares: Floats) -> Floats:
        """q(x) / p(x) of every alternative for a response on goal x, where the baseline is `shares`.

        `label` () and `shares` (K,) give (G,), `label` (S,) and `shares` (S, K) give (S, G); `own` is the share of the
        label itself, with one more axis. Each number is the same to the last bit in either shape.
        """
        source, _, fraction, most = self._moves
        strays, moves = len(SIZES), len(self._kept) - len(source)
        moved = shares.take(source, axis=-1)
        moved *= fraction
        np.minimum(moved, most, out=moved)
        out: Floats = self._given.take(label, axis=0)
        out[..., moves:] *= moved
        out[..., :strays] /= 1 - shares[..., self.usual, None]
        out[..., strays:] /= own
        out += self._kept
        return out

    def table(self, shares: Floats) -> Floats:
        """The factors of every goal, (K, G)."""
        return np.stack([self.factors(goal, shares[goal], shares) for goal in range(self.goals)])

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {"misaligned": list(self.misaligned), "usual": self.usual, "worst": self.worst}

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> Portfolio:
        """The inverse of `to_dict`."""
        return cls(tuple(fields["misaligned"]), fields["usual"], fields["worst"])


def portfolio_for(
    baseline: Sequence[float] | Floats, misaligned: Sequence[bool], *, worst: int | None = None
) -> Portfolio:
    """The portfolio whose usual goal is the most common in a baseline, counts or shares (K,)."""
    if len(baseline) != len(misaligned):
        raise ValueError(f"a baseline of {len(baseline)} goals and {len(misaligned)} flags do not fit together")
    return Portfolio(tuple(bool(flag) for flag in misaligned), int(np.argmax(baseline)), worst)
