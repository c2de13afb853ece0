"""The review queue: people label responses in the browser, one key a goal, as `ethostat label` has it in the terminal.

Nobody sees a verdict, nor what others said. A label is in the store before the next response is shown.
"""

from __future__ import annotations

import threading
from collections import Counter, OrderedDict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import msgspec
from starlette.requests import Request

from ethostat.choosing import RANDOM, Selection
from ethostat.desk.page import GOAL_KEYS
from ethostat.desk.sitting import LONGEST_NOTE
from ethostat.errors import InvalidInput, TooLittleEvidence
from ethostat.labelling import Heard, Labelling, check_rater
from ethostat.maths.estimate import Estimate
from ethostat.raters import Agreement, stored_agreement
from ethostat.server.dashboard.stored import RunLine, measured_of, run_of
from ethostat.store import Act, Run, Store
from ethostat.store.labels import LABEL
from ethostat.tasks import Task, adjudicate, begin_labelling
from ethostat.taxonomy import FIVE_GOALS, Goal, Taxonomy

_MOST_DESKS = 64


class Begin(msgspec.Struct):
    """What is to be labelled, `run:ID` or `stream:NAME`, and by whom."""

    of: str
    rater: str


class Asked(msgspec.Struct):
    """What a rater does: a label, a skip, an undo, a note, or "again" for what was skipped.

    `at` is the row that was shown (prompt id and index), so that a label never falls on another. With `settles` it is
    adjudication: what is said counts for the row.
    """

    rater: str
    kind: str
    goal: str | None = None
    note: str | None = None
    at: tuple[str, int] | None = None
    settles: bool = False


@dataclass(slots=True)
class _Desk:
    labelling: Labelling
    lock: threading.Lock = field(default_factory=threading.Lock)


class Desks:
    """Labellings that are under way, by run and rater; the latest are remembered, and all are on disk."""

    def __init__(self) -> None:
        self._desks: OrderedDict[tuple[str, str, bool], _Desk] = OrderedDict()
        self._lock = threading.Lock()

    @contextmanager
    def at(
        self, store: Store, run_id: str, rater: str, *, settles: bool = False, anew: bool = False
    ) -> Iterator[Labelling]:
        """The labelling of a rater, for one caller at a time; `anew` looks again at what there is to do.

        Raises InvalidInput for a rater who cannot be one, TooLittleEvidence where there is nothing to settle.
        """
        place = run_id, check_rater(rater), settles
        with self._lock:
            if anew or place not in self._desks:
                self._desks[place] = _Desk((_settling if settles else _begun)(store, run_id, rater))
                if len(self._desks) > _MOST_DESKS:
                    self._desks.popitem(last=False)
            self._desks.move_to_end(place)
            desk = self._desks[place]
        with desk.lock:
            yield desk.labelling


def desk_shown(labelling: Labelling, *, message: str = "") -> dict[str, Any]:
    """What the rater sees: the row, how far he or she is, the goals behind their keys, and no verdict."""
    item = labelling.item
    return {
        "item": item,
        "at": None if item is None else [item.response.prompt.id, item.response.index],
        "progress": labelling.progress,
        "goals": keyed(labelling.taxonomy),
        "rater": labelling.rater,
        "run_id": labelling.run_id,
        "settles": labelling.settles,
        "message": message,
        "longest_note": LONGEST_NOTE,
    }


def keyed(taxonomy: Taxonomy) -> list[tuple[str, Goal]]:
    """The goals behind their keys, in order."""
    return list(zip(GOAL_KEYS, taxonomy.goals, strict=False))


def act(labelling: Labelling, asked: Asked) -> str:
    """Do what the rater asked, on disk when this returns; gives what was done, in words.

    Raises InvalidInput where another row than the one that was shown is current by now.
    """
    if asked.kind not in ("undo", "again"):
        here = labelling.current
        if here is None or asked.at is None or here != tuple(asked.at):
            raise InvalidInput("another response is shown to this rater by now; load the page again")
    names = {goal.key: goal.name for goal in labelling.taxonomy.goals}
    match asked.kind:
        case "label":
            labelling.label(asked.goal or "")
            return f"{names[asked.goal or '']}; u takes it back"
        case "skip":
            labelling.skip()
            return "skipped; it comes back at the end"
        case "note":
            note = (asked.note or "")[:LONGEST_NOTE]
            labelling.note(note)
            return "note kept" if note.strip() else "no note"
        case "undo":
            taken = labelling.undo()
            return "there is nothing to take back" if taken is None else f"taken back: {names.get(taken, 'skip')}"
        case "again":
            return f"{labelling.again()} that were skipped are shown again"
    raise InvalidInput(f"what a rater does must be label, skip, undo, note or again, got {asked.kind[:40]!r}")


