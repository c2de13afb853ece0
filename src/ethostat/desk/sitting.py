"""A sitting: one rater, one screen, row after row until he or she leaves."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from rich.cells import cell_len
from rich.text import Text

from ethostat.desk.page import GOAL_KEYS, Line, flowed, goal_lines, help_page, item_page, rule, wrapped
from ethostat.desk.screen import ENDED, ESCAPE, PASTED, RESIZED, Key, Screen
from ethostat.visible import one_line

if TYPE_CHECKING:  # what is shown is made elsewhere; --help need not load it
    from ethostat.labelling import Item, Labelling

TOO_FAST = 0.1
"""Seconds: a goal, an undo or a skip so soon after another key is a key held down or typed ahead, and does nothing."""
LONGEST_NOTE = 2000
_SCROLL = {"up": -1, "k": -1, "down": 1, "j": 1}
_TURN = {"page up": -1, "b": -1, "page down": 1, " ": 1}
_NARROWEST, _LOWEST = 16, 5
_HINTS = ("u undo", "s skip", "n note", "p prompt", "? help", "q quit")


def sit(labelling: Labelling, screen: Screen, *, title: str, after_act: Callable[[], object]) -> None:
    """Let a rater label rows until he or she quits.

    `after_act` is called when an act is stored and before anything else is shown.
    """
    sitting = Sitting(labelling, title=title, after_act=after_act)
    while not sitting.is_over:
        columns, rows = screen.size
        lines, cursor = sitting.picture(columns, rows)
        screen.draw(lines, cursor=cursor)
        sitting.press(screen.key())


class Sitting:
    """What is on the desk: the row, how far it is scrolled, whether it is folded, the note that is being written."""

    def __init__(self, labelling: Labelling, *, title: str, after_act: Callable[[], object]) -> None:
        self.labelling, self.title, self.after_act = labelling, one_line(title), after_act
        self.is_over = False
        self._message = ""
        self._note: str | None = None
        self._in_help = self._is_unfolded = False
        self._goals = dict(zip(GOAL_KEYS, labelling.taxonomy.goals, strict=False))
        self._commands: dict[str, Callable[[], None]] = {
            "u": self._undo, "s": self._skip, "n": self._begin_note, "p": self._fold, "?": self._help, "q": self._quit,
        }  # fmt: skip
        self._height, self._top, self._most, self._is_small = 1, 0, 0, False
        self._next_row()

    def picture(self, columns: int, rows: int) -> tuple[list[Text], tuple[int, int] | None]:
        """The lines of the screen, and where the cursor stands while a note is written."""
        self._is_small = columns < _NARROWEST or rows < _LOWEST
        if self._is_small:
            return [Text("too small"[:columns])], None
        goals = goal_lines(self.labelling.taxonomy, columns, most=max(1, rows // 3))
        self._height = rows - len(goals) - 3
        page = self._page(columns)
        self._most = max(0, len(page) - self._height)
        self._top = min(max(self._top, 0), self._most)
        seen = [line.drawn() for line in page[self._top : self._top + self._height]]
        below = rule(columns, top=self._top, shown=len(seen), total=len(page))
        last, cursor = self._last_line(columns)
        blank = [Text("")] * (self._height - len(seen))
        return [self._header(), *seen, *blank, below, *goals, last], None if cursor is None else (rows - 1, cursor)

    def press(self, key: Key) -> None:
        """What a key does."""
        if key.name == RESIZED:
            return
        self._message = ""
        if key.name == ENDED or (self._is_small and key.name == "q"):
            self.is_over = True
        elif self._is_small:
            return
        elif self._note is not None:
            self._write(key, self._note)
        elif not self._scrolls(key.name):
            self._do(key)

    def _do(self, key: Key) -> None:
        if self._in_help:
            self._in_help, self._top = False, 0
        elif key.name == PASTED:
            self._message = "pasted text does nothing here; n opens a note"
        elif key.after < TOO_FAST and (key.name in self._goals or key.name in "us"):
            self._message = "too fast after the key before: press it again"
        elif key.name in self._goals and self._item is not None:
            self._label(key.name)
        elif key.name in self._commands:
            self._commands[key.name]()

    def _label(self, key: str) -> None:
        goal = self._goals[key]
        self.labelling.label(goal.key)
        self._next_row()
        self._message = f"{one_line(goal.name)}; u takes it back"

    def _undo(self) -> None:
        taken = self.labelling.undo()
        if taken is None:
            self._message = "there is nothing to take back"
            return
        self._next_row()
        names = {goal.key: one_line(goal.name) for goal in self.labelling.taxonomy.goals}
        self._message = f"taken back: {names.get(taken, 'skip')}"

    def _skip(self) -> None:
        if self._item is not None:
            self.labelling.skip()
            self._next_row()
            self._message = "skipped; it comes back at the end"
        elif self.labelling.again():
            self._look()

    def _begin_note(self) -> None:
        if self._item is not None:
            self._note = self._item.note or ""

    def _fold(self) -> None:
        self._is_unfolded, self._top = not self._is_unfolded, 0

    def _help(self) -> None:
        self._in_help, self._top = True, 0

    def _quit(self) -> None:
        self.is_over = True

    def _write(self, key: Key, note: str) -> None:
        """A key while a note is written."""
        if key.name == "enter":
            self.labelling.note(note)
            self._message = "note kept" if note.strip() else "no note"
            self.after_act()
            self._look()
        if key.name in ("enter", ESCAPE):
            self._note = None
            return
        added = one_line(key.text) if key.name == PASTED else key.name if len(key.name) == 1 else ""
        cut = {"backspace": note[:-1], "ctrl-u": "", "ctrl-w": note.rstrip().rpartition(" ")[0]}
        self._note = cut.get(key.name, note + added)[:LONGEST_NOTE]

    def _scrolls(self, name: str) -> bool:
        """Whether the key only moves the text."""
        ends = {"home": 0, "end": self._most}
        if name not in (*_SCROLL, *_TURN, *ends, "ctrl-l", "enter"):
            return False
        step = _SCROLL.get(name, 0) + _TURN.get(name, 0) * max(1, self._height - 1)
        self._top = min(max(ends.get(name, self._top + step), 0), self._most)
        return True

    def _next_row(self) -> None:
        """Everything is stored; take the next row up."""
        self.after_act()
        self._is_unfolded, self._top = False, 0
        self._look()

    def _look(self) -> None:
        self._item: Item | None = self.labelling.item
        self._progress = self.labelling.progress
        self._laid_out: tuple[object, list[Line]] = (None, [])

    def _page(self, columns: int) -> list[Line]:
        """The text in the middle, laid out once for each width and folding."""
        fold = None if self._is_unfolded else self._height // 3
        kind = (columns, fold, self._in_help)
        if self._laid_out[0] != kind:
            if self._in_help:
                page = help_page(self.labelling.taxonomy, columns)
            elif self._item is not None:
                page = item_page(self._item, columns, taxonomy=self.labelling.taxonomy, fold=fold)
            else:
                page = [Line(part) for part in wrapped(self._at_the_end(), columns)]
            self._laid_out = (kind, page)
        return self._laid_out[1]

    def _at_the_end(self) -> str:
        progress = self._progress
        passed = f" {progress.skipped} are skipped: s goes through them." if progress.skipped else ""
        what = "settled" if self.labelling.settles else "labelled"
        done = f"No row is left: {progress.done} of {progress.total} are {what}."
        return f"{done}{passed}\n\nu takes the last one back, q quits."

    def _header(self) -> Text:
        progress, who = self._progress, self.labelling.rater
        skipped = f", {progress.skipped} skipped" if progress.skipped else ""
        what = "settled" if self.labelling.settles else "labelled"
        return Text(f"{progress.done} of {progress.total} {what}{skipped} · {who} · {self.title}", "reverse")

    def _last_line(self, columns: int) -> tuple[Text, int | None]:
        """The note that is being written, a message, or what keys there are; and the cursor's column."""
        if self._note is not None:
            room, shown = columns - len("note: ") - 1, one_line(self._note + "|")[:-1]
            while cell_len(shown) > room:
                shown = shown[max(1, len(shown) - room) :]
            return Text(f"note: {shown}", "bold"), len("note: ") + cell_len(shown)
        if self._message:
            return Text(self._message, "yellow"), None
        if self._in_help:
            return Text("any key goes back", "dim"), None
        return Text(flowed(_HINTS, columns)[0], "dim"), None
