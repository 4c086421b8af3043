"""An archive as a stream."""

from __future__ import annotations

import os
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest

from auroramon.sources.arrivals import ArrivalRule, Problem
from auroramon.sources.walk import may_hold, walk
from tests.sources.conftest import RULE, put

DAYS = ["2023/12/31", "2024/01/01", "2024/03/09", "2024/03/10", "2024/03/11", "2024/03/12", "2024/04/01"]


def names(folder: Path, found: list[str]) -> list[str]:
    return [os.path.relpath(path, folder) for path in found]


class Walked:
    def __init__(self, folder: Path | str, rule: ArrivalRule = RULE, **options: object) -> None:
        self.problems: list[Problem] = []
        files = list(walk(folder, rule, stop=threading.Event(), report=self.problems.append, **options))  # type: ignore[arg-type]
        self.files = files
        self.paths = [file.path for file in files]


def test_it_gives_the_same_files_as_a_watch_would(folder: Path, outside: Path) -> None:
    put(folder / "a.png", b"123")
    put(folder / "x" / "y" / "b.pgm.gz")
    put(folder / "notes.txt")
    put(folder / ".hidden" / "c.png")
    os.mkfifo(folder / "pipe.png")
    (folder / "link.png").symlink_to(put(outside / "target.png", b"1"))
    (folder / "dangling.png").symlink_to(outside / "nowhere")
    walked = Walked(folder, camera="sky")
    assert sorted(names(folder, walked.paths)) == ["a.png", "link.png", "x/y/b.pgm.gz"]
    assert {file.camera for file in walked.files} == {"sky"}
    assert next(file.size for file in walked.files if file.path.endswith("a.png")) == 3
    assert walked.problems == []


def test_a_link_to_a_folder_is_reported_and_not_followed(folder: Path) -> None:
    put(folder / "night" / "a.png")
    (folder / "latest").symlink_to(folder / "night")
    (folder / "loop").symlink_to(folder)
    walked = Walked(folder)
    assert names(folder, walked.paths) == ["night/a.png"]
    assert sorted(problem.path for problem in walked.problems) == [f"{folder}/latest", f"{folder}/loop"]


def test_the_archive_itself_may_be_a_link(folder: Path, tmp_path: Path) -> None:
    put(folder / "a.png")
    (tmp_path / "archive").symlink_to(folder)
    assert Walked(tmp_path / "archive").paths == [str(tmp_path / "archive" / "a.png")]


def test_one_file_can_be_named_itself_whatever_it_is_called(folder: Path) -> None:
    walked = Walked(put(folder / "odd.name"), camera="sky")
    assert [(file.path, file.camera) for file in walked.files] == [(str(folder / "odd.name"), "sky")]
    assert walked.problems == []


def test_a_path_that_leads_nowhere_is_reported(folder: Path) -> None:
    os.mkfifo(folder / "pipe.png")
    said = {"gone": "no such file or folder", "pipe.png": "is no regular file"}
    for name, words in said.items():
        walked = Walked(folder / name)
        assert walked.paths == []
        assert words in walked.problems[0].sentence


def test_newest_comes_first_on_request(folder: Path) -> None:
    for day in DAYS:
        for minute in ("0600", "0601"):
            put(folder / day / "ut06" / f"{minute}.pgm.gz")
    walked = Walked(folder, newest_first=True)
    assert names(folder, walked.paths) == [
        f"{day}/ut06/{minute}.pgm.gz" for day in reversed(DAYS) for minute in ("0601", "0600")
    ]
    days = [name[:10] for name in names(folder, Walked(folder).paths)]
    assert days == sorted(days)


def test_folders_of_other_days_are_not_entered(folder: Path) -> None:
    for day in DAYS:
        put(folder / day / "a.png")
        put(folder / day.replace("/", "") / "a.png")
    put(folder / "no date" / "a.png")
    walked = Walked(folder, since=datetime(2024, 3, 11, 6, tzinfo=UTC), until=datetime(2024, 3, 11, 7, tzinfo=UTC))
    kept = ["2024/03/10", "2024/03/11", "2024/03/12", "20240310", "20240311", "20240312", "no date"]
    assert sorted(names(folder, walked.paths)) == [f"{day}/a.png" for day in kept]


