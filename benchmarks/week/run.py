"""Plays the plan on the real programs, and gathers what came of it."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from auroramon.config import load_settings
from auroramon.store.results import FileAccount
from auroramon.store.store import open_store
from benchmarks.week.cameras import Camera
from benchmarks.week.clock import Clock, built
from benchmarks.week.frames import pictures
from benchmarks.week.injection import Injection
from benchmarks.week.plan import Fault
from benchmarks.week.station import EVERY, Broker, Daemon, Prometheus, configuration, free_port, wait
from benchmarks.week.verdict import Firing, Growth, firings, growth
from tests.tiny import write_tiny_bundle

MINUTE = timedelta(minutes=1)
LEAD = timedelta(hours=2)  # for the first start, which takes a quarter of an hour or more of simulated time
WAITS_SLOWER = 20  # than the wall clock runs whatever the daemon waits for (clock.py)
QUIET = timedelta(minutes=20)  # of frames before anything is judged
DISK_BYTES = 1_300_000_000  # of the small disk that the database lies on; an alert asks for 1e9 free

Series = list[tuple[dict[str, str], list[tuple[datetime, float]]]]


@dataclass(frozen=True)
class Outcome:
    """What came of it."""

    faults: Sequence[Fault]
    begin: datetime  # simulated
    end: datetime
    speed: int
    wait_speed: int
    took_s: float
    late: timedelta  # the longest that a frame was written after its minute, simulated
    account: FileAccount
    written: int  # names under which files were to be found
    unknown_names: Sequence[str]  # of these, those that the database does not know
    frames: int  # that the cameras wrote whole, or half and then whole
    labels: int  # frames with a label in the database
    states: dict[str, dict[str, int]]  # camera -> state -> files
    fired: Sequence[Firing]
    memory: Sequence[tuple[datetime, int, float]]
    growth: Growth
    starts: Sequence[datetime]
    surprises: Sequence[str]
    exit_code: int
    said: Sequence[str]
    heard: Sequence[tuple[str, str, str]]
    counted: Series  # frames of every label in the last hour
    small_disk: bool
    log: str = field(repr=False)


@contextmanager
def small_disk(folder: Path) -> Iterator[bool]:
    """Mount a disk in memory for the database; False where that is not allowed here, and the folder serves."""
    folder.mkdir()
    words = ("mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", str(folder))
    mounted = os.geteuid() == 0 and subprocess.run(words, capture_output=True, check=False).returncode == 0
    try:
        yield mounted
    finally:
        if mounted:
            subprocess.run(("umount", "-l", str(folder)), check=False)


def play(
    folder: Path, plan: Callable[[datetime], list[Fault]], begin: datetime, lasts: timedelta, speed: int
) -> Outcome:
    """Run the station for so long in simulated time, and give what came of it.

    It begins at `begin`, or later where the machine is so busy that the station is not ready by then.
    """
    wait_speed = speed // WAITS_SLOWER
    began = time.monotonic()
    with ExitStack() as stack:
        disk = stack.enter_context(small_disk(folder / "disk"))
        broker = stack.enter_context(closing(Broker(folder)))
        pages = f"127.0.0.1:{free_port()}"
        texts = []
        for name in ("tiny", "tiny-2"):
            model = write_tiny_bundle(folder / "model" / name, name).folder
            texts.append(configuration(folder, folder / "disk" / "labels.db", model, pages, broker.port))
        config = folder / "auroramon.toml"
        config.write_text(texts[0])
        (folder / "drawn").mkdir()
        shown = pictures(load_settings(config), begin.replace(hour=20), folder / "drawn")
        cameras = [Camera(number, folder, shown) for number in range(10)]
        clock = Clock(begin - LEAD, speed, wait_speed, built(folder), folder / "step")
        log = folder / "daemon.log"
        daemon = Daemon(config, clock, log, pages)
        stack.callback(daemon.close)
        wait(daemon.answers, "the daemon watches its folders")
        prometheus = stack.enter_context(closing(Prometheus(folder, clock, pages)))
        wait(prometheus.ready, "Prometheus is ready")
        by_name = {camera.name: camera for camera in cameras}
        database = folder / "disk" / "labels.db"
        injection = Injection(by_name, daemon, broker, clock, database, (config, texts[1]))
        begin = max(begin, clock.now().replace(second=0, microsecond=0) + MINUTE + QUIET)
        end = begin + lasts
        faults = [fault for fault in plan(begin) if fault.end < end]
        late = _live(cameras, daemon, injection, clock, faults, begin, end)
        wait(daemon.answers, "the daemon is there at the end")
        wait(lambda: _settled(database, cameras), "nothing is pending any more")
        until = time.time()
        fired = [
            one for one in firings(prometheus.series('ALERTS{alertstate="firing"}', EVERY, until)) if one.end > begin
        ]
        counted = prometheus.series("sum by (label) (camera_label:auroramon_frames_classified:increase1h)", "1h", until)
        code = daemon.end()
        account, labels, states, unknown = _examined(database, cameras)
        return Outcome(
            faults, begin, end, speed, wait_speed, time.monotonic() - began, late, account,
            sum(len(camera.names) for camera in cameras), unknown,
            sum(camera.frames - len(camera.broken) for camera in cameras), labels, states, fired, daemon.memory,
            growth(daemon.memory), daemon.starts, daemon.surprises, code, injection.said, tuple(broker.heard), counted,
            disk, log.read_text(errors="replace"),
        )  # fmt: skip


def _live(
    cameras: Sequence[Camera],
    daemon: Daemon,
    injection: Injection,
    clock: Clock,
    faults: Sequence[Fault],
    begin: datetime,
    end: datetime,
) -> timedelta:
    """Let the minutes pass; give the longest that a frame came late."""
    acts = [(fault.begin, number, injection.begin, fault) for number, fault in enumerate(faults)]
    acts += [(fault.end, number, injection.end, fault) for number, fault in enumerate(faults)]
    acts.sort(key=lambda act: (act[0], act[1]))
    now = clock.now()
    late, minute = timedelta(), now.replace(second=0, microsecond=0) + MINUTE
    while minute < end:
        clock.wait_for(minute)
        late = max(late, clock.now() - minute) if minute > begin else late
        while acts and acts[0][0] <= minute:
            _, _, do, fault = acts.pop(0)
            do(fault, minute)
        daemon.tend()
        for camera in cameras:
            camera.expose(minute)
        minute += MINUTE
    return late


def _settled(database: Path, cameras: Sequence[Camera]) -> bool:
    with closing(open_store(f"sqlite:///{database}", create=False)) as store:
        account = store.account()
    return account.pending == 0 and account.seen >= sum(len(camera.names) for camera in cameras)


def _examined(
    database: Path, cameras: Sequence[Camera]
) -> tuple[FileAccount, int, dict[str, dict[str, int]], list[str]]:
    """Compare the database with what the cameras wrote, by a connection of our own."""
    with closing(open_store(f"sqlite:///{database}", create=False)) as store:
        account = store.account()
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as db:
        known = {
            row[0] for row in db.execute("SELECT f.path || n.name FROM files n JOIN folders f ON f.id = n.folder_id")
        }
        labels = db.execute("SELECT count(*) FROM (SELECT DISTINCT file_id, frame_index FROM labels)").fetchone()[0]
        states: dict[str, dict[str, int]] = {}
        query = "SELECT c.name, f.state, count(*) FROM files f JOIN cameras c ON c.id = f.camera_id GROUP BY 1, 2"
        names = ("pending", "labelled", "skipped", "quarantined")
        for camera, state, files in db.execute(query):
            states.setdefault(camera, {})[names[state]] = files
    unknown = sorted(name for camera in cameras for name in camera.names if name not in known)
    return account, labels, states, unknown
