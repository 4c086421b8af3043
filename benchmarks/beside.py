"""Measures how long a frame takes while the folders of ten cameras are listed: what a full listing costs the live way.

    python -m benchmarks.beside

One thread labels a file at a time, as the daemon does, with the small network of the tests; others list folders of
6,000 names for ever: none, one, ten at once, and ten by turns as the daemon lists them (sources/turns.py). Simulated
frames, no database.
"""

from __future__ import annotations

import tempfile
import threading
from pathlib import Path
from time import perf_counter, sleep

import numpy as np

from auroramon.assemble import make_labeller
from auroramon.config import Settings
from auroramon.labeller import Labeller
from auroramon.sources.arrivals import ArrivalRule
from auroramon.sources.turns import Turns
from auroramon.sources.walk import walk
from auroramon.types import FileStat
from benchmarks.machine import load, machine
from tests.skies import write_png
from tests.tiny import write_tiny_bundle

CAMERAS, NAMES, FRAMES = 10, 6_000, 100
SLICE_S = 0.005


def lister(folder: Path, stop: threading.Event, turns: Turns | None) -> None:
    """List a folder again and again, by turns where there are any."""
    while not stop.is_set():
        files = walk(folder, ArrivalRule(patterns=("*",)), stop=stop, report=print)
        ended = False
        while not (ended or stop.is_set()):
            if turns is not None and not turns.take(str(folder)):
                sleep(SLICE_S)
                continue
            end = perf_counter() + SLICE_S
            while not ended and perf_counter() < end:
                ended = next(files, None) is None
            if turns is not None:
                turns.give(str(folder), ended=ended)


def measure(labeller: Labeller, files: list[FileStat], folders: list[Path], turns: Turns | None) -> tuple[float, float]:
    """Give the median and the 99th percentile of a frame's milliseconds."""
    stop = threading.Event()
    threads = [threading.Thread(target=lister, args=(folder, stop, turns)) for folder in folders]
    for thread in threads:
        thread.start()
    taken = []
    for file in files:
        begun = perf_counter()
        labeller([file])
        taken.append((perf_counter() - begun) * 1000)
    stop.set()
    for thread in threads:
        thread.join()
    return float(np.median(taken)), float(np.percentile(taken, 99))


def main() -> None:
    print(machine())
    print(f"before: {load()}")
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        folders = [root / f"cam{number}" for number in range(CAMERAS)]
        for folder in folders:
            folder.mkdir()
            for number in range(NAMES):
                (folder / f"2025{number:06}.png").touch()
        (root / "frames").mkdir()
        paths = [write_png(root / "frames", seed) for seed in range(FRAMES)]
        files = [FileStat(str(path), path.stat().st_size, path.stat().st_mtime_ns) for path in paths]
        settings = Settings.model_validate({"model": {"path": write_tiny_bundle(root / "tiny").folder}})
        labeller = make_labeller(settings, 1, "never")
        print("| milliseconds a frame | p50 | p99 |\n|---|---:|---:|")
        for what, some, turns in (
            ("nothing is listed", folders[:0], None),
            ("one folder", folders[:1], None),
            ("ten folders at once", folders, None),
            ("ten folders by turns", folders, Turns()),
        ):
            print("| {} | {:.1f} | {:.1f} |".format(what, *measure(labeller, files, some, turns)))
    print(f"after: {load()}")


if __name__ == "__main__":
    main()
