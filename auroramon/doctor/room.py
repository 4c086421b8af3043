"""How much room there is on the disks, and for how long."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

from auroramon.care.backup import KEPT_BESIDE, copies
from auroramon.care.copies import sqlite_file
from auroramon.config import Settings
from auroramon.doctor.lines import Line, Machine
from auroramon.doctor.records import frames_between
from auroramon.doctor.unit import TIMER, ask
from auroramon.errors import AuroramonError
from auroramon.sources.entry import is_folder, is_there, nearest
from auroramon.store.database import connect
from auroramon.store.migrate import VERSION_TABLE

WEEK_S = 7 * 86400.0
SHORT_DAYS, FEW_DAYS = 7.0, 60.0
NO_SPACE, LOW_SPACE, LITTLE_SPACE = 200e6, 1e9, 2e9  # bytes; below the second AuroramonDiskLow fires


@dataclass(frozen=True, slots=True)
class Growth:
    """How a database grows, and its copies on the same disk with it."""

    bytes_a_frame: float
    frames_a_day: float
    copies: int = 0  # that are kept on the disk: each is replaced by a larger one in time
    due_bytes: float = 0.0  # copies that are yet to be made before the first is replaced

    @property
    def bytes_a_day(self) -> float:
        return self.bytes_a_frame * self.frames_a_day * (1 + self.copies)


def check_disks(settings: Settings, machine: Machine) -> Iterator[Line]:
    """Say how much room there is, and for how many days."""
    file = sqlite_file(settings.database_url)
    if file is not None:
        there = nearest(file.parent)
        grows = growth(settings.database_url, file, machine)
        if grows is not None:
            grows = with_copies(grows, file, settings, machine)
        yield judge_disk(machine.free(there), grows, str(there))
    for camera in settings.camera:
        folder = camera.folder
        if folder is not None and machine.answers(folder) and is_folder(folder):
            free = machine.free(folder)
            said = f"{_size(free)} are free in {folder}"
            if free < NO_SPACE:
                said += ": the camera cannot write its frames"
                yield Line("failure", f"camera {camera.name}", said, "move old nights to another disk")
            elif free < LOW_SPACE:
                said += ": soon the camera cannot write its frames"
                yield Line("warning", f"camera {camera.name}", said, "move old nights to another disk")


def growth(url: str, file: Path, machine: Machine) -> Growth | None:
    """Measure the growth over the last week; None where there is no database to measure."""
    now = machine.now().timestamp()
    if not is_there(file):
        return None
    try:
        database = connect(url, create=False, busy_timeout_s=1.0)
        with closing(database), database.reading() as conn:
            tables = conn.exec_driver_sql("SELECT name FROM sqlite_master").scalars().all()
            if VERSION_TABLE not in tables:
                return None
            every = frames_between(conn, 0, 1e12)
            week = frames_between(conn, now - WEEK_S, now)
    except AuroramonError:
        return None  # the lines of the database say what is wrong with it
    return Growth(file.stat().st_size / max(1, every), week / 7)


def with_copies(grows: Growth, file: Path, settings: Settings, machine: Machine) -> Growth:
    """Add the copies that lie on the database's own disk, where any are made."""
    folder = settings.database.backup_folder or file.parent / KEPT_BESIDE
    try:
        if nearest(folder).stat().st_dev != file.stat().st_dev:
            return grows
        there = len(copies(file, folder))
    except OSError:
        there = 0  # the line of the copies says what is wrong with their folder
    timer = ask(machine, TIMER)
    if not there and (timer is None or timer.told.get("UnitFileState") != "enabled"):
        return grows
    keep = settings.database.backup_keep
    return replace(grows, copies=keep, due_bytes=max(0, keep - there) * file.stat().st_size)


def judge_disk(free: int, grows: Growth | None, place: str) -> Line:
    """Say whether the disk of the database lasts."""
    said = f"{_size(free)} are free in {place}"
    days = float("inf")
    if grows is not None and (grows.bytes_a_day or grows.due_bytes > free):
        days = max(0.0, free - grows.due_bytes) / grows.bytes_a_day if grows.bytes_a_day else 0.0
        copies_too = f", with {grows.copies} copies kept beside it" if grows.copies else ""
        said += f": {_days(days)} at the {grows.frames_a_day:.0f} frames a day of the last week{copies_too}"
    remedy = "make room, or move the database to a larger disk; where its space goes: docs/database.md"
    if free < NO_SPACE or days < SHORT_DAYS:
        return Line("failure", "disk", said, remedy)
    if free < LITTLE_SPACE or days < FEW_DAYS:
        return Line("warning", "disk", said, remedy)
    return Line("ok", "disk", said)


def _size(number: float) -> str:
    return f"{number / 1e9:.1f} GB" if number >= 1e9 else f"{number / 1e6:.0f} MB"


def _days(days: float) -> str:
    return f"{days:.0f} days" if days < 730 else f"{days / 365:.0f} years"
