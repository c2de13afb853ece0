"""Voice: makes a monitor's alerts, numbers them, and keeps them until they are given."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, NamedTuple

from ethostat.maths.evidence.promise import Lifetime, RunLength
from ethostat.monitor.alert import WARN, Alert
from ethostat.monitor.policy import Epoch
from ethostat.monitor.terms import NOT_BUDGETED, Terms


class Now(NamedTuple):
    """Where a stream stands when something is said about it."""

    step: int
    time: str | None
    baseline: str
    epoch: Epoch


@dataclass(slots=True)
class Voice:
    """Speaks for the monitor of this name, on these terms. `queue` are alerts that were not given yet."""

    name: str
    terms: Terms
    alerts: int = 0
    queue: list[Alert] = field(default_factory=list)

    def say(self, kind: str, tier: str, now: Now, **what: Any) -> None:
        """An alert of this kind; `what` are further fields of it."""
        self.alerts += 1
        self.queue.append(replace(self._bare(kind, tier, now), **what))

    def due(self) -> Alert | None:
        """The oldest that was not given yet."""
        return self.queue.pop(0) if self.queue else None

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {"alerts": self.alerts, "queue": [alert.to_dict() for alert in self.queue]}

    def restore(self, fields: Mapping[str, Any]) -> None:
        """Go on with these."""
        self.alerts, self.queue = fields["alerts"], [Alert.from_dict(alert) for alert in fields["queue"]]

    def _bare(self, kind: str, tier: str, now: Now) -> Alert:
        promise = self.terms.promise
        return Alert(
            id=f"{self.name}/{self.alerts}",
            time=now.time,
            step=now.step,
            monitor=self.name,
            kind=kind,
            tier=tier,
            repeat=0,
            detector=self.terms.kind.name,
            log_evidence=None,
            statistic=None,
            threshold=None,
            run_length=promise.responses if isinstance(promise, RunLength) else None,
            alpha=promise.alpha if isinstance(promise, Lifetime) else None,
            promise=NOT_BUDGETED if tier == WARN else self.terms.words,
            since=None,
            baseline=now.baseline,
            finding=None,
            exemplars=(),
            epoch=asdict(now.epoch),
        )
