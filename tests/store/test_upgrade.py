"""An older database is brought up to date by who writes, not by who reads, and not under a living program."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from auroramon.errors import NoDatabaseError, StoreError
from auroramon.store import Store, open_store, read_store
from auroramon.store.database import connect
from auroramon.store.migrate import VERSION_TABLE, check_unused, upgrade
from auroramon.store.schema import REVISION
from tests.store.old import SCHEMA, make_old
from tests.store.station import NOW, Station, labelled, stat

HERE = socket.gethostname()


@pytest.fixture
def old_url(store_url: str) -> Iterator[str]:
    """A database of schema 0004 in which a file was labelled."""
    store = open_store(store_url)
    station = Station(store)
    station.commit(labelled(stat("a.png")))
    store.end_run(station.run, NOW)
    with store._db.writing() as conn:
        make_old(conn)
    store.close()
    yield store_url
    # The one of the server is shared by many tests, which expect it to be of this version.
    open_store(store_url, clock=lambda: NOW.timestamp() + 1e6).close()


def schema_of(url: str) -> str:
    database = connect(url, create=False, busy_timeout_s=1.0)
    with database.reading() as conn:
        found = str(conn.exec_driver_sql(f"SELECT version_num FROM {VERSION_TABLE}").scalar_one())  # noqa: S608
    database.close()
    return found


def start(url: str, host: str, pid: int, now: datetime = NOW) -> int:
    """Start a run as the older program did: what it writes of itself is the same."""
    database = connect(url, create=False, busy_timeout_s=1.0)
    try:
        return Store(database).start_run("run", now, host=host, pid=pid)
    finally:
        database.close()


def opened(url: str, after_s: float = 60.0) -> str:
    """Give the schema after somebody opened the database to write, so long after NOW."""
    open_store(url, create=False, clock=lambda: NOW.timestamp() + after_s).close()
    return schema_of(url)


def check(url: str) -> None:
    database = connect(url, create=False, busy_timeout_s=1.0)
    try:
        check_unused(database, NOW.timestamp() + 60)
    finally:
        database.close()


def test_who_reads_does_not_migrate(old_url: str) -> None:
    with pytest.raises(StoreError, match=r"older auroramon \(schema 0004.*next start, or `auroramon db migrate`"):
        read_store(old_url)
    assert schema_of(old_url) == SCHEMA


def test_who_writes_does(old_url: str) -> None:
    assert opened(old_url) == REVISION
    store = read_store(old_url)
    assert store.account().labelled == 1
    store.close()


def test_an_empty_database_holds_nothing_to_read(tmp_path: Path) -> None:
    file = tmp_path / "empty.sqlite"
    file.touch()
    with pytest.raises(NoDatabaseError, match=r"empty\.sqlite is empty yet"):
        read_store(f"sqlite:///{file}")
    assert file.read_bytes() == b""


@pytest.mark.parametrize("ask", [opened, check])
def test_an_older_program_that_lives_elsewhere_is_named_and_keeps_its_tables(
    old_url: str, ask: Callable[[str], object]
) -> None:
    start(old_url, "far away", 77)
    with pytest.raises(StoreError, match=r"schema 0004.*`auroramon run` \(process 77 on far away\) works on it: stop"):
        ask(old_url)
    assert schema_of(old_url) == SCHEMA


def test_one_that_was_silent_for_ten_minutes_is_gone(old_url: str) -> None:
    start(old_url, "far away", 77)
    with pytest.raises(StoreError, match="stop that first"):
        opened(old_url, after_s=599)
    assert opened(old_url, after_s=601) == REVISION


def test_one_that_ended_in_order_is_gone_at_once(old_url: str) -> None:
    database = connect(old_url, create=False, busy_timeout_s=1.0)
    run = start(old_url, "far away", 77)
    Store(database).end_run(run, NOW + timedelta(seconds=1))
    database.close()
    assert opened(old_url) == REVISION


@pytest.mark.parametrize("alive", [True, False])
def test_one_of_this_machine_lives_as_long_as_its_process(old_url: str, alive: bool) -> None:
    """So a daemon that was killed is followed at once by that of the new version."""
    start(old_url, HERE, 4_000_000)
    database = connect(old_url, create=False, busy_timeout_s=1.0)
    try:
        if alive:
            with pytest.raises(StoreError, match=f"process 4000000 on {HERE}"):
                upgrade(database, NOW.timestamp() + 1, lambda _: True)
        else:
            upgrade(database, NOW.timestamp() + 1, lambda _: False)
    finally:
        database.close()
    assert schema_of(old_url) == (SCHEMA if alive else REVISION)


def test_in_a_container_whoever_had_our_number_is_gone(old_url: str) -> None:
    start(old_url, HERE, os.getpid())
    assert opened(old_url) == REVISION


def test_a_living_program_of_this_version_keeps_nobody_out(store_url: str) -> None:
    start(store_url, "far away", 77)
    assert opened(store_url) == REVISION
