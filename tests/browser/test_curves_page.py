"""The page of a training in a real browser: its charts are drawn, its name is text, nothing is fetched."""

from __future__ import annotations

from pathlib import Path

from ethostat.maths.estimate import Estimate
from ethostat.report import curves_html
from ethostat.taxonomy import FIVE_GOALS
from report_cases import HOSTILE
from visits import Visit


def test_the_page_draws_three_charts_and_runs_nothing_else(visit: Visit, tmp_path: Path) -> None:
    """Under a hostile name loss, accuracy and macro-F1 stand by epoch, no script of it runs, no request leaves."""
    rows = [Estimate(value, value - 0.1, value + 0.1, 0.95, "share", 50, "counted") for value in (0.5, 0.7, 0.6)]
    curves = {name: {"training": rows, "validation": rows[::-1]} for name in ("loss", "accuracy", "macro_f1")}
    page_file = tmp_path / "curves.html"
    page_file.write_text(curves_html(" ".join(HOSTILE), curves, best=2, taxonomy=FIVE_GOALS), encoding="utf-8")

    visit.open(page_file, charts=tuple(curves))
    assert (visit.complaints, visit.requests) == ([], [])
    assert visit.page.locator("#loss tbody tr").count() == 3
