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
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
from sqlalchemy import text

from auroramon.events import EventRules
from auroramon.store import Store, events, hours, open_store
from auroramon.store.database import connect
from auroramon.store.partitioning import divide
from auroramon.types import Classification, FileOutcome, FileStat, FrameInfo, LabelRecord, Outcome
from benchmarks.machine import load, machine
from benchmarks.occurrence import Layout, fill

FIRST = datetime(2011, 12, 1, tzinfo=UTC)
NOW = datetime(2026, 11, 29, tzinfo=UTC)
DENSE = datetime(2026, 11, 28, 22, tzinfo=UTC)
LAYOUT = Layout(1_002_000, 1, 216)
YEAR = "SELECT * FROM occurrence_nightly WHERE camera = 'cam0' AND night >= '2024-01-01' AND night < '2025-01-01'"
RULES = EventRules({"arc": 0.6, "diffuse": 0.5, "discrete": 0.5}, 3, 600.0)
MONTH = "2025_01"
SOME = 25


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


def make(url: str) -> None:
    """Fill a plain database."""
    with closing(open_store(url)) as store:
        fill(store, LAYOUT, FIRST)
        with store._db.writing() as conn:
            conn.execute(text(
                "INSERT INTO embeddings (file_id, frame_index, embedder_id, vector) SELECT file_id, frame_index, 1, "
                "decode(repeat('3c', 32), 'hex') FROM frames"
            ))  # fmt: skip
            for table in ("files", "folders", "channels"):  # rows with given numbers do not move their sequences
                conn.execute(text(f"SELECT setval(pg_get_serial_sequence('{table}', 'id'), MAX(id)) FROM {table}"))
        commit(store, 0, 60, DENSE)
        store.update_expected(NOW)
        store.count_hours()
    with closing(connect(url, create=False, busy_timeout_s=5)) as database, database.engine.connect() as conn:
        conn.execution_options(isolation_level="AUTOCOMMIT").exec_driver_sql("VACUUM ANALYZE")


def commit(store: Store, number: int, files: int, begin: datetime) -> float:
    """Claim and commit so many minutes; give the seconds of the commit."""
    work = outcomes(number, files, begin)
    model, run = store.models()[0].id, store.start_run("backfill", NOW)
    store.claim_files(run, [outcome.file for outcome in work], NOW)
    since = time.perf_counter()
    store.commit(run, work, model=model, source="backfill", now=NOW)
    taken = time.perf_counter() - since
    store.end_run(run, NOW)
    return taken


