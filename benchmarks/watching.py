"""Measure the watch of a folder on this machine: `python benchmarks/watching.py [--files 2000] [--archive 200000]`.

Prints, one a line: latency from the close (or rename) of a file to its offer; files a second when they come as fast as
they can be written; what is offered of a flood while the consumer stalls; the pace and the memory of listings.
"""

from __future__ import annotations

import argparse
import os
import resource
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from auroramon.sources.arrivals import ArrivalRule
from auroramon.sources.timing import Timing
from auroramon.sources.watch import FolderWatch, WatchedFolder

FRAME = bytes(60_000)
LONG_AGO = (1_400_000_000, 1_400_000_000)


class Consumer(threading.Thread):
    """Takes batches and notes when each file was first offered."""

    def __init__(self, folder: Path, timing: Timing | None = None) -> None:
        super().__init__()
        self.watch = FolderWatch([WatchedFolder("sky", folder, ArrivalRule(suffixes=(".png",)))], timing)
        self.stop = threading.Event()
        self.resume = threading.Event()
        self.resume.set()
        self.offered: dict[str, float] = {}

    def run(self) -> None:
        for batch in self.watch.arrivals(self.stop):
            now = time.perf_counter()
            for arrival in batch:
                self.offered.setdefault(arrival.file.path, now)
            self.resume.wait()


@contextmanager
def watched(timing: Timing | None = None) -> Iterator[tuple[Path, Consumer]]:
    with tempfile.TemporaryDirectory() as name:
        consumer = Consumer(Path(name), timing)
        consumer.start()
        wait(lambda: consumer.watch.state()[0].listings > 0)
        try:
            yield Path(name), consumer
        finally:
            consumer.stop.set()
            consumer.resume.set()
            consumer.join()


def wait(condition: Callable[[], bool], seconds: float = 300) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.002)


def latency(files: int, rename: bool) -> None:
    with watched() as (folder, consumer):
        done: dict[str, float] = {}
        for number in range(files):
            path = folder / f"{number}.png"
            if rename:
                path.with_suffix(".tmp").write_bytes(FRAME)
                path.with_suffix(".tmp").rename(path)
            else:
                path.write_bytes(FRAME)
            done[str(path)] = time.perf_counter()
            time.sleep(0.005)
        wait(lambda: len(consumer.offered) == files)
        ms = np.array([consumer.offered[path] - at for path, at in done.items()]) * 1e3
    print(
        f"{'renamed' if rename else 'closed'} -> offered, {files} files of 60 kB: p50 {np.percentile(ms, 50):.2f} ms, "
        f"p99 {np.percentile(ms, 99):.2f} ms, longest {ms.max():.2f} ms"
    )


def flood(files: int) -> None:
    with watched() as (folder, consumer):
        began = time.perf_counter()
        for number in range(files):
            (folder / f"{number}.png").write_bytes(b"x")
        written = time.perf_counter() - began
        wait(lambda: len(consumer.offered) == files)
        took = time.perf_counter() - began
    print(f"flood of {files} files (4 events each): written in {written:.2f} s, all offered in {took:.2f} s, "
          f"{files / took:.0f} files/s")  # fmt: skip


def stall(files: int) -> None:
    before = resident_mb()
    with watched() as (folder, consumer):
        consumer.resume.clear()
        for number in range(files):
            (folder / f"{number}.png").write_bytes(b"x")
        time.sleep(2)
        grown = resident_mb() - before
        began = time.perf_counter()
        consumer.resume.set()
        wait(lambda: len(consumer.offered) == files)
        took = time.perf_counter() - began
        overflows = consumer.watch.state()[0].overflows
    print(f"stalled consumer: {len(consumer.offered)} of {files} files offered, {took:.2f} s after it went on; "
          f"{overflows} overflows, {grown:.0f} MB more resident while it stalled")  # fmt: skip


def archive(files: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        for number in range(files):
            path = Path(name, f"{number // 1000}", f"{number}.png")
            if number % 1000 == 0:
                path.parent.mkdir()
            path.touch()
            os.utime(path, LONG_AGO)
        before = resident_mb()
        counter = Counter(Path(name), Timing(reconcile_s=0.0))
        began = time.perf_counter()
        counter.start()
        wait(lambda: counter.watch.state()[0].listings >= 1 and counter.count == files)
        first = time.perf_counter() - began
        listings, began = counter.watch.state()[0].listings, time.perf_counter()
        wait(lambda: counter.watch.state()[0].listings >= listings + 3)
        later = (time.perf_counter() - began) / 3
        print(f"archive of {files} files: first listing offers all in {first:.1f} s ({files / first:.0f} files/s); "
              f"a later one takes {later:.1f} s and offers {counter.count - files}; "
              f"{resident_mb() - before:.0f} MB more resident")  # fmt: skip
        counter.stop.set()
        counter.join()


class Counter(threading.Thread):
    """Takes batches and only counts, so that the memory measured is the watch's."""

    def __init__(self, folder: Path, timing: Timing) -> None:
        super().__init__()
        self.watch = FolderWatch([WatchedFolder("sky", folder, ArrivalRule(suffixes=(".png",)))], timing)
        self.stop = threading.Event()
        self.count = 0

    def run(self) -> None:
        for batch in self.watch.arrivals(self.stop):
            self.count += len(batch)


def resident_mb() -> float:
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=2_000)
    parser.add_argument("--archive", type=int, default=200_000)
    wanted = parser.parse_args()
    latency(wanted.files, rename=False)
    latency(wanted.files, rename=True)
    flood(12_000)
    stall(12_000)
    archive(wanted.archive)


if __name__ == "__main__":
    main()
