"""A training's curves as one self-contained HTML page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from plotly.graph_objects import Figure

from ethostat import charts
from ethostat.maths.estimate import Estimate
from ethostat.report import words
from ethostat.report.shell import render
from ethostat.taxonomy import Taxonomy
from ethostat.visible import one_line

Lines = Mapping[str, Sequence[Estimate]]
_TITLES = {"loss": "mean loss, nats", "accuracy": "share right", "macro_f1": "macro-F1"}


def curves_html(name: str, curves: Mapping[str, Lines], *, best: int, taxonomy: Taxonomy) -> str:
    """The whole page: for `loss`, `accuracy` and `macro_f1`, one line a part of the rows and one point an epoch.

    `best` is the number of the epoch that was kept, from 1.
    """
    return render(
        "curves.html",
        script="figures.js",
        aligned=taxonomy.aligned,
        figures=lambda scheme: _figures(curves, best, scheme),
        name=name,
        best=best,
        titles=_TITLES,
        curves=curves,
        charts={key: _described(curves[key]) for key in _TITLES},
    )


def _figures(curves: Mapping[str, Lines], best: int, scheme: charts.Scheme) -> dict[str, Figure]:
    return {key: charts.by_epoch(curves[key], title=title, best=best, scheme=scheme) for key, title in _TITLES.items()}


def _described(lines: Lines) -> str:
    said = [
        words.describe(f"{part}, epoch {number}", row)
        for part, rows in lines.items()
        for number, row in enumerate(rows, 1)
    ]
    return one_line("; ".join(said))
