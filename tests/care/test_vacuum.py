"""A vacuum needs room twice, and is not begun where that is missing."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from auroramon.care.copies import size_text
from auroramon.care.vacuum import temporary_folder, vacuum
from auroramon.errors import StoreError


def holding(size: float) -> Callable[[Path], int]:
    return lambda _: int(size)


@pytest.fixture
def beside(database: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """SQLite's temporary files go to the disk of the database."""
    monkeypatch.setenv("SQLITE_TMPDIR", str(database.parent))
    return database


def test_on_one_disk_there_must_be_room_for_journal_and_temporary_file(beside: Path) -> None:
    """Measured on a full disk: SQLite fails below twice what the file holds, and never above."""
    size, before = beside.stat().st_size, beside.read_bytes()
    with pytest.raises(
        StoreError, match=r"has room for .* SQLite's temporary file with the journal needs .*SQLITE_TMPDIR"
    ):
        vacuum(beside, holding(2 * size))
    assert beside.read_bytes() == before
    assert vacuum(beside, holding(2.2 * size)).before == size


def test_holes_need_no_room(beside: Path) -> None:
    filled = beside.stat().st_size
    with closing(sqlite3.connect(beside)) as conn:
        conn.execute("CREATE TABLE gone AS SELECT zeroblob(5000000)")
        conn.execute("DROP TABLE gone")
        conn.commit()
    done = vacuum(beside, holding(2.2 * filled))
    assert (done.before > 5_000_000, done.after <= filled) == (True, True)


def test_on_two_disks_each_is_asked_for_its_part(database: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = Path("/dev/shm")  # noqa: S108 - the one other disk that a machine for tests has
    if not other.is_dir() or other.stat().st_dev == database.parent.stat().st_dev:
        pytest.skip("needs /dev/shm on a disk of its own")
    monkeypatch.setenv("SQLITE_TMPDIR", str(other))
    size = database.stat().st_size
    vacuum(database, holding(1.2 * size))
    with pytest.raises(StoreError, match=f"{other} has room for 9 bytes, .* SQLite's temporary file needs"):
        vacuum(database, lambda folder: 9 if folder == other else 10 * size)
    with pytest.raises(StoreError, match=f"{database.parent} has room for 9 bytes, .* the journal needs"):
        vacuum(database, lambda folder: 10 * size if folder == other else 9)


def test_the_folder_for_temporary_files_is_the_one_that_sqlite_takes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SQLITE_TMPDIR", str(tmp_path / "not there"))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    assert temporary_folder() == tmp_path
    (tmp_path / "not there").mkdir()
    assert temporary_folder() == tmp_path / "not there"


@pytest.mark.parametrize(
    ("size", "text"), [(0, "0 bytes"), (999, "999 bytes"), (135_168, "135.2 kB"), (68_000_000, "68.0 MB")]
)
def test_small_files_have_a_size_too(size: int, text: str) -> None:
    assert size_text(size) == text
