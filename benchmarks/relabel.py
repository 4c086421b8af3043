"""Measures `auroramon relabel`: committed labels a second, from stored embeddings in a SQLite database.

    python -m benchmarks.relabel --frames 1000000

The frames are simulated in the database alone, as benchmarks/store_size.py makes them, with embeddings that scatter
about the class means of the shipped model as its threshold expects (one in a hundred is refused). Beside the whole,
each stage is timed by itself: reading embeddings, judging them, and writing labels.
"""

from __future__ import annotations

import argparse
import sqlite3
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from auroramon.bundle import default_bundle, load_bundle
from auroramon.relabel import BATCH, Relabelled, Relabelling
from auroramon.store import Store, in_parts, open_store
from auroramon.store.relabel import judge
from auroramon.store.results import CameraPlace, ModelRow
from auroramon.types import LABELS, FileOutcome
from benchmarks.machine import load, machine
from benchmarks.store_size import CAMERAS, START, outcomes


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=200_000)
    parser.add_argument("--per-file", type=int, default=20)
    arguments = parser.parse_args()
    print(machine())
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "labels.db"
        store = open_store(f"sqlite:///{path}")
        frames = fill(store, arguments.frames, arguments.per_file)
        print(f"before: {load()}")
        measure(store, path, frames)
        stages(store, frames)
        store.close()
        print(f"after: {load()}")


def fill(store: Store, frames: int, per_file: int) -> int:
    """Enter labelled frames, and give how many."""
    model = store.register_model(ModelRow("old", "d" * 64, "e" * 64, LABELS, 7.5, START))
    store.register_cameras([CameraPlace(name, "", north, east, 3.0, -6.0) for name, north, east in CAMERAS])
    run = store.start_run("backfill", START)
    count = 0
    vectors = _embeddings(np.random.default_rng(2), 10_000)
    for part in in_parts(_seen(outcomes(frames, per_file), vectors)):
        store.claim_files(run, [outcome.file for outcome in part], START)
        count += len(store.commit(run, part, model=model, source="backfill", now=START).records)
    store.end_run(run, START)
    return count


def _embeddings(rng: np.random.Generator, count: int) -> NDArray[np.float16]:
    """Give (count,D) embeddings about the class means of the shipped model; 99 % lie within its threshold."""
    head = load_bundle(default_bundle()).head
    noise = rng.standard_normal((count, head.width)) @ np.linalg.inv(np.linalg.cholesky(head.tied.precision))
    means = head.tied.means[rng.integers(len(head.labels), size=count)]
    size = head.threshold / np.quantile(head.judge(means + noise).distance, 0.99)
    return np.asarray(means + noise * size, dtype=np.float16)


def _seen(files: Iterator[FileOutcome], vectors: NDArray[np.float16]) -> Iterator[FileOutcome]:
    number = 0
    for file in files:
        some = vectors[(number + np.arange(len(file.records))) % len(vectors)]
        number += len(some)
        yield replace(file, records=tuple(replace(r, embedding=x) for r, x in zip(file.records, some, strict=True)))


def measure(store: Store, path: Path, frames: int) -> None:
    """Relabel all of it with the shipped model's head, and print how fast that was."""
    steps: list[float] = []
    model = _new_model(store, "new")
    run = store.start_run("relabel", START)
    begun, cpu = time.perf_counter(), time.process_time()
    last = begun

    def note(_: Relabelled) -> None:
        nonlocal last
        steps.append(time.perf_counter() - last)
        last = time.perf_counter()

    done = Relabelling(store, run, model, load_bundle(default_bundle()).head, note).work(threading.Event())
    seconds, core = time.perf_counter() - begun, time.process_time() - cpu
    with sqlite3.connect(path) as conn:
        rows = conn.execute("SELECT COUNT(*) FROM labels WHERE model_id = ?", (model,)).fetchone()[0]
    assert rows == done.judged + done.refused == frames
    print(
        f"{rows} labels committed in {seconds:.2f} s: {rows / seconds:.0f} a second, "
        f"{core / rows * 1e6:.1f} us of a core each"
    )
    print(
        f"slowest batch of {BATCH}: {max(steps) * 1000:.0f} ms, median {sorted(steps)[len(steps) // 2] * 1000:.0f} ms"
    )


def stages(store: Store, frames: int) -> None:
    """Do it once more for another model, stage by stage."""
    head = load_bundle(default_bundle()).head
    model = _new_model(store, "newer")
    run = store.start_run("relabel", START)
    spent = dict.fromkeys(("read", "judge", "write"), 0.0)
    begun = time.perf_counter()
    for batch in store.embeddings_without_label(model, batch=BATCH):
        read = time.perf_counter()
        judged = judge(head, batch)
        seen = time.perf_counter()
        store.add_judged(run, judged, model=model)
        written = time.perf_counter()
        for name, seconds in (("read", read - begun), ("judge", seen - read), ("write", written - seen)):
            spent[name] += seconds
        begun = time.perf_counter()
    print("us a frame: " + ", ".join(f"{name} {seconds / frames * 1e6:.2f}" for name, seconds in spent.items()))


def _new_model(store: Store, name: str) -> int:
    return store.register_model(ModelRow(name, name, "e" * 64, LABELS, 7.5, START + timedelta(days=1)))


if __name__ == "__main__":
    main()
