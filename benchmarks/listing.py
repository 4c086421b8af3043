"""Measures how an archive of many small files is listed, labelled in part, and listed again.

    python -m benchmarks.listing --files 1000000 --label 20000

The files are simulated: hard links to small PNGs, in the folders of Calgary's archives (YYYY/MM/DD/site/utHH), so
that they cost the disk no more than their names. Hard links are files of their own to every part of auroramon; since
those of a folder show the same picture, only their names, and so their times, differ. All are listed, listed with
`--since` and `--until`, and entered in a ledger; `auroramon backfill` labels `--label` of them and is called again.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path

import numpy as np
from PIL import Image

from auroramon.sources.arrivals import ArrivalRule
from auroramon.sources.walk import walk
from auroramon.store import open_store
from auroramon.store.results import ModelRow
from auroramon.types import LABELS, FileStat
from benchmarks.machine import load, machine

FIRST = datetime(2023, 1, 1, tzinfo=UTC)
PER_HOUR = 1200  # an image each three seconds
HOURS = tuple(range(2, 12))
NOW = datetime(2024, 10, 1, tzinfo=UTC)
RULE = ArrivalRule(patterns=("*",))


def times() -> Iterator[datetime]:
    """Give the times of an archive, ten hours a night."""
    night = FIRST
    while True:
        for hour in HOURS:
            begin = night + timedelta(hours=hour)
            for number in range(PER_HOUR):
                yield begin + timedelta(seconds=3 * number)
        night += timedelta(days=1)


def make(root: Path, files: int) -> None:
    """Make the archive: each folder begins with a picture of its own, as a file can have so many names only."""
    frame = np.random.default_rng(1).integers(20, 90, (32, 32), np.uint8)
    folder = Path()
    for number, when in enumerate(islice(times(), files)):
        if number % PER_HOUR == 0:
            folder = root / f"{when:%Y/%m/%d}/fsmi_asi01/ut{when:%H}"
            folder.mkdir(parents=True)
            first = folder / f"{when:%Y%m%d_%H%M%S}_fsmi.png"
            Image.fromarray(frame).save(first)
            continue
        os.link(first, folder / f"{when:%Y%m%d_%H%M%S}_fsmi.png")


def listed(root: Path, since: datetime | None = None, until: datetime | None = None) -> tuple[int, float]:
    """Give the number of files that a walk finds, and its seconds."""
    begun = time.perf_counter()
    found = walk(root, RULE, stop=threading.Event(), report=print, since=since, until=until)
    return sum(1 for _ in found), time.perf_counter() - begun


def claimed(root: Path, url: str) -> tuple[float, int]:
    """Enter every file in the ledger, as a backfill claims them; give seconds and how many needed work."""
    number = 0
    with closing(open_store(url)) as store:
        model = store.register_model(ModelRow("oath-sim", "d" * 64, "e" * 64, LABELS, 7.5, NOW))
        run = store.start_run("backfill", NOW)
        begun = time.perf_counter()
        found = walk(root, RULE, stop=threading.Event(), report=print)
        while batch := list(islice(found, 64)):
            number += len(_claim(store, run, batch, model))
        seconds = time.perf_counter() - begun
        store.end_run(run, NOW)
    return seconds, number


def _claim(store: object, run: int, batch: list[FileStat], model: int) -> list[FileStat]:
    done = store.claim_files(run, batch, NOW, model=model)  # type: ignore[attr-defined]
    return [*done.fresh, *done.suspects]


def backfill(folder: Path, config: Path) -> tuple[dict[str, object], float]:
    """Label a folder; give the account and the seconds of the whole command."""
    begun = time.perf_counter()
    command = [sys.executable, "-m", "auroramon", "backfill", str(folder), "-c", str(config), "--json"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return json.loads(done.stdout), time.perf_counter() - begun


def measure(place: Path, files: int, label: int) -> None:
    root = place / "archive"
    make(root, files)
    number, seconds = listed(root)
    assert number == files
    print(f"listing {files} files in {files // PER_HOUR} folders: {seconds:.1f} s, {files / seconds:.0f} files/s")
    day = FIRST + timedelta(days=files // (PER_HOUR * len(HOURS)) // 2, hours=5)
    number, seconds = listed(root, day, day + timedelta(hours=1))
    print(f"the same with --since and --until an hour apart: {number} files, {seconds * 1000:.1f} ms")
    url = f"sqlite:///{place / 'ledger.db'}"
    seconds, number = claimed(root, url)
    print(f"listing and entering all in the ledger: {seconds:.1f} s, {files / seconds:.0f} files/s; {number} need work")
    with closing(open_store(url)) as store, store._db.writing() as conn:
        conn.exec_driver_sql("UPDATE files SET state = 1, done_at = 0")
        conn.exec_driver_sql("UPDATE account SET labelled = pending, pending = 0")
    seconds, number = claimed(root, url)
    print(f"the same again, when all are labelled: {seconds:.1f} s, {files / seconds:.0f} files/s; {number} need work")
    with closing(open_store(url)) as store:
        begun = time.perf_counter()
        account = store.account()
        print(f"the account of {account.seen} files: {(time.perf_counter() - begun) * 1000:.2f} ms")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"peak memory of this process, which did the coordinator's listing and claiming: {peak:.0f} MB")
    if label:
        _label(place, label)


def _label(place: Path, label: int) -> None:
    part = place / "part"
    make(part, label)
    config = place / "auroramon.toml"
    config.write_text(
        f'[database]\nurl = "sqlite:///{place}/labels.db"\n[[camera]]\nname = "fsmi"\nfolder = "{part}"\n'
    )
    account, seconds = backfill(part, config)
    print(f"backfill of {label}: {seconds:.0f} s, {label / seconds:.0f} files/s, {account['frames']} frames labelled")
    account, seconds = backfill(part, config)
    print(f"the same again, nothing to do: {seconds:.1f} s, {account['known']} known")
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    print(f"peak memory of its largest process: {peak:.0f} MB")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=1_000_000)
    parser.add_argument("--label", type=int, default=20_000)
    parser.add_argument("--folder", type=Path, help="where the archive is made; a file system of its own")
    arguments = parser.parse_args()
    print(machine())
    print(f"before: {load()}")
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        measure(Path(folder), arguments.files, arguments.label)
    print(f"after: {load()}")


if __name__ == "__main__":
    main()
