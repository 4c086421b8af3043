"""Measures a backfill of a million small files, whole: killed while it lists, killed while it labels, and ended.

    python -m benchmarks.million --files 1000000

The files are those of `benchmarks.listing`: hard links to simulated PNGs of 32x32 pixels, in the folders of Calgary's
archives. Their camera has its disc configured, as a station's has after `auroramon camera preview`; to find it anew in
every single image would be most of the work. `--tiny` takes the model of the tests instead of the shipped one, so that
listing, claiming and committing are most of it. The command is killed with -9 at a twentieth, where 200,000 files are
listed ahead and the others are not, and at nine tenths, where the listing is over; then the same command ends. At last
it is called once more, with nothing to do.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from auroramon.errors import StoreError
from auroramon.store import open_store
from benchmarks.listing import make
from benchmarks.machine import load, machine
from tests.tiny import write_tiny_bundle

KILLS = (0.05, 0.9)  # of the files
LOOK_S = 1.0
YESTERDAY = time.time() - 86400


@dataclass(frozen=True)
class Sample:
    """A moment of a backfill."""

    seconds: float  # since its start
    labelled: int
    coordinator: float  # MB of resident memory
    worker: float  # of the largest worker


def watch(process: subprocess.Popen[str], url: str) -> Iterator[Sample]:
    """Look at a backfill once a second until it ends."""
    begun = time.monotonic()
    while process.poll() is None:
        workers = [resident(pid) for pid in children(process.pid)]
        yield Sample(time.monotonic() - begun, labelled(url), resident(process.pid), max(workers, default=0.0))
        time.sleep(LOOK_S)


def labelled(url: str) -> int:
    try:
        with closing(open_store(url, create=False)) as store:
            return store.account().labelled
    except StoreError:
        return 0


def children(pid: int) -> list[int]:
    try:
        return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def resident(pid: int) -> float:
    """Give the resident memory of a process in MB, 0 where it is gone."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6
    except OSError:
        return 0.0


def noted(url: str) -> int:
    """Give the number of folders that a call which was cut off has behind it."""
    with closing(open_store(url, create=False)) as store, store._db.reading() as conn:
        return int(conn.exec_driver_sql("SELECT COUNT(*) FROM listed_folders").scalar_one())


def call(name: str, command: list[str], url: str, until: float) -> list[Sample]:
    """Run a backfill until so many files are labelled, kill it there, and print what it did."""
    before = labelled(url)
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    samples = []
    for sample in watch(process, url):
        samples.append(sample)
        if sample.labelled >= until:
            process.kill()
            break
    said, _ = process.communicate()
    if process.returncode == 0:
        account = json.loads(said)
        assert account["left"] == 0, account
        end = f"ended: {account['labelled']} labelled, {account['known']} known"
    else:
        end = f"killed, {noted(url)} folders behind it"
    first = next((sample for sample in samples if sample.labelled > before), samples[-1])
    last = samples[-1]
    pace = (last.labelled - first.labelled) / max(last.seconds - first.seconds, 1e-9)
    ahead = f"first label after {first.seconds:.0f} s" if last.labelled > before else "no new label"
    print(f"| {name} | {last.seconds:.0f} | {ahead} | {pace:.0f} | {end} |", flush=True)
    return samples


def tell_memory(calls: dict[str, list[Sample]]) -> None:
    print("| call | files labelled | coordinator MB | largest worker MB |")
    for name, samples in calls.items():
        step = max(1, len(samples) // 6)
        for sample in [*samples[step::step]]:
            print(f"| {name} | {sample.labelled} | {sample.coordinator:.0f} | {sample.worker:.0f} |")


def measure(place: Path, files: int, tiny: bool) -> None:
    root, config = place / "archive", place / "auroramon.toml"
    begun = time.monotonic()
    make(root, files)
    for path, _, _ in os.walk(root):
        os.utime(path, (YESTERDAY, YESTERDAY))  # a folder that changed minutes before its listing is read again
    print(f"{files} files made in {time.monotonic() - begun:.0f} s")
    url = f"sqlite:///{place}/labels.db"
    camera = f'[[camera]]\nname = "fsmi"\nfolder = "{root}"\ndisc = {{x = 16, y = 16, radius = 15}}\n'
    model = f'[model]\npath = "{write_tiny_bundle(place / "tiny").folder}"\n' if tiny else ""
    config.write_text(f'[database]\nurl = "{url}"\n{camera}{model}')
    command = [sys.executable, "-m", "auroramon", "backfill", str(root), "-c", str(config), "--json"]
    calls = {}
    print("| call | seconds | first | files/s from there | end |", flush=True)
    for name, share in zip(("first", "second", "third", "once more"), (*KILLS, 2.0, 2.0), strict=True):
        calls[name] = call(name, command, url, share * files)
    tell_memory(calls)
    with closing(open_store(url)) as store:
        account = store.account()
        with store._db.reading() as conn:
            labels = conn.exec_driver_sql("SELECT COUNT(*) FROM labels").scalar_one()
    assert account.adds_up
    assert (account.labelled, labels) == (files, files)
    size = sum(path.stat().st_size for path in place.glob("labels.db*"))
    print(f"{labels} labels of {account.labelled} files, none missing; the database has {size / 1e6:.0f} MB")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=1_000_000)
    parser.add_argument("--tiny", action="store_true", help="the model of the tests instead of the shipped one")
    parser.add_argument("--folder", type=Path, help="where archive and database are made")
    arguments = parser.parse_args()
    print(machine())
    print(f"before: {load()}")
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        measure(Path(folder), arguments.files, arguments.tiny)
    print(f"after: {load()}")


if __name__ == "__main__":
    main()
