"""What must be told when labels change: the events of their night, and the counts of their hour."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from sqlalchemy import ColumnElement, Connection, literal_column, select

from auroramon.store.events import count_change, count_change_everywhere
from auroramon.store.hours import Hour, hour_of, hour_sql, touch, touch_all
from auroramon.store.months import within
from auroramon.store.schema import frames


def labels_changed(conn: Connection, changed: Iterable[tuple[int, int, float]]) -> None:
    """Say that labels of frames of these moments, as (camera, night, Unix seconds), are others now."""
    _hours_changed(conn, {(camera, night, hour_of(time)) for camera, night, time in changed})


def labels_of_files_changed(
    conn: Connection, file_ids: Iterable[int], times: Collection[float | None] | None = None
) -> None:
    """Say that labels of frames of these files are others now, or about to go; only of frames from the first to the
    last of `times` where they are given and the tables are divided by months.
    """
    distinct = sorted(set(file_ids))
    hour: ColumnElement[int] = literal_column(hour_sql(conn.dialect.name == "sqlite", "frames.time_utc"))
    for start in range(0, len(distinct), 500):
        query = select(frames.c.camera_id, frames.c.night, hour).distinct()
        if times is not None:
            query = query.where(within(conn, frames, times))
        found = conn.execute(query.where(frames.c.file_id.in_(distinct[start : start + 500])))
        _hours_changed(conn, {(camera, night, number) for camera, night, number in found})


def _hours_changed(conn: Connection, hours: set[Hour]) -> None:
    count_change(conn, {(camera, night) for camera, night, _ in hours})
    touch(conn, hours)


def every_label_changed(conn: Connection) -> None:
    """Say that any label may be another now: another model speaks."""
    count_change_everywhere(conn)
    touch_all(conn)
