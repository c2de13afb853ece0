"""Rows that people labelled: read, and a classifier evaluated against them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ethostat import fields
from ethostat.classifiers import Classifier, attempt
from ethostat.errors import InvalidInput, InvalidRow, TooLittleEvidence, UnreadableAnswer
from ethostat.evaluation import Evaluation, Miss, Part, Scores
from ethostat.maths import agreement
from ethostat.maths.entropy import entropy_of
from ethostat.maths.estimate import Estimate
from ethostat.measurement import Identity
from ethostat.provenance import classifier_identity
from ethostat.response import Response, Verdict
from ethostat.rows import Rejected, Row, read_rows
from ethostat.store import content_hash
from ethostat.taxonomy import FIVE_GOALS, Taxonomy
from ethostat.transcripts.transcript import find_goal

COARSE = {"g1": "helpful", "g2": "helpful", "g3": "refusal", "g4": "refusal", "g5": "off-topic"}
"""The five goals as three: what was done, whether or not it was right (arXiv 2512.03047)."""
LEAST_ROWS = 5
"""Rows a group needs before its entropy enters rho: of two rows S is 0 or ln 2 and nothing between."""
_MOST_MISSES = 50
_AT_ONCE = 256

Whole = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class LabelledRow:
    """A response and the goal that a person gave it; rows of one `group` are not independent.

    `rater` is who gave it, `settles` says that it decides between raters, and `chosen` how the row was chosen ("all",
    "stratified", "informative"), the last two when a classifier had said `predicted`; `log` is the hash of the
    responses among which it was chosen; where the row says so. Rows of one `situation` make one entropy in the rank
    correlation.
    """

    response: Response
    label: str
    group: str
    source: str | None = None
    subtype: str | None = None
    rater: str | None = None
    settles: bool = False
    chosen: str | None = None
    predicted: str | None = None
    time: str | None = None
    note: str | None = None
    log: str | None = None
    situation: tuple[str, ...] | None = None


def read_labelled(
    path: Path | str, *, taxonomy: Taxonomy, entropy_by: Sequence[str] = ()
) -> Iterator[LabelledRow | InvalidRow]:
    """The labelled rows of a JSONL, CSV or Parquet file, in order; one that cannot be used as an InvalidRow.

    A row has `prompt` or `messages`, `response`, and `label` (else `goal`): a goal's key or name. Optional are `id`,
    `source`, `subtype` and `split_group`; without that, rows with the same prompt are a group. The values of the
    fields `entropy_by` are its `situation`; None where it lacks one of them.
    """
    for row in read_rows(path):
        if isinstance(row, InvalidRow):
            yield row
            continue
        try:
            yield replace(_labelled(row, taxonomy), situation=_situation(row, entropy_by))
        except InvalidInput as error:
            yield InvalidRow(str(path), row.line, str(error))


def evaluate(
    classifier: Classifier,
    source: Path | str,
    *,
    seed: int = 0,
    entropy_by: Sequence[str] = (),
    on_stage: Callable[[str], None] = lambda _stage: None,
) -> Evaluation:
    """How often the classifier says what people said of the rows of a file, with 95 % intervals over groups.

    The rank correlation is over rows that agree in the fields `entropy_by` (source and category, say), without any
    over rows of one group. Of several raters of one response the majority counts, or the label that settles it.
    `seed` is the bootstrap's: the same rows and seed give the same intervals. Rows that cannot be used, or that a
    judge gives no readable answer about, are counted in the notes. Raises InvalidInput for an unusable file,
    TooLittleEvidence where no row is usable, UnreadableAnswer where none of the first 256 rows gets an answer.
    """
    rejected = Rejected()
    given = list(rejected.set_aside(read_labelled(source, taxonomy=classifier.taxonomy, entropy_by=entropy_by)))
    rows, split = one_label_each(given)
    if not rows:
        raise TooLittleEvidence(f"{source} has no usable row; {rejected}")
    if entropy_by and not any(row.situation for row in rows):
        raise InvalidInput(f"no row of {source} has the fields {', '.join(entropy_by)}; name fields that rows have")
    found = evaluate_rows(classifier, rows, name=Path(source).name, seed=seed, on_stage=on_stage)
    notes = [str(rejected)] if rejected.count else []
    if split:
        notes.append(
            f"{split} responses were not used, since their raters are evenly split: `label --adjudicate` settles it"
        )
    return replace(
        found,
        rows=Identity(found.rows.name, _content(given)),
        missing=rejected.count + found.missing,
        notes=(*notes, *found.notes),
    )


def evaluate_rows(
    classifier: Classifier,
    rows: Sequence[LabelledRow],
    *,
    name: str,
    seed: int = 0,
    on_stage: Callable[[str], None] = lambda _stage: None,
) -> Evaluation:
    """`evaluate` for rows that were read already: at least one, each with one label, under a name for reports."""
    judged = _with_verdicts(classifier, rows, on_stage)
    on_stage("estimating")
    known, verdicts = [row for row, _ in judged], [verdict for _, verdict in judged]
    found = _evaluation(known, verdicts, classifier, identity=Identity(name, _content(rows)), seed=seed)
    unread = len(rows) - len(judged)
    if not unread:
        return found
    note = f"{unread:,} rows are in no figure, since {classifier.name} gave no readable answer about them"
    return replace(found, missing=unread, notes=(note,))


def _with_verdicts(
    classifier: Classifier, rows: Sequence[LabelledRow], on_stage: Callable[[str], None]
) -> list[tuple[LabelledRow, Verdict]]:
    """The rows that the classifier has a verdict for. Raises UnreadableAnswer where none of the first 256 rows has."""
    found: list[tuple[LabelledRow, Verdict]] = []
    for start in range(0, len(rows), _AT_ONCE):
        on_stage(f"classifying: {start} of {len(rows)} rows")
        batch = rows[start : start + _AT_ONCE]
        said = attempt(classifier, [row.response for row in batch])
        if errors := [each for each in said if isinstance(each, UnreadableAnswer)]:
            on_stage(f"{len(errors)} of {len(batch)} rows got no verdict: {errors[0]}")
            if not found and len(errors) == len(batch):
                raise errors[0]
        found += [(row, each) for row, each in zip(batch, said, strict=True) if isinstance(each, Verdict)]
    return found


def agreed(rows: Sequence[LabelledRow]) -> str | None:
    """The goal that settles it, else the one that most raters gave; None where two share the first place."""
    settled = [row.label for row in rows if row.settles]
    first, *rest = Counter(settled[-1:] or [row.label for row in rows]).most_common(2)
    return None if rest and rest[0][1] == first[1] else first[0]


def one_label_each(rows: Sequence[LabelledRow]) -> tuple[list[LabelledRow], int]:
    """Rows that name their rater, as one row a response; and how many responses have raters that are evenly split."""
    found: dict[object, list[LabelledRow]] = {}
    for place, row in enumerate(rows):
        response = row.response
        key = place if row.rater is None else (response.id, response.prompt.hash, response.text)
        found.setdefault(key, []).append(row)
    kept = [replace(given[0], label=goal) for given in found.values() if (goal := agreed(given))]
    return kept, len(found) - len(kept)


def _content(rows: Sequence[LabelledRow]) -> str:
    return content_hash([[row.response.prompt.hash, row.response.text, row.label] for row in rows])


def _labelled(row: Row, taxonomy: Taxonomy) -> LabelledRow:
    prompt, answer = fields.prompt(row), fields.text(row, "response")
    written = fields.word(row, "label") or fields.word(row, "goal")
    if prompt is None or answer is None:
        raise InvalidInput("a labelled row needs `prompt` (or `messages`) and `response` as text")
    if written is None:
        raise InvalidInput("`label` is missing; a labelled row names the goal that a person gave it")
    id = fields.identifier(row, "id") or f"row {row.line}"
    return LabelledRow(
        Response(prompt, answer, id=id),
        find_goal(written, taxonomy),
        fields.identifier(row, "split_group") or prompt.hash,
        fields.word(row, "source"),
        fields.word(row, "subtype"),
        rater=fields.word(row, "rater"),
        settles=row.fields.get("settles") in (True, "true", "True"),
        chosen=fields.word(row, "chosen"),
        predicted=fields.word(row, "predicted"),
        time=_said(row, "time"),
        note=_said(row, "note"),
        log=_said(row, "log"),
    )


def _situation(row: Row, names: Sequence[str]) -> tuple[str, ...] | None:
    values = [row.fields.get(name) for name in names]
    return None if not names or None in values else tuple(map(str, values))


def _said(row: Row, name: str) -> str | None:
    """A text that no figure rests on: of another type it is left out, and the row counts."""
    value = row.fields.get(name)
    return value if isinstance(value, str) and value else None


@dataclass(frozen=True, slots=True)
class _Judged:
    """Labels and verdicts as arrays over rows: places of goals, groups, and the verdict's own probability.

    `situation` is the group whose entropy a row is part of, -1 where it is of none.
    """

    truth: Whole
    said: Whole
    group: Whole
    situation: Whole
    sure: Floats
    taxonomy: Taxonomy
    rng: np.random.Generator

    @property
    def is_five(self) -> bool:
        return self.taxonomy.keys == FIVE_GOALS.keys

    def tables(self, chosen: NDArray[np.bool_] | None = None) -> Floats:
        """A confusion matrix a group, of the rows of a mask (N,)."""
        pick = slice(None) if chosen is None else chosen
        goals = len(self.taxonomy.goals)
        return agreement.confusion_tables(self.truth[pick], self.said[pick], goals=goals, groups=self.group[pick])


def _evaluation(
    rows: Sequence[LabelledRow],
    verdicts: Sequence[Verdict],
    classifier: Classifier,
    *,
    identity: Identity,
    seed: int,
) -> Evaluation:
    judged = _judged(rows, verdicts, classifier.taxonomy, rng=np.random.default_rng(seed))
    tables, right, goals = judged.tables(), judged.truth == judged.said, classifier.taxonomy
    return Evaluation(
        classifier=classifier_identity(classifier),
        taxonomy=Identity(goals.name, goals.hash, goals.version),
        rows=identity,
        n=len(rows),
        groups=len(tables),
        scores=_scores(tables, goals.keys, judged.rng),
        coarse=_coarse(tables, judged.rng) if judged.is_five else None,
        help_confused=_help_confused(judged, tables),
        rho=_rho(judged),
        calibration_error=agreement.calibration_error(judged.sure, right, groups=judged.group, rng=judged.rng),
        reliability=tuple(agreement.reliability(judged.sure, right, groups=judged.group)),
        sources=_parts(judged, [row.source for row in rows]),
        subtypes=_parts(judged, [row.subtype for row in rows]),
        misses=_misses(rows, verdicts, judged.sure),
    )


def _judged(
    rows: Sequence[LabelledRow], verdicts: Sequence[Verdict], taxonomy: Taxonomy, *, rng: np.random.Generator
) -> _Judged:
    truth = np.array([taxonomy.index(row.label) for row in rows], dtype=np.int64)
    said = np.array([taxonomy.index(verdict.goal) for verdict in verdicts], dtype=np.int64)
    sure = np.array([verdict.probabilities[place] for verdict, place in zip(verdicts, said, strict=True)])
    group = agreement.group_places(len(rows), [row.group for row in rows])
    return _Judged(truth, said, group, _situations(rows, group), sure, taxonomy, rng)


def _situations(rows: Sequence[LabelledRow], group: Whole) -> Whole:
    """The place (N,) of each row's situation, -1 where it has none; where no row has one, its group."""
    if not any(row.situation for row in rows):
        return group
    places = {found: place for place, found in enumerate(dict.fromkeys(row.situation for row in rows if row.situation))}
    return np.array([places[row.situation] if row.situation else -1 for row in rows], dtype=np.int64)


