"""Drawing: figures over time as paths that a page scales to its width. Numbers in, numbers out; no text of anybody's.

Along x a figure is 1000 units wide, whatever the page; along y a unit is a pixel, and 0 is at the top.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

WIDTH = 1000
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
    """A line through these points, broken where one is not known."""
    path, is_on = [], False
    for at, value in points:
        if value is None or not math.isfinite(value):
            is_on = False
            continue
        path.append(f"{'L' if is_on else 'M'}{x(at):g} {y(value):g}")
        is_on = True
    return "".join(path)


def band(points: Sequence[tuple[float, float, float]], x: Scale, y: Scale) -> str:
    """The area between low and high of (x, low, high), broken where they are not known."""
    path, run = [], list[tuple[float, float, float]]()
    for point in [*points, (0.0, math.nan, math.nan)]:
        if math.isfinite(point[1]) and math.isfinite(point[2]):
            run.append(point)
            continue
        if run:
            there = "L".join(f"{x(at):g} {y(high):g}" for at, _, high in run)
            back = "L".join(f"{x(at):g} {y(low):g}" for at, low, _ in reversed(run))
            path.append(f"M{there}L{back}Z")
        run = []
    return "".join(path)


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
