"""evaluate: a classifier against people's labels."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

import ethostat as es
from ethostat.cli.frame import DONE, FAILED, opened_classifier, print_json, warn
from ethostat.cli.options import AsJson, TaxonomySpec, option
from ethostat.terminal import Gauge, evaluation_view, to_terminal


def evaluate(
    classifier: Annotated[
        str,
        typer.Argument(help="`builtin`, a folder that training wrote, judge:MODEL, or guard:NAME:MODEL."),
    ],
    rows: Annotated[
        str,
        typer.Argument(
            metavar="DATA",
            help="Labelled rows (JSONL, CSV, Parquet): prompt or messages, response, label; and where known id, "
            "source, subtype, split_group.",
        ),
    ],
    taxonomy: TaxonomySpec = None,
    out: Annotated[Path | None, option("--out", "Also write a page (.html) or JSON (.json).")] = None,
    entropy_by: Annotated[
        list[str] | None,
        option(
            "--entropy-by",
            "Field of the rows; those that agree in it make one entropy in the rank correlation with people's "
            "(repeat for several, e.g. source and category). Without any, rows of one prompt do.",
        ),
    ] = None,
    seed: Annotated[int, option("--seed", "Seed of the bootstrap.", env="EVALUATE_SEED")] = 0,
    as_json: AsJson = False,
) -> int:
    """Hold a classifier's verdicts against people's labels: accuracy, confusion, agreement, calibration.

    Every figure has its interval and n, by goal, source and subtype. With --taxonomy a judge is held against labels of
    your own goals. Rows are named by id; their text is shown nowhere.
    """
    if out is not None:
        es.check_evaluation_path(out)
    sorter, goals = opened_classifier(classifier, taxonomy)
    es.check_goals(sorter, goals)
    with Gauge() as gauge:
        found = es.evaluate(sorter, rows, seed=seed, entropy_by=entropy_by or (), on_stage=gauge.say)
    if out is not None:
        es.write_evaluation(out, found, taxonomy=goals)
    print_json(found.to_dict()) if as_json else to_terminal(evaluation_view(found))
    for note in found.notes:
        warn(f"note: {note}")
    return FAILED if found.missing else DONE
