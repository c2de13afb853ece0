"""A selftest as one self-contained HTML page: every promise, what was measured, the verdict."""

from __future__ import annotations

from collections.abc import Sequence

from plotly.graph_objects import Figure

from ethostat import charts
from ethostat.guarantees import Check, Selftest
from ethostat.guarantees.check import LEVEL
from ethostat.report import words
from ethostat.report.shell import render
from ethostat.taxonomy import FIVE_GOALS
from ethostat.visible import digits, one_line


def selftest_html(found: Selftest) -> str:
    """The whole page, about 5 MB, most of it plotly's own JavaScript."""
    groups = {family: _by_unit(checks) for family, checks in found.families.items()}
    return render(
        "selftest.html",
        script="figures.js",
        aligned=FIVE_GOALS.aligned,
        figures=lambda scheme: _figures(found, scheme),
        found=found,
        level=LEVEL,
        digits=digits,
        slugs={family: f"{place}" for place, family in enumerate(groups)},
        units={family: list(units) for family, units in groups.items()},
        charts={key: _described(checks) for key, checks in _groups(found).items()},
    )


def _figures(found: Selftest, scheme: charts.Scheme) -> dict[str, Figure]:
    return {key: charts.promises(checks, scheme=scheme) for key, checks in _groups(found).items()}


def _groups(found: Selftest) -> dict[str, list[Check]]:
    """The checks that are drawn together, by the key of their figure."""
    return {
        f"{place}-{unit}": checks
        for place, family in enumerate(found.families.values())
        for unit, checks in _by_unit(family).items()
    }


def _by_unit(checks: Sequence[Check]) -> dict[str, list[Check]]:
    found: dict[str, list[Check]] = {}
    for check in checks:
        if check.measured.is_defined:
            found.setdefault(check.measured.unit, []).append(check)
    return found


def _described(checks: Sequence[Check]) -> str:
    said = [f"{check.verdict}: {words.describe(check.name, check.measured)}" for check in checks]
    return one_line("; ".join(said))
