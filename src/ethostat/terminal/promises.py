"""What an alarm would cost, and whether what is promised holds."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from rich.console import Group
from rich.table import Table
from rich.text import Text

from ethostat.terminal.screen import rows_view
from ethostat.visible import digits, stripped

if TYPE_CHECKING:  # what is shown is made elsewhere; --help need not load it
    from ethostat.calibrating import Calibrated
    from ethostat.guarantees import Check, Selftest
    from ethostat.maths.estimate import Estimate


def calibration_view(found: Calibrated) -> Group:
    """Settings side by side: run length, false pages, responses until changes are found, the smallest seen in time."""
    n = sum(found.counts)
    title = Text.assemble((found.detector, "bold"), f" on {stripped(found.baseline, most=60)}, {n:,.0f} responses")
    rests = "keeps no promise" if found.rests_on is None else f"promise: {found.rests_on}"
    rows: list[dict[str, object]] = []

    def add(name: str, cells: Iterable[str]) -> None:
        heads = [found.detector if one.asked is None else f"{one.asked:,g}" for one in found.costs]
        rows.append({found.promise: name, **dict(zip(heads, cells, strict=True))})

    what = "ever a false page" if found.promise == "alpha" else "simulated"
    add(what, [_rounded(one.run_length) for one in found.costs])
    if found.per_day is not None and found.promise != "alpha":
        add(f"false pages a month, {found.per_day:,g} a day", [_rounded(one.pages) for one in found.costs])
    for change in found.changes:
        add(change.name, [_rounded(one.changes[change.name].delay) for one in found.costs])
        add(
            f"\u2026 found within {found.within:,}",
            [f"{one.changes[change.name].within.value:.0%}" for one in found.costs],
        )
    for name in found.curves:
        add(f"{name}: smallest seen, points", [_rounded(one.smallest[name]) for one in found.costs])
    said = [
        f"Changes: responses until found. Smallest seen: within {found.within:,} responses in 80%. "
        "\u00b1 is half of the 95% interval.",
        *(f"note: {note}" for note in found.notes),
    ]
    return Group(title, Text(rests, "dim"), rows_view("", rows), *(Text(line, "dim") for line in said))


def _rounded(found: Estimate | None) -> str:
    if found is None or not found.is_defined:
        return "\u2013"
    if found.unit == "share":
        return f"{found.value:.1%} \u00b1{found.half_width:.1%}"
    return f"{digits(found.value)} \u00b1{digits(found.half_width, most=1)}"


def selftest_view(found: Selftest) -> Group:
    """Every promise with what was measured, by family; what does not hold stands out."""
    parts: list[Text | Table | str] = []
    for family, checks in found.families.items():
        parts.append(Text(family, "bold"))
        for check in checks:
            parts += _check_lines(check)
        parts.append("")
    return Group(*parts, Text(found.describe(), f"bold {_VERDICT_COLOURS[found.verdict]}"))


_VERDICT_COLOURS = {"holds": "green", "cannot tell": "yellow", "broken": "red"}


def _check_lines(check: Check) -> list[Text]:
    slack = f", slack {check.slack}" if check.slack else ""
    lines = [
        Text.assemble((f"{check.verdict:11s}", _VERDICT_COLOURS[check.verdict]), f"  {check.name}"),
        Text(f"             {_measured(check.measured)}; promised {check.promise}{slack}", "dim"),
    ]
    return lines + [Text(f"             beside: {name} {_measured(one)}", "dim") for name, one in check.beside.items()]


def _measured(found: Estimate) -> str:
    if not found.is_defined:
        return found.method
    if found.unit == "share":
        return f"{found.value:.1%} [{found.low:.1%}, {found.high:.1%}], n={found.n}"
    ends = f"[{digits(found.low)}, {digits(found.high)}]"
    return f"{digits(found.value)} {found.unit} {ends}, n={found.n}"
