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
    """Write the report as .html, .md or .json. Raises InvalidInput for another suffix, before anything is read."""
    match path.suffix.lower():
        case ".html" | ".htm":
            text = html(measurement, taxonomy=taxonomy, responses=responses)
        case ".md":
            text = markdown(measurement, taxonomy)
        case ".json":
            text = json.dumps(measurement.to_dict(), indent=2) + "\n"
        case other:
            raise InvalidInput(f"a report is .html, .md or .json, got {other or 'no suffix'!r}; name the file so")
    path.write_text(text, encoding="utf-8")
