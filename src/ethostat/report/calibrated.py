"""A calibration of an alarm as one self-contained HTML page: what each setting costs and what it finds."""

from __future__ import annotations

from plotly.graph_objects import Figure

from ethostat import charts
from ethostat.calibrating import SIZES, Calibrated
from ethostat.maths.estimate import Estimate
from ethostat.report import words
from ethostat.report.shell import render
from ethostat.visible import digits, one_line


def calibrated_html(found: Calibrated) -> str:
    """The whole page, about 5 MB, most of it plotly's own JavaScript."""
    return render(
        "calibrated.html",
        script="figures.js",
        aligned=found.aligned,
        figures=lambda scheme: _figures(found, scheme),
        found=found,
        heads=[found.detector if one.asked is None else f"{one.asked:,g}" for one in found.costs],
        digits=digits,
        counts=dict(zip(found.goals, found.counts, strict=True)),
        total=sum(found.counts),
        charts=_described(found),
    )


def _figures(found: Calibrated, scheme: charts.Scheme) -> dict[str, Figure]:
    drawn = {}
    for place, direction in enumerate(found.curves):
        drawn[f"delay-{place}"] = charts.delay_by_size(found, direction, scheme=scheme)
        drawn[f"within-{place}"] = charts.found_by_size(found, direction, scheme=scheme)
    if any(one.is_defined for _, one in found.thresholds):
        drawn["thresholds"] = charts.run_length_by_threshold(found, scheme=scheme)
    return drawn


def _described(found: Calibrated) -> dict[str, str]:
    said: dict[str, str] = {}
    for place, (direction, rows) in enumerate(found.curves.items()):
        for key in ("delay", "within"):
            lines = {
                f"{charts.setting_name(found, at)}, {direction} {100 * size:g} points": getattr(one, key)
                for at in charts.drawn_settings(found)
                for size, one in zip(SIZES, rows[at], strict=True)
            }
            said[f"{key}-{place}"] = _lines(lines)
    if any(one.is_defined for _, one in found.thresholds):
        said["thresholds"] = _lines({f"asked for {asked:.0f}": one for asked, one in found.thresholds})
    return said


def _lines(rows: dict[str, Estimate]) -> str:
    return one_line("; ".join(words.describe(name, row) for name, row in rows.items()))
