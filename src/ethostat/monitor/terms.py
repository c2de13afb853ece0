"""Terms: what a monitor promises about false alarms, and what that rests on, in words."""

from __future__ import annotations

from dataclasses import dataclass

from ethostat.maths.evidence.promise import Lifetime, Promise
from ethostat.monitor.kinds import Kind
from ethostat.monitor.sessions import SessionEnd

NOT_BUDGETED = "none: warnings are not budgeted; expect about ten times as many false ones as false pages"


@dataclass(frozen=True, slots=True)
class Terms:
    """A promise, who keeps it, and for which form of evidence."""

    promise: Promise
    kind: Kind
    stratified: bool = False
    soft: bool = False
    sessions: SessionEnd | None = None

    @property
    def words(self) -> str:
        """One sentence."""
        if self.kind.rests_on is None:
            return f"none: the detector {self.kind.name} keeps no run length"
        strata = ", for strata that do not depend on what the model says" if self.stratified else ""
        soft = ", where probabilities are calibrated" if self.soft else ""
        sessions = ", for sessions that do not depend on each other" if self.sessions else ""
        return f"{self._promised()}{strata}{soft}{sessions}; it rests on {self.kind.rests_on}"

    def _promised(self) -> str:
        if isinstance(self.promise, Lifetime):
            return f"at most {self.promise.alpha:.2%} chance of a false page ever, counted anew after each alert"
        return f"false pages at least {self.promise.responses:,.0f} responses apart on average"
