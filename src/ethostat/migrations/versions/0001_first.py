"""The first tables."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "contents",
        sa.Column("hash", sa.String(length=16), nullable=False),
        sa.Column("messages", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("hash", name=op.f("pk_contents")),
    )
    op.create_table(
        "prompt_sets",
        sa.Column("hash", sa.String(length=16), nullable=False),
        sa.PrimaryKeyConstraint("hash", name=op.f("pk_prompt_sets")),
    )
    op.create_table(
        "responses",
        sa.Column("key", KEY, nullable=False),
        sa.Column("seed", sa.BigInteger()),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("finish_reason", sa.Text()),
        sa.Column("prompt_tokens", sa.BigInteger()),
        sa.Column("completion_tokens", sa.BigInteger()),
        sa.Column("seconds", sa.Float()),
        sa.Column("time", sa.Text()),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_responses")),
    )
    op.create_table(
        "prompts",
        sa.Column("key", KEY, nullable=False),
        sa.Column("set_hash", sa.String(length=16), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("content_hash", sa.String(length=16), nullable=False),
        sa.Column("category", sa.Text()),
        sa.Column("expected", sa.Text()),
        sa.ForeignKeyConstraint(["content_hash"], ["contents.hash"], name=op.f("fk_prompts_content_hash")),
        sa.ForeignKeyConstraint(
            ["set_hash"], ["prompt_sets.hash"], name=op.f("fk_prompts_set_hash"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_prompts")),
        sa.UniqueConstraint("set_hash", "position", name=op.f("uq_prompts_set_hash_position")),
    )
    op.create_index(op.f("ix_prompts_content_hash"), "prompts", ["content_hash"])
    op.create_table(
        "runs",
        sa.Column("key", KEY, nullable=False),
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("fingerprint", sa.String(length=16), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("identity", sa.JSON(), nullable=False),
        sa.Column("sampling_key", sa.String(length=16), nullable=False),
        sa.Column("prompts_name", sa.Text(), nullable=False),
        sa.Column("prompts_hash", sa.String(length=16), nullable=False),
        sa.Column("decoding", sa.JSON(), nullable=False),
        sa.Column("samples", sa.Integer()),
        sa.Column("precision", sa.Float()),
        sa.Column("seed", sa.BigInteger()),
        sa.Column("taxonomy", sa.JSON(none_as_null=True)),
        sa.Column("classifier", sa.JSON(none_as_null=True)),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("started", sa.String(length=32), nullable=False),
        sa.Column("finished", sa.String(length=32)),
        sa.Column("versions", sa.JSON(), nullable=False),
        sa.Column("settings", sa.JSON(), nullable=False),
        sa.Column("measurement", sa.JSON(none_as_null=True)),
        sa.ForeignKeyConstraint(["prompts_hash"], ["prompt_sets.hash"], name=op.f("fk_runs_prompts_hash")),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_runs")),
        sa.UniqueConstraint("id", name=op.f("uq_runs_id")),
    )
    op.create_index(op.f("ix_runs_sampling_key_seed"), "runs", ["sampling_key", "seed"])
    op.create_index(op.f("ix_runs_fingerprint"), "runs", ["fingerprint"])
    op.create_index(op.f("ix_runs_prompts_hash"), "runs", ["prompts_hash"])
    op.create_table(
        "verdicts",
        sa.Column("response_key", KEY, nullable=False),
        sa.Column("classifier_hash", sa.String(length=64), nullable=False),
        sa.Column("goal", sa.String(length=32), nullable=False),
        sa.Column("probabilities", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(
            ["response_key"], ["responses.key"], name=op.f("fk_verdicts_response_key"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("response_key", "classifier_hash", name=op.f("pk_verdicts")),
    )
    op.create_table(
        "draws",
        sa.Column("run_key", KEY, nullable=False),
        sa.Column("prompt_key", KEY, nullable=False),
        sa.Column("idx", sa.Integer(), nullable=False),
        sa.Column("response_key", KEY, nullable=False),
        sa.Column("response_id", sa.Text()),
        sa.Column("reused_from", sa.String(length=32)),
        sa.ForeignKeyConstraint(["prompt_key"], ["prompts.key"], name=op.f("fk_draws_prompt_key")),
        sa.ForeignKeyConstraint(["response_key"], ["responses.key"], name=op.f("fk_draws_response_key")),
        sa.ForeignKeyConstraint(["run_key"], ["runs.key"], name=op.f("fk_draws_run_key"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("run_key", "prompt_key", "idx", name=op.f("pk_draws")),
    )
    op.create_index(op.f("ix_draws_response_key"), "draws", ["response_key"])
    op.create_table(
        "failures",
        sa.Column("run_key", KEY, nullable=False),
        sa.Column("prompt_key", KEY, nullable=False),
        sa.Column("idx", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=64), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["prompt_key"], ["prompts.key"], name=op.f("fk_failures_prompt_key")),
        sa.ForeignKeyConstraint(["run_key"], ["runs.key"], name=op.f("fk_failures_run_key"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("run_key", "prompt_key", "idx", name=op.f("pk_failures")),
    )