def rater_of(request: Request, asked: str) -> str:
    """Who labels: the user who logged in, whoever that says to be; else the name that was given."""
    identity: Any = getattr(request.state, "identity", None)
    return str(identity.name) if identity is not None and identity.kind == "user" else asked


@dataclass(frozen=True, slots=True)
class Work:
    """How far people are with a run: labels of each rater, how many rows there are, and where raters differ."""

    raters: Mapping[str, int]
    rows: int
    disputed: int
    settled: int


def work_by_run(store: Store, lines: list[RunLine]) -> dict[str, Work]:
    """How far people are with each of these runs that somebody has labelled."""
    found = {}
    for line in lines:
        acts = store.acts(line.run.id)
        if acts:
            found[line.run.id] = _work(store, line.run, acts)
    return found


def _work(store: Store, run: Run, acts: list[Act]) -> Work:
    taxonomy = FIVE_GOALS if run.taxonomy is None else Taxonomy.from_dict(run.taxonomy)
    heard = Heard(taxonomy)
    heard.hear(acts)
    raters = Counter(
        who
        for voices in heard.rows.values()
        for who, standing in voices.items()
        if who is not None and standing.act is not None and standing.act.kind == LABEL
    )
    disputed = heard.disputed()
    settled = sum((act := heard.of(place, None).act) is not None and act.kind == LABEL for place in disputed)
    rows = max((len(choice.rows) for choice in store.choices(run.id)), default=0)
    return Work(dict(sorted(raters.items())), rows, len(disputed), settled)


@dataclass(frozen=True, slots=True)
class CorrectedRow:
    """A figure as classified, and with the classifier's errors undone."""

    name: str
    said: Estimate
    corrected: Estimate


@dataclass(frozen=True, slots=True)
class Standing:
    """How far raters of a run agree, or why that is not known; and what their labels make of its figures."""

    agreement: Agreement | None
    why: str
    rows: tuple[CorrectedRow, ...]
    said_of: str
    labels: int
    run: str = ""


def labelled_run(store: Store, stream: str) -> str | None:
    """The latest run of a stream that people labelled, of the last five; None where there is none."""
    drawn = store.runs(limit=5, model=f"stream:{stream}")
    return next((run.id for run in drawn if any(one.kind == LABEL for one in store.acts(run.id))), None)


def standing_of(store: Store, id: str) -> Standing:
    """Agreement and corrected figures of a run, from the labels as they stand."""
    run = run_of(store, id)
    found, why = None, ""
    try:
        found = stored_agreement(store, run.id)
    except TooLittleEvidence as error:
        why = str(error)
    labels = sum(act.kind == LABEL for act in store.acts(run.id))
    if run.measurement is None:
        return Standing(found, why, (), "the run was not measured to its end", labels, run.id)
    measured = measured_of(store, run.id)
    one, taxonomy = measured.measurement, measured.taxonomy or FIVE_GOALS
    if one.corrected is None:
        return Standing(found, why, (), "nobody has labelled a response yet", labels, run.id)
    rows = [
        CorrectedRow(f"{goal.key} {goal.name}", said, corrected)
        for goal, said, corrected in zip(taxonomy.goals, one.shares, one.corrected.shares, strict=True)
    ]
    rows += [
        CorrectedRow("aligned share", one.aligned, one.corrected.aligned),
        CorrectedRow("pooled S", one.pooled_entropy, one.corrected.pooled_entropy),
        CorrectedRow("mean within-prompt S", one.entropy, one.corrected.entropy),
    ]
    return Standing(found, why, tuple(rows), one.corrected.describe(), labels, run.id)


def _settling(store: Store, run_id: str, rater: str) -> Labelling:
    """The rows on which raters differ. Raises TooLittleEvidence where they differ on none."""
    return adjudicate(store, Task(run_of(store, run_id).id), rater=rater)


def _begun(store: Store, run_id: str, rater: str) -> Labelling:
    """The same rows, in the same order, as `ethostat label RUN` takes; without verdicts any rows, at random."""
    run: Run = run_of(store, run_id)
    way = None if run.measurement is not None else RANDOM
    return begin_labelling(store, Task(run.id, selection=Selection(way)), rater=rater)
