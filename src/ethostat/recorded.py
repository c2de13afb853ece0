"""Responses that were recorded elsewhere: measured, or classified row by row, without calling a model."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

from ethostat.classifiers import Classifier, attempt, cells_of, load_builtin
from ethostat.errors import InvalidRow, TooLittleEvidence, UnreadableAnswer
from ethostat.maths.conformal import Cells
from ethostat.maths.entropy import Estimator
from ethostat.maths.estimate import Estimate
from ethostat.measurement import Identity, Measurement
from ethostat.provenance import check_goals, classifier_identity, installed_versions, provenance_of
from ethostat.response import TRANSCRIPTS, Prompt, PromptSet, Verdict
from ethostat.rows import Rejected
from ethostat.store import Run, RunSetup, Store, content_hash, opened
from ethostat.summary import summarise
from ethostat.taxonomy import FIVE_GOALS, Taxonomy
from ethostat.transcripts import NO_PROMPT, TranscriptRow, read_transcripts

RECORDED = "recorded verdicts"
_AT_ONCE = 64


def measure_transcripts(
    source: Path | str,
    *,
    taxonomy: Taxonomy | None = None,
    requests: Path | None = None,
    classifier: Classifier | None = None,
    estimator: Estimator | None = None,
    store: Store | None = None,
) -> Measurement:
    """What recorded responses show, in nats, with intervals; rows with equal prompts are samples of one prompt.

    Rows that carry a goal or probabilities keep them; the others are classified (by the built-in classifier unless
    one is given). Rows that cannot be used are counted in the notes. `requests` is the input file of an OpenAI
    batch. Raises InvalidInput for an unusable file, TooLittleEvidence where no row is usable.
    """
    taxonomy = taxonomy or (classifier.taxonomy if classifier else FIVE_GOALS)
    rejected = Rejected()
    rows = list(rejected.set_aside(read_transcripts(source, taxonomy=taxonomy, requests=requests)))
    if not rows:
        raise TooLittleEvidence(f"{source} has no usable row; {rejected}")
    rows, verdicts, identity, cells = judged_rows(source, rows, rejected, classifier, taxonomy)
    prompts = _prompts(source, rows)
    notes = (str(rejected),) if rejected.count else ()
    with opened(store) as kept:
        run = kept.start_run(_setup(source, rows, prompts, taxonomy, identity))
        kept.add_responses(run.id, [row.response for row in rows])
        kept.add_verdicts(run.id, identity.hash, [row.response for row in rows], verdicts)
        measurement = summarise(
            verdicts,
            prompts=prompts,
            taxonomy=taxonomy,
            provenance=provenance_of(
                run, prompts, classifier=identity, taxonomy=taxonomy, missing=rejected.count, notes=notes
            ),
            estimator=estimator,
            within=_unknown_prompts(rows),
            cells=cells,
        )
        finished = kept.finish_run(run.id, measurement.to_dict())
    return replace(measurement, provenance=replace(measurement.provenance, finished=finished.finished))


def find_recorded(source: Path | str, *, store: Store) -> tuple[Run | None, Rejected]:
    """The run of the store that holds the very responses of a file, None where none does; and the rows left out.

    Of several it is the latest on which people have worked, else the latest. Raises InvalidInput for an unusable file,
    TooLittleEvidence where no row is usable.
    """
    rows, rejected = _without_verdicts(source)
    return _recorded(store, rows, _prompts(source, rows)), rejected


def record_transcripts(source: Path | str, *, store: Store) -> Run:
    """A new run with the responses of a file, without verdicts. Raises what `find_recorded` does."""
    rows, _ = _without_verdicts(source)
    run = store.start_run(_setup(source, rows, _prompts(source, rows)))
    store.add_responses(run.id, [row.response for row in rows])
    return store.finish_run(run.id)


def classify_rows(
    source: Path | str, *, classifier: Classifier, again: bool = False
) -> Iterator[dict[str, Any] | InvalidRow]:
    """The rows of a file with `goal` and `probabilities`, in order, in constant memory; unusable rows in their place.

    `typicality` stands beside them where the classifier says how typical a response is. Rows that carry a goal already
    keep it, unless `again` says to classify them too.
    """
    rows = read_transcripts(source, taxonomy=classifier.taxonomy)
    while batch := list(islice(rows, _AT_ONCE)):
        waiting = [row for row in batch if isinstance(row, TranscriptRow) and (again or row.verdict is None)]
        said = attempt(classifier, [row.response for row in waiting])
        seen = {id(row): verdict for row, verdict in zip(waiting, said, strict=True)}
        for row in batch:
            if isinstance(row, InvalidRow):
                yield row
            elif isinstance(verdict := seen.get(id(row), row.verdict), UnreadableAnswer):
                yield InvalidRow(str(source), row.line, str(verdict))
            elif verdict:
                yield with_verdict(row, verdict)


def with_verdict(row: TranscriptRow, verdict: Verdict) -> dict[str, Any]:
    """The row's fields with those of the verdict; a typicality that another classifier gave does not stay."""
    fields = {name: value for name, value in row.fields.items() if name != "typicality"}
    fields |= {"goal": verdict.goal, "probabilities": list(verdict.probabilities)}
    return fields if verdict.typicality is None else fields | {"typicality": verdict.typicality}


