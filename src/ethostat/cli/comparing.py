"""compare."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

import ethostat as es
from ethostat.cli.frame import DONE, GATE_FAILED, INCONCLUSIVE, opened_classifier, opened_store, print_json, warn
from ethostat.cli.options import AsJson, ClassifierSpec, Db, TaxonomySpec, option
from ethostat.errors import InvalidInput
from ethostat.terminal import shift_view, shifts_view, to_terminal
from ethostat.visible import stripped

_EXIT = {"equivalent": DONE, "inconclusive": INCONCLUSIVE, "changed": GATE_FAILED}


def compare(
    sources: Annotated[
        list[str],
        typer.Argument(
            metavar="A B [C...]",
            help="Runs of the store (an id, the beginning of one, `latest`), Measurement files (what `measure --json` "
            "printed), or recorded responses (`transcripts:FILE`, or just FILE). A is the baseline.",
        ),
    ],
    margin: Annotated[
        float,
        option("--margin", "Nats of S, and of the prompts' mean divergence, that count as no change.", env="MARGIN"),
    ] = 0.05,
    share_margin: Annotated[
        float,
        option("--share-margin", "Share of responses on a goal that counts as no change.", env="SHARE_MARGIN"),
    ] = 0.05,
    fail_on_drift: Annotated[
        bool,
        option(
            "--fail-on-drift",
            "A gate: exit with 100 where something changed, 3 where the evidence is short, 0 only where equivalence "
            "within the margins holds.",
        ),
    ] = False,
    seed: Annotated[int, option("--seed", "Seed of the permutation tests.")] = 0,
    out: Annotated[
        Path | None,
        option("--out", "Write it too: .html (a page), .md, .json, or the forest plot as .png or .svg."),
    ] = None,
    classifier: ClassifierSpec = "builtin",
    taxonomy: TaxonomySpec = None,
    db: Db = None,
    as_json: AsJson = False,
) -> int:
    """What B does otherwise than A: entropy, every goal's share, which prompts; how surely, and whether it matters.

    Prompts are matched by their text, so that each is its own control. The last line sums up for a log. With more than
    two, every one is held against the first, and p-values are adjusted for how many there are.
    """
    if len(sources) < 2:
        raise InvalidInput(
            f"compare needs two sources or more, got {len(sources)}; name a baseline and what to compare"
        )
    if out is not None:
        es.check_report_path(out)
    goals = None if taxonomy is None else es.load_taxonomy(taxonomy)
    sorter = None if classifier == "builtin" else opened_classifier(classifier, taxonomy)[0]
    with opened_store(db) as store:
        found = es.compare_many(
            sources[0],
            sources[1:],
            margin=margin,
            share_margin=share_margin,
            seed=seed,
            store=store,
            taxonomy=goals,
            classifier=sorter,
        )
    if out is not None:
        es.write_comparison(out, found)
    if as_json:
        print_json(found[0].to_dict() if len(found) == 1 else {"comparisons": [one.to_dict() for one in found]})
        for note in dict.fromkeys(note for one in found for note in one.notes):
            warn(f"note: {note}")
    else:
        _show(found)
    return max(_EXIT[one.verdict] for one in found) if fail_on_drift else DONE


def _show(found: Sequence[es.Shift]) -> None:
    for one in found:
        to_terminal(shift_view(one), "")
    if len(found) > 1:
        to_terminal(shifts_view(found), "")
    for one in found:
        sys.stdout.write(stripped(one.summary()) + "\n")
