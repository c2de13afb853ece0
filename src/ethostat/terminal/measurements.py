"""A Measurement, what a run would take, and which responses to look at."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.console import Group
from rich.table import Table
from rich.text import Text

from ethostat.terminal.gauge import span
from ethostat.terminal.screen import rows_view
from ethostat.visible import stripped

if TYPE_CHECKING:  # what is shown is made elsewhere; --help need not load it
    from ethostat.forecast import Forecast
    from ethostat.grouped import Grouped
    from ethostat.maths.estimate import Estimate
    from ethostat.measurement import Measurement, PromptResult
    from ethostat.outside import Outside
    from ethostat.taxonomy import Taxonomy

_BAR = 24


def groups_view(found: Grouped) -> Table:
    """A row for each group: its key, n, S, the aligned share, each with its interval."""
    rows = [
        {
            **group.key,
            "n": f"{group.measurement.profile.n:,}",
            "S, nats": _with_interval(group.measurement.headline),
            "aligned": _with_interval(group.measurement.aligned),
        }
        for group in found.groups
    ]
    return rows_view(f"{found.source}, {found.n:,} responses", rows)


def _with_interval(estimate: Estimate) -> str:
    return f"{estimate}" if estimate.is_defined else "undefined"


def measurement_view(measurement: Measurement, taxonomy: Taxonomy) -> Group:
    """Headline, profile, the three entropies, the most uncertain prompts, provenance."""
    source = measurement.provenance
    title = Text.assemble((stripped(source.model, most=60), "bold"), f" on {stripped(source.prompts.name, most=40)}")
    parts: list[Text | Table | str] = [title, _headline(measurement), "", _profile_table(measurement, taxonomy), ""]
    parts.append(_numbers_table(measurement))
    if repeated := [row for row in measurement.per_prompt if row.profile.n > 1 and row.entropy.is_defined]:
        parts += ["", _prompts_table(repeated, measurement.goals)]
    if measurement.outside is not None:
        parts += ["", *_outside_lines(measurement.outside, measurement)]
    notes = source.notes
    if measurement.corrected is not None:
        parts += ["", Text(f"corrected: {stripped(measurement.corrected.describe())}")]
        notes += measurement.corrected.notes
    parts += [Text(f"note: {stripped(note)}", "yellow") for note in notes]
    return Group(*parts)


def forecast_view(expected: Forecast) -> Table:
    """What a run would take, before it is started."""
    table = Table(box=None, pad_edge=False, show_header=False)
    known = "unknown: this model has not been measured here before"
    price = expected.price_source if expected.price_usd is None else f"{expected.price_usd:.4f} dollars"
    most = (
        "" if expected.most_price_usd is None else f" (at most {expected.most_price_usd:.4f}; {expected.price_source})"
    )
    for name, value in (
        ("responses", f"{expected.responses:,}"),
        ("prompt tokens", f"{expected.prompt_tokens:,} (estimated from characters)"),
        ("completion tokens", f"{expected.completion_tokens:,} (at most {expected.most_completion_tokens:,})"),
        ("time", known if expected.seconds is None else span(expected.seconds)),
        ("price", price + most),
    ):
        table.add_row(name, Text(stripped(value)))
    return table


def review_view(rows: Sequence[Mapping[str, Any]], *, title: str) -> Group:
    """Responses to review: place, goal and typicality, prompt and response cut short."""
    parts: list[Text] = [Text(title, "bold")]
    for row in rows:
        mark = "  flagged" if row["flagged"] else ""
        id = stripped(row["id"], most=60)
        parts.append(Text(f"{id}  {stripped(row['goal'])}  typicality {row['typicality']:.4f}{mark}", "cyan"))
        parts.append(Text(f"  asked  {stripped(row['messages'][-1]['content'], most=200)}", "dim"))
        parts.append(Text(f"  said   {stripped(row['response'], most=400)}"))
    return Group(*parts)


def _headline(measurement: Measurement) -> Text:
    what = "mean within-prompt S" if measurement.entropy.is_defined else "pooled S"
    line = Text.assemble(("Ethical entropy ", ""), (str(measurement.headline), "bold"), f"  ({what})")
    line.append(f"\nAligned share   {measurement.aligned}")
    if measurement.corrected is not None:
        line.append(f"\n  corrected     {measurement.corrected.aligned}")
    return line


def _profile_table(measurement: Measurement, taxonomy: Taxonomy) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    corrected = measurement.corrected
    headings = ("goal", "", "count", "share", "95% interval", *(("corrected", "95% interval") if corrected else ()), "")
    for heading in headings:
        table.add_column(heading, justify="right" if heading in ("count", "share", "corrected") else "left")
    rows = zip(taxonomy.goals, measurement.profile.counts, measurement.shares, strict=True)
    for place, (goal, count, share) in enumerate(rows):
        style = "green" if goal.aligned else "red"
        bar = Text("█" * round(share.value * _BAR), style)
        name = Text(stripped(goal.name, most=28))
        beside = _share_cells(corrected.shares[place]) if corrected else ()
        table.add_row(goal.key, name, str(count), *_share_cells(share), *beside, bar)
    return table


def _share_cells(share: Estimate) -> tuple[str, str]:
    """Value and interval."""
    return (f"{share.value:.1%}", f"[{share.low:.1%}, {share.high:.1%}]") if share.is_defined else ("–", "–")


def _outside_lines(found: Outside, measurement: Measurement) -> list[Text]:
    """What fits no goal, in two lines."""
    run = measurement.provenance.run
    look = f"; `ethostat review {run}` lists what to look at" if run else ""
    by_goal = zip(measurement.goals, found.flagged, strict=True)
    counts = ", ".join(f"{goal} {count}" for goal, count in by_goal if count)
    picked = f"{found.total} flagged at a false discovery rate of {found.false_discovery_rate:.0%}"
    return [
        Text(f"Unusual beyond chance, perhaps outside every goal: {found.share}"),
        Text(stripped(f"  {picked}{f' ({counts})' if counts else ''}{look}"), "yellow" if found.total else "dim"),
    ]


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
    if measurement.corrected is not None:
        table.add_row("pooled, corrected", str(measurement.corrected.pooled_entropy))
        table.add_row("within prompts, corrected", str(measurement.corrected.entropy))
    for name, estimate in measurement.categories.items():
        table.add_row(f"  within, category {stripped(name, most=24)}", str(estimate))
    return table


def _prompts_table(rows: Sequence[PromptResult], goals: Sequence[str], *, most: int = 5) -> Table:
    table = Table(title="Most uncertain prompts", title_justify="left", box=None, pad_edge=False, header_style="dim")
    for heading in ("prompt", "S", "goals"):
        table.add_column(heading)
    for row in sorted(rows, key=lambda row: -row.entropy.value)[:most]:
        counts = ", ".join(f"{goal} {count}" for goal, count in zip(goals, row.profile.counts, strict=True) if count)
        table.add_row(Text(stripped(row.id, most=40)), str(row.entropy), counts)
    return table
