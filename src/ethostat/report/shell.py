"""What surrounds every page: styles, colours, figures in both schemes, scripts and the policy that names them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial
from importlib.resources import files
from typing import Any

from jinja2 import BaseLoader, Environment, PackageLoader, StrictUndefined, Template
from markupsafe import Markup
from plotly.graph_objects import Figure
from plotly.offline import get_plotlyjs

from ethostat import charts
from ethostat.report import words
from ethostat.report.embed import json_text, script_hash, script_text
from ethostat.visible import one_line, spelt

_CLIP = 600
Figures = Callable[[charts.Scheme], Mapping[str, Figure]]


def render(template: str, *, script: str, aligned: Sequence[bool], figures: Figures, **values: Any) -> str:
    """The page of a template, self-contained: its policy allows plotly and `script` and nothing else.

    `aligned` says which goals are, for their colours.
    """
    scripts = (_plotly(), script_text(_template_file(script)))
    return _template(template).render(
        policy=f"default-src 'none'; script-src {' '.join(map(script_hash, scripts))}; style-src 'unsafe-inline'; "
        "img-src data:; base-uri 'none'; form-action 'none'",
        css=Markup(_template_file("report.css") + _colors(aligned)),  # noqa: S704
        figures=Markup(json_text(_both_schemes(figures))),  # noqa: S704
        scripts=[Markup(each) for each in scripts],  # noqa: S704
        **values,
    )


def _both_schemes(figures: Figures) -> dict[str, Any]:
    schemes = {"light": charts.LIGHT, "dark": charts.DARK}
    drawn = {
        name: {key: json.loads(figure.to_json()) for key, figure in figures(scheme).items()}
        for name, scheme in schemes.items()
    }
    return {**drawn, "config": charts.CONFIG}


def _colors(aligned: Sequence[bool]) -> str:
    """The goals' colours as CSS variables, for both schemes; no text from a file is in them."""
    light, dark = (
        "".join(f"--goal-{place}:{color};" for place, color in enumerate(charts.goal_colors(aligned, scheme)))
        for scheme in (charts.LIGHT, charts.DARK)
    )
    return f":root{{{light}}}\n@media screen and (prefers-color-scheme:dark){{:root{{{dark}}}}}\n"


def environment(loader: BaseLoader, *, clip: int) -> Environment:
    """Templates that escape what they are given and know how figures are written; `clipped` leaves `clip` signs."""
    found = Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    found.filters.update(
        clipped=partial(_clipped, most=clip),
        seen=spelt,
        line=one_line,
        value=words.value,
        interval=words.interval,
        signed=words.signed,
        signed_interval=words.signed_interval,
        p=words.p_value,
    )
    return found


def _clipped(text: str, *, most: int) -> str:
    """The beginning of a text that may be long, all that is unseen in it spelt out."""
    return spelt(text) if len(text) <= most else f"{spelt(text[:most])}…"


@cache
def _plotly() -> str:
    return script_text(get_plotlyjs())


def _template_file(name: str) -> str:
    return files("ethostat.report").joinpath("templates", name).read_text(encoding="utf-8")


@cache
def _template(name: str) -> Template:
    return environment(PackageLoader("ethostat.report"), clip=_CLIP).get_template(name)
