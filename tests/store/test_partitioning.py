"""A PostgreSQL database that is divided by months holds what the plain one held; later months are made and filled."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import time
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner

from auroramon.cli.db import db
from auroramon.cli.status import status
from auroramon.coordinator import utc_now
from auroramon.doctor.lines import Machine
from auroramon.doctor.records import check_database
from auroramon.errors import StoreError
from auroramon.store import open_store
from auroramon.store.database import connect
from auroramon.store.months import Month, is_divided, months, shortage
from auroramon.store.partitioning import AHEAD, Divided, divide
from tests.conftest import ROOT
from tests.store.conftest import new_postgres_database
from tests.store.months import SPRING, TABLES, divided, fill, month_of, places, seen, url_of
from tests.store.postgres import find_program
from tests.store.station import NOW, Station, labelled, record, stack, stat
from tests.store.test_hours import parts, reference

LONG = timedelta(days=9)


@pytest.fixture
def station(divided_station: Station) -> Station:
    return divided_station


def test_every_view_and_row_is_the_same_before_and_after(url: str) -> None:
    store = open_store(url)
    station = fill(store)
    before = seen(store)
    assert all(before[name] for name in before)
    store.end_run(station.run, NOW)
    store.close()
    done = divided(url)
    assert (done.converted, str(done.first), str(done.last), done.made) == (True, "2026-01", "2028-01", AHEAD + 1)
    store = open_store(url)
    assert seen(store) == before
    with store._db.reading() as conn:
        assert is_divided(conn)
        for table in TABLES[1:]:
            there = f"SELECT COUNT(*) FROM {table} JOIN frames USING (file_id, frame_index, time_utc)"  # noqa: S608
            assert conn.exec_driver_sql(there).scalar_one() == len(before[table])
        plain = conn.exec_driver_sql("SELECT relname FROM pg_class WHERE relname LIKE 'plain%%'").all()
        assert plain == []
    assert places(store)[0] == month_of("2026_01")
    store.count_hours()
    assert parts(store) == reference(store)
    store.close()


def test_no_frame_is_refused_for_want_of_a_month_and_it_moves_when_that_is_made(station: Station) -> None:
    store, url = station.store, url_of(station.store)
    early, late = datetime(2019, 7, 1, tzinfo=UTC), datetime(2028, 2, 3, tzinfo=UTC)
    for number, time_ in enumerate((early, late)):
        station.commit(labelled(stat(f"{number}.png"), record(stat(f"{number}.png").path, time=time_)))
    assert places(store) == [month_of("default")] * 2
    before = seen(store)
    done = divided(url, NOW + timedelta(days=40))
    assert (done.converted, str(done.first), str(done.last), done.moved) == (False, "2019-07", "2028-03", 2)
    assert places(store) == [month_of("2019_07"), month_of("2028_02")]
    assert seen(store) == before
    with pytest.raises(StoreError, match="foreign key"), store._db.writing() as conn:
        conn.exec_driver_sql("DELETE FROM frames")
    station.commit(labelled(stat("new.png"), record(stat("new.png").path, time=late + timedelta(days=1))))
    assert places(store)[2] == month_of("2028_02")


def test_called_again_it_changes_nothing(station: Station) -> None:
    station.commit(stack(stat("a.pgm")))
    url = url_of(station.store)
    before = seen(station.store)
    done = divided(url)
    assert done == Divided(False, Month.named("2026-01"), Month.named("2028-01"), 0, 0)
    assert seen(station.store) == before


def test_two_owners_at_once_divide_it_once(url: str) -> None:
    open_store(url).close()
    databases = [connect(url, create=False, busy_timeout_s=30.0) for _ in range(2)]
    for database in databases:
        with database.reading():
            pass  # both know it as a plain one
    assert [divide(database, NOW).converted for database in databases] == [True, False]
    for database in databases:
        database.close()


def test_a_program_that_works_meanwhile_goes_on(station: Station) -> None:
    """To make months needs no pause, and statements that were planned before find them."""
    url = url_of(station.store)
    for number in range(20):
        file = stat(f"{number}.png")
        station.commit(labelled(file, record(file.path, time=datetime(2028, 2, 1 + number, tzinfo=UTC))))
        if number == 10:
            assert divided(url, NOW + timedelta(days=40)).moved == 11
    assert set(places(station.store)) == {month_of("2028_02")}
    assert len(station.labels()) == 20


def test_killed_in_the_middle_it_leaves_the_plain_database(url: str) -> None:
    store = open_store(url)
    station = fill(store)
    store.end_run(station.run, NOW)
    before = seen(store)
    program = (
        "import sys; from datetime import datetime, UTC; from auroramon.store.database import connect; "
        "from auroramon.store.partitioning import divide; "
        "divide(connect(sys.argv[1], create=False, busy_timeout_s=60.0), datetime(2026, 1, 31, tzinfo=UTC))"
    )
    waiting = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    with store._db.engine.connect() as holder, store._db.engine.connect() as watcher:
        # Who holds a row of a table that is referred to keeps the new references from being made, near the end.
        holder.exec_driver_sql("SELECT * FROM models FOR UPDATE")
        child = subprocess.Popen([sys.executable, "-c", program, url], cwd=ROOT)
        try:
            end = time.monotonic() + 60
            while not (found := watcher.exec_driver_sql(waiting).scalars().all()):
                assert time.monotonic() < end
                assert child.poll() is None
                watcher.rollback()
                time.sleep(0.02)
        finally:
            child.kill()
            child.wait()
        watcher.exec_driver_sql("SELECT pg_terminate_backend(%s)", (found[0],))  # as when its socket breaks
        holder.rollback()
    assert seen(store) == before
    with store._db.reading() as conn:
        assert months(conn) == []
    store.close()
    assert divided(url).converted


def test_who_works_on_it_is_not_disturbed(url: str) -> None:
    store = open_store(url)
    station = Station(store)
    store.heartbeat(station.run, NOW)
    with pytest.raises(StoreError, match=r"`auroramon run` \(process 100 on station\) works on .*: stop that first"):
        divided(url)
    store.end_run(station.run, NOW)
    store.start_run("backfill", NOW, host=socket.gethostname(), pid=os.getpid())  # ourselves
    assert divided(url).converted
    store.close()


def test_a_sqlite_file_cannot_be_divided(tmp_path: Path) -> None:
    open_store(f"sqlite:///{tmp_path}/a.db").close()
    with pytest.raises(StoreError, match=r"a\.db is a SQLite file: only a PostgreSQL database can be divided"):
        divided(f"sqlite:///{tmp_path}/a.db")


def test_a_frame_of_a_wrong_clock_makes_no_hundreds_of_months(url: str) -> None:
    store = open_store(url)
    station = Station(store)
    file = stat("no battery.png")
    station.commit(labelled(file, record(file.path, time=datetime(1970, 1, 1, tzinfo=UTC))))
    store.end_run(station.run, NOW)
    store.close()
    with pytest.raises(
        StoreError, match=r"of 1970-01, to 2028-01 there would be 697 months: name the first by --since"
    ):
        divided(url)
    assert divided(url, since="2025-11").made == 27
    assert divided(url, NOW + timedelta(days=40)) == Divided(
        False, Month.named("2025-11"), Month.named("2028-03"), 2, 0
    )
    store = open_store(url)
    assert places(store) == [month_of("default")]
    store.close()


def test_the_first_month_that_somebody_named_is_kept(station: Station) -> None:
    """A clock that fell back to the year 2000 makes no three hundred empty months at the next call."""
    url = url_of(station.store)
    station.commit(labelled(stat("a.png"), record(stat("a.png").path, time=datetime(2000, 1, 1, tzinfo=UTC))))
    with station.store._db.reading() as conn:
        assert shortage(conn, NOW).startswith("frames before 2026-01, the first of 2000-01, lie in the partition")
    assert divided(url, since="2025-11").made == 2
    later = divided(url, NOW + timedelta(days=40))
    assert later == Divided(False, Month.named("2025-11"), Month.named("2028-03"), 2, 0)
    with station.store._db.reading() as conn:
        assert shortage(conn, NOW) == ""
    with station.store._db.writing() as conn:
        conn.exec_driver_sql("DROP TABLE labels_2025_11, embeddings_2025_11, frames_2025_11")
    assert str(divided(url).first) == "2025-12"  # a month that was dropped does not come back
    assert divided(url, since="2000-01").moved == 1


def test_frames_that_are_left_for_a_wrong_clock_are_told(station: Station) -> None:
    url = url_of(station.store)
    for number, year in enumerate((1970, 2011)):
        file = stat(f"{number}.png")
        station.commit(labelled(file, record(file.path, time=datetime(year, 1, 1, tzinfo=UTC))))
    done = divided(url)
    assert (done.moved, done.left) == (0, Month.named("1970-01"))
    done = divided(url, since="2011-01")
    assert (done.moved, done.left) == (1, None)
    assert divided(url).left is None


def test_a_dump_goes_into_an_empty_database(station: Station, postgres_server: str, tmp_path: Path) -> None:
    """As docs/database.md says; with its references from month to month."""
    station.commit(stack(stat("a.pgm"), SPRING))
    store, dump, restore = station.store, find_program("pg_dump"), find_program("pg_restore")
    url, copy = url_of(store), new_postgres_database(postgres_server)
    assert dump
    assert restore
    subprocess.run([dump, "--format=custom", "-f", tmp_path / "copy", url], check=True, timeout=60)
    subprocess.run([restore, "-d", copy, tmp_path / "copy"], check=True, timeout=60)
    with closing(open_store(copy)) as restored:
        assert seen(restored) == seen(store)
        assert places(restored) == places(store)
        with restored._db.reading() as conn:
            ties = "SELECT COUNT(*) FROM pg_constraint WHERE contype = 'f' AND confrelid = 'frames_2026_03'::regclass"
            assert conn.exec_driver_sql(ties).scalar_one() == 2


def test_a_month_is_dropped_as_described(station: Station) -> None:
    """The statement of docs/database.md, for another month."""
    store = station.store
    (statement,) = re.findall(r"`(DROP TABLE labels_.*?)`", (ROOT / "docs/database.md").read_text(encoding="utf-8"))
    station.commit(stack(stat("march.pgm"), SPRING - timedelta(days=9)), stack(stat("april.pgm"), SPRING + LONG))
    store.count_hours()
    with store._db.engine.begin() as conn:
        conn.exec_driver_sql(statement.replace("2011_12", "2026_03"))
    assert {row.time.month for row in store.labels()} == {4}
    assert station.account() == (2, 0, 0, 0)
    assert sum(row.total for row in store.occurrence("night")) == 6
    store.recount()
    assert sum(row.total for row in store.occurrence("night")) == 3
    url = url_of(store)
    assert divided(url).made == 1


def test_the_owner_divides_it_by_a_command_and_the_doctor_says_when_to_call_it_again(url: str, tmp_path: Path) -> None:
    open_store(url).close()
    config = tmp_path / "auroramon.toml"
    config.write_text(f'[database]\nurl = "{url}"\n')

    def said(*words: str) -> str:
        done = CliRunner().invoke(db, [*words, "-c", str(config)])
        assert done.exit_code == 0, done.output
        return done.output

    def examined(now: datetime) -> list[tuple[str, str]]:
        lines = check_database(url, Machine(now=lambda: now))
        return [(line.level, line.remedy) for line in lines if "months" in line.sentence]

    assert examined(NOW) == []
    first, again = said("partition", "--since", "2025-01"), said("partition")
    assert "is divided by months from 2025-01 to " in first
    assert "call `auroramon db roles | psql`" in first
    assert again.endswith(": 0 months made\n")
    assert "nothing to do" in said("migrate", "--no-copy")
    assert "is sound" in said("check")
    assert examined(utc_now()) == [("ok", "")]
    assert "months" not in status_of(config)
    with closing(open_store(url)) as store:
        Station(store).commit(
            labelled(stat("a.png"), record(stat("a.png").path, time=datetime(1970, 1, 1, tzinfo=UTC)))
        )
    assert "months " not in status_of(config)  # they lie before the month that was named as the first
    with closing(connect(url, create=False, busy_timeout_s=5.0)) as database, database.writing() as conn:
        conn.exec_driver_sql("COMMENT ON TABLE frames IS NULL")
    assert re.search(
        r"months +frames before 2025-01, the first of 1970-01, .*: its owner must call `aur", status_of(config)
    )
    assert "the first of 1970-01, stay in the partition for the rest" in said("partition")
    assert examined(utc_now() + timedelta(days=700)) == [("warning", "its owner must call: auroramon db partition")]


def status_of(config: Path) -> str:
    done = CliRunner().invoke(status, ["-c", str(config)])
    assert done.exit_code == 0, done.output
    return done.output


def test_an_older_schema_is_left_to_db_migrate(url: str) -> None:
    open_store(url).close()
    with closing(connect(url, create=False, busy_timeout_s=5.0)) as database, database.writing() as conn:
        conn.exec_driver_sql("UPDATE auroramon_schema SET version_num = '0006'")
    with pytest.raises(StoreError, match=r"older auroramon \(schema 0006"):
        divided(url)
