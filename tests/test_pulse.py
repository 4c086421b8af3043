"""A watch that hangs is noticed; a mount that hangs is outlived."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from auroramon.pulse import WatchPulse
from auroramon.sources.answers import Probe
from auroramon.sources.arrivals import ArrivalRule
from auroramon.sources.inotify import Listener
from auroramon.sources.timing import Timing
from auroramon.sources.watch import FolderWatch, WatchedFolder
from tests.daemon import wait_until


@contextmanager
def watching(folder: Path, hang: threading.Event | None = None) -> Iterator[FolderWatch]:
    """Watch a folder; with `hang` its thread stops in the middle of listening until the event is set."""

    def listen(root: str) -> Listener:
        if hang is not None:
            hang.wait()
        return Listener(root)

    watch = FolderWatch([WatchedFolder("test", folder, ArrivalRule((".png",)))], Timing(tick_s=0.02), listen=listen)
    arrivals = watch.arrivals(threading.Event())
    next(arrivals)
    try:
        yield watch
    finally:
        if hang is not None:
            hang.set()
        arrivals.close()  # type: ignore[attr-defined]  # a generator


def test_a_watch_is_started_when_its_folder_was_looked_at_and_it_lives(tmp_path: Path) -> None:
    pulse = WatchPulse(FolderWatch([WatchedFolder("test", tmp_path, ArrivalRule((".png",)))]), patience_s=5)
    assert not pulse.started()
    with watching(tmp_path) as watch:
        pulse = WatchPulse(watch, patience_s=5)
        wait_until(pulse.started, "the watch is up")
        assert pulse.stuck() == ""


def test_a_watch_of_a_missing_folder_has_started_to_wait(tmp_path: Path) -> None:
    with watching(tmp_path / "late") as watch:
        wait_until(WatchPulse(watch).started, "the watch waits for its folder")
        assert not watch.state()[0].up


def test_a_watch_that_hangs_though_its_folder_answers_is_stuck(tmp_path: Path) -> None:
    with watching(tmp_path, threading.Event()) as watch:
        pulse = WatchPulse(watch, patience_s=0.2)
        wait_until(lambda: pulse.stuck() != "", "it is noticed")
        assert "though the folder answers" in pulse.stuck()
        assert not pulse.started()


def test_a_mount_that_hangs_stops_neither_the_start_nor_the_heartbeat(tmp_path: Path) -> None:
    dead = threading.Event()

    def probe(folder: Path) -> Probe:
        return Probe(folder, look=lambda _: (dead.wait(), None)[1])

    with watching(tmp_path, dead) as watch:
        pulse = WatchPulse(watch, patience_s=0.2, probe=probe)
        assert pulse.started()
        wait_until(lambda: watch.state()[0].age_s > 0.2, "the watch is silent")
        assert pulse.stuck() == ""
        asking = [thread for thread in threading.enumerate() if thread.name == "probe"]
        assert len(asking) == 1, "a dead mount is asked once"


def test_a_folder_that_is_away_answers_too(tmp_path: Path) -> None:
    assert Probe(tmp_path / "away").answers(5)
    assert Probe(tmp_path).answers(5)
