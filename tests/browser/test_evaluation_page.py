"""The page of an evaluation in a real browser: charts are drawn, nothing hostile runs, nothing is fetched."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

from playwright.sync_api import sync_playwright

from ethostat.labelled import evaluate
from ethostat.report import write_evaluation
from ethostat.taxonomy import FIVE_GOALS
from goals import WordClassifier
from report_cases import HOSTILE


def test_the_page_draws_its_charts_and_runs_nothing_else(tmp_path: Path) -> None:
    """With hostile ids, sources and subtypes three charts stand, no script of a file runs, no request leaves."""
    rows = [
        {"id": f"{text} {n}", "prompt": f"p{n}", "response": "g1", "label": label, "source": text, "subtype": text}
        for n, (text, label) in enumerate((text, label) for text in HOSTILE for label in ("g1", "g2"))
    ]
    (tmp_path / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)))
    found = evaluate(WordClassifier(), tmp_path / "rows.jsonl")
    write_evaluation(tmp_path / "page.html", found, taxonomy=FIVE_GOALS)
    complaints: list[str] = []
    requests: list[str] = []

    chromium = os.environ.get("ETHOSTAT_CHROMIUM") or shutil.which("chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--headless", "--no-sandbox"])
        page = browser.new_page()
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("dialog", lambda dialog: (complaints.append("dialog"), dialog.dismiss()))
        page.goto((tmp_path / "page.html").as_uri())
        page.on("request", lambda request: requests.append(request.url))
        for chart in ("reliability", "sources", "subtypes"):
            page.wait_for_selector(f"#chart-{chart} .main-svg")
        misses = page.locator("#misses tbody tr").count()
        browser.close()
    assert (complaints, requests) == ([], [])
    assert misses == len(found.misses) > 5
