from __future__ import annotations

from alembic import context

from ethostat.ledger import tables  # noqa: F401 - its tables are in the metadata once it is imported
from ethostat.store.tables import VERSION_TABLE, metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    version_table=VERSION_TABLE,
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
