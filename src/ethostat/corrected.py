"""A measurement with the classifier's errors undone, from people's labels of its responses and from a calibration.

Labels say what P(true | said) is among these very responses; they are used for no other. A calibration says what
P(said | true) was elsewhere, and is tested against these responses before it is trusted.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ethostat.correction import Basis, Correction
from ethostat.errors import InvalidInput, TooLittleEvidence
from ethostat.evaluation import Evaluation
from ethostat.labelled import LabelledRow, agreed, read_labelled
from ethostat.maths.calibration import calibration_fit
from ethostat.maths.confusion import Corrected, joint_correction, post_stratified
from ethostat.maths.estimate import Estimate
from ethostat.maths.soft import soft_correction
from ethostat.measurement import Identity, Measurement
from ethostat.response import Response, Verdict
from ethostat.rows import Rejected
from ethostat.store import Store, content_hash
from ethostat.taxonomy import Taxonomy

STALE = 0.05
"""p-value of the calibration below which it is called stale; one good calibration in twenty is, too."""
LARGEST_CALIBRATION_ERROR = 0.05
"""Expected calibration error above which probabilities are not taken as such."""
_BY_CHANCE, _STRATIFIED, _UNKNOWN = ("all", "stratified"), "stratified", "unknown"

Whole = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Labels:
    """People's labels of responses; `rejected` counts rows of their file that could not be used."""

    name: str
    rows: tuple[LabelledRow, ...]
    rejected: int = 0

    @property
    def hash(self) -> str:
        """Content hash of what was labelled and how; the same that an evaluation on these rows carries."""
        return content_hash([[row.response.prompt.hash, row.response.text, row.label] for row in self.rows])


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """The responses of a measurement as a correction sees them.

    `said` (J, K) counts verdicts by prompt, `labels` (K, K) the labelled ones, truth down and verdict across;
    `probabilities` (N, K) and `prompts` (N,) are those of single responses.
    """

    said: Whole
    labels: Whole
    probabilities: Floats
    prompts: Whole
    calibration: Evaluation | None
    rng: np.random.Generator


def post_stratified_way(window: Window) -> Corrected:
    """From labels of these responses alone. Raises TooLittleEvidence where there are none."""
    if not window.labels.any():
        raise TooLittleEvidence("post-stratified needs people's labels of responses of this measurement; none matches")
    return post_stratified(window.said, window.labels, rng=window.rng)


def joint_way(window: Window) -> Corrected:
    """From a calibration's confusion matrix and what labels there are. Raises InvalidInput without a calibration."""
    known = _calibration(window, "joint").scores.confusion
    return joint_correction(window.said, window.labels, known, rng=window.rng)


def soft_way(window: Window) -> Corrected:
    """From probabilities. Raises InvalidInput where `soft_prior` does."""
    prior = soft_prior(_calibration(window, "soft"))
    return soft_correction(window.probabilities, prior, prompts=window.prompts, rng=window.rng)


def soft_prior(calibration: Evaluation) -> Whole:
    """How many calibration rows each goal has (K,): the shares under which the probabilities were found calibrated.

    Raises InvalidInput where they were found not to be calibrated, or a goal was never seen.
    """
    error, name = calibration.calibration_error, calibration.rows.name
    if not error.value <= LARGEST_CALIBRATION_ERROR:
        raise InvalidInput(
            f"soft needs calibrated probabilities: the expected calibration error on {name!r} is {error}, and must be "
            f"at most {LARGEST_CALIBRATION_ERROR}; use joint, or post-stratified with labels"
        )
    prior = np.array(calibration.scores.confusion, dtype=np.int64).sum(axis=1)
    if not prior.all():
        missing = ", ".join(np.array(calibration.scores.goals)[prior == 0])
        raise InvalidInput(
            f"soft needs calibration rows of every goal, and {name!r} has none of {missing}; add some, or use joint"
        )
    return np.asarray(prior)


