"""A trajectory, or base against tuned, as one self-contained HTML page: S over time, shares, rates, alignment work."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from plotly.graph_objects import Figure

from ethostat import charts
from ethostat.alignment import Alignment
from ethostat.errors import InvalidInput
from ethostat.maths.estimate import Estimate
from ethostat.report import courses, words
from ethostat.report.shell import render
from ethostat.taxonomy import FIVE_GOALS, Goal, Taxonomy
from ethostat.trajectories import Point, Trajectory
from ethostat.visible import one_line

_MOST_POINTS = 120

Followed = Trajectory | Alignment


def trajectory_html(found: Followed, *, taxonomy: Taxonomy | None = None) -> str:
    """The whole page, about 5 MB, most of it plotly's own JavaScript.

    `taxonomy` names the goals; without it the five goals have their names, and others their keys. Raises InvalidInput
    where it is not the one of the trajectory.
    """
    goals = goals_of(found, taxonomy)
    work = found if isinstance(found, Alignment) else None
    series = courses.series(found)
    return render(
        "trajectory.html",
        script="figures.js",
        aligned=goals.aligned,
        figures=lambda scheme: _figures(found, goals, scheme),
        series=series,
        slugs=[f"{place}" for place in range(len(series))],
        work=work,
        charts=_described(found),
        courses=courses,
        goals=goals,
        points={name: _chosen(one.points) for name, one in series.items()},
    )


def goals_of(found: Followed, taxonomy: Taxonomy | None) -> Taxonomy:
    """The goals with their names where these are known, by their keys where not.

    Raises InvalidInput where `taxonomy` is another than the trajectory's.
    """
    first = next(iter(courses.series(found).values()))
    wanted = first.provenance.taxonomy
    if taxonomy is not None and taxonomy.keys != first.goals:
        raise InvalidInput(
            f"the taxonomy has goals {', '.join(taxonomy.keys)} but the trajectory {', '.join(first.goals)}; pass the "
            "taxonomy that its responses were sorted with"
        )
    known = taxonomy or (FIVE_GOALS if wanted.hash == FIVE_GOALS.hash else None)
    if known is not None:
        return known
    goals = (Goal(key, key, key, aligned=aligned) for key, aligned in zip(first.goals, first.aligned, strict=True))
    return Taxonomy(wanted.name, wanted.version or "", tuple(goals))


def _figures(found: Followed, goals: Taxonomy, scheme: charts.Scheme) -> dict[str, Figure]:
    series = courses.series(found)
    drawn: dict[str, Figure] = {"entropy": charts.over_time(series, scheme=scheme)}
    for place, one in enumerate(series.values()):
        drawn[f"goals-{place}"] = charts.goals_over_time(one, taxonomy=goals, scheme=scheme)
        if one.rates is not None and any(change.is_defined for change in one.rates.direction.changes):
            changes = courses.changes(one, goals)
            title = "change of share over the whole"
            drawn[f"changes-{place}"] = charts.estimates_in_rows(changes, title=title, scheme=scheme)
    if rates := courses.rates(found):
        title = f"nats a {charts.inert(courses.step(found))}"
        drawn["rates"] = charts.estimates_in_rows(rates, title=title, scheme=scheme)
    if isinstance(found, Alignment) and found.path:
        drawn["work"] = charts.work_over_time(found, scheme=scheme)
    return drawn


def _described(found: Followed) -> dict[str, str]:
    said: dict[str, Any] = {}
    for place, (name, one) in enumerate(courses.series(found).items()):
        ends = {f"{name}, {one.step} {point.step:g}": point.headline for point in _ends(one.points)}
        said["entropy"] = "; ".join(filter(None, (said.get("entropy"), _lines(ends))))
        said[f"goals-{place}"] = _lines(
            {f"aligned share, {one.step} {point.step:g}": point.aligned for point in _ends(one.points)}
        )
        if one.rates is not None:
            said[f"changes-{place}"] = _lines(dict(zip(one.goals, one.rates.direction.changes, strict=True)))
    said["rates"] = _lines(courses.rates(found))
    if isinstance(found, Alignment) and found.path:
        said["work"] = words.describe("W, alignment work", found.path[-1])
    drawn = _figures(found, goals_of(found, None), charts.LIGHT)
    return {key: text for key, text in said.items() if key in drawn}


def _ends(points: Sequence[Point]) -> tuple[Point, ...]:
    return (points[0], points[-1]) if len(points) > 1 else (points[0],)


def _lines(rows: dict[str, Estimate]) -> str:
    return one_line("; ".join(words.describe(name, row) for name, row in rows.items()))


def _chosen(points: Sequence[Point]) -> Sequence[Point]:
    """At most so many points, evenly chosen, the first and the last among them."""
    if len(points) <= _MOST_POINTS:
        return points
    return [points[round(n * (len(points) - 1) / (_MOST_POINTS - 1))] for n in range(_MOST_POINTS)]
