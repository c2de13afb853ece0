"""An evaluation as one self-contained HTML page: numbers and ids, no text of a row."""

from __future__ import annotations

from collections.abc import Mapping

from plotly.graph_objects import Figure

from ethostat import charts
from ethostat.errors import InvalidInput
from ethostat.evaluation import MOST_HELP_CONFUSED, Evaluation, Part
from ethostat.maths.estimate import Estimate
from ethostat.report import words
from ethostat.report.shell import render
from ethostat.taxonomy import Taxonomy
from ethostat.visible import one_line


def evaluation_html(evaluation: Evaluation, *, taxonomy: Taxonomy) -> str:
    """The whole page, about 5 MB, most of it plotly's own JavaScript.

    Raises InvalidInput where the taxonomy is not the one that was evaluated with.
    """
    if taxonomy.keys != evaluation.scores.goals:
        raise InvalidInput(
            f"the taxonomy has goals {', '.join(taxonomy.keys)} but the evaluation "
            f"{', '.join(evaluation.scores.goals)}; pass the classifier's taxonomy"
        )
    return render(
        "evaluation.html",
        script="figures.js",
        aligned=taxonomy.aligned,
        figures=lambda scheme: {key: figure for key, (figure, _) in _figures(evaluation, scheme).items()},
        e=evaluation,
        headline=evaluation.headline(),
        charts={key: description for key, (_, description) in _figures(evaluation, charts.LIGHT).items()},
        most_confused=MOST_HELP_CONFUSED,
    )


def _figures(evaluation: Evaluation, scheme: charts.Scheme) -> dict[str, tuple[Figure, str]]:
    """Every figure of the page, with its text alternative."""
    bins = evaluation.reliability
    said = {f"confidence {bar.confidence:.3f}": bar.accuracy for bar in bins}
    found = {"reliability": (charts.reliability(bins, scheme=scheme), _lines(said))}
    for key, parts in (("sources", evaluation.sources), ("subtypes", evaluation.subtypes)):
        if parts:
            shares = _accuracies(parts)
            found[key] = (charts.accuracies(shares, scheme=scheme), _lines(shares))
    return found


def _accuracies(parts: Mapping[str, Part]) -> dict[str, Estimate]:
    return {name: part.accuracy for name, part in parts.items()}


def _lines(rows: Mapping[str, Estimate]) -> str:
    return one_line("; ".join(words.describe(name, row) for name, row in rows.items()))
