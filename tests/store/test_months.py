"""A PostgreSQL database that is divided by months keeps what the plain one promised, and asks one month only."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy.event import listen

from auroramon.care.check import examine
from auroramon.errors import StoreError
from auroramon.store import Store, read_store
from auroramon.store.months import Month, is_divided, shortage
from auroramon.store.relabel import Which
from tests.store.months import SPRING, TABLES, divided, month_of, places, url_of
from tests.store.station import NOW, Station, labelled, model_row, record, stack, stat
from tests.store.test_roles import use_everything


@pytest.fixture
def station(divided_station: Station) -> Station:
    return divided_station


def test_a_frame_goes_to_its_month_with_its_label_and_embedding(station: Station) -> None:
    station.commit(stack(stat("last of march.pgm"), SPRING, frames=2))
    assert places(station.store) == [month_of("2026_03"), month_of("2026_04")]
    assert [row.time for row in station.store.labels()] == [SPRING, SPRING + timedelta(seconds=3)]


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
    url = url_of(station.store)
    assert divided(url, NOW + timedelta(days=1)).moved == 2
    assert said(NOW + timedelta(days=1)) == ""


def test_a_plain_database_holds_no_time_beside_labels(store: Store) -> None:
    station = Station(store)
    station.commit(stack(stat("a.pgm")))
    with store._db.reading() as conn:
        wanted = 3 if is_divided(conn) else 0
        assert store.shortage_of_months(NOW) == ""
        for table in TABLES[1:]:
            assert conn.exec_driver_sql(f"SELECT COUNT(time_utc) FROM {table}").scalar_one() == wanted  # noqa: S608


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
