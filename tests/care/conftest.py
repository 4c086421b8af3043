"""A database worth caring for, and ways to harm it."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from auroramon.store import open_store
from tests.store.committer import files, outcome
from tests.store.conftest import (  # noqa: F401
    divided_database,
    postgres_database,
    postgres_server,
    sqlite_file,
    store_url,
)
from tests.store.station import NOW, Station

COUNT = 500
LATER = datetime(2026, 2, 1, 12, 0, tzinfo=UTC)


@pytest.fixture(scope="session")
def month(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database of 500 files; each fifth is a copy of the one before it."""
    path = tmp_path_factory.mktemp("month") / "auroramon.db"
    store = open_store(f"sqlite:///{path}")
    station = Station(store)
    for start in range(0, COUNT, 250):
        part = files(COUNT)[start : start + 250]
        store.claim_files(station.run, part, NOW)
        station.commit(*map(outcome, part))
    store.end_run(station.run, NOW)
    store.close()
    return path


@pytest.fixture
def database(month: Path, tmp_path: Path) -> Path:
    """A copy of that database in a folder with a blank in its name."""
    folder = tmp_path / "the state"
    folder.mkdir()
    return Path(shutil.copy(month, folder))


def overwrite_pages(path: Path, first: int = 20, number: int = 30) -> None:
    """Write noise over pages in the middle, as a dying card does."""
    with path.open("r+b") as file:
        file.seek(first * 4096)
        file.write(b"\xa5" * 4096 * number)


def cut_off(path: Path) -> None:
    """Lose the second half."""
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size // 2)


def blank_head(path: Path) -> None:
    """Lose the first page, which says that it is a database."""
    with path.open("r+b") as file:
        file.write(bytes(4096))


HARMS: list[Callable[[Path], None]] = [overwrite_pages, cut_off, blank_head]


def kill_at_work(work: Callable[[int], object], seconds: float) -> None:
    """Have a process of its own work again and again (counting from 0), and kill it with -9 after so long."""
    child = os.fork()
    if child == 0:
        try:
            number = 0
            while True:
                work(number)
                number += 1
        finally:
            os._exit(1)
    time.sleep(seconds)
    os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status), "the work failed before it was killed"


STEPS = {"open", "os.rename", "os.remove", "os.chmod", "os.chown", "sqlite3.connect", "fcntl.lockf"}


def killed_at_step(work: Callable[[], object], step: int) -> bool:
    """Have a process work, and be killed with -9 before this step on files; say whether it came to that."""
    child = os.fork()
    if child == 0:
        left = [step]

        def count(event: str, _: object) -> None:
            if event in STEPS:
                left[0] -= 1
                if left[0] < 0:
                    os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(count)
        code = 1
        try:
            work()
            code = 0
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0, "the work failed before it was killed"
    return os.WIFSIGNALED(status)
