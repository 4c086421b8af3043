"""The programs of the station: daemon, Prometheus and broker, all real, and the news that a subscriber hears."""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.parse
import urllib.request
from collections.abc import Callable
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any

from benchmarks.week import rules
from benchmarks.week.clock import Clock
from benchmarks.week.plan import CAMERAS

EVERY = "60s"  # simulated; Prometheus scrapes and evaluates so often


def free_port() -> int:
    with closing(socket.create_server(("127.0.0.1", 0))) as probe:
        return int(probe.getsockname()[1])


def configuration(folder: Path, database: Path, model: Path, pages: str, broker: int) -> str:
    """Give the configuration of the ten cameras, at a place where the Sun stays low and most of the day is dark."""
    lines = [
        f'[database]\nurl = "sqlite:///{database}"\n[server]\nlisten = "{pages}"\n[model]\npath = "{model}"\n',
        f'[events]\nmqtt = "mqtt://127.0.0.1:{broker}/auroramon"\ntimeout_s = 60\n',
    ]
    for name in CAMERAS:
        lines.append(f'[[camera]]\nname = "{name}"\nfolder = "{folder / name}"\n')
        lines.append("latitude = 67.84\nlongitude = 20.41\ncadence_s = 60\n")
        lines.append("disc = { x = 31.5, y = 31.5, radius = 29.0 }\n")
    return "".join(lines)


class Daemon:
    """`auroramon run` on the fast clock, started again whenever it ends, as systemd would."""

    def __init__(self, config: Path, clock: Clock, log: Path, pages: str) -> None:
        self.starts: list[datetime] = []  # simulated
        self.memory: list[tuple[datetime, int, float]] = []  # when, which life, resident MB
        self.surprises: list[str] = []  # ends that nobody asked for
        self.pages = pages
        self._config = config
        self._clock = clock
        self._log = log.open("ab")
        self._ending = False
        self.process = self._start()

    def _start(self) -> subprocess.Popen[bytes]:
        self.starts.append(self._clock.now())
        self._ending = False
        words = (sys.executable, "-m", "auroramon", "run", "-c", str(self._config))
        return subprocess.Popen(words, stderr=self._log, stdin=subprocess.DEVNULL, env=self._clock.environment())

    def tend(self) -> None:
        """Start it again where it has ended, and note its memory."""
        code = self.process.poll()
        if code is not None:
            if not self._ending:
                self.surprises.append(f"ended by itself with {code} at {self._clock.now():%a %H:%M}")
            self.process = self._start()
        with contextlib.suppress(OSError):
            status = Path(f"/proc/{self.process.pid}/status").read_text()
            if found := re.search(r"VmRSS:\s+(\d+) kB", status):
                self.memory.append((self._clock.now(), len(self.starts), int(found[1]) / 1e3))

    def signal(self, number: signal.Signals) -> None:
        self._ending = number in {signal.SIGKILL, signal.SIGTERM}
        self.process.send_signal(number)

    def answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://{self.pages}/metrics", timeout=5) as answer:
                page = answer.read().decode()
        except OSError:
            return False
        return len(re.findall(r"^auroramon_watcher_up\{.*\} 1\.0$", page, re.MULTILINE)) == len(CAMERAS)

    def end(self) -> int:
        """End it in order and give its exit code."""
        self.signal(signal.SIGTERM)
        try:
            return self.process.wait(60)
        finally:
            self.close()

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        self._log.close()


class Prometheus:
    """A real Prometheus with the delivered rules, scaled."""

    def __init__(self, folder: Path, clock: Clock, pages: str) -> None:
        self.clock = clock
        self.address = f"127.0.0.1:{free_port()}"
        self.started = time.time()
        config = rules.write_configuration(folder, clock, EVERY, [pages])
        self._log = (folder / "prometheus.log").open("wb")
        words = (
            "prometheus", "--config.file", config, "--storage.tsdb.path", folder / "tsdb", "--log.level=warn",
            f"--web.listen-address={self.address}", f"--query.lookback-delta={rules.scaled('5m', clock.speed)}",
        )  # fmt: skip
        self.process = subprocess.Popen([*map(str, words)], stdout=self._log, stderr=self._log)

    def ready(self) -> bool:
        assert self.process.poll() is None, Path(self._log.name).read_text()
        try:
            with urllib.request.urlopen(f"http://{self.address}/-/ready", timeout=5) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    def series(self, expr: str, step: str, until: float) -> list[tuple[dict[str, str], list[tuple[datetime, float]]]]:
        """Give every series of an expression from the start on, by simulated time; `step` is simulated."""
        step_s = int(rules.scaled(step, self.clock.speed).removesuffix("ms")) / 1e3
        found: dict[str, tuple[dict[str, str], list[tuple[datetime, float]]]] = {}
        begin = self.started
        while begin < until:
            end = min(until, begin + 10_000 * step_s)
            words = {"query": expr, "start": f"{begin:.3f}", "end": f"{end:.3f}", "step": f"{step_s:.3f}"}
            url = f"http://{self.address}/api/v1/query_range?{urllib.parse.urlencode(words)}"
            with urllib.request.urlopen(url, timeout=120) as answer:
                result: list[dict[str, Any]] = json.load(answer)["data"]["result"]
            for one in result:
                values = found.setdefault(json.dumps(one["metric"], sort_keys=True), (one["metric"], []))[1]
                values += [(self.clock.of_epoch(float(at)), float(value)) for at, value in one["values"]]
            begin = end + step_s
        return list(found.values())

    def close(self) -> None:
        self.process.terminate()
        self.process.wait(60)
        self._log.close()


class Broker:
    """A real mosquitto and a subscriber that stays when it goes."""

    def __init__(self, folder: Path) -> None:
        from paho.mqtt.client import Client
        from paho.mqtt.enums import CallbackAPIVersion

        self.port = free_port()
        self._config = folder / "mosquitto.conf"
        self._config.write_text(f"listener {self.port} 127.0.0.1\nallow_anonymous true\nuser root\n")
        self.heard: list[tuple[str, str, str]] = []  # state, camera, beginning
        self.begin()
        self._client = Client(CallbackAPIVersion.VERSION2)
        self._client.reconnect_delay_set(0.05, 0.2)
        self._client.on_connect = lambda client, *_: client.subscribe("auroramon/#", qos=1)
        self._client.on_message = lambda _client, _data, message: self._hear(json.loads(message.payload))
        self._client.connect("127.0.0.1", self.port)
        self._client.loop_start()

    def _hear(self, news: dict[str, Any]) -> None:
        said = (news["state"], news["camera"], news["begun"])
        if said not in self.heard:  # retained messages come again after each connection
            self.heard.append(said)

    def begin(self) -> None:
        program = shutil.which("mosquitto", path="/usr/sbin:/usr/bin:/usr/local/sbin") or "mosquitto"
        quiet = subprocess.DEVNULL
        self.process = subprocess.Popen([program, "-c", self._config], stdout=quiet, stderr=quiet)
        wait(lambda: _listens(self.port), "the broker listens")

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()

    def close(self) -> None:
        self._client.loop_stop()
        self.stop()


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


def wait(condition: Callable[[], bool], what: str, seconds: float = 300) -> None:
    end, pause = time.monotonic() + seconds, threading.Event()
    while not condition():
        assert time.monotonic() < end, f"not so after {seconds} s: {what}"
        pause.wait(0.02)
