"""Figures of a measurement, an evaluation, a training."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import plotly.graph_objects as go

from ethostat.charts.pieces import axis, dots, hover, layout, number, rows_figure, safe, to_ceiling, top, whiskers
from ethostat.charts.scheme import LIGHT, Scheme, goal_colors
from ethostat.maths.agreement import Bin
from ethostat.maths.estimate import Estimate
from ethostat.measurement import Measurement, PromptResult, VarianceShares
from ethostat.taxonomy import Taxonomy

_BESIDE, _BELOW = 0.14, 0.27


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
        x=[number(share.value) for share in shares],
        y=places if corrected is None else [place - _BESIDE for place in places],
        orientation="h",
        marker={
            "color": list(goal_colors(taxonomy.aligned, scheme)),
            "pattern": {"shape": ["" if good else "/" for good in taxonomy.aligned], "fillmode": "replace", "size": 6},
            "line": {"width": 1, "color": list(goal_colors(taxonomy.aligned, scheme))},
        },
        error_x=whiskers(shares, scheme.ink),
        hovertext=[hover(f"{goal.key} {goal.name}", share) for goal, share in zip(taxonomy.goals, shares, strict=True)],
        hoverinfo="text",
        width=0.56 if corrected is None else 0.42,
    )
    names = [f"{goal.key}  {goal.name}" for goal in taxonomy.goals]
    traces = [bars] if corrected is None else [bars, _corrected_dots(corrected, taxonomy, scheme)]
    figure = rows_figure(traces, names, scheme, title=axis("share of responses", shares))
    figure.update_xaxes(tickformat=".0%", range=[0, min(1.02, top([*shares, *(corrected or ())]) * 1.08)])
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
        x=[number(share.value) for share in shares],
        y=[place + _BELOW for place in range(len(shares))],
        mode="markers",
        marker={"symbol": "diamond-open", "size": 9, "color": scheme.ink, "line": {"width": 1.6}},
        error_x=whiskers(shares, scheme.muted),
        hovertext=[
            hover(f"{goal.key} {goal.name}, corrected", share)
            for goal, share in zip(taxonomy.goals, shares, strict=True)
        ],
        hoverinfo="text",
    )


def entropy_parts(measurement: Measurement, *, scheme: Scheme = LIGHT) -> go.Figure:
    """Within, between and pooled S on one scale from 0 to ln K nats, each with its interval."""
    parts = entropy_rows(measurement)
    figure = dots(parts, scheme, title=axis("nats", list(parts.values())))
    return to_ceiling(figure, len(measurement.goals), scheme)


def entropy_by_category(categories: Mapping[str, Estimate], *, goals: int, scheme: Scheme = LIGHT) -> go.Figure:
    """Mean within-prompt S of each prompt category, nats, with its interval."""
    figure = dots(categories, scheme, title=axis("mean within-prompt S, nats", list(categories.values())))
    return to_ceiling(figure, goals, scheme)


def prompt_entropies(prompts: Sequence[PromptResult], *, goals: int, scheme: Scheme = LIGHT) -> go.Figure:
    """S of every prompt with its interval, nats, from the least to the most uncertain; undefined ones are left out.

    `customdata` of the points holds each prompt's place in `prompts`.
    """
    known = [place for place, row in enumerate(prompts) if row.entropy.is_defined]
    order = sorted(known, key=lambda place: (prompts[place].entropy.value, prompts[place].entropy.high))
    rows = [prompts[place] for place in order]
    figure = go.Figure(layout=layout(scheme, height=320))
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
        hovertext=[hover(row.id, row.entropy) for row in rows],
        hoverinfo="text",
    )
    sizes = [row.entropy for row in rows]
    figure.update_xaxes(title_text=axis("prompts, by S", sizes), zeroline=False, showgrid=False)
    figure.update_yaxes(title_text="S, nats", range=[-0.04, math.log(goals) * 1.05], gridcolor=scheme.line)
    return figure


def variance(shares: VarianceShares, *, scheme: Scheme = LIGHT) -> go.Figure:
    """Where the uncertainty of the headline comes from: one bar, split into sampling, prompts and classifier."""
    rows = (("sampling", shares.sampling), ("prompts", shares.prompts), ("classifier", shares.classifier))
    fills = (scheme.aligned[0], scheme.misaligned[1], scheme.misaligned[2])
    figure = go.Figure(layout=layout(scheme, height=176))
    for (name, share), color, pattern in zip(rows, fills, ("", "/", "."), strict=True):
        figure.add_bar(
            x=[number(share)],
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
    figure = go.Figure(layout=layout(scheme, height=360))
    figure.add_scatter(
        x=[0, 1], y=[0, 1], mode="lines", line={"color": scheme.muted, "width": 1, "dash": "dot"}, hoverinfo="skip"
    )
    figure.add_scatter(
        x=[bar.confidence for bar in bins],
        y=[number(share.value) for share in shares],
        mode="markers",
        marker={"color": scheme.accent, "size": 9},
        error_y=whiskers(shares, scheme.accent),
        hovertext=[hover(f"confidence {bar.confidence:.3f}", bar.accuracy) for bar in bins],
        hoverinfo="text",
    )
    title = axis("confidence: highest probability", shares)
    figure.update_xaxes(title_text=title, range=[-0.01, 1.02], tickformat=".0%", gridcolor=scheme.line)
    figure.update_yaxes(title_text="share right", range=[-0.02, 1.04], tickformat=".0%", gridcolor=scheme.line)
    return figure


def accuracies(parts: Mapping[str, Estimate], *, scheme: Scheme = LIGHT) -> go.Figure:
    """Share of right verdicts of each part of the rows, with its interval."""
    figure = dots(parts, scheme, title=axis("share right", list(parts.values())))
    figure.update_xaxes(range=[-0.02, 1.02], tickformat=".0%")
    return figure


def by_epoch(lines: Mapping[str, Sequence[Estimate]], *, title: str, best: int, scheme: Scheme = LIGHT) -> go.Figure:
    """A figure epoch by epoch, one line a part of the rows, each with its intervals; the best epoch is marked."""
    figure = go.Figure(layout=layout(scheme, height=300))
    styles = ((scheme.muted, "dot", "circle-open", -0.04), (scheme.accent, "solid", "circle", 0.04))
    for (name, row), (color, dash, symbol, aside) in zip(lines.items(), styles, strict=True):
        figure.add_scatter(
            name=safe(name),
            x=[epoch + aside for epoch in range(1, len(row) + 1)],
            y=[number(estimate.value) for estimate in row],
            mode="lines+markers",
            line={"color": color, "dash": dash, "width": 1.6},
            marker={"color": color, "symbol": symbol, "size": 8},
            error_y=whiskers(row, color),
            hovertext=[hover(f"{name}, epoch {epoch}", estimate) for epoch, estimate in enumerate(row, 1)],
            hoverinfo="text",
        )
    figure.add_vline(x=best, line={"color": scheme.muted, "width": 1, "dash": "dot"})
    figure.update_layout(
        showlegend=True, margin={"t": 40},
        legend={"orientation": "h", "x": 0, "y": 1.01, "yanchor": "bottom", "itemclick": False},
    )  # fmt: skip
    every = [estimate for row in lines.values() for estimate in row]
    figure.update_xaxes(title_text=axis(f"epoch (kept: {best})", every), dtick=1, gridcolor=scheme.line)
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
