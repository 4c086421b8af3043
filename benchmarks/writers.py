"""Measures how many frames a second the database takes: one writer, several at once, and each way to insert rows.

    python -m benchmarks.writers --url postgresql://user@host/empty_database
    python -m benchmarks.writers                       # SQLite

Each writer is a process that claims files and commits their outcomes, minute stacks of twenty frames with
scores and embeddings, 1,000 frames a commit, as a backfill's coordinator does it; nothing is read and no network runs.
So the figure is what the database itself can take, and where a cluster of workers stops to be faster.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from sqlalchemy import text

from auroramon.store import open_store
from auroramon.store.results import ModelRow
from auroramon.types import LABELS, FileOutcome
from benchmarks.machine import load, machine
from benchmarks.store_size import outcomes

COMMIT_FRAMES = 1000
PER_FILE = 20
ROWS = 100_000
NOW = datetime(2024, 10, 1, tzinfo=UTC)
MODEL = ModelRow("oath-sim", "d" * 64, "e" * 64, LABELS, 7.5, NOW)


def write(url: str, writer: int, frames: int) -> None:
    """Claim and commit; print when it began and ended. Every writer has cameras of its own."""
    work = [_of_writer(outcome, writer) for outcome in outcomes(frames, PER_FILE, seed=writer)]
    step = COMMIT_FRAMES // PER_FILE
    taken = []
    with closing(open_store(url)) as store:
        model, run = store.register_model(MODEL), store.start_run("backfill", NOW)
        begun = time.time()
        for start in range(0, len(work), step):
            part = work[start : start + step]
            store.claim_files(run, [outcome.file for outcome in part], NOW)
            since = time.perf_counter()
            store.commit(run, part, model=model, source="backfill", now=NOW)
            taken.append(time.perf_counter() - since)
        ended = time.time()
        store.end_run(run, NOW)
    print(begun, ended, *np.percentile(taken, [50, 99]))


def _of_writer(outcome: FileOutcome, writer: int) -> FileOutcome:
    file = replace(outcome.file, path=f"/w{writer}{outcome.file.path}", camera=f"{outcome.file.camera}{writer}")
    records = tuple(
        replace(record, info=replace(record.info, path=file.path, camera=file.camera)) for record in outcome.records
    )
    return replace(outcome, file=file, records=records)


def together(url: str, writers: int, first: int, frames: int) -> None:
    """Let several processes write at once, and print what they made together."""
    command = [sys.executable, "-m", "benchmarks.writers", "--url", url, "--frames", str(frames), "--writer"]
    running = [
        subprocess.Popen([*command, str(first + number)], stdout=subprocess.PIPE, text=True)
        for number in range(writers)
    ]
    told = [[float(word) for word in process.communicate()[0].split()] for process in running]
    assert all(process.returncode == 0 for process in running)
    seconds = max(row[1] for row in told) - min(row[0] for row in told)
    p50, p99 = max(row[2] for row in told) * 1000, max(row[3] for row in told) * 1000
    print(f"| {writers} | {writers * frames / seconds:.0f} | {p50:.1f} | {p99:.1f} |")


def ways(url: str) -> None:
    """Insert rows like those of `labels` in four ways, 1,000 a transaction, and print rows a second."""
    import psycopg

    columns = "a int, b int, c int, d bytea, e int, PRIMARY KEY (a, b)"
    rows = [(number // 20, number % 20, 7, b"0123456789ab", 3) for number in range(ROWS)]
    parts = [rows[start : start + COMMIT_FRAMES] for start in range(0, ROWS, COMMIT_FRAMES)]
    into = "INSERT INTO way (a, b, c, d, e)"

    def one_by_one(cursor: psycopg.Cursor, part: list[tuple]) -> None:
        cursor.executemany(f"{into} VALUES (%s, %s, %s, %s, %s) ON CONFLICT DO NOTHING", part)

    def many_values(cursor: psycopg.Cursor, part: list[tuple]) -> None:
        marks = ", ".join(["(%s, %s, %s, %s, %s)"] * len(part))
        cursor.execute(f"{into} VALUES {marks} ON CONFLICT DO NOTHING", [value for row in part for value in row])

    def arrays(cursor: psycopg.Cursor, part: list[tuple]) -> None:
        unnest = "unnest(%b::int[], %b::int[], %b::int[], %b::bytea[], %b::int[])"
        cursor.execute(
            f"{into} SELECT * FROM {unnest} ON CONFLICT DO NOTHING", [list(col) for col in zip(*part, strict=True)]
        )

    def copy(cursor: psycopg.Cursor, part: list[tuple]) -> None:
        cursor.execute("CREATE TEMP TABLE IF NOT EXISTS incoming (LIKE way) ON COMMIT DELETE ROWS")
        with cursor.copy("COPY incoming FROM STDIN") as stream:
            for row in part:
                stream.write_row(row)
        cursor.execute("INSERT INTO way SELECT * FROM incoming ON CONFLICT DO NOTHING")

    print("| way to insert, 1,000 rows a transaction | rows/s |")
    for way in (one_by_one, many_values, arrays, copy):
        with psycopg.connect(url) as conn:
            conn.execute("DROP TABLE IF EXISTS way")
            conn.execute(f"CREATE TABLE way ({columns})")
            conn.commit()
            begun = time.perf_counter()
            for part in parts:
                with conn.cursor() as cursor:
                    way(cursor, part)
                conn.commit()
            print(f"| {way.__name__} | {ROWS / (time.perf_counter() - begun):.0f} |", flush=True)
            conn.execute("DROP TABLE way")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", help="an empty PostgreSQL database; without it a SQLite file")
    parser.add_argument("--frames", type=int, default=60_000, help="of each writer")
    parser.add_argument("--writer", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.writer is not None:
        write(arguments.url, arguments.writer, arguments.frames)
        return
    print(machine())
    print(f"before: {load()}")
    with tempfile.TemporaryDirectory() as folder:
        url = arguments.url or f"sqlite:///{Path(folder) / 'auroramon.db'}"
        open_store(url).close()
        if arguments.url:
            ways(url)
        print("| writers at once | frames/s together | commit of 1,000 frames: p50 ms | p99 ms |")
        for writers in (1, 2, 4, 8):
            together(url, writers, 10 * writers, arguments.frames // writers)
        with closing(open_store(url)) as store:
            account = store.account()
            with store._db.reading() as conn:
                labels = conn.execute(text("SELECT COUNT(*) FROM labels")).scalar_one()
        assert account.adds_up
        assert account.labelled * PER_FILE == labels
        print(f"{labels} labels of {account.labelled} files, none missing")
    print(f"after: {load()}")


if __name__ == "__main__":
    main()
