"""Relabelling: stopped, killed or run twice, each frame gets its label once."""

from __future__ import annotations

import random
import shutil
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from auroramon.relabel import Relabelled
from auroramon.store import Store, open_store
from auroramon.store.relabel import ALL_FRAMES
from tests.conftest import ROOT
from tests.relabeller import relabelling
from tests.store.station import NOW, Station, stack, stat

FILES, FRAMES = 80, 40


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database of 3,200 frames, labelled by one model."""
    path = tmp_path_factory.mktemp("archive") / "labels.db"
    with closing(open_store(f"sqlite:///{path}")) as store:
        station = Station(store)
        for start in range(0, FILES, 20):
            numbers = range(start, start + 20)
            station.commit(*(stack(stat(f"{n}.pgm", mtime=n), NOW + timedelta(minutes=2 * n), FRAMES) for n in numbers))
        store.end_run(station.run, NOW)
    return path


@pytest.fixture
def path(filled: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy(filled, tmp_path / "labels.db"))


@pytest.fixture
def store(path: Path) -> Iterator[Store]:
    with closing(open_store(f"sqlite:///{path}", busy_timeout_s=0.05)) as opened:
        yield opened


def rows(path: Path) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(path)) as conn:
        return conn.execute("SELECT * FROM labels ORDER BY file_id, frame_index, model_id").fetchall()


def test_old_labels_stay_as_they_are(store: Store, path: Path) -> None:
    before = rows(path)
    told: list[Relabelled] = []
    work = relabelling(store)
    work.progress = told.append
    assert work.work(threading.Event()) == Relabelled(FILES * FRAMES, 0)
    after = rows(path)
    assert [row for row in after if row[2] == 1] == before
    assert len(after) == 2 * len(before)
    assert [done.judged for done in told] == list(range(50, FILES * FRAMES + 1, 50))
    assert relabelling(store).work(threading.Event()) == Relabelled(0, 0)
    assert rows(path) == after


def test_a_stop_ends_it_soon_and_the_next_call_goes_on(store: Store) -> None:
    stop = threading.Event()
    work = relabelling(store)
    work.progress = lambda done: stop.set() if done.judged >= 200 else None
    assert work.work(stop, ALL_FRAMES).judged == 200
    assert relabelling(store).work(threading.Event()).judged == FILES * FRAMES - 200


def test_kills_lose_nothing_and_double_nothing(path: Path, tmp_path: Path, filled: Path) -> None:
    rng = random.Random(20260131)
    for _ in range(3):
        command = [sys.executable, "-m", "tests.relabeller", f"sqlite:///{path}"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as child:
            assert child.stdout
            assert child.stdout.readline() == "started\n"
            time.sleep(rng.uniform(0.0, 0.1))
            child.kill()
    calm = Path(shutil.copy(filled, tmp_path / "calm.db"))
    for database in (path, calm):
        with closing(open_store(f"sqlite:///{database}")) as store:
            relabelling(store).work(threading.Event())
    with closing(sqlite3.connect(path)) as conn:
        assert conn.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    run = 3  # which of the runs wrote a row is all that differs
    assert [row[:run] + row[run + 1 :] for row in rows(path)] == [row[:run] + row[run + 1 :] for row in rows(calm)]


def test_a_locked_database_is_waited_for(store: Store, path: Path) -> None:
    work = relabelling(store)
    other = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    release = threading.Timer(0.3, lambda: other.execute("ROLLBACK"))
    release.start()
    assert work.work(threading.Event()).judged == FILES * FRAMES
    release.join()
    other.close()


def test_a_locked_database_does_not_hold_up_a_stop(store: Store, path: Path) -> None:
    work, stop = relabelling(store), threading.Event()
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    stop.set()
    assert work.work(stop) == Relabelled(0, 0)
    other.close()
