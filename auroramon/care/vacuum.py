"""A database file written anew without holes."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from auroramon.care.check import quick_fault
from auroramon.care.copies import check_room
from auroramon.errors import NoDatabaseError, StoreBusyError
from auroramon.store.database import MALFORMED, damaged

BUSY_S = 30.0
LOOK_S = 20.0  # all of the file is about to be read anyway


@dataclass(frozen=True, slots=True)
class Vacuumed:
    """How large the file was and is."""

    before: int  # bytes
    after: int  # bytes


def vacuum(file: Path) -> Vacuumed:
    """Write the file anew, all of it or nothing.

    Raises:
        NoDatabaseError: it is not there.
        DamagedDatabaseError: it is malformed; it was left as it is.
        StoreBusyError: somebody writes to it all the time, or the disk is full; nothing was changed.
    """
    if not file.exists():
        raise NoDatabaseError(f"there is no database at {file} yet: nothing to vacuum")
    if fault := quick_fault(file, LOOK_S):
        raise damaged(str(file), fault, untouched=True)
    check_room(file, file.parent)
    before = file.stat().st_size
    try:
        with closing(sqlite3.connect(file, timeout=BUSY_S, isolation_level=None)) as connection:
            connection.execute("VACUUM")
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    except sqlite3.DatabaseError as error:
        if getattr(error, "sqlite_errorcode", 0) & 0xFF in MALFORMED:
            raise damaged(str(file), str(error)) from error
        raise StoreBusyError(f"{file} cannot be vacuumed now: {error}") from error
    return Vacuumed(before, file.stat().st_size)
