"""The page: a row as lines of a terminal. Text is wrapped by cells, so that wide characters and emoji keep the margin.

Text of models and files is spelt out, and stands behind a bar at the left that nothing in it can leave: it cannot pass
for a part of the page.
"""

from __future__ import annotations

import string
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

from rich.cells import cell_len, chop_cells, set_cell_size
from rich.text import Text

from ethostat.visible import one_line, spelt

if TYPE_CHECKING:  # what is shown is made elsewhere; --help need not load it
    from ethostat.labelling import Item, Said
    from ethostat.response import Prompt, Response
    from ethostat.taxonomy import Taxonomy

GOAL_KEYS = [key for key in "1234567890" + string.ascii_letters if key not in "usnpqkjb"]
"""The goals' keys, in order; the letters left out are commands."""
_BAR, _TAB = "│ ", 4
_LEAST_FOLD = 3


class Line(NamedTuple):
    """A line of the page: with a bar it is someone's text, without it is the page's own."""

    text: str
    style: str = ""
    barred: bool = False

    def drawn(self) -> Text:
        """As it goes to the screen."""
        return Text.assemble((_BAR, "cyan"), (self.text, self.style)) if self.barred else Text(self.text, self.style)


def item_page(item: Item, columns: int, *, taxonomy: Taxonomy, fold: int | None) -> list[Line]:
    """What raters said (in adjudication), the prompt, the response, the rater's own note; `fold` is `prompt_lines`'."""
    lines = [] if item.said is None else _said_lines(item.said, columns, taxonomy)
    lines += prompt_lines(item.response.prompt, columns, fold=fold)
    lines += _response_lines(item.response, columns)
    if item.note:
        lines += [Line("YOUR NOTE", "bold"), *barred(item.note, columns)]
    return lines


def prompt_lines(prompt: Prompt, columns: int, *, fold: int | None) -> list[Line]:
    """The turns; where they are more than `fold` lines, the last one alone, and of that its beginning and its end."""
    turns = prompt.messages
    if len(turns) == 1:
        lines = _content_lines(turns[0].content, columns)
        return [Line("PROMPT", "bold"), *_cut(lines, columns, most=fold)]
    title = Line(f"PROMPT, {len(turns)} turns", "bold")
    whole = [
        line for turn in turns for line in (Line(f"{turn.role}:", "italic"), *_content_lines(turn.content, columns))
    ]
    if fold is None or len(whole) <= max(fold, _LEAST_FOLD):
        return [title, *whole]
    earlier = _folded(_count(len(turns) - 1, "earlier turn"), columns)
    last = _cut(_content_lines(turns[-1].content, columns), columns, most=fold - 2)
    return [title, earlier, Line(f"{turns[-1].role}:", "italic"), *last]


def help_page(taxonomy: Taxonomy, columns: int) -> list[Line]:
    """The goals' definitions, and what keys do."""
    lines = [Line(f"THE GOALS OF {one_line(taxonomy.name)}, version {one_line(taxonomy.version)}", "bold")]
    for key, goal in zip(GOAL_KEYS, taxonomy.goals, strict=False):
        lines += [Line(f"{key}  {one_line(goal.name)} ({goal.key})", "bold"), *barred(goal.definition, columns)]
        lines += [line for example in goal.examples for line in barred(f"e.g. {example}", columns, style="dim")]
    lines += [Line(""), Line("KEYS", "bold")]
    for text in _KEYS_HELP:
        lines += [Line(part) for part in wrapped(text, columns)]
    return lines


_KEYS_HELP = (
    "1 2 3 ...  the goal of this row; it is on disk before the next row is shown",
    "u  take the latest label or skip back, and go back to its row; again for the one before",
    "s  skip: leave the row for the end",
    "n  a note on this row; enter keeps it, escape leaves it as it was",
    "p  the whole prompt, or its end alone",
    "up down j k  a line; space b, page up, page down  a page; home end",
    "q  quit; the same command goes on from here",
    "Judge the last turn's answer; earlier turns are there to understand it. Nobody's labels and no verdict is shown.",
)


