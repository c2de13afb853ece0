"""Figures of a comparison: forest plots of differences, with intervals, over the band that counts as no change."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from ethostat.charts.pieces import axis, dots, hover, layout, legend_above, named_rows, number, whiskers
from ethostat.charts.scheme import LIGHT, Scheme
from ethostat.maths.estimate import Estimate
from ethostat.shift import Shift

_ROW, _GAP, _HEAD, _FOOT = 46, 84, 44, 62
_LIKE, _HERE, _CORRECTED = "prompts like these", "these prompts", "corrected"


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a forest plot: B - A for prompts like these, for these prompts, and corrected, where there is one."""

    name: str
    like: Estimate
    here: Estimate | None = None
    corrected: Estimate | None = None


def entropy_differences(found: Shift) -> list[Row]:
    """What is in nats: S within prompts and pooled, and how far prompts and profiles lie apart."""
    corrected = found.corrected
    return [
        Row("Within-prompt S", found.entropy_difference, found.entropy_difference_here),
        Row("Pooled S", found.pooled_entropy_difference, None, corrected.pooled_entropy if corrected else None),
        Row("Divergence of prompts", found.prompt_divergence, found.prompt_divergence_here),
        Row("Divergence of profiles", found.divergence),
    ]


def share_differences(found: Shift) -> list[Row]:
    """What is a share: the aligned share, and every goal's."""
    corrected = found.corrected
    aligned = Row("Aligned share", found.aligned_difference, None, corrected.aligned if corrected else None)
    return [aligned] + [
        Row(one.title, one.difference, one.here, corrected.shares[place] if corrected else None)
        for place, one in enumerate(found.goals)
    ]


def forest(found: Shift, *, scheme: Scheme = LIGHT) -> go.Figure:
    """Every difference, B - A: entropies above (nats), shares below, over the bands of the margins."""
    panels = (entropy_differences(found), share_differences(found))
    inner = _ROW * sum(map(len, panels)) + _GAP
    figure = make_subplots(
        rows=2, cols=1, row_heights=[len(panel) for panel in panels], vertical_spacing=_GAP / inner
    )  # fmt: skip
    figure.update_layout(layout(scheme, height=inner + _HEAD + _FOOT))
    for place, rows in enumerate(panels, 1):
        for trace in _traces(rows, scheme, is_first=place == 1):
            figure.add_trace(trace, row=place, col=1)
        named_rows(figure, [_row_name(row) for row in rows], scheme, row=place, col=1)
        unit = "difference of nats, B - A" if place == 1 else "difference of shares, B - A"
        figure.update_xaxes(title_text=axis(unit, _all(rows)), row=place, col=1)
        _band(figure, _margin(found, place), scheme, row=place)
    figure.update_xaxes(tickformat="+.2~f", row=1, col=1)
    figure.update_xaxes(tickformat="+.0~%", row=2, col=1)
    return legend_above(figure)


def models_against(found: Sequence[Shift], *, scheme: Scheme = LIGHT) -> go.Figure:
    """Several models: each one's S less the baseline's, nats."""
    rows = {f"{place}  {one.b.model}": one.headline for place, one in enumerate(found, 1)}
    figure = dots(rows, scheme, title=axis("S less the baseline's, nats", list(rows.values())))
    figure.update_xaxes(tickformat="+.2~f")
    return _band(figure, _margin(found[0], 1), scheme)


def categories_moved(found: Shift, *, scheme: Scheme = LIGHT) -> go.Figure:
    """The difference of mean within-prompt S in each category of prompts, nats."""
    rows = {row.id: row.entropy_difference for row in found.categories}
    figure = dots(rows, scheme, title=axis("S, B - A, nats", list(rows.values())))
    figure.update_xaxes(tickformat="+.2~f")
    return _band(figure, _margin(found, 1), scheme)


def described(found: Shift) -> Mapping[str, Estimate]:
    """All that the forest plot draws, by name."""
    lines: dict[str, Estimate] = {}
    for row in (*entropy_differences(found), *share_differences(found)):
        named = ((_LIKE, row.like), (_HERE, row.here), (_CORRECTED, row.corrected))
        lines |= {f"{row.name}, {name}": one for name, one in named if one is not None}
    return lines


def _all(rows: Sequence[Row]) -> list[Estimate]:
    return [one for row in rows for one in (row.like, row.here, row.corrected) if one is not None]


def _row_name(row: Row) -> str:
    return row.name if any(one.is_defined for one in _all([row])) else f"{row.name} (undefined)"


def _traces(rows: Sequence[Row], scheme: Scheme, *, is_first: bool) -> list[go.Scatter]:
    """One trace a kind of estimate, each a little below the one before; the legend names each once."""
    kinds = (
        (_LIKE, [row.like for row in rows], {"symbol": "circle", "color": scheme.accent, "size": 9}, scheme.accent),
        (_HERE, [row.here for row in rows], {"symbol": "circle-open", "color": scheme.ink, "size": 9}, scheme.muted),
        (
            _CORRECTED,
            [row.corrected for row in rows],
            {"symbol": "diamond", "color": scheme.misaligned[0], "size": 9},
            scheme.misaligned[0],
        ),
    )
    shown = [kind for kind in kinds if any(one is not None and one.is_defined for one in kind[1])]
    apart = 0.24
    return [
        _points(name, rows, estimates, marker, color, aside=apart * (place - (len(shown) - 1) / 2), in_legend=is_first)
        for place, (name, estimates, marker, color) in enumerate(shown)
    ]


def _points(
    name: str,
    rows: Sequence[Row],
    estimates: Sequence[Estimate | None],
    marker: Mapping[str, object],
    color: str,
    *,
    aside: float,
    in_legend: bool,
) -> go.Scatter:
    known = [(place, one) for place, one in enumerate(estimates) if one is not None and one.is_defined]
    return go.Scatter(
        name=name,
        legendgroup=name,
        showlegend=in_legend,
        x=[number(one.value) for _, one in known],
        y=[place + aside for place, _ in known],
        mode="markers",
        marker={**marker, "line": {"width": 1.6, "color": marker["color"]}},
        error_x=whiskers([one for _, one in known], color),
        hovertext=[hover(f"{rows[place].name}, {name}", one) for place, one in known],
        hoverinfo="text",
    )


def _margin(found: Shift, panel: int) -> float:
    """The margin in nats (panel 1) or of shares (panel 2)."""
    conditions = found.equivalence.conditions
    return next(one.margin for one in conditions if (one.estimate.unit == "share") == (panel == 2))


def _band(figure: go.Figure, margin: float, scheme: Scheme, **where: int) -> go.Figure:
    """Shade what counts as no change, and mark zero."""
    place = {"row": where["row"], "col": 1} if where else {}
    figure.add_vrect(x0=-margin, x1=margin, fillcolor=scheme.accent, opacity=0.1, line_width=0, layer="below", **place)
    figure.add_vline(x=0, line={"color": scheme.muted, "width": 1}, layer="below", **place)
    return figure
