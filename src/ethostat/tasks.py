"""Tasks: what a rater sits down to. A file of responses or a stored run becomes a Labelling, where it was left."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ethostat.choosing import Selection, choose
from ethostat.classifiers import Classifier, load_builtin
from ethostat.errors import InvalidInput, TooLittleEvidence
from ethostat.labelfile import take_labels
from ethostat.labelling import Heard, Labelling, check_rater
from ethostat.measurement import Identity
from ethostat.provenance import check_goals, classifier_identity
from ethostat.recorded import find_recorded, measure_transcripts, record_transcripts
from ethostat.store import Run, Store
from ethostat.store.records import FINISHED
from ethostat.taxonomy import FIVE_GOALS, Taxonomy
from ethostat.workflow import classify_run


@dataclass(frozen=True, slots=True)
class Task:
    """What is to be labelled: responses of `source`, on these goals, chosen like this.

    `source` is a file of responses, or a run's id, the beginning of one, or "latest". Without a taxonomy it is the
    classifier's, else the run's, else the five goals. `on_stage` hears what takes long.
    """

    source: str
    taxonomy: Taxonomy | None = None
    classifier: Classifier | None = None
    selection: Selection = field(default_factory=Selection)
    on_stage: Callable[[str], None] = lambda _stage: None

    @property
    def is_file(self) -> bool:
        """Whether the source is a file (it has a suffix or lies in a folder) and not a run."""
        path = Path(self.source)
        return bool(path.suffix) or len(path.parts) > 1 or path.is_file()

    @property
    def default_out(self) -> Path | None:
        """Where labels of a file are kept beside the store: log.labels.jsonl beside log.jsonl; None for a run."""
        path = Path(self.source)
        name = path.name.removesuffix(".gz").rpartition(".")[0] or path.name
        return path.with_name(f"{name}.labels.jsonl") if self.is_file else None


def begin_labelling(store: Store, task: Task, *, rater: str) -> Labelling:
    """A rater's labelling of the task's rows, where it was left; equal tasks give every rater the same rows.

    A file is recorded in the store, unless a run there holds its responses; where verdicts decide which rows are chosen
    and there are none, it is measured. Raises InvalidInput for what cannot be labelled.
    """
    check_rater(rater)
    # Of two raters who begin at once one records the file and chooses its rows, and the other finds them.
    with store.one_at_a_time():
        known = _known_run(store, task)
        taxonomy = goals_of(task, known)
        selection = task.selection.settled(has_verdicts=_has_verdicts(task, known, taxonomy))
        run = known or _record(store, task, taxonomy, selection)
        deciding = _deciding(store, run, task, taxonomy) if selection.needs_verdicts else None
        choice = choose(store, run.id, selection=selection, taxonomy=taxonomy, classifier=deciding)
    rows = [(row.prompt_id, row.index) for row in choice.rows]
    return Labelling(store, run.id, rows, rater=rater, taxonomy=taxonomy, overlap=choice.overlap)


def adjudicate(store: Store, task: Task, *, rater: str, labels: Sequence[Path] = ()) -> Labelling:
    """The rows on which raters differ, those already settled among them; labels of files are taken in first.

    Raises TooLittleEvidence where nobody differs.
    """
    check_rater(rater)
    with store.one_at_a_time():
        run = _known_run(store, task) or (record_transcripts(task.source, store=store) if labels else None)
    if run is None:
        raise TooLittleEvidence(
            f"nobody has labelled {task.source} in {store.name}; name its store with --db, or label files with --labels"
        )
    taxonomy = goals_of(task, run)
    for path in labels:
        take_labels(store, run.id, path, taxonomy=taxonomy)
    heard = Heard(taxonomy)
    heard.hear(store.acts(run.id))
    rows = heard.disputed()
    if not rows:
        raise TooLittleEvidence(f"raters differ on no response of run {run.id}; there is nothing to settle")
    return Labelling(store, run.id, rows, rater=rater, taxonomy=taxonomy, settles=True)


def goals_of(task: Task, run: Run | None) -> Taxonomy:
    """The goals that people label with."""
    if task.taxonomy is not None:
        return task.taxonomy
    if task.classifier is not None:
        return task.classifier.taxonomy
    return FIVE_GOALS if run is None or run.taxonomy is None else Taxonomy.from_dict(run.taxonomy)


def _known_run(store: Store, task: Task) -> Run | None:
    """The run that the source names, or that holds the file's responses."""
    if task.is_file:
        found, rejected = find_recorded(task.source, store=store)
        if rejected.count:
            task.on_stage(f"note: {rejected}")
        return found
    run = store.get_run(task.source)
    responses = store.tally(run.id).responses
    if not responses:
        raise TooLittleEvidence(f"run {run.id} has no response yet; label it when it has")
    if run.status != FINISHED:
        task.on_stage(f"note: run {run.id} is unfinished; rows are chosen once, among its {responses} responses so far")
    return run


def _has_verdicts(task: Task, run: Run | None, taxonomy: Taxonomy) -> bool:
    """Whether verdicts on the goals can be had."""
    if task.classifier is not None or taxonomy.hash == FIVE_GOALS.hash:
        return True
    return run is not None and _own_verdicts(run, taxonomy) is not None


def _record(store: Store, task: Task, taxonomy: Taxonomy, selection: Selection) -> Run:
    if not selection.needs_verdicts:
        return record_transcripts(task.source, store=store)
    task.on_stage(f"classifying {task.source}, once, so that rows can be chosen; no verdict is shown")
    measured = measure_transcripts(task.source, taxonomy=taxonomy, classifier=task.classifier, store=store)
    return store.get_run(measured.provenance.run or "latest")


def _deciding(store: Store, run: Run, task: Task, taxonomy: Taxonomy) -> Identity:
    """Whose verdicts decide: the run's own unless a classifier was named, which then gives those that are missing."""
    own = _own_verdicts(run, taxonomy)
    if own is not None and task.classifier is None:
        return own
    classifier = task.classifier or load_builtin()
    try:
        check_goals(classifier, taxonomy)
    except InvalidInput as error:
        raise InvalidInput(f"{error}; or --choose random or all, which need none") from error
    task.on_stage(f"classifying run {run.id}, once, so that rows can be chosen; no verdict is shown")
    classify_run(store, run, classifier)
    return classifier_identity(classifier)


def _own_verdicts(run: Run, taxonomy: Taxonomy) -> Identity | None:
    """Whose verdicts a measured run holds, where they are on these goals."""
    if run.measurement is None or run.classifier is None or run.taxonomy is None:
        return None
    if Taxonomy.from_dict(run.taxonomy).hash != taxonomy.hash:
        return None
    return Identity(run.classifier["name"], run.classifier["hash"])
