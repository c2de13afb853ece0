"""The page of comparisons in a real browser: charts are drawn, nothing hostile runs, nothing is fetched."""

from __future__ import annotations

from pathlib import Path

from ethostat.report import write_comparison
from report_cases import HOSTILE
from shift_cases import hostile_shift, shifted
from visits import Visit


def test_a_hostile_comparison_draws_its_charts_and_runs_nothing_else(visit: Visit, tmp_path: Path) -> None:
    """With hostile models, goals, prompts, answers and notes two charts stand, no text runs, no request leaves."""
    write_comparison(tmp_path / "page.html", hostile_shift())

    visit.open(tmp_path / "page.html", charts=("forest-0", "categories-0"))
    assert (visit.complaints, visit.requests) == ([], [])
    assert visit.page.locator("#main script, #main img").count() == 0
    assert visit.page.locator("#prompts-0 tbody tr").count() == len(HOSTILE)


def test_answers_of_both_sides_open_from_the_keyboard(visit: Visit, tmp_path: Path) -> None:
    """Enter on a prompt's summary shows what either side answered."""
    write_comparison(tmp_path / "page.html", hostile_shift())
    visit.open(tmp_path / "page.html", charts=("forest-0",))

    visit.page.locator("#prompts-0 summary").first.focus()
    visit.page.keyboard.press("Enter")

    assert visit.page.locator("#prompts-0 details[open] .answer").first.is_visible()


def test_several_models_stand_in_a_table_that_leads_to_each(visit: Visit, tmp_path: Path) -> None:
    """The table has a line a model with its verdict; on a phone the page is no wider than the screen."""
    found = shifted()
    write_comparison(tmp_path / "page.html", found)
    visit.page.set_viewport_size({"width": 390, "height": 800})

    visit.open(tmp_path / "page.html", charts=("models", "forest-0", "forest-1"))
    cells = visit.page.locator("#models tbody .whole").all_inner_texts()
    assert cells == [one.verdict for one in found]
    assert visit.page.evaluate("document.documentElement.scrollWidth") <= 390
    visit.page.locator("#models a").nth(1).click()
    assert visit.page.evaluate("location.hash") == "#verdict-1"
    assert (visit.complaints, visit.requests) == ([], [])
