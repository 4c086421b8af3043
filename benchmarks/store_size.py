"""Measures what a frame costs in the SQLite store: bytes, and rows a second.

    python benchmarks/store_size.py --frames 1000000 --per-file 20
    python benchmarks/store_size.py --frames 1000000 --per-file 1

Frames are those of two cameras night after night, with paths as archives have them, scores and embeddings that look
like a model's, and one frame in twenty refused with a reason. They are claimed and committed as the service does it.
"""

from __future__ import annotations

import argparse
import sqlite3
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

from auroramon.store import in_parts, open_store
from auroramon.store.results import CameraPlace, ModelRow
from auroramon.types import LABELS, Classification, FileOutcome, FileStat, FrameInfo, LabelRecord, Outcome

START = datetime(2024, 10, 1, 18, tzinfo=UTC)
CAMERAS = (("fsmi", 60.02, 248.05), ("gill", 56.35, 265.34))
BATCH = 256  # files or frames of one commit


def outcomes(frames: int, per_file: int, seed: int = 1) -> Iterator[FileOutcome]:
    """Give files of two cameras in turn, twelve hours a night; 3 s between frames of a stack, 60 s between files."""
    rng = np.random.default_rng(seed)
    judged = [_judgement(rng) for _ in range(10_000)]
    for number in range(frames // per_file):
        camera, _, _ = CAMERAS[number % 2]
        minute = number // 2
        start = START + timedelta(days=minute // 720, minutes=minute % 720, microseconds=int(rng.integers(90_000)))
        path = (
            f"/data/archive/themis/imager/stream0/{start:%Y/%m/%d}/{camera}_themis19/ut{start:%H}/"
            f"{start:%Y%m%d_%H%M}_{camera}_themis19_full.pgm.gz"
        )
        records = tuple(
            replace(
                judged[int(rng.integers(len(judged)))],
                info=FrameInfo(path, index, camera, start + timedelta(seconds=3 * index), "header"),
            )
            for index in range(per_file)
        )
        stat = FileStat(path, int(rng.integers(2_000_000, 2_200_000)), int(start.timestamp() * 1e9), camera)
        yield FileOutcome(stat, Outcome.LABELLED, "", records)


def _judgement(rng: np.random.Generator) -> LabelRecord:
    """Give a label as a model gives it, for any frame."""
    scores = rng.dirichlet(np.full(6, 0.2))
    embedding = rng.normal(size=16)
    refused = rng.random() < 0.05
    distance = float(rng.gamma(4.0, 1.0))
    classification = Classification(
        label="unknown" if refused else LABELS[int(scores.argmax())],
        confidence=float(scores.max()),
        scores=tuple(scores.tolist()),
        distance=distance,
        reason=f"distance {distance:.1f} is beyond the threshold 7.5" if refused else "",
    )
    return LabelRecord(
        info=FrameInfo("", 0, "", START, "header"),
        classification=classification,
        embedding=(embedding / np.linalg.norm(embedding)).astype(np.float16),
        sun_altitude=float(rng.uniform(-40, -6)),
        moon_altitude=float(rng.uniform(-60, 60)),
        moon_phase=float(rng.random()),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=200_000)
    parser.add_argument("--per-file", type=int, default=20)
    parser.add_argument("--folder", type=Path, help="keep the database here")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        path = (arguments.folder or Path(scratch)) / f"store-{arguments.per_file}.db"
        measure(path, arguments.frames, arguments.per_file)


def measure(path: Path, frames: int, per_file: int) -> None:
    """Fill a database and print what it cost."""
    store = open_store(f"sqlite:///{path}")
    now = START
    model = store.register_model(ModelRow("oath-sim", "d" * 64, "e" * 64, LABELS, 7.5, now))
    store.register_cameras([CameraPlace(name, "", north, east, 3.0, -6.0) for name, north, east in CAMERAS])
    run = store.start_run("backfill", now)
    claiming, committing = [], []
    core_seconds = 0.0
    batch: list[FileOutcome] = []
    for outcome in outcomes(frames, per_file):
        batch.append(outcome)
        if sum(len(held.records) for held in batch) < BATCH:
            continue
        begun, cpu = time.perf_counter(), time.process_time()
        store.claim_files(run, [held.file for held in batch], now)
        claimed = time.perf_counter()
        for part in in_parts(batch):
            store.commit(run, part, model=model, source="backfill", now=now)
        claiming.append(claimed - begun)
        committing.append(time.perf_counter() - claimed)
        core_seconds += time.process_time() - cpu
        batch = []
    store.end_run(run, now)
    store.close()
    held = len(committing) * -(-BATCH // per_file) * per_file
    with sqlite3.connect(path) as conn:
        size = path.stat().st_size
        count = conn.execute("SELECT COUNT(*) FROM labels").fetchone()[0]
        assert count == held
        print(f"{count} frames, {per_file} a file: {size / count:.1f} bytes a frame, everything included")
        _print_tables(conn, count)
    print(f"labels a second: {held / sum(committing):.0f} (commit alone), "
          f"{held / (sum(committing) + sum(claiming)):.0f} (with the claim)")  # fmt: skip
    print(f"core time of claim and commit: {core_seconds / held * 1e6:.1f} us a frame")
    for name, seconds in (("claim", claiming), ("commit", committing)):
        p50, p99 = np.percentile(seconds, [50, 99]) * 1000
        print(f"{name} of {BATCH} frames: p50 {p50:.1f} ms, p99 {p99:.1f} ms")


def _print_tables(conn: sqlite3.Connection, frames: int) -> None:
    try:
        rows = conn.execute("SELECT name, SUM(pgsize) FROM dbstat GROUP BY name ORDER BY 2 DESC").fetchall()
    except sqlite3.OperationalError:
        return  # this SQLite was built without dbstat
    for name, size in rows:
        if size / frames > 0.5:
            print(f"  {name:35s} {size / frames:6.1f}")


if __name__ == "__main__":
    main()
