"""Which rows people label, and what they did with them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "choices",
        sa.Column("key", KEY, nullable=False),
        sa.Column("run_key", KEY, nullable=False),
        sa.Column("fingerprint", sa.String(length=16), nullable=False),
        sa.Column("way", sa.String(length=16), nullable=False),
        sa.Column("seed", sa.BigInteger(), nullable=False),
        sa.Column("settings", sa.JSON(), nullable=False),
        sa.Column("taxonomy", sa.JSON(), nullable=False),
        sa.Column("classifier", sa.JSON(none_as_null=True)),
        sa.Column("created", sa.String(length=32), nullable=False),
        sa.ForeignKeyConstraint(["run_key"], ["runs.key"], name=op.f("fk_choices_run_key"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_choices")),
        sa.UniqueConstraint("run_key", "fingerprint", name=op.f("uq_choices_run_key_fingerprint")),
    )
    op.create_table(
        "chosen",
        sa.Column("choice_key", KEY, nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("response_key", KEY, nullable=False),
        sa.Column("predicted", sa.String(length=32)),
        sa.ForeignKeyConstraint(["choice_key"], ["choices.key"], name=op.f("fk_chosen_choice_key"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(
            ["response_key"], ["responses.key"], name=op.f("fk_chosen_response_key"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("choice_key", "position", name=op.f("pk_chosen")),
    )
    op.create_index(op.f("ix_chosen_response_key"), "chosen", ["response_key"])
    op.create_table(
        "acts",
        sa.Column("key", KEY, nullable=False),
        sa.Column("response_key", KEY, nullable=False),
        sa.Column("rater", sa.Text(), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("settles", sa.Boolean(), nullable=False),
        sa.Column("goal", sa.String(length=32)),
        sa.Column("note", sa.Text()),
        sa.Column("taxonomy_hash", sa.String(length=16), nullable=False),
        sa.Column("time", sa.String(length=40), nullable=False),
        sa.ForeignKeyConstraint(
            ["response_key"], ["responses.key"], name=op.f("fk_acts_response_key"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_acts")),
    )
    op.create_index(op.f("ix_acts_response_key"), "acts", ["response_key"])
