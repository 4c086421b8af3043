"""A station in a temporary folder: files are put there, and the test looks at what was offered."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from auroramon.sources.arrivals import ArrivalRule, Problem
from auroramon.sources.inotify import Listener
from auroramon.sources.outbox import Arrival
from auroramon.sources.timing import Timing
from auroramon.sources.watch import FolderWatch, WatchedFolder

QUICK = Timing(settle_s=0.15, held_s=30.0, reconcile_s=60.0, poll_s=0.05, check_s=0.02, tick_s=0.05)
PATIENT = replace(QUICK, settle_s=0.6)  # where a test must be able to write faster than files settle, on a busy machine
RULE = ArrivalRule(suffixes=(".png", ".pgm.gz"))
LONG_AGO = 1_400_000_000


class Watched:
    """A watch that runs in the background, and all that it offered."""

    def __init__(self, watch: FolderWatch) -> None:
        self.watch = watch
        self.arrivals: list[Arrival] = []
        self.problems: list[Problem] = []
        self.resume = threading.Event()
        self.resume.set()
        self.stop = threading.Event()

    def consume(self) -> None:
        for batch in self.watch.arrivals(self.stop):
            self.arrivals.extend(batch)
            while not self.resume.wait(0.02) and not self.stop.is_set():
                pass

    def ways(self, path: Path) -> list[str]:
        return [arrival.how for arrival in self.arrivals if arrival.file.path == str(path)]

    def sizes(self, path: Path) -> list[int]:
        return [arrival.file.size for arrival in self.arrivals if arrival.file.path == str(path)]

    def expect(self, path: Path, how: str) -> Arrival:
        until(lambda: how in self.ways(path), lambda: f"{path.name} {how}; offered: {self.arrivals[-20:]}")
        return next(a for a in self.arrivals if a.file.path == str(path) and a.how == how)

    def offered(self, path: Path) -> None:
        until(lambda: self.ways(path) != [], lambda: f"{path}; offered: {self.arrivals[-20:]}")

    def listed(self) -> None:
        """Wait until every folder was listed once."""
        until(lambda: all(state.listings > 0 for state in self.watch.state()), "the first listing")


@contextmanager
def watching(
    folders: Sequence[WatchedFolder], timing: Timing = QUICK, listen: Callable[[str], Listener] = Listener
) -> Iterator[Watched]:
    problems: list[Problem] = []
    watched = Watched(FolderWatch(folders, timing, report=problems.append, listen=listen))
    watched.problems = problems
    thread = threading.Thread(target=watched.consume)
    thread.start()
    try:
        yield watched
    finally:
        watched.stop.set()
        thread.join(10)
        assert not thread.is_alive()


def until(condition: Callable[[], bool], what: str | Callable[[], str], seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise AssertionError(f"waited {seconds} s in vain for: {what if isinstance(what, str) else what()}")
        time.sleep(0.005)


def put(path: Path, content: bytes = b"frame", *, old: bool = False) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    if old:
        os.utime(path, (LONG_AGO, LONG_AGO))
    return path


@pytest.fixture(autouse=True)
def no_thread_survives() -> Iterator[None]:
    before = set(threading.enumerate())
    yield
    until(lambda: set(threading.enumerate()) <= before, "the end of every thread", 5)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "frames"
    made.mkdir()
    return made


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    made = tmp_path / "outside"
    made.mkdir()
    return made


@pytest.fixture
def station(folder: Path) -> Iterator[Watched]:
    """A watch of one empty folder, listening and listed."""
    with watching([WatchedFolder("sky", folder, RULE)]) as watched:
        watched.listed()
        yield watched
