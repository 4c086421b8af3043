"""A listing that is cut off goes on behind the folders that it had finished, and loses no file."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from auroramon.archive import Archive, Period
from auroramon.backfill import cut
from auroramon.cameras import Cameras
from auroramon.config import CameraSettings
from auroramon.cursor import LONGEST, Cursor
from auroramon.readahead import ReadAhead
from auroramon.sources.arrivals import Problem
from auroramon.store import Store, open_store
from auroramon.store.methods.listings import AT_ONCE
from auroramon.types import DoneFile, FileOutcome, FileStat
from tests.daemon import account, labels, run, wait_until, write_config
from tests.skies import write_png
from tests.store.conftest import divided_database as divided_database  # noqa: PLC0414  fixtures, by their names
from tests.store.conftest import new_postgres_database
from tests.store.conftest import postgres_database as postgres_database  # noqa: PLC0414
from tests.store.conftest import postgres_server as postgres_server  # noqa: PLC0414
from tests.store.conftest import sqlite_file as sqlite_file  # noqa: PLC0414
from tests.store.conftest import store as store  # noqa: PLC0414
from tests.store.conftest import store_url as store_url  # noqa: PLC0414
from tests.store.station import labelled, model_row, record
from tests.tiny import write_tiny_bundle

NOW = datetime(2026, 1, 31, 22, 0, tzinfo=UTC)
FOLDERS, IMAGES = 60, 20  # of the archive that is really killed in

COUNT_LISTINGS = """
import os, sys
if __name__ == "__main__":  # a worker process imports this file too
    log = os.open(sys.argv.pop(1), os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    sys.addaudithook(lambda event, words: event == "os.scandir" and os.write(log, f"{words[0]}\\n".encode()))
    from auroramon.cli import main
    main()
"""


class Call:
    """One call of a backfill that is cut off after some files, without workers: each file is labelled at once."""

    def __init__(self, store: Store, archive: Archive) -> None:
        self.store = store
        self.archive = archive
        self.passed = 0  # files that were not given by the last call, as nothing is left to do for them

    def __call__(self, files: int | None = None) -> list[str]:
        """List and enter files, all or at least so many; give their names as they came."""
        run = self.store.start_run("backfill", NOW)
        model = self.store.register_model(model_row())
        stop = threading.Event()
        cursor = Cursor.begin(self.store, self.archive, model, datetime.now(UTC))
        listing = ReadAhead(self.archive, stop, cursor)
        given: list[str] = []
        self.passed = 0
        for batch in cut(listing):
            claimed = self.store.claim_files(run, batch, NOW, model=model)
            given += [os.path.relpath(file.path, self.archive.paths[0]) for file in batch]
            outcomes = [label(file) for file in claimed.fresh if not file.path.endswith("open.png")]
            self.store.commit(run, outcomes, model=model, source="backfill", now=NOW)
            self.passed += listing.entered(len(given))
            if files is not None and len(given) >= files:
                stop.set()
        self.store.end_run(run, NOW)
        if files is None:
            self.passed += listing.entered(len(given))
            cursor.end()
        assert listing.listed >= len(given) + self.passed
        return given


def label(file: FileStat) -> FileOutcome:
    return labelled(file, record(file.path, time_source="mtime"))  # nobody's duplicate


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Ten nights of a hundred files each, written yesterday."""
    folder = tmp_path / "archive"
    for night in range(10):
        (folder / f"2025/12/{night + 1:02}").mkdir(parents=True)
        for number in range(100):
            (folder / f"2025/12/{night + 1:02}/{number:02}.png").write_bytes(b"1")
    rest(folder)
    return folder


def rest(folder: Path) -> None:
    """Make folders look as if nothing had changed in them since yesterday."""
    yesterday = time.time() - 86400
    for path, _, _ in os.walk(folder):
        os.utime(path, (yesterday, yesterday))


@pytest.fixture
def problems() -> list[Problem]:
    return []


@pytest.fixture
def call(store: Store, root: Path, problems: list[Problem]) -> Call:
    return Call(store, archive_of(root, problems))


def archive_of(root: Path, problems: list[Problem], since: datetime | None = None) -> Archive:
    return Archive([str(root)], Cameras([]), Period(since), problems.append)


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The folders that are read, in their order."""
    folders: list[str] = []
    scandir = os.scandir
    monkeypatch.setattr(os, "scandir", lambda path: folders.append(str(path)) or scandir(path))  # type: ignore[func-returns-value]
    return folders


def nights(read: list[str]) -> list[int]:
    """Give the nights among the folders that were read, and forget these."""
    found = [int(path[-2:]) for path in read if path[-5:-2] == "12/"]
    read.clear()
    return found


def test_what_was_listed_before_the_cut_is_not_read_again_and_every_file_comes(call: Call, read: list[str]) -> None:
    call(files=448)  # seven batches of 64: four nights, and a part of the fifth
    nights(read)
    again = call()
    assert sorted(again) == [f"2025/12/{night:02}/{number:02}.png" for night in range(5, 11) for number in range(100)]
    assert call.passed == 400
    assert nights(read) == [5, 6, 7, 8, 9, 10]
    assert call.store.account().labelled == 1000


def test_a_call_that_ended_begins_anew(call: Call, read: list[str]) -> None:
    call()
    nights(read)
    call()
    assert nights(read) == list(range(1, 11))


def test_a_second_cut_goes_on_behind_the_first(call: Call, read: list[str]) -> None:
    call(files=448)
    call(files=256)
    nights(read)
    assert len(call()) + call.passed == 1000
    assert nights(read) == [7, 8, 9, 10]


def test_a_file_is_done_for_the_models_that_labelled_it(call: Call, root: Path) -> None:
    (root / "2025/12/01/open.png").write_bytes(b"1")
    call()
    other = call.store.register_model(model_row("oath-2"))
    first = call.store.register_model(model_row())
    for model, done in ((first, 100), (other, 0)):
        known = call.store.known_files(f"{root}/2025/12/01", model)
        assert (len(known), sum(isinstance(file, DoneFile) for file in known)) == (101, done)


def test_a_file_added_to_a_folder_behind_the_cut_is_found_at_once(call: Call, root: Path, read: list[str]) -> None:
    call(files=448)
    (root / "2025/12/02/late.png").write_bytes(b"1")
    (root / "2025/12/03/00.png").unlink()
    (root / "2025/12/04/below").mkdir()
    (root / "2025/12/04/below/deep.png").write_bytes(b"1")
    nights(read)
    again = call()
    assert {"2025/12/02/late.png", "2025/12/04/below/deep.png"} <= set(again)
    assert "2025/12/03/00.png" not in again
    assert nights(read)[:3] == [2, 3, 4]


def test_a_file_rewritten_in_place_is_found_by_the_call_after_the_end(call: Call, root: Path) -> None:
    call(files=448)
    (root / "2025/12/02/07.png").write_bytes(b"longer")
    call()
    assert call.store.account().labelled == 1000
    assert size_of(call.store, root, "2025/12/02/07.png") == 1
    call()
    assert size_of(call.store, root, "2025/12/02/07.png") == 6


def size_of(store: Store, root: Path, name: str) -> int:
    folder, _, file = f"{root}/{name}".rpartition("/")
    return next(known.size for known in store.known_files(folder, 1) if known.path.endswith(file))


def test_an_open_file_behind_the_cut_is_looked_at_again(call: Call, root: Path) -> None:
    """It was being written when it was listed, say; only files that are done are taken from the ledger."""
    (root / "2025/12/01/open.png").write_bytes(b"half")
    rest(root)
    call(files=448)
    (root / "2025/12/01/open.png").write_bytes(b"now it is whole")
    call()
    assert size_of(call.store, root, "2025/12/01/open.png") == len(b"now it is whole")


def test_a_folder_that_changed_just_before_it_was_listed_is_read_again(call: Call, root: Path, read: list[str]) -> None:
    os.utime(root / "2025/12/02")
    call(files=448)
    nights(read)
    call()
    assert nights(read) == [2, 5, 6, 7, 8, 9, 10]


def test_a_folder_in_which_something_could_not_be_looked_at_is_read_and_told_of_again(
    call: Call, root: Path, read: list[str], problems: list[Problem]
) -> None:
    (root / "2025/12/02/loop.png").symlink_to("loop.png")
    rest(root)
    call(files=448)
    nights(read)
    problems.clear()
    call()
    assert nights(read) == [2, 5, 6, 7, 8, 9, 10]
    assert [Path(problem.path).name for problem in problems] == ["loop.png"]


def test_another_command_does_not_take_the_cursor_of_this_one(
    call: Call, root: Path, read: list[str], problems: list[Problem]
) -> None:
    call(files=448)
    nights(read)
    Call(call.store, archive_of(root, problems, since=datetime(2025, 1, 1, tzinfo=UTC)))()
    assert nights(read) == list(range(1, 11))
    camera = CameraSettings(name="sky", folder=root, patterns=("*.png",))
    Call(call.store, Archive([str(root)], Cameras([camera]), Period(), problems.append))()
    assert nights(read) == list(range(1, 11))


def test_an_old_note_is_not_believed(call: Call, root: Path, read: list[str]) -> None:
    call(files=448)
    nights(read)
    call.store.forget_listings_before(datetime.now(UTC) + timedelta(days=1) - LONGEST)
    call(files=512)
    assert nights(read)[0] == 5
    call.store.forget_listings_before(datetime.now(UTC) + timedelta(days=1))
    call()
    assert nights(read) == list(range(1, 11))


def test_a_folder_with_more_files_than_one_question_gives_is_recalled_whole(
    call: Call, root: Path, read: list[str]
) -> None:
    for number in range(AT_ONCE + 100):
        (root / f"2025/12/01/more{number}.png").write_bytes(b"1")
    rest(root)
    call(files=AT_ONCE + 384)
    nights(read)
    assert len(set(call())) + call.passed == AT_ONCE + 1100
    assert call.passed >= AT_ONCE + 100
    assert nights(read)[0] > 1


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'labels.db'}"
    return new_postgres_database(request.getfixturevalue("postgres_server"))


@pytest.mark.timeout(300)
def test_a_backfill_that_is_killed_reads_no_finished_folder_again(url: str, tmp_path: Path) -> None:
    tiny = write_tiny_bundle(tmp_path / "tiny").folder
    root = tmp_path / "in"
    for number in range(FOLDERS):
        (root / f"{number:02}").mkdir(parents=True)
        for seed in range(IMAGES):
            write_png(root / f"{number:02}", 1000 * number + seed)
    rest(root)
    config = write_config(tmp_path, tiny, url=url)
    os.utime(root, (0, 0))
    script = tmp_path / "count.py"
    script.write_text(COUNT_LISTINGS)
    words = [sys.executable, str(script), str(tmp_path / "first"), "backfill", str(root), "-c", str(config)]
    process = subprocess.Popen([*words, "--workers", "1"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_until(lambda: len(noted(url)) >= 5 or process.poll() is not None, "some folders are behind", 120)
    finally:
        process.kill()
        process.wait()
    behind = noted(url)
    assert 5 <= len(behind) < FOLDERS, "the archive is too small to be killed in"
    late = write_png(root / "00", 999)
    words[2] = str(tmp_path / "second")
    subprocess.run(words, check=True, capture_output=True, timeout=120)
    read = {os.path.relpath(line, root) for line in (tmp_path / "second").read_text().splitlines() if "/in" in line}
    assert read.isdisjoint(behind - {"00"})
    assert read >= {f"{number:02}" for number in range(FOLDERS)} - behind
    assert "00" in read, "a file has come into it"
    assert noted(url) == set()
    now = account(url)
    assert now is not None
    assert (now.seen, now.labelled) == (FOLDERS * IMAGES + 1, FOLDERS * IMAGES + 1)
    assert (Path(late).name, 0) in labels(url)


def noted(url: str) -> set[str]:
    """Give the folders of pictures that a listing has behind it."""
    if account(url) is None:
        return set()
    with closing(open_store(url, create=False)) as store, store._db.reading() as conn:
        paths = conn.exec_driver_sql("SELECT path FROM listed_folders").scalars()
        return {Path(path).name for path in paths if "/in/" in path}


def test_the_end_of_a_call_leaves_no_note(tmp_path: Path) -> None:
    tiny = write_tiny_bundle(tmp_path / "tiny").folder
    config = write_config(tmp_path, tiny)
    write_png(tmp_path / "in", 1)
    run("backfill", tmp_path / "in", "-c", config)
    assert noted(f"sqlite:///{tmp_path / 'labels.db'}") == set()
