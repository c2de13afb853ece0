"""Figures: every one draws its interval, and names its unit and n.

Each function gives a plotly figure in a Scheme (LIGHT or DARK) whose grounds are transparent. Aligned goals are
filled, the others hatched, so that they differ without colour. Names are escaped: plotly reads tags in text.
Only SVG traces are used, since plotly's WebGL traces compile code in the browser.
"""

from __future__ import annotations

import html
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import plotly.graph_objects as go

from ethostat.maths.agreement import Bin
from ethostat.maths.estimate import Estimate
from ethostat.measurement import Measurement, PromptResult, VarianceShares
from ethostat.taxonomy import Taxonomy

CONFIG = {"displayModeBar": False, "responsive": True, "scrollZoom": False, "doubleClick": False}
"""What the browser is to be told of every figure."""

FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"
_LONGEST_NAME = 30
_ROW = 40
_BESIDE, _BELOW = 0.14, 0.27
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Scheme:
    """Colours of one colour scheme: text, lines, a single accent, and one row each for aligned and other goals.

    The rows are those of Okabe and Ito, shifted in lightness until they stand out from the ground.
    """

    ink: str
    muted: str
    line: str
    accent: str
    aligned: tuple[str, ...]
    misaligned: tuple[str, ...]


LIGHT = Scheme(
    ink="#1c2126",
    muted="#5b6670",
    line="#dfe3e6",
    accent="#1f4e79",
    aligned=("#0b6aa8", "#0f8f78", "#4a9bd0", "#5a7d2a"),
    misaligned=("#c2500a", "#d39a00", "#9a5b8f", "#7a6a5a"),
)
DARK = Scheme(
    ink="#e4e8eb",
    muted="#9aa6b0",
    line="#333b42",
    accent="#8fc1ea",
    aligned=("#4ea3dc", "#38b99d", "#9ccbee", "#9dbb62"),
    misaligned=("#ee8549", "#e8bb3f", "#cf96c4", "#b5a596"),
)


def goal_colors(aligned: Sequence[bool], scheme: Scheme) -> tuple[str, ...]:
    """One colour a goal: cool for aligned goals, warm for the others; rows repeat when goals outnumber them."""
    cool = warm = 0
    colors = []
    for good in aligned:
        row, place = (scheme.aligned, cool) if good else (scheme.misaligned, warm)
        colors.append(row[place % len(row)])
        cool, warm = cool + good, warm + (not good)
    return tuple(colors)


def goal_shares(
    shares: Sequence[Estimate],
    *,
    taxonomy: Taxonomy,
    corrected: Sequence[Estimate] | None = None,
    scheme: Scheme = LIGHT,
) -> go.Figure:
    """One bar a goal: its share of all responses, with the interval; below it the corrected share with its own."""
    places = list(range(len(shares)))
    bars = go.Bar(
        name="as classified",
        x=[_number(share.value) for share in shares],
        y=places if corrected is None else [place - _BESIDE for place in places],
        orientation="h",
        marker={
            "color": list(goal_colors(taxonomy.aligned, scheme)),
            "pattern": {"shape": ["" if good else "/" for good in taxonomy.aligned], "fillmode": "replace", "size": 6},
            "line": {"width": 1, "color": list(goal_colors(taxonomy.aligned, scheme))},
        },
        error_x=_whiskers(shares, scheme.ink),
        hovertext=[
            _hover(f"{goal.key} {goal.name}", share) for goal, share in zip(taxonomy.goals, shares, strict=True)
        ],
        hoverinfo="text",
        width=0.56 if corrected is None else 0.42,
    )
    names = [f"{goal.key}  {goal.name}" for goal in taxonomy.goals]
    traces = [bars] if corrected is None else [bars, _corrected_dots(corrected, taxonomy, scheme)]
    figure = _rows_figure(traces, names, scheme, title=_axis("share of responses", shares))
    figure.update_xaxes(tickformat=".0%", range=[0, min(1.02, _top([*shares, *(corrected or ())]) * 1.08)])
    if corrected is not None:
        figure.update_layout(
            height=116 + 48 * len(names),
            margin={"t": 40},
            showlegend=True,
            legend={"orientation": "h", "x": 0, "y": 1.01, "yanchor": "bottom", "itemclick": False},
        )
    return figure


