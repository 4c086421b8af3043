"""A database file written anew without holes."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from auroramon.care.check import quick_fault
from auroramon.care.copies import SPARE, free_bytes, size_text
from auroramon.errors import NoDatabaseError, StoreBusyError, StoreError
from auroramon.store.database import MALFORMED, damaged

BUSY_S = 30.0
LOOK_S = 20.0  # all of the file is about to be read anyway


@dataclass(frozen=True, slots=True)
class Vacuumed:
    """How large the file was and is."""

    before: int  # bytes
    after: int  # bytes


def vacuum(file: Path, free: Callable[[Path], int] = free_bytes) -> Vacuumed:
    """Write the file anew, all of it or nothing.

    Raises:
        NoDatabaseError: it is not there.
        DamagedDatabaseError: it is malformed; it was left as it is.
        StoreError: there is no room; nothing was changed.
        StoreBusyError: somebody writes to it all the time, or the disk is full; nothing was changed.
    """
    if not file.exists():
        raise NoDatabaseError(f"there is no database at {file} yet: nothing to vacuum")
    if fault := quick_fault(file, LOOK_S):
        raise damaged(str(file), fault, untouched=True)
    before = file.stat().st_size
    try:
        with closing(sqlite3.connect(file, timeout=BUSY_S, isolation_level=None)) as connection:
            _check_room(file, _filled(connection), free)
            connection.execute("VACUUM")
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    except sqlite3.DatabaseError as error:
        if getattr(error, "sqlite_errorcode", 0) & 0xFF in MALFORMED:
            raise damaged(str(file), str(error)) from error
        raise StoreBusyError(f"{file} cannot be vacuumed now: {error}") from error
    return Vacuumed(before, file.stat().st_size)


def _filled(connection: sqlite3.Connection) -> int:
    """Give how many bytes of a file are no holes."""
    asked = ("page_count", "freelist_count", "page_size")
    pages, holes, size = (int(connection.execute(f"PRAGMA {name}").fetchone()[0]) for name in asked)
    return (pages - holes) * size


def _check_room(file: Path, filled: int, free: Callable[[Path], int]) -> None:
    """Refuse where the disk would become full: SQLite builds the new file in its folder for temporary files, and writes
    it into the journal beside the old one before that is overwritten.

    Raises:
        StoreError: there is no room, on either disk or on the one that both are on.
    """
    journal, temporary = file.resolve().parent, temporary_folder()
    needed = int(SPARE * filled)
    wanted = [(journal, needed, "the journal"), (temporary, needed, "SQLite's temporary file")]
    if journal.stat().st_dev == temporary.stat().st_dev:
        wanted = [(journal, 2 * needed, "SQLite's temporary file with the journal")]
    for folder, size, what in wanted:
        if (there := free(folder)) < size:
            raise StoreError(
                f"{folder} has room for {size_text(there)}, and {what} needs {size_text(size)} there to write {file} "
                "anew: make room, or name a folder on another disk for such files in SQLITE_TMPDIR"
            )


def temporary_folder() -> Path:
    """Give where SQLite puts large temporary files: the first of its places that can be written.

    https://www.sqlite.org/tempfiles.html, section 5.
    """
    named = [os.environ[name] for name in ("SQLITE_TMPDIR", "TMPDIR") if os.environ.get(name)]
    places = [Path(name) for name in (*named, "/var/tmp", "/usr/tmp", "/tmp", ".")]  # noqa: S108 (SQLite's own list)
    return next((place for place in places if place.is_dir() and os.access(place, os.W_OK | os.X_OK)), Path())
