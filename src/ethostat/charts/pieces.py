"""What figures are made of: rows of dots, whiskers, axes that name unit and n, names that are inert."""

from __future__ import annotations

import html
import math
import re
from collections.abc import Mapping, Sequence

import plotly.graph_objects as go

from ethostat.charts.scheme import FONT, Scheme
from ethostat.maths.estimate import Estimate

ROW = 40
"""Height of one row, pixels."""
_LONGEST_NAME = 30
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def dots(rows: Mapping[str, Estimate], scheme: Scheme, *, title: str) -> go.Figure:
    """A row for each estimate: a dot with its interval; `title` is the axis's."""
    estimates = list(rows.values())
    points = go.Scatter(
        x=[number(estimate.value) for estimate in estimates],
        y=list(range(len(estimates))),
        mode="markers",
        marker={"color": scheme.accent, "size": 10},
        error_x=whiskers(estimates, scheme.accent),
        hovertext=[hover(name, estimate) for name, estimate in rows.items()],
        hoverinfo="text",
    )
    names = [name if estimate.is_defined else f"{name} (undefined)" for name, estimate in rows.items()]
    return rows_figure([points], names, scheme, title=title)


def rows_figure(traces: list[object], names: Sequence[str], scheme: Scheme, *, title: str) -> go.Figure:
    """Traces whose y are places of rows, the rows named from top to bottom; a name's markup is inert."""
    figure = go.Figure(traces, layout=layout(scheme, height=84 + ROW * len(names)))
    named_rows(figure, names, scheme)
    figure.update_xaxes(title_text=title)
    return figure


def named_rows(figure: go.Figure, names: Sequence[str], scheme: Scheme, **where: int) -> None:
    """Name the rows of a panel from top to bottom; `where` is the panel's row and column, all panels without it."""
    figure.update_yaxes(
        tickvals=list(range(len(names))),
        ticktext=[safe(name) for name in names],
        range=[len(names) - 0.4, -0.6],
        showgrid=False,
        zeroline=False,
        **axis_style(scheme, standoff=8),
        **where,
    )
    figure.update_xaxes(gridcolor=scheme.line, zerolinecolor=scheme.muted, **axis_style(scheme, standoff=10), **where)


def axis_style(scheme: Scheme, *, standoff: int) -> dict[str, object]:
    """What all axes share: no zooming, no ticks, a quiet title."""
    return {
        "automargin": True, "fixedrange": True, "ticks": "", "linecolor": scheme.line,
        "title": {"font": {"size": 12, "color": scheme.muted}, "standoff": standoff},
    }  # fmt: skip


def legend_above(figure: go.Figure) -> go.Figure:
    """A legend on one line above the figure, which hides nothing when it is clicked."""
    return figure.update_layout(
        showlegend=True,
        margin={"t": 44},
        legend={
            "orientation": "h", "x": 0, "y": 1, "yanchor": "bottom", "itemclick": False, "itemdoubleclick": False,
            "traceorder": "normal",
        },
    )  # fmt: skip


def layout(scheme: Scheme, *, height: int) -> go.Layout:
    """What all figures share: font, transparent ground, margins, no legend."""
    return go.Layout(
        template=go.layout.Template(),
        height=height,
        margin={"l": 8, "r": 16, "t": 12, "b": 62},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        font={"family": FONT, "size": 13, "color": scheme.ink},
        xaxis=axis_style(scheme, standoff=10),
        yaxis=axis_style(scheme, standoff=8),
        showlegend=False,
        hoverlabel={"font": {"family": FONT, "size": 12}, "align": "left"},
        dragmode=False,
    )


def to_ceiling(figure: go.Figure, goals: int, scheme: Scheme) -> go.Figure:
    """Scale the axis from 0 to ln K, and mark ln K."""
    top = math.log(goals)
    figure.update_xaxes(range=[-0.02 * top, top * 1.06])
    figure.add_vline(x=top, line={"color": scheme.muted, "width": 1, "dash": "dot"})
    figure.add_annotation(
        x=top, y=1, yref="paper", text=f"ln {goals}", showarrow=False, xanchor="right", xshift=-4, yanchor="top",
        font={"size": 11, "color": scheme.muted},
    )  # fmt: skip
    return figure


def whiskers(estimates: Sequence[Estimate], color: str) -> dict[str, object]:
    """The error bars that are these intervals."""
    return {
        "type": "data",
        "symmetric": False,
        "array": [number(estimate.high - estimate.value) for estimate in estimates],
        "arrayminus": [number(estimate.value - estimate.low) for estimate in estimates],
        "color": color,
        "thickness": 1.6,
        "width": 5,
    }


def number(value: float) -> float | None:
    """The value, None where it is not finite: a gap."""
    return value if math.isfinite(value) else None


def top(estimates: Sequence[Estimate]) -> float:
    """The largest end of an interval, 1 where there is none."""
    return max((estimate.high for estimate in estimates if math.isfinite(estimate.high)), default=1.0)


def axis(unit: str, estimates: Sequence[Estimate]) -> str:
    """An axis's title: unit, then n and level."""
    return f"{unit}<br>{size(estimates)}"


def size(estimates: Sequence[Estimate]) -> str:
    """n and level of these estimates, in words."""
    known = [estimate for estimate in estimates if estimate.is_defined]
    if not known:
        return "nothing to draw"
    least, most = min(row.n for row in known), max(row.n for row in known)
    n = f"n = {most:,}" if least == most else f"n = {least:,} to {most:,}"
    return f"{n}; lines: {known[0].level:.0%} interval"


def hover(name: str, estimate: Estimate) -> str:
    """What stands under the pointer: the name, then the estimate in full."""
    return f"{safe(name)}<br>{safe(str(estimate), longest=200)}"


def safe(text: str, *, longest: int = _LONGEST_NAME) -> str:
    """The text on one line, cut, without control characters, and inert: plotly reads tags and formulas in text."""
    line = " ".join(_CONTROL.sub(" ", text).split())
    cut = line if len(line) <= longest else line[: longest - 1] + "…"
    return html.escape(cut, quote=False).replace("$", "&#36;")  # between dollars plotly looks for formulas


def faded(color: str, opacity: float) -> str:
    """A colour written #rrggbb, seen through.

    >>> faded("#1f4e79", 0.2)
    'rgba(31,78,121,0.2)'
    """
    red, green, blue = (int(color[at : at + 2], 16) for at in (1, 3, 5))
    return f"rgba({red},{green},{blue},{opacity:g})"
