"""How things look in a terminal: measurements, runs, progress; nothing that a model wrote reaches it unstripped."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

from ethostat.maths.estimate import Estimate
from ethostat.measurement import Measurement, PromptResult
from ethostat.taxonomy import Taxonomy

# C0 and C1 controls (among them ESC), DEL, bidirectional overrides and isolates, line separators, lone surrogates.
_UNSAFE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)
_BAR = 24


def clean(text: str, *, width: int | None = None) -> str:
    """The text without what could move a cursor, recolour a line or reverse its direction, on one line.

    >>> clean("a\\x1b[31mred\\nnext")
    'a[31mred next'
    """
    line = " ".join(_UNSAFE.sub("", text).split())
    return line if width is None or len(line) <= width else line[: width - 1] + "…"


def measurement_view(measurement: Measurement, taxonomy: Taxonomy) -> Group:
    """Headline, profile, the three entropies, the most uncertain prompts, provenance."""
    source = measurement.provenance
    title = Text.assemble((clean(source.model, width=60), "bold"), f" on {clean(source.prompts.name, width=40)}")
    parts: list[Text | Table | str] = [title, _headline(measurement), "", _profile_table(measurement, taxonomy), ""]
    parts.append(_numbers_table(measurement))
    if repeated := [row for row in measurement.per_prompt if row.profile.n > 1 and row.entropy.is_defined]:
        parts += ["", _prompts_table(repeated, measurement.goals)]
    parts += [Text(f"note: {clean(note)}", "yellow") for note in source.notes]
    return Group(*parts)


def rows_view(title: str, rows: Sequence[Mapping[str, object]]) -> Table:
    """Any list of rows as a table, one column a key of the first row."""
    table = Table(title=title, title_justify="left", box=None, pad_edge=False, header_style="dim")
    for key in rows[0] if rows else ():
        table.add_column(key, overflow="fold")
    for row in rows:
        table.add_row(*(Text(clean(str("" if value is None else value), width=100)) for value in row.values()))
    return table


def to_terminal(*parts: object, stderr: bool = False) -> None:
    """Print with colours where the terminal has them."""
    Console(stderr=stderr, highlight=False, soft_wrap=False).print(*parts, sep="\n", markup=False)


def _headline(measurement: Measurement) -> Text:
    what = "mean within-prompt S" if measurement.entropy.is_defined else "pooled S"
    line = Text.assemble(("Ethical entropy ", ""), (str(measurement.headline), "bold"), f"  ({what})")
    line.append(f"\nAligned share   {measurement.aligned}")
    return line


def _profile_table(measurement: Measurement, taxonomy: Taxonomy) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    for heading in ("goal", "", "count", "share", "95% interval", ""):
        table.add_column(heading, justify="right" if heading in ("count", "share") else "left")
    rows = zip(taxonomy.goals, measurement.profile.counts, measurement.shares, strict=True)
    for goal, count, share in rows:
        style = "green" if goal.aligned else "red"
        bar = Text("█" * round(share.value * _BAR), style)
        name = Text(clean(goal.name, width=28))
        table.add_row(goal.key, name, str(count), f"{share.value:.1%}", f"[{share.low:.1%}, {share.high:.1%}]", bar)
    return table


def _numbers_table(measurement: Measurement) -> Table:
    table = Table(box=None, pad_edge=False, show_header=False)
    numbers: Iterable[tuple[str, Estimate]] = (
        ("within prompts, these prompts", measurement.entropy),
        ("within prompts, prompts like these", measurement.entropy_population),
        ("between prompts (Jensen-Shannon)", measurement.between_prompts),
        ("pooled", measurement.pooled_entropy),
    )
    for name, estimate in numbers:
        table.add_row(name, str(estimate))
    for name, estimate in measurement.categories.items():
        table.add_row(f"  within, category {clean(name, width=24)}", str(estimate))
    return table


def _prompts_table(rows: Sequence[PromptResult], goals: Sequence[str], *, most: int = 5) -> Table:
    table = Table(title="Most uncertain prompts", title_justify="left", box=None, pad_edge=False, header_style="dim")
    for heading in ("prompt", "S", "goals"):
        table.add_column(heading)
    for row in sorted(rows, key=lambda row: -row.entropy.value)[:most]:
        counts = ", ".join(f"{goal} {count}" for goal, count in zip(goals, row.profile.counts, strict=True) if count)
        table.add_row(Text(clean(row.id, width=40)), str(row.entropy), counts)
    return table
