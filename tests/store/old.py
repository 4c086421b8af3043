"""A database of an earlier version, made from one of this version."""

from __future__ import annotations

from sqlalchemy import Connection

from auroramon.store import views
from auroramon.store.migrate import VERSION_TABLE
from auroramon.store.months import is_divided

SCHEMA = "0004"
"""Before the frames of an hour were counted by Moon and reason."""


def make_old(conn: Connection) -> None:
    """Take from a database what came after schema 0004."""
    for name in views.NAMES:
        conn.exec_driver_sql(f"DROP VIEW {name}")
    for name in ("hour_kinds", "listed_folders"):
        conn.exec_driver_sql(f"DROP TABLE {name}")
    if not is_divided(conn):  # there the time is part of a key, and the upgrade finds it
        for name in ("labels", "embeddings"):
            conn.exec_driver_sql(f"ALTER TABLE {name} DROP COLUMN time_utc")
    conn.exec_driver_sql(f"UPDATE {VERSION_TABLE} SET version_num = '{SCHEMA}'")  # noqa: S608 (our own names)
