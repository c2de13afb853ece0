"""Figures as PNG and SVG, drawn by the system's chromium."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from ethostat.alignment import alignment_work
from ethostat.errors import InvalidInput
from ethostat.report import write_comparison, write_trajectory
from report_cases import HOSTILE, hostile
from shift_cases import followed, shifted


@pytest.fixture(autouse=True)
def _chromium(monkeypatch: pytest.MonkeyPatch) -> None:
    """The browser of the other tests draws."""
    monkeypatch.setenv("BROWSER_PATH", os.environ.get("ETHOSTAT_CHROMIUM") or shutil.which("chromium") or "")


def test_a_forest_plot_is_a_png_of_twice_its_width(tmp_path: Path) -> None:
    """The file begins as a PNG does, 1,920 pixels wide."""
    write_comparison(tmp_path / "shift.png", shifted()[0])

    drawn = (tmp_path / "shift.png").read_bytes()
    assert drawn[:8] == b"\x89PNG\r\n\x1a\n"
    assert int.from_bytes(drawn[16:20], "big") == 1920


def test_an_svg_holds_no_markup_of_a_name(tmp_path: Path) -> None:
    """Hostile names of a trajectory stand in it as text; it has no script, and names no address to fetch from."""
    _, _, taxonomy = hostile()
    pair = [followed(limit, text=HOSTILE[1], taxonomy=taxonomy) for limit in (0.45, 0.1)]
    write_trajectory(tmp_path / "path.svg", alignment_work(*pair))

    drawn = (tmp_path / "path.svg").read_text()
    assert drawn.startswith("<svg")
    assert "<script" not in drawn
    assert "<img" not in drawn
    assert "S, nats" in drawn


def test_a_missing_browser_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a browser the error says what draws an image and what to do."""
    monkeypatch.setenv("BROWSER_PATH", str(tmp_path / "none"))

    with pytest.raises(InvalidInput, match=r"Chrome or Chromium.*BROWSER_PATH, or write \.html"):
        write_trajectory(tmp_path / "path.png", followed())
