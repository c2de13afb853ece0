"""The page of a trajectory in a real browser: charts are drawn, nothing hostile runs, nothing is fetched."""

from __future__ import annotations

from pathlib import Path

from ethostat.alignment import alignment_work
from ethostat.report import write_trajectory
from report_cases import HOSTILE, hostile
from shift_cases import followed
from visits import Visit

CHARTS = ("entropy", "goals-0", "goals-1", "changes-0", "changes-1", "rates", "work")


def test_base_against_tuned_is_drawn_and_holds_no_gap(visit: Visit, tmp_path: Path) -> None:
    """Seven charts stand in the dark scheme on a phone, no wider than the screen, and nothing is fetched."""
    found = alignment_work(followed(), followed(0.1))
    write_trajectory(tmp_path / "page.html", found)
    visit.page.set_viewport_size({"width": 390, "height": 800})
    visit.page.emulate_media(color_scheme="dark")

    visit.open(tmp_path / "page.html", charts=CHARTS)
    assert (visit.complaints, visit.requests) == ([], [])
    assert visit.page.evaluate("document.documentElement.scrollWidth") <= 390
    assert visit.page.locator("#steps tbody tr").count() == 40


def test_a_hostile_trajectory_runs_nothing(visit: Visit, tmp_path: Path) -> None:
    """With hostile names of model, step, part, versions and goals the charts stand and no text runs."""
    _, _, taxonomy = hostile()
    pair = [followed(limit, text=HOSTILE[1], taxonomy=taxonomy) for limit in (0.45, 0.1)]
    write_trajectory(tmp_path / "page.html", alignment_work(*pair), taxonomy=taxonomy)

    visit.open(tmp_path / "page.html", charts=CHARTS)
    assert (visit.complaints, visit.requests) == ([], [])
    assert visit.page.locator("#main script, #main img").count() == 0
