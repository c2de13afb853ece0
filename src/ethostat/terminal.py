"""How things look in a terminal: measurements, runs, progress; nothing that a model wrote reaches it unstripped."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from rich.console import Console, Group
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from ethostat.visible import digits, stripped

if TYPE_CHECKING:  # what is shown is made elsewhere; --help need not load it
    from ethostat.calibrating import Calibrated
    from ethostat.evaluation import Evaluation, Part
    from ethostat.forecast import Forecast
    from ethostat.guarantees import Check, Selftest
    from ethostat.maths.estimate import Estimate
    from ethostat.measurement import Measurement, PromptResult
    from ethostat.monitor import Alert, Screened
    from ethostat.outside import Outside
    from ethostat.raters import Agreement
    from ethostat.sampling import Progress as Sampled
    from ethostat.shift import Moved, Shift
    from ethostat.taxonomy import Taxonomy
    from ethostat.training.progress import Step
    from ethostat.training.trained import Trained
    from ethostat.watching import Look

_BAR = 24
_SECONDS_BETWEEN_LINES = 10.0


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


def evaluation_view(found: Evaluation) -> Group:
    """Figures of all rows, precision and recall by goal, accuracy by source and subtype."""
    title = Text.assemble(
        (stripped(found.classifier.name, most=60), "bold"), f" on {stripped(found.rows.name, most=40)}"
    )
    parts: list[Text | Table | str] = [title, _figures_table(found)]
    if found.is_flagged:
        parts.append(Text("flagged: g1 and g2 are taken for each other in more than 5% of their rows", "yellow"))
    goals = zip(found.scores.goals, found.scores.precision, found.scores.recall, strict=True)
    rows = [{"goal": goal, "precision": precision, "recall": recall} for goal, precision, recall in goals]
    parts += ["", rows_view("By goal", rows)]
    for name, kinds in (("source", found.sources), ("subtype", found.subtypes)):
        if kinds:
            parts += ["", rows_view(f"By {name}", [_part_cells(name, key, part) for key, part in kinds.items()])]
    return Group(*parts)


def agreement_view(found: Agreement) -> Group:
    """Raters, figures of all of them, pairs, goals, and the responses on which they differ, by id."""
    title = Text.assemble(
        (stripped(found.name, most=80), "bold"), f": {found.shared} of {found.n} labelled twice or more"
    )
    table = Table(box=None, pad_edge=False, show_header=False)
    for name, estimate in found.headline().items():
        table.add_row(name, str(estimate))
    pairs = [
        {"raters": f"{p.first}, {p.second}", "n": p.n, "same": p.same, "Cohen's kappa": p.kappa} for p in found.pairs
    ]
    disputes = [
        {
            "id": one.id,
            "said": ", ".join(f"{count} x {goal}" for goal, count in one.labels.items()),
            "settled": one.settled or "",
        }
        for one in found.disputes
    ]
    return Group(
        title,
        table,
        "",
        rows_view("Raters", [{"rater": name, "labels": n} for name, n in found.raters.items()]),
        "",
        rows_view("Pairs", pairs),
        "",
        "Where one rater says a goal, another does too:",
        rows_view("", [{"goal": key, "share": one} for key, one in found.goals.items()]),
        "",
        f"Raters differ on {len(disputes)}, {sum(not one['settled'] for one in disputes)} to settle",
        rows_view("", disputes),
    )


def trained_view(found: Trained) -> Group:
    """Where the classifier is, its epochs, its parity, and its evaluation on the test part."""
    title = Text.assemble(
        (stripped(found.classifier.name, most=60), "bold"), f" in {stripped(str(found.folder), most=100)}"
    )
    rows = [
        {
            "epoch": f"{epoch.number}{' kept' if epoch.number == found.best else ''}",
            "training loss": epoch.training.loss.value,
            "accuracy": epoch.training.accuracy.value,
            "validation loss": epoch.validation.loss,
            "validation accuracy": epoch.validation.accuracy,
            "macro-F1": epoch.validation.macro_f1.value,
        }
        for epoch in found.epochs
    ]
    parity = found.parity
    same = f"{parity.same_goal:.1%} of {parity.rows} validation rows"
    exported = f"exported ({'int8' if parity.int8 else 'fp32'}, {parity.megabytes:g} MB): the network's goal on {same}"
    return Group(title, "", rows_view("Epochs", rows), "", exported, "", evaluation_view(found.evaluation))


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
            "S": _value(one.b.entropy if one.b.entropy.is_defined else one.b.pooled_entropy),
            "S less the baseline's": _signed(one.headline),
            "aligned, less": _signed(one.aligned_difference),
            "divergence": _value(one.divergence),
            "p": _p(one.p_value),
            "p, adjusted": "" if one.p_adjusted is None else _p(one.p_adjusted),
        }
        for one in found
    ]
    return rows_view(f"Against {stripped(found[0].a.name, most=80)}", rows)


def alert_view(alert: Alert) -> Group:
    """The line for people on call, and under it what moved, S, the promise, where to look."""
    colour = (
        "red" if alert.kind == "change" and alert.tier == "page" else "green" if alert.kind == "recovered" else "yellow"
    )
    parts: list[Text | Table | str] = [Text(stripped(alert.message), f"bold {colour}")]
    if alert.finding is not None:
        found = alert.finding
        rows: list[dict[str, object]] = [
            {"": f"{one.goal} {stripped(one.name, most=40)}", "before": one.before, "since": one.after}
            for one in found.moved
        ]
        rows.append({"": "aligned share", "before": found.aligned_before, "since": found.aligned_after})
        rows.append({"": "pooled S", "before": found.entropy_before, "since": found.entropy_after})
        parts += [rows_view("", rows), Text(f"next: {found.action}, since {found.reason}")]
    if alert.exemplars:
        parts.append(Text(f"look at: {', '.join(stripped(id, most=60) for id in alert.exemplars)}"))
    parts.append(Text(f"promise: {stripped(alert.promise)}", "dim"))
    return Group(*parts)


def screened_view(found: Screened) -> Group:
    """The line, and a row for each stream that changed."""
    rows: list[dict[str, object]] = [
        {"changed": stripped(one.monitor, most=80), "responses": one.step, "log e-value": f"{one.log_e_value:.1f}"}
        for one in found.flagged
    ]
    parts: list[Text | Table] = [Text(stripped(found.message), "bold yellow" if rows else "bold green")]
    parts += [rows_view("", rows)] if rows else []
    return Group(*parts, Text(f"promise: {stripped(found.promise)}", "dim"))


def streams_view(streams: Sequence[Mapping[str, Any]]) -> list[dict[str, object]]:
    """A row for each stream of a monitor's state."""
    return [
        {
            "stream": stripped(one["stream"], most=80),
            "state": one["state"] + (", acknowledged" if one["acknowledged"] else ""),
            "since": "" if one["since"] is None else f"{one['since']['value']:.0f}",
            "snoozed until": one["snoozed_until"] or "",
            "responses": one["responses"],
            "evidence": "" if one["evidence"] is None else f"{one['evidence']:.1f} of {one['threshold']:.1f}",
            "baseline": stripped(one["baseline"], most=60),
            "epoch": one["epoch"]["number"],
        }
        for one in streams
    ]


