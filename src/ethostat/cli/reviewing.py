"""review: the responses that perhaps fit no goal."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import ethostat as es
from ethostat.cli.frame import json_line, opened_store, print_json
from ethostat.cli.options import KEEPING, AsJson, ClassifierSpec, Db, Run, option
from ethostat.errors import InvalidInput
from ethostat.terminal import review_view, to_terminal


def review(
    run: Run,
    out: Annotated[
        Path | None,
        option("--out", "Write the rows as JSONL, which other commands read as transcript rows.", panel=KEEPING),
    ] = None,
    db: Db = None,
    classifier: ClassifierSpec = "builtin",
    as_json: AsJson = False,
) -> None:
    """List the responses of a run that perhaps fit no goal, the least typical first.

    Flagged are those that Benjamini and Hochberg's rule picks at a false discovery rate of 10%. The list holds them, as
    many rows as the estimated share outside stands for, and at least twenty. Needs a classifier whose card names a
    reference: without one the exit code is 3.
    """
    if out is not None and out.suffix != ".jsonl":
        raise InvalidInput(f"{out.name!r} must end in .jsonl, so that the format is known")
    with opened_store(db) as store:
        measured, _ = es.stored_measurement(store, run, open_classifier=lambda: es.open_classifier(classifier))
        rows = es.review_rows(store, measured)
    if out is not None:
        _write(out, rows)
    if as_json:
        print_json(rows)
    else:
        share = measured.outside.share if measured.outside else ""
        to_terminal(review_view(rows, title=f"Unusual beyond chance, perhaps outside every goal: {share}"))
        to_terminal(f"{len(rows)} rows{f' in {out}' if out else ''}")


def _write(path: Path, rows: list[dict[str, object]]) -> None:
    present = ({key: value for key, value in row.items() if value is not None} for row in rows)
    try:
        path.write_text("".join(json_line(row) + "\n" for row in present), encoding="utf-8")
    except OSError as error:
        raise InvalidInput(f"{path} cannot be written: {error.strerror or error}; choose another path") from error
