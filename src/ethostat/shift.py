"""Shift: what A did against what B did, with intervals, tests and a verdict; `comparing.compare` makes one.

`to_dict` and `from_dict` are its JSON form. Every difference is B - A.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from ethostat.errors import InvalidInput
from ethostat.maths.estimate import Estimate
from ethostat.maths.profile import Profile
from ethostat.maths.shift import Need
from ethostat.measurement import Identity

ALPHA = 0.05
"""Level of every test: the chance of a call where nothing changed."""
CHANGED, EQUIVALENT, INCONCLUSIVE = "changed", "equivalent", "inconclusive"


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One of the two, over the prompts that are compared: its source, profile, S and aligned share.

    `n` counts those prompts. `entropy` is the mean within-prompt S of these prompts, undefined where none was repeated.
    """

    model: str
    run: str | None
    classifier: Identity
    prompts: Identity
    n: int
    temperature: float | None
    finished: str | None
    profile: Profile
    entropy: Estimate
    pooled_entropy: Estimate
    aligned: Estimate

    @property
    def name(self) -> str:
        """The model, and the run where there is one."""
        return self.model if self.run is None else f"{self.model} ({self.run})"


@dataclass(frozen=True, slots=True)
class Matched:
    """How many prompts both sides answered, what they were matched by, and how many only one side has.

    `by` is "set" (one prompt set), "content", "id", or "nothing" where no prompt is the same.
    """

    prompts: int
    by: str
    only_a: int
    only_b: int

    @property
    def is_paired(self) -> bool:
        """Whether the comparison is prompt by prompt."""
        return self.prompts > 0


@dataclass(frozen=True, slots=True)
class GoalShift:
    """One goal: its share in A and in B, the difference for prompts like these and for these prompts, and its test.

    `p_adjusted` is Holm's over the goals. `name` and `aligned` are there where the taxonomy is known.
    """

    goal: str
    a: Estimate
    b: Estimate
    difference: Estimate
    here: Estimate
    p_value: float
    p_adjusted: float
    name: str | None = None
    aligned: bool | None = None

    @property
    def title(self) -> str:
        """Key and name."""
        return self.goal if self.name is None else f"{self.goal}  {self.name}"


@dataclass(frozen=True, slots=True)
class Condition:
    """One thing that must lie within a margin, in the estimate's unit; the estimate's interval is the 90 % one."""

    name: str
    estimate: Estimate
    margin: float
    holds: bool


@dataclass(frozen=True, slots=True)
class Equivalence:
    """Whether everything lies within its margin: two one-sided tests each, all of which must hold, at 5 % together.

    `scope` is "these prompts", or "prompts like these" where the prompts are not the same.
    """

    scope: str
    conditions: tuple[Condition, ...]

    @property
    def holds(self) -> bool:
        """Whether every condition does."""
        return all(one.holds for one in self.conditions)

    @property
    def failing(self) -> tuple[Condition, ...]:
        """The conditions that do not hold."""
        return tuple(one for one in self.conditions if not one.holds)


@dataclass(frozen=True, slots=True)
class Example:
    """A response of one side ("a" or "b") and its goal."""

    side: str
    goal: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """A prompt or a category: what both sides did there, and whether that differs.

    `id` is A's (or the category's name), `id_b` B's where it is another; `prompts` is how many it holds. `p_adjusted`
    is Benjamini and Hochberg's over all prompts, or all categories. `asked` and `examples` are there where a store
    holds them, for what moved most.
    """

    id: str
    a: Profile
    b: Profile
    entropy_difference: Estimate
    divergence: Estimate
    p_value: float
    p_adjusted: float
    prompts: int = 1
    id_b: str | None = None
    category: str | None = None
    asked: str | None = None
    examples: tuple[Example, ...] = ()

    @property
    def has_moved(self) -> bool:
        """Whether it is among those called, of which one in twenty is expected to be called wrongly."""
        return self.p_adjusted <= ALPHA


