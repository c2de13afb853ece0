"""compare: two measurements or more, prompt by prompt: what differs, how surely, and where.

The maths knows counts; here they are matched by prompt, tested, and given names, texts and a verdict.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from ethostat.classifiers import Classifier
from ethostat.errors import InvalidInput
from ethostat.maths import divergence, exchange, panel, shift
from ethostat.maths.estimate import Estimate
from ethostat.maths.profile import Profile
from ethostat.maths.shift import Pair
from ethostat.measured import Measured, Source, open_shelf
from ethostat.measurement import Measurement, PromptResult
from ethostat.shift import (
    Condition,
    CorrectedShift,
    Equivalence,
    Example,
    GoalShift,
    Matched,
    Moved,
    Shift,
    Side,
)
from ethostat.store import Store
from ethostat.taxonomy import Taxonomy
from ethostat.transcripts import NO_PROMPT

MARGIN = 0.05
"""Nats within which differences of S, and the mean divergence of prompts, count as no change."""
SHARE_MARGIN = 0.05
"""Share of responses within which the difference of a goal's share counts as no change."""
LEVEL = 0.95
_BOTH_SIDES = 0.90
"""Level of the intervals of equivalence: two one-sided tests at 5 %."""
_CHANGES = (0.02, 0.05, 0.1)
_MOST_EXAMPLES = 5
_LONGEST = 2000

Counts = NDArray[np.int64]


def compare(
    a: Source,
    b: Source,
    *,
    margin: float = MARGIN,
    share_margin: float = SHARE_MARGIN,
    seed: int = 0,
    store: Store | None = None,
    taxonomy: Taxonomy | None = None,
    classifier: Classifier | None = None,
) -> Shift:
    """B against A: differences of S, shares and profiles, a test that anything changed at all, and a verdict.

    A source is a Measurement, a file of one, a transcript (classified by the built-in classifier where its rows carry
    no goal) or a run of the store, by default the user's own. Prompts are matched by content, else by id; where none
    is the same the two sets are compared as independent, which takes several times as many responses. "equivalent"
    needs every difference of S (nats, `margin`), the mean divergence of prompts (nats, `margin`) and every goal's share
    (`share_margin`) shown to lie within its margin at 5 %; "changed" a p-value up to 5 %; the rest is "inconclusive".
    Raises InvalidInput for different goals, for a margin that is not above 0 and for what cannot be found.
    """
    return compare_many(
        a,
        [b],
        margin=margin,
        share_margin=share_margin,
        seed=seed,
        store=store,
        taxonomy=taxonomy,
        classifier=classifier,
    )[0]


def compare_many(
    baseline: Source,
    others: Iterable[Source],
    *,
    margin: float = MARGIN,
    share_margin: float = SHARE_MARGIN,
    seed: int = 0,
    store: Store | None = None,
    taxonomy: Taxonomy | None = None,
    classifier: Classifier | None = None,
) -> tuple[Shift, ...]:
    """Each of the others against the baseline, as `compare`; their p-values adjusted for how many there are.

    The adjustment is Benjamini and Hochberg's: of those called changed, one in twenty is expected not to be.
    """
    margins = Margins.checked(margin, share_margin)
    with open_shelf(store, taxonomy=taxonomy, classifier=classifier) as shelf:
        first = shelf.find(baseline)
        rng = np.random.default_rng(seed)
        found = [compare_measured(first, shelf.find(other), margins, rng.spawn(1)[0]) for other in others]
    if len(found) < 2:
        return tuple(found)
    adjusted = exchange.false_discovery([one.p_value for one in found])
    return tuple(replace(one, p_adjusted=float(p)) for one, p in zip(found, adjusted, strict=True))


@dataclass(frozen=True, slots=True)
class Margins:
    """What counts as no change: `nats` of S and of the prompts' mean divergence, `share` of responses on a goal."""

    nats: float = MARGIN
    share: float = SHARE_MARGIN

    @classmethod
    def checked(cls, nats: float, share: float) -> Margins:
        """Raises InvalidInput where one is not above 0 (or a share not below 1)."""
        if not 0 < nats < float("inf"):
            raise InvalidInput(f"margin must be above 0 nats and finite, got {nats}")
        if not 0 < share < 1:
            raise InvalidInput(f"share margin must be above 0 and below 1, got {share}")
        return cls(nats, share)


@dataclass(frozen=True, slots=True)
class _Row:
    """A prompt of one side: its result with all counts under one key."""

    result: PromptResult
    counts: Counts


@dataclass(frozen=True, slots=True)
class _Matching:
    """The pair that is compared; `rows` are the matched prompts of both sides, none where the pair is unpaired."""

    matched: Matched
    pair: Pair
    rows: tuple[tuple[_Row, _Row], ...]
    notes: tuple[str, ...]