@pytest.mark.parametrize(
    ("path", "kept"),
    [
        ("/data/2024", True),  # may be a year, may be anything
        ("/data/2048/03", False),
        ("/data/2024/03", True),
        ("/data/2024/02", False),
        ("/data/2024/13", True),  # no month
        ("/data/2024/03/10", True),
        ("/data/2024/03/09", False),
        ("/data/2024/02/31", True),  # no day
        ("/data/20240309", False),
        ("/data/2024-03-09", False),
        ("/data/2024_03_09", False),
        ("/data/20240309_night", True),
        ("/data/120240309", True),
        ("/data/2024/03/09/gill_themis19", True),  # was decided further up
        ("/data/2024/03/10/gill_themis19/ut22", False),
        ("/data/2024/03/10/gill_themis19/ut23", True),  # an hour of grace
        ("/data/2024/03/20/gill_themis19/ut00", True),
        ("/data/2024/03/20/gill_themis19/ut01", False),
        ("/data/2024/03/20/gill_themis19/ut24", True),  # no hour
        ("/data/2024/03/20/gill/themis19/ut01", True),  # no such layout
    ],
)
def test_only_a_plain_date_keeps_a_folder_out(path: str, kept: bool) -> None:
    since, until = datetime(2024, 3, 11, tzinfo=UTC), datetime(2024, 3, 20, tzinfo=UTC)
    assert may_hold(path, since, until) is kept
    assert may_hold(path, None, None)


def test_it_stops_when_told(folder: Path) -> None:
    for number in range(100):
        put(folder / f"{number}.png")
    stop = threading.Event()
    files = walk(folder, RULE, stop=stop, report=lambda problem: None)
    next(files)
    stop.set()
    assert list(files) == []


def test_names_that_are_no_utf8_are_reported(folder: Path) -> None:
    put(folder / "a.png")
    Path(os.fsdecode(os.fsencode(folder) + b"/\xff.png")).write_bytes(b"1")
    inside = Path(os.fsdecode(os.fsencode(folder) + b"/\xfe"))
    put(inside / "b.png")
    walked = Walked(folder)
    assert names(folder, walked.paths) == ["a.png"]
    assert sorted(problem.path for problem in walked.problems) == [
        f"{folder}/\\udcfe/b.png",
        f"{folder}/\\udcff.png",
    ]


def test_what_vanishes_meanwhile_is_no_problem(folder: Path) -> None:
    for name in "abc":
        put(folder / name / "1.png")
    problems: list[Problem] = []
    files = walk(folder, RULE, stop=threading.Event(), report=problems.append)
    assert next(files).path.endswith("a/1.png")
    (folder / "b" / "1.png").unlink()
    (folder / "b").rmdir()
    assert names(folder, [file.path for file in files]) == ["c/1.png"]
    assert problems == []


def test_a_folder_that_may_not_be_read_is_reported(folder: Path) -> None:
    put(folder / "a.png")
    put(folder / "closed" / "b.png")
    (folder / "closed").chmod(0)
    try:
        problems = _walked_as_nobody(folder) if os.geteuid() == 0 else _sentences(folder)
    finally:
        (folder / "closed").chmod(0o755)
    assert problems == ["a.png", f"{folder}/closed: Permission denied; check its permissions and its disk"]


def _sentences(folder: Path) -> list[str]:
    walked = Walked(folder)
    return names(folder, walked.paths) + [problem.sentence for problem in walked.problems]


def _walked_as_nobody(folder: Path) -> list[str]:
    """Root may read everything, so the walk is done by a child that is not root."""
    for parent in [folder, *folder.parents][:4]:
        parent.chmod(parent.stat().st_mode | 0o055)
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.setuid(65534)
            os.write(writing, "\n".join(_sentences(folder)).encode())
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as stream:
        lines = stream.read().split("\n")
    os.waitpid(child, 0)
    return lines
