"""Measurements by group as one self-contained HTML page, or as Markdown."""

from __future__ import annotations

from plotly.graph_objects import Figure

from ethostat import charts
from ethostat.grouped import Group, Grouped
from ethostat.maths.estimate import Estimate
from ethostat.report import words
from ethostat.report.plain import code, escape
from ethostat.report.shell import render
from ethostat.visible import one_line

DRAWN, LISTED = 40, 500
"""Groups that figures and tables have room for, the largest; JSON holds all."""


def grouped_html(found: Grouped) -> str:
    """The whole page, about 5 MB, most of it plotly's own JavaScript."""
    return render(
        "grouped.html",
        script="figures.js",
        aligned=found.taxonomy.aligned,
        figures=lambda scheme: _figures(found, scheme),
        found=found,
        groups=_largest(found, LISTED),
        hatched=["" if good else " hatched" for good in found.taxonomy.aligned],
        drawn=min(DRAWN, len(found.groups)),
        charts={name: _lines(rows) for name, rows in _rows(found).items()},
    )


def grouped_markdown(found: Grouped) -> str:
    """A table with a row a group. Names stand as inert text."""
    names = " | ".join(map(code, found.by)) or "group"
    lines = [f"| {names} | n | S, nats | interval | aligned | interval |", "| --- " * max(len(found.by), 1)]
    lines[1] += "| ---: | ---: | --- | ---: | --- |"
    for group in _largest(found, LISTED):
        one = group.measurement
        key = " | ".join(map(code, group.key.values())) or "all"
        figures = (words.value(one.headline), words.interval(one.headline))
        aligned = (words.value(one.aligned), words.interval(one.aligned))
        lines.append(f"| {key} | {one.profile.n:,} | {' | '.join((*figures, *aligned))} |")
    about = [f"## Ethical entropy of {code(found.source)} by {escape(', '.join(found.by) or 'nothing')}"]
    if len(found.groups) > LISTED:
        about.append(f"The largest {LISTED} of {len(found.groups):,} groups.")
    if found.rejected:
        about.append(f"> {found.rejected:,} rows were not used: {escape(one_line('; '.join(found.first)))}")
    return "\n\n".join([*about, "\n".join(lines)]) + "\n"


def _figures(found: Grouped, scheme: charts.Scheme) -> dict[str, Figure]:
    rows = _rows(found)
    return {
        "entropies": charts.entropy_by_group(rows["entropies"], goals=len(found.taxonomy.goals), scheme=scheme),
        "aligned": charts.aligned_by_group(rows["aligned"], scheme=scheme),
    }


def _rows(found: Grouped) -> dict[str, dict[str, Estimate]]:
    drawn = _largest(found, DRAWN)
    return {
        "entropies": {group.name: group.measurement.headline for group in drawn},
        "aligned": {group.name: group.measurement.aligned for group in drawn},
    }


def _largest(found: Grouped, most: int) -> list[Group]:
    """At most so many groups, the largest, in the order of their keys."""
    if len(found.groups) <= most:
        return list(found.groups)
    kept = sorted(found.groups, key=lambda group: -group.measurement.profile.n)[:most]
    return sorted(kept, key=lambda group: tuple(group.key.values()))


def _lines(rows: dict[str, Estimate]) -> str:
    return one_line("; ".join(words.describe(name, row) for name, row in rows.items()))