def compare_measured(a: Measured, b: Measured, margins: Margins, rng: np.random.Generator) -> Shift:
    """B against A, both found already; what `compare` does with what it finds."""
    _check_goals(a.measurement, b.measurement)
    found = _match(a.measurement, b.measurement)
    pair, goals = found.pair, a.measurement.goals
    if not pair.prompts:
        raise InvalidInput("one side has no response to compare; measure it again")
    tested = exchange.exchange_test(pair, rng=rng)
    taxonomy = next((one for one in (a.taxonomy, b.taxonomy) if one is not None), None)
    aligned = None if taxonomy is None else taxonomy.aligned
    prompts = _moved_prompts(found, rng)
    return Shift(
        a=_side(a, pair.a, aligned),
        b=_side(b, pair.b, aligned),
        matched=found.matched,
        entropy_difference=shift.entropy_difference(pair),
        entropy_difference_here=shift.entropy_difference_here(pair),
        pooled_entropy_difference=shift.pooled_difference(pair),
        aligned_difference=_aligned(pair, aligned),
        goals=_goal_shifts(pair, goals, tested, taxonomy),
        divergence=divergence.pooled_divergence(pair, rng=rng),
        total_variation=divergence.total_variation(pair, rng=rng),
        prompt_divergence=divergence.prompt_divergence(pair),
        prompt_divergence_here=divergence.prompt_divergence(pair, here=True),
        reduction=shift.reduction(pair),
        p_value=tested.p_value,
        p_pooled=tested.pooled,
        p_prompts=tested.prompts,
        swaps=tested.swaps,
        equivalence=_equivalence(pair, goals, margins),
        needs=tuple(shift.need(pair, change) for change in sorted({*_CHANGES, margins.nats})),
        corrected=_corrected(a.measurement, b.measurement),
        prompts=_with_examples(prompts, a, b),
        categories=_moved_categories(found, rng),
        notes=(*found.notes, *_notes(a.measurement, b.measurement)),
    )


def _check_goals(a: Measurement, b: Measurement) -> None:
    one, other = a.provenance.taxonomy, b.provenance.taxonomy
    if one.hash != other.hash:
        raise InvalidInput(
            f"{a.provenance.model!r} was sorted into {one.name!r} ({one.hash}), {b.provenance.model!r} into "
            f"{other.name!r} ({other.hash}); only profiles over the same goals can be compared: classify both with one "
            "taxonomy"
        )


def _match(a: Measurement, b: Measurement) -> _Matching:
    """The prompts that both answered, side by side; where there is none, both panels whole."""
    by = _matched_by(a, b)
    first, second = _rows(a, by=by), _rows(b, by=by)
    shared = [key for key in first if key in second] if by != "nothing" else []
    if not shared:
        pair = shift.unpaired(_table(first.values(), a), _table(second.values(), b))
        notes = ("no prompt is the same on both sides: compared as independent sets, for prompts like these",)
        return _Matching(Matched(0, "nothing", len(first), len(second)), pair, (), notes)
    matched = Matched(len(shared), by, len(first) - len(shared), len(second) - len(shared))
    rows = tuple((first[key], second[key]) for key in shared)
    pair = shift.paired(_table([x for x, _ in rows], a), _table([y for _, y in rows], b))
    return _Matching(matched, pair, rows, tuple(_matching_notes(matched)))


def _matched_by(a: Measurement, b: Measurement) -> str:
    if a.provenance.prompts.hash == b.provenance.prompts.hash and NO_PROMPT.id not in _ids(a):
        return "set"
    if NO_PROMPT.id in _ids(a) & _ids(b):
        return "nothing"
    results = (*a.per_prompt, *b.per_prompt)
    return "content" if all(one.hash not in (None, NO_PROMPT.hash) for one in results) else "id"


def _ids(measurement: Measurement) -> set[str]:
    return {one.id for one in measurement.per_prompt}


def _rows(measurement: Measurement, *, by: str) -> dict[str, _Row]:
    """Answered prompts by key; a text that stands twice in a set is one prompt, asked more often."""
    found: dict[str, _Row] = {}
    for result in measurement.per_prompt:
        if not result.profile.n:
            continue
        key = result.hash if by == "content" and result.hash is not None else result.id
        counts = result.profile.array()
        before = found.get(key)
        found[key] = _Row(result, counts) if before is None else _Row(before.result, before.counts + counts)
    return found


def _table(rows: Iterable[_Row], measurement: Measurement) -> Counts:
    return np.array([row.counts for row in rows], dtype=np.int64).reshape(-1, len(measurement.goals))


