"""reproduce: the paper's experiments, rerun; fisher: the curvature of a model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

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


def fisher(
    model: Annotated[str, typer.Argument(help="smollm2, gemma3-270m, gguf:PATH or hf:NAME_OR_PATH.")],
    prompts: Annotated[str, option("--prompts", "A built-in set or a file; the model answers each once.")] = "default",
    most: Annotated[int, option("--most", "At most so many of the prompts.")] = 4,
    tokens: Annotated[int, option("--max-tokens", "Tokens of each answer whose distributions count.")] = 12,
    steps: Annotated[int, option("--steps", "Products with the matrix for the eigenvalues.")] = 10,
    probes: Annotated[int, option("--probes", "Products with the matrix for the trace.")] = 4,
    seed: Annotated[int, option("--seed", "Seed of the answers and of the iteration.")] = 7,
    as_json: AsJson = False,
) -> None:
    """The largest eigenvalues and the trace of a model's Fisher matrix, and gamma_crit = (lambda_max / 2) ln N.

    The matrix is that of the next token's distribution by all N parameters, averaged over the positions of the model's
    own answers at temperature 1. An eigenvalue lies within the residual of each value. Needs ethostat[experiments]; a
    product takes some ten seconds a hundred million parameters and hundred tokens on one core.

      ethostat fisher smollm2

      ethostat fisher hf:my-model --prompts my.jsonl --most 16 --steps 20 --json
    """
    with Gauge() as gauge:
        found = es.fisher(
            model, es.load_prompts(prompts), most=most, tokens=tokens, steps=steps, probes=probes, seed=seed,
            on_progress=gauge.say,
        )  # fmt: skip
    print_json(found.to_dict()) if as_json else to_terminal(rows_view(_title(found), _rows(found)))


def _title(found: es.Curvature) -> str:
    return f"Fisher matrix of {found.model}: N = {found.parameters:,}, {found.positions} positions"


def _rows(found: es.Curvature) -> list[dict[str, Any]]:
    pairs = zip(found.eigenvalues, found.residuals, strict=True)
    values = [
        {"what": f"eigenvalue {place}", "value": f"{value:,.4g}", "within": f"{residual:.2g}"}
        for place, (value, residual) in enumerate(pairs, start=1)
    ]
    margin = f"{found.trace.half_width:.2g} (95 %)" if found.trace.is_defined else found.trace.method
    return [
        *values,
        {"what": "trace", "value": f"{found.trace.value:,.4g}", "within": margin},
        {"what": "gamma_crit", "value": f"{found.critical_rate:,.4g}", "within": ""},
    ]
