"""Alembic's entry: runs inside the transaction that ``store.engines.upgrade`` opened."""

from alembic import context

from collector.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata, transactional_ddl=False)
context.run_migrations()
