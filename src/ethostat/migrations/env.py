from __future__ import annotations

from alembic import context

from ethostat.access import tables as access_tables  # noqa: F401 - tables are in the metadata once imported
from ethostat.ledger import tables as ledger_tables  # noqa: F401
from ethostat.store.tables import VERSION_TABLE, metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    version_table=VERSION_TABLE,
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
