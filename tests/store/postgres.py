"""A PostgreSQL server of the tests' own: its own folder, a free port on loopback, gone afterwards."""

from __future__ import annotations

import getpass
import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path


def find_program(name: str) -> str | None:
    """Look in PATH and where Debian puts the server's programs, newest first."""
    found = shutil.which(name)
    if found:
        return found
    places = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), key=lambda path: float(path.parts[4]))
    return str(places[-1]) if places else None


@contextmanager
def running_server(settings: str = "-c fsync=off -c shared_buffers=16MB") -> Iterator[str]:
    """Start a server and give its URL without a database name; the server refuses to run as root."""
    initdb, pg_ctl = find_program("initdb"), find_program("pg_ctl")
    assert initdb
    assert pg_ctl
    as_user: Sequence[str] = ()
    folder = Path(tempfile.mkdtemp(prefix="auroramon-pg-"))
    user = getpass.getuser()
    if os.geteuid() == 0:
        as_user, user = ("runuser", "-u", "postgres", "--"), "postgres"
        shutil.chown(folder, "postgres")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    data = folder / "data"
    options = f"-p {port} -c listen_addresses=127.0.0.1 -k {folder} {settings}"

    def call(*command: str) -> None:
        done = subprocess.run([*as_user, *command], check=False, capture_output=True, text=True, timeout=60, cwd=folder)
        assert done.returncode == 0, done.stdout + done.stderr

    try:
        call(initdb, "-D", str(data), "-A", "trust", "-U", user, "-E", "UTF8", "--no-sync")
        call(pg_ctl, "-D", str(data), "-w", "-l", str(folder / "log"), "-o", options, "start")
        try:
            yield f"postgresql://{user}@127.0.0.1:{port}"
        finally:
            call(pg_ctl, "-D", str(data), "-w", "-m", "immediate", "stop")
    finally:
        shutil.rmtree(folder)
