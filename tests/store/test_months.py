"""A PostgreSQL database that is divided by months holds what the plain one held, and keeps what that promised."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from sqlalchemy import text
from sqlalchemy.event import listen

from auroramon.care.check import examine
from auroramon.cli.db import db
from auroramon.cli.status import status
from auroramon.coordinator import utc_now
from auroramon.doctor.lines import Machine
from auroramon.doctor.records import check_database
from auroramon.errors import StoreError
from auroramon.store import Store, open_store, read_store, views
from auroramon.store.database import connect
from auroramon.store.months import Month, is_divided, months, shortage
from auroramon.store.partitioning import AHEAD, Divided, divide
from auroramon.store.relabel import Which
from auroramon.store.results import CameraPlace
from auroramon.store.reviews import NewReview
from auroramon.types import FileOutcome, Outcome
from tests.conftest import ROOT
from tests.store.conftest import new_postgres_database
from tests.store.postgres import find_program
from tests.store.station import KIRUNA, NOW, Station, labelled, model_row, record, stack, stat
from tests.store.test_events import RULES
from tests.store.test_hours import parts, reference
from tests.store.test_roles import use_everything

SPRING = datetime(2026, 3, 31, 23, 59, 57, tzinfo=UTC)
LONG = timedelta(days=9)
TABLES = ("frames", "labels", "embeddings")


@pytest.fixture
def url(postgres_server: str) -> str:
    """An empty database of the test's own."""
    return new_postgres_database(postgres_server)


def divided(url: str, now: datetime = NOW, since: str | None = None) -> Divided:
    with closing(connect(url, create=False, busy_timeout_s=5.0)) as database:
        return divide(database, now, None if since is None else Month.named(since), lambda _: False)


@pytest.fixture
def station(divided_url: str) -> Iterator[Station]:
    store = open_store(divided_url)
    yield Station(store)
    store.close()


@pytest.fixture
def divided_url(url: str) -> str:
    open_store(url).close()
    divided(url)
    return url


def fill(store: Store) -> Station:
    """Some nights with something of everything: two models, a person, copies, twins, gates, counted and due hours."""
    station = Station(store)
    store.register_cameras([replace(KIRUNA, name="abisko"), CameraPlace("moss")])
    for day, label in enumerate(("arc", "discrete", "clear", "unknown", "moon")):
        start = NOW + timedelta(days=11 * day)
        station.commit(stack(stat(f"{day}.pgm", mtime=day), start, label=label))
        station.commit(stack(stat(f"copy {day}.pgm"), start, label=label))
    burst = stat("burst.png", camera="abisko")
    station.commit(labelled(burst, *(record(burst.path, index, camera="abisko") for index in range(3))))
    moved = stat("mtime.png", camera="moss")
    station.commit(labelled(moved, record(moved.path, 0, camera="moss", time_source="mtime")))
    station.commit(FileOutcome(stat("bad.png"), Outcome.QUARANTINED, "cut off"))
    other = store.register_model(model_row("oath-2", "embedder-b", NOW + timedelta(days=1)))
    first = stat("0.pgm")
    store.claim_files(station.run, [first], NOW, model=other)
    station.commit(stack(first, label="diffuse"), model=other)
    store.update_expected(NOW + timedelta(days=60))
    store.count_hours()
    store.add_reviews([NewReview(frame, "clear", "Kirsi") for frame in store.frames_of_file(first.path)[:1]], NOW)
    store.promote_model("oath-2", NOW)
    store.count_hours(NOW + timedelta(days=20))
    store.derive_events(RULES)
    return station


def seen(store: Store) -> dict[str, list[str]]:
    """Give every row of every view and of the tables that are divided, but for the time in labels and embeddings."""
    with store._db.reading() as conn:

        def rows(name: str) -> list[str]:
            hidden = "time_utc" if name in TABLES[1:] else ""
            found = conn.exec_driver_sql(f"SELECT * FROM {name}").mappings().all()  # noqa: S608
            return sorted(str({key: row[key] for key in sorted(row) if key != hidden}) for row in found)

        return {name: rows(name) for name in (*views.NAMES, *TABLES)}


