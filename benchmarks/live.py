"""Measures the running daemon: from a closed file to its committed label, and its memory: `python -m benchmarks.live`.

A camera's folder gets 256x256 PNGs of 8 bits, written in place and closed, one at a time; the daemon is the real one,
with the shipped model, a configured disc and position, and its database on this disk. A label counts when a connection
of another process sees it. That connection looks every half millisecond, so latencies are too long by up to 0.6 ms.

The model's own time is that of its network alone, one frame at a time, with the daemon's settings, in the same run:
back to back, and at the daemon's pace, when caches are cold and the processor has gone to sleep in between.
"""

from __future__ import annotations

import argparse
import io
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from auroramon.assemble import live_threads, make_labeller
from auroramon.config import load_settings
from auroramon.sim.camera import standard_camera
from auroramon.sim.scene import draw
from auroramon.types import LABELS
from benchmarks.machine import load, machine

START = datetime(2025, 12, 1, 0, tzinfo=UTC)  # at this place the Sun stays down all day
PLACE = "latitude = 78.15\nlongitude = 16.04"
PICTURES = 24  # different frames, written again and again under new names
A_FOLDER = 1000  # files of one folder: then the next begins, as at every roll-over
LOOK_S = 0.0005
WARM_UP = 20  # frames that are not counted
AHEAD = 40  # files that may wait while memory is measured

Floats = NDArray[np.float64]


def pictures() -> list[bytes]:
    """Give PNG files of all classes, as a camera of eight bits writes them."""
    camera = replace(standard_camera("live"), style="gamma", full_scale=255, gamma=0.5, exposure=0.08)
    rng = np.random.default_rng(5)
    files = []
    for number in range(PICTURES):
        buffer = io.BytesIO()
        Image.fromarray(draw(rng, LABELS[number % len(LABELS)], camera).pixels).save(buffer, "PNG")
        files.append(buffer.getvalue())
    return files


class Camera:
    """Writes frames into the folder of a station, one a second of its own clock."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.written = 0
        self._pictures = pictures()

    def write(self) -> float:
        """Write the next frame in place, and give the moment after its close on time.perf_counter."""
        time_ = START + timedelta(seconds=self.written)
        folder = self.folder / f"{self.written // A_FOLDER:03d}"
        if self.written % A_FOLDER == 0:
            folder.mkdir()
        (folder / f"{time_:%Y%m%d_%H%M%S}_live.png").write_bytes(self._pictures[self.written % PICTURES])
        self.written += 1
        return time.perf_counter()


@dataclass(frozen=True, slots=True)
class Daemon:
    """The running daemon."""

    process: subprocess.Popen[bytes]
    address: str  # host:port of its pages
    database: Path

    def page(self) -> str:
        with urllib.request.urlopen(f"http://{self.address}/metrics", timeout=5) as answer:
            return str(answer.read().decode())

    def resident_mb(self) -> float:
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        match = re.search(r"VmRSS:\s+(\d+) kB", status)
        assert match
        return int(match[1]) / 1e3


@contextmanager
def daemon(folder: Path) -> Iterator[Daemon]:
    """Run the daemon on `folder`/in until the end of the block."""
    (folder / "in").mkdir()
    with closing(socket.create_server(("127.0.0.1", 0))) as free:
        address = f"127.0.0.1:{free.getsockname()[1]}"
    process = subprocess.Popen((sys.executable, "-m", "auroramon", "run", "-c", str(write_config(folder, address))))
    running = Daemon(process, address, folder / "labels.sqlite")
    try:
        wait(lambda: watching(running), "the daemon watches its folder")
        yield running
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=60) == 0, "the daemon did not end in order"
    finally:
        process.kill()
        process.wait()


def write_config(folder: Path, address: str) -> Path:
    file = folder / "auroramon.toml"
    file.write_text(
        f'[[camera]]\nname = "live"\nfolder = "in"\ncadence_s = 1\n{PLACE}\n'
        "disc = { x = 128.0, y = 128.0, radius = 121.0 }\n"
        f'[database]\nurl = "sqlite:///{folder}/labels.sqlite"\n[server]\nlisten = "{address}"\n'
        '[log]\nlevel = "warning"\n'
    )
    return file


def watching(running: Daemon) -> bool:
    assert running.process.poll() is None, "the daemon died"
    try:
        return re.search(r"^auroramon_watcher_up\{.*\} 1\.0$", running.page(), re.MULTILINE) is not None
    except OSError:
        return False


def wait(condition: Callable[[], bool], what: str, seconds: float = 120, look_s: float = 0.05) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"not so after {seconds} s: {what}"
        time.sleep(look_s)


def latencies(running: Daemon, camera: Camera, frames: int, rate: float) -> Floats:
    """Give milliseconds from the close of each file to its visible label; one file at a time, `rate` a second."""
    found = []
    with closing(sqlite3.connect(f"file:{running.database}?mode=ro", uri=True)) as db:

        def newest() -> int:
            return int(db.execute("SELECT IFNULL(MAX(file_id), 0) FROM labels").fetchone()[0])

        due = time.perf_counter()
        for _ in range(frames):
            due += 1 / rate
            time.sleep(max(0.0, due - time.perf_counter()))
            before = newest()
            closed = camera.write()
            wait(lambda before=before: newest() > before, "the frame is labelled", look_s=LOOK_S)  # type: ignore[misc]
            found.append(time.perf_counter() - closed)
    return np.array(found) * 1e3


def network_alone(config: Path, frames: int, rate: float) -> tuple[Floats, Floats]:
    """Give milliseconds of the network for one frame, with the daemon's settings: back to back, and at a pace."""
    settings = load_settings(config)
    labeller = make_labeller(settings, live_threads(settings))
    inputs = labeller.bundle.golden.inputs
    found: list[list[float]] = []
    for pause in (0.0, 1 / rate):
        took = []
        for number in range(frames + WARM_UP):
            time.sleep(pause)
            one = inputs[number % len(inputs)][None]
            began = time.perf_counter()
            labeller.backend.embed(one)
            took.append(time.perf_counter() - began)
        found.append(took[WARM_UP:])
    return np.array(found[0]) * 1e3, np.array(found[1]) * 1e3


