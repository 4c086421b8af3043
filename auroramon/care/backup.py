"""Copies of the database, taken beside a running daemon: checked before they count, and rotated."""

from __future__ import annotations

import fcntl
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from auroramon.care.check import Verdict
from auroramon.care.copies import copy_checked, drop, sync
from auroramon.errors import StoreBusyError, StoreError

NAMED = "%Y%m%dT%H%M%SZ"
KEPT_BESIDE = "backups"
"""The folder beside the database that copies go to where nothing else is configured."""


@dataclass(frozen=True, slots=True)
class Backup:
    """A copy that was found whole."""

    path: Path
    verdict: Verdict
    dropped: tuple[Path, ...]  # older copies that made room for it


def back_up(source: Path, folder: Path, keep: int, now: datetime) -> Backup:
    """Copy the database to a new file of the folder, and drop the oldest copies beyond `keep`.

    A copy appears under its name only when it is whole, checked and on the disk. Where it is not whole nothing is
    dropped: the older copies are worth more.

    Raises:
        StoreError: there is no database, no room, or what was copied is not whole.
        StoreBusyError: another backup is at work, or a file cannot be reached now.
    """
    if not source.exists():
        raise StoreError(f"there is no database at {source} yet: nothing to copy")
    _make(folder, source)
    with _alone(folder):
        for unfinished in folder.glob(f".{source.stem}-*.part*"):  # of a backup that was killed
            unfinished.unlink()
        path = folder / f"{source.stem}-{now:{NAMED}}{source.suffix}"
        if path.exists():
            raise StoreError(f"{path} is there already, and no copy is ever overwritten: wait a second")
        part = folder / f".{path.name}.part"
        verdict = copy_checked(source, part)
        if not verdict.whole:
            drop(part)
            raise StoreError(
                f"{source} is not sound ({verdict.faults[0]}): no copy of it is kept, and the older ones stay; "
                f"{verdict.remedy}"
            )
        part.rename(path)
        sync(folder)
        return Backup(path, verdict, tuple(_drop_oldest(source, folder, keep, path)))


def copies(source: Path, folder: Path) -> list[Path]:
    """Give the copies of a database in a folder, newest first, by their names."""
    name = re.compile(re.escape(source.stem) + r"-\d{8}T\d{6}Z" + re.escape(source.suffix))
    found = [path for path in folder.iterdir() if name.fullmatch(path.name)] if folder.is_dir() else []
    return sorted((path for path in found if _has_time(path)), reverse=True)


def _has_time(copy: Path) -> bool:
    try:
        made(copy)
    except ValueError:  # 99 o'clock: a name that we never gave
        return False
    return True


def _drop_oldest(source: Path, folder: Path, keep: int, newest: Path) -> Iterator[Path]:
    """Drop all but `keep` copies; never the one just made, even where the clock had put it in the past."""
    others = [path for path in copies(source, folder) if path != newest]
    for path in others[max(0, keep - 1) :]:
        path.unlink()
        yield path


def made(copy: Path) -> datetime:
    """Give when a copy was made, by its name."""
    return datetime.strptime(copy.stem.rpartition("-")[2], NAMED).replace(tzinfo=UTC)


def last_made(source: Path, folder: Path) -> float | None:
    """Give when the newest copy of a database was made, Unix time in seconds; None where there is none.

    Raises:
        OSError: the folder may not be read.
    """
    newest = next(iter(copies(source, folder)), None)
    return None if newest is None else made(newest).timestamp()


def _make(folder: Path, source: Path) -> None:
    """Make the folder; where root does, it belongs to whoever owns the database, who shall write the next copy."""
    new = [above for above in (folder, *folder.parents) if not above.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if os.geteuid() == 0:
            owner = source.stat()
            for one in new:
                os.chown(one, owner.st_uid, owner.st_gid)
    except OSError as error:
        raise StoreError(f"the folder of the copies {folder} cannot be made: {error.strerror}") from error


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Keep other backups out; the lock ends with this process, however it ends."""
    number = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError as error:
        raise StoreBusyError(f"another backup is writing to {folder}: wait for its end") from error
    finally:
        os.close(number)
