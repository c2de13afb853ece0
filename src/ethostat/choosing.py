"""Which responses of a run people label: at random, at random within the predicted goals, or the most uncertain.

A choice is made once and stored, with the goals that a classifier had predicted; every rater gets the same one.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ethostat.errors import InvalidInput, TooLittleEvidence
from ethostat.maths.confusion import MODAL_LABELS, OTHER_LABELS, choose_rows, labels_wanted
from ethostat.maths.entropy import entropy_of
from ethostat.measurement import Identity
from ethostat.store import Choice, ChosenRow, Store
from ethostat.taxonomy import Taxonomy

ALL, RANDOM, STRATIFIED, INFORMATIVE = "all", "random", "stratified", "informative"
WAYS = (STRATIFIED, INFORMATIVE, RANDOM, ALL)
WANTED = 150
"""Rows of a random or an informative choice: as many as the stratified one has of five goals."""

Whole = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Selection:
    """How rows are chosen; `way` is one of WAYS, None for stratified where verdicts can be had, else all.

    `stratified` is 70 rows of the most frequent predicted goal and 20 of each other, scaled where `wanted` says how
    many in all; `informative` the rows of whose verdict the classifier is least sure, which say nothing of how often it
    errs; `random` any rows; `all` every row. The order is random, that of `informative` by uncertainty. With `overlap`
    the first rows are for every rater, each row behind them for one. Raises InvalidInput for numbers that cannot be
    meant.
    """

    way: str | None = None
    wanted: int | None = None
    seed: int = 0
    overlap: int | None = None

    def __post_init__(self) -> None:
        if self.way not in (None, *WAYS):
            raise InvalidInput(f"--choose {self.way!r} must be {', '.join(WAYS[:-1])} or {WAYS[-1]}")
        if self.way == ALL and self.wanted is not None:
            raise InvalidInput("--choose all takes every row; with --wanted, choose random")
        if self.wanted is not None and self.wanted < 1:
            raise InvalidInput(f"--wanted must be at least 1, got {self.wanted}")
        if self.overlap is not None and self.overlap < 0:
            raise InvalidInput(f"--overlap must be at least 0, got {self.overlap}")
        if not 0 <= self.seed < 2**63:
            raise InvalidInput(f"--seed must be from 0 to 2^63 - 1, got {self.seed}")

    def settled(self, *, has_verdicts: bool) -> Selection:
        """The same with its way named."""
        usual = STRATIFIED if has_verdicts else ALL if self.wanted is None else RANDOM
        return replace(self, way=self.way or usual)

    @property
    def needs_verdicts(self) -> bool:
        """Whether a classifier's verdicts decide."""
        return self.way in (STRATIFIED, INFORMATIVE)


def choose(
    store: Store, run_id: str, *, selection: Selection, taxonomy: Taxonomy, classifier: Identity | None = None
) -> Choice:
    """The rows of a stored run that people are to label, the same for every rater; made and stored once.

    `classifier` is whose stored verdicts decide. Raises InvalidInput where the way needs verdicts that are not there,
    TooLittleEvidence for a run without responses.
    """
    by = classifier if selection.needs_verdicts else None
    size = WANTED if selection.wanted is None and selection.way in (RANDOM, INFORMATIVE) else selection.wanted
    settings = {"wanted": size, "overlap": selection.overlap}
    wanted = Choice(
        ALL if selection.way == RANDOM else selection.way or ALL,  # of all rows alike
        (),
        taxonomy.to_dict() | {"hash": taxonomy.hash},
        seed=selection.seed,
        classifier=None if by is None else by.to_dict(),
        settings={name: value for name, value in settings.items() if value is not None},
    )
    known = [one for one in store.choices(run_id) if one.fingerprint == wanted.fingerprint]
    return known[0] if known else _made(store, run_id, wanted, selection, taxonomy)


def strata(said: Whole, wanted: int | None = None) -> Whole:
    """How many rows of each predicted goal (K,) are wanted: as `labels_wanted` says, or that scaled to `wanted` in all.

    No goal gets fewer than one row where there is one; what rare goals lack, the most frequent one gets.
    Raises InvalidInput for fewer rows than predicted goals.
    """
    if wanted is None:
        return labels_wanted(said)
    present = int((said > 0).sum())
    if wanted < present:
        raise InvalidInput(f"--wanted must be at least {present}, one row for each predicted goal, got {wanted}")
    full = MODAL_LABELS + OTHER_LABELS * (present - 1)
    each = max(1, round(OTHER_LABELS * wanted / full)) if present > 1 else 0
    while each > 1 and each * (present - 1) >= wanted:
        each -= 1
    quota = np.minimum(said, each)
    modal = int(said.argmax())
    quota[modal] = 0
    quota[modal] = min(said[modal], wanted - quota.sum())
    return np.asarray(quota)


class _Candidate(NamedTuple):
    """A response that could be chosen, what decides (nats), and what tells it from its twins."""

    row: ChosenRow
    entropy: float
    content: tuple[str, str]


def _made(store: Store, run_id: str, wanted: Choice, selection: Selection, taxonomy: Taxonomy) -> Choice:
    rng = np.random.default_rng(selection.seed)
    rows = _candidates(store, run_id, None if wanted.classifier is None else wanted.classifier["hash"])
    if not rows:
        raise TooLittleEvidence(f"run {run_id} has no response that could be labelled")
    places: Iterable[int]
    if selection.way == STRATIFIED:
        places = _stratified(rows, selection, taxonomy, rng)
    elif selection.way == INFORMATIVE:
        places = _informative(rows, wanted.settings["wanted"])
    else:
        places = rng.permutation(len(rows))[: wanted.settings.get("wanted")]
    chosen = tuple(rows[place].row for place in places)
    made = Choice(wanted.way, chosen, wanted.taxonomy, wanted.seed, wanted.classifier, wanted.settings)
    return store.add_choice(run_id, made)


def _candidates(store: Store, run_id: str, classifier_hash: str | None) -> list[_Candidate]:
    """Raises InvalidInput where a verdict that decides is missing."""
    found = []
    for response, verdict in store.judged(run_id, classifier_hash):
        if verdict is None and classifier_hash is not None:
            raise InvalidInput(f"response {response.id!r} has no verdict of this classifier; choose random or all")
        found.append(
            _Candidate(
                ChosenRow(response.prompt.id, response.index, verdict.goal if verdict else None),
                float(entropy_of(np.array(verdict.probabilities))) if verdict else 0.0,
                (response.prompt.hash, response.text),
            )
        )
    return found


def _stratified(rows: list[_Candidate], selection: Selection, taxonomy: Taxonomy, rng: np.random.Generator) -> Whole:
    """At random within each predicted goal, and shuffled, so that the order tells nothing of what was predicted."""
    said = np.array([taxonomy.index(one.row.predicted or "") for one in rows], dtype=np.int64)
    goals = len(taxonomy.goals)
    quota = strata(np.bincount(said, minlength=goals), selection.wanted)
    return np.asarray(rng.permutation(choose_rows(said, quota, goals=goals, rng=rng)))


def _informative(rows: list[_Candidate], wanted: int) -> list[int]:
    """The most uncertain first, of equal texts one."""
    if not any(row.entropy > 0 for row in rows):
        raise InvalidInput("no verdict of this run carries a doubt (a probability other than 0 and 1); choose random")
    first: dict[tuple[str, str], int] = {}
    for place, row in enumerate(rows):
        first.setdefault(row.content, place)
    return sorted(first.values(), key=lambda place: -rows[place].entropy)[:wanted]