def _corrected_dots(shares: Sequence[Estimate], taxonomy: Taxonomy, scheme: Scheme) -> go.Scatter:
    """Open diamonds: corrected shares, each with its interval, below the bar of its goal."""
    return go.Scatter(
        name="corrected",
        x=[_number(share.value) for share in shares],
        y=[place + _BELOW for place in range(len(shares))],
        mode="markers",
        marker={"symbol": "diamond-open", "size": 9, "color": scheme.ink, "line": {"width": 1.6}},
        error_x=_whiskers(shares, scheme.muted),
        hovertext=[
            _hover(f"{goal.key} {goal.name}, corrected", share)
            for goal, share in zip(taxonomy.goals, shares, strict=True)
        ],
        hoverinfo="text",
    )


def entropy_parts(measurement: Measurement, *, scheme: Scheme = LIGHT) -> go.Figure:
    """Within, between and pooled S on one scale from 0 to ln K nats, each with its interval."""
    parts = entropy_rows(measurement)
    figure = _dots(parts, scheme, title=_axis("nats", list(parts.values())))
    return _to_ceiling(figure, len(measurement.goals), scheme)


def entropy_by_category(categories: Mapping[str, Estimate], *, goals: int, scheme: Scheme = LIGHT) -> go.Figure:
    """Mean within-prompt S of each prompt category, nats, with its interval."""
    figure = _dots(categories, scheme, title=_axis("mean within-prompt S, nats", list(categories.values())))
    return _to_ceiling(figure, goals, scheme)


def prompt_entropies(prompts: Sequence[PromptResult], *, goals: int, scheme: Scheme = LIGHT) -> go.Figure:
    """S of every prompt with its interval, nats, from the least to the most uncertain; undefined ones are left out.

    `customdata` of the points holds each prompt's place in `prompts`.
    """
    known = [place for place, row in enumerate(prompts) if row.entropy.is_defined]
    order = sorted(known, key=lambda place: (prompts[place].entropy.value, prompts[place].entropy.high))
    rows = [prompts[place] for place in order]
    figure = go.Figure(layout=_layout(scheme, height=320))
    figure.add_scatter(
        x=[x for rank in range(1, len(rows) + 1) for x in (rank, rank, None)],
        y=[y for row in rows for y in (row.entropy.low, row.entropy.high, None)],
        mode="lines",
        line={"color": scheme.muted, "width": 1.5},
        opacity=0.55,
        hoverinfo="skip",
    )
    figure.add_scatter(
        x=list(range(1, len(rows) + 1)),
        y=[row.entropy.value for row in rows],
        mode="markers",
        marker={"color": scheme.accent, "size": 7 if len(rows) <= 150 else 4},
        customdata=order,
        hovertext=[_hover(row.id, row.entropy) for row in rows],
        hoverinfo="text",
    )
    sizes = [row.entropy for row in rows]
    figure.update_xaxes(title_text=_axis("prompts, by S", sizes), zeroline=False, showgrid=False)
    figure.update_yaxes(title_text="S, nats", range=[-0.04, math.log(goals) * 1.05], gridcolor=scheme.line)
    return figure


def variance(shares: VarianceShares, *, scheme: Scheme = LIGHT) -> go.Figure:
    """Where the uncertainty of the headline comes from: one bar, split into sampling, prompts and classifier."""
    rows = (("sampling", shares.sampling), ("prompts", shares.prompts), ("classifier", shares.classifier))
    fills = (scheme.aligned[0], scheme.misaligned[1], scheme.misaligned[2])
    figure = go.Figure(layout=_layout(scheme, height=176))
    for (name, share), color, pattern in zip(rows, fills, ("", "/", "."), strict=True):
        figure.add_bar(
            x=[_number(share)],
            y=[0],
            orientation="h",
            name=f"{name} {share:.0%}",
            marker={"color": color, "pattern": {"shape": pattern, "fillmode": "replace", "size": 6}},
            hovertext=f"{name}: {share:.1%} of {shares.total:.2e} nats²",
            hoverinfo="text",
        )
    figure.update_layout(barmode="stack", showlegend=True)
    figure.update_layout(legend={"orientation": "h", "y": 1.05, "yanchor": "bottom", "x": 0, "traceorder": "normal"})
    title = f"share of the variance of mean within-prompt S<br>variance {shares.total:.2e} nats²"
    figure.update_xaxes(title_text=title, tickformat=".0%", range=[0, 1.001], showgrid=False)
    figure.update_yaxes(visible=False)
    return figure


