"""Opening makes, upgrades or refuses a database, and never harms one that it refuses."""

from __future__ import annotations

import hashlib
import os
import re
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, text

from auroramon.errors import ConfigError, StoreBusyError, StoreError
from auroramon.store import migrate as migrate_module
from auroramon.store import open_store, schema
from auroramon.store.migrate import VERSION_TABLE
from auroramon.store.place import obstacle
from tests.store.station import NOW, Station, labelled, stat


def engine_url(url: str) -> str:
    return url.replace("postgresql://", "postgresql+psycopg://")


def test_a_database_is_made_where_none_was(empty_url: str) -> None:
    store = open_store(empty_url)
    store.close()
    again = open_store(empty_url)
    assert again.account().seen == 0
    again.close()


def test_the_migrations_lead_to_the_schema_of_the_code(empty_url: str) -> None:
    open_store(empty_url).close()
    engine = create_engine(engine_url(empty_url))
    with engine.connect() as conn:
        context = MigrationContext.configure(conn, opts={"version_table": VERSION_TABLE, "compare_type": True})
        assert compare_metadata(context, schema.metadata) == []
    engine.dispose()


def test_the_newest_migration_is_the_one_that_the_code_asks_for() -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(migrate_module.__file__).parent / "migrations"))
    assert ScriptDirectory.from_config(config).get_current_head() == schema.REVISION


def test_known_labels_have_their_numbers_in_every_database(station: Station) -> None:
    file = stat("a.png")
    station.commit(labelled(file))
    with station.store._db.reading() as conn:
        rows = conn.execute(text("SELECT name, id FROM label_names")).all()
    assert {name: number for name, number in rows if number <= len(schema.LABEL_CODES)} == schema.LABEL_CODES


def test_a_newer_database_is_refused(empty_url: str) -> None:
    open_store(empty_url).close()
    engine = create_engine(engine_url(empty_url))
    with engine.begin() as conn:
        conn.execute(text("UPDATE auroramon_schema SET version_num = '0999'"))
    engine.dispose()
    with pytest.raises(StoreError, match=r"written by a newer auroramon \(schema 0999.*left untouched: update"):
        open_store(empty_url)


def test_tables_of_another_program_are_refused(empty_url: str) -> None:
    if empty_url.startswith("sqlite:///"):
        Path(empty_url.removeprefix("sqlite:///")).parent.mkdir()
    engine = create_engine(engine_url(empty_url))
    with engine.begin() as conn:
        conn.execute(text("CREATE TABLE files (photo TEXT)"))
    engine.dispose()
    with pytest.raises(StoreError, match=r"holds tables of another program \(files\)"):
        open_store(empty_url)


def write_text(path: Path) -> None:
    path.write_text("[[camera]]\nname = 'kiruna'\n" * 100)


def write_cut_off(path: Path) -> None:
    open_store(f"sqlite:///{path}").close()
    path.write_bytes(path.read_bytes()[:5000])


def write_scrambled(path: Path) -> None:
    open_store(f"sqlite:///{path}").close()
    raw = bytearray(path.read_bytes())
    raw[100:4096] = bytes(3996)
    path.write_bytes(raw)


@pytest.mark.parametrize("write", [write_text, write_cut_off, write_scrambled])
def test_what_is_no_sound_database_is_refused_by_name_and_left_untouched(
    tmp_path: Path, write: Callable[[Path], None]
) -> None:
    path = tmp_path / "auroramon.db"
    write(path)
    before = hashlib.sha256(path.read_bytes()).digest()
    with pytest.raises(StoreError, match=r"auroramon\.db is not a database of auroramon or is damaged.*db restore"):
        open_store(f"sqlite:///{path}")
    assert hashlib.sha256(path.read_bytes()).digest() == before


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("sqlite://", "needs a file"),
        ("mysql://root:secret@host/x", "use sqlite:"),
        ("nonsense", "cannot be read"),
    ],
)
def test_a_url_that_cannot_be_used_is_named_without_its_password(url: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said) as caught:
        open_store(url)
    assert "secret" not in str(caught.value)


def test_a_database_that_is_only_looked_at_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"no database at .*/none\.db yet"):
        open_store(f"sqlite:///{tmp_path}/none.db", create=False)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match=r"the database .*/file/x\.db cannot be there: .*/file is no folder"):
        open_store(f"sqlite:///{tmp_path}/file/x.db")


