"""Write a report to a file; the suffix says what kind."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from ethostat.errors import InvalidInput
from ethostat.measurement import Measurement
from ethostat.report.page import html
from ethostat.report.plain import markdown
from ethostat.response import Response, Verdict
from ethostat.taxonomy import Taxonomy


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
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise InvalidInput(f"{path} cannot be written: {error.strerror or error}; choose another path") from error


def check_report_path(path: Path) -> None:
    """Raises InvalidInput for a path that no report can be written to; asked before anything is spent on one."""
    if path.suffix.lower() not in (".html", ".htm", ".md", ".json"):
        raise InvalidInput(f"a report is .html, .md or .json, got {path.suffix or 'no suffix'!r}; name the file so")
    if path.is_dir() or not path.parent.is_dir():
        raise InvalidInput(f"{path} cannot be written: {path.parent} is no folder, or the path is one; choose another")
