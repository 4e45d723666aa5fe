"""Alembic's environment: the connection is handed over by ``leaderboard.service.database``."""

from alembic import context

from leaderboard.service.tables import Base

context.configure(connection=context.config.attributes["connection"], target_metadata=Base.metadata)
with context.begin_transaction():
    context.run_migrations()
