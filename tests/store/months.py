"""Databases that are divided by months: how tests divide one, fill it, and look into it."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from sqlalchemy import text

from auroramon.store import Store, views
from auroramon.store.database import connect
from auroramon.store.months import Month
from auroramon.store.partitioning import Divided, divide
from auroramon.store.results import CameraPlace
from auroramon.store.reviews import NewReview
from auroramon.types import FileOutcome, Outcome
from tests.store.station import KIRUNA, NOW, Station, labelled, model_row, record, stack, stat
from tests.store.test_events import RULES

SPRING = datetime(2026, 3, 31, 23, 59, 57, tzinfo=UTC)
TABLES = ("frames", "labels", "embeddings")


def divided(url: str, now: datetime = NOW, since: str | None = None) -> Divided:
    with closing(connect(url, create=False, busy_timeout_s=5.0)) as database:
        return divide(database, now, None if since is None else Month.named(since), lambda _: False)


def url_of(store: Store) -> str:
    """Give the URL that a store was opened by."""
    return store._db.engine.url.render_as_string().replace("+psycopg", "")


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
