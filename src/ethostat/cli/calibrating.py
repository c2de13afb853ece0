"""calibrate: what an alarm would cost and find on this baseline, before it goes live."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import Annotated

import typer

import ethostat as es
from ethostat.cli.frame import find_detector, named_classifier, opened_store, print_json
from ethostat.cli.options import PROMISED, AsJson, ClassifierSpec, Db, DetectorName, TaxonomySpec, option
from ethostat.terminal import Gauge, calibration_view, to_terminal

_SIMULATED = "What is simulated"


def calibrate(
    file: Annotated[
        str | None,
        typer.Argument(help="Rows whose first N are the baseline, with --baseline first:N.", show_default=False),
    ] = None,
    baseline: Annotated[
        str,
        option(
            "--baseline",
            "What is normal: `first:N` (the first N responses of FILE), `counts:960,14,20,2,4` (by goal), a file of "
            "responses, a Measurement file, or a run of the store.",
            env="BASELINE",
        ),
    ] = "first:500",
    run_length: Annotated[
        list[float] | None,
        option(
            "--run-length",
            "Responses between false pages, on average; repeat it to compare several.",
            panel=PROMISED,
            show_default="1000, 3000, 10000, 30000, 100000",
        ),
    ] = None,
    alpha: Annotated[
        float | None,
        option("--alpha", "In place of --run-length: the chance that a false page ever comes.", panel=PROMISED),
    ] = None,
    detector: DetectorName = "profile",
    change: Annotated[
        list[str] | None,
        option(
            "--change",
            "What may come (repeatable): shares added by goal, g1:-0.1,g3:+0.1, or aligned-5, aligned-10, aligned-20, "
            "swap, refusals.",
            panel=_SIMULATED,
            show_default="the five named",
        ),
    ] = None,
    within: Annotated[
        int, option("--within", "Responses within which a change should be seen.", panel=_SIMULATED)
    ] = 500,
    per_day: Annotated[
        float | None, option("--per-day", "Responses a day: gives false pages a month.", panel=_SIMULATED)
    ] = None,
    streams: Annotated[
        int,
        option("--streams", "Simulated streams a change; four times as many halve intervals.", panel=_SIMULATED),
    ] = 200,
    seed: Annotated[int, option("--seed", "Seed of all simulations.", panel=_SIMULATED)] = 0,
    classifier: ClassifierSpec = "builtin",
    taxonomy: TaxonomySpec = None,
    db: Db = None,
    out: Annotated[Path | None, option("--out", "Also write a page (.html) or JSON (.json).")] = None,
    as_json: AsJson = False,
) -> None:
    """Say what `monitor` would do on this baseline: how rarely false pages come, how soon true ones do.

    Streams like the baseline are simulated, while nothing changes and after changes of several sizes, under several
    run lengths side by side. Each figure has its interval; a baseline of few responses makes all of them worse, which
    is part of the answer.

      ethostat calibrate log.jsonl --baseline first:500 --per-day 2000

      ethostat calibrate --baseline run.json --run-length 10000 --change g1:-0.05,g2:+0.05 --within 300

      ethostat calibrate --baseline counts:960,14,20,2,4 --out calibrate.html

    The default takes about twenty seconds of one core.
    """
    if out is not None:
        es.check_calibrated_path(out)
    sorter, goals = named_classifier(classifier, taxonomy)
    with nullcontext() if db is None else opened_store(db) as store:
        normal = es.read_baseline(baseline, taxonomy=goals, classifier=sorter, store=store, rows=file)
    with Gauge() as gauge:
        found = es.calibrate(
            normal,
            run_lengths=run_length or None,
            alpha=alpha,
            detector=find_detector(detector),
            taxonomy=goals,
            changes=change or (),
            within=within,
            per_day=per_day,
            streams=streams,
            seed=seed,
            on_progress=gauge.show_simulation,
        )
    if out is not None:
        es.write_calibrated(out, found)
    if as_json:
        print_json(found.to_dict())
    else:
        to_terminal(calibration_view(found))
