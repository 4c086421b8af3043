"""A copy counts only when it is whole and sound, and never costs an older one that is."""

from __future__ import annotations

import os
import random
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from auroramon.care.backup import back_up, copies, made
from auroramon.care.check import examine_file
from auroramon.errors import StoreBusyError, StoreError
from auroramon.store import open_store
from tests.care.conftest import COUNT, HARMS, LATER, kill_at_work
from tests.conftest import missing
from tests.store.station import NOW, Station, labelled, stat


def test_a_copy_holds_what_the_database_held_and_is_one_file(database: Path, tmp_path: Path) -> None:
    done = back_up(database, tmp_path / "copies", 3, LATER)
    assert done.path == tmp_path / "copies/auroramon-20260201T120000Z.db"
    assert [path.name for path in done.path.parent.iterdir()] == [done.path.name]
    with closing(sqlite3.connect(database)) as one, closing(sqlite3.connect(done.path)) as other:
        assert list(one.iterdump()) == list(other.iterdump())
    assert done.path.stat().st_mode == database.stat().st_mode


def test_a_copy_beside_a_daemon_that_writes_is_one_moment_of_it(database: Path, tmp_path: Path) -> None:
    store = open_store(f"sqlite:///{database}")
    station = Station(store)
    station.commit(labelled(stat("new.png")))  # still in the journal
    with store._db.writing() as conn:
        conn.exec_driver_sql("UPDATE files SET state = 7")  # not committed: no copy may have it
        done = back_up(database, tmp_path / "copies", 3, LATER)
    store.close()
    assert done.verdict.account
    assert done.verdict.account.seen == COUNT + 1


def test_a_wrong_count_stops_no_backup(database: Path, tmp_path: Path) -> None:
    """All labels are there, and what is counted of them can be counted again."""
    with closing(sqlite3.connect(database)) as conn:
        conn.execute("UPDATE account SET labelled = labelled + 1")
        conn.commit()
    done = back_up(database, tmp_path / "copies", 3, LATER)
    assert done.path.exists()
    assert "it keeps another account" in done.verdict.miscounts[0]


def test_what_a_newer_program_wrote_is_not_to_be_restored(database: Path, tmp_path: Path) -> None:
    with closing(sqlite3.connect(database)) as conn:
        conn.execute("UPDATE auroramon_schema SET version_num = '0999'")
        conn.commit()
    with pytest.raises(StoreError, match=r"a newer auroramon wrote it .*; update auroramon"):
        back_up(database, tmp_path / "copies", 3, LATER)


def test_the_oldest_copies_make_room_and_strangers_are_left_alone(database: Path, tmp_path: Path) -> None:
    folder = tmp_path / "copies"
    folder.mkdir()
    (folder / "auroramon-mine.db").write_text("a person's own copy")
    made = [back_up(database, folder, 3, LATER + timedelta(days=day)).path for day in range(5)]
    assert copies(database, folder) == made[:1:-1]
    assert (folder / "auroramon-mine.db").exists()


def test_a_clock_that_went_back_does_not_cost_the_new_copy(database: Path, tmp_path: Path) -> None:
    for day in range(3):
        back_up(database, tmp_path / "copies", 3, LATER + timedelta(days=day))
    done = back_up(database, tmp_path / "copies", 3, LATER - timedelta(days=20_000))
    assert done.path.exists()
    assert len(copies(database, tmp_path / "copies")) == 3


@pytest.mark.parametrize("harm", HARMS)
def test_a_damaged_database_gives_no_copy_and_costs_none(
    database: Path, tmp_path: Path, harm: Callable[[Path], None]
) -> None:
    good = back_up(database, tmp_path / "copies", 1, LATER)
    harm(database)
    with pytest.raises(StoreError, match=r"auroramon\.db.*(not sound|damaged).*auroramon db restore"):
        back_up(database, tmp_path / "copies", 1, LATER + timedelta(days=1))
    assert [path.name for path in (tmp_path / "copies").iterdir()] == [good.path.name]
    assert examine_file(good.path).sound


def test_no_copy_is_overwritten(database: Path, tmp_path: Path) -> None:
    back_up(database, tmp_path / "copies", 3, LATER)
    with pytest.raises(StoreError, match="no copy is ever overwritten"):
        back_up(database, tmp_path / "copies", 3, LATER)


def test_two_backups_at_once_are_one(database: Path, tmp_path: Path) -> None:
    script = f"""
import fcntl, os, sys
fcntl.flock(os.open({str(tmp_path)!r}, os.O_RDONLY), fcntl.LOCK_EX)
print("held", flush=True)
sys.stdin.read()
"""
    command = [sys.executable, "-c", script]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout
        assert other.stdout.readline() == "held\n"
        with pytest.raises(StoreBusyError, match="another backup"):
            back_up(database, tmp_path, 3, LATER)
        other.communicate()
    assert back_up(database, tmp_path, 3, LATER).path.exists()


def test_a_disk_without_room_is_said_before_anything_is_written(
    database: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=1000))
    with pytest.raises(StoreError, match=r"has room for 1.0 kB, and a copy of .*: make room, or name another folder"):
        back_up(database, tmp_path / "copies", 3, LATER)
    assert list((tmp_path / "copies").iterdir()) == []


def test_where_nothing_is_nothing_is_copied(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="nothing to copy"):
        back_up(tmp_path / "none.db", tmp_path / "copies", 3, LATER)


def test_kills_leave_only_sound_copies(database: Path, tmp_path: Path) -> None:
    """Kill -9 at any moment: under a copy's name there is never half a copy, and the next backup cleans up."""
    rng = random.Random(5)
    folder = tmp_path / "copies"
    unfinished = 0
    for round_ in range(10):
        begin = LATER + timedelta(days=round_)
        kill_at_work(
            lambda number, begin=begin: back_up(database, folder, 3, begin + timedelta(seconds=number)),
            rng.uniform(0.0, 0.3),
        )
        unfinished += len(list(folder.glob(".*.part")))
        for copy in copies(database, folder):
            assert examine_file(copy).sound
    assert unfinished, "no kill came in the middle of a copy"
    done = back_up(database, folder, 2, LATER + timedelta(days=400))
    assert sorted(folder.iterdir()) == sorted(copies(database, folder))
    assert done.path in copies(database, folder)
    assert examine_file(database).sound


def test_a_copy_can_be_worked_on_again(database: Path, tmp_path: Path) -> None:
    copy = back_up(database, tmp_path / "copies", 3, LATER).path
    store = open_store(f"sqlite:///{copy}")
    assert store.account().seen == COUNT
    assert store.offer([stat("more.png")], NOW).new == 1
    store.close()


def test_a_copy_that_root_makes_belongs_to_the_owner_of_the_database(database: Path, tmp_path: Path) -> None:
    if os.geteuid() != 0:
        missing("giving files away needs root")
    os.chown(database, 65534, 65534)
    done = back_up(database, tmp_path / "deep/copies", 3, LATER)
    owners = [(path.stat().st_uid, path.stat().st_gid) for path in (done.path, done.path.parent, tmp_path / "deep")]
    assert owners == [(65534, 65534)] * 3
    assert tmp_path.stat().st_uid == 0  # what was there stays whose it was
    assert made(done.path) == LATER
