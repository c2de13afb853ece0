"""Alert: what a monitor says, once, when something begins or ends: what moved, since when, on what promise."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Self

from ethostat.errors import InvalidInput
from ethostat.maths.estimate import Estimate
from ethostat.visible import stripped

CHANGE, RECOVERED, NO_DATA, DATA_BACK, CLOSED = "change", "recovered", "no-data", "data-back", "closed"
DRIFT, CLASSIFIER = "drift", "classifier"
PAGE, WARN = "page", "warn"
RESPONSES, SESSIONS = "responses", "sessions"
"""What profiles count; a session counts as one, split over the goals of its responses."""


@dataclass(frozen=True, slots=True)
class Moved:
    """A goal whose share changed: before (the baseline, at the window's mix of strata) and after (the window)."""

    goal: str
    name: str
    before: Estimate
    after: Estimate

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {"goal": self.goal, "name": self.name, "from": self.before.to_dict(), "to": self.after.to_dict()}

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> Self:
        """The inverse of `to_dict`."""
        estimates = (Estimate.from_dict(fields[key]) for key in ("from", "to"))
        return cls(fields["goal"], fields["name"], *estimates)

    def __str__(self) -> str:
        return f"{self.goal} {stripped(self.name, most=40)} {percent(self.before)} -> {percent(self.after)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What the responses since a change look like beside the baseline. Profiles map goals to counts of `unit`."""

    baseline: Mapping[str, float]
    window: Mapping[str, float]
    moved: tuple[Moved, ...]
    entropy_before: Estimate
    entropy_after: Estimate
    aligned_before: Estimate
    aligned_after: Estimate
    action: str
    reason: str
    unit: str = RESPONSES

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "baseline": {"profile": dict(self.baseline)},
            "window": {"profile": dict(self.window)},
            "moved": [one.to_dict() for one in self.moved],
            "entropy": {"before": self.entropy_before.to_dict(), "after": self.entropy_after.to_dict()},
            "aligned": {"before": self.aligned_before.to_dict(), "after": self.aligned_after.to_dict()},
            "action": self.action,
            "reason": self.reason,
            "unit": self.unit,
        }

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> Self:
        """The inverse of `to_dict`."""
        entropy, aligned = fields["entropy"], fields["aligned"]
        return cls(
            baseline=dict(fields["baseline"]["profile"]),
            window=dict(fields["window"]["profile"]),
            moved=tuple(Moved.from_dict(one) for one in fields["moved"]),
            entropy_before=Estimate.from_dict(entropy["before"]),
            entropy_after=Estimate.from_dict(entropy["after"]),
            aligned_before=Estimate.from_dict(aligned["before"]),
            aligned_after=Estimate.from_dict(aligned["after"]),
            action=fields["action"],
            reason=fields["reason"],
            unit=fields["unit"],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """Something began or ended.

    `kind` is "change", "recovered", "drift" (of a baseline that was learned), "classifier" (an
    audit: the classifier moved), "no-data", "data-back", or "closed" (a standing alert ended by a new epoch). `tier`
    is "page" (counted in the promise) or "warn" (no promise). `id` is the same after a restart; `repeat` counts how
    often this change was notified before. `log_evidence` is in nats, None for detectors that give none; `statistic` and
    `threshold` are the detector's own. One of `run_length` and `alpha` is what was promised, and `promise` says so in
    words. `since` is the number of the first changed response, counted as `step` is. `exemplars` are ids of responses
    since then on goals that rose. `finding` is None where there is nothing to look at.
    """

    id: str
    time: str | None
    step: int
    monitor: str
    kind: str
    tier: str
    repeat: int
    detector: str
    log_evidence: float | None
    statistic: float | None
    threshold: float | None
    run_length: float | None
    alpha: float | None
    promise: str
    since: Estimate | None
    baseline: str
    finding: Finding | None
    exemplars: tuple[str, ...]
    epoch: Mapping[str, Any]

    @property
    def message(self) -> str:
        """One line for people on call, without control characters."""
        head = "PAGE" if self.tier == PAGE else "warn" if self.kind == DRIFT else "warn, unbudgeted"
        return f"{head}: {stripped(self.monitor, most=80)} {_MESSAGES[self.kind](self)}"

    def to_dict(self) -> dict[str, Any]:
        """Plain values; the JSON form of an alert."""
        finding = None if self.finding is None else self.finding.to_dict()
        baseline: dict[str, Any] = {"name": self.baseline}
        if finding is not None:
            baseline |= finding.pop("baseline")
        return {
            "id": self.id,
            "time": self.time,
            "step": self.step,
            "monitor": self.monitor,
            "kind": self.kind,
            "tier": self.tier,
            "repeat": self.repeat,
            "detector": self.detector,
            "log_evidence": self.log_evidence,
            "statistic": self.statistic,
            "threshold": self.threshold,
            "run_length": self.run_length,
            "alpha": self.alpha,
            "promise": self.promise,
            "since": None if self.since is None else self.since.to_dict(),
            "baseline": baseline,
            **(dict.fromkeys(_OF_FINDING) if finding is None else finding),
            "exemplars": list(self.exemplars),
            "epoch": dict(self.epoch),
            "message": self.message,
        }

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> Self:
        """The inverse of `to_dict`. Raises InvalidInput where a field is missing or of the wrong type."""
        try:
            return cls(
                **{key: fields[key] for key in _PLAIN},
                since=None if fields["since"] is None else Estimate.from_dict(fields["since"]),
                baseline=fields["baseline"]["name"],
                finding=None if fields["window"] is None else Finding.from_dict(fields),
                exemplars=tuple(fields["exemplars"]),
                epoch=dict(fields["epoch"]),
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise InvalidInput(f"this is not an Alert: {error!r}; pass what `ethostat monitor` printed") from error


def percent(share: Estimate) -> str:
    """A share without its interval, for one line."""
    return f"{share.value:.1%}" if share.is_defined else "?"


def _change(alert: Alert) -> str:
    still = "still changed" if alert.repeat else "changed"
    return (
        f"{still}{_since(alert)}: {_moved(alert)}; "
        f"{alert.detector} {_number(alert.statistic)} of {_number(alert.threshold)}; {_next(alert)}"
    )


def _drift(alert: Alert) -> str:
    return (
        f"drifted while its baseline was learned, until response {alert.step}: {_moved(alert)}; "
        f"p {_number(alert.statistic)}; {_next(alert)}"
    )


def _classifier(alert: Alert) -> str:
    moved = f": {_moved(alert)}" if alert.finding else ": it has no verdicts"
    return f"the classifier moved, not the model, since audited response {_place(alert)}{moved}; {_next(alert)}"


def _place(alert: Alert) -> str:
    return "?" if alert.since is None else f"{alert.since.value:.0f}"


def _moved(alert: Alert) -> str:
    assert alert.finding is not None  # noqa: S101 - a change is always looked at
    found = alert.finding
    return (
        f"{', '.join(map(str, found.moved[:3]))}; aligned {percent(found.aligned_before)} -> "
        f"{percent(found.aligned_after)}; S {found.entropy_before.value:.2f} -> {found.entropy_after.value:.2f} nats "
        f"over {sum(found.window.values()):.0f} {found.unit}"
    )


def _next(alert: Alert) -> str:
    return f"next: {alert.finding.action}" if alert.finding else ""


def _since(alert: Alert) -> str:
    if alert.since is None:
        return f" by response {alert.step}"
    one = alert.since
    ends = f" [{one.low:.0f}, {one.high:.0f}]" if one.low == one.low else ""
    return f" since response {one.value:.0f}{ends}, seen at {alert.step}"


def _number(value: float | None) -> str:
    return "?" if value is None else f"{value:.3g}"


_MESSAGES: dict[str, Callable[[Alert], str]] = {
    CHANGE: _change,
    DRIFT: _drift,
    CLASSIFIER: _classifier,
    RECOVERED: lambda alert: f"recovered: responses fit the baseline again{_since(alert)}",
    NO_DATA: lambda alert: f"no data: nothing has come since response {alert.step}",
    DATA_BACK: lambda alert: f"data again, from response {alert.step}",
    CLOSED: lambda alert: f"closed at response {alert.step}: a new epoch begins, so that the alert no longer stands",
}
_PLAIN = (
    "id", "time", "step", "monitor", "kind", "tier", "repeat", "detector", "log_evidence", "statistic", "threshold",
    "run_length", "alpha", "promise",
)  # fmt: skip
_OF_FINDING = ("window", "moved", "entropy", "aligned", "action", "reason", "unit")
