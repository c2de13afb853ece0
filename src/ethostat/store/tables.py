"""The tables. A change here enters together with a migration; `SCHEMA` names the newest one.

A response is stored once; a draw says that it is the answer number `idx` to a prompt of a run. So two runs can
share what one of them paid for.
"""

from __future__ import annotations

import json
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Dialect,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
)

SCHEMA = "0006"
VERSION_TABLE = "ethostat_version"
_ESCAPED = "\x01json:"

KEY = BigInteger().with_variant(Integer, "sqlite")
"""A row number: 64 bits everywhere; SQLite counts up only what is called INTEGER."""


class ExactText(TypeDecorator[str]):
    """Text that comes back as it went in, even with NUL characters or lone surrogates.

    Databases refuse one or the other. Such a text is stored as JSON behind a mark that no other text keeps.
    """

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:  # noqa: ARG002
        if value is None or (_is_plain(value) and not value.startswith(_ESCAPED)):
            return value
        return _ESCAPED + json.dumps(value, ensure_ascii=True)

    def process_result_value(self, value: Any, dialect: Dialect) -> str | None:  # noqa: ARG002
        if value is None or not value.startswith(_ESCAPED):
            return value if value is None else str(value)
        return str(json.loads(value[len(_ESCAPED) :]))


def _is_plain(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return "\x00" not in text


metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

prompt_sets = Table("prompt_sets", metadata, Column("hash", String(16), primary_key=True))

contents = Table(
    "contents",
    metadata,
    Column("hash", String(16), primary_key=True),
    Column("messages", JSON, nullable=False),
)

prompts = Table(
    "prompts",
    metadata,
    Column("key", KEY, primary_key=True),
    Column("set_hash", ForeignKey("prompt_sets.hash", ondelete="CASCADE"), nullable=False),
    Column("position", Integer, nullable=False),
    Column("id", ExactText, nullable=False),
    Column("content_hash", ForeignKey("contents.hash"), nullable=False, index=True),
    Column("category", ExactText),
    Column("expected", ExactText),
    UniqueConstraint("set_hash", "position"),
)

runs = Table(
    "runs",
    metadata,
    Column("key", KEY, primary_key=True),
    Column("id", String(32), nullable=False, unique=True),
    Column("fingerprint", String(16), nullable=False, index=True),
    Column("model", ExactText, nullable=False),
    Column("identity", JSON, nullable=False),
    Column("sampling_key", String(16), nullable=False),
    Column("prompts_name", ExactText, nullable=False),
    Column("prompts_hash", ForeignKey("prompt_sets.hash"), nullable=False, index=True),
    Column("decoding", JSON, nullable=False),
    Column("samples", Integer),
    Column("precision", Float),
    Column("seed", BigInteger),
    Column("taxonomy", JSON(none_as_null=True)),
    Column("classifier", JSON(none_as_null=True)),
    Column("status", String(16), nullable=False),
    Column("started", String(32), nullable=False),
    Column("finished", String(32)),
    Column("versions", JSON, nullable=False),
    Column("settings", JSON, nullable=False),
    Column("measurement", JSON(none_as_null=True)),
    Index(None, "sampling_key", "seed"),
)

responses = Table(
    "responses",
    metadata,
    Column("key", KEY, primary_key=True),
    Column("seed", BigInteger),
    Column("text", ExactText, nullable=False),
    Column("model", ExactText, nullable=False),
    Column("finish_reason", ExactText),
    Column("prompt_tokens", BigInteger),
    Column("completion_tokens", BigInteger),
    Column("seconds", Float),
    Column("time", ExactText),
)

draws = Table(
    "draws",
    metadata,
    Column("run_key", ForeignKey("runs.key", ondelete="CASCADE"), primary_key=True),
    Column("prompt_key", ForeignKey("prompts.key"), primary_key=True),
    Column("idx", Integer, primary_key=True),
    Column("response_key", ForeignKey("responses.key"), nullable=False, index=True),
    Column("response_id", ExactText),
    Column("reused_from", String(32)),
)

verdicts = Table(
    "verdicts",
    metadata,
    Column("response_key", ForeignKey("responses.key", ondelete="CASCADE"), primary_key=True),
    Column("classifier_hash", String(64), primary_key=True),
    Column("goal", String(32), nullable=False),
    Column("probabilities", JSON, nullable=False),
    Column("typicality", Float),
)

failures = Table(
    "failures",
    metadata,
    Column("run_key", ForeignKey("runs.key", ondelete="CASCADE"), primary_key=True),
    Column("prompt_key", ForeignKey("prompts.key"), primary_key=True),
    Column("idx", Integer, primary_key=True),
    Column("kind", String(64), nullable=False),
    Column("message", ExactText, nullable=False),
)

choices = Table(
    "choices",
    metadata,
    Column("key", KEY, primary_key=True),
    Column("run_key", ForeignKey("runs.key", ondelete="CASCADE"), nullable=False),
    Column("fingerprint", String(16), nullable=False),
    Column("way", String(16), nullable=False),
    Column("seed", BigInteger, nullable=False),
    Column("settings", JSON, nullable=False),
    Column("taxonomy", JSON, nullable=False),
    Column("classifier", JSON(none_as_null=True)),
    Column("created", String(32), nullable=False),
    UniqueConstraint("run_key", "fingerprint"),
)

chosen = Table(
    "chosen",
    metadata,
    Column("choice_key", ForeignKey("choices.key", ondelete="CASCADE"), primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("response_key", ForeignKey("responses.key", ondelete="CASCADE"), nullable=False, index=True),
    Column("predicted", String(32)),
)

# What raters did, one row a key press, in order; rows are added and never changed.
acts = Table(
    "acts",
    metadata,
    Column("key", KEY, primary_key=True),
    Column("response_key", ForeignKey("responses.key", ondelete="CASCADE"), nullable=False, index=True),
    Column("rater", ExactText, nullable=False),
    Column("kind", String(16), nullable=False),
    Column("settles", Boolean, nullable=False),
    Column("goal", String(32)),
    Column("note", ExactText),
    Column("taxonomy_hash", String(16), nullable=False),
    Column("time", String(40), nullable=False),
)
