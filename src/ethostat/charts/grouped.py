"""Figures of measurements by group."""

from __future__ import annotations

from collections.abc import Mapping

import plotly.graph_objects as go

from ethostat.charts.pieces import axis, dots, to_ceiling
from ethostat.charts.scheme import LIGHT, Scheme
from ethostat.maths.estimate import Estimate


def entropy_by_group(rows: Mapping[str, Estimate], *, goals: int, scheme: Scheme = LIGHT) -> go.Figure:
    """S of each group, nats, with its interval, on a scale to ln K."""
    return to_ceiling(dots(rows, scheme, title=axis("S, nats", list(rows.values()))), goals, scheme)


def aligned_by_group(rows: Mapping[str, Estimate], *, scheme: Scheme = LIGHT) -> go.Figure:
    """The aligned share of each group, with its interval."""
    figure = dots(rows, scheme, title=axis("aligned share of responses", list(rows.values())))
    figure.update_xaxes(tickformat=".0%", range=[-0.02, 1.02])
    return figure