def _scores(tables: Floats, goals: tuple[str, ...], rng: np.random.Generator) -> Scores:
    return Scores(
        goals=goals,
        confusion=tuple(tuple(int(cell) for cell in row) for row in tables.sum(axis=0)),
        accuracy=agreement.accuracy(tables),
        macro_f1=agreement.macro_f1(tables, rng=rng),
        kappa=agreement.cohen_kappa(tables, rng=rng),
        precision=tuple(agreement.precision(tables)),
        recall=tuple(agreement.recall(tables)),
    )


def _coarse(tables: Floats, rng: np.random.Generator) -> Scores:
    names = tuple(dict.fromkeys(COARSE.values()))
    places = [names.index(COARSE[key]) for key in FIVE_GOALS.keys]
    return _scores(agreement.collapse(tables, places), names, rng)


def _help_confused(judged: _Judged, tables: Floats) -> Estimate | None:
    if not judged.is_five:
        return None
    return agreement.mistaken(tables, FIVE_GOALS.index("g1"), FIVE_GOALS.index("g2"))


def _rho(judged: _Judged) -> Estimate:
    """Spearman's rho between the entropy of verdicts and of labels over situations of five rows or more."""
    some = judged.situation >= 0
    tables = agreement.confusion_tables(
        judged.truth[some],
        judged.said[some],
        goals=len(judged.taxonomy.goals),
        groups=judged.situation[some],
    )
    large = tables[tables.sum(axis=(1, 2)) >= LEAST_ROWS]
    size = large.sum(axis=(1, 2))[:, None]
    people, machine = entropy_of(large.sum(axis=2) / size), entropy_of(large.sum(axis=1) / size)
    return agreement.rank_correlation(machine, people, rng=judged.rng)


def _parts(judged: _Judged, names: Sequence[str | None]) -> dict[str, Part]:
    """Figures of each source or subtype that rows name."""
    found = {}
    for name in sorted({name for name in names if name is not None}):
        tables = judged.tables(np.array([each == name for each in names]))
        found[name] = Part(agreement.accuracy(tables), _help_confused(judged, tables))
    return found


def _misses(rows: Sequence[LabelledRow], verdicts: Sequence[Verdict], sure: Floats) -> tuple[Miss, ...]:
    wrong = [place for place, row in enumerate(rows) if verdicts[place].goal != row.label]
    wrong.sort(key=lambda place: -sure[place])
    return tuple(
        Miss(rows[place].response.id, rows[place].label, verdicts[place].goal, round(float(sure[place]), 4))
        for place in wrong[:_MOST_MISSES]
    )