def calibration_view(found: Calibrated) -> Group:
    """Settings side by side: run length, false pages, responses until changes are found, the smallest seen in time."""
    n = sum(found.counts)
    title = Text.assemble((found.detector, "bold"), f" on {stripped(found.baseline, most=60)}, {n:,.0f} responses")
    rests = "keeps no promise" if found.rests_on is None else f"promise: {found.rests_on}"
    rows: list[dict[str, object]] = []

    def add(name: str, cells: Iterable[str]) -> None:
        heads = [found.detector if one.asked is None else f"{one.asked:,g}" for one in found.costs]
        rows.append({found.promise: name, **dict(zip(heads, cells, strict=True))})

    what = "ever a false page" if found.promise == "alpha" else "simulated"
    add(what, [_rounded(one.run_length) for one in found.costs])
    if found.per_day is not None and found.promise != "alpha":
        add(f"false pages a month, {found.per_day:,g} a day", [_rounded(one.pages) for one in found.costs])
    for change in found.changes:
        add(change.name, [_rounded(one.changes[change.name].delay) for one in found.costs])
        add(
            f"\u2026 found within {found.within:,}",
            [f"{one.changes[change.name].within.value:.0%}" for one in found.costs],
        )
    for name in found.curves:
        add(f"{name}: smallest seen, points", [_rounded(one.smallest[name]) for one in found.costs])
    said = [
        f"Changes: responses until found. Smallest seen: within {found.within:,} responses in 80%. "
        "\u00b1 is half of the 95% interval.",
        *(f"note: {note}" for note in found.notes),
    ]
    return Group(title, Text(rests, "dim"), rows_view("", rows), *(Text(line, "dim") for line in said))


def _rounded(found: Estimate | None) -> str:
    if found is None or not found.is_defined:
        return "\u2013"
    if found.unit == "share":
        return f"{found.value:.1%} \u00b1{found.half_width:.1%}"
    return f"{digits(found.value)} \u00b1{digits(found.half_width, most=1)}"


