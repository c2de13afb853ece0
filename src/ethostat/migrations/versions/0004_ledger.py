"""What a service is told: events by stream, how far each stream is followed, alerts and their deliveries."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _of_stream(table: str) -> sa.ForeignKeyConstraint:
    name = op.f(f"fk_{table}_stream_key")
    return sa.ForeignKeyConstraint(["stream_key"], ["streams.key"], name=name, ondelete="CASCADE")


def upgrade() -> None:
    op.create_table(
        "streams",
        sa.Column("key", KEY, nullable=False),
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("next_seq", sa.BigInteger(), nullable=False),
        sa.Column("created", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_streams")),
        sa.UniqueConstraint("tenant", "name", name=op.f("uq_streams_tenant_name")),
    )
    op.create_table(
        "events",
        sa.Column("stream_key", KEY, nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("event_id", sa.Text(), nullable=False),
        sa.Column("received", sa.Double(), nullable=False),
        sa.Column("time", sa.Text()),
        sa.Column("session", sa.Text()),
        sa.Column("model", sa.Text()),
        sa.Column("labels", sa.JSON(none_as_null=True)),
        sa.Column("prompt", sa.JSON(none_as_null=True)),
        sa.Column("response", sa.Text()),
        sa.Column("goal", sa.String(length=64)),
        sa.Column("probabilities", sa.JSON(none_as_null=True)),
        sa.Column("typicality", sa.Double()),
        sa.Column("classifier", sa.String(length=64)),
        sa.Column("failure", sa.Text()),
        sa.Column("erased", sa.Boolean(), nullable=False),
        _of_stream("events"),
        sa.PrimaryKeyConstraint("stream_key", "seq", name=op.f("pk_events")),
        sa.UniqueConstraint("stream_key", "event_id", name=op.f("uq_events_stream_key_event_id")),
    )
    waits = sa.text("goal IS NULL AND failure IS NULL")
    op.create_index("ix_events_waiting", "events", ["stream_key", "seq"], sqlite_where=waits, postgresql_where=waits)
    op.create_table(
        "positions",
        sa.Column("stream_key", KEY, nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("cursor", sa.BigInteger(), nullable=False),
        sa.Column("monitor", sa.Text()),
        sa.Column("counts", sa.JSON(), nullable=False),
        sa.Column("failures", sa.BigInteger(), nullable=False),
        sa.Column("updated", sa.Double()),
        sa.Column("owner", sa.String(length=32)),
        sa.Column("lease_until", sa.Double()),
        _of_stream("positions"),
        sa.PrimaryKeyConstraint("stream_key", name=op.f("pk_positions")),
    )
    op.create_table(
        "processes",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("until", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_processes")),
    )
    op.create_table(
        "minutes",
        sa.Column("stream_key", KEY, nullable=False),
        sa.Column("start", sa.BigInteger(), nullable=False),
        sa.Column("counts", sa.JSON(), nullable=False),
        sa.Column("failures", sa.BigInteger(), nullable=False),
        sa.Column("evidence", sa.Double()),
        sa.Column("threshold", sa.Double()),
        _of_stream("minutes"),
        sa.PrimaryKeyConstraint("stream_key", "start", name=op.f("pk_minutes")),
    )
    op.create_table(
        "alerts",
        sa.Column("number", KEY, nullable=False),
        sa.Column("stream_key", KEY, nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("tier", sa.String(length=16), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("created", sa.Double(), nullable=False),
        sa.Column("body", sa.JSON(), nullable=False),
        sa.Column("acknowledged_by", sa.Text()),
        sa.Column("acknowledged_at", sa.Double()),
        sa.Column("expected", sa.Boolean(), nullable=False),
        _of_stream("alerts"),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_alerts")),
        sa.UniqueConstraint("stream_key", "id", name=op.f("uq_alerts_stream_key_id")),
    )
    op.create_table(
        "deliveries",
        sa.Column("key", KEY, nullable=False),
        sa.Column("alert_number", KEY, nullable=False),
        sa.Column("target", sa.Text(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("next_at", sa.Double(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("error", sa.Text()),
        sa.ForeignKeyConstraint(
            ["alert_number"], ["alerts.number"], name=op.f("fk_deliveries_alert_number"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_deliveries")),
        sa.UniqueConstraint("alert_number", "target", name=op.f("uq_deliveries_alert_number_target")),
    )
    op.create_index(op.f("ix_deliveries_state_next_at"), "deliveries", ["state", "next_at"])
    op.create_table(
        "interventions",
        sa.Column("key", KEY, nullable=False),
        sa.Column("stream_key", KEY, nullable=False),
        sa.Column("cursor", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("body", sa.JSON(), nullable=False),
        sa.Column("by", sa.Text()),
        sa.Column("time", sa.Double(), nullable=False),
        _of_stream("interventions"),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_interventions")),
    )
    op.create_index(op.f("ix_interventions_stream_key"), "interventions", ["stream_key"])
    op.create_table(
        "deployments",
        sa.Column("key", KEY, nullable=False),
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("note", sa.Text()),
        sa.Column("time", sa.Double(), nullable=False),
        sa.Column("by", sa.Text()),
        sa.Column("streams", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_deployments")),
    )
