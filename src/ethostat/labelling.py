"""Labelling: one rater at the rows of a run; what stands is in the store before the next row is shown.

A rater sees neither verdicts nor what others said. An adjudicator goes through the rows on which raters differ, sees
the labels that they gave without their names, and settles each.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from ethostat.errors import InvalidInput
from ethostat.response import Response
from ethostat.store import Act, Standing, Store, after
from ethostat.store.labels import LABEL, NOTE, SKIP, UNDO
from ethostat.taxonomy import Taxonomy

_LONGEST_NAME = 64
_NOTHING = Standing()

Place = tuple[str, int]
"""Prompt id and index: where a response stands in its run."""


@dataclass(frozen=True, slots=True)
class Said:
    """What raters said of a row, without their names: how often each goal was given, in order, and their notes."""

    goals: Mapping[str, int]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Item:
    """The row before the rater: the response, the rater's own note and, in adjudication, what raters said."""

    response: Response
    note: str | None = None
    said: Said | None = None


@dataclass(frozen=True, slots=True)
class Progress:
    """How many rows the rater has labelled and passed over, of how many."""

    done: int
    skipped: int
    total: int


class Heard:
    """What stands of acts under one taxonomy, by row and rater; adjudicators are the rater None."""

    def __init__(self, taxonomy: Taxonomy) -> None:
        self.taxonomy = taxonomy
        self.rows: dict[Place, dict[str | None, Standing]] = {}
        self.last = 0

    def hear(self, acts: Iterable[Act]) -> None:
        """Take acts in, oldest first; those under other goals change nothing."""
        for act in acts:
            self.last = act.key
            if act.taxonomy_hash == self.taxonomy.hash:
                voices, who = self.rows.setdefault(act.place, {}), None if act.settles else act.rater
                voices[who] = after(voices.get(who, _NOTHING), act)

    def of(self, place: Place, rater: str | None) -> Standing:
        """What stands of one rater on one row."""
        return self.rows.get(place, {}).get(rater, _NOTHING)

    def said(self, place: Place) -> Said:
        """What raters said of a row, adjudicators aside."""
        voices = [standing for who, standing in self.rows.get(place, {}).items() if who is not None]
        given = Counter(one.act.goal for one in voices if one.act is not None and one.act.kind == LABEL)
        notes = sorted(one.note for one in voices if one.note)
        return Said({key: given[key] for key in self.taxonomy.keys if given[key]}, tuple(notes))

    def disputed(self) -> list[Place]:
        """The rows on which raters differ, in the order in which they were first spoken of."""
        return [place for place in self.rows if len(self.said(place).goals) > 1]