@pytest.mark.parametrize(
    ("mode", "of", "said"),
    [
        (0o555, ".", r"cannot be written: this user may not write to .* \(SQLite keeps its journal there\)"),
        (0o666, ".", r"cannot be reached: this user may not enter"),
        (0o444, "x.db", r"x\.db may not be written by this user"),
        (0o000, "x.db", r"x\.db may not be read by this user"),
    ],
)
def test_what_this_user_may_not_write_is_said_with_what_to_do(tmp_path: Path, mode: int, of: str, said: str) -> None:
    folder = tmp_path / "state"
    folder.mkdir()
    database = folder / "x.db"
    open_store(f"sqlite:///{database}").close()
    for path in (folder, database):
        path.chmod(0o777)
    (folder / of).chmod(mode)
    try:
        sentence = as_nobody(tmp_path, lambda: obstacle(database, write=True))
    finally:
        folder.chmod(0o777)
    assert re.search(said, sentence)
    assert sentence.endswith("give the permission, or name another place in [database] url")


def as_nobody(folder: Path, ask: Callable[[], str]) -> str:
    """Root may do everything, so a child that is not root is asked."""
    if os.geteuid() != 0:
        return ask()
    for parent in [folder, *folder.parents][:4]:
        parent.chmod(parent.stat().st_mode | 0o055)
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.setuid(65534)
            os.write(writing, ask().encode())
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as stream:
        said = stream.read()
    os.waitpid(child, 0)
    return said


def test_a_locked_database_is_busy_and_works_again_afterwards(tmp_path: Path) -> None:
    path = tmp_path / "auroramon.db"
    store = open_store(f"sqlite:///{path}", busy_timeout_s=0.05)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreBusyError, match=r"auroramon\.db cannot be used for now: database is locked"):
        store.offer([stat("a.png")], NOW)
    other.execute("ROLLBACK")
    other.close()
    assert store.offer([stat("a.png")], NOW).new == 1
    store.close()


def test_a_full_disk_is_busy_and_takes_the_whole_commit_back(tmp_path: Path) -> None:
    path = tmp_path / "auroramon.db"
    store = open_store(f"sqlite:///{path}")
    station = Station(store)
    outcomes = [labelled(stat(f"{number}.png", mtime=number, camera="new camera")) for number in range(500)]
    with store._db.engine.connect() as conn:
        pages = conn.exec_driver_sql("PRAGMA page_count").scalar_one()
        conn.exec_driver_sql(f"PRAGMA max_page_count={pages + 2}")
    with pytest.raises(StoreBusyError, match="full"):
        station.commit(*outcomes)
    assert store.account().seen == 0
    with store._db.engine.connect() as conn:
        conn.exec_driver_sql("PRAGMA max_page_count=1000000")
    assert len(station.commit(*outcomes).files) == 500
    assert store.account().seen == 500
    store.close()


def test_a_server_that_went_away_is_busy_and_its_return_is_noticed(postgres_database: str) -> None:
    store = open_store(postgres_database)
    store.account()
    killer = create_engine(engine_url(postgres_database).rpartition("/")[0] + "/postgres")
    with killer.connect() as conn, store._db.engine.connect() as held:
        held.exec_driver_sql("SELECT 1")
        conn.execute(text("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname LIKE 'auroramon%'"))
        with pytest.raises(StoreBusyError, match="cannot be used for now"), store._db._translated():
            held.exec_driver_sql("SELECT 1")
    killer.dispose()
    store.account()
    store.close()


def test_a_server_that_does_not_answer_is_busy() -> None:
    pytest.importorskip("psycopg")
    with pytest.raises(StoreBusyError, match=r"postgresql.*user:\*\*\*@127\.0\.0\.1:9/x cannot be used for now"):
        open_store("postgresql://user:secret@127.0.0.1:9/x")


def test_a_waiting_writer_on_postgresql_gives_up_as_busy(postgres_database: str) -> None:
    store = open_store(postgres_database, busy_timeout_s=0.05)
    holder = open_store(postgres_database)
    with holder._db.writing(), pytest.raises(StoreBusyError, match="lock timeout"):
        store.heartbeat(1, NOW)
    holder.close()
    store.close()


def test_many_processes_may_open_a_new_database_at_once(empty_url: str) -> None:
    failures: list[BaseException] = []

    def open_and_close() -> None:
        try:
            open_store(empty_url).close()
        except StoreError as error:
            failures.append(error)

    threads = [threading.Thread(target=open_and_close) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


def test_a_new_database_that_another_process_holds_is_waited_for(tmp_path: Path) -> None:
    """SQLite refuses to change the journal at once, whatever its patience."""
    path = tmp_path / "a.db"
    with closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as other:
        other.execute("BEGIN IMMEDIATE")
        release = threading.Timer(0.3, other.rollback)
        release.start()
        open_store(f"sqlite:///{path}").close()
        release.join()


def test_opening_a_database_that_is_up_to_date_does_not_load_the_migration_tool(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/a.db"
    open_store(url).close()
    program = (
        f"import sys; from auroramon.store import open_store; open_store({url!r}).close();"
        "assert not {'alembic', 'ephem', 'psycopg'} & sys.modules.keys()"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