def reliability(bins: Sequence[Bin], *, scheme: Scheme = LIGHT) -> go.Figure:
    """Accuracy, with its interval, against the mean confidence of each bin; on the diagonal the two agree."""
    shares = [bar.accuracy for bar in bins]
    figure = go.Figure(layout=_layout(scheme, height=360))
    figure.add_scatter(
        x=[0, 1], y=[0, 1], mode="lines", line={"color": scheme.muted, "width": 1, "dash": "dot"}, hoverinfo="skip"
    )
    figure.add_scatter(
        x=[bar.confidence for bar in bins],
        y=[_number(share.value) for share in shares],
        mode="markers",
        marker={"color": scheme.accent, "size": 9},
        error_y=_whiskers(shares, scheme.accent),
        hovertext=[_hover(f"confidence {bar.confidence:.3f}", bar.accuracy) for bar in bins],
        hoverinfo="text",
    )
    title = _axis("confidence: highest probability", shares)
    figure.update_xaxes(title_text=title, range=[-0.01, 1.02], tickformat=".0%", gridcolor=scheme.line)
    figure.update_yaxes(title_text="share right", range=[-0.02, 1.04], tickformat=".0%", gridcolor=scheme.line)
    return figure


def accuracies(parts: Mapping[str, Estimate], *, scheme: Scheme = LIGHT) -> go.Figure:
    """Share of right verdicts of each part of the rows, with its interval."""
    figure = _dots(parts, scheme, title=_axis("share right", list(parts.values())))
    figure.update_xaxes(range=[-0.02, 1.02], tickformat=".0%")
    return figure


def by_epoch(lines: Mapping[str, Sequence[Estimate]], *, title: str, best: int, scheme: Scheme = LIGHT) -> go.Figure:
    """A figure epoch by epoch, one line a part of the rows, each with its intervals; the best epoch is marked."""
    figure = go.Figure(layout=_layout(scheme, height=300))
    styles = ((scheme.muted, "dot", "circle-open", -0.04), (scheme.accent, "solid", "circle", 0.04))
    for (name, row), (color, dash, symbol, aside) in zip(lines.items(), styles, strict=True):
        figure.add_scatter(
            name=_safe(name),
            x=[epoch + aside for epoch in range(1, len(row) + 1)],
            y=[_number(estimate.value) for estimate in row],
            mode="lines+markers",
            line={"color": color, "dash": dash, "width": 1.6},
            marker={"color": color, "symbol": symbol, "size": 8},
            error_y=_whiskers(row, color),
            hovertext=[_hover(f"{name}, epoch {epoch}", estimate) for epoch, estimate in enumerate(row, 1)],
            hoverinfo="text",
        )
    figure.add_vline(x=best, line={"color": scheme.muted, "width": 1, "dash": "dot"})
    figure.update_layout(
        showlegend=True, margin={"t": 40},
        legend={"orientation": "h", "x": 0, "y": 1.01, "yanchor": "bottom", "itemclick": False},
    )  # fmt: skip
    every = [estimate for row in lines.values() for estimate in row]
    figure.update_xaxes(title_text=_axis(f"epoch (kept: {best})", every), dtick=1, gridcolor=scheme.line)
    figure.update_yaxes(title_text=title, gridcolor=scheme.line, rangemode="tozero")
    return figure


def entropy_rows(measurement: Measurement) -> dict[str, Estimate]:
    """The entropies that a reader must not confuse, by the names they are shown under."""
    rows = {
        "Within, these prompts": measurement.entropy,
        "Within, prompts like these": measurement.entropy_population,
        "Between prompts": measurement.between_prompts,
        "Pooled": measurement.pooled_entropy,
    }
    if measurement.corrected is not None:
        rows["Pooled, corrected"] = measurement.corrected.pooled_entropy
        rows["Within, corrected"] = measurement.corrected.entropy
    return rows


