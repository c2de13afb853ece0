"""Drawing: figures over time as paths that a page scales to its width. Numbers in, numbers out; no text of anybody's.

Along x a figure is 1000 units wide, whatever the page; along y a unit is a pixel, and 0 is at the top.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

WIDTH = 1000
_DASH = 10
_NICE = (1.0, 2.0, 2.5, 5.0, 10.0)


@dataclass(frozen=True, slots=True)
class Scale:
    """Where values from `low` to `high` lie along `length`; turned: the largest at 0."""

    low: float
    high: float
    length: float
    turned: bool = False

    def __call__(self, value: float) -> float:
        """The place of a value, within the figure whatever it is."""
        span = self.high - self.low
        part = 0.5 if span <= 0 else min(max((value - self.low) / span, 0.0), 1.0)
        return round((1 - part if self.turned else part) * self.length, 2)

    def percent(self, value: float) -> float:
        """The same in percent of the length."""
        return round(100 * self(value) / self.length, 3)


@dataclass(frozen=True, slots=True)
class Tick:
    """A value on an axis: its place and how it is written."""

    place: float
    text: str


def line(points: Sequence[tuple[float, float | None]], x: Scale, y: Scale) -> str:
    """A line through these points, broken where one is not known; a point alone is a dash.

    >>> across, up = Scale(0, 10, WIDTH), Scale(0, 1, 100, turned=True)
    >>> line([(0, 0.5), (5, 0.25), (6, None), (8, 1.0)], across, up)
    'M0 50L500 75M795 0h10'
    """
    path = []
    for run in _runs([(at, math.nan if value is None else value) for at, value in points]):
        if len(run) == 1:
            path.append(f"M{_dash(x, run[0][0])} {y(run[0][1]):g}h{_DASH}")
        else:
            path.append("M" + "L".join(f"{x(at):g} {y(value):g}" for at, value in run))
    return "".join(path)


def band(points: Sequence[tuple[float, float, float]], x: Scale, y: Scale) -> str:
    """The area between low and high of (x, low, high), broken where they are not known; of a point alone, a dash."""
    path = []
    for run in _runs(points):
        if len(run) == 1:
            at, low, high = run[0]
            path.append(f"M{_dash(x, at)} {y(high):g}h{_DASH}V{y(low):g}h-{_DASH}Z")
            continue
        there = "L".join(f"{x(at):g} {y(high):g}" for at, _, high in run)
        back = "L".join(f"{x(at):g} {y(low):g}" for at, low, _ in reversed(run))
        path.append(f"M{there}L{back}Z")
    return "".join(path)


def _dash(x: Scale, at: float) -> str:
    """Where the dash of a point alone begins, so that all of it is seen."""
    return f"{min(max(x(at) - _DASH / 2, 0), x.length - _DASH):g}"


def _runs(points: Sequence[tuple[float, ...]]) -> list[list[tuple[float, ...]]]:
    """Consecutive points of which all is known."""
    known = groupby(points, key=lambda point: all(map(math.isfinite, point)))
    return [list(run) for is_known, run in known if is_known]


def stacks(bars: Sequence[tuple[float, float, Sequence[float]]], x: Scale, y: Scale) -> list[str]:
    """A path for each part of bars (from, to, parts), the first part at the bottom; a bar is as tall as its sum is."""
    if not bars:
        return []
    paths: list[list[str]] = [[] for _ in bars[0][2]]
    for start, end, parts in bars:
        total, below = sum(parts), 0.0
        for place, part in enumerate(parts):
            if part > 0:
                low, high = y(below / total), y((below + part) / total)
                paths[place].append(f"M{x(start):g} {low:g}V{high:g}H{x(end):g}V{low:g}Z")
                below += part
    return ["".join(path) for path in paths]


def ticks(scale: Scale, *, about: int, unit: str = "") -> list[Tick]:
    """Round values along an axis, about so many."""
    span = scale.high - scale.low
    if not math.isfinite(span) or span <= 0:
        return []
    rough = span / about
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(nice * power for nice in _NICE if nice * power >= rough * (1 - 1e-9))
    first = math.ceil(scale.low / step - 1e-9)
    values = [place * step for place in range(first, math.floor(scale.high / step + 1e-9) + 1)]
    decimals = max(0, -math.floor(math.log10(step) + 1e-9)) + (1 if abs(step / power - 2.5) < 1e-9 and step < 10 else 0)
    return [Tick(scale(value), f"{value:,.{decimals}f}{unit}") for value in values]
