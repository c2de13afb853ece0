"""Real alerts for the tests of notify: of a monitor that saw its stream change."""

from __future__ import annotations

import ethostat as es


def changed(name: str = "prod") -> es.Alert:
    """The page of a stream that was all g1 and became all g2."""
    monitor = es.Monitor(es.Profile((960, 14, 20, 2, 4)), name=name)
    return next(alert for n in range(200) if (alert := monitor.update("g2", id=f"r{n}")) and alert.tier == "page")