@dataclass(frozen=True, slots=True)
class CorrectedShift:
    """Differences of the figures with the classifier's errors undone, where both sides carry them; B - A.

    Both corrections are taken as independent; `shares` are in the goals' order.
    """

    pooled_entropy: Estimate
    aligned: Estimate
    shares: tuple[Estimate, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shift:
    """B against A.

    `entropy_difference` (mean within-prompt S), `pooled_entropy_difference`, `aligned_difference` and `goals` are for
    prompts like these, paired by prompt where the prompts are the same; `entropy_difference_here` is for these prompts
    alone. `divergence` and `total_variation` are of the pooled profiles, `prompt_divergence` the mean over prompts,
    both for prompts like these, and `prompt_divergence_here` for these prompts.
    `reduction` is 100 (S_A - S_B) / S_A in percent. `p_value` is of no change at all, by swapping responses within
    prompts (`swaps` times); `p_adjusted` is Benjamini and Hochberg's where several models were compared with A.
    `prompts` and `categories` hold what moved most first. `needs` says what it takes to see a change.
    """

    a: Side
    b: Side
    matched: Matched
    entropy_difference: Estimate
    entropy_difference_here: Estimate
    pooled_entropy_difference: Estimate
    aligned_difference: Estimate
    goals: tuple[GoalShift, ...]
    divergence: Estimate
    total_variation: Estimate
    prompt_divergence: Estimate
    prompt_divergence_here: Estimate
    reduction: Estimate
    p_value: float
    p_pooled: float
    p_prompts: float
    swaps: int
    equivalence: Equivalence
    needs: tuple[Need, ...]
    p_adjusted: float | None = None
    corrected: CorrectedShift | None = None
    prompts: tuple[Moved, ...] = ()
    categories: tuple[Moved, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def equivalent(self) -> bool:
        """Whether B is equivalent to A within the margins."""
        return self.equivalence.holds

    @property
    def verdict(self) -> str:
        """ "equivalent" within the margins; else "changed" where the test says so at 5 %; else "inconclusive"."""
        if self.equivalent:
            return EQUIVALENT
        tested = self.p_value if self.p_adjusted is None else self.p_adjusted
        return CHANGED if tested <= ALPHA else INCONCLUSIVE

    @property
    def headline(self) -> Estimate:
        """The difference of the mean within-prompt S of these prompts, else of prompts like these, else of pooled S."""
        known = (self.entropy_difference_here, self.entropy_difference, self.pooled_entropy_difference)
        return next((one for one in known if one.is_defined), self.pooled_entropy_difference)

    def summary(self) -> str:
        """One line for a log."""
        before, after = self.a.entropy, self.b.entropy
        name = "S"
        if not (before.is_defined and after.is_defined):
            before, after, name = self.a.pooled_entropy, self.b.pooled_entropy, "pooled S"
        change = self.headline
        moved = f"{change.value:+.3f} [{change.low:+.3f}, {change.high:+.3f}] nats" if change.is_defined else "unknown"
        adjusted = "" if self.p_adjusted is None else f" (adjusted {self.p_adjusted:.3g})"
        prompts = f"{self.matched.prompts} prompts matched" if self.matched.is_paired else "no prompt matched"
        return (
            f"{self.verdict}: {self.b.name} against {self.a.name}: {name} {before.value:.3f} -> {after.value:.3f}, "
            f"{moved}; p = {self.p_value:.3g}{adjusted}; {prompts}; {self._goal_words()}"
        )

    def _goal_words(self) -> str:
        """The goals whose shares moved, else what stands against equivalence."""
        moved = [one for one in self.goals if one.p_adjusted <= ALPHA]
        if moved:
            return ", ".join(f"{one.goal} {one.a.value:.1%} -> {one.b.value:.1%}" for one in moved)
        if failing := self.equivalence.failing:
            return f"not shown to be within the margin: {', '.join(one.name for one in failing)}"
        return "every share and entropy within its margin"

    def to_dict(self) -> dict[str, Any]:
        """Plain values; the JSON form of a shift."""
        return {
            "a": _side_to_dict(self.a, self.goals),
            "b": _side_to_dict(self.b, self.goals),
            "matched": asdict(self.matched),
            **{name: getattr(self, name).to_dict() for name in _ESTIMATES},
            "goals": {one.goal: one.difference.to_dict() for one in self.goals},
            "goal_details": {one.goal: _goal_to_dict(one) for one in self.goals},
            **{name: _number(getattr(self, name)) for name in _P_VALUES},
            "swaps": self.swaps,
            "equivalent": self.equivalent,
            "equivalence": {
                "scope": self.equivalence.scope,
                "conditions": [
                    asdict(one) | {"estimate": one.estimate.to_dict()} for one in self.equivalence.conditions
                ],
            },
            "verdict": self.verdict,
            "summary": self.summary(),
            "corrected": None if self.corrected is None else _corrected_to_dict(self.corrected, self.goals),
            "prompts": [_moved_to_dict(one, self.goals) for one in self.prompts],
            "categories": [_moved_to_dict(one, self.goals) for one in self.categories],
            "needs": [{key: _number(value) for key, value in asdict(one).items()} for one in self.needs],
            "notes": list(self.notes),
        }

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> Shift:
        """The inverse of `to_dict`. Raises InvalidInput where a field is missing or of the wrong type."""
        try:
            return _from_dict(fields)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise InvalidInput(f"not a comparison: {error!r}; pass what `ethostat compare --json` printed") from error


_ESTIMATES = (
    "entropy_difference",
    "entropy_difference_here",
    "pooled_entropy_difference",
    "aligned_difference",
    "divergence",
    "total_variation",
    "prompt_divergence",
    "prompt_divergence_here",
    "reduction",
)
_P_VALUES = ("p_value", "p_pooled", "p_prompts", "p_adjusted")
_SIDE = ("entropy", "pooled_entropy", "aligned")


def _number(value: float | None) -> float | None:
    return None if value is None or math.isnan(value) else value


def _or_nan(value: float | None) -> float:
    return math.nan if value is None else float(value)


def _counts(profile: Profile, goals: Sequence[GoalShift]) -> dict[str, int]:
    return {one.goal: count for one, count in zip(goals, profile.counts, strict=True)}


def _side_to_dict(side: Side, goals: Sequence[GoalShift]) -> dict[str, Any]:
    return {
        "model": side.model,
        "run": side.run,
        "classifier": side.classifier.to_dict(),
        "prompts": {**side.prompts.to_dict(), "n": side.n},
        "temperature": side.temperature,
        "finished": side.finished,
        "profile": _counts(side.profile, goals),
        **{name: getattr(side, name).to_dict() for name in _SIDE},
    }


def _goal_to_dict(one: GoalShift) -> dict[str, Any]:
    return {
        **{name: getattr(one, name).to_dict() for name in ("a", "b", "here")},
        "p_value": _number(one.p_value),
        "p_adjusted": _number(one.p_adjusted),
        "name": one.name,
        "aligned": one.aligned,
    }


def _moved_to_dict(one: Moved, goals: Sequence[GoalShift]) -> dict[str, Any]:
    return {
        "id": one.id,
        "id_b": one.id_b,
        "category": one.category,
        "prompts": one.prompts,
        "a": _counts(one.a, goals),
        "b": _counts(one.b, goals),
        "entropy_difference": one.entropy_difference.to_dict(),
        "divergence": one.divergence.to_dict(),
        "p_value": _number(one.p_value),
        "p_adjusted": _number(one.p_adjusted),
        "asked": one.asked,
        "examples": [asdict(example) for example in one.examples],
    }


def _corrected_to_dict(found: CorrectedShift, goals: Sequence[GoalShift]) -> dict[str, Any]:
    return {
        "pooled_entropy_difference": found.pooled_entropy.to_dict(),
        "aligned_difference": found.aligned.to_dict(),
        "goals": {one.goal: share.to_dict() for one, share in zip(goals, found.shares, strict=True)},
    }


def _from_dict(fields: Mapping[str, Any]) -> Shift:
    corrected = fields["corrected"]
    figures: dict[str, Any] = {name: Estimate.from_dict(fields[name]) for name in _ESTIMATES}
    figures |= {name: _or_nan(fields[name]) for name in _P_VALUES[:3]}
    return Shift(
        **figures,
        a=_side_from_dict(fields["a"]),
        b=_side_from_dict(fields["b"]),
        matched=Matched(**fields["matched"]),
        goals=tuple(
            GoalShift(
                goal,
                Estimate.from_dict(more["a"]),
                Estimate.from_dict(more["b"]),
                Estimate.from_dict(fields["goals"][goal]),
                Estimate.from_dict(more["here"]),
                _or_nan(more["p_value"]),
                _or_nan(more["p_adjusted"]),
                more["name"],
                more["aligned"],
            )
            for goal, more in fields["goal_details"].items()
        ),
        p_adjusted=fields["p_adjusted"],
        swaps=fields["swaps"],
        equivalence=Equivalence(
            fields["equivalence"]["scope"],
            tuple(
                Condition(**{**one, "estimate": Estimate.from_dict(one["estimate"])})
                for one in fields["equivalence"]["conditions"]
            ),
        ),
        needs=tuple(Need(**{key: _or_nan(value) for key, value in one.items()}) for one in fields["needs"]),
        corrected=None
        if corrected is None
        else CorrectedShift(
            Estimate.from_dict(corrected["pooled_entropy_difference"]),
            Estimate.from_dict(corrected["aligned_difference"]),
            tuple(Estimate.from_dict(share) for share in corrected["goals"].values()),
        ),
        prompts=tuple(_moved_from_dict(one) for one in fields["prompts"]),
        categories=tuple(_moved_from_dict(one) for one in fields["categories"]),
        notes=tuple(fields["notes"]),
    )


def _side_from_dict(fields: Mapping[str, Any]) -> Side:
    prompts = dict(fields["prompts"])
    n = prompts.pop("n")
    figures: dict[str, Any] = {name: Estimate.from_dict(fields[name]) for name in _SIDE}
    return Side(
        **{name: fields[name] for name in ("model", "run", "temperature", "finished")},
        **figures,
        classifier=Identity(**fields["classifier"]),
        prompts=Identity(**prompts),
        n=n,
        profile=Profile(tuple(fields["profile"].values())),
    )


def _moved_from_dict(fields: Mapping[str, Any]) -> Moved:
    return Moved(
        **{name: fields[name] for name in ("id", "id_b", "category", "prompts", "asked")},
        a=Profile(tuple(fields["a"].values())),
        b=Profile(tuple(fields["b"].values())),
        entropy_difference=Estimate.from_dict(fields["entropy_difference"]),
        divergence=Estimate.from_dict(fields["divergence"]),
        p_value=_or_nan(fields["p_value"]),
        p_adjusted=_or_nan(fields["p_adjusted"]),
        examples=tuple(Example(**one) for one in fields["examples"]),
    )
