"""The pages of `calibrate` and `selftest` in a browser: every chart is drawn, nothing is fetched, nothing complains."""

from __future__ import annotations

import numpy as np
import pytest

import ethostat as es
from ethostat.guarantees import Check
from ethostat.guarantees.check import Bounds, share_of
from ethostat.report import calibrated_html, selftest_html
from report_cases import HOSTILE

NORMAL = es.Baseline.of(es.Profile((960, 14, 20, 2, 4)), name=" ".join(HOSTILE))


def test_a_calibration_is_drawn(visit, tmp_path):
    """Delay and share against size for each direction, run length against threshold, a column a run length."""
    found = es.calibrate(NORMAL, run_lengths=(100, 300), streams=20, within=50, per_day=10, seed=1)
    page = tmp_path / "calibrate.html"
    page.write_text(calibrated_html(found), encoding="utf-8")

    visit.open(page, charts=("delay-0", "within-0", "delay-1", "within-1", "thresholds"))
    assert (visit.complaints, visit.requests) == ([], [])
    assert visit.page.locator("#settings thead th").count() == 3


def test_a_lifetime_has_no_thresholds_to_draw(visit, tmp_path):
    """With --alpha the page has the share that ever alarms, and no run lengths."""
    found = es.calibrate(NORMAL, alpha=0.05, changes=["swap"], streams=20, within=50, seed=1)
    page = tmp_path / "calibrate.html"
    page.write_text(calibrated_html(found), encoding="utf-8")

    visit.open(page, charts=("delay-0", "within-0"))
    assert visit.complaints == []
    assert visit.page.locator("#chart-thresholds").count() == 0


@pytest.mark.parametrize("hits", [0, 3, 50])
def test_a_selftest_is_drawn(visit, tmp_path, hits):
    """A figure for each family and unit; what is undefined stands in the table alone."""
    checks = (
        Check("False alarms", "tests at 5 %", Bounds(most=0.05, slack=0.05), share_of(hits, 100, of="tests")),
        Check("False alarms", "nothing was simulated", Bounds(most=0.05), share_of(0, 0, of="tests")),
    )
    page = tmp_path / "selftest.html"
    page.write_text(selftest_html(es.Selftest(checks, False, 1, np.pi)), encoding="utf-8")

    visit.open(page, charts=("0-share",))
    assert (visit.complaints, visit.requests) == ([], [])
    assert visit.page.locator("main tbody tr").count() == 2
