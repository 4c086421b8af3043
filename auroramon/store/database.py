"""Connections, transactions and errors, the same for SQLite and PostgreSQL.

One writer at a time on either: SQLite by BEGIN IMMEDIATE, PostgreSQL by an advisory lock that ends with the
transaction. So everything in the store may read, decide and write, and no other process decides in between.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.pool import NullPool

from auroramon.errors import (
    ConfigError,
    DamagedDatabaseError,
    MissingPartError,
    NoDatabaseError,
    StoreBusyError,
    StoreError,
)
from auroramon.store.codes import Codes
from auroramon.store.months import RELKIND
from auroramon.store.place import obstacle, pending_restore

_WRITER_LOCK = 0x6175726F  # "auro"
_IDLE_MS = 120_000  # a writer that does nothing for so long, stopped or frozen, loses its turn: others wait for it
_TAKE_TURN = (
    f"SELECT set_config('idle_in_transaction_session_timeout', '{_IDLE_MS}', true), "
    f"pg_advisory_xact_lock({_WRITER_LOCK})"
)
_KEEPALIVE = {"keepalives_idle": 30, "keepalives_interval": 10, "keepalives_count": 3}
"""After a minute without an answer the other machine is gone, on both sides: by the defaults of Linux a writer whose
machine lost its power would have its turn for two hours more."""
_NOT_ALLOWED = "42501"  # PostgreSQL's insufficient_privilege
WAL_WAIT_S = 30.0  # as long as a writer waits for another
MALFORMED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
_FOR_NOW = {
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_NOMEM,
}
# What a reader gets where nobody who may write has the file open: SQLite would have to make the journal's index.
_NEEDS_JOURNAL = {sqlite3.SQLITE_READONLY_DIRECTORY, sqlite3.SQLITE_READONLY_CANTINIT, sqlite3.SQLITE_READONLY_RECOVERY}


class Database:
    """An engine, the one place where its errors become ours, and the codes of names."""

    def __init__(self, engine: Engine, place: str) -> None:
        self.engine = engine
        self.place = place  # for messages: the file, or the URL without its password
        self.codes = Codes()
        self.sqlite = engine.dialect.name == "sqlite"

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Give a connection that sees one moment of the database."""
        with self._translated(), self.engine.connect() as conn:
            if not self.sqlite:
                conn = conn.execution_options(isolation_level="REPEATABLE READ")  # noqa: PLW2901
            with conn.begin():
                yield conn

    @contextmanager
    def writing(self, *, durable: bool = False) -> Iterator[Connection]:
        """Give the one writing connection; commit at the end, or change nothing at all.

        `durable` survives a power cut (SQLite: synchronous FULL). Labels, reviews and promotions are durable, because
        counters and notifications go out after them. Offers, claims and heartbeats are not (synchronous NORMAL, which
        can lose the last moments but never corrupts): what is lost is only that a file was taken in hand, it is found
        again at the next listing, and a live frame waits for one fsync less before its work begins.
        """
        with self._translated(), self.engine.connect() as conn:
            if self.sqlite:
                self._on_driver(conn, f"PRAGMA synchronous={'FULL' if durable else 'NORMAL'}")
                conn = conn.execution_options(auroramon_writer=True)  # noqa: PLW2901
            transaction = conn.begin()
            try:
                if not self.sqlite:
                    conn.exec_driver_sql(_TAKE_TURN)
                yield conn
                transaction.commit()
            except BaseException:
                # Before the rollback lets the next writer in: it must not find codes that are about to vanish.
                self.codes.clear()
                transaction.rollback()
                raise

    def use_wal(self) -> None:
        """Let readers of a SQLite file read while the writer writes; the file remembers it.

        SQLite does not wait for others here, whatever its busy timeout, and several processes may make one database.

        Raises:
            StoreBusyError: others hold the file all the time.
        """
        end = time.monotonic() + WAL_WAIT_S
        with self._translated(), self.engine.connect() as conn:
            while True:
                try:
                    self._on_driver(conn, "PRAGMA journal_mode=WAL")
                    return
                except sqlite3.OperationalError as error:
                    if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:
                        raise
                    if time.monotonic() > end:
                        raise StoreBusyError(f"{self.place} cannot be used for now: {error}") from error
                time.sleep(0.02)

    def close(self) -> None:
        self.engine.dispose()

    @staticmethod
    def _on_driver(conn: Connection, statement: str) -> None:
        """Run a statement outside any transaction."""
        raw: Any = conn.connection.driver_connection
        raw.execute(statement)

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except PoolTimeoutError as error:
            raise StoreBusyError(f"{self.place}: no connection became free: {error}") from error
        except DBAPIError as error:
            raise self._named(error) from error

    def _named(self, error: DBAPIError) -> StoreError:
        said = str(error.orig).strip().splitlines()[0] if str(error.orig).strip() else type(error.orig).__name__
        if self.sqlite:
            extended = getattr(error.orig, "sqlite_errorcode", 0)
            if extended in _NEEDS_JOURNAL and not os.access(self.place, os.W_OK):
                return StoreBusyError(
                    f"{self.place} cannot be read for now: a user who may not write it can read it only while the "
                    "daemon runs; start the daemon, or ask as its user"
                )
            code = extended & 0xFF
            if code in MALFORMED:
                return damaged(self.place, said)
            busy = code in _FOR_NOW
        else:
            # 08 connection, 40 serialisation, 53 resources (disk full), 55 lock not available, 57 shut down, 58 I/O
            state = getattr(error.orig, "sqlstate", None) or "08"
            busy = error.connection_invalidated or state[:2] in {"08", "40", "53", "55", "57", "58"}
        if busy and self.sqlite and (why := obstacle(Path(self.place), write=True)):
            return StoreBusyError(why)
        if busy:
            return StoreBusyError(f"{self.place} cannot be used for now: {said}")
        if getattr(error.orig, "sqlstate", None) == _NOT_ALLOWED:
            said += f"; {self._who_helps()} (docs/database.md)"
        return StoreError(f"{self.place}: the database refused: {said}")

    def _who_helps(self) -> str:
        """Say what helps a PostgreSQL role that lacks a right: one that never had the tables, or lost a view."""
        with self.engine.connect() as conn:
            reads_tables = conn.exec_driver_sql("SELECT has_table_privilege(to_regclass('files'), 'SELECT')").scalar()
        if reads_tables is False:
            return "this role may only read the views: commands need the daemon's role in [database] url"
        return "its owner must call `auroramon db migrate`, then `auroramon db roles | psql`"


