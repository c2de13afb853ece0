"""The page of a training in a real browser: its charts are drawn, its name is text, nothing is fetched."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from playwright.sync_api import sync_playwright

from ethostat.maths.estimate import Estimate
from ethostat.report import curves_html
from ethostat.taxonomy import FIVE_GOALS
from report_cases import HOSTILE


def test_the_page_draws_three_charts_and_runs_nothing_else(tmp_path: Path) -> None:
    """Under a hostile name loss, accuracy and macro-F1 stand by epoch, no script of it runs, no request leaves."""
    rows = [Estimate(value, value - 0.1, value + 0.1, 0.95, "share", 50, "counted") for value in (0.5, 0.7, 0.6)]
    curves = {name: {"training": rows, "validation": rows[::-1]} for name in ("loss", "accuracy", "macro_f1")}
    page_file = tmp_path / "curves.html"
    page_file.write_text(curves_html(" ".join(HOSTILE), curves, best=2, taxonomy=FIVE_GOALS), encoding="utf-8")
    complaints: list[str] = []
    requests: list[str] = []

    chromium = os.environ.get("ETHOSTAT_CHROMIUM") or shutil.which("chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--headless", "--no-sandbox"])
        page = browser.new_page()
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("dialog", lambda dialog: (complaints.append("dialog"), dialog.dismiss()))
        page.goto(page_file.as_uri())
        page.on("request", lambda request: requests.append(request.url))
        for chart in curves:
            page.wait_for_selector(f"#chart-{chart} .main-svg")
        epochs = page.locator("#loss tbody tr").count()
        browser.close()
    assert (complaints, requests) == ([], [])
    assert epochs == 3
