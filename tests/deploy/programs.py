"""Real programs of a station, started for a test on loopback and ended with it."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.conftest import missing
from tests.daemon import wait_until


def program(name: str, package: str) -> str:
    """Find a program; skip the test where it is not installed."""
    found = shutil.which(name)
    if found is None:
        missing(f"{name} is not installed (apt install {package})")
    return str(found)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass(frozen=True)
class Prometheus:
    """A running Prometheus."""

    address: str  # host:port

    def query(self, expr: str, time: float | None = None) -> list[dict[str, Any]]:
        """Evaluate an expression at one moment; the error of a wrong one is told."""
        return self._ask("query", {"query": expr} | ({} if time is None else {"time": str(time)}))

    def query_range(self, expr: str, start: float, end: float, step: float) -> list[dict[str, Any]]:
        return self._ask("query_range", {"query": expr, "start": str(start), "end": str(end), "step": str(step)})

    def _ask(self, what: str, parameters: dict[str, str]) -> list[dict[str, Any]]:
        url = f"http://{self.address}/api/v1/{what}?{urllib.parse.urlencode(parameters)}"
        try:
            with urllib.request.urlopen(url, timeout=30) as answer:
                found: list[dict[str, Any]] = json.load(answer)["data"]["result"]
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{parameters['query']}: {error.read().decode()}") from None
        return found

    def ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://{self.address}/-/ready", timeout=5) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False


@contextmanager
def running_prometheus(config: Path, data: Path) -> Iterator[Prometheus]:
    """Start Prometheus on a free port with a configuration and a folder for its data."""
    address = f"127.0.0.1:{free_port()}"
    words = ("--config.file", str(config), "--storage.tsdb.path", str(data), "--web.listen-address", address)
    log = data.parent / f"{data.name}.log"
    with log.open("wb") as written:
        process = subprocess.Popen(
            (program("prometheus", "prometheus"), *words, "--storage.tsdb.retention.time=10y", "--log.level=warn"),
            stdout=written, stderr=written,
        )  # fmt: skip
    try:
        server = Prometheus(address)
        wait_until(lambda: process.poll() is not None or server.ready(), "Prometheus is ready")
        assert process.poll() is None, log.read_text()
        yield server
    finally:
        process.terminate()
        process.wait(30)
