"""serve: beside the traffic: events in, monitors, alerts and metrics out."""

from __future__ import annotations

import os
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated

import ethostat as es
from ethostat.cli.frame import DONE, find_detector, json_line, named_classifier, opened_store
from ethostat.cli.options import (
    COUNTING,
    KEEPING,
    PROMISED,
    ClassifierSpec,
    Db,
    DetectorName,
    SessionField,
    SessionIdle,
    Soft,
    Stratum,
    TaxonomySpec,
    Warnings,
    check_soft,
    option,
)
from ethostat.errors import InvalidInput, MissingExtra
from ethostat.response import TRANSCRIPTS

_LISTENING = "Where it listens"
_MOST_WORKERS = 8


def serve(
    db: Db = None,
    host: Annotated[
        str, option("--host", "Address to listen on; others than this machine need keys.", env="HOST", panel=_LISTENING)
    ] = "127.0.0.1",
    port: Annotated[
        int, option("--port", "Port to listen on; 0 takes a free one.", env="PORT", panel=_LISTENING)
    ] = 8750,
    proxy: Annotated[
        str | None,
        option(
            "--proxy",
            "Base URL of a model server: what comes to /v1 is forwarded there, and answers are observed. Or a local "
            "model to try it with: smollm2, gguf:PATH.",
            env="PROXY",
            panel=_LISTENING,
        ),
    ] = None,
    observe: Annotated[
        list[str] | None,
        option(
            "--observe",
            "With --proxy: the share of exchanges that is observed, as 0.1, or that of one stream, as checkout=1; "
            "repeatable.",
            panel=_LISTENING,
            show_default="1",
        ),
    ] = None,
    stream_attribute: Annotated[
        str | None,
        option(
            "--stream-attribute",
            "OpenTelemetry attribute that names the stream of a span.",
            env="STREAM_ATTRIBUTE",
            panel=_LISTENING,
            show_default="service.name and the model",
        ),
    ] = None,
    allowed_host: Annotated[
        list[str] | None,
        option("--allowed-host", "A name by which it is called, beside its address (repeatable).", panel=_LISTENING),
    ] = None,
    address: Annotated[
        str | None,
        option("--address", "The URL by which people reach it, for links in alerts.", env="ADDRESS", panel=_LISTENING),
    ] = None,
    notify: Annotated[
        Path | None,
        option("--notify", "Where alerts go: a YAML or JSON file of targets and rules.", env="NOTIFY", panel=PROMISED),
    ] = None,
    otlp_endpoint: Annotated[
        str | None,
        option(
            "--otlp-endpoint",
            "OTLP/HTTP receiver (http://host:4318) to which each verdict is sent as gen_ai.evaluation.result; its "
            "key comes from OTEL_EXPORTER_OTLP_HEADERS.",
            env="OTLP_ENDPOINT",
            panel=PROMISED,
        ),
    ] = None,
    baseline: Annotated[
        str,
        option(
            "--baseline",
            "What is normal: `first:N` (the first N responses of each stream), `counts:960,14,20,2,4` (by goal), a "
            "file of responses, a Measurement file, or a run of the store.",
            env="BASELINE",
            panel=PROMISED,
        ),
    ] = "first:500",
    run_length: Annotated[
        float, option("--run-length", "Responses between false pages of a stream, on average.", panel=PROMISED)
    ] = 10_000.0,
    alpha: Annotated[
        float | None,
        option("--alpha", "In place of --run-length: the chance that a stream ever has a false page.", panel=PROMISED),
    ] = None,
    detector: DetectorName = "profile",
    soft: Soft = False,
    stratum: Stratum = None,
    session: SessionField = None,
    session_idle: SessionIdle = 500,
    warnings: Warnings = True,
    renotify: Annotated[
        int | None, option("--renotify", "Say again after so many responses that an alert stands.", panel=PROMISED)
    ] = None,
    silence: Annotated[
        float | None, option("--silence", "Seconds without a response that are no data.", panel=PROMISED)
    ] = None,
    classifier: ClassifierSpec = "builtin",
    taxonomy: TaxonomySpec = None,
    workers: Annotated[
        int | None,
        option(
            "--workers",
            "Processes that classify; they start when there is something to classify.",
            env="WORKERS",
            panel=COUNTING,
            show_default="one a processor, at most eight",
        ),
    ] = None,
    store_text: Annotated[
        str,
        option(
            "--store-text",
            "Which prompts and responses stay once they are classified: never, sampled or all.",
            env="STORE_TEXT",
            panel=KEEPING,
        ),
    ] = "sampled",
    text_share: Annotated[
        float, option("--text-share", "With sampled: the share of texts that stay.", panel=KEEPING)
    ] = 0.05,
    redact: Annotated[
        list[str] | None,
        option(
            "--redact",
            "What is taken out before anything is kept, classified or shown: email, phone, key, card, ip or all; "
            "`re:PATTERN`; or a function of your own, `module:function` (repeatable).",
            panel=KEEPING,
        ),
    ] = None,
    most_streams: Annotated[
        int, option("--most-streams", "Streams that there may be; each costs memory.", panel=KEEPING)
    ] = 1_000,
    retention: Annotated[
        float | None,
        option("--retention", "Days after which events are deleted; counts and alerts stay.", panel=KEEPING),
    ] = None,
    as_json: Annotated[bool, option("--json", "Print the address as JSON once it listens.")] = False,
) -> int:
    """Serve: take responses or verdicts over HTTP, watch every stream, and say when one changes.

    Events come to POST /v1/events and are on disk when they are acknowledged; the process may be killed at any moment
    and goes on where it was, every event counted once. Streams, alerts and metrics are read from the same address:

      ethostat serve --db serve.db                               on http://127.0.0.1:8750, one SQLite file

      ethostat serve --db postgresql://user@host/name            several such processes share its streams

      ethostat serve --proxy https://host/v1                     between an application and its model server

      ethostat serve --proxy smollm2                             the same, with a small model of its own behind it

    It listens on this machine alone; to listen elsewhere, first make a key (`ethostat keys add`). SIGTERM and Ctrl-C
    end it once what was accepted is on disk.
    Needs the extra: pip install 'ethostat[serve]' (and `postgres`).
    """
    try:
        from ethostat.models.hosting import hosted, is_hosted
        from ethostat.server.evaluations import Endpoint
        from ethostat.server.grouping import Grouping
        from ethostat.server.intake import Bounds
        from ethostat.server.proxy import ProxySettings
        from ethostat.server.redaction import read_redaction
        from ethostat.server.running import serve as run
        from ethostat.server.settings import ServeSettings, Texts
        from ethostat.server.watching import Sampling
    except ModuleNotFoundError as error:
        raise MissingExtra(error.name or "starlette", "serve") from error
    sorter, goals = named_classifier(classifier, taxonomy)
    if sorter is not None:
        es.check_goals(sorter, goals)
    normal = _baseline(baseline, goals, sorter, db, stratum=stratum, session=session)
    check_soft(soft, normal)
    with hosted(proxy) if proxy is not None and is_hosted(proxy) else nullcontext(proxy) as upstream:
        settings = ServeSettings(
            template=es.Monitor(
                normal,
                run_length=run_length,
                alpha=alpha,
                detector=find_detector(detector),
                taxonomy=goals,
                name="serve",
                stratified=stratum is not None,
                soft=soft,
                sessions=None if session is None else es.SessionEnd(idle=session_idle),
                policy=es.Policy(renotify=renotify, silence=silence, warn=warnings),
            ),
            database=db or str(es.default_path()),
            host=host,
            port=port,
            classifier=classifier,
            workers=workers or min(os.cpu_count() or 1, _MOST_WORKERS),
            texts=Texts(store_text, text_share),
            bounds=Bounds(streams=most_streams),
            retention=retention,
            grouping=Grouping(stratum, session or "session"),
            redact=read_redaction(redact or []),
            proxy=None if upstream is None else ProxySettings(upstream, sampling=Sampling(*_shares(observe or []))),
            stream_attribute=stream_attribute,
            names=tuple(allowed_host or ()),
            address=None if address is None else address.rstrip("/"),
            evaluations=None if otlp_endpoint is None else Endpoint.from_environment(otlp_endpoint),
            notify=None if notify is None else es.read_routing(notify),
        )
        run(settings, on_listening=lambda url: _say(url, as_json=as_json))
    return DONE


def _shares(written: list[str]) -> tuple[float, dict[str, float]]:
    """The share of all streams, and those of streams by name."""
    share, streams = 1.0, {}
    for one in written:
        stream, _, number = one.rpartition("=")
        try:
            value = float(number)
        except ValueError:
            raise InvalidInput(
                f"--observe takes a share as 0.1, or as checkout=1 for one stream, got {one!r}"
            ) from None
        if stream:
            streams[stream] = value
        else:
            share = value
    return share, streams


def _say(url: str, *, as_json: bool) -> None:
    sys.stdout.write((json_line({"url": url}) if as_json else f"serving on {url}; Ctrl-C ends it") + "\n")
    sys.stdout.flush()


def _baseline(
    source: str, goals: es.Taxonomy, sorter: es.Classifier | None, db: str | None, **groups: str | None
) -> es.Baseline:
    """A run is looked for in the database that is served; what is no run needs none, which may not be made yet."""
    is_no_run = source.startswith(("first:", "counts:", TRANSCRIPTS)) or Path(source).is_file()
    with nullcontext() if db is None or is_no_run else opened_store(db) as store:
        return es.read_baseline(source, taxonomy=goals, classifier=sorter, store=store, **groups)
