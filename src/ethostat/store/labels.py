"""Choice and Act: which rows of a run people label, and what they did with them; both are kept for good.

An Act is one key press. Acts are added and never changed: the last one of a rater on a row is what stands.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ethostat.response import Label
from ethostat.store.records import content_hash

ALL, STRATIFIED, INFORMATIVE = "all", "stratified", "informative"
WAYS = (ALL, STRATIFIED, INFORMATIVE)
"""Ways of choosing rows; where a row was chosen in several, the first of these is named."""
LABEL, SKIP, UNDO, NOTE = "label", "skip", "undo", "note"


@dataclass(frozen=True, slots=True)
class ChosenRow:
    """A response by its prompt and index, and the goal that a classifier had given it, where one had."""

    prompt_id: str
    index: int
    predicted: str | None = None


@dataclass(frozen=True, slots=True)
class Choice:
    """The rows of a run that people are to label, in the order in which they are shown.

    `way` is one of WAYS, `settings` holds its numbers, `taxonomy` and `classifier` are plain values with a `hash`.
    The first `overlap` rows are for every rater, each row behind them for one; None: all rows are for every rater.
    """

    way: str
    rows: tuple[ChosenRow, ...]
    taxonomy: Mapping[str, Any]
    seed: int = 0
    classifier: Mapping[str, Any] | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    created: str = ""

    @property
    def overlap(self) -> int | None:
        """Rows that every rater labels."""
        return self.settings.get("overlap")

    @property
    def fingerprint(self) -> str:
        """Hash of everything that decides which rows are chosen, and in which order."""
        by = (self.classifier or {}).get("hash")
        return content_hash([self.way, self.seed, self.taxonomy["hash"], by, dict(self.settings)])


@dataclass(frozen=True, slots=True)
class Act:
    """One key press of a rater on a row: a label, a skip, a note, or the undoing of the label or skip before.

    With `settles` it belongs to adjudication: what it says counts for the row, whoever says it. `key` orders acts.
    """

    prompt_id: str
    index: int
    kind: str
    rater: str
    goal: str | None = None
    note: str | None = None
    time: str = ""
    taxonomy_hash: str = ""
    settles: bool = False
    key: int = 0

    @property
    def place(self) -> tuple[str, int]:
        """The row: prompt id and index."""
        return self.prompt_id, self.index


@dataclass(frozen=True, slots=True)
class Standing:
    """What stands of one rater's acts on one row: the label or skip, else None, and the latest note."""

    act: Act | None = None
    note: str | None = None


Voice = tuple[str, int, str | None]
"""A row and who speaks of it; the rater is None in adjudication."""


def standing(acts: Iterable[Act]) -> dict[Voice, Standing]:
    """What stands of acts, oldest first."""
    found: dict[Voice, Standing] = {}
    for act in acts:
        voice = (*act.place, None if act.settles else act.rater)
        found[voice] = after(found.get(voice, Standing()), act)
    return found


def after(before: Standing, act: Act) -> Standing:
    """What stands after one more act."""
    if act.kind == NOTE:
        return Standing(before.act, act.note or None)
    return Standing(None if act.kind == UNDO else act, before.note)


def labels_of(
    acts: Iterable[Act], ids: Mapping[tuple[str, int], str], chosen: Mapping[tuple[str, int], tuple[str, str | None]]
) -> list[Label]:
    """The labels that stand, in the order in which they were given.

    `ids` gives response ids by row, `chosen` the way and the predicted goal of rows that were chosen.
    """
    given = [(one.act, one.note) for one in standing(acts).values() if one.act is not None and one.act.kind == LABEL]
    return [
        _label(act, note, ids[act.place], *chosen.get(act.place, (None, None)))
        for act, note in sorted(given, key=lambda pair: pair[0].key)
    ]


def _label(act: Act, note: str | None, response_id: str, way: str | None, predicted: str | None) -> Label:
    return Label(
        response_id=response_id,
        goal=act.goal or "",
        rater=act.rater,
        time=act.time,
        note=note,
        settles=act.settles,
        chosen=way,
        predicted=predicted,
        prompt_id=act.prompt_id,
        index=act.index,
    )
