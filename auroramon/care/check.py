"""Whether a database is sound: its pages, what its rows refer to, and whether its files add up."""

from __future__ import annotations

import sqlite3
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from sqlalchemy import Connection, inspect

from auroramon.errors import DamagedDatabaseError
from auroramon.store import accounts, hours
from auroramon.store.database import MALFORMED, Database, read_file
from auroramon.store.migrate import VERSION_TABLE
from auroramon.store.months import doubled, is_divided
from auroramon.store.results import FileAccount
from auroramon.store.schema import REVISION

MOST_FAULTS = 10
NO_TABLES = "it holds no tables of auroramon"
RESTORE = "stop the service, then: auroramon db restore"
UPDATE = "update auroramon, or name another database in [database] url"
ANOTHER = "name the database of auroramon in [database] url; the tables of an empty one are made by the first run"
RECOUNT = "no label is lost by that; it is mended by: auroramon db recount"
_STEPS = 20_000  # of SQLite's machine between two looks at the clock


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was found in a database."""

    place: str  # the file, or the URL without its password
    faults: tuple[str, ...]  # one sentence each; none where all that it should hold is there
    revision: str = ""  # of its schema; empty where it has none of ours
    account: FileAccount | None = None  # None where the files could not be counted
    miscounts: tuple[str, ...] = ()  # what is kept counted beside that, and is wrong; one sentence each
    remedy: str = ""  # what helps against the faults, or else the miscounts

    @property
    def whole(self) -> bool:
        """Whether it is worth a copy: what is only counted wrongly can be counted again."""
        return not self.faults

    @property
    def sound(self) -> bool:
        return not self.faults and not self.miscounts


def examine_file(path: Path) -> Verdict:
    """Read a whole SQLite file, also one that a daemon writes to: what is judged is one moment of it.

    Raises:
        StoreBusyError: it cannot be read now.
        StoreError: it cannot be read at all, and not because it is damaged.
    """
    database = read_file(path)
    try:
        return examine(database)
    finally:
        database.close()


def examine(database: Database) -> Verdict:
    """Judge a database; of PostgreSQL, which keeps pages and references itself, only whether the files add up."""
    faults: list[str] = []
    miscounts: tuple[str, ...] = ()
    try:
        with database.reading() as conn:
            if database.sqlite:
                faults += _pages(conn)
            if VERSION_TABLE not in inspect(conn).get_table_names():
                return Verdict(database.place, (*faults, NO_TABLES), remedy=RESTORE if faults else ANOTHER)
            revision = str(conn.exec_driver_sql(f"SELECT version_num FROM {VERSION_TABLE}").scalar())  # noqa: S608
            if revision > REVISION:
                newer = f"a newer auroramon wrote it (schema {revision}, this one knows {REVISION})"
                return Verdict(database.place, (*faults, newer), revision, remedy=RESTORE if faults else UPDATE)
            if database.sqlite:
                faults += _references(conn)
            if is_divided(conn):
                faults += doubled(conn)
            account = accounts.recount(conn)
            if not account.adds_up:
                faults.append(f"its files do not add up: {account}")
            if revision == REVISION and not faults:
                miscounts = tuple(miscounted(conn, account))
    except DamagedDatabaseError as error:
        return Verdict(database.place, (*faults, error.said), remedy=RESTORE)
    remedy = RESTORE if faults else RECOUNT if miscounts else ""
    return Verdict(database.place, tuple(faults), revision, account, miscounts, remedy)


def miscounted(conn: Connection, account: FileAccount) -> Iterator[str]:
    """Compare what is kept counted with `account`, that of the files, and with each other."""
    kept = accounts.account(conn)
    if account != kept:
        yield f"it keeps another account ({kept}) than that of its files ({account})"
    if wrong := hours.miscounted(conn):
        yield f"the frames of {len(wrong)} hours are counted otherwise by Moon and reason than by label"


def _pages(conn: Connection) -> list[str]:
    """Let SQLite compare every page, row and index."""
    said = conn.exec_driver_sql(f"PRAGMA integrity_check({MOST_FAULTS})").scalars().all()
    return [] if said == ["ok"] else [" ".join(str(line).split()) for line in said]


def _references(conn: Connection) -> Iterator[str]:
    """Find rows that refer to rows which are not there."""
    rows = conn.exec_driver_sql("PRAGMA foreign_key_check").all()
    lost = Counter((str(row[0]), str(row[2])) for row in rows)
    for (table, parent), number in sorted(lost.items()):
        yield f"{number} rows of {table} refer to rows of {parent} that are not there"


def quick_fault(path: Path, limit_s: float) -> str:
    """Say what is wrong with the pages of a SQLite file; "" where nothing was found in `limit_s` seconds.

    For the start of a daemon and for the doctor, who cannot wait for all of a large file: indices are not compared.
    What keeps the file from being opened at all is for whoever opens it to say.
    """
    until = time.monotonic() + limit_s
    try:
        with closing(sqlite3.connect(f"file:{quote(str(path.absolute()))}?mode=ro", uri=True)) as conn:
            conn.set_progress_handler(lambda: time.monotonic() > until, _STEPS)
            said = str(conn.execute("PRAGMA quick_check(1)").fetchone()[0])
    except sqlite3.DatabaseError as error:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        return str(error) if code in MALFORMED else ""
    return "" if said == "ok" else " ".join(said.split())
