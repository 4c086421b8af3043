"""Compares a plain PostgreSQL database with one that is divided by months, in one run on one server.

    python -m benchmarks.months --url postgresql://user@host          # a role that may make databases

A million labelled frames with embeddings are written straight into the tables, by SQL: 180 months of a camera that
takes one each 216 s for eleven hours a night, and an hour of 1,200 frames in the last night. The database is copied,
and the copy divided. Then both are asked in turns. The ratios are worth more than the figures.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import numpy as np
from sqlalchemy import text

from auroramon.events import EventRules
from auroramon.store import Store, events, hours, open_store
from auroramon.store.database import connect
from auroramon.store.months import Month
from auroramon.store.partitioning import divide
from auroramon.types import Classification, FileOutcome, FileStat, FrameInfo, LabelRecord, Outcome
from benchmarks.machine import load, machine
from benchmarks.occurrence import BEGIN_S, Layout, fill

FIRST = datetime(2011, 12, 1, tzinfo=UTC)
RULES = EventRules({"arc": 0.6, "diffuse": 0.5, "discrete": 0.5}, 3, 600.0)


@dataclass(frozen=True, slots=True)
class Archive:
    """What the databases hold, and which parts of it are asked for."""

    layout: Layout

    @property
    def now(self) -> datetime:
        return FIRST + timedelta(days=self.layout.nights + 1)

    @property
    def dense(self) -> datetime:
        """The hour of 1,200 frames."""
        return self.now - timedelta(hours=2)

    @property
    def middle(self) -> datetime:
        """A frame's time."""
        evening = FIRST + timedelta(days=self.layout.nights // 2, seconds=BEGIN_S)
        return evening + timedelta(seconds=5 * self.layout.cadence_s)

    @property
    def month(self) -> Month:
        """The month that goes in the end."""
        return Month.of(FIRST + timedelta(days=self.layout.nights * 7 // 8))

    def added(self, number: int) -> datetime:
        """Give when the frames of a commit begin, by noon or by midnight of nights that lie apart."""
        return FIRST + number * timedelta(days=self.layout.nights // 28 + 0.5)

    def statements(self) -> dict[str, str]:
        time, last = self.middle.timestamp(), self.now.date()
        night = f"time_utc >= {time} AND time_utc < {time + 40000}"
        return {
            "one frame by file and index": (
                f"SELECT * FROM frames WHERE file_id = {self.layout.frames // 40} AND frame_index = 3"
            ),
            "one frame by camera and time": f"SELECT * FROM frames WHERE camera_id = 1 AND time_utc = {time}",
            "labels of one night by the view": f"SELECT * FROM labels_current WHERE camera = 'cam0' AND {night}",
            "newest 20 labels of a camera": (
                "SELECT * FROM labels_current WHERE camera = 'cam0' ORDER BY time_utc DESC LIMIT 20"
            ),
            "occurrence of a year of one camera": (
                f"SELECT * FROM occurrence_nightly WHERE camera = 'cam0' AND night >= '{last - timedelta(days=366)}' "
                f"AND night < '{last}'"
            ),
        }


def outcomes(number: int, files: int, begin: datetime, per_file: int = 20) -> list[FileOutcome]:
    """Give what a labeller says of minutes of twenty frames three seconds apart."""
    said = Classification("arc", 0.9, (0.9, *[0.02] * 5), 3.25, "")
    vector = np.full(16, 0.25, np.float16)

    def one(minute: int) -> FileOutcome:
        path = f"/data/bench/{number}/{minute}.pgm"
        start = begin + timedelta(minutes=minute)
        records = tuple(
            LabelRecord(
                FrameInfo(path, index, "cam0", start + timedelta(seconds=3 * index), "header", ""),
                said,
                vector,
                -20.0,
                -5.0,
                0.5,
            )
            for index in range(per_file)
        )
        return FileOutcome(FileStat(path, 1000, minute, "cam0"), Outcome.LABELLED, "", records)

    return [one(minute) for minute in range(files)]


def make(url: str, archive: Archive) -> None:
    """Fill a plain database."""
    with closing(open_store(url)) as store:
        fill(store, archive.layout, FIRST)
        with store._db.writing() as conn:
            conn.execute(text(
                "INSERT INTO embeddings (file_id, frame_index, embedder_id, vector) SELECT file_id, frame_index, 1, "
                "decode(repeat('3c', 32), 'hex') FROM frames"
            ))  # fmt: skip
            for table in ("files", "folders", "channels"):  # rows with given numbers do not move their sequences
                conn.execute(text(f"SELECT setval(pg_get_serial_sequence('{table}', 'id'), MAX(id)) FROM {table}"))
        commit(store, 0, 60, archive.dense)
        store.update_expected(archive.now)
        store.count_hours()
    with closing(connect(url, create=False, busy_timeout_s=5)) as database, database.engine.connect() as conn:
        conn.execution_options(isolation_level="AUTOCOMMIT").exec_driver_sql("VACUUM ANALYZE")


def commit(store: Store, number: int, files: int, begin: datetime) -> float:
    """Claim and commit so many minutes; give the seconds of the commit."""
    work = outcomes(number, files, begin)
    model, run = store.models()[0].id, store.start_run("backfill", begin)
    store.claim_files(run, [outcome.file for outcome in work], begin)
    since = time.perf_counter()
    store.commit(run, work, model=model, source="backfill", now=begin)
    taken = time.perf_counter() - since
    store.end_run(run, begin)
    return taken


class Side:
    """One of the two databases."""

    def __init__(self, url: str, archive: Archive, times: int) -> None:
        self.store = open_store(url)
        self.archive = archive
        self.times = times
        self.number = 0

    def timed(self, ask: Callable[[], object]) -> list[float]:
        found = []
        for _ in range(self.times):
            since = time.perf_counter()
            ask()
            found.append((time.perf_counter() - since) * 1000)
        return found

    def sql(self, statement: str) -> Callable[[], object]:
        def ask() -> object:
            with self.store._db.reading() as conn:
                return conn.exec_driver_sql(statement).all()

        return ask

    def planned(self, statement: str) -> list[float]:
        """Give the planner's own times in milliseconds."""
        found = []
        for _ in range(self.times):
            with self.store._db.reading() as conn:
                rows = conn.exec_driver_sql(f"EXPLAIN (SUMMARY) {statement}").scalars().all()
            found.append(float(next(row for row in rows if row.startswith("Planning Time")).split()[2]))
        return found

    def commit(self) -> list[float]:
        found = []
        for _ in range(self.times):
            self.number += 1
            found.append(1000 * commit(self.store, self.number, 50, self.archive.added(self.number)))
        return found

    def live(self) -> list[float]:
        """One frame a commit, as a live camera."""
        found = []
        for _ in range(self.times):
            self.number += 1
            now = self.archive.now
            work = outcomes(self.number, 1, now + timedelta(minutes=self.number), 1)
            model, run = self.store.models()[0].id, self.store.start_run("run", now)
            self.store.claim_files(run, [outcome.file for outcome in work], now)
            since = time.perf_counter()
            self.store.commit(run, work, model=model, source="live", now=now)
            found.append(1000 * (time.perf_counter() - since))
            self.store.end_run(run, now)
        return found

    def again(self) -> list[float]:
        """The same thousand frames, which are there."""
        return [1000 * commit(self.store, 1, 50, self.archive.added(1)) for _ in range(5)]

    def hour(self) -> list[float]:
        """Count the hour of 1,200 frames as `count_hours` does."""
        store, dense = self.store, int(self.archive.dense.timestamp())

        def ask() -> None:
            key = {"camera": 1, "night": dense // 86400, "hour": dense // 3600}
            with store._db.reading() as conn:
                counted = sum(
                    row.frames
                    for row in conn.execute(hours._COUNT["postgresql"], {**key, "since": key["hour"] * 3600.0})
                )
            assert counted >= 1200, counted

        return self.timed(ask)

    def night(self) -> list[float]:
        """Derive the events of a night."""
        store, night = self.store, int(self.archive.dense.timestamp()) // 86400

        def ask() -> None:
            with store._db.reading() as conn:
                events.look_at(conn, events.DueNight(1, night, None), RULES)

        return self.timed(ask)

    def relabelled(self) -> list[float]:
        """The first three pages of a thousand embeddings that another head has to judge."""
        store = self.store
        model = store.register_model(replace(store.models()[-1], name="other", digest="o" * 64))
        found, pages = [], iter(store.embeddings_without_label(model))
        for _ in range(3):
            since = time.perf_counter()
            assert len(next(pages)) == 1000
            found.append(1000 * (time.perf_counter() - since))
        return found


def tell(what: str, plain: list[float], divided: list[float]) -> None:
    best = f"{min(plain):.2f} | {min(divided):.2f}"
    middle = statistics.median(divided) / statistics.median(plain)
    print(
        f"| {what} | {best} | {statistics.median(plain):.2f} | {statistics.median(divided):.2f} | {middle:.1f} |",
        flush=True,
    )


def compare(plain: Side, divided: Side) -> None:
    print("| milliseconds | plain, best | divided, best | plain, median | divided, median | ratio of medians |")
    print("|---|---:|---:|---:|---:|---:|")
    for what, how in {
        "commit of 1,000 new frames": Side.commit,
        "commit of one new frame": Side.live,
        "commit of 1,000 frames that are there": Side.again,
        "count an hour of 1,200 frames": Side.hour,
        "labels of a night, for its events": Side.night,
        "a page of 1,000 embeddings without a label": Side.relabelled,
    }.items():
        tell(what, how(plain), how(divided))
    for what, statement in plain.archive.statements().items():
        tell(what, plain.timed(plain.sql(statement)), divided.timed(divided.sql(statement)))
        tell(f"{what}: planning", plain.planned(statement), divided.planned(statement))


def upkeep(plain: Side, divided: Side) -> None:
    """What a month costs: to vacuum it after a change, and to be rid of it."""
    month = plain.archive.month
    of = f"time_utc >= {month.begin} AND time_utc < {month.later(1).begin}"
    name = str(month).replace("-", "_")
    keys = f"(SELECT file_id, frame_index FROM frames WHERE {of})"
    tables = ("labels", "embeddings", "frames")

    def run(side: Side, *statements: str) -> list[float]:
        since = time.perf_counter()
        with side.store._db.engine.connect() as conn:
            alone = conn.execution_options(isolation_level="AUTOCOMMIT")
            for statement in statements:
                alone.exec_driver_sql(statement)
        return [1000 * (time.perf_counter() - since)]

    change = f"UPDATE labels SET reason = 'x' WHERE (file_id, frame_index) IN {keys}"
    run(plain, change)
    run(divided, change + f" AND {of}")
    tell("vacuum after a month's labels changed", run(plain, "VACUUM labels"), run(divided, f"VACUUM labels_{name}"))
    deleted = run(plain, *(f"DELETE FROM {table} WHERE (file_id, frame_index) IN {keys}" for table in tables))
    dropped = run(divided, *(f"DROP TABLE {table}_{name}" for table in tables))
    tell("delete a month, or drop its tables", deleted, dropped)
    emptied = run(plain, *(f"VACUUM {table}" for table in tables))
    print(f"| vacuum of the plain tables after that | {emptied[0]:.0f} | | | | |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", required=True, help="server, without a database's name")
    parser.add_argument("--frames", type=int, default=1_002_000)
    parser.add_argument("--times", type=int, default=25)
    arguments = parser.parse_args()
    archive = Archive(Layout(arguments.frames, 1, 216))
    print(machine())
    print(f"before: {load()}")
    import psycopg

    names = ("months_plain", "months_divided")
    with psycopg.connect(f"{arguments.url}/postgres", autocommit=True) as conn:
        for name in names:
            conn.execute(f"DROP DATABASE IF EXISTS {name}")
        conn.execute(f"CREATE DATABASE {names[0]}")
    make(f"{arguments.url}/{names[0]}", archive)
    with psycopg.connect(f"{arguments.url}/postgres", autocommit=True) as conn:
        conn.execute(f"CREATE DATABASE {names[1]} TEMPLATE {names[0]}")
    with closing(connect(f"{arguments.url}/{names[1]}", create=False, busy_timeout_s=5)) as database:
        since = time.perf_counter()
        done = divide(database, archive.now)
        print(f"divided in {time.perf_counter() - since:.1f} s: {done.made} months from {done.first} to {done.last}")
        with database.engine.connect() as conn:
            conn.execution_options(isolation_level="AUTOCOMMIT").exec_driver_sql(
                "VACUUM ANALYZE frames, labels, embeddings"
            )
    plain, divided = (Side(f"{arguments.url}/{name}", archive, arguments.times) for name in names)
    compare(plain, divided)
    upkeep(plain, divided)
    print(f"after: {load()}")


if __name__ == "__main__":
    main()
