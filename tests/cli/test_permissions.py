"""A database that this user may not use is the same mistake in every command: one sentence, exit code 2."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from auroramon.store.store import open_store
from tests.doctor.test_closed import as_a_user, place  # noqa: F401

READING = ["status", "db check", "db backup"]
WRITING = ["db migrate", "db restore", "db recount", "db vacuum", "model promote first"]


@pytest.fixture
def station(place: Path, winter_database: Path) -> Iterator[Path]:  # noqa: F811
    """A configuration whose database lies in the folder `state`."""
    (place / "state").mkdir()
    shutil.copy(winter_database, place / "state/labels.sqlite").chmod(0o644)
    (place / "state").chmod(0o755)
    config = place / "auroramon.toml"
    config.write_text(f'[database]\nurl = "sqlite:///{place}/state/labels.sqlite"\n')
    yield config
    (place / "state").chmod(0o755)


@pytest.mark.parametrize("command", [*READING, "db restore", "db recount"])
def test_a_folder_that_may_not_be_entered(station: Path, command: str) -> None:
    state = station.parent / "state"
    state.chmod(0o700 if os.geteuid() == 0 else 0)
    said = as_a_user(*command.split(), "-c", station)
    assert said.returncode == 2
    assert f"labels.sqlite cannot be reached: this user may not enter {state}; give the permission" in said.stderr


@pytest.mark.parametrize("command", WRITING)
def test_a_file_that_may_only_be_read(station: Path, command: str) -> None:
    if os.geteuid() != 0:
        (station.parent / "state/labels.sqlite").chmod(0o444)
    said = as_a_user(*command.split(), "-c", station)
    assert said.returncode == 2
    assert "labels.sqlite may not be written by this user; give the permission" in said.stderr


def test_who_may_only_read_can_ask_while_the_daemon_runs(station: Path) -> None:
    """SQLite's journal has an index beside the file, which a reader cannot make."""
    database = station.parent / "state/labels.sqlite"
    with closing(open_store(f"sqlite:///{database}")) as store:
        store.account()
        for file in database.parent.iterdir():
            file.chmod(0o444)
        database.parent.chmod(0o555)
        said = as_a_user("labels", "--limit", "1", "-c", station)
        assert said.returncode == 0, said.stderr
        said = as_a_user("events", "-c", station)
        assert said.returncode == 0, said.stderr
        assert "events are as the daemon, or whoever may, last found them" in said.stderr
        database.parent.chmod(0o755)
        database.chmod(0o644)
    database.chmod(0o444)
    database.parent.chmod(0o555)
    said = as_a_user("labels", "--limit", "1", "-c", station)
    assert said.returncode == 1
    assert "a user who may not write it can read it only while the daemon runs" in said.stderr
