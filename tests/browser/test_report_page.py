"""The report in a real browser: nothing runs, nothing is fetched, everything works from the keyboard."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from ethostat.report import write_report
from ethostat.taxonomy import FIVE_GOALS
from report_cases import HOSTILE, corrected, hostile, measured
from visits import Visit

_CHARTS = ("entropies",)


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a plain, a hostile and a large report."""
    folder = tmp_path_factory.mktemp("reports")
    measurement, rows = measured(words="A long answer. " * 60)
    write_report(folder / "plain.html", measurement, taxonomy=FIVE_GOALS, responses=rows)
    measurement, rows, taxonomy = hostile()
    write_report(folder / "hostile.html", measurement, taxonomy=taxonomy, responses=rows)
    measurement, rows = corrected()
    write_report(folder / "corrected.html", measurement, taxonomy=FIVE_GOALS, responses=rows)
    measurement, rows = measured(prompts=100, samples=100, words="word " * 120)
    write_report(folder / "large.html", measurement, taxonomy=FIVE_GOALS, responses=rows)
    return folder


@pytest.fixture(scope="module")
def opened(browser: Browser, reports: Path) -> Iterator[Visit]:
    """The plain report, loaded once."""
    page = browser.new_page(viewport={"width": 1280, "height": 900}, color_scheme="light")
    visit = Visit(page)
    visit.open(reports / "plain.html", charts=_CHARTS)
    yield visit
    page.close()


@pytest.fixture
def plain(opened: Visit) -> Visit:
    """The plain report as it is when it opens: no prompt open, no filter, sorted by S."""
    page = opened.page
    page.locator("#find").fill("")
    page.locator("#category").select_option(label="all")
    for _ in page.locator("button.open[aria-expanded=true]").all():
        page.locator("button.open[aria-expanded=true]").first.click()
    page.locator("th[data-key=n] button").click()
    page.locator("th[data-key=s] button").click()
    return opened


def _ids(page: Page) -> list[str]:
    return page.locator("button.open").all_inner_texts()


def test_the_page_asks_for_nothing_and_complains_of_nothing(plain: Visit) -> None:
    """All charts are drawn without a request, a console message or a policy violation."""
    plain.page.wait_for_selector("#chart-variance .main-svg")
    assert plain.page.locator(".plot .main-svg").count() >= 5
    assert plain.page.evaluate("performance.getEntriesByType('resource').length") == 0
    assert (plain.complaints, plain.requests) == ([], [])


def test_columns_sort_from_the_keyboard(plain: Visit) -> None:
    """Enter on a heading sorts by it, again turns the order, and aria-sort tells both."""
    heading = plain.page.locator("th[data-key=id]")
    assert plain.page.locator("th[data-key=s]").get_attribute("aria-sort") == "descending"

    heading.locator("button").focus()
    plain.page.keyboard.press("Enter")
    up, said = _ids(plain.page), heading.get_attribute("aria-sort")
    plain.page.keyboard.press("Enter")

    assert (up, said) == ([f"p{i}" for i in range(6)], "ascending")
    assert (_ids(plain.page), heading.get_attribute("aria-sort")) == (up[::-1], "descending")


def test_a_prompt_opens_its_responses_from_the_keyboard(plain: Visit) -> None:
    """Enter on a prompt shows its text and responses with goal and probability, and Enter again hides them."""
    prompt = plain.page.get_by_role("button", name="p4", exact=True)

    prompt.press("Enter")

    assert prompt.get_attribute("aria-expanded") == "true"
    assert plain.page.locator(".turn .said").inner_text() == "Question 4?"
    first = plain.page.locator(".answer").first
    assert "g1 Helpful & Aligned" in first.inner_text()
    assert "probability 1.00" in first.inner_text()
    prompt.press("Enter")
    assert plain.page.locator(".answer").count() == 0


def test_responses_come_in_parts_and_by_goal(plain: Visit) -> None:
    """Five responses are shown, then the rest; a goal's button leaves only its responses."""
    plain.page.get_by_role("button", name="p4", exact=True).click()
    answers = plain.page.locator(".answer")
    before = answers.count()

    plain.page.get_by_role("button", name="Show 3 more").click()
    after = answers.count()
    plain.page.get_by_role("button", name="g5 Off-Topic 1").click()

    assert (before, after, answers.count()) == (5, 8, 1)


def test_a_long_response_is_clipped_until_asked_for(plain: Visit) -> None:
    """A response of 900 characters shows 500, and all of them on demand."""
    plain.page.get_by_role("button", name="p0", exact=True).click()
    said = plain.page.locator(".answer .said").first
    before = len(said.text_content() or "")

    plain.page.locator(".answer").first.get_by_role("button").press("Enter")

    assert (before, len(said.text_content() or "")) == (501, 902)


