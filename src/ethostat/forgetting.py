"""Forgetting: what a service keeps of one person, one stream or long ago goes, and that it went is in the audit log."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from ethostat.access import Act, Register
from ethostat.errors import InvalidInput
from ethostat.ledger import Ledger, Whose

_DAY = 86_400.0


@dataclass(frozen=True, slots=True)
class Forgetting:
    """What is to be forgotten: one of `days` (what came before so many), a `session`, a `label` (name and value).

    Of one `stream` alone where it is named; a stream by itself is forgotten whole. Raises InvalidInput where none or
    several are named, or the days are not above 0.
    """

    days: float | None = None
    session: str | None = None
    label: tuple[str, str] | None = None
    stream: str | None = None
    tenant: str = ""

    def __post_init__(self) -> None:
        named = [one for one in (self.days, self.session, self.label) if one is not None]
        if len(named) > 1 or not (named or self.stream is not None):
            raise InvalidInput(
                "what is forgotten is older than some days, of a session, of a label, or a stream; name one"
            )
        if self.days is not None and not self.days > 0:
            raise InvalidInput(f"days must be above 0, got {self.days}")

    @property
    def kind(self) -> str:
        """In words, without a name of anybody."""
        of = "" if self.stream is None else f" of stream {self.stream}"
        if self.days is not None:
            return f"events older than {self.days:g} days{of}"
        if self.session is not None:
            return f"a session{of}"
        return f"stream {self.stream}" if self.label is None else f"a label{of}"


@dataclass(frozen=True, slots=True)
class Forgotten:
    """What went: events `deleted`, or `erased` but for their verdicts; alerts that named some; copies in drawn runs."""

    deleted: int = 0
    erased: int = 0
    alerts: int = 0
    copies: int = 0


def forget(database: str | Path, what: Forgetting, *, by: str, now: float | None = None) -> Forgotten:
    """Forget it, beside a service or without one; counts and monitors stay as they were.

    `by` is who did it, for the audit log; `now` in seconds since 1970. Raises InvalidInput where there is no such
    stream, StoreError where the database cannot do it.
    """
    moment = time.time() if now is None else now
    with Ledger(database, create=False) as ledger:
        done = _forget(ledger, what, moment)
    with Register(database, create=False) as register:
        register.note(Act(moment, what.tenant, by, "forget", what.kind, None, f"{done.deleted + done.erased} events"))
    return done


def _forget(ledger: Ledger, what: Forgetting, now: float) -> Forgotten:
    position = None if what.stream is None else ledger.find_stream(what.tenant, what.stream)
    if what.stream is not None and position is None:
        raise InvalidInput(f"there is no stream {what.stream!r:.80}; check --stream and --tenant")
    if what.days is not None:
        return Forgotten(deleted=ledger.forget(now - what.days * _DAY, tenant=what.tenant, stream=what.stream))
    if what.session is not None or what.label is not None:
        erased = ledger.erase(what.tenant, Whose(what.session, what.label, what.stream))
        return Forgotten(erased=erased.events, alerts=erased.alerts, copies=erased.copies)
    assert position is not None  # noqa: S101 - a stream by itself
    ledger.delete_stream(position.stream_key)
    return Forgotten(deleted=position.last)
