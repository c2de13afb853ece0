"""Comparisons as one self-contained HTML page: what differs, how surely, and where."""

from __future__ import annotations

from collections.abc import Sequence

from plotly.graph_objects import Figure

from ethostat import charts
from ethostat.charts.compared import described
from ethostat.errors import InvalidInput
from ethostat.maths.estimate import Estimate
from ethostat.report import verdicts, words
from ethostat.report.shell import render
from ethostat.shift import Moved, Shift
from ethostat.visible import one_line

_MOST_PROMPTS = 200


def comparison_html(found: Sequence[Shift]) -> str:
    """The whole page, about 5 MB, most of it plotly's own JavaScript; several comparisons share their baseline.

    Raises InvalidInput where there is none.
    """
    check_comparisons(found)
    return render(
        "comparison.html",
        script="figures.js",
        aligned=[one.aligned is not False for one in found[0].goals],
        figures=lambda scheme: _figures(found, scheme),
        found=found,
        charts=_described(found),
        shown=[_shown(one.prompts) for one in found],
        verdicts=verdicts,
        hatched=["" if one.aligned is not False else " hatched" for one in found[0].goals],
    )


def check_comparisons(found: Sequence[Shift]) -> None:
    """Raises InvalidInput where there is no comparison, or they have not the same goals."""
    if not found:
        raise InvalidInput("a report of comparisons needs one at least, got none; compare first")
    if len({tuple(goal.goal for goal in one.goals) for one in found}) > 1:
        raise InvalidInput("comparisons in one report must have the same goals; write one report each")


def _figures(found: Sequence[Shift], scheme: charts.Scheme) -> dict[str, Figure]:
    """The models against the baseline where there are several; for each a forest plot, and its categories."""
    drawn: dict[str, Figure] = {}
    if len(found) > 1:
        drawn["models"] = charts.models_against(found, scheme=scheme)
    for place, one in enumerate(found):
        drawn[f"forest-{place}"] = charts.forest(one, scheme=scheme)
        if one.categories:
            drawn[f"categories-{place}"] = charts.categories_moved(one, scheme=scheme)
    return drawn


def _described(found: Sequence[Shift]) -> dict[str, str]:
    said: dict[str, str] = {}
    if len(found) > 1:
        said["models"] = _lines({one.b.name: one.headline for one in found})
    for place, one in enumerate(found):
        said[f"forest-{place}"] = _lines(dict(described(one)))
        if one.categories:
            said[f"categories-{place}"] = _lines({row.id: row.entropy_difference for row in one.categories})
    return said


def _lines(rows: dict[str, Estimate]) -> str:
    return one_line("; ".join(words.describe(name, row) for name, row in rows.items()))


def _shown(rows: Sequence[Moved]) -> Sequence[Moved]:
    """The prompts that the page lists: what moved most comes first."""
    return rows[:_MOST_PROMPTS]
