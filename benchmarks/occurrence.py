"""Measures how long the occurrence views take, and shows by what plan.

    python -m benchmarks.occurrence                       # SQLite
    python -m benchmarks.occurrence --url postgresql://user@host/empty_database
    python -m benchmarks.occurrence --cameras 20 --cadence 60

What `--file` or `--url` holds from an earlier call is measured again, not filled again.

Five million labelled frames are written straight into the tables, by SQL: the labels are pseudo-random, the times those
of cameras that take a frame each `--cadence` seconds for eleven hours a night. Then the hours are counted as a daemon
would, and the questions of a dashboard are asked, of a year of one camera: with every hour counted, with one hour
changed since, and with none counted at all, which is what a newly promoted model leaves.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy import text

from auroramon.store import Store, open_store
from auroramon.store.hours import hour_sql
from auroramon.store.results import CameraPlace, ModelRow
from auroramon.types import LABELS
from benchmarks.machine import load, machine

FIRST = datetime(2024, 1, 1, tzinfo=UTC)
BEGIN_S = 18 * 3600  # of a night's frames, after 00 UTC of its date
HOURS = 11
PER_FILE = 20
YEAR = 365
QUESTIONS = {
    "a year of one camera by night": (
        "SELECT * FROM occurrence_nightly WHERE camera = 'cam0' AND night >= '2024-01-01' AND night < '2025-01-01'"
    ),
    "the same by hour": (
        "SELECT * FROM occurrence_hourly WHERE camera = 'cam0' AND hour_utc >= 1704067200 AND hour_utc < 1735689600"
    ),
    "every camera, all time, by night": "SELECT * FROM occurrence_nightly",
}


@dataclass(frozen=True, slots=True)
class Layout:
    """What the simulated archive holds."""

    frames: int
    cameras: int
    cadence_s: int

    @property
    def per_night(self) -> int:
        return HOURS * 3600 // self.cadence_s

    @property
    def nights(self) -> int:
        return -(-self.frames // (self.per_night * self.cameras))


def series(sqlite: bool, number: int) -> str:
    """Give a table `n` of the numbers from 0, in one column `i`."""
    if sqlite:
        return f"WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < {number - 1})"
    return f"WITH n(i) AS (SELECT generate_series(0, {number - 1}))"


def fill(store: Store, layout: Layout, begun: datetime = FIRST) -> None:
    """Write the archive, one camera and thirty nights in a transaction."""
    names = [f"cam{number}" for number in range(layout.cameras)]
    store.register_cameras([CameraPlace(name, "", 65.0, 15.0, layout.cadence_s, -6.0) for name in names])
    model = store.register_model(ModelRow("oath-sim", "d" * 64, "e" * 64, LABELS, 7.5, begun))
    run = store.start_run("backfill", begun)
    with store._db.writing() as conn:
        conn.execute(text("INSERT INTO folders (id, path) VALUES (1, '/data/archive/')"))
        conn.execute(text("INSERT INTO channels (id, name) VALUES (1, '')"))
    sqlite, first = store._db.sqlite, int(begun.timestamp()) // 86400
    file = 0
    for camera in range(1, layout.cameras + 1):
        for night in range(0, layout.nights, 30):
            nights = min(30, layout.nights - night)
            file += _part(store, layout, sqlite, camera, first + night, nights, file, model, run)
    with store._db.writing() as conn:
        conn.execute(
            text("INSERT INTO nights (camera_id, night) SELECT DISTINCT camera_id, night FROM frames WHERE true"
                 " ON CONFLICT DO NOTHING")
        )  # fmt: skip
        conn.execute(
            text("INSERT INTO hours (camera_id, night, hour, due) SELECT DISTINCT camera_id, night, "
                 + hour_sql(sqlite, "time_utc") + ", 1 FROM frames")
        )  # fmt: skip
    with store._db.engine.connect() as conn:
        conn.exec_driver_sql("ANALYZE")
        conn.commit()


def _part(
    store: Store, layout: Layout, sqlite: bool, camera: int, night: int, nights: int, file: int, model: int, run: int
) -> int:
    frames = nights * layout.per_night
    files = -(-frames // PER_FILE)
    floor = "" if sqlite else "::bigint"
    when = (
        f"{night} * 86400.0 + (i / {layout.per_night}) * 86400 + {BEGIN_S} + (i % {layout.per_night}) * "
        f"{layout.cadence_s}"
    )
    values = {"file": file, "camera": camera, "model": model, "run": run}
    with store._db.writing() as conn:
        conn.execute(
            text(f"""INSERT INTO files (id, folder_id, name, size, mtime_ns, camera_id, state, tries, crashes,
                     rewritten, seen_at, done_at) {series(sqlite, files)}
                     SELECT :file + i + 1, 1, 'f' || (:file + i), 1, 0, :camera, 1, 0, 0, 0, 0, 0 FROM n"""),
            values,
        )  # fmt: skip
        conn.execute(
            text(f"""INSERT INTO frames (file_id, frame_index, camera_id, channel_id, time_utc, twin, time_source,
                     night, sun, moon, moon_phase) {series(sqlite, frames)}
                     SELECT :file + i / {PER_FILE} + 1, i % {PER_FILE}, :camera, 1, {when}, 0, 0,
                     {night} + i / {layout.per_night}, -2000, i % {layout.per_night} * 6000 / {layout.per_night} - 3000,
                     ({night} + i / {layout.per_night}) % 30 * 333 FROM n"""),
            values,
        )  # fmt: skip
        conn.execute(
            text(f"""INSERT INTO labels (file_id, frame_index, model_id, run_id, label_id, confidence, scores,
                     distance, source) {series(sqlite, frames)}
                     SELECT :file + i / {PER_FILE} + 1, i % {PER_FILE}, :model, :run,
                     1 + (i{floor} * 7919 + i / 97) % 7, 900000, {"x'001122334455667788990011'" if sqlite else
                     "'001122334455'::bytea"}, 3250, 1 FROM n"""),
            values,
        )  # fmt: skip
    return files


def plan(store: Store, question: str) -> str:
    """Give how the database answers a question."""
    sqlite = store._db.sqlite
    with store._db.reading() as conn:
        rows = conn.exec_driver_sql(f"EXPLAIN {'QUERY PLAN' if sqlite else '(ANALYZE, BUFFERS OFF)'} {question}").all()
    return "\n".join(str(row[-1]) for row in rows)


def ask(store: Store, question: str, times: int) -> tuple[float, int]:
    """Give the median time of a question in milliseconds, and the number of rows of its answer."""
    taken = []
    number = 0
    for _ in range(times):
        with store._db.reading() as conn:
            begun = time.perf_counter()
            number = len(conn.exec_driver_sql(question).all())
            taken.append((time.perf_counter() - begun) * 1000)
    return statistics.median(taken), number


def timed(what: str, store: Store, times: int) -> None:
    print(f"| {what} | " + " | ".join(f"{ask(store, asked, times)[0]:.1f}" for asked in QUESTIONS.values()) + " |")


def measure(store: Store, layout: Layout, times: int) -> None:
    if not store.models():
        fill(store, layout)
        store.update_expected(FIRST + timedelta(days=layout.nights + 1))
    with store._db.writing() as conn:
        frames = conn.execute(text("SELECT COUNT(*) FROM labels")).scalar_one()
        conn.execute(text("UPDATE hours SET due = 1"))
    print(f"{frames} labelled frames of {layout.cameras} cameras, one each {layout.cadence_s} s")
    print("| milliseconds | " + " | ".join(QUESTIONS) + " |")
    timed("no hour is counted", store, 1)
    begun = time.perf_counter()
    hours = store.count_hours()
    counted = time.perf_counter() - begun
    timed("every hour is counted", store, times)
    with store._db.writing() as conn:
        conn.execute(text("UPDATE hours SET due = 1 WHERE hour = (SELECT MAX(hour) FROM hours)"))
    timed("the newest hour of each camera is due", store, times)
    print(f"{hours} hours counted in {counted:.1f} s")
    for name, question in QUESTIONS.items():
        print(f"\n{name}:\n{plan(store, question)}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", help="an empty PostgreSQL database; without it a SQLite file")
    parser.add_argument("--file", type=Path, help="where the SQLite file is made, and kept")
    parser.add_argument("--frames", type=int, default=5_000_000)
    parser.add_argument("--cameras", type=int, default=1)
    parser.add_argument("--cadence", type=int, default=3)
    parser.add_argument("--times", type=int, default=5)
    arguments = parser.parse_args()
    layout = Layout(arguments.frames, arguments.cameras, arguments.cadence)
    print(machine())
    print(f"before: {load()}")
    with tempfile.TemporaryDirectory() as folder:
        url = arguments.url or f"sqlite:///{arguments.file or Path(folder) / 'auroramon.db'}"
        with closing(open_store(url)) as store:
            measure(store, layout, arguments.times)
    print(f"after: {load()}")


if __name__ == "__main__":
    main()
