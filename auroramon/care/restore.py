"""A copy put in the place of the database, so that at any moment a kill leaves the old one, the new one, or a sentence.

First the copy is examined, copied beside the database and examined again. Then one rename makes the decision: from the
moment on that `NAME.restoring` exists, nobody opens the database until the old files are aside and the new one is in
their place, and whoever calls `restore` next finishes that.
"""

from __future__ import annotations

import fcntl
import logging
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from itertools import chain, count, takewhile
from pathlib import Path

from sqlalchemy import inspect

from auroramon.care.check import examine_file, quick_fault
from auroramon.care.copies import copy_checked, drop, own_like, sync
from auroramon.errors import DamagedDatabaseError, StoreError
from auroramon.store.database import damaged, read_file
from auroramon.store.place import pending_restore
from auroramon.store.registry import living_runs, process_is_alive
from auroramon.store.schema import runs

log = logging.getLogger(__name__)

START_CHECK_S = 20.0
_WITH_IT = ("-wal", "-shm", "")  # the journal first: left behind, it would be played into the next database
_SHARED_FIRST, _SHARED_SIZE = 0x40000002, 510  # of SQLite's file format: whoever uses the file holds a lock there


def restore(target: Path, copy: Path, now: datetime, is_alive: Callable[[int], bool] = process_is_alive) -> Path | None:
    """Put a copy in the place of the database; give where the old one is now, None where there was none.

    Raises:
        StoreError: the copy is not sound, or a process uses the database; nothing was changed.
        StoreBusyError: a file cannot be reached now.
    """
    target = target.resolve()  # a link stays one, and the database on the disk that somebody chose for it
    finish(target)
    if not copy.is_file():
        raise StoreError(f"there is no copy at {copy}")
    verdict = examine_file(copy)
    if not verdict.whole:
        raise StoreError(f"{copy} is not sound ({verdict.faults[0]}): it is not restored; try an older one")
    _refuse_living_runs(target, now, is_alive)
    with _unused(target):
        part = target.with_name(f".{target.name}.part")
        verdict = copy_checked(copy, part)
        if not verdict.whole:
            drop(part)
            raise StoreError(f"the copy of {copy} came out damaged ({verdict.faults[0]}): is the disk failing?")
        with closing(sqlite3.connect(part)) as connection:
            connection.execute("PRAGMA journal_mode=WAL")
        if target.exists():
            own_like(target, part)
        sync(part)
        part.rename(pending_restore(target))
        sync(target.parent)
        return _put_in_place(target)


def finish(target: Path) -> Path | None:
    """End a restore that was interrupted after its decision; give where the old database is now."""
    target = target.resolve()
    if not pending_restore(target).exists():
        return None
    log.warning("finishing a restore of %s that was interrupted", target)
    with _unused(target):
        return _put_in_place(target)


def set_aside(target: Path, time: datetime) -> Path:
    """Rename a database and its journal to a name with the time; nothing is deleted. Calling again goes on.

    The database goes last: while it is here, a name that a database has is another one's, of the same second.
    """
    stem = target.with_name(f"{target.name}.aside-{time:%Y%m%dT%H%M%SZ}")
    names = chain([stem], (Path(f"{stem}-{number}") for number in count(2)))
    if target.exists():
        aside = next(name for name in names if not name.exists())
    else:  # it went before: its name is the last one in use
        *_, aside = [stem, *takewhile(Path.exists, names)]
    for ending in _WITH_IT:
        old = Path(f"{target}{ending}")
        if old.exists():
            old.rename(f"{aside}{ending}")
    sync(target.parent)
    return aside


def check_at_start(target: Path, now: datetime, *, fresh: bool, limit_s: float = START_CHECK_S) -> Path | None:
    """Look whether the database is whole before a daemon opens it.

    Args:
        target: the SQLite file; it may not be there yet.
        now: aware UTC.
        fresh: set a damaged one aside, so that a new one is made.
        limit_s: how long may be looked.

    Returns:
        Where the damaged one is now; None where none was found.

    Raises:
        DamagedDatabaseError: it is damaged and stays where it is.
    """
    target = target.resolve()
    fault = quick_fault(target, limit_s) if target.exists() else ""
    if not fault:
        return None
    if not fresh:
        raise damaged(str(target), fault, untouched=True)
    with _unused(target):
        aside = set_aside(target, now)
    log.error("%s is damaged (%s): it is now %s, and a new database begins", target, fault, aside)
    return aside


def _put_in_place(target: Path) -> Path | None:
    """Do what follows the decision. Each step may be the last before a kill; calling again goes on."""
    pending = pending_restore(target)
    decided = datetime.fromtimestamp(pending.stat().st_mtime, UTC)  # the same name whenever this is finished
    aside = set_aside(target, decided)
    pending.rename(target)
    sync(target.parent)
    return aside if aside.exists() else None


@contextmanager
def _unused(target: Path) -> Iterator[None]:
    """Hold the lock that every process which has the database open holds a part of.

    Raises:
        StoreError: one has it open.
    """
    if not target.exists():
        yield
        return
    with target.open("rb+") as file:
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB, _SHARED_SIZE, _SHARED_FIRST)
        except OSError as error:
            raise StoreError(
                f"a process has {target} open (fuser -v {target}): stop it first, for the daemon with "
                "`systemctl stop auroramon`"
            ) from error
        yield


def _refuse_living_runs(target: Path, now: datetime, is_alive: Callable[[int], bool]) -> None:
    """Ask the database itself who works on it: locks say nothing of another machine.

    Raises:
        StoreError: a run has not ended, and gave a sign of life.
    """
    if not target.exists():
        return
    with closing(read_file(target)) as database:
        try:
            with database.reading() as conn:
                known = runs.name in inspect(conn).get_table_names()
                found = living_runs(conn, now.timestamp(), is_alive) if known else []
        except DamagedDatabaseError:
            return  # which is why it is restored; it cannot be asked
    for run in found:
        raise StoreError(
            f"`auroramon {run.command}` works on {target} (process {run.pid} on {run.host}): stop it first"
        )
