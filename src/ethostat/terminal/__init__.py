"""How things look in a terminal: measurements, runs, progress; nothing that a model wrote reaches it unstripped."""

from __future__ import annotations

from ethostat.terminal.alerts import alert_view, look_view, screened_view, streams_view
from ethostat.terminal.classifiers import agreement_view, evaluation_view, trained_view
from ethostat.terminal.gauge import Gauge, span
from ethostat.terminal.measurements import forecast_view, groups_view, measurement_view, review_view
from ethostat.terminal.promises import calibration_view, selftest_view
from ethostat.terminal.screen import rows_view, to_terminal
from ethostat.terminal.shifts import shift_view, shifts_view

__all__ = [
    "Gauge",
    "agreement_view",
    "alert_view",
    "calibration_view",
    "evaluation_view",
    "forecast_view",
    "groups_view",
    "look_view",
    "measurement_view",
    "review_view",
    "rows_view",
    "screened_view",
    "selftest_view",
    "shift_view",
    "shifts_view",
    "span",
    "streams_view",
    "to_terminal",
    "trained_view",
]
