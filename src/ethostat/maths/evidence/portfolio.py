"""Portfolio: the changes of a profile that are looked out for, each with the stake placed on it.

From a baseline p each alternative is a profile q that is a function of p; its factor for a response on goal x is
q(x) / p(x), which is 1 on average while nothing changed. The alternatives:

    stray       0.46   the odds of all goals but the usual one rise 2, 4 or 10 times: it gives way to them as they stand
    misaligned  0.05   the odds of the misaligned goals together rise 3 or 10 times
    usual       0.04   the odds of the usual goal rise 1.5 or 5 times, or 6 % of the traffic turns into it
    alone       0.20   1, 3 or 10 % of the traffic turn into one other goal; twice as much on a misaligned one
    moves       0.09   a quarter of one goal, or of the usual one 2 and 10 % of the traffic, turns into one other
    places      0.16   two goals trade places: the rarer takes the commoner's, or 80 % of both if that is more

With five goals that is 3 + 2 + 3 + 12 + 24 + 10 = 54 alternatives. The usual goal is the baseline's most common one.
Sizes and stakes were chosen by simulation on random profiles and changes, to keep the delay near that of a detector
that knows what comes: 1.2 times on jumps of S, 1.6 times on other changes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ethostat.maths.detector import Floats

ODDS_OF_STRAY = (2.0, 4.0, 10.0)
"""How many times the odds rise that a response is not on the usual goal."""
_ODDS_OF_MISALIGNED = (3.0, 10.0)
_ODDS_OF_USUAL = (1.5, 5.0)
_INTO_USUAL = 0.06
_INTO_ONE = (0.01, 0.03, 0.1)
_FRACTION = 0.25
_FROM_USUAL = (0.02, 0.1)
_MOST_FROM_USUAL = 0.5
_TRADED = 0.8
_STAKES = {"stray": 0.46, "misaligned": 0.05, "usual": 0.04, "alone": 0.20, "moves": 0.09, "places": 0.16}


class _Alternative(NamedTuple):
    """A factor for each goal, kept + times * value; `value` is a place among what `Portfolio.factors` works out."""

    family: str
    kept: Sequence[float]
    times: Sequence[float]
    value: Sequence[int]
    part: float = 1.0


@dataclass(frozen=True)
class Portfolio:
    """Alternatives over K goals.

    `misaligned` (K,) flags the goals whose rise is bad news, `usual` is the place of the usual one. Raises ValueError
    where they do not fit together.
    """

    misaligned: tuple[bool, ...]
    usual: int = 0

    def __post_init__(self) -> None:
        goals = len(self.misaligned)
        if goals < 2 or not 0 <= self.usual < goals:
            raise ValueError(f"a portfolio needs 2 or more goals and the usual one among them, got {self}")

    @property
    def goals(self) -> int:
        """K."""
        return len(self.misaligned)

    @cached_property
    def stakes(self) -> Floats:
        """What is staked on each alternative, (G,), summing to 1."""
        families = [alternative.family for alternative in self._alternatives]
        parts = np.array([alternative.part for alternative in self._alternatives])
        whole = {family: parts[[one == family for one in families]].sum() for family in families}
        stakes = np.array([_STAKES[family] / whole[family] for family in families]) * parts
        return np.asarray(stakes / stakes.sum())

    @cached_property
    def _raised(self) -> list[tuple[str, tuple[int, ...], tuple[float, ...]]]:
        """Family, goals whose odds rise together, and how many times they do."""
        others = tuple(goal for goal in range(self.goals) if goal != self.usual)
        bad = tuple(goal for goal, flag in enumerate(self.misaligned) if flag)
        rows = [("stray", others, ODDS_OF_STRAY), ("misaligned", bad, _ODDS_OF_MISALIGNED)]
        return [row for row in rows if 0 < len(row[1]) < self.goals] + [("usual", (self.usual,), _ODDS_OF_USUAL)]

    @cached_property
    def _groups(self) -> list[tuple[tuple[int, ...], list[float]]]:
        """Goals whose odds rise together, and by how many times more than before."""
        return [(those, [odds - 1 for odds in sizes]) for _, those, sizes in self._raised]

    @cached_property
    def _alternatives(self) -> list[_Alternative]:
        """All of them. The values are those of raised odds, 1 / p(x), two of the usual goal, and two for each goal."""
        raised_odds = [(family, those, odds) for family, those, sizes in self._raised for odds in sizes]
        goals, raised = range(self.goals), len(raised_odds)
        taken, ratio, traded = raised + 1, raised + 3, raised + 3 + self.goals
        none, one = [0.0] * self.goals, [1.0] * self.goals

        def at(goal: int, there: float, elsewhere: float = 0.0) -> list[float]:
            return [there if place == goal else elsewhere for place in goals]

        def into(family: str, goal: int, size: float) -> _Alternative:
            part = 2.0 if self.misaligned[goal] else 1.0
            return _Alternative(family, [1 - size] * self.goals, at(goal, size), [raised] * self.goals, part)

        out = [
            _Alternative(family, none, [odds if goal in those else 1.0 for goal in goals], [place] * self.goals)
            for place, (family, those, odds) in enumerate(raised_odds)
        ]
        out.append(into("usual", self.usual, _INTO_USUAL)._replace(part=1.0))
        out += [into("alone", goal, size) for goal in goals if goal != self.usual for size in _INTO_ONE]
        for source in goals:
            for target in goals:
                if source == target:
                    continue
                if source != self.usual:
                    kept = at(source, 1 - _FRACTION, 1.0)
                    out.append(_Alternative("moves", kept, at(target, _FRACTION), [ratio + source] * self.goals))
                    continue
                signs = [float(goal == target) - (goal == source) for goal in goals]
                out += [
                    _Alternative("moves", one, signs, [taken + place] * self.goals) for place in range(len(_FROM_USUAL))
                ]
        for first, second in combinations(goals, 2):
            is_one = [float(goal in (first, second)) for goal in goals]
            other = [traded + (second if goal == first else first) for goal in goals]
            out.append(_Alternative("places", [1 - here for here in is_one], is_one, other))
        return out

    @cached_property
    def _by_goal(self) -> tuple[Floats, Floats, NDArray[np.int64]]:
        """What is kept, times and value of each goal and alternative, (K, G) each."""
        columns = self._alternatives
        kept = np.array([column.kept for column in columns], dtype=np.float64).T
        times = np.array([column.times for column in columns], dtype=np.float64).T
        value = np.array([column.value for column in columns], dtype=np.int64).T
        return np.ascontiguousarray(kept), np.ascontiguousarray(times), np.ascontiguousarray(value)

    @cached_property
    def _of_goal(self) -> list[tuple[Floats, Floats, NDArray[np.int64]]]:
        return list(zip(*self._by_goal, strict=True))

    def factors(self, goal: int, weights: Sequence[float]) -> Floats:
        """q(x) / p(x) of every alternative, (G,), for a response on goal x; `weights` (K,) are c p for any c > 0."""
        kept, times, value = self._of_goal[goal]
        own, whole, left = weights[goal], 0.0, 1 - _TRADED
        for weight in weights:
            whole += weight
        values = []
        for those, rises in self._groups:
            part = 0.0
            for one in those:
                part += weights[one]
            values += [whole / (whole + rise * part) for rise in rises]
        values.append(whole / own)
        most = _MOST_FROM_USUAL * weights[self.usual]
        for share in _FROM_USUAL:
            taken = share * whole
            values.append((taken if taken < most else most) / own)
        traded = []
        for place, weight in enumerate(weights):
            values.append(weight / own)
            both = own + weight
            if own < weight or (own == weight and goal < place):
                gets = _TRADED * both
                traded.append((gets if gets > weight else weight) / own)
            else:
                gets = left * both
                traded.append((gets if gets < weight else weight) / own)
        values += traded
        out = np.array(values).take(value)
        out *= times
        out += kept
        return out

    def factors_of_many(self, goals: NDArray[np.int64], weights: Floats) -> Floats:
        """`factors` of goals (n,) against weights (n, K), (n, G): the same steps, so that all agree to the last bit."""
        kept, times, value = self._by_goal
        columns = list(weights.T)
        own, whole, left = weights[np.arange(len(goals)), goals], total_of(columns), 1 - _TRADED
        values = []
        for those, rises in self._groups:
            part = total_of([columns[one] for one in those])
            values += [whole / (whole + rise * part) for rise in rises]
        values.append(whole / own)
        most = _MOST_FROM_USUAL * columns[self.usual]
        values += [np.minimum(share * whole, most) / own for share in _FROM_USUAL]
        values += [column / own for column in columns]
        for place, column in enumerate(columns):
            both = own + column
            is_rarer = (own < column) | ((own == column) & (goals < place))
            gets = np.where(is_rarer, np.maximum(column, _TRADED * both), np.minimum(column, left * both))
            values.append(gets / own)
        out = np.take_along_axis(np.stack(values, axis=1), value.take(goals, axis=0), axis=1)
        out *= times.take(goals, axis=0)
        out += kept.take(goals, axis=0)
        return np.asarray(out)

    def table(self, weights: Sequence[float]) -> Floats:
        """The factors of every goal, (K, G)."""
        return np.stack([self.factors(goal, weights) for goal in range(self.goals)])

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {"misaligned": list(self.misaligned), "usual": self.usual}

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> Portfolio:
        """The inverse of `to_dict`."""
        return cls(tuple(fields["misaligned"]), fields["usual"])


def total_of(columns: Sequence[Any]) -> Any:
    """Their sum from the first to the last, of numbers or of arrays."""
    total: Any = 0.0
    for column in columns:
        total = total + column
    return total


def portfolio_for(baseline: Sequence[float] | Floats, misaligned: Sequence[bool]) -> Portfolio:
    """The portfolio whose usual goal is the most common in a baseline, counts or shares (K,)."""
    if len(baseline) != len(misaligned):
        raise ValueError(f"a baseline of {len(baseline)} goals and {len(misaligned)} flags do not fit together")
    return Portfolio(tuple(bool(flag) for flag in misaligned), int(np.argmax(baseline)))
