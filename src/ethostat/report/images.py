"""A figure as a PNG or SVG file, drawn by a Chrome or Chromium on this machine; nothing is fetched."""

from __future__ import annotations

from importlib.util import find_spec

from plotly.graph_objects import Figure

from ethostat.charts import inert
from ethostat.errors import InvalidInput, MissingExtra

IMAGES = (".png", ".svg")
_WIDTH, _SCALE = 960, 2
_HEAD, _EDGE = 46, 24


def check_images() -> None:
    """Raises MissingExtra where kaleido, which drives the browser, is not installed; asked before anything is spent."""
    if find_spec("kaleido") is None:
        raise MissingExtra("kaleido", "export")


def image(figure: Figure, suffix: str, *, title: str) -> bytes:
    """The figure under its title, on white, 960 pixels wide; a PNG has twice as many.

    It takes some seconds, since a browser is started. Raises MissingExtra where kaleido is not installed, InvalidInput
    where no browser is found or it cannot draw.
    """
    check_images()
    import kaleido
    from choreographer.errors import BrowserClosedError, BrowserDepsError, BrowserFailedError, ChromeNotFoundError

    height = figure.layout.height + _HEAD
    figure.update_layout(
        title={
            "text": inert(title, longest=96),
            "x": _EDGE / _WIDTH,
            "xanchor": "left",
            "font": {"size": 16},
            "y": 1 - 22 / height,
            "yanchor": "middle",
        },
        margin={"l": _EDGE, "r": _EDGE, "t": figure.layout.margin.t + _HEAD},
        paper_bgcolor="#ffffff",
        height=height,
    )
    size = {"format": suffix.removeprefix("."), "width": _WIDTH, "height": height}
    scale = {} if suffix == ".svg" else {"scale": _SCALE}
    try:
        drawn: bytes = kaleido.calc_fig_sync(
            figure, opts={**size, **scale}, kopts={"page_generator": kaleido.PageGenerator(mathjax=False)}
        )
    except (ChromeNotFoundError, BrowserFailedError, BrowserDepsError, BrowserClosedError) as error:
        raise InvalidInput(
            f"a {suffix} is drawn by Chrome or Chromium, which was not found or did not start ({error}); install one, "
            "name it in BROWSER_PATH, or write .html"
        ) from error
    return drawn
