"""The dashboard: pages of a service. Served by the process itself; they ask no other host for anything.

frame       templates, escaping, the policy a browser is held to, assets
refusing    errors as pages
board       what pages have at hand
live        server-sent events: which streams moved
drawing     figures over time as paths
course      one stream over its responses
looking     which of them a page shows
tracing     the evidence of a young stream, from its log
streamed    one stream as its page shows it
glance      streams on a line each
alerting    an alert, with what its exemplars said
stored      runs of the store, their reports, comparisons
reviewing   labels in the browser
labels      the handlers of runs and labels
configured  what the service runs with
granted     the handlers of keys, users and the audit log
pages       the other handlers, and all routes
"""

from __future__ import annotations

from ethostat.server.dashboard.board import Board
from ethostat.server.dashboard.pages import routes

__all__ = ["Board", "routes"]
