"""Divides the tables of frames of a PostgreSQL database by months of UTC, and makes more months later.

`frames`, `labels` and `embeddings` each have a partition a month and one for the rest (`frames_default`), which takes
what no month is made for. All three, because a label or an embedding belongs to a frame, and a reference from month to
month costs one look into one index, whatever the number of months; from table to table PostgreSQL would look for the
month of each row anew. So a month is three tables that belong together.

That a file has each of its frames once is a constraint in a plain database (the key of `frames`). Here the key must
contain the time, and store/frames.py holds it under the writer's lock.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection

from auroramon.errors import StoreError
from auroramon.store.database import Database
from auroramon.store.encoding import moment
from auroramon.store.migrate import check_revision, drop_views, make_views
from auroramon.store.months import AHEAD, DIVIDED, RELKIND, REST, Month, choose, chosen, earliest_before, months
from auroramon.store.registry import STOP_FIRST, living_runs, process_is_alive
from auroramon.store.schema import metadata

MOST = 480
"""Forty years: what has more began with a clock that was wrong."""

_OWNED = "SELECT pg_has_role(relowner, 'USAGE') FROM pg_catalog.pg_class WHERE oid = to_regclass('frames')"
# Camera by camera, because the index gives that at once; all of them together would mean to read every frame.
_EARLIEST = """SELECT MIN(of_camera.first) FROM cameras AS c CROSS JOIN LATERAL (
    SELECT MIN(f.time_utc) AS first FROM frames AS f WHERE f.camera_id = c.id AND f.time_utc >= %s) AS of_camera"""
_KEYS = {
    "frames": ("PRIMARY KEY (file_id, frame_index, time_utc)", "UNIQUE (camera_id, time_utc, channel_id, twin)"),
    "labels": ("PRIMARY KEY (file_id, frame_index, model_id, time_utc)",),
    "embeddings": ("PRIMARY KEY (file_id, frame_index, embedder_id, time_utc)",),
}


@dataclass(frozen=True, slots=True)
class Divided:
    """What a call has done."""

    converted: bool  # the database was a plain one
    first: Month
    last: Month
    made: int  # months
    moved: int  # frames that had lain in the partition for the rest
    left: Month | None = None  # of the first frame that lies there still, where nobody named the first month


def divide(
    database: Database,
    now: datetime,
    since: Month | None = None,
    is_alive: Callable[[int], bool] = process_is_alive,
) -> Divided:
    """Divide a plain database in one transaction, or make the months that are missing of one that is divided.

    Raises:
        StoreError: it is no PostgreSQL database, not of this version, or somebody else's; a program works on a plain
            one; or there would be too many months. Nothing was changed.
        StoreBusyError: it cannot be reached, or somebody reads it for too long.
    """
    if database.sqlite:
        raise StoreError(f"{database.place} is a SQLite file: only a PostgreSQL database can be divided by months")
    check_revision(database)
    with database.writing(durable=True) as conn:
        if not conn.exec_driver_sql(_OWNED).scalar():
            raise StoreError(f"{database.place}: only the owner of its tables can divide them: name that role in url")
        if conn.exec_driver_sql(RELKIND).scalar():  # under the lock: somebody else may have just done it
            done = _extend(conn, now, since)
        else:
            for run in living_runs(conn, now.timestamp(), is_alive):
                raise StoreError(f"{run} works on {database.place}: {STOP_FIRST}")
            done = _convert(conn, now, since)
        if since is not None:
            choose(conn, done.first)
    database.engine.dispose()  # what its connections know of the tables is of before
    with database.writing() as conn:
        conn.exec_driver_sql(f"ANALYZE {', '.join(DIVIDED)}")  # of tables with partitions nobody does it by himself
    return done


def _convert(conn: Connection, now: datetime, since: Month | None) -> Divided:
    """Copy a plain database into partitions. Keys and references come last: built at once, not row by row."""
    conn.exec_driver_sql(f"LOCK TABLE {', '.join(DIVIDED)} IN ACCESS EXCLUSIVE MODE")
    wanted = _wanted(conn, now, since, [])
    drop_views(conn)
    for table in DIVIDED:
        conn.exec_driver_sql(f"ALTER TABLE {table} RENAME TO plain_{table}")
        conn.exec_driver_sql(f"CREATE TABLE {table} (LIKE plain_{table}) PARTITION BY RANGE (time_utc)")
        for month in wanted:
            conn.exec_driver_sql(f"CREATE TABLE {_named(table, month)} PARTITION OF {table} {_values(month)}")
        conn.exec_driver_sql(f"CREATE TABLE {table}_{REST} PARTITION OF {table} DEFAULT")
    _copy(conn)
    for table in reversed(DIVIDED):
        conn.exec_driver_sql(f"DROP TABLE plain_{table}")
    for table in DIVIDED:
        for key in (*_KEYS[table], *_references(table)):
            conn.exec_driver_sql(f"ALTER TABLE {table} ADD {key}")
    for end in (*(_ending(month) for month in wanted), REST):
        _tie(conn, end)
    make_views(conn, divided=True)
    return Divided(True, wanted[0], wanted[-1], len(wanted), 0)


def _copy(conn: Connection) -> None:
    """Copy the rows, each label and embedding with the time of its frame."""
    for table in DIVIDED:
        columns = metadata.tables[table].columns.keys()
        of = "frame" if table == "frames" else "row"
        from_ = "plain_frames AS frame"
        if table != "frames":
            from_ = f"plain_{table} AS row JOIN plain_frames AS frame USING (file_id, frame_index)"
        taken = ", ".join(f"{'frame' if name == 'time_utc' else of}.{name}" for name in columns)
        conn.exec_driver_sql(f"INSERT INTO {table} ({', '.join(columns)}) SELECT {taken} FROM {from_}")  # noqa: S608


def _extend(conn: Connection, now: datetime, since: Month | None) -> Divided:
    there = months(conn)
    wanted = _wanted(conn, now, since, there)
    missing = sorted(set(wanted) - set(there))
    moved = sum(_add(conn, month) for month in missing)
    every = sorted({*there, *wanted})
    early = None if since or chosen(conn) else earliest_before(conn, every[0])
    return Divided(False, every[0], every[-1], len(missing), moved, Month.of(early) if early else None)


def _wanted(conn: Connection, now: datetime, since: Month | None, there: Sequence[Month]) -> list[Month]:
    """Give every month from the first that is there, asked for or has a frame to the last ahead of the clock.

    Once a person has named the first, no frame makes an earlier one: its clock would make years of empty months.
    """
    last = Month.of(now).later(AHEAD)
    begun = min([*there, Month.of(now)])
    first = min(begun, since or _earliest(conn) or begun)
    if last.number - first.number >= MOST and there and since is None:
        first = begun  # a frame of a wrong clock stays in the partition for the rest
    if last.number - first.number >= MOST:
        whence = f"from {first}" if since else f"from the first frame, of {first},"
        raise StoreError(
            f"{whence} to {last} there would be {last.number - first.number + 1} months: "
            f"name {'a later one' if since else 'the first'} by --since YYYY-MM; older frames go to the partition for "
            "the rest"
        )
    return [first.later(step) for step in range(last.number - first.number + 1)]


def _earliest(conn: Connection) -> Month | None:
    """Give the month of the first frame, of those since the month that a person named as the first."""
    named = chosen(conn)
    time = conn.exec_driver_sql(_EARLIEST, (named.begin if named else -math.inf,)).scalar()
    return None if time is None else Month.of(moment(time))


def _add(conn: Connection, month: Month) -> int:
    """Make a month of a divided database; give how many frames were moved there from the partition for the rest.

    Its tables are filled and tied together before they belong to anything, so that others hardly wait.
    """
    theirs = f"time_utc >= {month.begin} AND time_utc < {month.later(1).begin}"
    for table in DIVIDED:
        conn.exec_driver_sql(f"CREATE TABLE {_named(table, month)} (LIKE {table} INCLUDING ALL)")
    _tie(conn, _ending(month))
    moved = 0
    for table in DIVIDED:
        statement = f"INSERT INTO {_named(table, month)} SELECT * FROM {table}_{REST} WHERE {theirs}"  # noqa: S608
        rows = conn.exec_driver_sql(statement).rowcount
        moved = rows if table == "frames" else moved
    for table in reversed(DIVIDED):
        if moved:
            conn.exec_driver_sql(f"DELETE FROM {table}_{REST} WHERE {theirs}")  # noqa: S608
    for table in DIVIDED:
        conn.exec_driver_sql(f"ALTER TABLE {table} ATTACH PARTITION {_named(table, month)} {_values(month)}")
    return moved


def _tie(conn: Connection, end: str) -> None:
    """Have the labels and embeddings of one partition refer to the frames of the same one."""
    for table in DIVIDED[1:]:
        conn.exec_driver_sql(
            f"ALTER TABLE {table}_{end} ADD FOREIGN KEY (file_id, frame_index, time_utc) REFERENCES frames_{end}"
        )


def _references(table: str) -> list[str]:
    """Give the references to tables that are not divided, as the plain database has them."""
    keys = sorted(metadata.tables[table].foreign_keys, key=lambda key: key.parent.name)
    return [
        f"FOREIGN KEY ({key.parent.name}) REFERENCES {key.column.table.name}"
        for key in keys
        if key.column.table.name not in DIVIDED
    ]


def _ending(month: Month) -> str:
    return str(month).replace("-", "_")


def _named(table: str, month: Month) -> str:
    return f"{table}_{_ending(month)}"


def _values(month: Month) -> str:
    return f"FOR VALUES FROM ({month.begin}) TO ({month.later(1).begin})"
