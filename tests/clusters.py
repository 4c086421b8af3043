"""A Dask cluster for the tests: a scheduler and two workers on loopback, as processes that can be killed."""

from __future__ import annotations

import importlib.util
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests.conftest import ROOT, missing
from tests.daemon import wait_until


@dataclass
class DaskCluster:
    """A scheduler and its workers."""

    address: str
    folder: Path
    scheduler: subprocess.Popen[bytes]
    workers: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def add_worker(self, **environ: str) -> None:
        self.workers.append(_start("worker", self.address, "--nthreads", "1", "--no-nanny", "--no-dashboard",
                                   "--local-directory", str(self.folder), "--death-timeout", "20",
                                   **environ))  # fmt: skip

    def count(self) -> int:
        from distributed import Client

        with Client(self.address, set_as_default=False) as client:
            return len(client.nthreads())


def _start(*words: str, **environ: str) -> subprocess.Popen[bytes]:
    # The tests' own labellers are found by the workers as they are by pytest: from the project's folder.
    return subprocess.Popen(
        (sys.executable, "-m", "distributed.cli.dask_" + words[0], *words[1:]),
        cwd=ROOT, env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"} | environ, stderr=subprocess.DEVNULL,
    )  # fmt: skip


@contextmanager
def running_cluster(folder: Path, workers: int, **environ: str) -> Iterator[DaskCluster]:
    """Start a scheduler and workers, which get `environ` besides; none of them is left at the end."""
    if importlib.util.find_spec("distributed") is None:
        missing("Dask is not installed (pip install 'auroramon[cluster]')")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with ExitStack() as at_end:
        scheduler = _start("scheduler", "--host", "127.0.0.1", "--port", str(port), "--no-dashboard")
        at_end.callback(_end, scheduler)
        cluster = DaskCluster(f"tcp://127.0.0.1:{port}", folder, scheduler)
        at_end.callback(lambda: [_end(worker) for worker in cluster.workers])
        for _ in range(workers):
            cluster.add_worker(**environ)
        wait_until(lambda: _answers(port), "the scheduler answers")
        wait_until(lambda: _joined(cluster) == workers, "every worker has joined")
        yield cluster


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _joined(cluster: DaskCluster) -> int:
    with suppress(OSError):  # a scheduler that has only just begun may drop a client that was let in
        return cluster.count()
    return 0


def _end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()
