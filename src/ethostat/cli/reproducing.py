"""reproduce: the paper's experiments, rerun."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

import ethostat as es
from ethostat.cli.frame import print_json
from ethostat.cli.options import AsJson, option
from ethostat.terminal import Gauge, rows_view, to_terminal


def reproduce(
    name: Annotated[
        str | None,
        typer.Argument(help="An experiment, or `claims` for the page over all of them.", show_default=False),
    ] = None,
    show: Annotated[bool, option("--list", "List the experiments and what each asks; run nothing.")] = False,
    short: Annotated[bool, option("--short", "The same code on less, within a minute: shows that it runs.")] = False,
    out: Annotated[Path, option("--out", "Folder for NAME.md and NAME/ with figures, drawings and kept work.")] = Path(
        "experiments"
    ),
    seed: Annotated[int, option("--seed", "Seed of everything that is drawn.")] = 7,
    data: Annotated[
        Path | None,
        option("--data", "A folder of labelled rows or of models, where the experiment's page asks for one."),
    ] = None,
    images: Annotated[
        bool, option("--images/--no-images", "Draw SVGs; needs ethostat[export] and a Chrome or Chromium.")
    ] = True,
    as_json: AsJson = False,
) -> None:
    """Run one of the paper's experiments again (arXiv 2512.03047), and write what it shows as a page.

    Every number of the page comes from figures.json, which the same run writes. A run that was interrupted goes on
    where it was; the folder `work` beside the figures holds what it kept, and can be deleted.

      ethostat reproduce --list

      ethostat reproduce classifier --short

      ethostat reproduce classifier --data rows/ --out docs/experiments

      ethostat reproduce claims --out docs/experiments
    """
    if show:
        rows = [{"name": one.name, "title": one.title, "question": one.question} for one in es.EXPERIMENTS]
        print_json(rows) if as_json else to_terminal(rows_view("Experiments", rows))
        return
    if name is None:
        raise typer.BadParameter("name an experiment, or see --list")
    with Gauge() as gauge:
        page = es.reproduce(name, out=out, short=short, seed=seed, data=data, images=images, on_progress=gauge.say)
    print_json({"experiment": name, "page": str(page)}) if as_json else to_terminal(f"{page} written")
