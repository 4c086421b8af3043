"""The store: everything that is known of files and frames, behind one class.

    store = open_store("sqlite:////var/lib/auroramon/auroramon.db")
    run = store.start_run("run", now=now, code_version="1.0")
    store.recover(run, now)
    claimed = store.claim_files(run, arrived, now)
    done = store.commit(run, label_files(claimed.fresh), model=model, source="live", now=now)

Every method is one transaction, and may be called again after a StoreBusyError: nothing has happened then. `now` is
always given by the caller, aware UTC.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from auroramon.store.database import connect
from auroramon.store.methods.files import Files
from auroramon.store.methods.labels import Labels
from auroramon.store.methods.listings import Listings
from auroramon.store.methods.nights import Nights
from auroramon.store.methods.runs import Runs
from auroramon.store.methods.words import Words
from auroramon.store.migrate import upgrade
from auroramon.types import FileOutcome


def open_store(url: str, *, create: bool = True, busy_timeout_s: float = 30.0) -> Store:
    """Open the database, make it if need be, and bring its schema up to date.

    Args:
        url: `sqlite:////path/to/file.db` or `postgresql://user@host/name`.
        create: whether a SQLite file that is not there is made.
        busy_timeout_s: how long to wait for another writer before StoreBusyError.

    Raises:
        ConfigError: the URL cannot be used, or no file can be kept where it says.
        StoreError: not a database, damaged, of another program, or newer than this program; it is left untouched.
        StoreBusyError: locked, full or away for now.
        MissingPartError: the driver for PostgreSQL is not installed.
    """
    database = connect(url, create=create, busy_timeout_s=busy_timeout_s)
    try:
        upgrade(database)
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
