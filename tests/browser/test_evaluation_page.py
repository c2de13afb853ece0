"""The page of an evaluation in a real browser: charts are drawn, nothing hostile runs, nothing is fetched."""

from __future__ import annotations

import json
from pathlib import Path

from ethostat.labelled import evaluate
from ethostat.report import write_evaluation
from ethostat.taxonomy import FIVE_GOALS
from goals import WordClassifier
from report_cases import HOSTILE
from visits import Visit


def test_the_page_draws_its_charts_and_runs_nothing_else(visit: Visit, tmp_path: Path) -> None:
    """With hostile ids, sources and subtypes three charts stand, no script of a file runs, no request leaves."""
    rows = [
        {"id": f"{text} {n}", "prompt": f"p{n}", "response": "g1", "label": label, "source": text, "subtype": text}
        for n, (text, label) in enumerate((text, label) for text in HOSTILE for label in ("g1", "g2"))
    ]
    (tmp_path / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)))
    found = evaluate(WordClassifier(), tmp_path / "rows.jsonl")
    write_evaluation(tmp_path / "page.html", found, taxonomy=FIVE_GOALS)

    visit.open(tmp_path / "page.html", charts=("reliability", "sources", "subtypes"))
    assert (visit.complaints, visit.requests) == ([], [])
    assert visit.page.locator("#misses tbody tr").count() == len(found.misses) > 5
