"""Starts and ends the real daemon and the real backfill as processes, as a station does."""

from __future__ import annotations

import json
import signal
import sqlite3
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path

from auroramon.store.results import FileAccount
from auroramon.store.store import open_store

AURORAMON = (sys.executable, "-m", "auroramon")


def write_config(folder: Path, model: Path, *, url: str = "", listen: str = "", extra: str = "") -> Path:
    """Write a configuration with one camera `test` that watches `folder`/in."""
    (folder / "in").mkdir(exist_ok=True)
    file = folder / "auroramon.toml"
    url = url or f"sqlite:///{folder}/labels.db"
    file.write_text(
        f'[[camera]]\nname = "test"\nfolder = "{folder}/in"\n[database]\nurl = "{url}"\n'
        f'[server]\nlisten = "{listen}"\n[model]\npath = "{model}"\n[watch]\nsettle_s = 0.2\n{extra}'
    )
    return file


@contextmanager
def daemon(config: Path, environ: Mapping[str, str] | None = None) -> Iterator[subprocess.Popen[bytes]]:
    """Run the daemon; whatever the test did, no process is left."""
    process = subprocess.Popen((*AURORAMON, "run", "-c", str(config)), stderr=subprocess.PIPE, env=environ)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def started(process: subprocess.Popen[bytes]) -> str:
    """Read the log until the daemon says where its pages are, and give their address."""
    for line in process.stderr or ():
        if b"watching" in line:
            return line.decode().split("http://")[1].split("/", maxsplit=1)[0]
    raise AssertionError("the daemon ended before it watched anything")


def stop(process: subprocess.Popen[bytes]) -> str:
    """Ask the daemon to end, expect that it does so in order, and give its log."""
    process.send_signal(signal.SIGTERM)
    _, log = process.communicate(timeout=30)
    assert process.returncode == 0, log.decode()
    return log.decode()


def wait_until(condition: Callable[[], bool], what: str, timeout: float = 60) -> None:
    """Look again until it is so."""
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, f"not so after {timeout} s: {what}"
        time.sleep(0.02)


def account(url: str) -> FileAccount | None:
    """Give the account of a database, None where there is none yet."""
    from auroramon.errors import StoreError

    try:
        store = open_store(url, create=False)
    except StoreError:
        return None
    try:
        return store.account()
    finally:
        store.close()


def settled(url: str, files: int) -> bool:
    """Say whether so many files are known and none of them waits."""
    now = account(url)
    return now is not None and now.seen >= files and now.pending == 0


def works(url: str, pid: int) -> bool:
    """Say whether a run of this process has begun in the SQLite file of this URL."""
    file = Path(url.removeprefix("sqlite:///"))
    if not file.exists():
        return False
    with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True, timeout=30)) as conn:
        begun = "SELECT count(*) FROM runs WHERE pid = ? AND ended IS NULL"
        try:
            return bool(conn.execute(begun, [pid]).fetchone()[0])
        except sqlite3.OperationalError:  # the table is not there yet
            return False


def labels(url: str) -> dict[tuple[str, int], tuple[object, ...]]:
    """Give what the database says of every frame, to the last bit."""
    store = open_store(url, create=False)
    try:
        rows = list(store.labels())
    finally:
        store.close()
    said = {
        (Path(row.path).name, row.frame_index): (
            row.camera, row.time, row.label, row.confidence, row.distance, tuple(row.scores.items()), row.reason,
        )
        for row in rows
    }  # fmt: skip
    assert len(said) == len(rows), "a frame has two labels"
    return said


def get(address: str, page: str) -> tuple[int, str]:
    """Fetch a page of the daemon."""
    try:
        with urllib.request.urlopen(f"http://{address}{page}", timeout=5) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def run(*words: str | Path, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Run one command of auroramon."""
    done = subprocess.run((*AURORAMON, *map(str, words)), capture_output=True, text=True, timeout=120, check=False)
    assert not check or done.returncode == 0, done.stderr
    return done


def status(config: Path) -> dict[str, int]:
    """Give the files of `status --json`."""
    files: dict[str, int] = json.loads(run("status", "--json", "-c", config).stdout)["files"]
    return files
