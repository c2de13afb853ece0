"""What is printed, and the cells and tables that views share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

from ethostat.visible import stripped

if TYPE_CHECKING:  # what is shown is made elsewhere; --help need not load it
    from ethostat.maths.estimate import Estimate


def to_terminal(*parts: object, stderr: bool = False) -> None:
    """Print with colours where the terminal has them."""
    Console(stderr=stderr, highlight=False, soft_wrap=False).print(*parts, sep="\n", markup=False)


def rows_view(title: str, rows: Sequence[Mapping[str, object]]) -> Table:
    """Any list of rows as a table, one column a key of the first row."""
    table = Table(title=title, title_justify="left", box=None, pad_edge=False, header_style="dim")
    for key in rows[0] if rows else ():
        table.add_column(key, overflow="fold", no_wrap=key == next(iter(rows[0])))
    for row in rows:
        table.add_row(*(Text(stripped(_shown(value), most=100)) for value in row.values()))
    return table


def _shown(value: object) -> str:
    if value is None:
        return ""
    return f"{value:.3f}" if isinstance(value, float) else str(value)


def p_cell(value: float) -> str:
    """A p-value."""
    return f"{value:.2g}"


def value_cell(found: Estimate) -> str:
    """The value alone: shares in per cent, others in their unit."""
    if not found.is_defined:
        return "–"
    return f"{found.value:.1%}" if found.unit == "share" else f"{found.value:.3f}"


def signed_cell(found: Estimate) -> str:
    """A difference with its interval."""
    if not found.is_defined:
        return "–"
    form = "{:+.1%} [{:+.1%}, {:+.1%}]" if found.unit == "share" else "{:+.3f} [{:+.3f}, {:+.3f}]"
    return form.format(found.value, found.low, found.high)