def places(store: Store) -> list[tuple[str, ...]]:
    """Give in which partitions each frame, its label and its embedding lie, by time."""
    query = """SELECT f.tableoid::regclass::text, l.tableoid::regclass::text, e.tableoid::regclass::text
               FROM frames AS f LEFT JOIN labels AS l USING (file_id, frame_index, time_utc)
               LEFT JOIN embeddings AS e USING (file_id, frame_index, time_utc) ORDER BY f.time_utc"""
    with store._db.reading() as conn:
        return [tuple(row) for row in conn.execute(text(query))]


def month_of(name: str) -> tuple[str, ...]:
    return tuple(f"{table}_{name}" for table in TABLES)


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


def test_a_frame_goes_to_its_month_with_its_label_and_embedding(station: Station) -> None:
    station.commit(stack(stat("last of march.pgm"), SPRING, frames=2))
    assert places(station.store) == [month_of("2026_03"), month_of("2026_04")]
    assert [row.time for row in station.store.labels()] == [SPRING, SPRING + timedelta(seconds=3)]


def test_no_frame_is_refused_for_want_of_a_month_and_it_moves_when_that_is_made(station: Station) -> None:
    store, url = station.store, station.store._db.engine.url.render_as_string().replace("+psycopg", "")
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
    url = station.store._db.engine.url.render_as_string().replace("+psycopg", "")
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
    url = station.store._db.engine.url.render_as_string().replace("+psycopg", "")
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


def keys(station: Station) -> list[tuple[int, int]]:
    with station.store._db.reading() as conn:
        rows = conn.exec_driver_sql("SELECT file_id, frame_index FROM frames").all()
    return sorted((row[0], row[1]) for row in rows)


def test_a_file_has_each_frame_once_when_it_is_written_anew(station: Station) -> None:
    """The key of the table lets the same file and index in at another time; the store does not."""
    station.commit(stack(stat("a.pgm"), NOW))
    bigger = stat("a.pgm", size=2000)
    station.store.claim_files(station.run, [bigger], NOW)
    station.commit(stack(bigger, SPRING))
    assert keys(station) == [(1, 0), (1, 1), (1, 2)]
    assert {name for row in places(station.store) for name in row} == {*month_of("2026_03"), *month_of("2026_04")}


def test_a_file_has_each_frame_once_when_another_clock_reads_it(station: Station) -> None:
    station.commit(stack(stat("a.pgm"), NOW))
    other = station.store.register_model(model_row("oath-2", created=NOW))
    station.commit(stack(stat("a.pgm"), SPRING, frames=2), model=other)
    assert keys(station) == [(1, 0), (1, 1)]
    assert [row.model for row in station.store.labels()] == ["oath-2"] * 2


def test_a_file_has_each_frame_once_when_an_outcome_names_it_twice(station: Station) -> None:
    file = stat("a.png")
    station.commit(labelled(file, record(file.path, 0, NOW), record(file.path, 0, SPRING)))
    assert keys(station) == [(1, 0)]
    assert len(station.labels()) == 1


def test_a_file_has_each_frame_once_when_two_runs_commit_it(station: Station) -> None:
    """One was taken for dead; the clock of the other's configuration was corrected."""
    file = stat("a.pgm")
    station.store.claim_files(station.run, [file], NOW)
    second = station.store.start_run("backfill", NOW)
    station.commit(stack(file, SPRING), run=second)
    station.commit(stack(file, NOW), run=station.run)
    station.commit(stack(file, SPRING), run=second)
    assert keys(station) == [(1, 0), (1, 1), (1, 2)]
    assert len(station.labels()) == 3


