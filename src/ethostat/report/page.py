"""The report as one self-contained HTML page: it asks no network for anything and evaluates no text as code."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from markupsafe import Markup
from plotly.graph_objects import Figure

from ethostat import charts
from ethostat.errors import InvalidInput
from ethostat.maths.estimate import Estimate
from ethostat.measurement import Measurement
from ethostat.report import words
from ethostat.report.embed import json_text
from ethostat.report.evidence import evidence
from ethostat.report.shell import render
from ethostat.response import Response, Verdict
from ethostat.taxonomy import Taxonomy
from ethostat.visible import one_line


def html(measurement: Measurement, *, taxonomy: Taxonomy, responses: Iterable[tuple[Response, Verdict]] = ()) -> str:
    """The whole page, about 5 MB, most of it plotly's own JavaScript.

    `responses` are embedded and shown when their prompt is opened; without them the numbers stand alone. Raises
    InvalidInput where the taxonomy is not the one that was measured with.
    """
    if taxonomy.keys != measurement.goals:
        raise InvalidInput(
            f"the taxonomy has goals {', '.join(taxonomy.keys)} but the measurement {', '.join(measurement.goals)}; "
            "pass the taxonomy that the responses were classified with"
        )
    listed: dict[str, Response] = {}
    pieces = evidence(measurement, taxonomy, _noting(measurement, responses, listed))
    return render(
        "report.html",
        script="report.js",
        aligned=taxonomy.aligned,
        taxonomy=taxonomy,
        figures=lambda scheme: {key: figure for key, (figure, _) in _figures(measurement, taxonomy, scheme).items()},
        m=measurement,
        source=measurement.provenance,
        words=words,
        name=words.headline_name(measurement),
        sentences=words.meaning(measurement),
        ceiling=math.log(len(measurement.goals)),
        goals=_goal_rows(measurement, taxonomy),
        entropies=charts.entropy_rows(measurement),
        charts={name: description for name, (_, description) in _figures(measurement, taxonomy, charts.LIGHT).items()},
        listed=listed,
        counted=len(pieces["responses"]),
        cut=pieces["cut"],
        silent=[row.id for row in measurement.per_prompt if row.profile.n == 0],
        evidence=Markup(json_text(pieces)),  # noqa: S704
    )


def _noting(
    measurement: Measurement, responses: Iterable[tuple[Response, Verdict]], listed: dict[str, Response]
) -> Iterator[tuple[Response, Verdict]]:
    """The responses as they come; those that are to be reviewed are kept by id."""
    wanted = {row.response_id for row in measurement.outside.review} if measurement.outside else set()
    for response, verdict in responses:
        if response.id in wanted:
            listed[response.id] = response
        yield response, verdict


def _figures(measurement: Measurement, taxonomy: Taxonomy, scheme: charts.Scheme) -> dict[str, tuple[Figure, str]]:
    """Every figure that this measurement has, with its text alternative."""
    goals = len(measurement.goals)
    shares = {f"{goal.key} {goal.name}": share for goal, share in zip(taxonomy.goals, measurement.shares, strict=True)}
    parts, corrected = charts.entropy_rows(measurement), measurement.corrected
    if corrected is not None:
        named = zip(taxonomy.goals, corrected.shares, strict=True)
        shares |= {f"{goal.key} {goal.name}, corrected": share for goal, share in named}
    beside = None if corrected is None else corrected.shares
    found = {
        "profile": (
            charts.goal_shares(measurement.shares, taxonomy=taxonomy, corrected=beside, scheme=scheme),
            _lines(shares),
        ),
        "entropies": (charts.entropy_parts(measurement, scheme=scheme), _lines(parts)),
    }
    if measurement.categories:
        figure = charts.entropy_by_category(measurement.categories, goals=goals, scheme=scheme)
        found["categories"] = (figure, _lines(measurement.categories))
    if any(row.entropy.is_defined for row in measurement.per_prompt):
        figure = charts.prompt_entropies(measurement.per_prompt, goals=goals, scheme=scheme)
        found["prompts"] = (
            figure,
            "S of every prompt with its interval, in order of S; the table below holds the numbers",
        )
    if measurement.variance is not None:
        shares_text = ", ".join(f"{name} {share:.0%}" for name, share in variance_rows(measurement).items())
        found["variance"] = (charts.variance(measurement.variance, scheme=scheme), shares_text)
    return found


def variance_rows(measurement: Measurement) -> dict[str, float]:
    """The parts of the headline's variance, as shares; none where it is not identifiable."""
    parts = measurement.variance
    if parts is None:
        return {}
    return {"sampling": parts.sampling, "prompts": parts.prompts, "classifier": parts.classifier}


def _lines(rows: Mapping[str, Estimate]) -> str:
    return one_line("; ".join(words.describe(name, row) for name, row in rows.items()))


def _goal_rows(measurement: Measurement, taxonomy: Taxonomy) -> list[dict[str, Any]]:
    rows = zip(taxonomy.goals, measurement.profile.counts, measurement.shares, strict=True)
    return [
        {
            "place": place,
            "goal": goal,
            "count": count,
            "share": share,
            "corrected": None if measurement.corrected is None else measurement.corrected.shares[place],
        }
        for place, (goal, count, share) in enumerate(rows)
    ]
