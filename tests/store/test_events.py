"""Events follow from labels: whichever way and order these came in, and however often they are derived."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import text

from auroramon.events import EventRules
from auroramon.store import Store, open_store, views
from auroramon.store.reviews import NewReview
from auroramon.types import FileOutcome
from tests.store.station import NOW, Station, labelled, model_row, record, stat

RULES = EventRules({"arc": 0.5, "diffuse": 0.5, "discrete": 0.5}, frames=3, gap_s=600.0)
KINDS = {"a": "arc", ".": "clear"}


@pytest.fixture
def station(store_url: str) -> Iterator[Station]:
    store = open_store(store_url)
    yield Station(store)
    store.close()


def evening(frames: str, first: int = 0) -> list[FileOutcome]:
    """Give one file a minute from NOW on."""
    found = []
    for minute, letter in enumerate(frames, start=first):
        file = stat(f"{minute}.png", mtime=minute)
        found.append(labelled(file, record(file.path, 0, NOW + timedelta(minutes=minute), label=KINDS[letter])))
    return found


def spans(store: Store) -> list[tuple[float, float, bool]]:
    return [
        ((e.begun - NOW).total_seconds() / 60, (e.ended - NOW).total_seconds() / 60, e.over) for e in store.events()
    ]


def test_events_come_from_committed_labels_and_twice_is_once(station: Station) -> None:
    station.commit(*evening("..aaaa...aaa"))
    assert station.store.derive_events(RULES) == 1
    assert spans(station.store) == [(2, 5, True), (9, 11, False)]
    assert station.store.derive_events(RULES) == 0
    (first, _) = station.store.events()
    assert (first.camera, first.label, first.frames, first.confidence) == ("kiruna", "arc", 4, 0.75)
    assert first.rules == RULES


def test_any_order_of_arrival_gives_the_same_events(station: Station) -> None:
    outcomes = evening("..aaaa....aaa..a.aa....aaa")
    random.Random(3).shuffle(outcomes)
    for start in range(0, len(outcomes), 5):
        station.commit(*outcomes[start : start + 5], source="backfill" if start % 2 else "live")
        station.store.derive_events(RULES)
    found = spans(station.store)
    assert found == [(2, 5, True), (10, 18, True), (23, 25, False)]
    station.commit(*outcomes)
    assert station.store.derive_events(RULES) == 0
    assert spans(station.store) == found


def test_a_late_frame_makes_its_night_due(station: Station) -> None:
    outcomes = evening("aaa...aaa")
    station.commit(*outcomes[:4], *outcomes[5:])
    station.store.derive_events(RULES)
    assert spans(station.store) == [(0, 8, False)]
    station.commit(outcomes[4])
    assert station.store.derive_events(RULES) == 1
    assert spans(station.store) == [(0, 2, True), (6, 8, False)]


def test_a_file_that_changed_takes_its_part_in_events_with_it(station: Station) -> None:
    station.commit(*evening("aaa"))
    station.store.derive_events(RULES)
    file = stat("1.png", size=5, mtime=99)
    station.store.claim_files(station.run, [file], NOW)
    station.commit(labelled(file, record(file.path, 0, NOW + timedelta(minutes=1), label="clear")))
    station.store.derive_events(RULES)
    assert spans(station.store) == []


def test_a_persons_word_and_another_model_change_events(station: Station) -> None:
    station.commit(*evening("aaa"))
    station.store.derive_events(RULES)
    (frame,) = station.store.frames_at("kiruna", NOW + timedelta(minutes=1))
    station.store.add_reviews([NewReview(frame, "cloudy", "me", "")], NOW)
    station.store.derive_events(RULES)
    assert spans(station.store) == []
    station.store.add_reviews([NewReview(frame, "discrete", "me", "")], NOW)
    station.store.derive_events(RULES)
    assert [event.confidence for event in station.store.events()] == [0.75]
    other = station.store.register_model(model_row("oath-2", created=NOW + timedelta(days=1)))
    said = [replace(old, records=new.records) for old, new in zip(evening("aaa"), evening("..."), strict=True)]
    station.commit(*said, model=other)
    station.store.derive_events(RULES)
    assert spans(station.store) == []
    station.store.promote_model("oath-1", NOW)
    station.store.derive_events(RULES)
    assert spans(station.store) == [(0, 2, False)]


def test_other_rules_make_every_night_due_and_are_kept_with_the_events(station: Station) -> None:
    station.commit(*evening("aaa"))
    station.store.derive_events(RULES)
    strict = replace(RULES, thresholds={"arc": 0.8})
    assert station.store.derive_events(strict) == 1
    assert spans(station.store) == []
    loose = replace(RULES, thresholds={"arc": 0.7})
    station.store.derive_events(loose)
    assert station.store.events()[0].rules == loose


def test_labels_that_come_while_events_are_derived_leave_the_night_due(station: Station) -> None:
    from auroramon.store import events

    station.commit(*evening("aaa"))
    database = station.store._db
    with database.writing() as conn:
        rules = events.rules_number(conn, RULES)
    with database.reading() as conn:
        (due,) = events.due_nights(conn, rules, None, None)
        derived = events.look_at(conn, due, RULES)
    station.commit(*evening("...", first=3))
    with database.writing() as conn:
        assert not events.write(conn, database.codes, derived, rules)
    station.store.derive_events(RULES)
    assert spans(station.store) == [(0, 2, True)]


def test_spans_cameras_and_labels_can_be_chosen(station: Station) -> None:
    station.commit(*evening("aaa...aaa"))
    station.store.derive_events(RULES, since=NOW, camera="kiruna")
    events = station.store.events
    assert len(events(since=NOW + timedelta(minutes=3))) == 1
    assert len(events(until=NOW + timedelta(minutes=3))) == 1
    assert events(camera="abisko") == events(label="diffuse") == []
    assert station.store.derive_events(RULES, since=NOW + timedelta(days=9)) == 0


def test_people_read_events_through_a_view(station: Station) -> None:
    station.commit(*evening("aaa"))
    station.store.derive_events(RULES)
    with station.store._db.reading() as conn:
        row = conn.execute(text("SELECT camera, night, begun_iso, ended_iso, label, frames FROM aurora_events")).one()
    assert tuple(row) == ("kiruna", "2026-01-31", "2026-01-31T22:00:00.000Z", "2026-01-31T22:02:00.000Z", "arc", 3)


LATER = ("hour_kinds", "hours", "account", "listed_folders", "events", "event_nights", "event_rules")
"""Tables that the first schema has not."""


def test_a_database_of_the_first_schema_gets_events_of_all_its_nights(tmp_path: Path) -> None:
    path = tmp_path / "old.db"
    store = open_store(f"sqlite:///{path}")
    Station(store).commit(*evening("aaa"))
    store.close()
    with closing(sqlite3.connect(path)) as conn:  # back to the first schema
        conn.executescript(
            "".join(f"DROP VIEW {name};" for name in views.NAMES)  # noqa: S608
            + "".join(f"DROP TABLE {name};" for name in LATER)
            + "".join(f"ALTER TABLE {name} DROP COLUMN time_utc;" for name in ("labels", "embeddings"))
            + "ALTER TABLE runs DROP COLUMN rules_id; UPDATE auroramon_schema SET version_num = '0001'"
        )
    store = open_store(f"sqlite:///{path}")
    assert store.derive_events(RULES) == 1
    assert spans(store) == [(0, 2, False)]
    store.close()
