"""`auroramon db`: what a technician types when the database needs care."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from auroramon.store.database import connect
from auroramon.store.schema import REVISION
from auroramon.store.store import Store, open_store
from tests.cli.conftest import Command, Winter
from tests.daemon import run
from tests.store.old import make_old


def harm(winter: Winter, first: int = 8, pages: int = 20) -> Path:
    path = Path(winter.url.removeprefix("sqlite:///"))
    with path.open("r+b") as file:
        file.seek(first * 4096)
        file.write(b"\xa5" * 4096 * pages)
    return path


def test_a_backup_goes_beside_the_database_and_is_told(auroramon: Command, winter: Winter, tmp_path: Path) -> None:
    said = auroramon("db", "backup", "-c", winter.config)
    (copy,) = (tmp_path / "backups").iterdir()
    assert said.code == 0
    assert said.out.startswith(f"{copy}: ")
    assert "363 files (360 labelled, 1 skipped, 1 quarantined, 1 pending); the copy is sound" in said.out
    assert auroramon("db", "check", copy, "-c", winter.config).out.startswith(f"{copy} is sound: 363 files")


def test_folder_and_number_of_copies_can_be_configured(auroramon: Command, winter: Winter, tmp_path: Path) -> None:
    text = winter.config.read_text().replace("[server]", 'backup_folder = "usb/copies"\nbackup_keep = 1\n[server]')
    winter.config.write_text(text)
    told = json.loads(auroramon("db", "backup", "--json", "-c", winter.config).out)
    assert Path(told["path"]).parent == tmp_path / "usb/copies"
    assert (told["sound"], told["files"]["seen"], told["dropped"]) == (True, 363, [])
    Path(told["path"]).rename(tmp_path / "usb/copies/labels-20250101T000000Z.sqlite")
    dropped = json.loads(auroramon("db", "backup", "--json", "-c", winter.config).out)["dropped"]
    assert dropped == [str(tmp_path / "usb/copies/labels-20250101T000000Z.sqlite")]


def test_damage_is_said_with_what_to_do_and_exit_code_1(auroramon: Command, winter: Winter) -> None:
    harm(winter)
    said = auroramon("db", "check", "-c", winter.config)
    assert said.code == 1
    assert "auroramon db restore" in said.err
    assert json.loads(auroramon("db", "check", "--json", "-c", winter.config).out)["sound"] is False


def test_the_newest_sound_copy_is_restored(auroramon: Command, winter: Winter, tmp_path: Path) -> None:
    auroramon("db", "backup", "-c", winter.config)
    harm(winter)
    (tmp_path / "backups/labels-20990101T000000Z.sqlite").write_bytes(b"newer, and no database")
    said = auroramon("db", "restore", "-c", winter.config)
    assert said.code == 0, said.err
    assert "labels-20990101T000000Z.sqlite is passed over" in said.err
    assert "what was there is now" in said.out
    assert auroramon("db", "check", "-c", winter.config).code == 0
    assert auroramon("labels", "--json", "-c", winter.config).code == 0


def test_where_no_copy_is_a_name_is_asked_for(auroramon: Command, winter: Winter) -> None:
    said = auroramon("db", "restore", "-c", winter.config)
    assert (said.code, "name one: auroramon db restore FILE" in said.err) == (1, True)


def test_a_schema_that_is_up_to_date_needs_nothing(auroramon: Command, winter: Winter, tmp_path: Path) -> None:
    said = auroramon("db", "migrate", "-c", winter.config)
    assert said.code == 0
    assert "nothing to do" in said.out
    assert not (tmp_path / "backups").exists()


def test_vacuum_makes_the_file_small_again(auroramon: Command, winter: Winter) -> None:
    path = winter.url.removeprefix("sqlite:///")
    with closing(sqlite3.connect(path)) as conn:
        conn.execute("CREATE TABLE gone AS SELECT zeroblob(3000000)")
        conn.execute("DROP TABLE gone")
        conn.commit()
    said = auroramon("db", "vacuum", "-c", winter.config)
    assert said.code == 0
    assert Path(path).stat().st_size < 1_000_000
    assert auroramon("db", "check", "-c", winter.config).code == 0


@pytest.mark.parametrize("name", ["backup", "restore", "migrate", "vacuum"])
def test_a_server_is_named_with_what_to_do_instead(auroramon: Command, tmp_path: Path, name: str) -> None:
    config = tmp_path / "server.toml"
    config.write_text('[database]\nurl = "postgresql://user:secret@127.0.0.1:9/x"\n')
    said = auroramon("db", name, "-c", config)
    assert said.code == 1
    assert "secret" not in said.err
    assert "pg_dump" in said.err or "vacuums by itself" in said.err or "cannot be used for now" in said.err


def test_only_a_server_can_be_divided_by_months(auroramon: Command, winter: Winter) -> None:
    said = auroramon("db", "partition", "-c", winter.config)
    assert (said.code, said.out) == (1, "")
    assert said.err.endswith("labels.sqlite is a SQLite file: only a PostgreSQL database can be divided by months\n")
    said = auroramon("db", "partition", "-c", winter.config, "--since", "winter")
    assert (said.code, "'winter' is no month such as 2026-11" in said.err) == (2, True)


def test_a_daemon_does_not_start_on_a_damaged_database_and_says_what_helps(winter: Winter) -> None:
    path = harm(winter)
    before = path.read_bytes()
    said = run("run", "-c", winter.config, check=False)
    assert said.returncode == 1
    assert "is damaged" in said.stderr
    assert "`auroramon db restore`" in said.stderr
    assert "`auroramon run --fresh-database`" in said.stderr
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    "command",
    [
        "backfill archive --workers 1", "relabel --model simsky-6", "model promote first", "db recount", "db vacuum",
        "db migrate --no-copy", "review import words.csv", "quarantine retry --all",
    ],
)  # fmt: skip
def test_nothing_is_written_to_a_damaged_database(
    auroramon: Command, winter: Winter, tmp_path: Path, command: str
) -> None:
    (tmp_path / "archive").mkdir()
    (tmp_path / "words.csv").write_text("path,index,label\n/data/0001.png,0,arc\n")
    path = harm(winter, first=7, pages=2)
    before = path.read_bytes()
    said = auroramon(*command.split(), "-c", winter.config)
    assert said.code == 1
    assert "auroramon db restore" in said.err
    assert path.read_bytes() == before


def test_what_somebody_elses_sql_made_wrong_is_found_and_counted_anew(auroramon: Command, winter: Winter) -> None:
    with closing(sqlite3.connect(winter.url.removeprefix("sqlite:///"))) as conn:
        conn.execute("UPDATE account SET labelled = labelled - 2, pending = pending + 2")
        conn.commit()
    said = auroramon("db", "check", "-c", winter.config)
    assert (said.code, "it keeps another account (363 files seen = 358 labelled" in said.out) == (1, True)
    assert said.err == "auroramon: no label is lost by that; it is mended by: auroramon db recount\n"
    copied = auroramon("db", "backup", "-c", winter.config)
    assert (copied.code, "the copy is whole, but it keeps another account" in copied.out) == (0, True)
    said = auroramon("db", "recount", "-c", winter.config)
    assert (said.code, "363 files counted anew, it was kept as 363 files seen = 358" in said.out) == (0, True)
    assert auroramon("db", "check", "-c", winter.config).code == 0
    assert auroramon("db", "recount", "-c", winter.config).out.endswith("363 files counted anew, as it was kept\n")


@pytest.fixture
def old(winter: Winter) -> Winter:
    """The same night as an older version left it."""
    with closing(open_store(winter.url)) as store, store._db.writing() as conn:
        make_old(conn)
    return winter


READING = [
    "status", "labels", "occurrence", "events", "quarantine list", "model list", "model compare first first",
    "review queue", "review list", "review export out.csv",
]  # fmt: skip


@pytest.mark.parametrize("command", READING)
def test_who_only_asks_an_older_database_is_told_and_changes_nothing(
    auroramon: Command, old: Winter, command: str
) -> None:
    file = Path(old.url.removeprefix("sqlite:///"))
    before = file.read_bytes()
    said = auroramon(*command.split(), "-c", old.config)
    assert (said.code, said.out) == (1, "")
    assert said.err == (
        f"auroramon: {file} is of an older auroramon (schema 0004, this one reads {REVISION}): the daemon's next "
        "start, or `auroramon db migrate`, brings it up to date\n"
    )
    assert file.read_bytes() == before


def test_an_older_database_is_copied_and_brought_up_to_date_once_nobody_works_on_it(
    auroramon: Command, old: Winter, tmp_path: Path
) -> None:
    with closing(connect(old.url, create=False, busy_timeout_s=1.0)) as database:
        store = Store(database)
        run = store.start_run("backfill", datetime.now(UTC), host="elsewhere", pid=77)
        said = auroramon("db", "migrate", "-c", old.config)
        assert (said.code, "`auroramon backfill` (process 77 on elsewhere) works on it" in said.err) == (1, True)
        assert not (tmp_path / "backups").exists()
        store.end_run(run, datetime.now(UTC))
    said = auroramon("db", "migrate", "-c", old.config)
    assert said.out.endswith(f"the schema was 0004 and is now {REVISION}\n")
    assert len(list((tmp_path / "backups").iterdir())) == 1
    assert auroramon("status", "-c", old.config).code == 0


def test_hours_that_an_older_program_counted_are_counted_again_at_the_start(
    winter: Winter, auroramon: Command, tmp_path: Path
) -> None:
    with closing(open_store(winter.url)) as store:
        store.count_hours()
        with store._db.writing() as conn:
            conn.exec_driver_sql("DELETE FROM hour_kinds")
    assert "are counted otherwise by Moon" in auroramon("db", "check", "-c", winter.config).out
    (tmp_path / "archive").mkdir()
    said = auroramon("backfill", tmp_path / "archive", "--workers", 1, "-c", winter.config)
    assert "hours were counted by something else than this version" in said.err
    assert auroramon("db", "check", "-c", winter.config).code == 0