Way = Callable[[Window], Corrected]
CORRECTIONS: dict[str, Way] = {"post-stratified": post_stratified_way, "joint": joint_way, "soft": soft_way}


def read_labels(path: Path | str, *, taxonomy: Taxonomy) -> Labels:
    """People's labels from a file of labelled rows, each with the `id` of its response; `-` is standard input.

    Rows that cannot be used are counted. Raises InvalidInput for an unusable file, TooLittleEvidence where no row is.
    """
    rejected = Rejected()
    rows = tuple(rejected.set_aside(read_labelled(path, taxonomy=taxonomy)))
    if not rows:
        raise TooLittleEvidence(f"{path} has no usable label; {rejected}")
    return Labels(Path(path).name, rows, rejected.count)


def stored_labels(store: Store, measurement: Measurement) -> Labels | None:
    """People's labels of a stored measurement's responses; None where nobody labelled any.

    How a row was chosen counts only where the choice was made with this classifier's verdicts.
    """
    source = measurement.provenance
    if source.run is None:
        return None
    given = store.labels(source.run, taxonomy_hash=source.taxonomy.hash, classifier_hash=source.classifier.hash)
    if not given:
        return None
    said = {response.id: response for response in store.responses(source.run)}
    rows = tuple(
        LabelledRow(
            response := said[label.response_id],
            label.goal,
            response.prompt.id,
            rater=label.rater,
            settles=label.settles,
            chosen=label.chosen or _UNKNOWN,
            predicted=label.predicted,
        )
        for label in given
    )
    return Labels(f"labels of run {source.run}", rows)


def read_calibration(path: Path | str) -> Evaluation:
    """The JSON that `ethostat evaluate --json` printed. Raises InvalidInput where it is not that."""
    try:
        fields: Any = json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise InvalidInput(f"{path} cannot be read: {error.strerror or error}; check the path") from error
    except ValueError as error:
        raise InvalidInput(f"{path} is not JSON: {error}; pass what `ethostat evaluate --json` printed") from error
    return Evaluation.from_dict(fields)


def check_calibration(calibration: Evaluation, *, classifier: Identity, taxonomy: Taxonomy) -> None:
    """Raises InvalidInput where the calibration is of another classifier or other goals than the measurement."""
    if calibration.taxonomy.hash != taxonomy.hash:
        raise InvalidInput(
            f"the calibration counts the goals of {calibration.taxonomy.name!r} ({calibration.taxonomy.hash}), the "
            f"measurement those of {taxonomy.name!r} ({taxonomy.hash}); evaluate with the same taxonomy"
        )
    if calibration.classifier.hash != classifier.hash:
        raise InvalidInput(
            f"the calibration is of classifier {calibration.classifier.name!r} ({calibration.classifier.hash}), the "
            f"verdicts are of {classifier.name!r} ({classifier.hash}); run `ethostat evaluate` with that classifier, "
            "or leave the calibration out"
        )


