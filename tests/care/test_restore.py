"""A restore leaves the old database or the new one, whatever ends it, and never deletes either."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from auroramon.care.backup import back_up
from auroramon.care.check import examine_file
from auroramon.care.restore import check_at_start, finish, restore, set_aside
from auroramon.errors import DamagedDatabaseError, StoreError
from auroramon.store import open_store
from auroramon.store.place import pending_restore
from tests.care.conftest import COUNT, HARMS, LATER, cut_off, killed_at_step, overwrite_pages
from tests.conftest import ROOT
from tests.store.station import NOW, Station, labelled, stat


@pytest.fixture
def copy(database: Path, tmp_path: Path) -> Path:
    return back_up(database, tmp_path / "copies", 3, LATER).path


def seen(path: Path) -> int:
    store = open_store(f"sqlite:///{path}")
    try:
        return store.account().seen
    finally:
        store.close()


def add_one(path: Path) -> None:
    """Label one more file, and end in order."""
    store = open_store(f"sqlite:///{path}")
    station = Station(store)
    station.commit(labelled(stat("new.png")))
    store.end_run(station.run, NOW)
    store.close()


def test_a_copy_takes_the_place_and_the_old_one_is_kept(database: Path, copy: Path) -> None:
    add_one(database)
    aside = restore(database, copy, LATER)
    assert aside is not None
    assert (seen(database), seen(aside)) == (COUNT, COUNT + 1)
    assert aside.name.startswith("auroramon.db.aside-")
    with closing(sqlite3.connect(database)) as conn:
        assert conn.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert copy.exists()


@pytest.mark.parametrize("harm", HARMS)
def test_a_damaged_database_is_replaced_and_kept_as_it_was(
    database: Path, copy: Path, harm: Callable[[Path], None]
) -> None:
    harm(database)
    damaged = database.read_bytes()
    aside = restore(database, copy, LATER)
    assert aside is not None
    assert aside.read_bytes() == damaged
    assert seen(database) == COUNT


def test_a_copy_can_go_where_no_database_is(copy: Path, tmp_path: Path) -> None:
    assert restore(tmp_path / "other.db", copy, LATER) is None
    assert seen(tmp_path / "other.db") == COUNT


@pytest.mark.parametrize("harm", HARMS)
def test_a_damaged_copy_is_refused_and_nothing_changes(
    database: Path, copy: Path, harm: Callable[[Path], None]
) -> None:
    harm(copy)
    before = database.read_bytes()
    with pytest.raises(StoreError, match=r"is not sound .*: it is not restored; try an older one"):
        restore(database, copy, LATER)
    assert database.read_bytes() == before
    assert not pending_restore(database).exists()


def test_the_rows_in_the_journal_go_aside_with_their_database(database: Path, copy: Path) -> None:
    """What a killed daemon left in its journal belongs to the old database, and must not be played into the new one."""
    script = (
        "import os, sys; from pathlib import Path; from tests.care.test_restore import *\n"
        "store = open_store('sqlite:///' + sys.argv[1]); Station(store).commit(labelled(stat('new.png')))\n"
        "os._exit(9)"
    )
    subprocess.run([sys.executable, "-c", script, str(database)], check=False, cwd=ROOT, timeout=60)
    assert Path(f"{database}-wal").stat().st_size > 0
    aside = restore(database, copy, LATER, is_alive=lambda _: False)
    assert aside is not None
    assert (seen(database), seen(aside)) == (COUNT, COUNT + 1)


def test_nothing_is_restored_while_a_process_has_the_database_open(database: Path, copy: Path) -> None:
    script = (
        "import sys; from auroramon.store import open_store\n"
        "store = open_store('sqlite:///' + sys.argv[1]); store.account()\n"
        "print('open', flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", script, str(database)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT) as other:
        assert other.stdout
        assert other.stdout.readline() == "open\n"
        with pytest.raises(StoreError, match=r"a process has .* open .*: stop it first"):
            restore(database, copy, LATER)
        overwrite_pages(database)  # nor when it cannot be asked any more
        with pytest.raises(StoreError, match=r"a process has .* open"):
            restore(database, copy, LATER)
        with pytest.raises(StoreError, match=r"a process has .* open"):
            check_at_start(database, LATER, fresh=True)
        other.communicate()
    assert restore(database, copy, LATER) is not None


def test_nothing_is_restored_while_a_daemon_of_another_machine_lives(database: Path, copy: Path) -> None:
    store = open_store(f"sqlite:///{database}")
    run = store.start_run("run", LATER, host="elsewhere", pid=77)
    store.close()
    with pytest.raises(StoreError, match=r"`auroramon run` works on .* \(process 77 on elsewhere\): stop it first"):
        restore(database, copy, LATER + timedelta(minutes=5))
    assert restore(database, copy, LATER + timedelta(minutes=11)) is not None
    assert run


def test_a_restore_that_was_interrupted_is_said_and_finished(database: Path, copy: Path) -> None:
    """The decision was made, and the journal is aside already: nobody may open what is left."""
    add_one(database)
    Path(f"{database}-wal").write_bytes(b"")
    shutil.copy(copy, pending_restore(database))
    decided = datetime.fromtimestamp(pending_restore(database).stat().st_mtime, UTC)
    Path(f"{database}-wal").rename(f"{database}.aside-{decided:%Y%m%dT%H%M%SZ}-wal")
    with pytest.raises(StoreError, match=r"a restore of .* was interrupted; finish it with `auroramon db restore`"):
        open_store(f"sqlite:///{database}")
    aside = finish(database)
    assert aside == Path(f"{database}.aside-{decided:%Y%m%dT%H%M%SZ}")
    assert (seen(database), seen(aside)) == (COUNT, COUNT + 1)
    assert finish(database) is None


def test_a_kill_at_any_step_leaves_one_whole_database_or_a_sentence(database: Path, copy: Path) -> None:
    """Killed with -9 before each of its steps on files, one after the other."""
    add_one(database)
    step = interrupted = 0
    while killed_at_step(lambda: restore(database, copy, LATER), step):
        if pending_restore(database).exists():
            interrupted += 1
            with pytest.raises(StoreError, match="was interrupted"):
                open_store(f"sqlite:///{database}")
            finish(database)
        assert seen(database) in (COUNT, COUNT + 1)
        step += 1
    assert interrupted >= 3
    assert step > 20
    assert examine_file(database).sound
    asides = [path for path in database.parent.glob("*.aside-*") if not path.name.endswith(("-wal", "-shm"))]
    assert len(asides) > interrupted  # the last, which nobody killed, put one aside too
    assert {seen(aside) for aside in asides} == {COUNT, COUNT + 1}


def test_two_restores_in_one_second_keep_both_old_databases(database: Path) -> None:
    add_one(database)
    first = set_aside(database, LATER)
    shutil.copy(first, database)
    Path(f"{database}-wal").write_bytes(b"of the second")
    second = set_aside(database, LATER)
    assert (first.name, second.name) == (
        "auroramon.db.aside-20260201T120000Z", "auroramon.db.aside-20260201T120000Z-2"
    )  # fmt: skip
    assert first.exists()
    assert second.exists()
    assert Path(f"{second}-wal").read_bytes() == b"of the second"
    assert set_aside(database, LATER) == second  # calling again goes on


def test_a_start_on_a_damaged_database_says_how_to_restore_and_touches_nothing(database: Path) -> None:
    overwrite_pages(database)
    before = database.read_bytes()
    with pytest.raises(DamagedDatabaseError, match=r"untouched: .*`auroramon db restore`.*--fresh-database"):
        check_at_start(database, LATER, fresh=False)
    assert database.read_bytes() == before


@pytest.mark.parametrize("harm", HARMS)
def test_a_fresh_start_sets_the_damaged_one_aside(database: Path, harm: Callable[[Path], None]) -> None:
    harm(database)
    damaged = database.read_bytes()
    aside = check_at_start(database, LATER, fresh=True)
    assert aside == database.with_name("auroramon.db.aside-20260201T120000Z")
    assert aside.read_bytes() == damaged
    assert seen(database) == 0


def test_a_fresh_start_keeps_a_database_that_is_sound(database: Path) -> None:
    assert check_at_start(database, LATER, fresh=True) is None
    assert seen(database) == COUNT
    assert check_at_start(database.with_name("none.db"), LATER, fresh=True) is None


def test_a_damaged_database_that_went_aside_can_still_be_asked(database: Path) -> None:
    cut_off(database)
    aside = check_at_start(database, LATER, fresh=True)
    assert aside is not None
    assert not examine_file(aside).sound


@pytest.fixture
def linked(database: Path, tmp_path: Path) -> Path:
    """The name that the configuration has, where the database lies on another disk."""
    link = tmp_path / "link.sqlite"
    link.symlink_to(database)
    return link


def test_a_link_to_the_database_stays_one(database: Path, linked: Path, copy: Path) -> None:
    add_one(linked)
    aside = restore(linked, copy, LATER)
    assert aside is not None
    assert (linked.is_symlink(), aside.parent) == (True, database.parent)
    assert (seen(linked), seen(database), seen(aside)) == (COUNT, COUNT, COUNT + 1)


def test_a_restore_through_a_link_that_was_interrupted_keeps_everybody_out(
    database: Path, linked: Path, copy: Path
) -> None:
    shutil.copy(copy, pending_restore(database))
    for name in (database, linked):
        with pytest.raises(StoreError, match="was interrupted; finish it"):
            open_store(f"sqlite:///{name}")
    assert finish(linked) is not None
    assert (linked.is_symlink(), seen(linked)) == (True, COUNT)


def test_a_damaged_database_behind_a_link_is_set_aside_where_it_lies(database: Path, linked: Path) -> None:
    cut_off(database)
    aside = check_at_start(linked, LATER, fresh=True)
    assert aside is not None
    assert aside.parent == database.parent
    assert seen(linked) == 0
    assert (linked.is_symlink(), database.is_file()) == (True, True)
