"""The ledger: what a service was told, what it made of it, and how far it has come, in the store's database.

records     NewEvent in; Event, Stream, Kept alerts and interventions out
tables      how they lie on disk
ledger      Ledger: opens the database; one method a transaction
appending   events in, once each, numbered by stream
claiming    which process advances which stream
erasing     what people said goes, what was counted stays
reading     what people and dashboards ask for

An event is in the log before it is acknowledged. What is derived from it (monitor, counts, alerts) is written with the
place in the log that it was derived up to, in one transaction: so each event counts once, whatever dies when.
"""

from __future__ import annotations

from ethostat.ledger.erasing import Erased, Whose
from ethostat.ledger.ledger import Ledger
from ethostat.ledger.records import (
    Accepted,
    Advance,
    Appended,
    Deployment,
    Edition,
    Event,
    Intervention,
    Judgement,
    KeptAlert,
    Minute,
    NewEvent,
    Position,
    Stream,
)

__all__ = [
    "Accepted",
    "Advance",
    "Appended",
    "Deployment",
    "Edition",
    "Erased",
    "Event",
    "Intervention",
    "Judgement",
    "KeptAlert",
    "Ledger",
    "Minute",
    "NewEvent",
    "Position",
    "Stream",
    "Whose",
]
