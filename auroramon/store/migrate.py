"""Brings a database to the schema of this version, or refuses it with one sentence and leaves it as it is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from sqlalchemy import Connection, inspect

from auroramon.errors import NoDatabaseError, StoreError
from auroramon.store import views
from auroramon.store.database import Database
from auroramon.store.months import is_divided
from auroramon.store.registry import STOP_FIRST, living_runs, process_is_alive
from auroramon.store.schema import REVISION, metadata

VERSION_TABLE = "auroramon_schema"


def upgrade(database: Database, now: float, is_alive: Callable[[int], bool] = process_is_alive) -> None:
    """Make or upgrade the tables and views; a database that is up to date is only looked at.

    Raises:
        StoreError: it is newer than this program, of another program, or damaged; or it is older, and a program of
            that version works on it.
        StoreBusyError: it is locked, full or away.
    """
    with database.reading() as conn:
        if _revision(conn, database) == REVISION:
            return
    if database.sqlite:
        database.use_wal()
    with database.writing(durable=True) as conn:
        # Looked at again under the lock: another process may have just done it.
        old = _revision(conn, database)
        if old != REVISION:
            if old is not None:
                _refuse_living_runs(conn, database, old, now, is_alive)
            drop_views(conn)
            _run_alembic(conn)
            make_views(conn, divided=is_divided(conn))


def drop_views(conn: Connection) -> None:
    """Drop every view, before the tables under them are changed."""
    for name in views.NAMES:
        conn.exec_driver_sql(f"DROP VIEW IF EXISTS {name}")


def make_views(conn: Connection, *, divided: bool) -> None:
    """Make every view, for tables that are divided by months or not."""
    for statement in views.statements(conn.dialect.name, divided=divided):
        conn.exec_driver_sql(statement)


def check_revision(database: Database) -> None:
    """Refuse a database that is not of this version's schema, and change nothing.

    Raises:
        NoDatabaseError: it is empty.
        StoreError: it is older or newer than this program, of another program, or damaged.
        StoreBusyError: it is locked or away.
    """
    with database.reading() as conn:
        revision = _revision(conn, database)
    if revision is None:
        raise NoDatabaseError(f"{database.place} is empty yet: `auroramon run` or `backfill` makes its tables")
    if revision != REVISION:
        raise StoreError(
            f"{database.place} is of an older auroramon (schema {revision}, this one reads {REVISION}): the daemon's "
            "next start, or `auroramon db migrate`, brings it up to date"
        )


def check_unused(database: Database, now: float, is_alive: Callable[[int], bool] = process_is_alive) -> None:
    """Refuse an older database that a program of its version works on, before anything is done for an upgrade.

    Raises:
        StoreError: a run of it lives.
    """
    with database.reading() as conn:
        old = _revision(conn, database)
        if old is not None and old != REVISION:
            _refuse_living_runs(conn, database, old, now, is_alive)


def _refuse_living_runs(
    conn: Connection, database: Database, old: str, now: float, is_alive: Callable[[int], bool]
) -> None:
    """Leave the tables to an older program while it works on them: it knows nothing of those that would be new."""
    for run in living_runs(conn, now, is_alive):
        raise StoreError(
            f"{database.place} is of an older auroramon (schema {old}, this one needs {REVISION}), and {run} works on "
            f"it: {STOP_FIRST}"
        )


def _revision(conn: Connection, database: Database) -> str | None:
    """Give the revision of a database of ours; None for an empty one."""
    inspector = inspect(conn)
    tables = set(inspector.get_table_names())
    if VERSION_TABLE not in tables:
        foreign = tables if database.sqlite else tables & set(metadata.tables)
        if foreign:
            raise StoreError(
                f"{database.place} holds tables of another program ({', '.join(sorted(foreign)[:3])}); "
                "it is left untouched: name another database"
            )
        return None
    revision = conn.exec_driver_sql(f"SELECT version_num FROM {VERSION_TABLE}").scalar()  # noqa: S608
    if revision is not None and revision > REVISION:
        raise StoreError(
            f"{database.place} was written by a newer auroramon (schema {revision}, this one knows {REVISION}); "
            "it is left untouched: update auroramon, or restore the copy from before its upgrade (auroramon db restore)"
        )
    return revision


def _run_alembic(conn: Connection) -> None:
    # Imported here: it costs 150 ms, and most starts find the schema as it should be.
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["connection"] = conn
    command.upgrade(config, REVISION)
