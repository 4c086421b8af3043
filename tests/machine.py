"""A machine of its own for the units: the real systemd as first process of its own namespaces.

It sees this machine's programs and a system of its own: /etc, /opt, /run, /var and /data are its private ones, and of
the units of the distribution it knows only empty targets. Its end takes every process in it along.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.conftest import ROOT, missing
from tests.daemon import wait_until

SYSTEMD = Path("/lib/systemd/systemd")
TARGETS = (
    "sysinit", "basic", "multi-user", "timers", "shutdown", "network", "network-online", "local-fs", "remote-fs",
    "time-sync", "emergency", "exit",
)  # fmt: skip

BOOT = """set -e
mount --make-rprivate /
for folder in etc opt var data; do
    mkdir -p $PLACE/$folder.up $PLACE/$folder.work
done
mount -t overlay -o lowerdir=/etc,upperdir=$PLACE/etc.up,workdir=$PLACE/etc.work overlay /etc
mount --bind $PLACE/opt.up /opt
mount --bind $PLACE/var.up /var
mkdir -p /var/lib /var/cache /var/log
mkdir -p /opt/python /opt/auroramon/bin /opt/auroramon/site /opt/auroramon/source
mount --bind $PYTHON /opt/python
mount --bind $SITE /opt/auroramon/site
mount --bind $SOURCE /opt/auroramon/source
cp $PLACE/auroramon /opt/auroramon/bin/
mount -t tmpfs -o mode=755 tmpfs /srv
mkdir -p /srv/allsky /srv/archive
mount -t tmpfs -o mode=755 tmpfs /run
mount -t proc proc /proc
umount -R /sys/fs/cgroup 2>/dev/null || true
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mount --make-rshared / # as on any booted machine: credentials come to services by propagation
export container=test SYSTEMD_UNIT_PATH=$PLACE/targets:/etc/systemd/system SYSTEMD_GENERATOR_PATH=$PLACE/none
exec /lib/systemd/systemd --system --unit=basic.target --log-target=console --log-level=info --show-status=no
"""


@dataclass(frozen=True)
class Machine:
    """A booted machine."""

    pid: int  # of its systemd, as seen from outside
    place: Path  # where its private files lie outside
    log: Path  # what its systemd says

    @property
    def root(self) -> Path:
        """Its files, as seen from outside."""
        return Path(f"/proc/{self.pid}/root")

    @property
    def var(self) -> Path:
        """Its /var by a path that SQLite can follow, which `root` is not."""
        return self.place / "var.up"

    def call(self, *words: str, check: bool = True) -> str:
        """Run a command in it, and give what it prints."""
        done = subprocess.run(
            ["nsenter", "-t", str(self.pid), "-m", "-p", "-C", "--wd=/", *words],
            capture_output=True, text=True, timeout=90, check=False,
        )  # fmt: skip
        assert not check or done.returncode == 0, f"{words}: {done.stdout}{done.stderr}\n{self.log.read_text()[-4000:]}"
        return done.stdout

    def show(self, unit: str, name: str) -> str:
        """Give a property of a unit."""
        return self.call("systemctl", "show", "--value", "-p", name, unit).strip()


@contextmanager
def booted(place: Path) -> Iterator[Machine]:
    """Boot a machine whose private files lie in `place`."""
    if os.geteuid() != 0:
        missing("a systemd of its own needs root")
    if not SYSTEMD.exists() or shutil.which("unshare") is None:
        missing("systemd is not installed (Debian: systemd)")
    (place / "targets").mkdir()
    (place / "none").mkdir()
    for name in TARGETS:
        (place / "targets" / f"{name}.target").write_text("[Unit]\nDefaultDependencies=no\n")
    program = place / "auroramon"
    program.write_text(
        "#!/bin/sh\nexport PYTHONPATH=/opt/auroramon/source:/opt/auroramon/site PYTHONDONTWRITEBYTECODE=1\n"
        "export LD_LIBRARY_PATH=/opt/python/lib\n"
        f'exec /opt/python/bin/python{sys.version_info.major}.{sys.version_info.minor} -m auroramon "$@"\n'
    )
    program.chmod(0o755)
    environ = os.environ | {
        "PLACE": str(place), "PYTHON": sys.base_prefix, "SITE": sysconfig.get_path("purelib"), "SOURCE": str(ROOT),
    }  # fmt: skip
    log = place / "systemd.log"
    command = ["unshare", "--pid", "--mount", "--uts", "--ipc", "--cgroup", "--fork", "--kill-child=KILL"]
    with log.open("wb") as out:
        outside = subprocess.Popen(
            [*command, "bash", "-c", BOOT], stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=environ
        )
    try:
        children = Path(f"/proc/{outside.pid}/task/{outside.pid}/children")
        wait_until(lambda: outside.poll() is not None or bool(children.read_text().split()), "it was started")
        assert outside.poll() is None, log.read_text()
        machine = Machine(int(children.read_text().split()[0]), place, log)
        up = machine.root / "run/systemd/private"
        wait_until(lambda: outside.poll() is not None or up.exists(), "its systemd answers")
        assert outside.poll() is None, log.read_text()
        yield machine
        outside.kill()
        wait_until(lambda: has_ended(machine.pid), "its systemd has ended, and with it every process")
    finally:
        outside.kill()
        outside.wait()


def has_ended(pid: int) -> bool:
    """Say whether a process is gone, or waits only for somebody to take note of its end."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True
