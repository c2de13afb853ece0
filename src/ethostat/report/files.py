"""Write a report to a file; the suffix says what kind."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from ethostat.errors import InvalidInput
from ethostat.evaluation import Evaluation
from ethostat.measurement import Measurement
from ethostat.report.evaluated import evaluation_html
from ethostat.report.page import html
from ethostat.report.plain import markdown
from ethostat.response import Response, Verdict
from ethostat.taxonomy import Taxonomy

_REPORTS = (".html", ".md", ".json")
_EVALUATIONS = (".html", ".json")


def write_report(
    path: Path,
    measurement: Measurement,
    *,
    taxonomy: Taxonomy,
    responses: Iterable[tuple[Response, Verdict]] = (),
) -> None:
    """Write the report as .html, .md or .json. Raises InvalidInput where `check_report_path` does."""
    check_report_path(path)
    match path.suffix.lower():
        case ".html" | ".htm":
            text = html(measurement, taxonomy=taxonomy, responses=responses)
        case ".md":
            text = markdown(measurement, taxonomy)
        case _:
            text = json.dumps(measurement.to_dict(), indent=2) + "\n"
    _write(path, text)


def write_evaluation(path: Path, evaluation: Evaluation, *, taxonomy: Taxonomy) -> None:
    """Write an evaluation as .html or .json. Raises InvalidInput for another suffix or where it cannot be written."""
    check_report_path(path, kinds=_EVALUATIONS)
    if path.suffix.lower() == ".json":
        text = json.dumps(evaluation.to_dict(), indent=2) + "\n"
    else:
        text = evaluation_html(evaluation, taxonomy=taxonomy)
    _write(path, text)


def check_evaluation_path(path: Path) -> None:
    """Raises InvalidInput for a path that no evaluation can be written to; asked before rows are classified."""
    check_report_path(path, kinds=_EVALUATIONS)


def check_report_path(path: Path, *, kinds: tuple[str, ...] = _REPORTS) -> None:
    """Raises InvalidInput for a path that no report can be written to; asked before anything is spent on one."""
    suffix = path.suffix.lower()
    if (".html" if suffix == ".htm" else suffix) not in kinds:
        named = f"{', '.join(kinds[:-1])} or {kinds[-1]}"
        raise InvalidInput(f"a report is {named}, got {path.suffix or 'no suffix'!r}; name the file so")
    if path.is_dir() or not path.parent.is_dir():
        raise InvalidInput(f"{path} cannot be written: {path.parent} is no folder, or the path is one; choose another")


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise InvalidInput(f"{path} cannot be written: {error.strerror or error}; choose another path") from error
