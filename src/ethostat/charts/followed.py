"""Figures of a trajectory: S over time with its band, the goals' shares, rates as a forest, alignment work."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import plotly.graph_objects as go

from ethostat.alignment import Alignment
from ethostat.charts.pieces import axis, dots, faded, hover, layout, legend_above, number, safe, whiskers
from ethostat.charts.scheme import LIGHT, Scheme, goal_colors
from ethostat.maths.estimate import Estimate
from ethostat.taxonomy import Taxonomy
from ethostat.trajectories import Trajectory

_MOST_MARKERS = 60
_MOST_NAMED = 12


@dataclass(frozen=True, slots=True)
class _Style:
    color: str
    dash: str
    symbol: str


def over_time(series: Mapping[str, Trajectory], *, scheme: Scheme = LIGHT) -> go.Figure:
    """S over time, nats, a line with its band for each trajectory, and the fitted relaxation where it is identified.

    The first of two is the base model: dotted and quiet. ln K is marked, and where the model or version changes.
    """
    figure = go.Figure(layout=layout(scheme, height=380))
    styles = [_Style(scheme.accent, "solid", "circle")]
    if len(series) > 1:
        styles.insert(0, _Style(scheme.misaligned[0], "dot", "circle-open"))
    for (name, found), style in zip(series.items(), styles, strict=True):
        steps, estimates = [point.step for point in found.points], [point.headline for point in found.points]
        figure.add_traces(_banded(steps, estimates, style, name=name, says=_says(found)))
        figure.add_traces(_relaxing(found, style, name=name, scheme=scheme))
    first = next(iter(series.values()))
    _mark_versions(figure, first, scheme)
    every = [point.headline for found in series.values() for point in found.points]
    top = math.log(len(first.goals))
    highest = max((one.high for one in every if one.is_defined), default=top)
    if highest > 0.6 * top:
        figure.add_hline(y=top, line={"color": scheme.muted, "width": 1, "dash": "dot"})
        figure.add_annotation(
            x=1, xref="paper", y=top, text=f"ln {len(first.goals)}", showarrow=False, xanchor="right",
            yanchor="top", font={"size": 11, "color": scheme.muted},
        )  # fmt: skip
        highest = top
    steps = [point.step for found in series.values() for point in found.points]
    pad = 0.03 * (max(steps) - min(steps) or 1)
    figure.update_xaxes(
        title_text=axis(safe(first.step), every), range=[min(steps) - pad, max(steps) + 1.4 * pad],
        gridcolor=scheme.line, zeroline=False,
    )  # fmt: skip
    figure.update_yaxes(
        title_text="S, nats", range=[-0.03 * highest, highest * 1.08], gridcolor=scheme.line, zeroline=False
    )
    return legend_above(figure)


def goals_over_time(found: Trajectory, *, taxonomy: Taxonomy, scheme: Scheme = LIGHT) -> go.Figure:
    """Every goal's share of the responses at each step, stacked, aligned goals below.

    The line is the aligned share, with its interval: dotted to both sides, whiskers where there are few steps.
    """
    figure = go.Figure(layout=layout(scheme, height=340))
    steps = [point.step for point in found.points]
    colors = goal_colors(found.aligned, scheme)
    order = sorted(range(len(found.goals)), key=lambda place: not found.aligned[place])
    for place in order:
        goal = taxonomy.goals[place]
        shares = [point.profile.counts[place] / point.profile.n for point in found.points]
        estimates = [point.shares[place] for point in found.points]
        figure.add_scatter(
            name=safe(goal.key if goal.name == goal.key else f"{goal.key} {goal.name}"),
            x=steps,
            y=shares,
            stackgroup="goals",
            mode="lines",
            line={"width": 0.5, "color": colors[place]},
            fillcolor=colors[place],
            fillpattern={"shape": "" if found.aligned[place] else "/", "fillmode": "replace", "size": 6},
            hovertext=[hover(f"{goal.key}, {found.step} {s:g}", one) for s, one in zip(steps, estimates, strict=True)],
            hoverinfo="text",
        )
    figure.add_traces(_aligned_share(found, steps, scheme))
    estimates = [point.aligned for point in found.points]
    figure.update_xaxes(title_text=axis(safe(found.step), estimates), showgrid=False, zeroline=False)
    figure.update_yaxes(title_text="share of responses", range=[0, 1.001], tickformat=".0%", zeroline=False)
    _name_versions(figure, found)
    return legend_above(figure)


def estimates_in_rows(rows: Mapping[str, Estimate], *, title: str, scheme: Scheme = LIGHT) -> go.Figure:
    """A forest plot: one row an estimate, all in one unit, zero marked."""
    figure = dots(rows, scheme, title=axis(title, list(rows.values())))
    if next(iter(rows.values())).unit == "share":
        figure.update_xaxes(tickformat="+.0~%")
    figure.add_vline(x=0, line={"color": scheme.muted, "width": 1}, layer="below")
    return figure


def work_over_time(found: Alignment, *, scheme: Scheme = LIGHT) -> go.Figure:
    """Alignment work accumulated until each step, nats, with its interval step by step."""
    figure = go.Figure(layout=layout(scheme, height=300))
    style = _Style(scheme.accent, "solid", "circle")
    says = [f"{found.base.step} {step:g}" for step in found.steps]
    figure.add_traces(_banded(found.steps, found.path, style, name="W", says=says))
    figure.add_hline(y=0, line={"color": scheme.muted, "width": 1}, layer="below")
    figure.update_xaxes(title_text=axis(safe(found.base.step), found.path), gridcolor=scheme.line, zeroline=False)
    figure.update_yaxes(title_text="W, nats", gridcolor=scheme.line, zeroline=False)
    return figure


def _banded(
    steps: Sequence[float], estimates: Sequence[Estimate], style: _Style, *, name: str, says: Sequence[str]
) -> list[go.Scatter]:
    """A line and the band of its intervals, broken where an estimate is undefined."""
    lows, highs = [number(one.low) for one in estimates], [number(one.high) for one in estimates]
    edge = {"mode": "lines", "line": {"width": 0}, "hoverinfo": "skip", "showlegend": False, "x": list(steps)}
    few = len(steps) <= _MOST_MARKERS
    return [
        go.Scatter(y=lows, **edge),
        go.Scatter(y=highs, fill="tonexty", fillcolor=faded(style.color, 0.18), **edge),
        go.Scatter(
            name=safe(name),
            x=list(steps),
            y=[number(one.value) for one in estimates],
            mode="lines+markers" if few else "lines",
            line={"color": style.color, "dash": style.dash, "width": 1.8},
            marker={"color": style.color, "symbol": style.symbol, "size": 6},
            hovertext=[hover(said, one) for said, one in zip(says, estimates, strict=True)],
            hoverinfo="text",
        ),
    ]


def _says(found: Trajectory) -> list[str]:
    """Step, version and time of each point, for the pointer."""
    return [
        ", ".join(part for part in (f"{found.step} {point.step:g}", point.model, point.time) if part)
        for point in found.points
    ]


def _relaxing(found: Trajectory, style: _Style, *, name: str, scheme: Scheme) -> list[go.Scatter]:
    """The fitted curve, and S_inf with its interval at its end; nothing where tau is not identified."""
    fit = None if found.rates is None else found.rates.relaxation
    if fit is None or not (fit.is_curved and fit.tau.is_defined and fit.limit.is_defined and fit.start.is_defined):
        return []
    steps = found.steps()
    at = np.linspace(steps[0], steps[-1], 121)
    curve = fit.limit.value - (fit.limit.value - fit.start.value) * np.exp(-(at - steps[0]) / fit.tau.value)
    color = scheme.ink
    end = steps[-1] + 0.02 * (steps[-1] - steps[0])
    return [
        go.Scatter(
            name=safe(f"{name}: relaxation"),
            x=list(at),
            y=list(curve),
            mode="lines",
            line={"color": color, "dash": "dash", "width": 1.2},
            hoverinfo="skip",
        ),
        go.Scatter(
            x=[end],
            y=[fit.limit.value],
            mode="markers",
            marker={"symbol": "line-ew-open", "size": 9, "color": style.color, "line": {"width": 2}},
            error_y=whiskers([fit.limit], style.color),
            hovertext=[hover("S_inf, where it levels off", fit.limit)],
            hoverinfo="text",
            showlegend=False,
        ),
    ]


def _aligned_share(found: Trajectory, steps: Sequence[float], scheme: Scheme) -> list[go.Scatter]:
    known = [(step, point.aligned) for step, point in zip(steps, found.points, strict=True) if point.aligned.is_defined]
    if not known:
        return []
    at, shares = [step for step, _ in known], [one for _, one in known]
    quiet = {"color": scheme.ink, "width": 1, "dash": "dot"}
    edge = {"mode": "lines", "line": quiet, "hoverinfo": "skip", "showlegend": False, "x": at}
    return [
        go.Scatter(y=[one.low for one in shares], **edge),
        go.Scatter(y=[one.high for one in shares], **edge),
        go.Scatter(
            name="aligned share",
            x=at,
            y=[one.value for one in shares],
            mode="lines",
            line={"color": scheme.ink, "width": 2},
            error_y=whiskers(shares, scheme.ink) if len(at) <= _MOST_NAMED else None,
            hovertext=[hover(f"aligned, {found.step} {step:g}", one) for step, one in known],
            hoverinfo="text",
        ),
    ]


def _mark_versions(figure: go.Figure, found: Trajectory, scheme: Scheme) -> None:
    """A line where the model changes; on an axis of few versions their names stand below it."""
    if _name_versions(figure, found):
        return
    late = found.points[0].step + 0.8 * (found.points[-1].step - found.points[0].step)
    for before, after in pairwise(found.points):
        if after.model is None or before.model is None or after.model == before.model:
            continue
        figure.add_vline(x=after.step, line={"color": scheme.muted, "width": 1, "dash": "dash"})
        side, shift = ("right", -3) if after.step > late else ("left", 3)
        figure.add_annotation(
            x=after.step, y=1, yref="paper", text=safe(after.model, longest=18), showarrow=False, xanchor=side,
            xshift=shift, yanchor="top", font={"size": 11, "color": scheme.muted},
        )  # fmt: skip


def _name_versions(figure: go.Figure, found: Trajectory) -> bool:
    if found.step != "version" or len(found.points) > _MOST_NAMED:
        return False
    names = [safe(point.model or f"{point.step:g}", longest=18) for point in found.points]
    figure.update_xaxes(tickvals=[point.step for point in found.points], ticktext=names)
    return True
