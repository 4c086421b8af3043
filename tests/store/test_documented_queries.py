"""The queries of docs/database.md run as they stand there, and give rows."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from sqlalchemy import text

from auroramon.events import EventRules
from auroramon.store import Store
from auroramon.types import FileOutcome, Outcome
from tests.conftest import ROOT
from tests.store.station import NOW, Station, labelled, model_row, record, stack, stat

DOCUMENT = (ROOT / "docs" / "database.md").read_text(encoding="utf-8")
QUERIES = re.findall(r"```sql\n(.*?)```", DOCUMENT, re.DOTALL)


def test_there_are_eleven() -> None:
    assert len(QUERIES) == 11


@pytest.fixture
def filled(station: Station) -> Store:
    """A short night with something of everything."""
    store = station.store
    for minute, label in enumerate(("arc", "arc", "discrete", "clear", "unknown", "moon", "cloudy", "arc")):
        file = stat(f"{minute}.png")
        station.commit(labelled(file, record(file.path, 0, NOW + timedelta(minutes=minute), label=label)))
    newer = store.register_model(model_row("oath-2", "embedder-b", NOW + timedelta(days=1)))
    first = stat("0.png")
    store.claim_files(station.run, [first], NOW, model=newer)
    doubtful = record(first.path, label="diffuse")
    station.commit(labelled(first, doubtful), model=newer)
    copy, bad = stat("copy.png"), stat("bad.png")
    station.commit(stack(copy, frames=1), FileOutcome(bad, Outcome.QUARANTINED, "cut off in its header"))
    with store._db.writing(durable=True) as conn:
        conn.execute(text("UPDATE labels SET confidence = 400000 WHERE file_id = 2"))
    store.update_expected(NOW + timedelta(days=2))
    run = store.start_run("backfill", NOW, rules=EventRules({"arc": 0.6, "diffuse": 0.5, "discrete": 0.5}, 3, 600.0))
    last = stat("last.png")
    store.claim_files(run, [last], NOW)
    outcome = labelled(last, record(last.path, 0, NOW + timedelta(minutes=9), label="arc"))
    store.commit(run, [outcome], model=station.model, source="backfill", now=NOW)
    return store


@pytest.mark.parametrize("number", range(11))
def test_each_gives_rows(filled: Store, number: int) -> None:
    with filled._db.reading() as conn:
        assert conn.execute(text(QUERIES[number].replace(":00", r"\:00"))).all()


def test_a_night_of_one_camera_is_found_by_the_index(filled: Store) -> None:
    (query,) = (query for query in QUERIES if "BETWEEN" in query)
    with filled._db.reading() as conn:
        if filled._db.sqlite:
            plan = [row.detail for row in conn.execute(text(f"EXPLAIN QUERY PLAN {query}"))]
        else:
            conn.execute(text("SET LOCAL enable_seqscan = off"))  # as in a table of which that would be a small part
            plan = list(conn.scalars(text(f"EXPLAIN {query}")))
    searches = [line for line in plan if "Index Cond" in line or "SEARCH f " in line]
    assert any("camera_id" in line and "time_utc" in line for line in searches), plan


@pytest.mark.parametrize(
    "view", ["labels_current", "occurrence_hourly", "occurrence_nightly", "file_states", "label_runs"]
)
def test_every_column_of_a_view_is_described(filled: Store, view: str) -> None:
    from sqlalchemy import inspect

    section = DOCUMENT.partition(f"`{view}`")[2].partition("## Eleven useful queries")[0]
    named = set(re.findall(r"`(\w+)`", section))
    with filled._db.reading() as conn:
        columns = {column["name"] for column in inspect(conn).get_columns(view)}
    assert columns - named <= {"file_id"}


def test_counting_again_with_the_present_configuration_works_as_described(filled: Store) -> None:
    (statements,) = re.findall(r"`(DELETE FROM expected;.*?)`", DOCUMENT)
    before = filled.occurrence("night")
    with filled._db.writing() as conn:
        for statement in statements.split(";")[:-1]:
            conn.execute(text(statement))
    assert filled.occurrence("night")[0].expected is None
    filled.update_expected(NOW + timedelta(days=2))
    assert filled.occurrence("night") == before
