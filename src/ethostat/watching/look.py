"""Look: what one look at a model found. "Not known" is an answer of its own, and never a "no"."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ethostat.monitor import Alert

YES, NO, UNKNOWN = "yes", "no", "unknown"


class Unknown(Exception):
    """A look cannot say; why."""


@dataclass(frozen=True, slots=True)
class PromptMoved:
    """A prompt that answers otherwise: shares by goal before, counts since, and how much that says (nats).

    It was picked because it differs, so that its evidence is too large by what picking is worth.
    """

    id: str
    category: str | None
    before: Mapping[str, float]
    since: Mapping[str, int]
    evidence: float

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "id": self.id,
            "category": self.category,
            "from": dict(self.before),
            "to": dict(self.since),
            "log_evidence": self.evidence,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """One look. `answer` to "has the model changed?" is "yes" while an alert stands, "no", or "unknown".

    `reason` says why in a sentence. `number` counts looks from 1; a look that could not be had is taken again, and has
    the same number. `asked` and `judged` count its responses, `spent` all that were asked for, a baseline included.
    `log_evidence` and `threshold` are nats, None where there is no detector yet. `epoch` holds its number, the look it
    began with, and why; `changes` what is another than at the look before, and who changed it; `declared` what the
    server says it is. `alert` is what is new; `prompts`, `categories` and `exemplars` belong to it.
    """

    number: int
    time: str
    answer: str
    reason: str
    run: str | None = None
    asked: int = 0
    judged: int = 0
    spent: int = 0
    log_evidence: float | None = None
    threshold: float | None = None
    promise: str = ""
    baseline: Mapping[str, Any] = field(default_factory=dict)
    epoch: Mapping[str, Any] = field(default_factory=dict)
    changes: tuple[str, ...] = ()
    declared: tuple[str, ...] = ()
    alert: Alert | None = None
    cause: str | None = None
    categories: Mapping[str, Any] = field(default_factory=dict)
    prompts: tuple[PromptMoved, ...] = ()
    exemplars: tuple[Mapping[str, Any], ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Plain values; the JSON form of a look."""
        return {
            "look": self.number,
            "time": self.time,
            "answer": self.answer,
            "reason": self.reason,
            "run": self.run,
            "asked": self.asked,
            "judged": self.judged,
            "spent": self.spent,
            "log_evidence": self.log_evidence,
            "threshold": self.threshold,
            "promise": self.promise,
            "baseline": dict(self.baseline),
            "epoch": dict(self.epoch),
            "changes": list(self.changes),
            "declared": list(self.declared),
            "alert": None if self.alert is None else self.alert.to_dict(),
            "cause": self.cause,
            "categories": dict(self.categories),
            "prompts": [one.to_dict() for one in self.prompts],
            "exemplars": [dict(one) for one in self.exemplars],
        }
