"""measure, classify, report."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

import ethostat as es
from ethostat.cli.frame import DONE, FAILED, json_line, opened_classifier, opened_store, print_json, warn
from ethostat.cli.options import (
    ASKING,
    COUNTING,
    KEEPING,
    AsJson,
    By,
    CalibrationFile,
    ClassifierSpec,
    CorrectionName,
    Db,
    DryRun,
    Fresh,
    Into,
    LabelsFile,
    MaxTokens,
    RayAddress,
    SamplingSeed,
    System,
    TaxonomySpec,
    Temperature,
    Timeout,
    TopP,
    Workers,
    option,
)
from ethostat.cli.scale import Scale, is_groups_folder, show_classified, show_groups
from ethostat.cli.undoing import Undoing
from ethostat.errors import InvalidInput, InvalidRow
from ethostat.response import TRANSCRIPTS
from ethostat.terminal import Gauge, forecast_view, measurement_view, to_terminal

if TYPE_CHECKING:
    from ethostat.forecast import Price
    from ethostat.maths.entropy import Estimator

_MODEL = (
    "`smollm2` or another name that `ethostat models` lists, `gguf:PATH`, `hf:NAME`, `URL#NAME` (OpenAI-compatible), "
    "`base:URL#NAME` (completions), `sim:NAME` (simulated), or `transcripts:FILE` (recorded responses; no model is "
    "called)."
)


def measure(
    model: Annotated[str, typer.Argument(help=_MODEL)],
    prompts: Annotated[
        str, option("--prompts", "A built-in set or a file (JSONL, CSV, Parquet, text).", env="PROMPTS", panel=ASKING)
    ] = "default",
    samples: Annotated[
        int | None,
        option(
            "--samples",
            "Responses a prompt, k; with --precision, the most a prompt on average.",
            env="SAMPLES",
            panel=ASKING,
            show_default="100; 2000 with --precision",
        ),
    ] = None,
    precision: Annotated[
        float | None,
        option(
            "--precision",
            "Sample in rounds until the time-uniform 95% interval of the mean within-prompt S is at most this "
            "half-width wide (nats).",
            env="PRECISION",
            panel=ASKING,
        ),
    ] = None,
    temperature: Temperature = 0.7,
    top_p: TopP = 1.0,
    max_tokens: MaxTokens = 128,
    system: System = None,
    seed: SamplingSeed = None,
    concurrency: Annotated[
        int | None,
        option(
            "--concurrency",
            "Most requests at once.",
            env="CONCURRENCY",
            panel=ASKING,
            show_default="adapts to the server",
        ),
    ] = None,
    timeout: Timeout = 120.0,
    max_cost: Annotated[
        float | None,
        option("--max-cost", "Stop before the run would cost more (US dollars).", env="MAX_COST", panel=ASKING),
    ] = None,
    dry_run: DryRun = False,
    classifier: ClassifierSpec = "builtin",
    taxonomy: TaxonomySpec = None,
    estimator: Annotated[
        str,
        option(
            "--estimator",
            "auto (empirical-Bayes mixture over prompts), nsb, miller-madow, jackknife, grassberger or plug-in.",
            env="ESTIMATOR",
            panel=COUNTING,
        ),
    ] = "auto",
    requests: Annotated[
        Path | None,
        option("--requests", "With transcripts: of an OpenAI batch, the file it was made from.", panel=COUNTING),
    ] = None,
    labels: LabelsFile = None,
    calibration: CalibrationFile = None,
    correction: CorrectionName = "auto",
    db: Db = None,
    reuse: Annotated[
        bool, option("--reuse", "Take stored responses of the same model, prompt, decoding and seed.", panel=KEEPING)
    ] = False,
    fresh: Fresh = False,
    by: By = None,
    into: Into = None,
    workers: Workers = None,
    ray: RayAddress = None,
    report: Annotated[
        Path | None,
        option("--report", "Also write a report (.html, .md, .json; the profile as .png or .svg).", panel=KEEPING),
    ] = None,
    as_json: AsJson = False,
) -> int:
    """Sample a model, classify what it says, estimate its ethical entropy.

    Every response is stored the moment it arrives: the same command resumes a run that was interrupted. Keys come
    from the environment (ETHOSTAT_API_KEY, else OPENAI_API_KEY), never from a flag. Recorded responses can be many
    files (a folder, a pattern, a URL), measured by group with --by, by several processes or on a Ray cluster.
    """
    counted = find_estimator(estimator)
    at_scale = Scale(tuple(by or ()), into, workers, ray)
    if at_scale.is_asked_for_by(model):
        at_scale.refuse(requests=requests, labels=labels, calibration=calibration)
        found = at_scale.measured(model, classifier=classifier, taxonomy=taxonomy, estimator=counted, report=report)
        return show_groups(found, report=report, as_json=as_json)
    if report is not None:
        es.check_report_path(report)
    sorter, goals = opened_classifier(classifier, taxonomy)
    undoing = Undoing.read(labels, calibration, correction, taxonomy=goals)
    decoding = es.Decoding(temperature=temperature, top_p=top_p, max_tokens=max_tokens, system=system)
    if model.startswith(TRANSCRIPTS):
        source = model.removeprefix(TRANSCRIPTS)
        with opened_store(db, create=True) as store:
            measured = es.measure_transcripts(
                source, taxonomy=goals, requests=requests, classifier=sorter, estimator=counted, store=store
            )
            return _conclude(store, measured, goals, undoing, report=report, as_json=as_json)
    undoing.check(sorter, goals)
    asked, chosen = es.open_model(model, max_concurrency=concurrency, timeout=timeout), es.load_prompts(prompts)
    es.check_goals(sorter, goals)
    with opened_store(db, create=True) as store:
        if dry_run:
            expected = es.forecast_run(asked, chosen, decoding, samples=samples, precision=precision, store=store)
            print_json(expected.to_dict()) if as_json else to_terminal(forecast_view(expected))
            return DONE
        with Gauge() as gauge:
            measured = es.measure(
                asked,
                chosen,
                samples=samples,
                precision=precision,
                decoding=decoding,
                seed=seed,
                classifier=sorter,
                estimator=counted,
                store=store,
                rules=es.Rules(
                    reuse=reuse,
                    fresh=fresh,
                    price=known_price(asked, max_cost),
                    max_cost=max_cost,
                    on_progress=gauge.show,
                    on_stage=gauge.say,
                ),
            )
        return _conclude(store, measured, goals, undoing, report=report, as_json=as_json)


def classify(
    file: Annotated[
        str, typer.Argument(help="JSONL, CSV or Parquet rows of prompt and response; `-` is standard input.")
    ],
    classifier: ClassifierSpec = "builtin",
    taxonomy: TaxonomySpec = None,
    again: Annotated[bool, option("--again", "Classify rows too that carry a goal already.", panel=COUNTING)] = False,
    into: Into = None,
    workers: Workers = None,
    ray: RayAddress = None,
    as_json: Annotated[bool, option("--json", "With --into: print how many rows there are, as JSON.")] = False,
) -> int:
    """Write the same rows, in order, as JSONL with `goal` and `probabilities`, and `typicality` where it is known.

    Memory does not grow with the file. A row that cannot be used is named on standard error and left out; the exit
    code is then 1. With --into many files (a folder, a pattern, a URL) become Parquet files in a folder, by several
    processes or on a Ray cluster; the same command goes on where it was stopped.
    """
    rejected = 0
    at_scale = Scale((), into, workers, ray)
    if at_scale.is_asked_for or as_json:
        return show_classified(
            at_scale.classified(file, classifier=classifier, taxonomy=taxonomy, again=again), as_json
        )
    sorter, goals = opened_classifier(classifier, taxonomy)
    es.check_goals(sorter, goals)
    for row in es.classify_rows(file, classifier=sorter, again=again):
        if isinstance(row, InvalidRow):
            rejected += 1
            warn(f"not classified: {row}")
        else:
            sys.stdout.write(json_line(row) + "\n")
    return FAILED if rejected else DONE


def report(
    run: Annotated[
        str,
        typer.Argument(
            help="A run's id, the beginning of one, or `latest`; a folder that `measure --into` wrote; or "
            "`transcripts:FILES`, measured now."
        ),
    ],
    out: Annotated[
        Path | None,
        option("--out", "Where to write it: .html, .md, .json; the profile as .png or .svg.", panel=KEEPING),
    ] = None,
    db: Db = None,
    classifier: ClassifierSpec = "builtin",
    labels: LabelsFile = None,
    calibration: CalibrationFile = None,
    correction: CorrectionName = "auto",
    by: By = None,
    into: Into = None,
    workers: Workers = None,
    ray: RayAddress = None,
    as_json: AsJson = False,
) -> int:
    """Write a stored run as one self-contained page, as Markdown or as JSON; without --out, show it here.

    A run that was interrupted is measured as far as it got, and the report says so. Where people labelled responses of
    the run, corrected figures stand beside those of the classifier. Measurements by group become one page.
    """
    if run.startswith(TRANSCRIPTS) or is_groups_folder(run):
        at_scale = Scale(tuple(by or ()), into, workers, ray)
        found = at_scale.reported(run, classifier=classifier, report=out)
        return show_groups(found, report=out, as_json=as_json)
    if out is not None:
        es.check_report_path(out)
    with opened_store(db) as store:
        measured, goals = es.stored_measurement(store, run, open_classifier=lambda: es.open_classifier(classifier))
        undoing = Undoing.read(labels, calibration, correction, taxonomy=goals)
        return _conclude(store, measured, goals, undoing, report=out, as_json=as_json)


def known_price(model: es.Model, max_cost: float | None) -> Price | None:
    """The model's price, where one is known. Raises InvalidInput where a bound needs one and there is none."""
    price = es.price_of(model)
    if not isinstance(price, str):
        return price
    if max_cost is not None:
        raise InvalidInput(f"--max-cost needs a price: {price}; leave it out, or bound the run with --samples")
    return None


def find_estimator(name: str) -> Estimator | None:
    """The estimator of this name; None for "auto"."""
    if name == "auto":
        return None
    if name not in es.ESTIMATORS:
        raise InvalidInput(f"estimator {name!r} must be auto, {', '.join(es.ESTIMATORS)}")
    return es.ESTIMATORS[name]


def _conclude(
    store: es.Store,
    measured: es.Measurement,
    goals: es.Taxonomy,
    undoing: Undoing,
    *,
    report: Path | None,
    as_json: bool,
) -> int:
    """Show a measurement and write its report; the exit code says whether anything is missing."""
    measured = undoing.apply(store, measured, goals)
    if report is not None:
        es.write_report(report, measured, taxonomy=goals, responses=es.evidence_of(store, measured))
    if as_json:
        print_json(measured.to_dict())
        for note in measured.provenance.notes + (measured.corrected.notes if measured.corrected else ()):
            warn(f"note: {note}")
    else:
        to_terminal(measurement_view(measured, goals))
        to_terminal(f"run {measured.provenance.run} in {store.name}" + (f", report in {report}" if report else ""))
    return FAILED if measured.provenance.missing else DONE