class Labelling:
    """One rater's way through rows of a run; with `settles` it is adjudication, and all speak with one voice.

    Every method that changes something returns when it is on disk. Other raters may work at the same time. The first
    `overlap` rows are for every rater, each row behind them for one; None: all are for every rater. Raises InvalidInput
    for a rater's name that cannot be one.
    """

    def __init__(
        self,
        store: Store,
        run_id: str,
        rows: Sequence[Place],
        *,
        rater: str,
        taxonomy: Taxonomy,
        settles: bool = False,
        overlap: int | None = None,
    ) -> None:
        self.store, self.run_id, self.taxonomy, self.settles = store, run_id, taxonomy, settles
        self.rater = check_rater(rater)
        shared = len(rows) if overlap is None else overlap
        self._shared = frozenset(rows[:shared])
        self._rows = [*rows[:shared], *_turned(rows[shared:], self.rater)]
        self._heard = Heard(taxonomy)
        self._again: set[Place] = set()
        self._back: Place | None = None
        self._listen()

    @property
    def rows(self) -> tuple[Place, ...]:
        """All rows, in the order in which they are shown."""
        return tuple(self._rows)

    @property
    def current(self) -> Place | None:
        """The row to label now: the one that was gone back to, else the first that is open; None where none is."""
        if self._back is not None and self._is_open(self._back):
            return self._back
        return next((place for place in self._rows if self._is_open(place)), None)

    @property
    def item(self) -> Item | None:
        """The current row with what may be seen of it; what others did meanwhile is heard first."""
        self._listen()
        place = self.current
        if place is None:
            return None
        said = self._heard.said(place) if self.settles else None
        return Item(self.store.response(self.run_id, *place), self._mine(place).note, said)

    @property
    def progress(self) -> Progress:
        """Counts of the rows that are, or may become, this rater's."""
        acts = {place: self._mine(place).act for place in self._rows}
        kinds = Counter(act.kind for act in acts.values() if act is not None)
        taken = sum(act is None and self._is_taken(place) for place, act in acts.items())
        return Progress(kinds[LABEL], kinds[SKIP], len(acts) - taken)

    def label(self, goal: str) -> None:
        """The current row has this goal. Raises InvalidTaxonomy for a goal that is not one."""
        self.taxonomy.index(goal)
        self._act(LABEL, self._open_row(), goal=goal)

    def skip(self) -> None:
        """Pass the current row over; `again` brings it back."""
        self._act(SKIP, self._open_row())

    def note(self, text: str) -> None:
        """Keep a remark with the current row; an empty one removes it."""
        self._act(NOTE, self._open_row(), note=text.strip() or None)

    def undo(self) -> str | None:
        """Take back the rater's latest label or skip, of this session or an earlier one, and go back to its row.

        Gives the goal that was taken back, "" for a skip, None where there is nothing to take back.
        """
        acts = [act for place in self._rows if (act := self._mine(place).act) is not None]
        if not acts:
            return None
        last = max(acts, key=lambda act: act.key)
        self._act(UNDO, last.place)
        self._back = last.place
        return last.goal or ""

    def again(self) -> int:
        """Open the rows that were passed over; gives how many."""
        acts = {place: self._mine(place).act for place in self._rows}
        self._again = {place for place, act in acts.items() if act is not None and act.kind == SKIP}
        return len(self._again)

    def _open_row(self) -> Place:
        place = self.current
        if place is None:
            raise InvalidInput("no row is open; take a label back first")
        return place

    def _act(self, kind: str, place: Place, *, goal: str | None = None, note: str | None = None) -> None:
        act = Act(
            *place, kind, self.rater, goal=goal, note=note, taxonomy_hash=self.taxonomy.hash, settles=self.settles
        )
        self.store.add_act(self.run_id, act)
        if kind != NOTE:
            self._again.discard(place)
            self._back = None
        self._listen()

    def _listen(self) -> None:
        self._heard.hear(self.store.acts(self.run_id, after=self._heard.last))

    def _mine(self, place: Place) -> Standing:
        return self._heard.of(place, None if self.settles else self.rater)

    def _is_open(self, place: Place) -> bool:
        mine = self._mine(place).act
        if mine is None:
            return not self._is_taken(place)
        return mine.kind == SKIP and place in self._again

    def _is_taken(self, place: Place) -> bool:
        """Whether the row is for one rater, and another has labelled it."""
        return place not in self._shared and bool(self._heard.said(place).goals)


def check_rater(name: str) -> str:
    """The name without white space around it. Raises InvalidInput for one that cannot be shown on a line."""
    found = name.strip()
    if not 1 <= len(found) <= _LONGEST_NAME or not found.isprintable():
        raise InvalidInput(f"a rater's name must be 1 to {_LONGEST_NAME} characters that can be seen, got {name!r}")
    return found


def _turned(rows: Sequence[Place], rater: str) -> list[Place]:
    """The rows from a place on that differs between raters, so that two of them seldom meet at one row."""
    if not rows:
        return []
    start = int.from_bytes(hashlib.sha256(rater.encode()).digest()[:4], "big") % len(rows)
    return [*rows[start:], *rows[:start]]
