"""Figures of what a detector's settings give: delay against size of change, run length against threshold."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import plotly.graph_objects as go

from ethostat.calibrating import POWER, SIZES, Calibrated, Found
from ethostat.charts.pieces import axis, hover, layout, legend_above, number, safe, whiskers
from ethostat.charts.scheme import LIGHT, Scheme
from ethostat.maths.estimate import Estimate

_MOST_LINES = 3
_STYLES = (("solid", "circle"), ("dash", "square"), ("dot", "diamond"))


def delay_by_size(found: Calibrated, direction: str, *, scheme: Scheme = LIGHT) -> go.Figure:
    """Mean responses until a change is found against its size in points, a line for each of up to three settings.

    The dotted line is what is asked for: `within` so many responses.
    """
    figure = _by_size(found, direction, lambda one: one.delay, scheme)
    figure.add_hline(y=found.within, line={"color": scheme.muted, "width": 1, "dash": "dot"})
    figure.add_annotation(
        x=1, xref="paper", y=math.log10(found.within), text=f"{found.within:,} responses", showarrow=False,
        xanchor="right", yanchor="bottom", font={"size": 11, "color": scheme.muted},
    )  # fmt: skip
    figure.update_yaxes(title_text="responses until found", type="log", tickformat="~s", dtick="D2")
    return figure


def found_by_size(found: Calibrated, direction: str, *, scheme: Scheme = LIGHT) -> go.Figure:
    """The share of changes found within so many responses against their size in points; 80 % is marked."""
    figure = _by_size(found, direction, lambda one: one.within, scheme)
    figure.add_hline(y=POWER, line={"color": scheme.muted, "width": 1, "dash": "dot"})
    figure.update_yaxes(title_text=f"found within {found.within:,} responses", range=[-0.03, 1.05], tickformat=".0%")
    return figure


def run_length_by_threshold(found: Calibrated, *, scheme: Scheme = LIGHT) -> go.Figure:
    """The run length that was simulated against the one asked for, which is the threshold; on the line they agree."""
    known = [(asked, one) for asked, one in found.thresholds if one.is_defined]
    figure = go.Figure(layout=layout(scheme, height=340))
    ends = [known[0][0], known[-1][0]]
    figure.add_scatter(
        name="as promised", x=ends, y=ends, mode="lines", line={"color": scheme.muted, "width": 1, "dash": "dot"},
        hoverinfo="skip",
    )  # fmt: skip
    figure.add_trace(_line("simulated", [asked for asked, _ in known], [one for _, one in known], 0, scheme))
    settings = {"type": "log", "tickformat": "~s", "dtick": 1, "gridcolor": scheme.line, "zeroline": False}
    figure.update_xaxes(title_text=axis("run length asked for", [one for _, one in known]), **settings)
    figure.update_yaxes(title_text="simulated, responses", **settings)
    return legend_above(figure)


def drawn_settings(found: Calibrated) -> list[int]:
    """The places of the settings that get a line: the first, a middle one and the last."""
    n = len(found.costs)
    return list(range(n)) if n <= _MOST_LINES else [0, n // 2, n - 1]


def setting_name(found: Calibrated, place: int) -> str:
    """What a setting is called: run length 10,000."""
    asked = found.costs[place].asked
    return found.detector if asked is None else f"{found.promise} {asked:,g}"


def _by_size(found: Calibrated, direction: str, which: Callable[[Found], Estimate], scheme: Scheme) -> go.Figure:
    figure = go.Figure(layout=layout(scheme, height=340))
    rows = found.curves[direction]
    for style, place in enumerate(drawn_settings(found)):
        estimates = [which(one) for one in rows[place]]
        figure.add_trace(_line(setting_name(found, place), [100 * size for size in SIZES], estimates, style, scheme))
    every = [which(one) for row in rows for one in row]
    figure.update_xaxes(
        title_text=axis(f"{safe(direction, longest=60)}: points", every), gridcolor=scheme.line, zeroline=False,
        range=[0, 100 * SIZES[-1] * 1.03],
    )  # fmt: skip
    figure.update_yaxes(gridcolor=scheme.line, zeroline=False)
    return legend_above(figure)


def _line(name: str, x: Sequence[float], estimates: Sequence[Estimate], style: int, scheme: Scheme) -> go.Scatter:
    dash, symbol = _STYLES[style]
    color = (scheme.accent, scheme.misaligned[0], scheme.aligned[1])[style]
    return go.Scatter(
        name=safe(name),
        x=list(x),
        y=[number(one.value) for one in estimates],
        mode="lines+markers",
        line={"color": color, "dash": dash, "width": 1.8},
        marker={"color": color, "symbol": symbol, "size": 7},
        error_y=whiskers(estimates, color),
        hovertext=[hover(f"{name}, {at:g}", one) for at, one in zip(x, estimates, strict=True)],
        hoverinfo="text",
    )
