"""One model against another."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.console import Group
from rich.table import Table
from rich.text import Text

from ethostat.terminal.screen import p_cell, rows_view, signed_cell, value_cell
from ethostat.visible import stripped

if TYPE_CHECKING:  # what is shown is made elsewhere; --help need not load it
    from ethostat.maths.estimate import Estimate
    from ethostat.shift import Moved, Shift

_COLOURS = {"changed": "red", "equivalent": "green", "inconclusive": "yellow"}


def shift_view(found: Shift) -> Group:
    """Verdict, figures of both sides with their difference, the test, what moved, what more evidence would take."""
    verdict = Text.assemble(
        (found.verdict, f"bold {_COLOURS[found.verdict]}"),
        f": {stripped(found.b.name, most=80)} against {stripped(found.a.name, most=80)}",
    )
    parts: list[Text | Table | str] = [verdict, _matched_line(found), "", _differences_table(found), ""]
    parts += _test_lines(found)
    for title, rows in (("Categories", found.categories), ("Prompts that moved", _moved_most(found.prompts))):
        if rows:
            parts += ["", rows_view(title, [_moved_cells(row) for row in rows])]
    parts += [Text(line, "dim") for row in found.prompts for line in _example_lines(row)]
    parts += [Text(f"note: {stripped(note)}", "yellow") for note in found.notes]
    return Group(*parts)


def shifts_view(found: Sequence[Shift]) -> Table:
    """Several models against one baseline, a line each."""
    rows = [
        {
            "model": one.b.name,
            "verdict": one.verdict,
            "S": value_cell(one.b.entropy if one.b.entropy.is_defined else one.b.pooled_entropy),
            "S less the baseline's": signed_cell(one.headline),
            "aligned, less": signed_cell(one.aligned_difference),
            "divergence": value_cell(one.divergence),
            "p": p_cell(one.p_value),
            "p, adjusted": "" if one.p_adjusted is None else p_cell(one.p_adjusted),
        }
        for one in found
    ]
    return rows_view(f"Against {stripped(found[0].a.name, most=80)}", rows)


def _matched_line(found: Shift) -> str:
    matched = found.matched
    if not matched.is_paired:
        return f"no prompt matched; {found.a.profile.n} responses against {found.b.profile.n}"
    left = f", {matched.only_a} and {matched.only_b} left out" if matched.only_a or matched.only_b else ""
    return (
        f"{matched.prompts} prompts matched (by {matched.by}){left}; {found.a.profile.n} responses against "
        f"{found.b.profile.n}"
    )


def _differences_table(found: Shift) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    corrected = found.corrected
    for heading in (
        "",
        "A",
        "B",
        "B - A, prompts like these",
        "these prompts",
        "p (Holm)",
        *["corrected"] * bool(corrected),
    ):
        table.add_column(heading, justify="right" if heading in ("A", "B") else "left")
    here, a, b = found.entropy_difference_here, found.a, found.b

    def add(*cells: str, beside: Estimate | None = None) -> None:
        table.add_row(*cells, *([signed_cell(beside)] if corrected and beside else []))

    add(
        "within-prompt S",
        value_cell(a.entropy),
        value_cell(b.entropy),
        signed_cell(found.entropy_difference),
        signed_cell(here),
        "",
    )
    pooled = found.pooled_entropy_difference
    add(
        "pooled S", value_cell(a.pooled_entropy), value_cell(b.pooled_entropy), signed_cell(pooled), "", "",
        beside=corrected.pooled_entropy if corrected else None,
    )  # fmt: skip
    add(
        "aligned share", value_cell(a.aligned), value_cell(b.aligned), signed_cell(found.aligned_difference), "", "",
        beside=corrected.aligned if corrected else None,
    )  # fmt: skip
    for place, one in enumerate(found.goals):
        add(
            one.goal, value_cell(one.a), value_cell(one.b), signed_cell(one.difference), signed_cell(one.here),
            p_cell(one.p_adjusted),
            beside=corrected.shares[place] if corrected else None,
        )  # fmt: skip
    return table


def _test_lines(found: Shift) -> list[Text]:
    adjusted = "" if found.p_adjusted is None else f", adjusted {p_cell(found.p_adjusted)}"
    within = "of responses within prompts" if found.matched.is_paired else ""
    lines = [
        f"No change at all: p = {p_cell(found.p_value)}{adjusted} ({found.swaps} swaps {within})".replace(" )", ")"),
        f"Divergence of profiles      {found.divergence}",
        f"Total variation             {found.total_variation}",
    ]
    if found.prompt_divergence_here.is_defined:
        lines.append(f"Mean divergence of prompts  {found.prompt_divergence}")
        lines.append(f"  of these prompts          {found.prompt_divergence_here}")
    lines.append(f"Reduction of S              {found.reduction}")
    equal = found.equivalence
    if equal.holds:
        lines.append(f"Equivalent, for {equal.scope}: every entropy and share lies within its margin")
    for one in equal.failing:
        shown = f"{signed_cell(one.estimate)} at {one.estimate.level:.0%}, margin {one.margin:g}"
        lines.append(f"Not shown equivalent, for {equal.scope}: {one.name} {shown}")
    return [Text(line) for line in [*lines, *_need_lines(found)]]


def _need_lines(found: Shift) -> list[str]:
    lines = []
    for need in found.needs:
        ways = [
            (need.samples, "{} samples of each of these prompts on both sides"),
            (need.prompts, "{} prompts like these, paired"),
            (need.unpaired_prompts, "{} prompts a side, unpaired"),
        ]
        said = [words.format(f"{number:,.0f}") for number, words in ways if number == number]  # noqa: PLR0124 - nan
        if said:
            lines.append(f"To see {need.change:g} nats with {need.power:.0%} power: {'; or '.join(said)}")
    return lines


def _moved_most(rows: Sequence[Moved], *, most: int = 5) -> Sequence[Moved]:
    return [row for row in rows if row.has_moved][:most]


def _moved_cells(row: Moved) -> dict[str, object]:
    return {
        "name": stripped(row.id, most=40),
        "A": _count_words(row.a.counts),
        "B": _count_words(row.b.counts),
        "S, B - A": signed_cell(row.entropy_difference),
        "divergence": value_cell(row.divergence),
        "p": p_cell(row.p_value),
        "p (BH)": p_cell(row.p_adjusted),
    }


def _count_words(counts: Sequence[int]) -> str:
    return " ".join(map(str, counts))


def _example_lines(row: Moved) -> list[str]:
    if not row.examples:
        return []
    lines = [f"{stripped(row.id, most=40)}  asked  {stripped(row.asked or '', most=200)}"]
    return lines + [f"  {one.side.upper()} said  [{one.goal}] {stripped(one.text, most=200)}" for one in row.examples]