def test_a_check_finds_a_frame_that_somebody_elses_sql_made_twice(station: Station) -> None:
    station.commit(stack(stat("a.pgm"), NOW))
    assert examine(station.store._db).sound
    with station.store._db.writing() as conn:
        conn.exec_driver_sql(
            "INSERT INTO frames SELECT file_id, frame_index, camera_id, channel_id, time_utc + 86400, twin, "
            "time_source, night, sun, moon, moon_phase FROM frames WHERE frame_index = 0"
        )
    assert examine(station.store._db).faults == ("1 frames of files are there more than once, at different times",)


def test_a_label_belongs_to_a_frame_that_is_there(station: Station) -> None:
    station.commit(stack(stat("a.pgm"), NOW))
    with pytest.raises(StoreError, match="foreign key"), station.store._db.writing() as conn:
        conn.exec_driver_sql(
            "INSERT INTO labels SELECT file_id, 7, model_id, run_id, label_id, confidence, scores, distance, reason, "
            "source, time_utc FROM labels WHERE frame_index = 0"
        )


def test_every_query_on_two_of_the_divided_tables_names_the_time(station: Station) -> None:
    """Whatever daemon, backfill, relabel, review and comparison ask: one that does not would read every month."""
    store, said = station.store, set[str]()
    listen(store._db.engine, "before_cursor_execute", lambda *given: said.add(" ".join(given[2].split())))
    use_everything(store)
    one, two = (model.id for model in store.models())
    all_of_it = Which(NOW - timedelta(days=1), NOW + timedelta(days=1), ("kiruna",))
    for which in (Which(), all_of_it):
        store.compare(one, two, which)
        list(store.changed(one, two, which))
        list(store.candidates(one, which))
        list(store.embeddings_without_label(one, which))
        list(store.gate_words_without_label(one, which))
        store.count_without_label(one, which)
        list(store.reviews(which))
        store.reviewed_frames("embedder-a", which)
        store.reviewed_vectors(one, which)
    store.needs_label([stat("a.png", size=2000)], two)
    store.known_files("/data/kiruna/2026/01/31", two)
    joined = {query for query in said if len(re.findall(r"(?:FROM|JOIN) (?:frames|labels|embeddings)\b", query)) > 1}
    assert len(joined) > 20
    assert [query for query in joined if not re.search(r"time_utc = \w+\.time_utc", query)] == []


def test_a_dump_goes_into_an_empty_database(station: Station, postgres_server: str, tmp_path: Path) -> None:
    """As docs/database.md says; with its references from month to month."""
    station.commit(stack(stat("a.pgm"), SPRING))
    store, dump, restore = station.store, find_program("pg_dump"), find_program("pg_restore")
    url, copy = store._db.engine.url.render_as_string().replace("+psycopg", ""), new_postgres_database(postgres_server)
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
    url = store._db.engine.url.render_as_string().replace("+psycopg", "")
    assert divided(url).made == 1


def asked(store: Store, question: str) -> set[str]:
    """Give the tables of frames and labels that a query read; with those that it planned but did not read left out."""
    with store._db.reading() as conn:
        plan = conn.exec_driver_sql(f"EXPLAIN (ANALYZE, FORMAT JSON) {question}").scalar_one()
    found: set[str] = set()

    def walk(node: dict[str, Any]) -> None:
        name = node.get("Relation Name", "")
        if name.startswith(TABLES) and node["Actual Loops"]:
            found.add(name)
        for below in node.get("Plans", []):
            walk(below)

    walk(plan[0]["Plan"])
    return found