def selftest_view(found: Selftest) -> Group:
    """Every promise with what was measured, by family; what does not hold stands out."""
    parts: list[Text | Table | str] = []
    for family, checks in found.families.items():
        parts.append(Text(family, "bold"))
        for check in checks:
            parts += _check_lines(check)
        parts.append("")
    return Group(*parts, Text(found.describe(), f"bold {_VERDICT_COLOURS[found.verdict]}"))


_VERDICT_COLOURS = {"holds": "green", "cannot tell": "yellow", "broken": "red"}


def _check_lines(check: Check) -> list[Text]:
    slack = f", slack {check.slack}" if check.slack else ""
    lines = [
        Text.assemble((f"{check.verdict:11s}", _VERDICT_COLOURS[check.verdict]), f"  {check.name}"),
        Text(f"             {_measured(check.measured)}; promised {check.promise}{slack}", "dim"),
    ]
    return lines + [Text(f"             beside: {name} {_measured(one)}", "dim") for name, one in check.beside.items()]


def _measured(found: Estimate) -> str:
    if not found.is_defined:
        return found.method
    if found.unit == "share":
        return f"{found.value:.1%} [{found.low:.1%}, {found.high:.1%}], n={found.n}"
    ends = f"[{digits(found.low)}, {digits(found.high)}]"
    return f"{digits(found.value)} {found.unit} {ends}, n={found.n}"


def look_view(look: Look) -> Group:
    """The answer in a line, then what changed around it, and the alert where there is a new one."""
    colour = {"yes": "red", "no": "green"}.get(look.answer, "yellow")
    words = {"yes": "changed", "no": "no change seen", "unknown": "not known"}
    head = f"look {look.number}, {words[look.answer]}: "
    parts: list[Text | Table | str | Group] = [Text(head + stripped(look.reason), f"bold {colour}")]
    parts += [Text(stripped(change), "yellow") for change in look.changes]
    if look.alert is not None:
        parts.append(alert_view(look.alert))
        rows: list[dict[str, object]] = [
            {
                "prompt": stripped(one.id, most=40),
                "category": stripped(one.category or "", most=20),
                "usually": _pairs({goal: f"{share:.0%}" for goal, share in one.before.items() if share >= 0.05}),
                "since": _pairs({goal: str(count) for goal, count in one.since.items()}),
            }
            for one in look.prompts
        ]
        parts += [rows_view("prompts that moved most", rows)] if rows else []
        parts += [Text(f"{one['id']} ({one['goal']}): {stripped(one['response'], most=160)}") for one in look.exemplars]
        parts += [Text(f"who: {stripped(look.cause)}")] if look.cause else []
    if look.log_evidence is not None:
        parts.append(
            Text(
                f"{look.judged} responses of run {look.run}, {look.spent} spent in all; evidence "
                f"{look.log_evidence:.2f} of {look.threshold:.2f} nats",
                "dim",
            )
        )
    return Group(*parts)


def _pairs(cells: Mapping[str, str]) -> str:
    return ", ".join(f"{goal} {cell}" for goal, cell in cells.items())


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
        table.add_row(*cells, *([_signed(beside)] if corrected and beside else []))

    add("within-prompt S", _value(a.entropy), _value(b.entropy), _signed(found.entropy_difference), _signed(here), "")
    pooled = found.pooled_entropy_difference
    add(
        "pooled S", _value(a.pooled_entropy), _value(b.pooled_entropy), _signed(pooled), "", "",
        beside=corrected.pooled_entropy if corrected else None,
    )  # fmt: skip
    add(
        "aligned share", _value(a.aligned), _value(b.aligned), _signed(found.aligned_difference), "", "",
        beside=corrected.aligned if corrected else None,
    )  # fmt: skip
    for place, one in enumerate(found.goals):
        add(
            one.goal, _value(one.a), _value(one.b), _signed(one.difference), _signed(one.here), _p(one.p_adjusted),
            beside=corrected.shares[place] if corrected else None,
        )  # fmt: skip
    return table


def _test_lines(found: Shift) -> list[Text]:
    adjusted = "" if found.p_adjusted is None else f", adjusted {_p(found.p_adjusted)}"
    within = "of responses within prompts" if found.matched.is_paired else ""
    lines = [
        f"No change at all: p = {_p(found.p_value)}{adjusted} ({found.swaps} swaps {within})".replace(" )", ")"),
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
        shown = f"{_signed(one.estimate)} at {one.estimate.level:.0%}, margin {one.margin:g}"
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
        "S, B - A": _signed(row.entropy_difference),
        "divergence": _value(row.divergence),
        "p": _p(row.p_value),
        "p (BH)": _p(row.p_adjusted),
    }