def goal_lines(taxonomy: Taxonomy, columns: int, *, most: int) -> list[Text]:
    """Each goal behind its key, on at most so many lines; where names need more, the keys alone."""
    goals = list(zip(GOAL_KEYS, taxonomy.goals, strict=False))
    for entries in (
        [f"{key} {one_line(goal.name)}" for key, goal in goals],
        [f"{key} {goal.key}" for key, goal in goals],
    ):
        lines = flowed(entries, columns)
        if len(lines) <= most:
            return [Text(line, "bold") for line in lines]
    return [Text(" ".join([*(key for key, _ in goals), "(? names them)"]), "bold")]


def flowed(entries: Sequence[str], columns: int) -> list[str]:
    """Entries side by side, as many on a line as fit."""
    lines: list[str] = []
    for entry in entries:
        if lines and cell_len(lines[-1]) + 3 + cell_len(entry) <= columns:
            lines[-1] += f"   {entry}"
        else:
            lines.append(entry)
    return lines


def rule(columns: int, *, top: int, shown: int, total: int) -> Text:
    """The line under the text: how much of it is seen."""
    if shown >= total:
        return Text("─" * columns, "dim")
    below = total - top - shown
    words = f"── lines {top + 1}-{top + shown} of {total}{f', {below} more below' if below else ', the end'} "
    return Text(set_cell_size(words + "─" * columns, columns), "bold" if below else "dim")


def barred(text: str, columns: int, *, style: str = "") -> list[Line]:
    """Someone's text, spelt out and wrapped, behind the bar."""
    return [Line(part, style, barred=True) for part in wrapped(spelt(text), max(columns - len(_BAR), 2))]


def wrapped(text: str, columns: int) -> list[str]:
    """The text in lines of at most so many cells, broken at spaces where there are any; no character is lost.

    >>> wrapped("one two three", 8)
    ['one two ', 'three']
    """
    return [part for line in text.expandtabs(_TAB).split("\n") for part in _wrapped_line(line, columns)]


def _wrapped_line(line: str, columns: int) -> Iterator[str]:
    if not line.isascii():
        yield from _wrapped_cells(line, columns)
        return
    start = 0
    while len(line) - start > columns:
        space = line.rfind(" ", start, start + columns)
        end = start + columns if space < 0 else space + 1
        yield line[start:end]
        start = end
    if start < len(line) or not line:
        yield line[start:]


def _wrapped_cells(line: str, columns: int) -> Iterator[str]:
    held, width = "", 0
    for word in _words(line):
        size = cell_len(word)
        if width + size > columns and held:
            yield held
            held, width = "", 0
        if size > columns:
            *full, rest = chop_cells(word, columns)
            yield from full
            held, width = rest, cell_len(rest)
        else:
            held, width = held + word, width + size
    yield held


def _words(line: str) -> Iterator[str]:
    """Words with the space behind them."""
    start = 0
    while (space := line.find(" ", start)) >= 0:
        yield line[start : space + 1]
        start = space + 1
    yield line[start:]


def _content_lines(text: str, columns: int) -> list[Line]:
    if text.strip():
        return barred(text, columns)
    return [Line("(white space only)" if text else "(empty)", "dim")]


def _cut(lines: list[Line], columns: int, *, most: int | None) -> list[Line]:
    """The beginning and the end of lines of which there are more than `most`."""
    if most is None or len(lines) <= max(most, _LEAST_FOLD):
        return lines
    kept = max(most - 1, 1)
    tail = kept // 2
    more = _folded(f"{_count(len(lines) - kept, 'line')} more", columns)
    return [*lines[: kept - tail], more, *lines[len(lines) - tail :]]


def _response_lines(response: Response, columns: int) -> list[Line]:
    cut = ", cut off by the longest answer that was allowed" if response.finish_reason == "length" else ""
    return [Line(f"RESPONSE{cut}", "bold"), *_content_lines(response.text, columns)]


def _said_lines(said: Said, columns: int, taxonomy: Taxonomy) -> list[Line]:
    names = {goal.key: one_line(goal.name) for goal in taxonomy.goals}
    given = ", ".join(f"{count} x {names[goal]}" for goal, count in said.goals.items())
    lines = [Line(part, "bold") for part in wrapped(f"RATERS SAID {given}", columns)]
    return lines + [line for note in said.notes for line in barred(f"note: {note}", columns)]


def _folded(what: str, columns: int) -> Line:
    return Line(set_cell_size(f"... {what}: p shows all", columns).rstrip(), "dim")


def _count(n: int, noun: str) -> str:
    return f"{n:,} {noun}{'' if n == 1 else 's'}"
