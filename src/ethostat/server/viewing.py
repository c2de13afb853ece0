"""What people see of streams and alerts, as plain values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from typing import Any

import numpy as np

from ethostat.ledger import Deployment, Event, KeptAlert, Minute, Stream
from ethostat.maths.entropy import entropy
from ethostat.maths.panel import aligned_share
from ethostat.monitor import Monitor
from ethostat.taxonomy import Taxonomy


def monitor_in(stream: Stream) -> Monitor | None:
    """The monitor of a stream as it stands on disk; None where nothing was followed yet."""
    return None if stream.monitor is None else Monitor.from_dict(stream.monitor)


def stream_view(stream: Stream, taxonomy: Taxonomy, *, now: float) -> dict[str, Any]:
    """A stream: its state, the profile and S of this epoch, the evidence, and how far behind it is."""
    monitor = monitor_in(stream)
    taxonomy = taxonomy if monitor is None else monitor.taxonomy  # a stream keeps what it began with
    counts = [0.0] * len(taxonomy.goals) if monitor is None else list(monitor.counts)
    return {
        "stream": stream.name,
        "state": "learning" if monitor is None else monitor.state,
        "count": sum(stream.counts.values()),
        "failures": stream.failures,
        "profile": dict(zip(taxonomy.keys, counts, strict=True)),
        "entropy": entropy(counts).to_dict(),
        "aligned": _aligned(counts, taxonomy),
        "epoch": None if monitor is None else _epoch(monitor),
        "baseline": None if monitor is None else monitor.baseline.name,
        "evidence": None if monitor is None else _evidence(monitor),
        "lag": {
            "events": stream.waiting,
            "seconds": 0.0 if stream.waits_since is None else max(0.0, round(now - stream.waits_since, 3)),
        },
        "updated": moment(stream.updated),
    }


def monitor_view(monitor: Monitor) -> dict[str, Any]:
    """What a monitor was made with, and where it stands."""
    settings = monitor.settings_to_dict()
    names = ("promise", "detector", "stratified", "soft", "sessions", "policy", "baseline")
    return {
        **{name: settings[name] for name in names},
        "taxonomy": {"name": monitor.taxonomy.name, "version": monitor.taxonomy.version, "hash": monitor.taxonomy.hash},
        "state": monitor.state,
        "epoch": _epoch(monitor),
        "evidence": _evidence(monitor),
        "snoozed_until": monitor.snoozed_until,
        "acknowledged": monitor.is_acknowledged,
    }


def alert_view(alert: KeptAlert) -> dict[str, Any]:
    """An alert and what people did with it."""
    return {
        **alert.body,
        "number": alert.number,
        "stream": alert.stream,
        "created": moment(alert.created),
        "acknowledged": None
        if alert.acknowledged_at is None
        else {"by": alert.acknowledged_by, "at": moment(alert.acknowledged_at)},
        "expected": alert.expected,
    }


def event_view(event: Event) -> dict[str, Any]:
    """An event of the log, with its text where that is kept."""
    turns = None if event.prompt is None else [asdict(message) for message in event.prompt.messages]
    return {
        "seq": event.seq,
        "id": event.id,
        "received": moment(event.received),
        "time": event.time,
        "session": event.session,
        "model": event.model,
        "labels": dict(event.labels),
        "goal": event.goal,
        "probabilities": None if event.probabilities is None else list(event.probabilities),
        "typicality": event.typicality,
        "classifier": event.classifier,
        "failure": event.failure,
        "messages": turns,
        "response": event.response,
        "erased": event.erased,
    }


def minute_view(minute: Minute, taxonomy: Taxonomy) -> dict[str, Any]:
    """A minute of a stream: its counts, S, and the evidence at its end."""
    counts = [minute.counts.get(key, 0) for key in taxonomy.keys]
    return {
        "time": moment(minute.start),
        "profile": dict(zip(taxonomy.keys, counts, strict=True)),
        "failures": minute.failures,
        "entropy": entropy(counts).to_dict(),
        "evidence": minute.evidence,
        "threshold": minute.threshold,
    }


def deployment_view(one: Deployment) -> dict[str, Any]:
    """A declared version."""
    fields = {"id": one.id, "version": one.version, "note": one.note, "by": one.by, "streams": list(one.streams)}
    return {**fields, "time": moment(one.time)}


def _aligned(counts: Sequence[float], taxonomy: Taxonomy) -> Mapping[str, Any]:
    row = np.round(np.array(counts))[None, :]
    found = aligned_share(row, taxonomy.aligned)
    return (replace(found, method="Wilson, independent responses") if found.is_defined else found).to_dict()


def moment(seconds: float | None) -> str | None:
    """Seconds since 1970 in ISO 8601."""
    if seconds is None:
        return None
    try:
        return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
    except (OverflowError, ValueError, OSError):
        return None


def _epoch(monitor: Monitor) -> dict[str, Any]:
    return {"number": monitor.epoch.number, "began": monitor.epoch.began, "version": monitor.epoch.version}


def _evidence(monitor: Monitor) -> dict[str, Any] | None:
    reading = monitor.reading
    return None if reading is None else {"value": reading.evidence, "threshold": reading.threshold}
