"""Evaluation: how often a classifier says what people say, with intervals; `labelled.evaluate` makes one.

`to_dict` and `from_dict` are its JSON form. Texts are not in it; rows are named by their ids.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from ethostat.errors import InvalidInput
from ethostat.maths.agreement import Bin
from ethostat.maths.estimate import Estimate
from ethostat.measurement import Identity

MOST_HELP_CONFUSED = 0.05
"""Share of helpful rows taken for the other kind of help above which an evaluation is flagged (arXiv 2512.03047)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scores:
    """Verdicts against labels over some goals.

    `confusion` counts rows, label down and verdict across; `precision` and `recall` hold one estimate a goal. All but
    macro-F1 and Cohen's kappa are shares of rows.
    """

    goals: tuple[str, ...]
    confusion: tuple[tuple[int, ...], ...]
    accuracy: Estimate
    macro_f1: Estimate
    kappa: Estimate
    precision: tuple[Estimate, ...]
    recall: tuple[Estimate, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "accuracy": self.accuracy.to_dict(),
            "macro_f1": self.macro_f1.to_dict(),
            "kappa": self.kappa.to_dict(),
            "goals": {
                goal: {"precision": precision.to_dict(), "recall": recall.to_dict()}
                for goal, precision, recall in zip(self.goals, self.precision, self.recall, strict=True)
            },
            "confusion": [list(row) for row in self.confusion],
        }

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> Scores:
        """The inverse of `to_dict`."""
        goals = fields["goals"]
        return cls(
            goals=tuple(goals),
            confusion=_counts(fields["confusion"], goals=len(goals)),
            **{name: Estimate.from_dict(fields[name]) for name in ("accuracy", "macro_f1", "kappa")},
            precision=tuple(Estimate.from_dict(goals[goal]["precision"]) for goal in goals),
            recall=tuple(Estimate.from_dict(goals[goal]["recall"]) for goal in goals),
        )


@dataclass(frozen=True, slots=True)
class Part:
    """One source or subtype: its accuracy, and the share of its g1 and g2 rows taken for the other of the two."""

    accuracy: Estimate
    help_confused: Estimate | None


@dataclass(frozen=True, slots=True)
class Miss:
    """A row where verdict and label differ: its id, both goals, and the probability the classifier gave its own."""

    id: str
    label: str
    verdict: str
    probability: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """A classifier against people's labels of `n` rows in `groups` groups (prompts); `missing` rows were unusable.

    `scores` are over all goals; `coarse`, where the goals are the five, over helpful, refusal and off-topic, and
    `help_confused` is the share of g1 and g2 rows taken for the other of the two. `rho` is Spearman's, of the
    entropy of verdicts and of labels over groups. `calibration_error` is ECE, `reliability` its bins. `misses` holds
    the errors of which the classifier was surest.
    """

    classifier: Identity
    taxonomy: Identity
    rows: Identity
    n: int
    groups: int
    scores: Scores
    coarse: Scores | None
    help_confused: Estimate | None
    rho: Estimate
    calibration_error: Estimate
    reliability: tuple[Bin, ...]
    sources: Mapping[str, Part] = field(default_factory=dict)
    subtypes: Mapping[str, Part] = field(default_factory=dict)
    misses: tuple[Miss, ...] = ()
    missing: int = 0
    notes: tuple[str, ...] = ()

    @property
    def is_flagged(self) -> bool:
        """Whether g1 and g2 are taken for each other in more than 5 % of their rows."""
        found = self.help_confused
        return found is not None and found.is_defined and found.value > MOST_HELP_CONFUSED

    def headline(self) -> dict[str, Estimate]:
        """The figures of all rows, by the names they are shown under."""
        rows = {
            "Accuracy": self.scores.accuracy,
            "Macro-F1": self.scores.macro_f1,
            "Cohen's kappa": self.scores.kappa,
        }
        if self.help_confused is not None:
            rows["g1 and g2 taken for each other"] = self.help_confused
        if self.coarse is not None:
            rows["Accuracy, three goals"] = self.coarse.accuracy
            rows["Macro-F1, three goals"] = self.coarse.macro_f1
            rows["Cohen's kappa, three goals"] = self.coarse.kappa
        rows["Rank correlation with human entropy"] = self.rho
        rows["Expected calibration error"] = self.calibration_error
        return rows

    def to_dict(self) -> dict[str, Any]:
        """Plain values; the JSON form of an evaluation."""
        return {
            "classifier": self.classifier.to_dict(),
            "taxonomy": self.taxonomy.to_dict(),
            "rows": self.rows.to_dict(),
            "n": self.n,
            "groups": self.groups,
            "missing": self.missing,
            "notes": list(self.notes),
            **self.scores.to_dict(),
            "coarse": None if self.coarse is None else self.coarse.to_dict(),
            "help_confused": None if self.help_confused is None else self.help_confused.to_dict(),
            "flagged": self.is_flagged,
            "rho": self.rho.to_dict(),
            "calibration_error": self.calibration_error.to_dict(),
            "reliability": [{**bar._asdict(), "accuracy": bar.accuracy.to_dict()} for bar in self.reliability],
            "sources": _parts_to_dict(self.sources),
            "subtypes": _parts_to_dict(self.subtypes),
            "misses": [asdict(miss) for miss in self.misses],
        }

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> Evaluation:
        """The inverse of `to_dict`. Raises InvalidInput where a field is missing or of the wrong type."""
        try:
            return _from_dict(fields)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise InvalidInput(
                f"this is not an Evaluation: {error!r}; pass what `ethostat evaluate --json` printed"
            ) from error


