"""What a watch survives: folders that vanish, floods, limits of the kernel, its own death."""

from __future__ import annotations

import errno
import logging
import os
import shutil
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from auroramon.sources.inotify import Listener
from auroramon.sources.outbox import Arrival, Outbox
from auroramon.sources.watch import WatchedFolder
from auroramon.types import FileStat
from tests.conftest import ROOT, missing
from tests.sources.conftest import QUICK, RULE, Watched, put, until, watching

QUEUE = Path("/proc/sys/fs/inotify/max_queued_events")


def is_up(station: Watched) -> bool:
    return station.watch.state()[0].up


def test_a_folder_that_goes_and_comes_back_is_watched_again(
    station: Watched, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "auroramon")
    station.expect(put(folder / "a.png"), "closed")
    shutil.rmtree(folder)
    until(lambda: not is_up(station), "the folder is down")
    assert "No such file" in station.watch.state()[0].reason
    station.offered(put(folder / "meanwhile.png", old=True))
    until(lambda: is_up(station), "the folder is up")
    assert station.watch.state()[0].reason == ""
    station.expect(put(folder / "b.png"), "closed")
    assert station.ways(folder / "a.png") == ["closed"]
    told = [message.partition(f"{folder} ")[2] for message in caplog.messages]
    assert told == ["cannot be watched: No such file or directory; waiting for it", "is there now, and is watched"]


def test_a_folder_that_is_exchanged_is_noticed(station: Watched, folder: Path, tmp_path: Path) -> None:
    """As by a mount over it, or by the rename of last season's folder."""
    put(tmp_path / "next" / "a.png", old=True)
    folder.rename(tmp_path / "last")
    (tmp_path / "next").rename(folder)
    station.expect(folder / "a.png", "listed")
    station.expect(put(folder / "b.png"), "closed")
    put(tmp_path / "last" / "c.png")
    station.expect(put(folder / "d.png"), "closed")
    assert station.ways(folder / "c.png") == []


def test_a_link_to_the_folder_that_is_turned_is_noticed(tmp_path: Path) -> None:
    for name in ("one", "two"):
        put(tmp_path / name / f"{name}.png", old=True)
    (tmp_path / "data").symlink_to("one")
    with watching([WatchedFolder("sky", tmp_path / "data", RULE)]) as watched:
        watched.expect(tmp_path / "data" / "one.png", "listed")
        (tmp_path / "data").unlink()
        (tmp_path / "data").symlink_to("two")
        watched.expect(tmp_path / "data" / "two.png", "listed")
        put(tmp_path / "two" / "b.png")
        watched.expect(tmp_path / "data" / "b.png", "closed")


@pytest.mark.parametrize("poll", [None, True])
def test_a_folder_that_is_missing_at_the_start_is_waited_for(folder: Path, poll: bool | None) -> None:
    late = folder / "not" / "yet"
    with watching([WatchedFolder("sky", folder, RULE), WatchedFolder("late", late, RULE, poll)]) as watched:
        until(lambda: watched.watch.state()[0].up, "the other camera")
        until(lambda: "waiting for it" in watched.watch.state()[1].reason, "the reason")
        assert not watched.watch.state()[1].up
        put(late / "a.png", old=True)
        watched.offered(late / "a.png")
        put(late / "b.png")
        watched.offered(late / "b.png")
    assert {a.file.camera for a in watched.arrivals if a.file.path.startswith(str(late))} == {"late"}


def test_a_file_in_the_place_of_the_folder_is_said(folder: Path) -> None:
    with watching([WatchedFolder("sky", put(folder / "a.png"), RULE)]) as watched:
        until(lambda: "it is no folder" in watched.watch.state()[0].reason, "the reason")


# Floods


@contextmanager
def short_queue(length: int) -> Iterator[None]:
    """Let the next inotify instances of this machine keep few events. Those that exist already keep their own."""
    before = QUEUE.read_text()
    try:
        QUEUE.write_text(str(length))
    except OSError:
        missing("fs.inotify.max_queued_events can be changed by root only")
    try:
        yield
    finally:
        QUEUE.write_text(before)


def test_an_overflow_of_the_kernel_is_noticed_and_loses_nothing(folder: Path) -> None:
    with short_queue(16):
        listener = Listener(str(folder))
    with watching([WatchedFolder("sky", folder, RULE)], listen=lambda root: listener) as watched:
        watched.listed()
        for burst in range(20):
            for number in range(300):
                put(folder / f"{burst}_{number}.png")
            if watched.watch.state()[0].overflows:
                break
        until(lambda: watched.watch.state()[0].overflows > 0, "the overflow")
        everything = {str(path) for path in folder.iterdir()}
        until(lambda: {a.file.path for a in watched.arrivals} == everything, "every file")
        until(lambda: watched.watch.state()[0].listings >= 2, "the listing after it")
        put(folder / "night" / "x.png")  # and new folders are heard again
        watched.offered(folder / "night" / "x.png")


def test_a_stalled_daemon_loses_no_file(station: Watched, folder: Path) -> None:
    station.resume.clear()
    for number in range(3_000):
        (folder / f"{number}.png").write_bytes(b"1")
    station.resume.set()
    until(lambda: len({a.file.path for a in station.arrivals}) == 3_000, "3,000 files", 30)


def test_a_full_outbox_turns_away_and_says_so() -> None:
    outbox = Outbox(heard_limit=2, listed_limit=1)
    first, second, third = (Arrival(FileStat(name, 1, 1), "closed") for name in "abc")
    assert [outbox.put(arrival) for arrival in (first, second, third)] == [True, True, False]
    outbox.put_listed([third])
    assert not outbox.room()
    assert not outbox.room_for_listed()
    assert outbox.take(0, 10) == [first, second]  # what was heard goes first
    assert outbox.room()
    assert outbox.take(0, 10) == [third]
    assert outbox.take(0, 10) == []


