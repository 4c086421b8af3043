"""The store: everything that is known of files and frames, behind one class.

    store = open_store("sqlite:////var/lib/auroramon/auroramon.sqlite")
    run = store.start_run("run", now=now, code_version="1.0")
    store.recover(run, now)
    claimed = store.claim_files(run, arrived, now)
    done = store.commit(run, label_files(claimed.fresh), model=model, source="live", now=now)

Every method is one transaction, and may be called again after a StoreBusyError: nothing has happened then. `now` is
always given by the caller, aware UTC.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator

from auroramon.store.database import connect
from auroramon.store.methods.files import Files
from auroramon.store.methods.labels import Labels
from auroramon.store.methods.listings import Listings
from auroramon.store.methods.nights import Nights
from auroramon.store.methods.runs import Runs
from auroramon.store.methods.words import Words
from auroramon.store.migrate import check_revision, upgrade
from auroramon.types import FileOutcome


def open_store(
    url: str, *, create: bool = True, busy_timeout_s: float = 30.0, clock: Callable[[], float] = time.time
) -> Store:
    """Open the database to write to it: make it if need be, and bring its schema up to date.

    Args:
        url: `sqlite:////path/to/file.db` or `postgresql://user@host/name`.
        create: whether a SQLite file that is not there is made.
        busy_timeout_s: how long to wait for another writer before StoreBusyError.
        clock: seconds since 1970, which say whether a run of an older program still lives.

    Raises:
        ConfigError: the URL cannot be used, or no file can be kept where it says.
        StoreError: not a database, damaged, of another program, newer than this program, or older while a program of
            its version works on it; it is left as it is.
        StoreBusyError: locked, full or away for now.
        MissingPartError: the driver for PostgreSQL is not installed.
    """
    database = connect(url, create=create, busy_timeout_s=busy_timeout_s, write=True)
    try:
        upgrade(database, clock())
    except BaseException:
        database.close()
        raise
    return Store(database)


def read_store(url: str) -> Store:
    """Open a database that is there to ask it: no table is made or changed, whatever its version.

    Raises:
        ConfigError: the URL cannot be used, or this user may not read what is there.
        NoDatabaseError: nothing is there yet.
        StoreError: not a database, damaged, of another program, or of another version.
        StoreBusyError: locked or away for now.
        MissingPartError: the driver for PostgreSQL is not installed.
    """
    database = connect(url, create=False, busy_timeout_s=30.0)
    try:
        check_revision(database)
    except BaseException:
        database.close()
        raise
    return Store(database)


class Store(Runs, Files, Listings, Labels, Words, Nights):
    """One database, as the coordinator, the commands and the pages see it. Safe to use from several threads."""


def in_parts(outcomes: Iterable[FileOutcome], frames: int = 2000) -> Iterator[list[FileOutcome]]:
    """Divide outcomes for `Store.commit`: one transaction of 2000 frames holds up other writers for 50 ms."""
    part: list[FileOutcome] = []
    held = 0
    for outcome in outcomes:
        if part and held + len(outcome.records) > frames:
            yield part
            part, held = [], 0
        part.append(outcome)
        held += len(outcome.records)
    if part:
        yield part