class Side:
    """One of the two databases."""

    def __init__(self, url: str) -> None:
        self.store = open_store(url)
        self.number = 0

    def timed(self, ask: Callable[[], object], times: int = SOME) -> list[float]:
        found = []
        for _ in range(times):
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
        for _ in range(SOME):
            with self.store._db.reading() as conn:
                rows = conn.exec_driver_sql(f"EXPLAIN (SUMMARY) {statement}").scalars().all()
            found.append(float(next(row for row in rows if row.startswith("Planning Time")).split()[2]))
        return found

    def commit(self) -> list[float]:
        found = []
        for _ in range(SOME):
            self.number += 1
            found.append(1000 * commit(self.store, self.number, 50, FIRST + timedelta(days=199.5 * self.number)))
        return found

    def live(self) -> list[float]:
        """One frame a commit, as a live camera."""
        found = []
        for _ in range(SOME):
            self.number += 1
            work = outcomes(self.number, 1, NOW + timedelta(minutes=self.number), 1)
            model, run = self.store.models()[0].id, self.store.start_run("run", NOW)
            self.store.claim_files(run, [outcome.file for outcome in work], NOW)
            since = time.perf_counter()
            self.store.commit(run, work, model=model, source="live", now=NOW)
            found.append(1000 * (time.perf_counter() - since))
            self.store.end_run(run, NOW)
        return found

    def again(self) -> list[float]:
        """The same thousand frames, which are there."""
        return [1000 * commit(self.store, 1, 50, FIRST + timedelta(days=199.5)) for _ in range(5)]

    def hour(self) -> list[float]:
        """Count the hour of 1,200 frames as `count_hours` does."""
        store = self.store

        def ask() -> None:
            night = int(DENSE.timestamp()) // 86400
            key = {"camera": 1, "night": night, "hour": int(DENSE.timestamp()) // 3600}
            with store._db.reading() as conn:
                counted = sum(
                    row.frames
                    for row in conn.execute(hours._COUNT["postgresql"], {**key, "since": key["hour"] * 3600.0})
                )
            assert counted >= 1200, counted

        return self.timed(ask)

    def night(self) -> list[float]:
        """Derive the events of a night."""
        store = self.store

        def ask() -> None:
            with store._db.reading() as conn:
                events.look_at(conn, events.DueNight(1, int(DENSE.timestamp()) // 86400, None), RULES)

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
    for what, statement in STATEMENTS.items():
        tell(what, plain.timed(plain.sql(statement)), divided.timed(divided.sql(statement)))
        tell(f"{what}: planning", plain.planned(statement), divided.planned(statement))


MOMENT = FIRST.timestamp() + 3000 * 86400 + 18 * 3600 + 216 * 5
STATEMENTS = {
    "one frame by file and index": "SELECT * FROM frames WHERE file_id = 25000 AND frame_index = 3",
    "one frame by camera and time": f"SELECT * FROM frames WHERE camera_id = 1 AND time_utc = {MOMENT}",
    "labels of one night by the view": (
        f"SELECT * FROM labels_current WHERE camera = 'cam0' AND time_utc >= {MOMENT} AND time_utc < {MOMENT + 40000}"
    ),
    "newest 20 labels of a camera": (
        "SELECT * FROM labels_current WHERE camera = 'cam0' ORDER BY time_utc DESC LIMIT 20"
    ),
    "occurrence of a year of one camera": YEAR,
}


def upkeep(plain: Side, divided: Side) -> None:
    """What a month costs: to vacuum it after a change, and to be rid of it."""
    begin, end = datetime(2025, 1, 1, tzinfo=UTC).timestamp(), datetime(2025, 2, 1, tzinfo=UTC).timestamp()
    of = f"time_utc >= {begin} AND time_utc < {end}"
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
    tell("vacuum after a month's labels changed", run(plain, "VACUUM labels"), run(divided, f"VACUUM labels_{MONTH}"))
    deleted = run(plain, *(f"DELETE FROM {table} WHERE (file_id, frame_index) IN {keys}" for table in tables))
    dropped = run(divided, *(f"DROP TABLE {table}_{MONTH}" for table in tables))
    tell("delete a month, or drop its tables", deleted, dropped)
    emptied = run(plain, *(f"VACUUM {table}" for table in tables))
    print(f"| vacuum of the plain tables after that | {emptied[0]:.0f} | | | | |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", required=True, help="server, without a database's name")
    arguments = parser.parse_args()
    print(machine())
    print(f"before: {load()}")
    import psycopg

    names = ("months_plain", "months_divided")
    with psycopg.connect(f"{arguments.url}/postgres", autocommit=True) as conn:
        for name in names:
            conn.execute(f"DROP DATABASE IF EXISTS {name}")
        conn.execute(f"CREATE DATABASE {names[0]}")
    make(f"{arguments.url}/{names[0]}")
    with psycopg.connect(f"{arguments.url}/postgres", autocommit=True) as conn:
        conn.execute(f"CREATE DATABASE {names[1]} TEMPLATE {names[0]}")
    with closing(connect(f"{arguments.url}/{names[1]}", create=False, busy_timeout_s=5)) as database:
        since = time.perf_counter()
        done = divide(database, NOW)
        print(f"divided in {time.perf_counter() - since:.1f} s: {done.made} months from {done.first} to {done.last}")
        with database.engine.connect() as conn:
            conn.execution_options(isolation_level="AUTOCOMMIT").exec_driver_sql(
                "VACUUM ANALYZE frames, labels, embeddings"
            )
    plain, divided = (Side(f"{arguments.url}/{name}") for name in names)
    compare(plain, divided)
    upkeep(plain, divided)
    print(f"after: {load()}")


if __name__ == "__main__":
    main()
