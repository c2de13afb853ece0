"""Colours of figures in light and dark, the font, and what the browser is to be told."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

CONFIG = {"displayModeBar": False, "responsive": True, "scrollZoom": False, "doubleClick": False}
"""What the browser is to be told of every figure."""

FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"


@dataclass(frozen=True, slots=True)
class Scheme:
    """Colours of one colour scheme: text, lines, a single accent, and one row each for aligned and other goals.

    The rows are those of Okabe and Ito, shifted in lightness until they stand out from the ground.
    """

    ink: str
    muted: str
    line: str
    accent: str
    aligned: tuple[str, ...]
    misaligned: tuple[str, ...]


LIGHT = Scheme(
    ink="#1c2126",
    muted="#5b6670",
    line="#dfe3e6",
    accent="#1f4e79",
    aligned=("#0b6aa8", "#0f8f78", "#4a9bd0", "#5a7d2a"),
    misaligned=("#c2500a", "#d39a00", "#9a5b8f", "#7a6a5a"),
)
DARK = Scheme(
    ink="#e4e8eb",
    muted="#9aa6b0",
    line="#333b42",
    accent="#8fc1ea",
    aligned=("#4ea3dc", "#38b99d", "#9ccbee", "#9dbb62"),
    misaligned=("#ee8549", "#e8bb3f", "#cf96c4", "#b5a596"),
)


def goal_colors(aligned: Sequence[bool], scheme: Scheme) -> tuple[str, ...]:
    """One colour a goal: cool for aligned goals, warm for the others; rows repeat when goals outnumber them."""
    cool = warm = 0
    colors = []
    for good in aligned:
        row, place = (scheme.aligned, cool) if good else (scheme.misaligned, warm)
        colors.append(row[place % len(row)])
        cool, warm = cool + good, warm + (not good)
    return tuple(colors)
