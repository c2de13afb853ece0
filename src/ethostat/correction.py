"""Correction: the figures of a measurement once the classifier's errors are undone, and what that rests on.

`corrected.correct` makes one. `to_dict` and `from_dict` are its JSON form, the key `corrected` of a measurement's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from ethostat.maths.estimate import Estimate


@dataclass(frozen=True, slots=True)
class Basis:
    """Labelled rows that a correction rests on: their name, content hash and number."""

    name: str
    hash: str
    n: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Correction:
    """What a measurement would say if the classifier never erred, as far as people's labels tell.

    `method` is "post-stratified", "joint" or "soft". `labels` are people's labels of responses of this measurement
    (their number is of those that were used), `calibration` the rows elsewhere on which the classifier was evaluated;
    None where there were none. `calibration_p_value` is small where the classifier errs differently here than there;
    nan where nothing was tested. The estimates stand beside those of the measurement and never replace them: `entropy`
    (mean within-prompt S), `pooled_entropy`, `aligned`, and `shares`, one a goal.
    """

    method: str
    labels: Basis | None
    calibration: Basis | None
    calibration_p_value: float | None
    entropy: Estimate
    pooled_entropy: Estimate
    aligned: Estimate
    shares: tuple[Estimate, ...]
    notes: tuple[str, ...] = ()

    def describe(self) -> str:
        """Method and what it rests on, in one line."""
        labels = f"{self.labels.n:,} labels ({self.labels.name})" if self.labels else "no label of these responses"
        rows = f", {self.calibration.n:,} calibration rows ({self.calibration.name})" if self.calibration else ""
        return f"{self.method}, {labels}{rows}"

    def to_dict(self, goals: Sequence[str]) -> dict[str, Any]:
        """Plain values; the goals' keys name the shares."""
        shares = {goal: {"share": share.to_dict()} for goal, share in zip(goals, self.shares, strict=True)}
        calibration = None
        if self.calibration is not None:
            calibration = {**asdict(self.calibration), "p_value": self.calibration_p_value}
        return {
            "method": self.method,
            "labels": None if self.labels is None else asdict(self.labels),
            "calibration": calibration,
            "entropy": self.entropy.to_dict(),
            "pooled_entropy": self.pooled_entropy.to_dict(),
            "aligned": self.aligned.to_dict(),
            "profile": shares,
            "notes": list(self.notes),
        }

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> Correction:
        """The inverse of `to_dict`."""
        calibration = dict(fields["calibration"]) if fields["calibration"] else {"p_value": None}
        p_value = calibration.pop("p_value")
        return cls(
            method=fields["method"],
            labels=None if fields["labels"] is None else Basis(**fields["labels"]),
            calibration=Basis(**calibration) if calibration else None,
            calibration_p_value=p_value,
            **{key: Estimate.from_dict(fields[key]) for key in ("entropy", "pooled_entropy", "aligned")},
            shares=tuple(Estimate.from_dict(goal["share"]) for goal in fields["profile"].values()),
            notes=tuple(fields["notes"]),
        )