def correct(
    measurement: Measurement,
    rows: Iterable[tuple[Response, Verdict]],
    *,
    taxonomy: Taxonomy,
    labels: Labels | None = None,
    calibration: Evaluation | None = None,
    way: Way | None = None,
    seed: int = 0,
) -> Measurement:
    """The measurement with its `corrected` figures: shares, pooled S and aligned share with the errors undone.

    `rows` are the responses behind it with their verdicts (`evidence_of`). Labels that are not of these responses (by
    id, prompt and text) are counted in the notes and used for nothing. Unless `way` (of CORRECTIONS) is given: labels
    alone are post-stratified; with a calibration it is the joint one, unless the test says that the calibration no
    longer holds and there are labels to do without it. Where nothing can be corrected the figures are undefined and say
    why. Raises InvalidInput for a calibration of another classifier, for one that is the labels' own rows, and where
    the way needs what is not there.
    """
    pairs = list(rows)
    if calibration is not None:
        check_calibration(calibration, classifier=measurement.provenance.classifier, taxonomy=taxonomy)
        _check_apart(calibration, labels)
    matched, notes = _match(labels, pairs, taxonomy)
    window = _window(measurement, pairs, matched, calibration, np.random.default_rng(seed))
    p_value = None
    if calibration is not None:
        known = calibration.scores.confusion
        p_value = calibration_fit(window.said.sum(axis=0), window.labels, known, rng=window.rng).p_value
    chosen = way or _default_way(window, p_value)
    if chosen is None or (chosen is post_stratified_way and not matched):
        return replace(measurement, corrected=_nothing(measurement, labels, notes))
    found = chosen(window)
    names = {each: name for name, each in CORRECTIONS.items()}
    notes += _unlabelled(window, taxonomy) if chosen is not soft_way else []
    notes += _calibration_notes(window, p_value, chosen)
    return replace(
        measurement,
        corrected=Correction(
            method=names.get(chosen, "custom"),
            labels=None if labels is None else Basis(labels.name, labels.hash, len(matched)),
            calibration=_basis_of(calibration),
            calibration_p_value=p_value,
            entropy=_within(found.n),
            pooled_entropy=found.entropy(),
            aligned=found.aligned(taxonomy.aligned),
            shares=tuple(found.shares()),
            notes=tuple(notes),
        ),
    )


def _basis_of(calibration: Evaluation | None) -> Basis | None:
    return None if calibration is None else Basis(calibration.rows.name, calibration.rows.hash, calibration.n)


def _default_way(window: Window, p_value: float | None) -> Way | None:
    if not window.labels.any():
        return None if window.calibration is None else joint_way
    return post_stratified_way if p_value is None or p_value <= STALE else joint_way


def _calibration(window: Window, way: str) -> Evaluation:
    if window.calibration is None:
        raise InvalidInput(f"{way} needs a calibration: what `ethostat evaluate --json` printed for this classifier")
    return window.calibration


def _check_apart(calibration: Evaluation, labels: Labels | None) -> None:
    if labels is not None and labels.hash == calibration.rows.hash:
        raise InvalidInput(
            f"labels and calibration are the same rows ({labels.name}), which would count them twice; calibrate on "
            "others, or leave the calibration out"
        )


def _match(
    labels: Labels | None, pairs: Sequence[tuple[Response, Verdict]], taxonomy: Taxonomy
) -> tuple[dict[str, int], list[str]]:
    """The labelled goal's place by response id, of responses in the window, and in words what was left out."""
    if labels is None:
        return {}, []
    window = {response.id: (response, verdict) for response, verdict in pairs}
    given: dict[str, list[LabelledRow]] = {}
    strangers = favoured = 0
    for row in labels.rows:
        found = window.get(row.response.id)
        if found is None or (found[0].prompt.hash, found[0].text) != (row.response.prompt.hash, row.response.text):
            strangers += 1
        elif not _is_by_chance(row, found[1]):
            favoured += 1
        else:
            given.setdefault(row.response.id, []).append(row)
    matched = {id: taxonomy.index(goal) for id, rows in given.items() if (goal := agreed(rows))}
    left_out = {
        f"of {len(labels.rows):,} labels ({labels.name}) are not of responses of this measurement (id, prompt and text "
        "must agree) and were not used: what a verdict means elsewhere is not what it means here": strangers,
        f"labels ({labels.name}) are of responses that were not chosen at random within this classifier's verdicts, "
        "and were not used": favoured,
        "labelled responses were not used, since their raters are evenly split": len(given) - len(matched),
        f"rows of {labels.name} could not be read as labels": labels.rejected,
    }
    return matched, [f"{count:,} {what}" for what, count in left_out.items() if count]


def _is_by_chance(row: LabelledRow, verdict: Verdict) -> bool:
    """Whether the row was chosen at random within its verdict; a row that does not say how is taken to be."""
    if row.chosen == _STRATIFIED and row.predicted not in (None, verdict.goal):
        return False
    return row.chosen in (None, *_BY_CHANCE)


