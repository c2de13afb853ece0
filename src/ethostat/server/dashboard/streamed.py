"""One stream as its page shows it: figures, what happened, what it is held against, what labels make of it."""

from __future__ import annotations

from typing import Any

from ethostat.ledger import Intervention, KeptAlert, Position
from ethostat.ledger.courses import buckets, interventions_since
from ethostat.maths.entropy import entropy
from ethostat.maths.panel import aligned_share
from ethostat.monitor import Monitor
from ethostat.server.dashboard import course
from ethostat.server.dashboard.board import Board
from ethostat.server.dashboard.glance import state_in_words
from ethostat.server.dashboard.live import Name
from ethostat.server.dashboard.looking import View, Window, window_of
from ethostat.server.dashboard.reviewing import Standing, labelled_run, standing_of
from ethostat.server.following import monitor_of
from ethostat.server.service import NotFound
from ethostat.taxonomy import Taxonomy

_ALERTS, _LISTED = 200, 20


def stream_shown(board: Board, tenant: str, name: str, view: View) -> dict[str, Any]:
    """What the living part of the page shows. Raises NotFound."""
    ledger, now = board.ledger, board.service.pipeline.now()
    position = ledger.find_stream(tenant, name)
    if position is None:
        raise NotFound("there is no such stream; the first page lists all")
    monitor = monitor_of(position, board.service.pipeline.template)
    window = window_of(ledger, position, view, step=monitor.step, now=now)
    alerts = ledger.alerts(tenant=tenant, stream=name, most=_ALERTS)
    signals = _signals(board, position, monitor, alerts)
    listed = ledger.streams(tenant=tenant, name=name)
    waits = listed[0].waits_since if listed else None
    drawn = _drawn(board, position, window, alerts, signals=signals, taxonomy=monitor.taxonomy, at=view.at)
    return {
        "taxonomy": monitor.taxonomy,  # until its next event a stream keeps the goals that it had
        "drawn": drawn,
        "is_latest": window.is_latest,
        "view": view,
        "monitor": monitor,
        "state": monitor.state,
        "said": state_in_words(monitor),
        "promise": course.promise_words(monitor),
        "entropy": entropy(monitor.counts),
        "aligned": _aligned(monitor),
        "counted": sum(position.counts.values()),
        "failures": position.failures,
        "waiting": course.is_behind(position),
        "lag": 0.0 if waits is None else max(0.0, now - waits),
        "evidence": course.reading_of(monitor),
        "alerts": alerts[:_LISTED],
        "more_alerts": len(alerts) > _LISTED,
    }


def corrected_shown(board: Board, name: str) -> Standing | None:
    """The figures of the latest run of this stream that people labelled, corrected; None where nobody did."""
    run = labelled_run(board.store, name)
    if run is None:
        return None
    last = board.store.acts(run)[-1].key
    known = board.standings.get(name)
    if known is None or known[:2] != (run, last):
        known = board.standings[name] = (run, last, standing_of(board.store, run))
    return known[2]


def _aligned(monitor: Monitor) -> Any:
    counts = [list(map(round, monitor.counts))]
    return aligned_share(counts, monitor.taxonomy.aligned) if sum(monitor.counts) else None


def _drawn(
    board: Board,
    position: Position,
    window: Window,
    alerts: list[KeptAlert],
    *,
    signals: list[course.Signal],
    taxonomy: Taxonomy,
    at: int | None,
) -> course.Drawn | None:
    ledger = board.ledger
    if window.events < 1:
        return None
    found = buckets(ledger, position.stream_key, cursor=window.cursor, last=window.events)
    rows = course.rows_of(found, taxonomy, step=window.step)
    after = max(found[0].first - 1, 0) if found else 0
    done: list[Intervention] = [
        one for one in interventions_since(ledger, position.stream_key, after=after) if one.cursor <= window.cursor
    ]
    return course.draw(rows, signals, course.signs_of(alerts, done, found, rows), taxonomy, at=at)


def _signals(board: Board, position: Position, monitor: Monitor, alerts: list[KeptAlert]) -> list[course.Signal]:
    """The evidence as far as it is known: by minutes, where alerts were given, and as pages saw it."""
    kept = course.signals_of(board.ledger.minutes(position.stream_key), step=monitor.step)
    seen = board.trace(Name(position.tenant, position.stream), course.reading_of(monitor), position)
    known = {one.step: one for one in (*kept, *course.signals_in(alerts), *seen)}
    return [known[step] for step in sorted(known)]
