"""label, agreement: people's labels."""

from __future__ import annotations

import getpass
from pathlib import Path
from typing import Annotated

import typer

import ethostat as es
from ethostat.cli.frame import opened_store, print_json, warn
from ethostat.cli.options import COUNTING, KEEPING, AsJson, Db, TaxonomySpec, option
from ethostat.desk import Screen, sit
from ethostat.errors import InvalidInput
from ethostat.terminal import agreement_view, to_terminal

CHOOSING = "Which rows are labelled"
_SOURCE = (
    "Responses to label: a file (JSONL, CSV, Parquet, an Inspect log), or a stored run: its id, the beginning of one, "
    "or `latest`."
)


def label(
    source: Annotated[str, typer.Argument(metavar="FILE|RUN", help=_SOURCE)],
    rater: Annotated[
        str | None, option("--rater", "Who labels.", env="RATER", show_default="the user's name on this machine")
    ] = None,
    choose: Annotated[
        str | None,
        option(
            "--choose",
            "stratified (70 of the most frequent predicted goal, 20 of each other, at random within it and in random "
            "order), informative (the least certain verdicts; corrections leave them out), random, or all.",
            panel=CHOOSING,
            show_default="stratified where a classifier knows the goals, else all",
        ),
    ] = None,
    wanted: Annotated[
        int | None,
        option("--wanted", "How many rows.", panel=CHOOSING, show_default="150; all: every row"),
    ] = None,
    overlap: Annotated[
        int | None,
        option(
            "--overlap",
            "So many rows for every rater, each row behind them for one.",
            panel=CHOOSING,
            show_default="every row is for every rater",
        ),
    ] = None,
    seed: Annotated[int, option("--seed", "Seed of the choice and its order.", panel=CHOOSING)] = 0,
    taxonomy: TaxonomySpec = None,
    classifier: Annotated[
        str | None,
        option(
            "--classifier",
            "Whose verdicts decide which rows are chosen.",
            env="CLASSIFIER",
            panel=COUNTING,
            show_default="the verdicts that are there, else builtin",
        ),
    ] = None,
    adjudicate: Annotated[
        bool, option("--adjudicate", "Settle the rows on which raters differ; shows their labels, not their names.")
    ] = False,
    labels: Annotated[
        list[Path] | None,
        option("--labels", "With --adjudicate: label files from elsewhere, taken into the store first. Repeatable."),
    ] = None,
    out: Annotated[
        Path | None,
        option(
            "--out",
            "Also keep the labels in this file (.jsonl), up to date after every key.",
            panel=KEEPING,
            show_default="for a file, FILE.labels.jsonl beside it",
        ),
    ] = None,
    db: Db = None,
) -> None:
    """Label responses by hand, in this terminal: one key a goal, blind to the classifier and to other raters.

    A label is in the store, and in the file, before the next row is shown: the same command goes on where it was left,
    also after kill -9. Several raters label the same rows, each under a name (--rater), at the same time if they like.
    `ethostat report`, `measure --labels` and `evaluate` use the labels, `ethostat agreement` compares raters.
    """
    screen = Screen()
    if labels and not adjudicate:
        raise InvalidInput("--labels takes label files in for --adjudicate; without it, `label` needs none")
    goals = None if taxonomy is None else es.load_taxonomy(taxonomy)
    task = es.Task(
        source,
        taxonomy=goals,
        classifier=None if classifier is None else es.open_classifier(classifier, taxonomy=goals or es.FIVE_GOALS),
        selection=es.Selection(choose, wanted=wanted, seed=seed, overlap=overlap),
        on_stage=warn,
    )
    who = rater or _user()
    with opened_store(db, create=True) as store:
        work = (
            es.adjudicate(store, task, rater=who, labels=labels or ())
            if adjudicate
            else es.begin_labelling(store, task, rater=who)
        )
        file = _open_file(out or task.default_out, store, work)
        with screen:
            sit(work, screen, title=Path(source).name, after_act=file.write if file else lambda: None)
        done, where = work.progress, f"run {work.run_id} in {store.name}"
        to_terminal(
            f"{done.done} of {done.total} {'settled' if adjudicate else f'labelled by {work.rater}'}, {where}"
            + (f", labels in {file.path}" if file else "")
        )


def agreement(
    labels: Annotated[
        list[str],
        typer.Argument(metavar="LABELS...", help="Files of labelled rows with `id` and `rater`; or one stored run."),
    ],
    taxonomy: TaxonomySpec = None,
    seed: Annotated[int, option("--seed", "Seed of the bootstrap.")] = 0,
    db: Db = None,
    as_json: AsJson = False,
) -> None:
    """How far raters agree: Cohen's and Fleiss' kappa, Krippendorff's alpha, by goal; and the responses to settle.

    Every figure has a bootstrap interval over prompts. Responses are named by id; `label --adjudicate` settles those on
    which raters differ.
    """
    goals = None if taxonomy is None else es.load_taxonomy(taxonomy)
    if len(labels) == 1 and not es.Task(labels[0]).is_file:
        with opened_store(db) as store:
            found = es.stored_agreement(store, labels[0], taxonomy=goals, seed=seed)
    else:
        found = es.agreement_of([Path(name) for name in labels], taxonomy=goals or es.FIVE_GOALS, seed=seed)
    print_json(found.to_dict()) if as_json else to_terminal(agreement_view(found))
    for note in found.notes:
        warn(f"note: {note}")


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError) as error:
        raise InvalidInput("this user has no name on this machine; say who labels with --rater NAME") from error


def _open_file(path: Path | None, store: es.Store, work: es.Labelling) -> es.LabelFile | None:
    if path is None:
        return None
    file = es.LabelFile(path, store, work.run_id, taxonomy=work.taxonomy)
    if file.taken:
        warn(f"note: {file.taken} labels of {path} that {store.name} did not know were taken in")
    return file
