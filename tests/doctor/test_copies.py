"""What the doctor says of the copies of the database."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from auroramon.config import Settings
from auroramon.doctor.copies import check_copies
from auroramon.doctor.lines import Line, Machine
from auroramon.doctor.room import Growth, judge_disk, with_copies

NOON = datetime(2026, 2, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)
NAME = "labels-20260201T120000Z.db"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    (tmp_path / "labels.db").touch()
    return Settings(database={"url": f"sqlite:///{tmp_path}/labels.db"})  # type: ignore[arg-type]


def machine(root: Path, now: datetime, timer: dict[str, str] | None = None) -> Machine:
    """Give a machine without systemd, or one whose systemctl is a script that tells this of the timer."""
    if timer is None:
        return Machine(root=root, now=lambda: now)
    (root / "run/systemd/system").mkdir(parents=True, exist_ok=True)
    script = root / "systemctl"
    script.write_text("#!/bin/sh\necho LoadState=loaded\n" + "".join(f"echo '{k}={v}'\n" for k, v in timer.items()))
    script.chmod(0o755)
    return Machine(root=root, now=lambda: now, systemctl=str(script))


def only(lines: object) -> Line:
    (line,) = lines  # type: ignore[misc]
    assert isinstance(line, Line)
    assert bool(line.remedy) == (line.level != "ok")
    return line


ENABLED = {"UnitFileState": "enabled", "LastTriggerUSec": "Sun 2026-02-01 12:03:10 UTC"}


@pytest.mark.parametrize(
    ("copied", "now", "timer", "level", "says"),
    [
        (True, NOON + DAY, None, "ok", "the newest copy (of 1 kept) is 24 hours old and belongs to user"),
        (True, NOON + 3 * DAY, None, "warning", "is 3 days old"),
        (True, NOON + 3 * DAY, ENABLED, "warning", "is 3 days old"),
        (False, NOON, None, "ok", "auroramon db backup makes one"),
        (False, NOON, ENABLED, "warning", "the timer has run, and no copy is in"),
        (False, NOON, ENABLED | {"LastTriggerUSec": ""}, "ok", "the first copy around the next noon"),
        (False, NOON, {"UnitFileState": "disabled"}, "warning", "nobody copies the database"),
    ],
)
def test_the_newest_copy(
    settings: Settings, tmp_path: Path, copied: bool, now: datetime, timer: dict[str, str] | None, level: str, says: str
) -> None:
    if copied:
        (tmp_path / "backups").mkdir()
        (tmp_path / "backups" / NAME).touch()
    line = only(check_copies(settings, machine(tmp_path, now, timer)))
    assert (line.level, says in line.sentence) == (level, True), line


def test_a_folder_that_the_next_copy_cannot_be_written_to(settings: Settings, tmp_path: Path) -> None:
    folder = tmp_path / "backups"
    folder.mkdir()
    (folder / NAME).touch()
    lines = list(check_copies(settings, Machine(root=tmp_path, now=lambda: NOON, may=lambda p, h: h == os.X_OK)))
    assert (lines[0].level, lines[0].sentence) == ("failure", f"{folder} cannot be written by this user")
    assert lines[0].remedy == f"sudo chown -R --reference={tmp_path}/labels.db {folder}"
    assert lines[1].level == "ok"


def test_a_timer_for_a_database_that_a_server_keeps(tmp_path: Path) -> None:
    server = Settings(database={"url": "postgresql:///x"})  # type: ignore[arg-type]
    assert list(check_copies(server, machine(tmp_path, NOON))) == []
    line = only(check_copies(server, machine(tmp_path, NOON, ENABLED)))
    assert (line.level, "disable" in line.remedy, "pg_dump" in line.remedy) == ("warning", True, True)


def test_the_copies_beside_the_database_fill_its_disk_too(settings: Settings, tmp_path: Path) -> None:
    file = tmp_path / "labels.db"
    file.write_bytes(bytes(1000))
    grows = Growth(bytes_a_frame=600.0, frames_a_day=100_000.0)
    assert with_copies(grows, file, settings, machine(tmp_path, NOON)) == grows  # nobody makes any
    (tmp_path / "backups").mkdir()
    (tmp_path / "backups" / NAME).touch()
    kept = with_copies(grows, file, settings, machine(tmp_path, NOON))
    assert (kept.copies, kept.due_bytes, kept.bytes_a_day) == (14, 13 * 1000, 15 * grows.bytes_a_day)
    assert judge_disk(int(50e9), grows, "/var").level == "ok"
    line = judge_disk(int(50e9), kept, "/var")
    assert (line.level, "56 days" in line.sentence, "14 copies" in line.sentence) == ("warning", True, True)