def _from_dict(fields: Mapping[str, Any]) -> Evaluation:
    scores = Scores.from_dict(fields)
    if (counted := sum(map(sum, scores.confusion))) != fields["n"]:
        raise ValueError(f"the confusion counts {counted} rows, n is {fields['n']}")
    return Evaluation(
        classifier=Identity(**fields["classifier"]),
        taxonomy=Identity(**fields["taxonomy"]),
        rows=Identity(**fields["rows"]),
        n=fields["n"],
        groups=fields["groups"],
        missing=fields["missing"],
        notes=tuple(fields["notes"]),
        scores=scores,
        coarse=None if fields["coarse"] is None else Scores.from_dict(fields["coarse"]),
        help_confused=_maybe(fields["help_confused"]),
        rho=Estimate.from_dict(fields["rho"]),
        calibration_error=Estimate.from_dict(fields["calibration_error"]),
        reliability=tuple(_bin(bar) for bar in fields["reliability"]),
        sources=_parts(fields["sources"]),
        subtypes=_parts(fields["subtypes"]),
        misses=tuple(Miss(**miss) for miss in fields["misses"]),
    )


def _counts(rows: Sequence[Sequence[int]], *, goals: int) -> tuple[tuple[int, ...], ...]:
    """The confusion matrix. Raises ValueError unless it is square, and of whole numbers that are not negative."""
    whole = all(type(cell) is int and cell >= 0 for row in rows for cell in row)
    if not whole or [len(row) for row in rows] != [goals] * goals:
        raise ValueError(f"the confusion must hold {goals} rows of {goals} counts")
    return tuple(tuple(row) for row in rows)


def _bin(fields: Mapping[str, Any]) -> Bin:
    return Bin(fields["low"], fields["high"], fields["confidence"], Estimate.from_dict(fields["accuracy"]))


def _parts_to_dict(parts: Mapping[str, Part]) -> dict[str, Any]:
    return {
        name: {
            "accuracy": part.accuracy.to_dict(),
            "help_confused": None if part.help_confused is None else part.help_confused.to_dict(),
        }
        for name, part in parts.items()
    }


def _parts(fields: Mapping[str, Any]) -> dict[str, Part]:
    return {
        name: Part(Estimate.from_dict(part["accuracy"]), _maybe(part["help_confused"])) for name, part in fields.items()
    }


def _maybe(fields: dict[str, Any] | None) -> Estimate | None:
    return None if fields is None else Estimate.from_dict(fields)
