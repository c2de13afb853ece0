"""backfill."""

from __future__ import annotations

import sys
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated

import typer

import ethostat as es
from ethostat.cli.frame import DONE, FAILED, GATE_FAILED, find_detector, json_line, named_classifier, opened_store, warn
from ethostat.cli.options import (
    KEEPING,
    PROMISED,
    ClassifierSpec,
    Db,
    DetectorName,
    Into,
    MonitorName,
    RayAddress,
    Renotify,
    RunLength,
    StreamKey,
    TaxonomySpec,
    Warnings,
    Workers,
    option,
)
from ethostat.cli.scale import Scale
from ethostat.errors import InvalidInput
from ethostat.terminal import alert_view, to_terminal

_LEDGER = "ledger:"


def backfill(
    files: Annotated[
        list[str],
        typer.Argument(
            help="Rows as `monitor` reads them: files, folders, patterns, URLs; or `ledger:DATABASE`, a service's log."
        ),
    ],
    baseline: Annotated[
        str,
        option(
            "--baseline",
            "What is normal: first:N (the first N responses of each stream), counts:N,N,..., a run, a Measurement file "
            "or responses.",
            panel=PROMISED,
        ),
    ],
    key: StreamKey = None,
    baselines: Annotated[
        Path | None,
        option("--baselines", "A baseline for each key, as `streams save` writes them.", panel=PROMISED),
    ] = None,
    run_length: RunLength = 10_000.0,
    alpha: Annotated[
        float | None,
        option("--alpha", "In place of --run-length: the chance that a false page ever comes.", panel=PROMISED),
    ] = None,
    detector: DetectorName = "profile",
    warnings: Warnings = True,
    renotify: Renotify = None,
    name: MonitorName = "monitor",
    state: Annotated[
        Path | None,
        option("--state", "Write where the monitors stand, for `ethostat streams`.", panel=KEEPING),
    ] = None,
    classifier: ClassifierSpec = "builtin",
    taxonomy: TaxonomySpec = None,
    into: Into = None,
    workers: Workers = None,
    ray: RayAddress = None,
    db: Db = None,
    as_json: Annotated[
        bool, option("--json", "An Alert a line, also on a terminal.", show_default="where output is no terminal")
    ] = False,
) -> int:
    """Take stored traffic through monitors: what they would have said, and where they would stand now.

    Alerts and states are those of `ethostat monitor` on the same rows, only sooner: many files, streams side by side,
    by several processes or on a Ray cluster. The responses of a stream count in the order of files (by name) and lines.

      ethostat backfill archive/ --key model --baseline first:500 --state monitors.state --workers 4

      ethostat streams save monitors.state --out normal.jsonl     what is normal by now, for `monitor --baselines`

    Exit codes: 100 an alert stands at the end, 1 some rows could not be used, 3 no usable row, 0 otherwise.
    """
    sorter, goals = named_classifier(classifier, taxonomy)
    with nullcontext() if db is None else opened_store(db) as store:
        normal = es.read_baseline(baseline, taxonomy=goals, classifier=sorter, store=store)
    template = es.Monitor(
        normal, run_length=run_length, alpha=alpha, detector=find_detector(detector), taxonomy=goals, name=name,
        policy=es.Policy(renotify=renotify, warn=warnings),
    )  # fmt: skip
    known = {} if baselines is None else es.read_baselines(baselines, taxonomy=goals)
    at_scale = Scale((), into, workers, ray)
    if len(files) == 1 and files[0].startswith(_LEDGER):
        if key or known or into is not None:
            raise InvalidInput("--key, --baselines and --into are for files: a log has streams of its own")
        with at_scale.crew() as crew:
            found = es.backfill_ledger(files[0].removeprefix(_LEDGER), template, crew=crew)
        return _told(found, state, as_json=as_json)
    with at_scale.rules() as rules:
        opener, _ = at_scale.opener(classifier, taxonomy)
        found = es.backfill(files, template, key=tuple(key or ()), baselines=known, classifier=opener, rules=rules)
    return _told(found, state, as_json=as_json)


def _told(found: es.Replayed, state: Path | None, *, as_json: bool) -> int:
    """Write the state, show the alerts; a line about the whole on standard error, and the exit code."""
    if state is not None:
        found.save(state)
    for alert in found.alerts:
        plain = as_json or not sys.stdout.isatty()
        sys.stdout.write(json_line(alert.to_dict()) + "\n") if plain else to_terminal(alert_view(alert))
    standing = sum(one.is_alerting for _, one in found.monitors)
    warn(f"{found.rows:,} responses in {len(found.monitors):,} streams; {standing:,} alerts standing")
    if found.rejected:
        warn(f"{found.rejected:,} rows were not used: {'; '.join(found.first)}")
    if standing:
        return GATE_FAILED
    return FAILED if found.rejected else DONE
