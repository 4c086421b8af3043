"""A folder on the way that is closed to the service: a line with its name, never the end of the examination."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from auroramon.sources.entry import closed, is_folder, is_there, nearest
from tests.daemon import get, wait_until
from tests.tiny import write_tiny_bundle


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder that everybody may enter, which pytest's own is not."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


def users(*words: str | Path) -> tuple[str, ...]:
    """Give the command that runs auroramon as somebody for whom permissions count."""
    user = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups") if os.geteuid() == 0 else ()
    return (*user, sys.executable, "-m", "auroramon", *map(str, words))


def as_a_user(*words: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(users(*words), capture_output=True, text=True, timeout=120, check=False)


@pytest.mark.parametrize("shut", ["data", "state"])
def test_a_folder_that_is_closed_further_up(place: Path, shut: str) -> None:
    write_tiny_bundle(place / "tiny")
    for folder in ("data/allsky", "state/auroramon", "cache"):
        (place / folder).mkdir(parents=True)
    (place / "cache").chmod(0o777)
    (place / "state/auroramon").chmod(0o777)
    (place / "auroramon.toml").write_text(
        '[[camera]]\nname = "sky"\nfolder = "data/allsky"\n[model]\npath = "tiny"\n[paths]\ncache = "cache"\n'
        '[database]\nurl = "sqlite:///state/auroramon/labels.db"\n[server]\nlisten = ""\n'
    )
    (place / shut).chmod(0o700 if os.geteuid() == 0 else 0)
    try:
        done = as_a_user("doctor", "--json", "-c", place / "auroramon.toml")
        checked = as_a_user("config", "check", "-c", place / "auroramon.toml")
    finally:
        (place / shut).chmod(0o755)
    lines = json.loads(done.stdout)
    assert {"camera sky", "database", "disk", "unit"} <= {line["about"] for line in lines}
    failures = [line for line in lines if line["level"] == "failure" and line["about"] != "clock"]
    about = {"data": "camera sky", "state": "database"}[shut]
    assert about in {line["about"] for line in failures}, failures
    assert f"may not enter {place / shut}" in failures[0]["sentence"]
    assert failures[0]["remedy"] == f"sudo setfacl -m u:auroramon:x {place / shut}"
    assert (done.returncode, checked.returncode) == (1, 2)
    assert f"may not enter {place / shut}" in checked.stdout
    assert "model: tiny runs" in checked.stdout


def test_the_first_closed_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "a/b/c").mkdir(parents=True)
    (tmp_path / "a/file").touch()

    def may(path: str | Path, how: int) -> bool:
        return os.access(path, how) and "b" not in Path(path).relative_to("/").parts

    assert closed(tmp_path / "a/b/c/d", may) == tmp_path / "a/b"
    assert closed(tmp_path / "a/b", may) is None
    assert closed(tmp_path / "a/none/at/all") is None
    assert closed(tmp_path / "a/file/in/it") is None
    assert (is_there(tmp_path / "a/file"), is_folder(tmp_path / "a/file")) == (True, False)
    assert nearest(tmp_path / "a/none/at/all") == tmp_path / "a"


def test_a_command_that_is_called_from_a_closed_folder_looks_for_its_configuration_elsewhere(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`sudo -u auroramon auroramon doctor`, as docs/install.md says it, begins in the home of whoever calls it."""
    (place / "home").mkdir()
    monkeypatch.chdir(place / "home")
    (place / "home").chmod(0o700 if os.geteuid() == 0 else 0)
    try:
        done = as_a_user("config", "show", "--json")
    finally:
        (place / "home").chmod(0o755)
    assert done.returncode == 0, done.stderr


def test_a_folder_that_is_closed_while_it_is_watched_is_told_of_and_watched_again(place: Path) -> None:
    """Its watch would live on and hear of files that nobody can read, and all would seem well."""
    write_tiny_bundle(place / "tiny")
    (place / "in").mkdir()
    (place / "state").mkdir()
    (place / "state").chmod(0o777)
    config = place / "auroramon.toml"
    config.write_text(
        '[[camera]]\nname = "sky"\nfolder = "in"\n[model]\npath = "tiny"\n[server]\nlisten = "127.0.0.1:0"\n'
        '[database]\nurl = "sqlite:///state/labels.db"\n'
    )
    with subprocess.Popen(users("run", "-c", config), stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr is not None
            pages = next(line for line in process.stderr if "http://" in line).split("http://")[1].split("/")[0]
            wait_until(lambda: get(pages, "/healthz")[0] == 200, "it is watched")
            (place / "in").chmod(0o700 if os.geteuid() == 0 else 0)
            wait_until(lambda: "in cannot be watched: Permission denied" in get(pages, "/healthz")[1], "it is told")
            (place / "in").chmod(0o755)
            wait_until(lambda: get(pages, "/healthz")[0] == 200, "it is watched again")
        finally:
            process.kill()
