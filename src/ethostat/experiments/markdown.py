"""Numbers and tables of the experiments' pages."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any


def table(headings: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A Markdown table; a bar within a cell is escaped, a line break becomes a space.

    >>> print(table(("goal", "n"), [("g1|g2", 3)]))
    | goal | n |
    | --- | --- |
    | g1\\|g2 | 3 |
    """
    lines = [headings, ["---"] * len(headings), *rows]
    return "\n".join("| " + " | ".join(map(_cell, line)) + " |" for line in lines)


def shown(estimate: Mapping[str, Any], *, decimals: int = 3) -> str:
    """An Estimate as figures hold it (`to_dict`): the value and its interval; without one, why.

    >>> shown({"value": 0.5, "low": 0.41, "high": 0.59, "method": "Wilson"}, decimals=2)
    '0.50 (0.41 to 0.59)'
    """
    value, low, high = (estimate[key] for key in ("value", "low", "high"))
    if value is None:
        return str(estimate["method"])
    if low is None or high is None:
        return f"{value:.{decimals}f}"
    return f"{value:.{decimals}f} ({low:.{decimals}f} to {high:.{decimals}f})"


def percent(share: float, *, decimals: int = 1) -> str:
    """A share in percent.

    >>> percent(0.942)
    '94.2 %'
    """
    return "undefined" if math.isnan(share) else f"{100 * share:.{decimals}f} %"


def image(name: str, file: str, words: str) -> str:
    """A drawing of an experiment on its page; `words` say what it shows to those who cannot see it."""
    return f"![{words}]({name}/{file}.svg)"


def _cell(value: object) -> str:
    return " ".join(str(value).split()).replace("|", "\\|")