def _count_words(counts: Sequence[int]) -> str:
    return " ".join(map(str, counts))


def _example_lines(row: Moved) -> list[str]:
    if not row.examples:
        return []
    lines = [f"{stripped(row.id, most=40)}  asked  {stripped(row.asked or '', most=200)}"]
    return lines + [f"  {one.side.upper()} said  [{one.goal}] {stripped(one.text, most=200)}" for one in row.examples]


def _p(value: float) -> str:
    return f"{value:.2g}"


def _value(found: Estimate) -> str:
    if not found.is_defined:
        return "–"
    return f"{found.value:.1%}" if found.unit == "share" else f"{found.value:.3f}"


def _signed(found: Estimate) -> str:
    if not found.is_defined:
        return "–"
    form = "{:+.1%} [{:+.1%}, {:+.1%}]" if found.unit == "share" else "{:+.3f} [{:+.3f}, {:+.3f}]"
    return form.format(found.value, found.low, found.high)


def _part_cells(kind: str, name: str, part: Part) -> dict[str, object]:
    confused = part.help_confused
    beside = {} if confused is None else {"g1/g2 confused": str(confused) if confused.is_defined else "–"}
    return {kind: name, "accuracy": part.accuracy, **beside}


def _figures_table(found: Evaluation) -> Table:
    table = Table(box=None, pad_edge=False, show_header=False)
    for name, estimate in found.headline().items():
        table.add_row(name, str(estimate))
    return table


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


def to_terminal(*parts: object, stderr: bool = False) -> None:
    """Print with colours where the terminal has them."""
    Console(stderr=stderr, highlight=False, soft_wrap=False).print(*parts, sep="\n", markup=False)


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


def _share_cells(share: Estimate) -> tuple[str, str]:
    """Value and interval."""
    return (f"{share.value:.1%}", f"[{share.low:.1%}, {share.high:.1%}]") if share.is_defined else ("–", "–")


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


def span(seconds: float) -> str:
    """A duration in words a person uses.

    >>> span(3725)
    '1 h 2 min'
    """
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


class Gauge:
    """Shows on standard error how far work is: a bar in a terminal, a line every ten seconds elsewhere."""

    def __init__(self) -> None:
        console = Console(stderr=True)
        self._bar: Progress | None = None
        if console.is_terminal:
            self._bar = Progress(
                TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[rate]}"),
                TimeRemainingColumn(), console=console, transient=True,
            )  # fmt: skip
        self._task = None if self._bar is None else self._bar.add_task("sampling", total=None, rate="")
        self._last = time.monotonic()

    def __enter__(self) -> Self:
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._bar is not None:
            self._bar.stop()

    def say(self, stage: str) -> None:
        """What is done now."""
        sys.stderr.write(stripped(stage) + "\n") if self._bar is None else self._bar.console.print(
            stripped(stage), markup=False
        )

    def show(self, state: Sampled) -> None:
        """How far it is."""
        rate = f"{state.responses_per_second:.1f}/s, {state.tokens_per_second:.0f} tokens/s"
        if state.failed:
            rate += f", {state.failed} failed"
        if state.cost_usd is not None:
            rate += f", {state.cost_usd:.4f} dollars"
        self._advance("sampling", state.done, state.wanted, rate, what="responses", seconds_left=state.eta_seconds)

    def show_simulation(self, name: str, done: int, wanted: int) -> None:
        """How far simulations are."""
        self._advance(name, done, wanted, "", what="simulations", seconds_left=None)

    def show_check(self, done: int, wanted: int, check: Check) -> None:
        """How far a selftest is, and what it found last."""
        self._advance(
            check.family, done, wanted, f"{check.verdict}: {check.name}", what="simulations", seconds_left=None
        )

    def show_step(self, step: Step) -> None:
        """How far a training is."""
        figures = f"loss {step.loss:.3f}, accuracy {step.accuracy:.1%}"
        name = f"epoch {step.epoch} of {step.epochs}"
        self._advance(name, step.done, step.steps, figures, what="steps", seconds_left=step.seconds_left)

    def _advance(
        self, name: str, done: int, wanted: int, figures: str, *, what: str, seconds_left: float | None
    ) -> None:
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, description=name, completed=done, total=wanted, rate=figures)
        elif time.monotonic() - self._last >= _SECONDS_BETWEEN_LINES:
            self._last = time.monotonic()
            left = "" if seconds_left is None else f", {span(seconds_left)} left"
            sys.stderr.write(f"{name}: {done} of {wanted} {what}, {figures}{left}\n")