def _dots(rows: Mapping[str, Estimate], scheme: Scheme, *, title: str) -> go.Figure:
    estimates = list(rows.values())
    dots = go.Scatter(
        x=[_number(estimate.value) for estimate in estimates],
        y=list(range(len(estimates))),
        mode="markers",
        marker={"color": scheme.accent, "size": 10},
        error_x=_whiskers(estimates, scheme.accent),
        hovertext=[_hover(name, estimate) for name, estimate in rows.items()],
        hoverinfo="text",
    )
    names = [name if estimate.is_defined else f"{name} (undefined)" for name, estimate in rows.items()]
    return _rows_figure([dots], names, scheme, title=title)


def _rows_figure(traces: list[object], names: Sequence[str], scheme: Scheme, *, title: str) -> go.Figure:
    figure = go.Figure(traces, layout=_layout(scheme, height=84 + _ROW * len(names)))
    places = list(range(len(names)))
    figure.update_yaxes(
        tickvals=places,
        ticktext=[_safe(name) for name in names],
        range=[len(names) - 0.4, -0.6],
        showgrid=False,
        zeroline=False,
    )
    figure.update_xaxes(title_text=title, gridcolor=scheme.line, zerolinecolor=scheme.muted)
    return figure


def _layout(scheme: Scheme, *, height: int) -> go.Layout:
    axis = {"automargin": True, "fixedrange": True, "ticks": "", "linecolor": scheme.line}
    return go.Layout(
        template=go.layout.Template(),
        height=height,
        margin={"l": 8, "r": 16, "t": 12, "b": 62},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        font={"family": FONT, "size": 13, "color": scheme.ink},
        xaxis={**axis, "title": {"font": {"size": 12, "color": scheme.muted}, "standoff": 10}},
        yaxis={**axis, "title": {"font": {"size": 12, "color": scheme.muted}, "standoff": 8}},
        showlegend=False,
        hoverlabel={"font": {"family": FONT, "size": 12}, "align": "left"},
        dragmode=False,
    )


def _to_ceiling(figure: go.Figure, goals: int, scheme: Scheme) -> go.Figure:
    """Scale the axis from 0 to ln K, and mark ln K."""
    top = math.log(goals)
    figure.update_xaxes(range=[-0.02 * top, top * 1.06])
    figure.add_vline(x=top, line={"color": scheme.muted, "width": 1, "dash": "dot"})
    figure.add_annotation(
        x=top, y=1, yref="paper", text=f"ln {goals}", showarrow=False, xanchor="right", xshift=-4, yanchor="top",
        font={"size": 11, "color": scheme.muted},
    )  # fmt: skip
    return figure


def _whiskers(estimates: Sequence[Estimate], color: str) -> dict[str, object]:
    return {
        "type": "data",
        "symmetric": False,
        "array": [_number(estimate.high - estimate.value) for estimate in estimates],
        "arrayminus": [_number(estimate.value - estimate.low) for estimate in estimates],
        "color": color,
        "thickness": 1.6,
        "width": 5,
    }


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _top(estimates: Sequence[Estimate]) -> float:
    return max((estimate.high for estimate in estimates if math.isfinite(estimate.high)), default=1.0)


def _axis(unit: str, estimates: Sequence[Estimate]) -> str:
    return f"{unit}<br>{_size(estimates)}"


def _size(estimates: Sequence[Estimate]) -> str:
    known = [estimate for estimate in estimates if estimate.is_defined]
    if not known:
        return "nothing to draw"
    least, most = min(row.n for row in known), max(row.n for row in known)
    n = f"n = {most:,}" if least == most else f"n = {least:,} to {most:,}"
    return f"{n}; lines: {known[0].level:.0%} interval"


def _hover(name: str, estimate: Estimate) -> str:
    return f"{_safe(name)}<br>{_safe(str(estimate), longest=200)}"


def _safe(text: str, *, longest: int = _LONGEST_NAME) -> str:
    line = " ".join(_CONTROL.sub(" ", text).split())
    cut = line if len(line) <= longest else line[: longest - 1] + "…"
    return html.escape(cut, quote=False).replace("$", "&#36;")  # between dollars plotly looks for formulas
