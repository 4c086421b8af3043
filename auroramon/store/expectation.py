"""Counts the frames that a camera should have given: its dark seconds over its cadence, hour by hour.

A view cannot compute the Sun, so the coordinator fills the table `expected` now and then. What has been counted stays
as it was when the camera's cadence or limit changes later: the old nights were taken at the old cadence.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection, bindparam, func, select
from sqlalchemy import update as update_rows
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.sql.base import Executable

from auroramon.sky import dark_seconds, observing_night
from auroramon.store.database import Database
from auroramon.store.encoding import day_number, moment
from auroramon.store.frames import insert_new
from auroramon.store.hours import touch_expected
from auroramon.store.schema import cameras, expected, frames, nights

_GRACE_S = 60.0
"""A frame of the last minute may still be on its way."""
_PAUSE_S = 31 * 86_400.0
"""Nobody watched for so long: the station was switched off, or its clock was wrong, as it is without a battery."""
_NIGHTS_AT_ONCE = 5


@dataclass(frozen=True, slots=True)
class _Camera:
    id: int
    name: str
    latitude: float
    longitude: float
    cadence_s: float
    sun_below_deg: float
    watched_from: float | None

    @property
    def noon_s(self) -> float:
        """Seconds from 00 UTC of a night's date to the local mean noon at which it begins."""
        return 43200.0 - self.longitude * 240.0


def update(database: Database, now: float, watched: Iterable[str], limit_s: float = math.inf) -> None:
    """Bring `expected` up to now, a few nights in a transaction; what `limit_s` seconds are too few for stays due.

    A few are counted in any case: a crowded machine would else never come to any.
    """
    end, late = time.monotonic() + limit_s, False
    names = sorted(set(watched))
    until = now - _GRACE_S
    with database.reading() as conn:
        begun = conn.scalar(select(func.count()).where(cameras.c.name.in_(names), cameras.c.watched_from.is_(None)))
    if begun:
        with database.writing() as conn:
            first_watch = cameras.c.name.in_(names) & cameras.c.watched_from.is_(None)
            conn.execute(update_rows(cameras).where(first_watch).values(watched_from=now))
    for camera in _placed_cameras(database):
        if camera.name in names and camera.watched_from is not None:
            camera = _after_pause(database, camera, camera.watched_from, now)  # noqa: PLW2901
            _open_nights(database, camera, camera.watched_from or now, until)
        while not late and _fill(database, camera, until):
            late = time.monotonic() >= end


def _placed_cameras(database: Database) -> list[_Camera]:
    columns = [cameras.c[name] for name in _Camera.__slots__]
    query = select(*columns).where(*(column.is_not(None) for column in columns[:-1]))
    with database.reading() as conn:
        return [_Camera(*row) for row in conn.execute(query)]


def _after_pause(database: Database, camera: _Camera, since: float, now: float) -> _Camera:
    """Count from now on where nobody watched for a month, by the clock: that would be thousands of false nights."""
    last = (
        select(nights.c.filled_until)
        .where(nights.c.camera_id == camera.id, nights.c.filled_until.is_not(None))
        .order_by(nights.c.night.desc())
        .limit(1)
    )
    with database.reading() as conn:
        counted: float | None = conn.scalar(last)
    if since <= now and now - max(since, counted or since) <= _PAUSE_S:
        return camera
    with database.writing() as conn:
        conn.execute(update_rows(cameras).where(cameras.c.id == camera.id).values(watched_from=now))
    return replace(camera, watched_from=now)


def _open_nights(database: Database, camera: _Camera, since: float, until: float) -> None:
    """Enter the nights of a watched camera that gave no frame: their frames are missing too."""
    first = day_number(observing_night(moment(since), camera.longitude))
    last = day_number(observing_night(moment(until), camera.longitude))
    with database.reading() as conn:
        query = select(nights.c.night).where(nights.c.camera_id == camera.id, nights.c.night >= first)
        absent = sorted(set(range(first, last + 1)) - set(conn.scalars(query)))
    if absent:
        with database.writing() as conn:
            insert_new(conn, nights, [(camera.id, night, None) for night in absent])


def _fill(database: Database, camera: _Camera, until: float) -> bool:
    """Count some nights further, in one transaction; say whether there were any."""
    due = (
        select(nights.c.night, nights.c.filled_until)
        .where(nights.c.camera_id == camera.id)
        .where(nights.c.night * 86400.0 + camera.noon_s < until)
        .where(
            nights.c.filled_until.is_(None)
            | (
                (nights.c.filled_until < until)
                & (nights.c.filled_until < (nights.c.night + 1) * 86400.0 + camera.noon_s)
            )
        )
        .order_by(nights.c.night)
        .limit(_NIGHTS_AT_ONCE)
    )
    with database.reading() as conn:
        if not conn.execute(due.limit(1)).first():
            return False
    with database.writing() as conn:
        rows: list[dict[str, float]] = []
        filled: list[dict[str, Any]] = []
        for night, filled_until in conn.execute(due).all():
            noon = night * 86400.0 + camera.noon_s
            start = _first_moment(conn, camera, noon) if filled_until is None else filled_until
            end = max(start, min(noon + 86400.0, until))
            rows += _hours(camera, night, start, end)
            filled.append({"key": night, "filled_until": end})
        if filled:
            conn.execute(
                update_rows(nights).where(nights.c.camera_id == camera.id, nights.c.night == bindparam("key")), filled
            )
        if rows:
            conn.execute(_adding(conn), rows)
            touch_expected(conn, camera.id, {int(row["night"]) for row in rows})
    return True


def _first_moment(conn: Connection, camera: _Camera, noon: float) -> float:
    """Give the noon, or in the night in which a daemon first watched, its beginning or the first frame before it."""
    if camera.watched_from is None or not noon <= camera.watched_from < noon + 86400.0:
        return noon
    first = conn.scalar(
        select(func.min(frames.c.time_utc)).where(frames.c.camera_id == camera.id, frames.c.time_utc >= noon)
    )
    return camera.watched_from if first is None else min(camera.watched_from, first)


def _hours(camera: _Camera, night: int, start: float, end: float) -> list[dict[str, float]]:
    dark = dark_seconds(moment(start), moment(end), camera.latitude, camera.longitude, camera.sun_below_deg)
    return [
        {
            "camera_id": camera.id,
            "night": night,
            "hour": hour,
            "frames": seconds / camera.cadence_s,
            "sun_below": round(camera.sun_below_deg * 100),
        }
        for hour, seconds in dark.items()
    ]


def _adding(conn: Connection) -> Executable:
    """Give the statement that adds a part of an hour to what is counted of it already."""
    make = sqlite.insert if conn.dialect.name == "sqlite" else postgresql.insert
    statement = make(expected)
    return statement.on_conflict_do_update(
        index_elements=[expected.c.camera_id, expected.c.night, expected.c.hour],
        set_={
            "frames": expected.c.frames + statement.excluded.frames,
            "sun_below": statement.excluded.sun_below,
        },
    )
