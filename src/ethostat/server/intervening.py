"""What people do to a monitor, by kind: the same when it is done and when the log is read again."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ethostat.errors import InvalidInput
from ethostat.monitor import Baseline, Monitor

Body = Mapping[str, Any]


def apply(monitor: Monitor, kind: str, body: Body) -> None:
    """Do it. Raises InvalidInput where the kind or what it is given is none."""
    if kind not in INTERVENTIONS:
        raise InvalidInput(f"intervention {kind!r} must be one of {', '.join(INTERVENTIONS)}")
    INTERVENTIONS[kind](monitor, body)


def _acknowledge(monitor: Monitor, _: Body) -> None:
    monitor.acknowledge()


def _snooze(monitor: Monitor, body: Body) -> None:
    monitor.snooze(int(body["responses"]))


def _expected(monitor: Monitor, _: Body) -> None:
    monitor.expect()


def _baseline(monitor: Monitor, body: Body) -> None:
    monitor.begin_epoch(baseline=Baseline.from_dict(body["baseline"]))


def _deployment(monitor: Monitor, body: Body) -> None:
    monitor.begin_epoch(version=str(body["version"]))


INTERVENTIONS: dict[str, Callable[[Monitor, Body], None]] = {
    "acknowledge": _acknowledge,
    "snooze": _snooze,
    "expected": _expected,
    "baseline": _baseline,
    "deployment": _deployment,
}
"""By kind; each is given the monitor and the body that is kept in the log."""