def damaged(place: str, said: str, *, untouched: bool = False) -> DamagedDatabaseError:
    """Say that a database is malformed, and what helps; `untouched` where nothing was written to it meanwhile."""
    left = "; it is left untouched" if untouched else ""
    return DamagedDatabaseError(
        f"{place} is not a database of auroramon or is damaged ({said}){left}: put the newest copy in "
        "its place with `auroramon db restore`, or set it aside and begin anew with `auroramon run --fresh-database`",
        said,
    )


def connect(url: str, *, create: bool, busy_timeout_s: float, write: bool = False) -> Database:
    """Give a database by its URL without touching what is in it.

    With `write` (and with `create`) a SQLite file that this user may not write is refused here.

    Raises:
        ConfigError: the URL cannot be used, or this user cannot keep a file where it says.
        NoDatabaseError: nothing is there and `create` is false.
        MissingPartError: the driver for PostgreSQL is not installed.
    """
    try:
        parsed = make_url(url)
        if parsed.get_backend_name() == "sqlite":
            return _connect_sqlite(parsed, create=create, busy_timeout_s=busy_timeout_s, write=write or create)
        if parsed.get_backend_name() == "postgresql":
            return _connect_postgresql(parsed, busy_timeout_s=busy_timeout_s)
    except (ArgumentError, NoSuchModuleError, ValueError) as error:
        raise ConfigError(f"database URL {_hidden(url)!r} cannot be read: {error}; {_EXAMPLES}") from error
    raise ConfigError(f"database URL {_hidden(url)!r}: {_EXAMPLES}")


