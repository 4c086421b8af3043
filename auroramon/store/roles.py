"""Who may do what in a PostgreSQL database: the daemon writes labels, a dashboard reads, neither changes the tables.

The tables belong to whoever made them, by `auroramon db migrate` or by a first start. Where they are divided by months,
rights on the three that are divided suffice: nobody but the owner has anything to do with a single month.
"""

from __future__ import annotations

from sqlalchemy.dialects import postgresql

from auroramon.store import views
from auroramon.store.migrate import VERSION_TABLE
from auroramon.store.schema import (
    account,
    cameras,
    duplicates,
    embeddings,
    event_nights,
    events,
    expected,
    files,
    frames,
    hour_kinds,
    hours,
    labels,
    listed_folders,
    metadata,
    models,
    nights,
    runs,
)

_CHANGED = (account, cameras, event_nights, expected, files, hours, models, nights, runs)
_TAKEN_BACK = (duplicates, embeddings, events, frames, hour_kinds, labels, listed_folders)
"""Rows of a file that was rewritten, of what is derived anew, or of a listing that came to its end. A person's words
are in neither list."""


def role_sql(writer: str, reader: str) -> str:
    """Give the statements that make both roles and say what they may do; for the owner, who may run them again."""
    to_writer, to_reader = _quoted(writer), _quoted(reader)
    tables = ", ".join(sorted(table.name for table in metadata.sorted_tables))
    changed = ", ".join(table.name for table in _CHANGED)
    taken_back = ", ".join(table.name for table in _TAKEN_BACK)
    seen = ", ".join((*sorted(views.NAMES), "cameras", VERSION_TABLE))
    return f"""\
-- Give both a password, for instance by \\password in psql. After each `auroramon db migrate`, and after the first
-- `auroramon db partition`, run this again.
{_made(writer)}
{_made(reader)}
REVOKE CREATE ON SCHEMA public FROM PUBLIC;
REVOKE ALL ON ALL TABLES IN SCHEMA public FROM {to_writer}, {to_reader};
GRANT USAGE ON SCHEMA public TO {to_writer}, {to_reader};
-- The daemon and backfills: they add rows, change how things stand, and never a person's word or the tables themselves.
GRANT SELECT ON {VERSION_TABLE}, {", ".join(sorted(views.NAMES))} TO {to_writer};
GRANT SELECT, INSERT ON {tables} TO {to_writer};
GRANT UPDATE ON {changed} TO {to_writer};
GRANT DELETE ON {taken_back} TO {to_writer};
GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO {to_writer};
-- A dashboard: it reads what docs/database.md documents, and the names of cameras. To compile the occurrence
-- views takes longer than to run them.
GRANT SELECT ON {seen} TO {to_reader};
ALTER ROLE {to_reader} SET jit = off;
"""  # noqa: S608 (our own names)


def _made(role: str) -> str:
    literal = role.replace("'", "''")
    return (
        f"DO $$ BEGIN IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{literal}') "
        f"THEN CREATE ROLE {_quoted(role)} LOGIN; END IF; END $$;"
    )


def _quoted(name: str) -> str:
    return postgresql.dialect().identifier_preparer.quote(name)  # type: ignore[no-untyped-call]
