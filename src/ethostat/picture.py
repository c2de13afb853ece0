"""A trajectory in a terminal: S over time as a picture with its intervals, a line a goal, tables, words."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

from rich.console import Group
from rich.table import Table
from rich.text import Text

from ethostat.visible import stripped

if TYPE_CHECKING:
    from rich.console import RenderableType

    from ethostat.alignment import Alignment
    from ethostat.drift import Drift
    from ethostat.maths.estimate import Estimate
    from ethostat.trajectories import Point, Trajectory

_LEVELS = "▁▂▃▄▅▆▇█"
_WIDTH, _HEIGHT = 60, 8
_ROWS = 12


def trajectory_view(found: Trajectory) -> Group:
    """Title, picture, a line a goal, the table of S, rates, where the mass went, notes."""
    source = found.provenance
    title = Text.assemble((stripped(source.model, most=60), "bold"), f" under {stripped(source.prompts.name, most=40)}")
    title.append(f": {len(found.points)} steps, a step is a {stripped(found.step, most=40)}, {_parts_of(found)}")
    return Group(
        title,
        "",
        *(Text(line) for line in draw(found.points, most=math.log(len(found.goals)))),
        "",
        _goal_lines(found),
        "",
        points_table(found.points, found.goals),
        *(("", *_rates(found.rates)) if found.rates else ()),
        *(Text(f"note: {stripped(note)}", "yellow") for note in source.notes),
    )


def alignment_view(found: Alignment) -> Group:
    """Both trajectories, then gamma, W and the test."""
    figures = found.figures
    table = Table(box=None, pad_edge=False, show_header=False)
    for name, estimate in (
        ("gamma, mean over the horizon", figures.rate),
        ("gamma, early", figures.early_rate),
        ("W, alignment work", figures.work),
        ("W in bits", figures.work_bits),
    ):
        table.add_row(name, Text(stripped(str(estimate), most=200)))
    return Group(
        Text("Base", "bold"),
        trajectory_view(found.base),
        "",
        Text("Tuned", "bold"),
        trajectory_view(found.tuned),
        "",
        Text("Base against tuned", "bold"),
        table,
        Text(found.describe()),
        *(Text(f"note: {stripped(note)}", "yellow") for note in found.notes),
    )


def _rates(found: Drift) -> Iterator[RenderableType]:
    """How S moved, and what may be said of it."""
    fitted = found.relaxation
    table = Table(box=None, pad_edge=False, show_header=False)
    rows: list[tuple[str, Estimate]] = [
        ("slope of a straight line", found.slope),
        ("mean rate, first step to last", found.mean_rate),
        ("early rate", found.early_rate),
    ]
    if fitted.is_curved:
        rows += [("S_inf, where it levels off", fitted.limit), ("tau, its time", fitted.tau)]
    for name, estimate in rows:
        table.add_row(name, Text(stripped(str(estimate), most=200)))
    yield table
    yield Text(f"Where the mass went: {found.where()}.")
    yield Text(f"Constant rate: {found.constancy.words.rstrip('.')}.", "" if found.constancy.is_possible else "yellow")
    yield Text(f"No drift: {found.stillness.words.rstrip('.')}.")
    for note in (*fitted.words, *found.notes):
        yield Text(f"note: {note}", "dim")


def _parts_of(found: Trajectory) -> str:
    count = len(found.parts)
    return f"{count} {found.part}{'s' if count != 1 else ''}"


def draw(points: Sequence[Point], *, most: float, width: int = _WIDTH, height: int = _HEIGHT) -> list[str]:
    """S over time, nats, with intervals, as lines of text; columns hold the mean of the points that share them.

    The scale is from 0 to the largest end of an interval, at most `most`.
    """
    columns = [_mean(cell) for cell in _cells(points, width)]
    top = max(0.05, min(most, max(high for _, _, high in columns)))
    lines = []
    for row in range(height, 0, -1):
        low, high = (row - 1) / height * top, row / height * top
        mark = f"{high:5.2f} ┤" if row in (height, height // 2) else "      │"
        lines.append(mark + "".join(_sign(column, low, high, is_last=row == height) for column in columns))
    return [*lines, " 0.00 └" + "─" * len(columns), f"       {_ends(points, len(columns))}"]


def _cells(points: Sequence[Point], width: int) -> list[Sequence[Point]]:
    count = min(width, len(points))
    edges = [round(n * len(points) / count) for n in range(count + 1)]
    return [points[first:last] for first, last in pairwise(edges)]


def _mean(cell: Sequence[Point]) -> tuple[float, float, float]:
    estimates = [point.headline for point in cell]
    count = len(estimates)
    return (
        sum(one.value for one in estimates) / count,
        sum(one.low for one in estimates) / count,
        sum(one.high for one in estimates) / count,
    )


def _sign(column: tuple[float, float, float], low: float, high: float, *, is_last: bool) -> str:
    value, least, largest = column
    if low <= value < high or (is_last and value >= high) or (low == 0 and value <= 0):
        return "●"
    return "│" if least < high and largest > low else " "


def _ends(points: Sequence[Point], width: int) -> str:
    first, last = f"{points[0].step:g}", f"{points[-1].step:g}"
    return first + last.rjust(max(width - len(first), len(last) + 1))


def spark(values: Sequence[float]) -> str:
    """Shares over time as one line of blocks.

    >>> spark([0, 0.5, 1])
    '▁▅█'
    """
    return "".join(_LEVELS[min(int(value * len(_LEVELS)), len(_LEVELS) - 1)] for value in values)


def _goal_lines(found: Trajectory) -> Table:
    table = Table(box=None, pad_edge=False, show_header=False)
    cells = _cells(found.points, _WIDTH)
    for place, goal in enumerate(found.goals):
        counts = [(sum(p.profile.counts[place] for p in cell), sum(p.profile.n for p in cell)) for cell in cells]
        shares = [count / total for count, total in counts]
        line = Text(spark(shares), "green" if found.aligned[place] else "red")
        table.add_row(goal.ljust(5), line, f"{shares[0]:.0%} to {shares[-1]:.0%}")
    return table


def points_table(points: Sequence[Point], goals: Sequence[str]) -> Table:
    """S at up to 12 steps, evenly chosen, with the interval and the counts."""
    chosen = points
    if len(points) > _ROWS:
        chosen = [points[round(n * (len(points) - 1) / (_ROWS - 1))] for n in range(_ROWS)]
    title = "S over time" if chosen is points else f"S over time, {_ROWS} of {len(points)} steps (--json has all)"
    table = Table(title=title, title_justify="left", box=None, pad_edge=False, header_style="dim")
    is_named = any(point.model for point in points) and len({point.model for point in points}) > 1
    is_timed = any(point.time for point in points)
    for heading in (
        "step",
        *(("model",) if is_named else ()),
        *(("time",) if is_timed else ()),
        "S",
        "aligned",
        "goals",
    ):
        table.add_column(heading)
    for point in chosen:
        cells = [f"{point.step:g}"]
        cells += [stripped(point.model or "", most=30)] if is_named else []
        cells += [stripped(point.time or "", most=25)] if is_timed else []
        counts = ", ".join(f"{g} {n}" for g, n in zip(goals, point.profile.counts, strict=True) if n)
        aligned = f"{point.aligned.value:.0%}" if point.aligned.is_defined else "–"
        table.add_row(*map(Text, (*cells, str(point.headline), aligned, counts)))
    return table