def _matching_notes(matched: Matched) -> Iterator[str]:
    if matched.by == "id":
        yield "prompts were matched by id, since not all texts are known; check that equal ids ask the same"
    if matched.only_a or matched.only_b:
        yield (
            f"{matched.prompts} prompts are the same on both sides and are compared; {matched.only_a} of A's and "
            f"{matched.only_b} of B's are left out"
        )


def _notes(a: Measurement, b: Measurement) -> Iterator[str]:
    """What differs besides the models, and what both sides' own notes say."""
    one, other = a.provenance, b.provenance
    if one.classifier.hash != other.classifier.hash:
        yield (
            f"different classifiers: {one.classifier.name} ({one.classifier.hash}) for A, {other.classifier.name} "
            f"({other.classifier.hash}) for B; part of the difference may be theirs"
        )
    if one.temperature != other.temperature:
        yield f"different temperatures: {_known(one.temperature)} for A, {_known(other.temperature)} for B"
    if one.run is not None and one.run == other.run:
        yield f"both sides are run {one.run}"
    for side, source in (("A", one), ("B", other)):
        yield from (f"{side}: {note}" for note in source.notes)


def _known(value: float | None) -> str:
    return "unknown" if value is None else f"{value:g}"


def _side(one: Measured, counts: NDArray[np.float64], aligned: Sequence[bool] | None) -> Side:
    measurement, source = one.measurement, one.measurement.provenance
    unknown = _ids(measurement) == {NO_PROMPT.id}
    return Side(
        model=source.model,
        run=source.run,
        classifier=source.classifier,
        prompts=source.prompts,
        n=len(counts),
        temperature=source.temperature,
        finished=source.finished,
        profile=Profile.from_array(counts.sum(axis=0)),
        entropy=measurement.entropy if unknown else panel.within_entropy(counts, level=LEVEL),
        pooled_entropy=panel.pooled_entropy(counts, level=LEVEL),
        aligned=_no_goals(int(counts.sum())) if aligned is None else panel.aligned_share(counts, aligned, level=LEVEL),
    )


def _no_goals(n: int) -> Estimate:
    reason = "neither side says which goals count as aligned; name the taxonomy"
    return Estimate.undefined(reason, level=LEVEL, unit="share", n=n)


def _aligned(pair: Pair, aligned: Sequence[bool] | None) -> Estimate:
    return _no_goals(pair.n) if aligned is None else shift.share_difference(pair, aligned, level=LEVEL)


def _goal_shifts(
    pair: Pair, goals: Sequence[str], tested: exchange.Exchanged, taxonomy: Taxonomy | None
) -> tuple[GoalShift, ...]:
    adjusted = exchange.holm(tested.goals)
    sides = (panel.goal_shares(pair.a, level=LEVEL), panel.goal_shares(pair.b, level=LEVEL))
    return tuple(
        GoalShift(
            goal,
            sides[0][place],
            sides[1][place],
            shift.share_difference(pair, mask, level=LEVEL),
            shift.share_difference_here(pair, mask, level=LEVEL),
            float(tested.goals[place]),
            float(adjusted[place]),
            None if taxonomy is None else taxonomy.goals[place].name,
            None if taxonomy is None else taxonomy.goals[place].aligned,
        )
        for place, (goal, mask) in enumerate(zip(goals, np.eye(len(goals), dtype=bool), strict=True))
    )


def _equivalence(pair: Pair, goals: Sequence[str], margins: Margins) -> Equivalence:
    """What must lie within its margin: S, every goal's share, and, paired, what single prompts do.

    The last two are there since S is blind to which goal, and shares to which prompt.
    """
    here = pair.is_paired
    entropy = (shift.entropy_difference_here if here else shift.entropy_difference)(pair, level=_BOTH_SIDES)
    name = "S"
    if not entropy.is_defined:
        entropy, name = shift.pooled_difference(pair, level=_BOTH_SIDES), "pooled S"
    conditions = [Condition(name, entropy, margins.nats, shift.is_within(entropy, margins.nats))]
    share = shift.share_difference_here if here else shift.share_difference
    for goal, mask in zip(goals, np.eye(len(goals), dtype=bool), strict=True):
        found = share(pair, mask, level=_BOTH_SIDES)
        conditions.append(Condition(goal, found, margins.share, shift.is_within(found, margins.share)))
    if here:
        apart = divergence.prompt_divergence(pair, here=True, level=_BOTH_SIDES)
        holds = apart.is_defined and apart.high < margins.nats
        conditions.append(Condition("divergence of prompts", apart, margins.nats, holds))
    return Equivalence("these prompts" if here else "prompts like these", tuple(conditions))