# Limits of the kernel


class Refusing:
    """Stands for the kernel: refuses to listen until it is told otherwise."""

    def __init__(self, error: int) -> None:
        self.error: int | None = error

    def __call__(self, root: str) -> Listener:
        if self.error is not None:
            raise OSError(self.error, os.strerror(self.error))
        return Listener(root)


@pytest.mark.parametrize(
    ("error", "limit"),
    [(errno.ENOSPC, "fs.inotify.max_user_watches"), (errno.EMFILE, "fs.inotify.max_user_instances")],
)
def test_a_limit_of_the_kernel_means_polling_said_aloud_until_it_is_raised(
    folder: Path, error: int, limit: str, caplog: pytest.LogCaptureFixture
) -> None:
    kernel = Refusing(error)
    cameras = [WatchedFolder("sky", folder, RULE)]
    with watching(cameras, replace(QUICK, reconcile_s=0.2), listen=kernel) as watched:
        watched.listed()
        state = watched.watch.state()[0]
        assert (state.up, state.mode) == (True, "polling")
        assert f"sysctl {limit}=" in state.reason
        assert any(record.levelname == "ERROR" and limit in record.message for record in caplog.records)
        watched.expect(put(folder / "a.png"), "settled")
        kernel.error = None
        until(lambda: watched.watch.state()[0].mode == "inotify", "inotify")
        assert watched.watch.state()[0].reason == ""
        watched.expect(put(folder / "b.png"), "closed")


LIMITED = """
    import json, os, sys, threading
    from pathlib import Path
    for name, value in json.loads(sys.argv[2]).items():
        Path("/proc/sys/user", name).write_text(str(value))
    from auroramon.sources.arrivals import ArrivalRule
    from auroramon.sources.timing import Timing
    from auroramon.sources.watch import FolderWatch, WatchedFolder
    folder = Path(sys.argv[1])
    rule = ArrivalRule(suffixes=(".png",))
    timing = Timing(settle_s=0.1, poll_s=0.05, check_s=0.05, tick_s=0.05)
    watch = FolderWatch([WatchedFolder("sky", folder, rule)], timing)
    stop, wanted, made = threading.Event(), set(), False
    for batch in watch.arrivals(stop):
        state = watch.state()[0]
        if state.listings and not made:
            made = True
            for number in range(40):
                (folder / str(number)).mkdir()
                (folder / str(number) / "a.png").write_bytes(b"1")
                wanted.add(str(folder / str(number) / "a.png"))
        wanted -= {arrival.file.path for arrival in batch}
        if made and not wanted and state.mode == "polling":
            stop.set()
    print(state.reason)
"""


@pytest.mark.parametrize(
    ("limits", "named"),
    [
        ('{"max_inotify_watches": 10}', "fs.inotify.max_user_watches"),
        ('{"max_inotify_instances": 0}', "fs.inotify.max_user_instances"),
    ],
)
def test_the_real_kernel_refuses_and_nothing_is_lost(folder: Path, limits: str, named: str) -> None:
    """In a user namespace of its own, so that no other program feels the limit."""
    new_space = ["unshare", "--user", "--map-root-user"]
    if not shutil.which("unshare") or subprocess.run([*new_space, "true"], check=False).returncode:
        missing("this machine makes no user namespaces")
    program = [sys.executable, "-c", textwrap.dedent(LIMITED), str(folder), limits]
    done = subprocess.run([*new_space, *program], capture_output=True, text=True, timeout=60, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stderr
    assert named in done.stdout


# Its own death


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_thread_that_dies_is_replaced(folder: Path) -> None:
    faults = [RuntimeError("a mistake of ours")]

    def faulty(root: str) -> Listener:
        if faults:
            raise faults.pop()
        return Listener(root)

    with watching([WatchedFolder("sky", folder, RULE)], replace(QUICK, revive_s=0.2), listen=faulty) as watched:
        until(lambda: "died" in watched.watch.state()[0].reason, "the death")
        assert not watched.watch.state()[0].up
        watched.listed()
        watched.expect(put(folder / "a.png"), "closed")


def test_a_listener_that_dies_is_replaced(folder: Path) -> None:
    listeners: list[Listener] = []

    def listen(root: str) -> Listener:
        listeners.append(Listener(root))
        return listeners[-1]

    with watching([WatchedFolder("sky", folder, RULE)], listen=listen) as watched:
        watched.listed()
        listeners[0].close()
        watched.offered(put(folder / "a.png"))
        until(lambda: len(listeners) == 2, "another listener")
        until(lambda: watched.watch.state()[0].listings == 2, "a listing for what was missed")
        watched.expect(put(folder / "b.png"), "closed")


def test_a_disk_that_does_not_answer_is_down_and_holds_up_no_other(folder: Path, outside: Path) -> None:
    hanging = threading.Event()

    def listen(root: str) -> Listener:
        if root == str(outside):
            hanging.wait(20)
        return Listener(root)

    cameras = [WatchedFolder("sky", folder, RULE), WatchedFolder("nas", outside, RULE)]
    with watching(cameras, replace(QUICK, patience_s=0.3), listen=listen) as watched:
        try:
            until(lambda: "has not answered" in watched.watch.state()[1].reason, "the hanging disk")
            assert not watched.watch.state()[1].up
            watched.expect(put(folder / "a.png"), "closed")
        finally:
            hanging.set()
        until(lambda: watched.watch.state()[1].up, "the disk answers again")
