"""Comparisons as Markdown, short enough for a comment on a pull request."""

from __future__ import annotations

from collections.abc import Sequence

from ethostat.maths.estimate import Estimate
from ethostat.report import verdicts
from ethostat.report.compared import check_comparisons
from ethostat.report.plain import code, escape
from ethostat.report.words import interval, p_value, signed, signed_interval, value
from ethostat.shift import Moved, Shift
from ethostat.visible import one_line

_MOST_PROMPTS = 5


def comparison_markdown(found: Sequence[Shift]) -> str:
    """Verdict, differences, distances, what moved, what more evidence would take, notes. Names stand as inert text.

    Raises InvalidInput where there is no comparison.
    """
    check_comparisons(found)
    parts = [] if len(found) == 1 else [f"## Against {code(found[0].a.name)}", _models(found)]
    for one in found:
        parts += _comparison(one)
    return "\n\n".join(parts) + "\n"


def _comparison(found: Shift) -> list[str]:
    moved = [row for row in found.prompts if row.has_moved][:_MOST_PROMPTS]
    parts = [
        f"## {found.verdict.capitalize()}: {code(found.b.name)} against {code(found.a.name)}",
        *(escape(sentence) for sentence in verdicts.sentences(found)),
        escape(verdicts.matched(found)),
        _figures(found),
        _distances(found),
    ]
    parts += [_moved("category", found.categories)] if found.categories else []
    parts += [_moved("prompt that moved", moved)] if moved else []
    parts += [_power(found)] if found.needs else []
    return parts + [f"> {escape(one_line(note))}" for note in found.notes]


def _models(found: Sequence[Shift]) -> str:
    head = ("model", "verdict", "S, B - A", "interval", "aligned, B - A", "interval", "p", "p, adjusted")
    return _table(
        head,
        [
            (
                code(one.b.name), one.verdict, *_signed(one.headline), *_signed(one.aligned_difference),
                p_value(one.p_value), p_value(one.p_adjusted),
            )
            for one in found
        ],
    )  # fmt: skip


def _figures(found: Shift) -> str:
    beside = verdicts.corrected(found)
    head = ["", "A", "B", "B - A, prompts like these", "interval", "these prompts", "interval"]
    head += ["corrected", "interval"] if beside else []
    rows = []
    for place, (name, a, b, like, here) in enumerate(verdicts.figures(found)):
        cells = [escape(name), value(a), value(b), *_signed(like), *_signed(here)]
        rows.append([*cells, *(_signed(beside[place]) if beside else ())])
    return _table(head, rows)


def _distances(found: Shift) -> str:
    rows = [(escape(name), value(one), interval(one)) for name, one in verdicts.distances(found)]
    return _table(("distance", "value", "interval"), rows)


def _moved(heading: str, rows: Sequence[Moved]) -> str:
    cells = [
        (
            code(row.id), " ".join(map(str, row.a.counts)), " ".join(map(str, row.b.counts)),
            *_signed(row.entropy_difference), value(row.divergence), p_value(row.p_adjusted),
        )
        for row in rows
    ]  # fmt: skip
    return _table((heading, "A", "B", "S, B - A", "interval", "divergence", "p, adjusted"), cells)


def _power(found: Shift) -> str:
    rows = [
        (f"{need.change:g} nats", f"{need.power:.0%}", *map(verdicts.number, (need.samples, need.prompts)))
        for need in found.needs
    ]
    return _table(("to see", "with power", "samples of each of these prompts", "prompts like these, paired"), rows)


def _signed(estimate: Estimate | None) -> tuple[str, str]:
    return ("", "") if estimate is None else (signed(estimate), signed_interval(estimate))


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
