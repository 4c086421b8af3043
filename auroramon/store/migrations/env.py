"""Alembic's way in. It gets its connection, with an open transaction, from `auroramon.store.migrate`."""

from __future__ import annotations

from alembic import context

from auroramon.store.migrate import VERSION_TABLE

context.configure(connection=context.config.attributes["connection"], version_table=VERSION_TABLE)
context.run_migrations()
