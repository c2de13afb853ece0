"""The frame of every page: templates that escape whatever they are given, the policy a browser is held to, the assets.

Nothing a page needs comes from elsewhere; no script stands in a page, and no style.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import cache
from importlib.resources import files
from typing import Any
from urllib.parse import parse_qsl, quote

from jinja2 import Environment, PackageLoader, PrefixLoader
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from ethostat import charts
from ethostat.access import ADMIN, ANYBODY, LABEL, Identity, csrf_token
from ethostat.maths.estimate import Estimate
from ethostat.report.shell import environment
from ethostat.server.policy import HEADERS

_SCRIPTS = ("frame.js", "live.js", "course.js", "acts.js", "review.js")
_STYLES = "dashboard.css"
_CLIP = 1_200


def render(request: Request, template: str, *, status: int = 200, **values: Any) -> Response:
    """A page. `values` may hold hostile text: all of it is escaped."""
    me = reader_of(request)
    text = (
        _environment()
        .get_template(template)
        .render(
            csrf=csrf_of(request),
            is_whole=is_whole(request),
            here=request.url.path,
            me=me if csrf_of(request) else None,
            may_label=me.may(LABEL),
            may_admin=me.may(ADMIN),
            asset=asset,
            **values,
        )
    )
    return HTMLResponse(text.encode("utf-8", "replace"), status, dict(HEADERS))


def reader_of(request: Request) -> Identity:
    """Who looks at the page: a user who has logged in, or anybody where everybody may."""
    found: Identity | None = getattr(request.state, "identity", None)
    return found or ANYBODY


def csrf_of(request: Request) -> str:
    """What a page sends back with every change, where the caller has logged in."""
    session = getattr(request.state, "session", None)
    return "" if session is None else csrf_token(str(session))


def is_whole(request: Request) -> bool:
    """Whether the caller sees the whole installation: runs and labels belong to no tenant."""
    return str(getattr(request.state, "tenant", "") or "") == ""


def query_of(request: Request) -> dict[str, str]:
    """The query's parameters, lone surrogates of a name included."""
    return dict(parse_qsl(request.url.query, keep_blank_values=True, errors="surrogatepass", max_num_fields=20))


def link(path: str, **parameters: object) -> str:
    """A path with a query whose values may be any text."""
    pairs = [f"{name}={_quoted(str(value))}" for name, value in parameters.items() if value is not None]
    return f"{path}?{'&'.join(pairs)}" if pairs else path


def asset(name: str) -> str:
    """The address of an asset, which changes with its content, so that it may be kept for good."""
    return f"/static/{name}?v={hashlib.sha256(asset_bytes(name)).hexdigest()[:12]}"


@cache
def asset_bytes(name: str) -> bytes:
    """The content of an asset. Raises KeyError where there is none of this name."""
    if name == _STYLES:
        shared = files("ethostat.report").joinpath("templates", "report.css").read_bytes()
        return shared + b"\n" + _own(_STYLES) + _colors().encode()
    if name not in _SCRIPTS:
        raise KeyError(name)
    return _own(name)


def get_asset(request: Request) -> Response:
    """The style sheet or one of the scripts."""
    name = str(request.path_params["name"])
    try:
        content = asset_bytes(name)
    except KeyError:
        return Response("there is no such file", 404, dict(HEADERS), "text/plain")
    kept = {**HEADERS, "cache-control": "public, max-age=31536000, immutable"}
    return Response(content, 200, kept, "text/css" if name.endswith(".css") else "text/javascript")


def goal_classes(aligned: Sequence[bool]) -> list[str]:
    """The class that colours each goal: cool for aligned goals, warm for the others, as in reports."""
    cool = warm = 0
    found = []
    for good in aligned:
        found.append(f"cool-{cool % len(charts.LIGHT.aligned)}" if good else f"warm-{warm % len(charts.LIGHT.aligned)}")
        cool, warm = cool + good, warm + (not good)
    return found


def _colors() -> str:
    """The goals' colours in both schemes, the same as those of every report."""
    light, dark = (
        "".join(
            f".{kind}-{place}{{--c:{color};fill:{color}}}"
            for kind, row in (("cool", scheme.aligned), ("warm", scheme.misaligned))
            for place, color in enumerate(row)
        )
        for scheme in (charts.LIGHT, charts.DARK)
    )
    return f"\n{light}\n@media screen and (prefers-color-scheme:dark){{{dark}}}\n"


def _own(name: str) -> bytes:
    return files("ethostat.server.dashboard").joinpath("static", name).read_bytes()


@cache
def _environment() -> Environment:
    loader = PrefixLoader(
        {"report": PackageLoader("ethostat.report"), "dashboard": PackageLoader("ethostat.server.dashboard")}
    )
    found = environment(loader, clip=_CLIP)
    found.filters.update(
        estimate=_estimate,
        moment=moment,
        iso=iso,
        duration=duration,
        whole=lambda number: f"{number:,.0f}",
        evidence=_evidence,
        quoted=_quoted,
    )
    found.globals.update(link=link)
    return found


def _quoted(text: str) -> str:
    return quote(text.encode("utf-8", "surrogatepass"), safe="")


def _estimate(fields: Mapping[str, Any]) -> Estimate:
    return Estimate.from_dict(dict(fields))


def moment(seconds: float | None) -> str:
    """Seconds since 1970 as a reader takes them: 25 Nov 18:13:05; a dash where it is none."""
    found = _time(seconds)
    return "–" if found is None else f"{found.day} {found:%b %H:%M:%S}"


def iso(seconds: float | None) -> str:
    """The same in ISO 8601, UTC."""
    found = _time(seconds)
    return "" if found is None else found.isoformat(timespec="seconds")


def duration(seconds: float) -> str:
    """A length of time in its largest unit.

    >>> duration(0.4), duration(75), duration(7_300)
    ('0.4 s', '1 min', '2 h')
    """
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.1f} s"


def _evidence(value: float | None) -> str:
    return "–" if value is None or not math.isfinite(value) else f"{value:,.3g}"


def _time(seconds: float | None) -> datetime | None:
    try:
        return None if seconds is None else datetime.fromtimestamp(seconds, UTC)
    except (OverflowError, ValueError, OSError):
        return None
