"""The database: whether it is whole, of this version, adds up, and agrees with the clock."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from statistics import median

from sqlalchemy import Connection, func, inspect, select

from auroramon.care.check import miscounted, quick_fault
from auroramon.care.copies import sqlite_file
from auroramon.checkup import of_another_program
from auroramon.doctor.lines import Line, Machine
from auroramon.errors import (
    AuroramonError,
    ConfigError,
    DamagedDatabaseError,
    MissingPartError,
    NoDatabaseError,
    StoreBusyError,
)
from auroramon.store import accounts
from auroramon.store.database import Database, connect
from auroramon.store.migrate import VERSION_TABLE
from auroramon.store.months import is_divided, months, shortage
from auroramon.store.place import obstacle
from auroramon.store.schema import REVISION, TIME_SOURCES, cameras, files, frames

BUSY_S = 5.0
AHEAD_S = 60.0  # a frame from the future
BEHIND_S = 5.0  # a file that was complete before its exposure began
NEWEST = 50  # frames of a camera whose times are compared with those of their files
MTIME = TIME_SOURCES["mtime"]
MANY = 0.01  # share of files in quarantine
RESTORE = "stop the service, then: auroramon db restore, or put the file aside and start with a new one"


def check_database(url: str, machine: Machine, busy_timeout_s: float = BUSY_S) -> Iterator[Line]:
    """Look into the database without changing it. A large one is read once: seconds for each gigabyte."""
    try:
        database = connect(url, create=False, busy_timeout_s=busy_timeout_s)
        try:
            yield from _examine(database, machine)
        finally:
            database.close()
    except NoDatabaseError as error:
        yield Line("ok", "database", str(error))
    except AuroramonError as error:
        yield Line("failure", "database", str(error), _remedy(error, sqlite_file(url)))


def _remedy(error: AuroramonError, file: Path | None) -> str:
    """Give what to do about a database that cannot be opened or read."""
    if isinstance(error, ConfigError | MissingPartError):
        return "correct url in [database], or make what it names possible; then: auroramon config check"
    if isinstance(error, DamagedDatabaseError):
        return RESTORE
    if file is None:
        return "is the server up, and this the right host, user and password? pg_isready, and the server's own log"
    if obstacle(file, write=True):
        return f"whose it is, and whether its disk is mounted read-only: ls -l {file}; findmnt -T {file.parent}"
    if isinstance(error, StoreBusyError):
        return f"who has it open: fuser -v {file}; is the disk full? df -h {file.parent}"
    return RESTORE


def _examine(database: Database, machine: Machine) -> Iterator[Line]:
    with database.reading() as conn:
        tables = inspect(conn).get_table_names()
        if VERSION_TABLE not in tables:
            if strangers := of_another_program(tables, sqlite=database.sqlite):
                said = f"{database.place} holds tables of another program ({strangers})"
                yield Line("failure", "database", said, "name another database in [database] url")
                return
            yield Line("ok", "database", f"{database.place} holds no tables of auroramon yet: the first run makes them")
            return
        if database.sqlite:
            yield _whole(Path(database.place))
            yield _mode(conn)
        old = conn.exec_driver_sql(f"SELECT version_num FROM {VERSION_TABLE}").scalar()  # noqa: S608
        yield _schema(str(old))
        if old != REVISION:
            return
        yield from _account(conn)
        if is_divided(conn):
            yield _months(conn, machine)
        yield from _times(conn, machine)


def _whole(file: Path) -> Line:
    fault = quick_fault(file, limit_s=math.inf)
    if fault:
        return Line("failure", "database", f"{file} is damaged: {fault}", RESTORE)
    return Line("ok", "database", f"{file} is whole")


def _mode(conn: Connection) -> Line:
    mode = str(conn.exec_driver_sql("PRAGMA journal_mode").scalar())
    if mode == "wal":
        return Line("ok", "database", "readers and the daemon do not wait for each other (WAL)")
    remedy = "with the service stopped: sqlite3 FILE 'PRAGMA journal_mode=WAL'"
    return Line("warning", "database", f"its journal is {mode}: whoever reads holds up the daemon", remedy)


def _schema(found: str) -> Line:
    if found == REVISION:
        return Line("ok", "database", f"its schema is {found}, that of this version")
    if found < REVISION:
        remedy = "a copy first: auroramon db backup"
        return Line("warning", "database", f"its schema is {found}: the next start brings it to {REVISION}", remedy)
    remedy = "install the newer auroramon that wrote it, or name another database"
    return Line("failure", "database", f"its schema {found} is newer than this version's {REVISION}", remedy)


def _months(conn: Connection, machine: Machine) -> Line:
    if short := shortage(conn, machine.now()):
        return Line("warning", "database", short, "its owner must call: auroramon db partition")
    there = months(conn)
    return Line("ok", "database", f"divided by months from {there[0]} to {there[-1]}")


def _account(conn: Connection) -> Iterator[Line]:
    now = accounts.recount(conn)
    if not now.adds_up:
        yield Line("failure", "database", f"does not add up: {now}", RESTORE)
        return
    if now.quarantined > MANY * now.seen:
        yield Line("warning", "database", str(now), "auroramon quarantine list says what is wrong with the bad files")
    else:
        yield Line("ok", "database", str(now))
    for said in miscounted(conn, now):
        yield Line("warning", "database", said, "auroramon db recount")


def _times(conn: Connection, machine: Machine) -> Iterator[Line]:
    """Compare the newest frames of each camera with the clock, and with the times of their files."""
    now = machine.now().timestamp()
    for number, name in conn.execute(select(cameras.c.id, cameras.c.name).order_by(cameras.c.name)).all():
        newest = (
            select(frames.c.time_utc, (files.c.mtime_ns / 1_000_000_000 - frames.c.time_utc).label("after"))
            .join(files, files.c.id == frames.c.file_id)
            .where(frames.c.camera_id == number, frames.c.time_source != MTIME)
            .order_by(frames.c.time_utc.desc())
            .limit(NEWEST)
        )
        rows = conn.execute(newest).all()
        if rows:
            yield _judge_times(str(name), float(rows[0].time_utc) - now, median(float(row.after) for row in rows))


def _judge_times(camera: str, ahead_s: float, after_s: float) -> Line:
    about = f"camera {camera}"
    remedy = "set the clock of the camera's computer, or utc_offset_hours of the camera where its times are not UTC"
    if ahead_s > AHEAD_S:
        return Line("failure", about, f"its newest frame is {ahead_s:.0f} s ahead of the clock", remedy)
    if after_s < -BEHIND_S:
        said = f"its files are {-after_s:.0f} s older than the exposures in them, by their own times"
        return Line("warning", about, said, remedy)
    return Line("ok", about, "the times of its frames agree with the clock")


def frames_between(conn: Connection, since: float, until: float) -> int:
    """Count frames by their times."""
    query = select(func.count()).select_from(frames).where(frames.c.time_utc >= since, frames.c.time_utc < until)
    return int(conn.execute(query).scalar_one())
