"""A trajectory, or base against tuned, as Markdown, short enough for a comment on a pull request."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ethostat.alignment import Alignment
from ethostat.maths.estimate import Estimate
from ethostat.report import courses
from ethostat.report.followed import Followed
from ethostat.report.plain import code, escape
from ethostat.report.words import interval, p_value, signed, signed_interval, value
from ethostat.trajectories import Point, Trajectory
from ethostat.visible import one_line

_MOST_POINTS = 12


def trajectory_markdown(found: Followed) -> str:
    """What was found, rates, gamma and W, up to 12 steps evenly chosen, notes. Names stand as inert text."""
    parts = []
    if isinstance(found, Alignment):
        parts = [
            f"## {code(found.tuned.provenance.model)} against {code(found.base.provenance.model)}",
            *map(escape, courses.alignment_sentences(found)),
            _estimates("base against tuned", courses.work(found)),
            f"Test that gamma is above 0: p = {p_value(found.figures.p_value)}.",
        ]
    if rates := courses.rates(found):
        parts.append(_estimates(f"nats a {escape(courses.step(found))}", rates))
    for name, one in courses.series(found).items():
        parts += _one(name, one)
    notes = found.notes if isinstance(found, Alignment) else ()
    return "\n\n".join([*parts, *_quoted(notes)]) + "\n"


def _one(name: str, found: Trajectory) -> list[str]:
    parts = [
        f"## S over time, {name}: {code(found.provenance.model)}"
        if name != "S"
        else f"## S over time: {code(found.provenance.model)}",
        *map(escape, courses.sentences(found)),
    ]
    if limits := courses.limits(found):
        parts.append(_estimates("relaxation", limits))
    return [*parts, _points(found), *_quoted(found.provenance.notes)]


def _points(found: Trajectory) -> str:
    head = (escape(found.step), "S", "interval", "aligned", "interval", *map(escape, found.goals))
    lines = [head, ["---"] * len(head), *(_cells(point) for point in _chosen(found.points))]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cells(point: Point) -> list[str]:
    name = f"{point.step:g}" if point.model is None else f"{point.step:g} {code(point.model)}"
    s, aligned = point.headline, point.aligned
    return [name, value(s), interval(s), value(aligned), interval(aligned), *map(str, point.profile.counts)]


def _chosen(points: Sequence[Point]) -> Sequence[Point]:
    if len(points) <= _MOST_POINTS:
        return points
    return [points[round(n * (len(points) - 1) / (_MOST_POINTS - 1))] for n in range(_MOST_POINTS)]


def _estimates(heading: str, rows: Mapping[str, Estimate]) -> str:
    lines = [f"| {heading} | value | interval | n |", "| --- | ---: | --- | ---: |"]
    for name, row in rows.items():
        lines.append(f"| {escape(name)} | {signed(row)} | {signed_interval(row)} | {row.n:,} |")
    return "\n".join(lines)


def _quoted(notes: Sequence[str]) -> list[str]:
    return [f"> {escape(one_line(note))}" for note in notes]