def _corrected(a: Measurement, b: Measurement) -> CorrectedShift | None:
    one, other = a.corrected, b.corrected
    if one is None or other is None:
        return None
    method = "corrected figures of all prompts, taken as independent"
    return CorrectedShift(
        shift.square_and_add(one.pooled_entropy, other.pooled_entropy, method=method),
        shift.square_and_add(one.aligned, other.aligned, method=method),
        tuple(shift.square_and_add(x, y, method=method) for x, y in zip(one.shares, other.shares, strict=True)),
    )


def _moved_prompts(found: _Matching, rng: np.random.Generator) -> list[Moved]:
    """Every matched prompt, the ones called first, then by p-value and divergence."""
    if not found.rows:
        return []
    p_values = exchange.prompt_tests(found.pair, rng=rng)
    adjusted = exchange.false_discovery(p_values)
    moved = [
        replace(
            _moved(x.result.id, shift.paired(x.counts[None], y.counts[None])),
            p_value=float(p),
            p_adjusted=float(q),
            id_b=None if x.result.id == y.result.id else y.result.id,
            category=x.result.category or y.result.category,
        )
        for (x, y), p, q in zip(found.rows, p_values, adjusted, strict=True)
    ]
    return sorted(moved, key=_order)


def _moved_categories(found: _Matching, rng: np.random.Generator) -> tuple[Moved, ...]:
    """Every category of the matched prompts, tested by swaps within its prompts."""
    names = [x.result.category or y.result.category for x, y in found.rows]
    moved = []
    for name in dict.fromkeys(name for name in names if name is not None):
        rows = [place for place, other in enumerate(names) if other == name]
        pair = shift.paired(found.pair.a[rows], found.pair.b[rows])
        tested = exchange.exchange_test(pair, rng=rng)
        moved.append(replace(_moved(name, pair), p_value=tested.p_value, prompts=len(rows)))
    adjusted = exchange.false_discovery([one.p_value for one in moved])
    return tuple(sorted((replace(m, p_adjusted=float(q)) for m, q in zip(moved, adjusted, strict=True)), key=_order))


def _moved(name: str, pair: Pair) -> Moved:
    return Moved(
        id=name,
        a=Profile.from_array(pair.a.sum(axis=0)),
        b=Profile.from_array(pair.b.sum(axis=0)),
        entropy_difference=shift.entropy_difference_here(pair, level=LEVEL),
        divergence=divergence.prompt_divergence(pair, here=True, level=LEVEL),
        p_value=1.0,
        p_adjusted=1.0,
    )


def _order(one: Moved) -> tuple[bool, float, float]:
    return not one.has_moved, one.p_value, -one.divergence.value if one.divergence.is_defined else 0.0


def _with_examples(moved: Sequence[Moved], a: Measured, b: Measured) -> tuple[Moved, ...]:
    """What was asked, and a response of each side on the goal that it has more of, for those that moved most."""
    shown = list(islice((one for one in moved if one.has_moved), _MOST_EXAMPLES))
    if not shown:
        return tuple(moved)
    goals = a.measurement.goals
    before = _first_texts(a, {one.id: _most_lost(one, goals) for one in shown})
    after = _first_texts(b, {one.id_b or one.id: _most_won(one, goals) for one in shown})
    found = []
    for one in shown:
        texts = [("a", before.get(one.id)), ("b", after.get(one.id_b or one.id))]
        examples = tuple(Example(side, said.goal, said.text) for side, said in texts if said is not None)
        asked = next((said.asked for _, said in texts if said is not None), None)
        found.append(replace(one, asked=asked, examples=examples))
    return (*found, *moved[len(found) :])


@dataclass(frozen=True, slots=True)
class _Said:
    asked: str
    goal: str
    text: str


def _first_texts(side: Measured, wanted: Mapping[str, str]) -> dict[str, _Said]:
    """The first response to each prompt on the goal that is wanted, cut to a length that can be read."""
    found: dict[str, _Said] = {}
    for response, verdict in side.evidence():
        id = response.prompt.id
        if id not in found and wanted.get(id) == verdict.goal and response.text:
            found[id] = _Said(response.prompt.text[:_LONGEST], verdict.goal, response.text[:_LONGEST])
            if len(found) == len(wanted):
                break
    return found


def _most_lost(one: Moved, goals: Sequence[str]) -> str:
    return goals[int(np.argmax(one.a.shares() - one.b.shares()))]


def _most_won(one: Moved, goals: Sequence[str]) -> str:
    return goals[int(np.argmax(one.b.shares() - one.a.shares()))]
