"""The tables of access, beside those of the store and the ledger. A change here enters together with a migration.

No table holds a key, a password or a token: what is kept of them is a hash. Times are seconds since 1970.
"""

from __future__ import annotations

from sqlalchemy import JSON, Column, Double, ForeignKey, Index, String, Table, UniqueConstraint

from ethostat.store.tables import KEY, ExactText, metadata

api_keys = Table(
    "api_keys",
    metadata,
    Column("key", KEY, primary_key=True),
    Column("prefix", String(16), nullable=False, unique=True),
    Column("hash", String(64), nullable=False),
    Column("name", ExactText, nullable=False),
    Column("tenant", ExactText, nullable=False),
    Column("scopes", JSON, nullable=False),
    Column("created", Double, nullable=False),
    Column("expires", Double),
    Column("revoked", Double),
)

# A user that was removed keeps its row, without a password: its name in the audit log means one person.
users = Table(
    "users",
    metadata,
    Column("key", KEY, primary_key=True),
    Column("name", ExactText, nullable=False),
    Column("password", String(255)),
    Column("tenant", ExactText, nullable=False),
    Column("scopes", JSON, nullable=False),
    Column("created", Double, nullable=False),
    UniqueConstraint("name"),
)

sessions = Table(
    "sessions",
    metadata,
    Column("hash", String(64), primary_key=True),
    Column("user_key", ForeignKey("users.key", ondelete="CASCADE"), nullable=False, index=True),
    Column("created", Double, nullable=False),
    Column("expires", Double, nullable=False, index=True),
)

# Rows are added and never changed.
audit = Table(
    "audit",
    metadata,
    Column("key", KEY, primary_key=True),
    Column("time", Double, nullable=False),
    Column("tenant", ExactText, nullable=False),
    Column("actor", ExactText, nullable=False),
    Column("action", String(64), nullable=False),
    Column("subject", ExactText, nullable=False),
    Column("address", String(64)),
    Column("outcome", String(32), nullable=False),
    Index(None, "tenant", "time"),
)