_EXAMPLES = "use sqlite:////path/to/file.db or postgresql://user@host/name"


def check_place(url: str, *, write: bool = True) -> None:
    """Look whether a database could be written, or read, where its URL says, without making anything.

    Raises:
        ConfigError: the URL cannot be used, or this user cannot keep a file where it says.
    """
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        return  # `connect` says what is wrong with it
    if parsed.get_backend_name() == "sqlite" and parsed.database:
        why = obstacle(Path(parsed.database).expanduser().absolute(), write=write)
        if why:
            raise ConfigError(why)


def _hidden(url: str) -> str:
    """Leave out everything that may be a password."""
    scheme, _, rest = url.partition("://")
    return f"{scheme}://…{rest.rpartition('@')[2]}" if "@" in rest else url


def _connect_sqlite(url: URL, *, create: bool, busy_timeout_s: float, write: bool) -> Database:
    if not url.database or url.database == ":memory:":
        raise ConfigError("the database needs a file: sqlite:////path/to/file.db")
    path = Path(url.database).expanduser().absolute()
    if why := obstacle(path, write=write):
        raise ConfigError(why)
    if pending_restore(path).exists():
        raise StoreError(f"a restore of {path} was interrupted; finish it with `auroramon db restore`")
    if not path.exists():
        if not create:
            raise NoDatabaseError(f"there is no database at {path} yet: `auroramon run` or `backfill` makes it")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigError(f"the folder of the database {path} cannot be made: {error.strerror}") from error
    engine = create_engine(url.set(database=str(path)), connect_args={"timeout": busy_timeout_s})

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, _: Any) -> None:
        connection.isolation_level = None  # the driver must not begin transactions behind our back
        connection.execute("PRAGMA foreign_keys=ON")
        connection.execute("PRAGMA cache_size=-8000")  # 8 MB: a station has little memory

    @event.listens_for(engine, "begin")
    def begin(conn: Connection) -> None:
        writer = conn.get_execution_options().get("auroramon_writer", False)
        conn.exec_driver_sql("BEGIN IMMEDIATE" if writer else "BEGIN")

    return Database(engine, str(path))


def read_file(path: Path, busy_timeout_s: float = 30.0) -> Database:
    """Give a SQLite file for reading only, whatever it holds; nothing is made where it is not."""
    address = f"file:{quote(str(path.absolute()))}?mode=ro"
    engine = create_engine(
        "sqlite://",
        creator=lambda: sqlite3.connect(address, uri=True, timeout=busy_timeout_s, isolation_level=None),
        poolclass=NullPool,
    )

    @event.listens_for(engine, "begin")
    def begin(conn: Connection) -> None:
        conn.exec_driver_sql("BEGIN")

    return Database(engine, str(path))


def _connect_postgresql(url: URL, *, busy_timeout_s: float) -> Database:
    url = url.set(drivername="postgresql+psycopg")
    try:
        wanted = {"connect_timeout": 10, "tcp_user_timeout": 60_000, **_KEEPALIVE}
        given = {name: value for name, value in wanted.items() if name not in url.query}  # the URL's own words win
        engine = create_engine(url, pool_pre_ping=True, connect_args=given)
    except ModuleNotFoundError as error:
        raise MissingPartError("PostgreSQL needs its driver: pip install 'auroramon[postgres]'") from error

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, record: Any) -> None:
        connection.execute(f"SET lock_timeout = {int(busy_timeout_s * 1000)}")
        connection.execute("SET timezone = 'UTC'")
        for name, value in _KEEPALIVE.items():
            connection.execute(f"SET tcp_{name} = {value}")
        connection.execute("SET jit = off")  # compiling the occurrence views takes 60 times as long as running them
        record.info["divided"] = connection.execute(RELKIND).fetchone() == (True,)
        connection.commit()

    return Database(engine, url.render_as_string(hide_password=True))
