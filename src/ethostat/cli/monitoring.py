"""monitor: an alert when a stream of responses no longer behaves as its baseline does."""

from __future__ import annotations

import sys
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated

import typer

import ethostat as es
from ethostat.cli.frame import (
    DONE,
    FAILED,
    GATE_FAILED,
    INCONCLUSIVE,
    find_detector,
    json_line,
    named_classifier,
    opened_store,
    warn,
)
from ethostat.cli.options import (
    COUNTING,
    KEEPING,
    PROMISED,
    STREAMS,
    ClassifierSpec,
    Db,
    DetectorName,
    MonitorName,
    Renotify,
    RunLength,
    SessionField,
    SessionIdle,
    Soft,
    Stratum,
    StreamKey,
    TaxonomySpec,
    Warnings,
    check_soft,
    option,
)
from ethostat.terminal import alert_view, screened_view, to_terminal


def monitor(
    file: Annotated[
        str, typer.Argument(help="Rows of verdicts or responses: JSONL, CSV or Parquet; `-` is standard input.")
    ] = "-",
    baseline: Annotated[
        str,
        option(
            "--baseline",
            "What is normal: `first:N` (the first N responses of the stream), `counts:960,14,20,2,4` (by goal), a file "
            "of responses, a Measurement file, or a run of the store.",
            env="BASELINE",
        ),
    ] = "first:500",
    baselines: Annotated[
        Path | None,
        option(
            "--baselines",
            "What is normal for each key of --key: a JSONL file, as `ethostat streams save` writes; keys that it lacks "
            "take --baseline.",
        ),
    ] = None,
    run_length: RunLength = 10_000.0,
    alpha: Annotated[
        float | None,
        option(
            "--alpha", "In place of --run-length: the chance that a false page ever comes, at most.", panel=PROMISED
        ),
    ] = None,
    detector: DetectorName = "profile",
    soft: Soft = False,
    warnings: Warnings = True,
    fdr: Annotated[
        float | None,
        option(
            "--fdr",
            "Also name the streams that changed, with at most this share of false ones among them on average: at the "
            "end of the file, or as --fdr-every says.",
            panel=PROMISED,
        ),
    ] = None,
    fdr_every: Annotated[
        int | None, option("--fdr-every", "With --fdr: screen after so many responses of all streams.", panel=PROMISED)
    ] = None,
    key: StreamKey = None,
    stratum: Stratum = None,
    session: SessionField = None,
    session_idle: SessionIdle = 500,
    version: Annotated[
        str | None,
        option("--version-field", "A field with the model's version; another one begins a new epoch.", panel=STREAMS),
    ] = None,
    name: MonitorName = "monitor",
    follow: Annotated[
        bool, option("--follow", "Wait for more at the end of the file, for ever.", panel=KEEPING)
    ] = False,
    state: Annotated[
        Path | None,
        option("--state", "Go on from this file, and keep it up to date; it survives kill -9.", panel=KEEPING),
    ] = None,
    out: Annotated[
        Path | None,
        option("--out", "Also append alerts to this JSONL file; with --state each exactly once.", panel=KEEPING),
    ] = None,
    on_alert: Annotated[
        str | None,
        option(
            "--on-alert",
            "Run this command for each alert, without a shell, with it as JSON on standard input.",
            panel=KEEPING,
        ),
    ] = None,
    on_alert_timeout: Annotated[
        float, option("--on-alert-timeout", "Seconds until such a command is given up and killed.", panel=KEEPING)
    ] = 30.0,
    renotify: Renotify = None,
    silence: Annotated[
        float | None, option("--silence", "With --follow: seconds without a response that are no data.", panel=KEEPING)
    ] = None,
    audit: Annotated[
        Path | None,
        option(
            "--audit",
            "A fixed file of responses with the verdicts that they had; the classifier is asked about them again and "
            "again, and an alert says when it moved.",
            panel=COUNTING,
        ),
    ] = None,
    audit_every: Annotated[
        int, option("--audit-every", "With --audit: ask about 20 of them after so many responses.", panel=COUNTING)
    ] = 500,
    classifier: ClassifierSpec = "builtin",
    taxonomy: TaxonomySpec = None,
    db: Db = None,
    as_json: Annotated[
        bool, option("--json", "An Alert a line, also on a terminal.", show_default="where output is no terminal")
    ] = False,
) -> int:
    """Say when a stream of responses no longer behaves as its baseline does, and how often that may be wrong.

    A row is {"goal": "g1"} or {"probabilities": [...]}, or {"prompt", "response"}, which is classified on the fly; `id`
    and `time` are used where they are there. An alert comes once when something changes, and once when it is over:

      ethostat monitor log.jsonl --baseline first:500             one file, whose first 500 responses are normal

      tail -F log.jsonl | ethostat monitor --baseline first:500   a pipe

      ethostat monitor log.jsonl --follow --state monitor.state   a service, restarted where it was

    The promise: with --run-length 10000, false pages are at least 10,000 responses apart on average, counted for each
    stream. Warnings come about ten times as often and have no promise. The baseline should be of the same traffic:
    behaviour on other prompts is other behaviour.

    Exit codes: 100 an alert stands at the end, 3 no data (no usable row, or too few to learn a baseline), 1 some rows
    could not be used, 0 otherwise.
    """
    sorter, goals = named_classifier(classifier, taxonomy)
    with nullcontext() if db is None else opened_store(db) as store:
        normal = es.read_baseline(
            baseline, taxonomy=goals, classifier=sorter, stratum=stratum, session=session, store=store
        )
    kind = find_detector(detector)
    check_soft(soft, normal)
    template = es.Monitor(
        normal,
        run_length=run_length,
        alpha=alpha,
        detector=kind,
        taxonomy=goals,
        name=name,
        stratified=stratum is not None,
        soft=soft,
        sessions=None if session is None else es.SessionEnd(idle=session_idle),
        policy=es.Policy(renotify=renotify, silence=silence, warn=warnings),
    )
    watched = es.Session(
        es.Monitors(
            template,
            baselines=_by_key(baselines, goals, sessions=session is not None),
            screening=None if fdr is None else es.Screening(fdr, fdr_every),
        ),
        file,
        es.Sorter(goals, sorter),
        columns=es.Columns(tuple(key or ()), stratum, version, session),
        state=state,
        out=out,
        follow=follow,
        audit=None if audit is None else es.read_audit(audit, taxonomy=goals, every=audit_every, name=name),
        on_alert=None if on_alert is None else es.Hook.from_words(on_alert, warn, timeout=on_alert_timeout),
    )
    plain = as_json or not sys.stdout.isatty()
    for alert in watched.alerts():
        sys.stdout.write(json_line(alert.to_dict()) + "\n") if plain else to_terminal(
            alert_view(alert) if isinstance(alert, es.Alert) else screened_view(alert)
        )
        sys.stdout.flush()
    return _conclude(watched)


def _by_key(path: Path | None, goals: es.Taxonomy, *, sessions: bool) -> dict[tuple[str, ...], es.Baseline]:
    return {} if path is None else es.read_baselines(path, taxonomy=goals, sessions=sessions)


def _conclude(session: es.Session) -> int:
    """A line about the whole on standard error, and the exit code."""
    standing, learning, streams = session.standing, session.learning, len(session.monitors)
    warn(
        f"{session.rows} responses in {streams} stream{'s' * (streams != 1)}; "
        f"{len(standing)} alert{'s' * (len(standing) != 1)} standing, {len(learning)} still learning a baseline"
    )
    for reason in session.refused:
        warn(f"an order was not followed: {reason}")
    if session.rejected.count:
        warn(str(session.rejected))
    if standing:
        return GATE_FAILED
    if len(learning) == streams:
        return INCONCLUSIVE
    return FAILED if session.rejected.count else DONE
