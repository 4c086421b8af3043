"""A database file copied as one moment of it, owned and readable as the original, and safe on the disk."""

from __future__ import annotations

import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from auroramon.care.check import Verdict, examine_file
from auroramon.errors import StoreBusyError, StoreError
from auroramon.store.database import MALFORMED, damaged

SPARE = 1.05  # of the file's size must be free
BUSY_S = 30.0


def sqlite_file(url: str) -> Path | None:
    """Give the file of a SQLite database, which may not be there yet; None for any other URL."""
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        return None  # `connect` says what is wrong with it
    named = parsed.get_backend_name() == "sqlite" and parsed.database
    return Path(named).expanduser().absolute() if named else None


def copy_checked(source: Path, to: Path) -> Verdict:
    """Copy a database, also one in use, to a file of its own, and examine the copy.

    The copy is one moment of the source, without a journal beside it, written through to the disk. A source that is
    damaged gives a copy that is not sound: it is for the caller to drop it.

    Raises:
        StoreError: there is no room, or the source cannot be read.
        StoreBusyError: either is locked or out of reach for now.
    """
    drop(to)
    check_room(source, to.parent)
    try:
        with (
            closing(sqlite3.connect(f"file:{quote(str(source))}?mode=ro", uri=True, timeout=BUSY_S)) as original,
            closing(sqlite3.connect(to, timeout=BUSY_S)) as copy,
        ):
            original.backup(copy)  # in one go: readers do not hold up the writer of a database in WAL mode
            copy.execute("PRAGMA journal_mode=DELETE")  # one file, that can be carried away alone
    except sqlite3.DatabaseError as error:
        drop(to)
        if getattr(error, "sqlite_errorcode", 0) & 0xFF in MALFORMED:
            raise damaged(str(source), str(error)) from error
        raise StoreBusyError(f"{source} could not be copied to {to.parent}: {error}") from error
    own_like(source, to)
    sync(to)
    return examine_file(to)


def drop(copy: Path) -> None:
    """Delete a copy that came to nothing, with its journals: they would be played into the next one of its name."""
    for ending in ("-journal", "-wal", "-shm", ""):
        Path(f"{copy}{ending}").unlink(missing_ok=True)


def own_like(source: Path, to: Path) -> None:
    """Give a file the mode and, where we may, the owner of another: root's copy must not shut out the daemon."""
    shutil.copymode(source, to)
    if os.geteuid() == 0:
        status = source.stat()
        os.chown(to, status.st_uid, status.st_gid)


def sync(path: Path) -> None:
    """Wait until a file, or the names in a folder, are on the disk."""
    number = os.open(path, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


def free_bytes(folder: Path) -> int:
    """Give the bytes of a folder's disk that are free for this user."""
    return shutil.disk_usage(folder).free


def check_room(source: Path, folder: Path) -> None:
    """Refuse where a copy would fill the disk.

    Raises:
        StoreError: there is no room.
    """
    source = source.resolve()  # SQLite keeps the journal beside the file itself
    journal = source.with_name(source.name + "-wal")
    needed = SPARE * (source.stat().st_size + (journal.stat().st_size if journal.exists() else 0))
    free = free_bytes(folder)
    if free < needed:
        raise StoreError(
            f"{folder} has room for {size_text(free)}, and a copy of {source} needs {size_text(int(needed))}: "
            "make room, or name another folder"
        )


def size_text(size: int) -> str:
    """Give a number of bytes as a person reads it, in decimal units; no size is shown as nothing."""
    for unit, length in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if size >= length:
            return f"{size / length:.1f} {unit}"
    return f"{size} bytes"