@pytest.mark.parametrize(
    "question",
    [
        "SELECT * FROM occurrence_nightly WHERE camera = 'kiruna' AND night = '2026-01-31'",
        "SELECT * FROM occurrence_hourly WHERE camera = 'kiruna' AND hour_utc BETWEEN 1769893200 AND 1769900400",
        "SELECT * FROM labels_current WHERE camera = 'kiruna' AND time_utc BETWEEN 1769850000 AND 1769900000",
    ],
)
def test_only_the_month_that_is_asked_for_is_read(station: Station, question: str) -> None:
    store = station.store
    for number in range(20):
        day = timedelta(days=31 * number)
        station.commit(stack(stat(f"{number}.pgm"), NOW + day, frames=10))
    with store._db.writing() as conn:
        conn.exec_driver_sql("UPDATE hours SET due = 0 WHERE night > 20500")
        conn.exec_driver_sql("ANALYZE")
    assert asked(store, question) == {"frames_2026_01", "labels_2026_01"}
    with store._db.reading() as conn:
        plan = conn.exec_driver_sql(f"EXPLAIN {question}").scalars().all()
    by_constants = "labels_current" in question  # known before it runs: the others take the hours from a table
    assert any("frames_2026_02" in line for line in plan) != by_constants


def test_months_that_run_out_are_told_to_any_role(station: Station) -> None:
    def said(now: datetime) -> str:
        with station.store._db.reading() as conn:
            return shortage(conn, now)

    assert said(datetime(2027, 10, 31, tzinfo=UTC)) == ""
    assert said(datetime(2027, 11, 1, tzinfo=UTC)).startswith("its months end with 2028-01")
    assert station.store.shortage_of_months(datetime(2029, 1, 1, tzinfo=UTC))
    station.commit(labelled(stat("a.png"), record(stat("a.png").path, time=datetime(2028, 2, 1, tzinfo=UTC))))
    assert said(NOW) == ""  # a call could not help: it is further ahead than months are made
    assert said(NOW + timedelta(days=1)) == "frames after 2028-01 lie in the partition for the rest"
    station.commit(labelled(stat("b.png"), record(stat("b.png").path, time=datetime(2019, 1, 1, tzinfo=UTC))))
    url = station.store._db.engine.url.render_as_string().replace("+psycopg", "")
    assert divided(url, NOW + timedelta(days=1)).moved == 2
    assert said(NOW + timedelta(days=1)) == ""


def test_the_first_month_that_somebody_named_is_kept(station: Station) -> None:
    """A clock that fell back to the year 2000 makes no three hundred empty months at the next call."""
    url = station.store._db.engine.url.render_as_string().replace("+psycopg", "")
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
    url = station.store._db.engine.url.render_as_string().replace("+psycopg", "")
    for number, year in enumerate((1970, 2011)):
        file = stat(f"{number}.png")
        station.commit(labelled(file, record(file.path, time=datetime(year, 1, 1, tzinfo=UTC))))
    done = divided(url)
    assert (done.moved, done.left) == (0, Month.named("1970-01"))
    done = divided(url, since="2011-01")
    assert (done.moved, done.left) == (1, None)
    assert divided(url).left is None


def test_a_plain_database_holds_no_time_beside_labels(store: Store) -> None:
    station = Station(store)
    station.commit(stack(stat("a.pgm")))
    with store._db.reading() as conn:
        wanted = 3 if is_divided(conn) else 0
        assert store.shortage_of_months(NOW) == ""
        for table in TABLES[1:]:
            assert conn.exec_driver_sql(f"SELECT COUNT(time_utc) FROM {table}").scalar_one() == wanted  # noqa: S608


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


def test_who_reads_needs_to_know_nothing_of_it(divided_url: str) -> None:
    store = read_store(divided_url)
    assert store.account().seen == 0
    store.close()


@pytest.mark.parametrize(("name", "begin"), [("1969-12", -2678400.0), ("1970_01", 0.0), ("2026-11", 1793491200.0)])
def test_a_month_begins_at_its_first_second_of_utc(name: str, begin: float) -> None:
    month = Month.named(name)
    assert (month.begin, str(month)) == (begin, name.replace("_", "-"))
    assert Month.of(datetime.fromtimestamp(begin, UTC)) == month == month.later(12).later(-12)
    assert Month.of(datetime.fromtimestamp(begin - 1, UTC)) == month.later(-1)