def _window(
    measurement: Measurement,
    pairs: Sequence[tuple[Response, Verdict]],
    matched: dict[str, int],
    calibration: Evaluation | None,
    rng: np.random.Generator,
) -> Window:
    """Raises InvalidInput where the rows are not those that were measured."""
    place = {result.id: at for at, result in enumerate(measurement.per_prompt)}
    column = {goal: at for at, goal in enumerate(measurement.goals)}
    said = np.zeros((len(place), len(column)), dtype=np.int64)
    cells = np.zeros((len(column), len(column)), dtype=np.int64)
    for response, verdict in pairs:
        at = column[verdict.goal]
        said[place[verdict.prompt_id], at] += 1
        if (truth := matched.get(response.id)) is not None:
            cells[truth, at] += 1
    if tuple(said.sum(axis=0)) != measurement.profile.counts:
        raise InvalidInput(
            f"{len(pairs)} rows were given, but the measurement is of {measurement.profile.n} responses; pass the "
            "responses behind it (`evidence_of`)"
        )
    return Window(
        said=said,
        labels=cells,
        probabilities=np.array([verdict.probabilities for _, verdict in pairs]),
        prompts=np.array([place[verdict.prompt_id] for _, verdict in pairs], dtype=np.int64),
        calibration=calibration,
        rng=rng,
    )


def _within(n: int) -> Estimate:
    reason = (
        "the errors of single prompts are not known; a classifier that misjudges a prompt misjudges all its responses "
        "alike, and the labels speak of all prompts together"
    )
    return Estimate.undefined(reason, level=0.95, unit="nats", n=n)


def _nothing(measurement: Measurement, labels: Labels | None, notes: Sequence[str]) -> Correction:
    """Undefined figures, with the reason."""
    why = "there are no labels of these responses"
    if labels is not None:
        why = "no usable label is of a response of this measurement"
    n = measurement.profile.n
    share = Estimate.undefined(why, level=0.95, unit="share", n=n)
    nats = Estimate.undefined(why, level=0.95, unit="nats", n=n)
    return Correction(
        method="none",
        labels=None if labels is None else Basis(labels.name, labels.hash, 0),
        calibration=None,
        calibration_p_value=None,
        entropy=nats,
        pooled_entropy=nats,
        aligned=share,
        shares=(share,) * len(measurement.goals),
        notes=tuple(notes),
    )


def _unlabelled(window: Window, taxonomy: Taxonomy) -> list[str]:
    """Predicted goals that nobody labelled a response of."""
    if not window.labels.any():
        return []
    said, seen = window.said.sum(axis=0), window.labels.sum(axis=0)
    keys = [key for key, n, labelled in zip(taxonomy.keys, said, seen, strict=True) if n and not labelled]
    if not keys:
        return []
    return [
        f"no response that the classifier calls {', '.join(keys)} is labelled: its word stands there, weakly; label 20 "
        "of each predicted goal (70 of the most frequent), at random within it"
    ]


def _calibration_notes(window: Window, p_value: float | None, way: Way) -> list[str]:
    """What the calibration's test says, and what to do then."""
    if p_value is None or window.calibration is None:
        return []
    name, labelled = window.calibration.rows.name, bool(window.labels.any())
    if p_value > STALE:
        if labelled or way is post_stratified_way:
            return []
        return [
            f"this rests on the assumption that the classifier errs here as on {name}; no label of these responses "
            "tests it (`ethostat label` gathers some)"
        ]
    if not labelled:
        return [
            f"the calibration looks stale: no mix of goals gives these verdicts if the classifier errs as on {name}, "
            f"p = {p_value:.3f}; do not rely on the corrected figures: label 150 of these responses (`ethostat label`)"
        ]
    stale = (
        f"the calibration is stale: given the true goal, the classifier errs here unlike on {name} (p = {p_value:.3f})"
    )
    if way is post_stratified_way:
        return [f"{stale}; it was not used, the labels of these responses were; evaluate again on rows like these"]
    return [f"{stale}; do not rely on the corrected figures: take post-stratified, which needs no calibration"]
