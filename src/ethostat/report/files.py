"""Write a report to a file; the suffix says what kind."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path

from plotly.graph_objects import Figure

from ethostat import charts
from ethostat.alignment import Alignment
from ethostat.calibrating import Calibrated
from ethostat.errors import InvalidInput
from ethostat.evaluation import Evaluation
from ethostat.grouped import Grouped
from ethostat.guarantees import Selftest
from ethostat.measurement import Measurement
from ethostat.report import courses
from ethostat.report.calibrated import calibrated_html
from ethostat.report.compared import check_comparisons, comparison_html
from ethostat.report.compared_plain import comparison_markdown
from ethostat.report.evaluated import evaluation_html
from ethostat.report.followed import Followed, trajectory_html
from ethostat.report.followed_plain import trajectory_markdown
from ethostat.report.grouped import grouped_html, grouped_markdown
from ethostat.report.images import IMAGES, check_images, image
from ethostat.report.page import html
from ethostat.report.plain import markdown
from ethostat.report.selftested import selftest_html
from ethostat.response import Response, Verdict
from ethostat.shift import Shift
from ethostat.taxonomy import Taxonomy

_REPORTS = (".html", ".md", ".json", *IMAGES)
_EVALUATIONS = _PAGES = (".html", ".json")
_GROUPS = (".html", ".md", ".json")


def write_report(
    path: Path,
    measurement: Measurement,
    *,
    taxonomy: Taxonomy,
    responses: Iterable[tuple[Response, Verdict]] = (),
) -> None:
    """Write the report as .html, .md or .json, or its profile as .png or .svg. Raises as `check_report_path` does."""
    check_report_path(path)
    if path.suffix.lower() in IMAGES:
        beside = None if measurement.corrected is None else measurement.corrected.shares
        profile = charts.goal_shares(measurement.shares, taxonomy=taxonomy, corrected=beside)
        _draw(path, profile, title=f"{measurement.provenance.model}: S {measurement.headline}")
        return
    match path.suffix.lower():
        case ".html" | ".htm":
            text = html(measurement, taxonomy=taxonomy, responses=responses)
        case ".md":
            text = markdown(measurement, taxonomy)
        case _:
            text = json.dumps(measurement.to_dict(), indent=2) + "\n"
    _write(path, text)


def write_groups(path: Path, found: Grouped) -> None:
    """Write measurements by group as .html, .md or .json. Raises InvalidInput for another suffix, or as above."""
    check_report_path(path, kinds=_GROUPS)
    match path.suffix.lower():
        case ".html" | ".htm":
            _write(path, grouped_html(found))
        case ".md":
            _write(path, grouped_markdown(found))
        case _:
            _write(path, json.dumps(found.to_dict(), indent=2) + "\n")


def check_groups_path(path: Path) -> None:
    """Raises InvalidInput for a path that no groups can be written to; asked before anything is measured."""
    check_report_path(path, kinds=_GROUPS)


def write_evaluation(path: Path, evaluation: Evaluation, *, taxonomy: Taxonomy) -> None:
    """Write an evaluation as .html or .json. Raises InvalidInput for another suffix or where it cannot be written."""
    check_report_path(path, kinds=_EVALUATIONS)
    if path.suffix.lower() == ".json":
        text = json.dumps(evaluation.to_dict(), indent=2) + "\n"
    else:
        text = evaluation_html(evaluation, taxonomy=taxonomy)
    _write(path, text)


def write_comparison(path: Path, found: Shift | Sequence[Shift]) -> None:
    """Write one comparison or several as .html, .md or .json, or the forest plot as .png or .svg.

    A plot of several is of their S against the baseline's. Raises as `check_report_path` does, and InvalidInput where
    there is no comparison.
    """
    check_report_path(path)
    several = [found] if isinstance(found, Shift) else list(found)
    check_comparisons(several)
    first = several[0]
    match path.suffix.lower():
        case ".html" | ".htm":
            _write(path, comparison_html(several))
        case ".md":
            _write(path, comparison_markdown(several))
        case ".json":
            whole = first.to_dict() if len(several) == 1 else {"comparisons": [one.to_dict() for one in several]}
            _write(path, json.dumps(whole, indent=2) + "\n")
        case _ if len(several) == 1:
            _draw(path, charts.forest(first), title=f"{first.verdict}: {first.b.model} against {first.a.model}")
        case _:
            _draw(path, charts.models_against(several), title=f"{len(several)} models against {first.a.model}")


def write_trajectory(path: Path, found: Followed, *, taxonomy: Taxonomy | None = None) -> None:
    """Write a trajectory, or base against tuned, as .html, .md or .json, or S over time as .png or .svg.

    `taxonomy` names the goals of the page. Raises as `check_report_path` does, and InvalidInput for another taxonomy.
    """
    check_report_path(path)
    match path.suffix.lower():
        case ".html" | ".htm":
            _write(path, trajectory_html(found, taxonomy=taxonomy))
        case ".md":
            _write(path, trajectory_markdown(found))
        case ".json":
            _write(path, json.dumps(found.to_dict(), indent=2) + "\n")
        case _:
            last = found.tuned if isinstance(found, Alignment) else found
            title = f"S over time, {last.provenance.prompts.name}: {last.provenance.model}"
            _draw(path, charts.over_time(courses.series(found)), title=title)


def write_calibrated(path: Path, found: Calibrated) -> None:
    """Write a calibration as .html or .json. Raises InvalidInput for another suffix or where it cannot be written."""
    check_calibrated_path(path)
    if path.suffix.lower() == ".json":
        _write(path, json.dumps(found.to_dict(), indent=2) + "\n")
    else:
        _write(path, calibrated_html(found))


def check_calibrated_path(path: Path) -> None:
    """Raises InvalidInput for a path that no calibration can be written to; asked before anything is simulated."""
    check_report_path(path, kinds=_PAGES)


def write_selftest(path: Path, found: Selftest) -> None:
    """Write a selftest as .html or .json. Raises InvalidInput for another suffix or where it cannot be written."""
    check_selftest_path(path)
    if path.suffix.lower() == ".json":
        _write(path, json.dumps(found.to_dict(), indent=2) + "\n")
    else:
        _write(path, selftest_html(found))


def check_selftest_path(path: Path) -> None:
    """Raises InvalidInput for a path that no selftest can be written to; asked before hours are spent on one."""
    check_report_path(path, kinds=_PAGES)


def check_evaluation_path(path: Path) -> None:
    """Raises InvalidInput for a path that no evaluation can be written to; asked before rows are classified."""
    check_report_path(path, kinds=_EVALUATIONS)


def check_report_path(path: Path, *, kinds: tuple[str, ...] = _REPORTS) -> None:
    """Raises InvalidInput for a path that no report can be written to; asked before anything is spent on one.

    Raises MissingExtra for an image where what draws it is not installed.
    """
    suffix = path.suffix.lower()
    if (".html" if suffix == ".htm" else suffix) not in kinds:
        named = f"{', '.join(kinds[:-1])} or {kinds[-1]}"
        raise InvalidInput(f"a report is {named}, got {path.suffix or 'no suffix'!r}; name the file so")
    if path.is_dir() or not path.parent.is_dir():
        raise InvalidInput(f"{path} cannot be written: {path.parent} is no folder, or the path is one; choose another")
    if suffix in IMAGES:
        check_images()


def _draw(path: Path, figure: Figure, *, title: str) -> None:
    _write(path, image(figure, path.suffix.lower(), title=title))


def _write(path: Path, content: str | bytes) -> None:
    try:
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    except OSError as error:
        raise InvalidInput(f"{path} cannot be written: {error.strerror or error}; choose another path") from error