def judged_rows(
    source: Path | str,
    rows: Sequence[TranscriptRow],
    rejected: Rejected,
    classifier: Classifier | None,
    taxonomy: Taxonomy,
) -> tuple[list[TranscriptRow], list[Verdict], Identity, Cells | None]:
    """The rows that have a verdict, their verdicts, who gave them, and what their typicality is ranked among.

    Rows that the classifier declined are added to the rejected ones.
    """
    said, identity, cells = _verdicts(rows, classifier, taxonomy)
    judged = [(row, each) for row, each in zip(rows, said, strict=True) if isinstance(each, Verdict)]
    for row, each in zip(rows, said, strict=True):
        if isinstance(each, UnreadableAnswer):
            rejected.add(InvalidRow(str(source), row.line, str(each)))
    return [row for row, _ in judged], [verdict for _, verdict in judged], identity, cells


def _verdicts(
    rows: Sequence[TranscriptRow], classifier: Classifier | None, taxonomy: Taxonomy
) -> tuple[list[Verdict | UnreadableAnswer], Identity, Cells | None]:
    """A verdict for every row or why there is none, who gave them, and what their typicality is ranked among.

    Raises UnreadableAnswer where no row has a verdict.
    """
    waiting = [row.response for row in rows if row.verdict is None]
    if not waiting:
        return [row.verdict for row in rows if row.verdict], Identity(RECORDED, taxonomy.hash), None
    classifier = classifier or load_builtin()
    check_goals(classifier, taxonomy)
    said = attempt(classifier, waiting)
    if len(waiting) == len(rows) and all(isinstance(each, UnreadableAnswer) for each in said):
        raise next(each for each in said if isinstance(each, UnreadableAnswer))
    given = iter(said)
    verdicts = [row.verdict or next(given) for row in rows]
    identity = classifier_identity(classifier)
    if len(waiting) == len(rows):
        return verdicts, identity, cells_of(classifier)
    return verdicts, partly_recorded(identity), None


def partly_recorded(classifier: Identity) -> Identity:
    """Who gave verdicts of which some came with their rows and the others from this classifier."""
    return Identity(f"{RECORDED} and {classifier.name}", content_hash([classifier.hash, RECORDED]))


def _distinct(rows: Sequence[TranscriptRow]) -> list[Prompt]:
    found: dict[str, Prompt] = {}
    for row in rows:
        found.setdefault(row.response.prompt.id, row.response.prompt)
    return list(found.values())


def _unknown_prompts(rows: Sequence[TranscriptRow]) -> Estimate | None:
    """An undefined within-prompt S where no row says what was asked."""
    return unknown_prompts((row.response.prompt.id for row in rows), n=len(rows))


def unknown_prompts(ids: Iterable[str], *, n: int) -> Estimate | None:
    """An undefined within-prompt S where none of the prompts with these ids, of n responses, is known."""
    if any(id != NO_PROMPT.id for id in ids):
        return None
    reason = "the rows name no prompt, so only the pooled entropy is known"
    return Estimate.undefined(reason, level=0.95, unit="nats", n=n)


def _without_verdicts(source: Path | str) -> tuple[list[TranscriptRow], Rejected]:
    rejected = Rejected()
    rows = list(rejected.set_aside(read_transcripts(source, taxonomy=None)))
    if not rows:
        raise TooLittleEvidence(f"{source} has no usable row; {rejected}")
    return rows, rejected


def _prompts(source: Path | str, rows: Sequence[TranscriptRow]) -> PromptSet:
    return PromptSet(Path(source).name, tuple(_distinct(rows)))


def _recorded(store: Store, rows: Sequence[TranscriptRow], prompts: PromptSet) -> Run | None:
    """The run that holds these responses whole: people's acts decide, then age."""
    named = content_hash([row.response.id for row in rows])
    texts = {row.response.id: row.response.text for row in rows}
    found = [
        run
        for run in store.runs()
        if run.identity.get("rows") == named
        and run.prompts_hash == prompts.hash
        and texts == {response.id: response.text for response in store.responses(run.id)}
    ]
    return next((run for run in found if store.acts(run.id)), found[0] if found else None)


def _setup(
    source: Path | str,
    rows: Sequence[TranscriptRow],
    prompts: PromptSet,
    taxonomy: Taxonomy | None = None,
    classifier: Identity | None = None,
) -> RunSetup:
    models = sorted({row.response.model for row in rows if row.response.model})
    return RunSetup(
        model=f"{TRANSCRIPTS}{source}",
        identity={
            "transcripts": str(source),
            "models": models,
            "rows": content_hash([row.response.id for row in rows]),
        },
        prompts=prompts,
        taxonomy=None if taxonomy is None else taxonomy.to_dict(),
        classifier=None if classifier is None else classifier.to_dict(),
        versions=installed_versions(),
    )
