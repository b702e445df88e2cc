"""Alembic's entry: the open connection that :mod:`radiolucent.clinic.store.migrate` hands over."""

from __future__ import annotations

from alembic import context

from radiolucent.clinic.store.tables import Base

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    render_as_batch=True,  # SQLite cannot alter most things in place
    transactional_ddl=True,
)
context.run_migrations()
