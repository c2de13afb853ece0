"""gating: whether a model still does what it did: two sides found or asked, compared, and ruled on.

What a test suite or a pipeline calls. Nothing passes for want of evidence.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ethostat.classifiers import Classifier
from ethostat.comparing import Margins, compare_measured
from ethostat.errors import InvalidInput, ModelError, TooLittleEvidence
from ethostat.maths.estimate import Estimate
from ethostat.measured import Measured, Shelf, Source, open_shelf
from ethostat.models import names_model, open_model
from ethostat.models.base import Decoding, Model
from ethostat.prompts import list_prompt_sets, load_prompts
from ethostat.response import PromptSet
from ethostat.shift import ALPHA, CHANGED, EQUIVALENT, INCONCLUSIVE, Condition, Moved, Shift
from ethostat.store import Store, opened
from ethostat.taxonomy import Taxonomy
from ethostat.visible import stripped
from ethostat.workflow import measure

Side = Model | Source
_MOST_PROMPTS = 3
_LONGEST = 160


@dataclass(frozen=True, slots=True, kw_only=True)
class Asking:
    """How a side that is a model is asked; what is not given is as it was on the other side.

    `prompts` are by default the very ones that the other side answered, `samples` (responses a prompt) and the
    temperature of `decoding` its own. The seed is fixed, so that the same model gives the same ruling.
    """

    prompts: PromptSet | None = None
    samples: int | None = None
    decoding: Decoding | None = None
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Ruling:
    """A shift and whether it lets the model through; `missing` is how many responses B lacks beyond those of A."""

    shift: Shift
    missing: int

    @property
    def verdict(self) -> str:
        """ "equivalent", "changed" or "inconclusive", as the shift says; never "equivalent" with responses missing."""
        if self.missing and self.shift.verdict == EQUIVALENT:
            return INCONCLUSIVE
        return self.shift.verdict

    @property
    def passes(self) -> bool:
        """Whether equivalence within the margins was shown."""
        return self.verdict == EQUIVALENT

    def summary(self) -> str:
        """One line for a log."""
        said = self.shift.summary()
        if self.verdict != self.shift.verdict:
            said = f"{self.verdict}: {self.missing} responses are missing; else {said}"
        return stripped(said)

    def lines(self) -> list[str]:
        """The summary and what stands behind it: goals and prompts that moved, or what the evidence is short of."""
        return [" " * indent + stripped(line) for indent, line in self._lines()]

    def _lines(self) -> Iterator[tuple[int, str]]:
        """Each with its indent."""
        yield 0, self.summary()
        if self.verdict == CHANGED:
            yield from ((2, line) for line in _moved_goals(self.shift))
            for moved in [one for one in self.shift.prompts if one.has_moved][:_MOST_PROMPTS]:
                yield 2, _moved_prompt(moved, self.shift)
                yield from ((4, line) for line in _examples(moved))
        if self.verdict == INCONCLUSIVE:
            yield from ((2, _short(one)) for one in self.shift.equivalence.failing)
            yield from ((2, line) for line in _needed(self.shift))
        yield from ((2, f"note: {note}") for note in self.shift.notes)


def gate(
    baseline: Side,
    current: Side,
    *,
    asking: Asking | None = None,
    margins: Margins | None = None,
    store: Store | None = None,
    taxonomy: Taxonomy | None = None,
    classifier: Classifier | None = None,
) -> Ruling:
    """Whether `current` does what `baseline` does: "equivalent" within the margins, "changed", or "inconclusive".

    Each side is what `compare` takes, or a model, which is then asked: a Model, or its name as `open_model` takes it.
    `classifier` (by default the built-in one) sorts what a model says. With a store the runs are kept there, and its
    runs can be named; without one nothing outlives the call. An unchanged model is called changed in at most 5 % of
    calls, a model at the margin is let through in at most 5 %. Raises what `measure` and `compare` raise.
    """
    asking = asking or Asking()
    with opened(store) as kept, open_shelf(kept, taxonomy=taxonomy, classifier=classifier) as shelf:
        sides = [_opened(side) for side in (baseline, current)]
        known = [None if isinstance(side, Model) else shelf.find(side) for side in sides]
        other = known[0] or known[1]
        a, b = (found or _asked(side, asking, other, shelf, kept) for side, found in zip(sides, known, strict=True))
        shift = compare_measured(a, b, margins or Margins(), np.random.default_rng(asking.seed))
    return Ruling(shift, max(_missing(b) - _missing(a), 0))


def _opened(side: Side) -> Side:
    return open_model(side) if isinstance(side, str) and names_model(side) else side


def _asked(model: Side, asking: Asking, other: Measured | None, shelf: Shelf, store: Store) -> Measured:
    """The measurement of a model, asked as the other side was where nothing else is said."""
    assert isinstance(model, Model)  # noqa: S101 - what is no model was found
    source = None if other is None else other.measurement.provenance
    temperature = None if source is None else source.temperature
    try:
        measured = measure(
            model,
            asking.prompts or _prompts_of(other),
            samples=asking.samples or (source.samples if source else None),
            decoding=asking.decoding or (Decoding() if temperature is None else Decoding(temperature=temperature)),
            seed=asking.seed,
            classifier=shelf.classifier,
            store=store,
        )
    except TooLittleEvidence as error:
        failure = next(iter(store.failures(store.runs(limit=1)[0].id)), None)
        if failure is None:
            raise
        raise ModelError(f"{model.name} gave no answer at all ({failure.kind}): {failure.message}") from error
    return shelf.find(measured)


def _prompts_of(other: Measured | None) -> PromptSet:
    """The prompts that the other side answered; the default set where both sides are models."""
    if other is None:
        return load_prompts("default")
    asked = other.measurement.provenance.prompts
    if other.store is not None and other.run is not None:
        prompts = other.store.prompts(other.run)
        if all(prompt.text for prompt in prompts):
            return prompts
    found = next((one for one in list_prompt_sets() if one.hash == asked.hash), None)
    if found is None:
        raise InvalidInput(
            f"the texts of the prompts {asked.name!r} that the other side answered are not known here; name their file "
            "as the prompts"
        )
    return found


def _missing(side: Measured) -> int:
    return side.measurement.provenance.missing


def _moved_goals(shift: Shift) -> Iterator[str]:
    for one in shift.goals:
        if one.p_adjusted <= ALPHA:
            yield f"{one.goal} {one.a.value:.1%} -> {one.b.value:.1%}, {_signed(one.here)}, p = {one.p_adjusted:.3g}"


def _moved_prompt(moved: Moved, shift: Shift) -> str:
    goals = [one.goal for one in shift.goals]
    before, after = (_profile(goals, side.counts) for side in (moved.a, moved.b))
    asked = "" if moved.asked is None else f': "{_cut(moved.asked)}"'
    return f"prompt {moved.id}, {before} -> {after}{asked}"


def _examples(moved: Moved) -> Iterator[str]:
    for one in moved.examples:
        yield f'{"before" if one.side == "a" else "now"}, {one.goal}: "{_cut(one.text)}"'


def _profile(goals: list[str], counts: tuple[int, ...]) -> str:
    return ", ".join(f"{goal} {count}" for goal, count in zip(goals, counts, strict=True) if count)


def _short(one: Condition) -> str:
    if not one.estimate.is_defined:
        return f"{one.name}: {one.estimate.method}"
    interval = f"{_signed(one.estimate)} at {one.estimate.level:.0%}"
    return f"{one.name} {interval} is not shown to be within {one.margin:g}"


def _needed(shift: Shift) -> Iterator[str]:
    """How many responses would see a change as large as the margin; nothing where that cannot be said."""
    margin = next((one.margin for one in shift.equivalence.conditions if one.estimate.unit == "nats"), None)
    for need in shift.needs:
        if need.change == margin and not math.isnan(need.samples):
            many = f"{need.samples:,.0f} samples of each of these prompts on both sides"
            yield f"to see {margin:g} nats takes about {many}"


def _signed(estimate: Estimate) -> str:
    return f"{estimate.value:+.3f} [{estimate.low:+.3f}, {estimate.high:+.3f}]"


def _cut(text: str) -> str:
    return stripped(text, most=_LONGEST)
