"""Figures of promises: what was measured, each with its interval, over the band that was promised."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import plotly.graph_objects as go

from ethostat.charts.pieces import axis, faded, hover, legend_above, number, rows_figure, whiskers
from ethostat.charts.scheme import LIGHT, Scheme
from ethostat.guarantees.check import BROKEN, CANNOT_TELL, HOLDS, Check
from ethostat.maths.estimate import Estimate

_WIDEST = 20.0
_UNITS = {"share": "share of simulations", "times": "times what is promised, or of the best there is"}
_SYMBOLS = {HOLDS: "circle", CANNOT_TELL: "circle-open", BROKEN: "x"}


def promises(checks: Sequence[Check], *, scheme: Scheme = LIGHT) -> go.Figure:
    """A row for each check, all in one unit: the promised band, the figure with its interval, the paper's beside it.

    Filled dots hold, open ones cannot be told, crosses are broken. Far apart figures are on a log scale.
    """
    unit = checks[0].measured.unit
    beside = [_in_unit(check.beside, unit) for check in checks]
    every = [one for check, also in zip(checks, beside, strict=True) for one in (check.measured, *also.values())]
    low, high = _ends(checks, every)
    is_log = unit == "times" and low > 0 and high / low > _WIDEST
    figure = rows_figure(
        [_measured(checks, scheme), *_besides(checks, beside, scheme)],
        [check.name for check in checks],
        scheme,
        title=axis(_UNITS.get(unit, unit), [check.measured for check in checks]),
    )
    names = [_short(check.name) for check in checks]
    figure.update_yaxes(ticktext=names)
    for place, check in enumerate(checks):
        ends = max(check.bounds.least, low), min(check.bounds.most, high)
        figure.add_shape(
            type="rect", x0=ends[0], x1=ends[1], y0=place - 0.3, y1=place + 0.3, layer="below", line={"width": 0},
            fillcolor=faded(scheme.accent, 0.13),
        )  # fmt: skip
    pad = 0.02 * (high - low)
    figure.update_xaxes(
        type="log" if is_log else "linear",
        range=[math.log10(low * 0.9), math.log10(high * 1.1)] if is_log else [low - pad, high + pad],
        zeroline=False,
        **({"tickformat": ".0%"} if unit == "share" else {}),
        **({"dtick": 1} if is_log else {}),
    )
    return legend_above(figure.update_layout(height=130 + 46 * len(checks)))


def _measured(checks: Sequence[Check], scheme: Scheme) -> go.Scatter:
    found = [check.measured for check in checks]
    return go.Scatter(
        name="measured",
        x=[number(one.value) for one in found],
        y=list(range(len(checks))),
        mode="markers",
        marker={
            "size": 9,
            "color": [scheme.misaligned[0] if check.verdict == BROKEN else scheme.accent for check in checks],
            "symbol": [_SYMBOLS[check.verdict] for check in checks],
        },
        error_x=whiskers(found, scheme.accent),
        hovertext=[hover(check.name, check.measured) for check in checks],
        hoverinfo="text",
    )


def _besides(checks: Sequence[Check], beside: Sequence[Mapping[str, Estimate]], scheme: Scheme) -> list[go.Scatter]:
    rows = [(place, name, one) for place, also in enumerate(beside) for name, one in also.items()]
    if not rows:
        return []
    return [
        go.Scatter(
            name="the paper's way, or none",
            x=[number(one.value) for _, _, one in rows],
            y=[place + 0.22 for place, _, _ in rows],
            mode="markers",
            marker={"size": 8, "color": scheme.misaligned[0], "symbol": "diamond-open"},
            error_x=whiskers([one for *_, one in rows], scheme.misaligned[0]),
            hovertext=[hover(f"{checks[place].name}: {name}", one) for place, name, one in rows],
            hoverinfo="text",
        )
    ]


def _ends(checks: Sequence[Check], every: Sequence[Estimate]) -> tuple[float, float]:
    seen = [end for one in every if one.is_defined for end in (one.low, one.high)]
    bounds = [end for check in checks for end in (check.bounds.least, check.bounds.most) if math.isfinite(end)]
    return min(seen + bounds), max(seen + bounds)


def _in_unit(beside: Mapping[str, Estimate], unit: str) -> dict[str, Estimate]:
    return {name: one for name, one in beside.items() if one.unit == unit and one.is_defined}


def _short(name: str, longest: int = 46) -> str:
    """The name on two lines where it is long."""
    if len(name) <= longest:
        return name
    cut = name.rfind(" ", 0, longest)
    return f"{name[:cut]}<br>{name[cut + 1 :]}"
