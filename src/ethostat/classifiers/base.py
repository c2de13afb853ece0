"""The door to classifiers: what a Classifier must be able to do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from ethostat.errors import UnreadableAnswer
from ethostat.maths.conformal import Cells
from ethostat.response import Response, Verdict
from ethostat.taxonomy import Taxonomy


@runtime_checkable
class Classifier(Protocol):
    """Sorts responses into the goals of its taxonomy.

    `hash` changes whenever a verdict could: weights, prompt, calibration, cutting of long texts.
    """

    @property
    def name(self) -> str: ...

    @property
    def hash(self) -> str: ...

    @property
    def taxonomy(self) -> Taxonomy: ...

    def classify(self, responses: Sequence[Response]) -> list[Verdict]:
        """One verdict a response, in order. The verdict of a response does not depend on its neighbours."""
        ...


@runtime_checkable
class TypicalityClassifier(Classifier, Protocol):
    """A classifier whose verdicts may say how typical a response is; `cells` says what that is ranked among."""

    @property
    def cells(self) -> Cells | None: ...


def cells_of(classifier: Classifier) -> Cells | None:
    """What the typicality of the classifier's verdicts is ranked among; None where they have none."""
    return classifier.cells if isinstance(classifier, TypicalityClassifier) else None


@runtime_checkable
class AttemptingClassifier(Classifier, Protocol):
    """A classifier that may find no verdict for a response, as a judge that declines to judge."""

    def attempt(self, responses: Sequence[Response]) -> list[Verdict | UnreadableAnswer]:
        """As `classify`, with the error in the place of a verdict that cannot be had."""
        ...


def all_verdicts(found: Sequence[Verdict | UnreadableAnswer]) -> list[Verdict]:
    """The verdicts of an attempt that found one for each response; raises the first UnreadableAnswer among them."""
    verdicts: list[Verdict] = []
    for one in found:
        if isinstance(one, UnreadableAnswer):
            raise one
        verdicts.append(one)
    return verdicts


def attempt(classifier: Classifier, responses: Sequence[Response]) -> list[Verdict | UnreadableAnswer]:
    """One verdict a response, in order, or why there is none."""
    if isinstance(classifier, AttemptingClassifier):
        return classifier.attempt(responses)
    return list(classifier.classify(responses))
