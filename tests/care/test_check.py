"""`db check` says whether a database is sound, and finds what is not."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from auroramon.care.check import examine, examine_file, quick_fault
from auroramon.store import open_store
from auroramon.store.database import connect
from tests.care.conftest import COUNT, HARMS, cut_off
from tests.store.station import Station, labelled, stat


def change(path: Path, statement: str) -> None:
    """Change a database behind the back of everything that guards it."""
    with closing(sqlite3.connect(path)) as conn:
        conn.execute("PRAGMA ignore_check_constraints=ON")
        conn.execute(statement)
        conn.commit()


def test_a_sound_database_is_told_with_its_account(database: Path) -> None:
    verdict = examine_file(database)
    assert verdict.faults == ()
    assert verdict.sound
    assert verdict.account
    assert verdict.account.seen == COUNT


def test_a_database_in_use_can_be_checked(database: Path) -> None:
    store = open_store(f"sqlite:///{database}")
    with store._db.writing() as conn:
        conn.exec_driver_sql("UPDATE files SET tries = 1 WHERE id = 1")
        assert examine_file(database).sound
    store.close()


@pytest.mark.parametrize("harm", HARMS)
def test_damage_is_found_and_nothing_is_written(database: Path, harm: Callable[[Path], None]) -> None:
    harm(database)
    before = database.read_bytes()
    verdict = examine_file(database)
    assert verdict.faults
    assert quick_fault(database, 20.0)
    assert database.read_bytes() == before


def test_rows_that_refer_to_nothing_are_counted(database: Path) -> None:
    change(database, "DELETE FROM frames WHERE file_id IN (1, 2)")
    faults = examine_file(database).faults
    assert "8 rows of labels refer to rows of frames that are not there" in faults
    assert "8 rows of embeddings refer to rows of frames that are not there" in faults


def test_files_that_do_not_add_up_are_told(database: Path) -> None:
    change(database, "UPDATE files SET state = 7 WHERE id = 3")
    said = f"its files do not add up: {COUNT} files seen but {COUNT * 4 // 5 - 1} labelled + {COUNT // 5} skipped "
    assert examine_file(database).faults == (said + "+ 0 quarantined + 0 pending",)


def test_an_index_that_lost_a_row_is_found(database: Path) -> None:
    with closing(sqlite3.connect(database)) as conn:
        (page,) = conn.execute(
            "SELECT rootpage FROM sqlite_master WHERE name = 'sqlite_autoindex_folders_1'"
        ).fetchone()
    with database.open("r+b") as file:
        file.seek((page - 1) * 4096 + 3)
        file.write(b"\0\0")  # the number of its rows
    assert any("index" in fault for fault in examine_file(database).faults)


def test_another_programs_database_and_a_newer_one_are_told(database: Path, tmp_path: Path) -> None:
    other = tmp_path / "photos.db"
    change(other, "CREATE TABLE photos (name TEXT)")
    assert examine_file(other).faults == ("it holds no tables of auroramon",)
    change(database, "UPDATE auroramon_schema SET version_num = '0999'")
    assert "a newer auroramon wrote it (schema 0999" in examine_file(database).faults[0]


def test_each_fault_has_the_remedy_that_helps(database: Path, tmp_path: Path) -> None:
    """A restore costs the newest labels: it is for what nothing else mends."""
    assert examine_file(database).remedy == ""
    other = tmp_path / "photos.db"
    change(other, "CREATE TABLE photos (name TEXT)")
    assert examine_file(other).remedy.startswith("name the database of auroramon")
    change(database, "UPDATE account SET labelled = labelled + 1")
    verdict = examine_file(database)
    assert (verdict.faults, verdict.whole, verdict.sound) == ((), True, False)
    assert verdict.miscounts[0].startswith("it keeps another account")
    assert verdict.remedy.endswith("auroramon db recount")
    change(database, "UPDATE auroramon_schema SET version_num = '0999'")
    assert examine_file(database).remedy.startswith("update auroramon")
    cut_off(database)
    assert examine_file(database).remedy.endswith("auroramon db restore")


def test_hours_counted_by_a_program_that_knows_no_kinds_are_told(database: Path) -> None:
    store = open_store(f"sqlite:///{database}")
    store.count_hours()
    store.close()
    assert examine_file(database).sound
    change(database, "DELETE FROM hour_kinds")
    with closing(sqlite3.connect(database)) as conn:
        (hours,) = conn.execute("SELECT COUNT(*) FROM hours WHERE total > 0").fetchone()
    assert hours > 0
    said = f"the frames of {hours} hours are counted otherwise by Moon and reason than by label"
    assert examine_file(database).miscounts == (said,)


def test_the_look_at_the_start_ends_when_its_time_is_over(database: Path) -> None:
    assert quick_fault(database, 20.0) == ""
    assert quick_fault(database, -1.0) == ""


def test_a_server_is_asked_whether_its_files_add_up(store_url: str) -> None:
    store = open_store(store_url)
    Station(store).commit(labelled(stat("a.png")))
    store.close()
    database = connect(store_url, create=False, busy_timeout_s=5.0)
    verdict = examine(database)
    database.close()
    assert verdict.sound
    assert verdict.account
    assert (verdict.account.seen, verdict.account.labelled) == (1, 1)
