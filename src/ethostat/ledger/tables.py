"""The tables of the ledger, beside those of the store. A change here enters together with a migration.

Counters that every writer moves (`streams.next_seq`) and the place that one process moves (`positions`) lie apart, so
that neither waits for the other.
"""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
    UniqueConstraint,
)

from ethostat.store.tables import KEY, ExactText, metadata

QUEUED, SENT, DEAD = "queued", "sent", "dead"
"""States of a delivery."""

streams = Table(
    "streams",
    metadata,
    Column("key", KEY, primary_key=True),
    Column("tenant", ExactText, nullable=False),
    Column("name", ExactText, nullable=False),
    Column("next_seq", BigInteger, nullable=False),
    Column("created", Double, nullable=False),
    UniqueConstraint("tenant", "name"),
)

events = Table(
    "events",
    metadata,
    Column("stream_key", ForeignKey("streams.key", ondelete="CASCADE"), nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("event_id", ExactText, nullable=False),
    Column("received", Double, nullable=False),
    Column("time", ExactText),
    Column("session", ExactText),
    Column("model", ExactText),
    Column("labels", JSON(none_as_null=True)),
    Column("prompt", JSON(none_as_null=True)),
    Column("response", ExactText),
    Column("goal", String(64)),
    Column("probabilities", JSON(none_as_null=True)),
    Column("typicality", Double),
    Column("classifier", String(64)),
    Column("failure", ExactText),
    Column("erased", Boolean, nullable=False),
    Column("edition", Integer),
    PrimaryKeyConstraint("stream_key", "seq"),
    UniqueConstraint("stream_key", "event_id"),
)
_waits = events.c.goal.is_(None) & events.c.failure.is_(None)
# What waits to be classified is found without reading what does not; events that bring a verdict never touch it.
Index("ix_events_waiting", events.c.stream_key, events.c.seq, sqlite_where=_waits, postgresql_where=_waits)

# The goals that verdicts are given in; a new row where a service is started with others.
editions = Table(
    "editions",
    metadata,
    Column("number", KEY, primary_key=True),
    Column("hash", String(64), nullable=False),
    Column("taxonomy", JSON, nullable=False),
    Column("baseline", JSON, nullable=False),
    Column("since", Double, nullable=False),
)

# `monitor` is Text: JSON as Python writes it, exact to the last digit of every float.
positions = Table(
    "positions",
    metadata,
    Column("stream_key", ForeignKey("streams.key", ondelete="CASCADE"), primary_key=True),
    Column("version", BigInteger, nullable=False),
    Column("cursor", BigInteger, nullable=False),
    Column("monitor", Text),
    Column("counts", JSON, nullable=False),
    Column("failures", BigInteger, nullable=False),
    Column("updated", Double),
    Column("owner", String(32)),
    Column("lease_until", Double),
)

# Processes that advance streams, and until when each is taken to be alive.
processes = Table(
    "processes",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("until", Double, nullable=False),
)

minutes = Table(
    "minutes",
    metadata,
    Column("stream_key", ForeignKey("streams.key", ondelete="CASCADE"), nullable=False),
    Column("start", BigInteger, nullable=False),
    Column("counts", JSON, nullable=False),
    Column("failures", BigInteger, nullable=False),
    Column("evidence", Double),
    Column("threshold", Double),
    PrimaryKeyConstraint("stream_key", "start"),
)

alerts = Table(
    "alerts",
    metadata,
    Column("number", KEY, primary_key=True),
    Column("stream_key", ForeignKey("streams.key", ondelete="CASCADE"), nullable=False),
    Column("id", ExactText, nullable=False),
    Column("tier", String(16), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("created", Double, nullable=False),
    Column("body", JSON, nullable=False),
    Column("acknowledged_by", ExactText),
    Column("acknowledged_at", Double),
    Column("expected", Boolean, nullable=False),
    UniqueConstraint("stream_key", "id"),
)

deliveries = Table(
    "deliveries",
    metadata,
    Column("key", KEY, primary_key=True),
    Column("alert_number", ForeignKey("alerts.number", ondelete="CASCADE"), nullable=False),
    Column("target", ExactText, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("next_at", Double, nullable=False),
    Column("state", String(16), nullable=False),
    Column("error", ExactText),
    UniqueConstraint("alert_number", "target"),
    Index(None, "state", "next_at"),
)

# What people did to monitors, in order: with the events, all that a monitor was made of.
interventions = Table(
    "interventions",
    metadata,
    Column("key", KEY, primary_key=True),
    Column("stream_key", ForeignKey("streams.key", ondelete="CASCADE"), nullable=False, index=True),
    Column("cursor", BigInteger, nullable=False),
    Column("kind", String(16), nullable=False),
    Column("body", JSON, nullable=False),
    Column("by", ExactText),
    Column("time", Double, nullable=False),
)

deployments = Table(
    "deployments",
    metadata,
    Column("key", KEY, primary_key=True),
    Column("tenant", ExactText, nullable=False),
    Column("version", ExactText, nullable=False),
    Column("note", ExactText),
    Column("time", Double, nullable=False),
    Column("by", ExactText),
    Column("streams", JSON, nullable=False),
)