def test_prompts_are_found_by_text_and_category(plain: Visit) -> None:
    """The filters leave what matches, and say how many that is."""
    plain.page.get_by_label("Find").fill("question 3")
    found, said = _ids(plain.page), plain.page.locator("#shown").inner_text()
    plain.page.get_by_label("Find").fill("")
    plain.page.locator("#category").select_option(label="c1")

    assert (found, said) == (["p3"], "1 of 6 prompts")
    assert set(_ids(plain.page)) == {"p1", "p3", "p5"}


def test_a_point_of_the_chart_opens_its_prompt(plain: Visit) -> None:
    """A click on the first point opens the most certain prompt."""
    points = plain.page.locator("#chart-prompts .scatterlayer .point")
    points.first.scroll_into_view_if_needed()
    box = points.first.bounding_box()
    assert box is not None

    plain.page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    plain.page.wait_for_selector("#chart-prompts .hovertext")
    plain.page.mouse.down()
    plain.page.mouse.up()

    plain.page.wait_for_selector("button.open[aria-expanded=true]")
    assert plain.page.locator("button.open[aria-expanded=true]").inner_text() == "p0"


def test_page_and_charts_follow_the_colour_scheme(plain: Visit) -> None:
    """Turning the scheme turns the ground, the text and the bars, without a reload."""
    look = """() => [
        getComputedStyle(document.body).backgroundColor,
        getComputedStyle(document.querySelector('#chart-profile .xtick text')).fill,
        getComputedStyle(document.querySelector('#chart-profile .bars path')).fill,
    ]"""
    light = plain.page.evaluate(look)

    plain.page.emulate_media(color_scheme="dark")
    dark = light
    for _ in range(100):  # the page's policy forbids the eval that Playwright's own waiting needs
        dark = plain.page.evaluate(look)
        if all(now != before for now, before in zip(dark, light, strict=True)):
            break
        plain.page.wait_for_timeout(50)

    plain.page.emulate_media(color_scheme="light")
    assert (light[0], dark[0]) == ("rgb(255, 255, 255)", "rgb(20, 24, 27)")
    assert (light[1], dark[1]) == ("rgb(28, 33, 38)", "rgb(228, 232, 235)")
    assert plain.complaints == []


@pytest.mark.parametrize("name", ["plain.html", "hostile.html"])
def test_a_phone_never_scrolls_sideways(visit: Visit, reports: Path, name: str) -> None:
    """At 360 px, a prompt opened, the page is as wide as the screen."""
    visit.page.set_viewport_size({"width": 360, "height": 740})
    visit.open(reports / name, charts=_CHARTS)

    visit.page.locator("button.open").first.click()

    assert visit.page.evaluate("document.documentElement.scrollWidth") == 360


def test_hostile_text_is_shown_and_never_run(visit: Visit, reports: Path) -> None:
    """Every attack in prompts, ids, categories, goals, notes and responses appears as text; none acts."""
    visit.open(reports / "hostile.html", charts=_CHARTS)

    for button in visit.page.locator("button.open").all():
        button.click()
    for button in visit.page.locator(".behind .quiet").all():
        button.click()

    shown = visit.page.locator("body").inner_text()
    for text in (
        *HOSTILE[:4],
        "evil⟨U+202E⟩txt",
        "nul⟨U+0000⟩ esc⟨U+001B⟩[31m bell⟨U+0007⟩",
        "lone ⟨U+D800⟩ surrogate",
        HOSTILE[7],
    ):
        assert text in shown
    assert visit.page.locator("img, iframe, a[href^=javascript], main script").count() == 0
    assert (visit.complaints, visit.requests) == ([], [])


def test_ten_thousand_responses_stay_quick(visit: Visit, reports: Path) -> None:
    """With 10,000 responses the page holds rows only for what is shown, and sorting takes less than 0.3 s."""
    visit.open(reports / "large.html", charts=_CHARTS)

    visit.page.get_by_role("button", name="p99", exact=True).click()
    took = visit.page.evaluate(
        "() => { const t = performance.now(); document.querySelector('th[data-key=aligned] button').click(); "
        "document.body.offsetHeight; return performance.now() - t; }"
    )

    assert took < 300
    assert visit.page.locator("*").count() < 6000


def test_corrected_figures_are_drawn_and_named_beside_the_raw_ones(visit: Visit, reports: Path) -> None:
    """The chart's legend names both, the table has a column for each, and a hostile file name stays text."""
    visit.open(reports / "corrected.html", charts=_CHARTS)
    legend = visit.page.locator("#chart-profile .legendtext")
    headings = visit.page.locator("#profile th[scope=col]").all_inner_texts()

    assert legend.all_text_contents() == ["as classified", "corrected"]
    assert visit.page.locator("#chart-profile .errorbar").count() == 10
    assert headings[-4:] == ["share", "interval", "corrected", "interval, corrected"]
    assert "Corrected." in visit.page.locator(".notice").inner_text()
    assert HOSTILE[1] in visit.page.locator("#notes").inner_text()
    assert (visit.complaints, visit.requests) == ([], [])