def memory(running: Daemon, camera: Camera, marks: list[int]) -> Iterator[tuple[int, float]]:
    """Write frames as fast as the daemon takes them, and give its resident memory (MB) at these numbers of labels."""
    with closing(sqlite3.connect(f"file:{running.database}?mode=ro", uri=True)) as db:

        def labelled() -> int:
            return int(db.execute("SELECT COUNT(*) FROM labels").fetchone()[0])

        for mark in marks:
            while camera.written < mark:
                wait(lambda: camera.written - labelled() < AHEAD, "the daemon keeps up")
                for _ in range(min(AHEAD, mark - camera.written)):
                    camera.write()
            wait(lambda mark=mark: labelled() >= mark, "everything is labelled")  # type: ignore[misc]
            yield mark, running.resident_mb()


def own_clocks(page: str) -> str:
    """Give what the daemon itself measured: its latency histogram, and the mean of each stage."""
    buckets = [
        (float(edge), float(count))
        for edge, count in re.findall(r'auroramon_file_latency_seconds_bucket\{camera="live",le="(.+?)"\} (\S+)', page)
    ]
    total = buckets[-1][1]
    shares = ", ".join(
        f"{count / total:.1%} within {edge * 1e3:g} ms" for edge, count in buckets if count > 0 and edge <= 0.1
    )
    sums = dict(re.findall(r'auroramon_stage_duration_seconds_sum\{stage="(\w+)"\} (\S+)', page))
    counts = dict(re.findall(r'auroramon_stage_duration_seconds_count\{stage="(\w+)"\} (\S+)', page))
    stages = ", ".join(f"{name} {1e3 * float(sums[name]) / float(counts[name]):.2f}" for name in sums)
    return f"the daemon's own histogram, arrival to commit: {shares}\nmean ms of its stages: {stages}"


def row(name: str, ms: Floats) -> str:
    p50, p99 = np.percentile(ms, [50, 99])
    return f"| {name} | {p50:.1f} | {p99:.1f} | {ms.max():.1f} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=1000, help="whose latency is measured")
    parser.add_argument("--rate", type=float, default=10.0, help="frames a second meanwhile")
    parser.add_argument("--marks", type=int, nargs="+", default=[2000, 5000, 10000, 20000], help="labels in all")
    parser.add_argument("--quick", action="store_true", help="a few frames: only to see that it runs")
    wanted = parser.parse_args()
    frames, rate, marks = (20, 20.0, [100, 150]) if wanted.quick else (wanted.frames, wanted.rate, wanted.marks)
    print(machine(), f"before: {load()}", sep="\n")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with daemon(folder) as running:
            alone, paced = network_alone(folder / "auroramon.toml", frames, rate)
            camera = Camera(folder / "in")
            latencies(running, camera, WARM_UP, rate)
            live = latencies(running, camera, frames, rate)
            clocks = own_clocks(running.page())
            print(f"{frames} frames of 256x256, 8-bit PNG, {rate:g} a second; {load()}\n")
            print("| milliseconds | p50 | p99 | longest |\n|---|---:|---:|---:|")
            print(row("close of the file -> committed label", live))
            print(row("the network alone, back to back", alone))
            print(row("the network alone, at the same pace", paced))
            print(f"| p50 above the network (back to back; at pace) | {np.median(live) - np.median(alone):.1f}; "
                  f"{np.median(live) - np.median(paced):.1f} | | |")  # fmt: skip
            print(f"\n{clocks}\n\n| frames labelled | resident MB |\n|---:|---:|")
            print(f"| {camera.written} | {running.resident_mb():.0f} |")
            for labelled, resident in memory(running, camera, marks):
                print(f"| {labelled} | {resident:.0f} |", flush=True)
    print(f"\nafter: {load()}")


if __name__ == "__main__":
    main()
