"""The frames of each hour, counted by label and kept: what makes the occurrence views quick at any size.

Whoever changes what a frame is said to show makes its hour `due`, in the same transaction. The views themselves count
the frames of an hour that is due, and take what is kept of every other. So their numbers are right at any moment,
whatever is killed, and `count_due` only makes them quick again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Row, select, text, update

from auroramon.store.schema import COUNTS, LABEL_CODES, hours

FRAMES_AT_ONCE = 2000
"""Frames counted in one transaction, which other writers wait for: some milliseconds."""

Hour = tuple[int, int, int]  # camera, night, hour since 1970

_KEY = "camera_id = :camera AND night = :night AND hour = :hour"
_EXPECTED = text(
    "INSERT INTO hours (camera_id, night, hour, due, sun_below) SELECT camera_id, night, hour, 0, sun_below "
    "FROM expected WHERE camera_id = :camera AND night = :night ON CONFLICT DO NOTHING"
)
_CHANGED = text(
    "UPDATE hours SET due = 1 WHERE due = 0 AND camera_id = :camera AND night = :night AND EXISTS ("
    "SELECT 1 FROM expected AS e WHERE e.camera_id = hours.camera_id AND e.night = hours.night "
    "AND e.hour = hours.hour AND e.sun_below <> COALESCE(hours.sun_below, -32768))"
)


def hour_of(time: float) -> int:
    """Give the hour since 1970 of a time in Unix seconds."""
    return int(time // 3600)


def hour_sql(sqlite: bool, time: str) -> str:
    """Give the same in SQL; SQLite may lack FLOOR, and its CAST goes towards 1970."""
    if sqlite:
        return f"(CAST({time} / 3600 AS INTEGER) - ({time} / 3600 < CAST({time} / 3600 AS INTEGER)))"
    return f"CAST(FLOOR({time} / 3600) AS INTEGER)"


def touch(conn: Connection, changed: Iterable[Hour]) -> None:
    """Say that labels of these hours are others now."""
    rows = sorted(set(changed))
    if not rows:
        return
    mark = "?" if conn.dialect.name == "sqlite" else "%s"
    # Past the compiler, as each commit comes here. Of an hour that is due already nothing is written.
    conn.exec_driver_sql(
        f"INSERT INTO hours (camera_id, night, hour, due) VALUES ({mark}, {mark}, {mark}, 1) "  # noqa: S608
        "ON CONFLICT (camera_id, night, hour) DO UPDATE SET due = 1 WHERE hours.due = 0",
        rows,
    )


def touch_all(conn: Connection) -> None:
    """Say that any label may be another now: another model speaks."""
    conn.execute(update(hours).where(hours.c.due == 0).values(due=1))


def touch_expected(conn: Connection, camera: int, nights: Iterable[int]) -> None:
    """Enter the hours of these nights in which frames are expected; those that are dark by another limit are due."""
    rows = [{"camera": camera, "night": night} for night in nights]
    conn.execute(_EXPECTED, rows)
    conn.execute(_CHANGED, rows)


def due(conn: Connection, before: int | None, limit: int) -> Sequence[Hour]:
    """Give some hours that are due and begin before `before`."""
    query = select(hours.c.camera_id, hours.c.night, hours.c.hour).where(text("hours.due = 1"))
    query = query.with_hint(hours, "INDEXED BY hours_due", "sqlite")  # its planner takes all rows for likely to be due
    if before is not None:
        query = query.where(hours.c.hour < before)
    return [(camera, night, hour) for camera, night, hour in conn.execute(query.limit(limit))]


def count_due(conn: Connection, before: int | None) -> int:
    """Count the frames of some hours that are due and begin before `before`; give the number of hours."""
    done = frames = 0
    for camera, night, hour in due(conn, before, FRAMES_AT_ONCE // 20):
        if frames >= FRAMES_AT_ONCE:
            break
        frames += _count(conn, {"camera": camera, "night": night, "hour": hour})
        done += 1
    return done


def _count(conn: Connection, key: Mapping[str, int]) -> int:
    """Count the frames of an hour, and keep it."""
    found: Row[Any] = conn.execute(_COUNT, {**key, "since": key["hour"] * 3600.0}).one()
    conn.execute(_KEEP, {**found._mapping, **key})
    return int(found.total)


def label_sums(column: str) -> str:
    """Give the SQL that counts frames by label, a column for each of COUNTS."""
    counted = [f"COALESCE(SUM(CASE WHEN {column} = {code} THEN 1 ELSE 0 END), 0) AS {name}"
               for name, code in LABEL_CODES.items()]  # fmt: skip
    counted.append(f"COALESCE(SUM(CASE WHEN {column} > {len(LABEL_CODES)} THEN 1 ELSE 0 END), 0) AS other")
    return ", ".join(counted)


_COUNT = text(
    f"SELECT {label_sums('q.label_id')}, COUNT(*) AS total, "  # noqa: S608 (our own names)
    "COALESCE(SUM(CASE WHEN q.sun < y.sun_below THEN 1 ELSE 0 END), 0) AS dark, "
    "(SELECT sun_below FROM expected WHERE camera_id = :camera AND night = :night AND hour = :hour) AS sun_below "
    "FROM current_codes AS q "
    "LEFT JOIN expected AS y ON y.camera_id = q.camera_id AND y.night = q.night AND y.hour = :hour "
    "WHERE q.camera_id = :camera AND q.night = :night AND q.time_utc >= :since AND q.time_utc < :since + 3600"
)
_KEEP = text(
    f"UPDATE hours SET due = 0, {', '.join(f'{name} = :{name}' for name in (*COUNTS, 'total', 'dark', 'sun_below'))} "  # noqa: S608
    f"WHERE {_KEY}"
)
