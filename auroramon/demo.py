"""A simulated station for `make demo`: a winter night in fast motion, and the real daemon that labels it."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http.client import HTTPConnection, HTTPException
from itertools import islice
from pathlib import Path

import numpy as np

from auroramon.errors import AuroramonError, ConfigError
from auroramon.sim.camera import SimCamera, random_camera
from auroramon.sim.night import night
from auroramon.sim.writers import file_name, write_png
from auroramon.sky import sun_altitude
from auroramon.toml_text import toml_value

LATITUDE, LONGITUDE, SUN_BELOW_DEG = 67.84, 20.41, 12.0  # Kiruna; dark enough for any camera
NOON = datetime(2025, 12, 21, 11, 0, tzinfo=UTC)
CAMERA = "simulated"
SIDE = 256  # pixels of the shorter side of a frame
MOST_A_SECOND = 4  # frames: the eye follows, and two slow cores keep up
LEAST_FRAMES = 12
SHARE = 0.3  # part of a core's time that may go into drawing
PATIENCE_S = 60.0  # for the daemon to start, to catch up, and to stop
_MARK = "# Written by `auroramon demo`, which writes over it."


@dataclass(frozen=True, slots=True)
class DemoFolder:
    """Where a demo keeps what it makes."""

    root: Path
    listen: str  # host:port of the daemon

    @property
    def incoming(self) -> Path:
        return self.root / "incoming"

    @property
    def config(self) -> Path:
        return self.root / "auroramon.toml"

    @property
    def database(self) -> Path:
        return self.root / "auroramon.sqlite"

    @property
    def database_url(self) -> str:
        return f"sqlite:///{self.database}"

    @property
    def log(self) -> Path:
        return self.root / "daemon.log"

    @property
    def picture(self) -> Path:
        return self.root / "occurrence.png"

    @property
    def metrics(self) -> Path:
        return self.root / "metrics.txt"


@dataclass(frozen=True, slots=True)
class Pace:
    """How the night is told."""

    seconds: float  # that it takes
    start: datetime  # dusk, aware UTC
    cadence_s: int  # seconds of the night between frames
    frames: int

    @property
    def hours(self) -> float:
        return self.frames * self.cadence_s / 3600


@dataclass(frozen=True, slots=True)
class Shown:
    """One frame as it was written."""

    path: str
    time: datetime  # start of the exposure, in the night
    label: str  # what was simulated


def prepare(root: Path, pace: Pace) -> DemoFolder:
    """Make the folder of a demo with its configuration; what an earlier demo left there goes.

    Raises:
        ConfigError: the folder holds something else, or cannot be written.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        folder = DemoFolder(root.resolve(), f"127.0.0.1:{free.getsockname()[1]}")
    try:
        if root.exists() and any(root.iterdir()):
            _clear(folder)
        folder.incoming.mkdir(parents=True)
        folder.config.write_text(_configuration(folder, pace), encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{error.filename}: {error.strerror}; name another folder for the demo") from None
    return folder


def _clear(folder: DemoFolder) -> None:
    if not folder.config.is_file() or not folder.config.read_text(encoding="utf-8", errors="replace").startswith(_MARK):
        raise ConfigError(f"{folder.root} holds something that is no demo: name another folder")
    shutil.rmtree(folder.incoming, ignore_errors=True)
    for file in (*(folder.root / f"{folder.database.name}{end}" for end in ("", "-wal", "-shm")), folder.picture):
        file.unlink(missing_ok=True)


def _configuration(folder: DemoFolder, pace: Pace) -> str:
    return "\n".join((
        _MARK, "", "[[camera]]", f"name = {toml_value(CAMERA)}", f"folder = {toml_value(folder.incoming)}",
        f"latitude = {LATITUDE}", f"longitude = {LONGITUDE}", f"cadence_s = {pace.cadence_s}",
        f"sun_below_deg = {SUN_BELOW_DEG}", "", "[database]", f"url = {toml_value(folder.database_url)}", "",
        "[server]", f"listen = {toml_value(folder.listen)}", "",
    ))  # fmt: skip


def station_camera(seed: int, *, white: bool) -> SimCamera:
    """Give a simulated camera; with `white` one that writes grey frames of 16 bits, as most stations have."""
    for number in range(1000):
        camera = random_camera(np.random.default_rng([seed, number]), CAMERA)
        if not white or (camera.band == "white" and camera.style == "raw"):
            return camera
    raise AssertionError("a thousand cameras, and none of the commonest kind")


def choose_pace(seconds: float, camera: SimCamera, seed: int) -> Pace:
    """Fit the night into some seconds: as many frames as this machine can draw beside the daemon, and no more."""
    dusk, dawn = dark_hours()
    few = night(seed, camera, dusk, hours=7, cadence_s=3600, size=SIDE)  # from all parts of the night
    next(few)  # sets the stage, once
    begun = time.perf_counter()
    drawn = sum(1 for _ in few)
    cost = (time.perf_counter() - begun) / drawn
    frames = round(min(max(SHARE * seconds / cost, LEAST_FRAMES), MOST_A_SECOND * seconds))
    cadence = max(1, round((dawn - dusk) / timedelta(seconds=1) / max(frames, 1)))
    return Pace(seconds, dusk, cadence, int((dawn - dusk) / timedelta(seconds=cadence)))


def dark_hours() -> tuple[datetime, datetime]:
    """Give the first and the last minute of the night in which the camera runs."""
    minutes = [NOON + timedelta(minutes=number) for number in range(24 * 60)]
    dark = [minute for minute in minutes if sun_altitude(minute, LATITUDE, LONGITUDE) < -SUN_BELOW_DEG]
    return dark[0], dark[-1]


def play(
    folder: DemoFolder, pace: Pace, camera: SimCamera, seed: int, rest: Callable[[float], None]
) -> Iterator[Shown]:
    """Write the frames of the night, each when it is due; the night breaks off when its seconds are over.

    Args:
        rest: waits so many seconds, and does something useful meanwhile.
    """
    begun = time.monotonic()
    frames = night(seed, camera, pace.start, pace.hours, pace.cadence_s, SIDE)
    for number, (moment, label, frame) in enumerate(islice(frames, pace.frames)):
        due = begun + number * pace.seconds / pace.frames
        rest(0.0)
        while (early := due - time.monotonic()) > 0:
            rest(early)
        path = folder.incoming / file_name(moment, "simu", "demo")
        write_png(path, frame, moment)
        yield Shown(str(path), moment, label)
        if time.monotonic() - begun > pace.seconds:
            break


@contextmanager
def daemon(folder: DemoFolder) -> Iterator[subprocess.Popen[bytes]]:
    """Run the real daemon on the folder; it is stopped by SIGTERM at the end, as systemd would do.

    Raises:
        AuroramonError: it does not start or does not stop.
    """
    # Settings of the user's own station must not reach the demo.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AURORAMON_")}
    words = [sys.executable, "-m", "auroramon", "run", "-c", str(folder.config)]
    with folder.log.open("wb") as log:
        process = subprocess.Popen(words, stdout=log, stderr=log, env=environment, cwd=folder.root)  # noqa: S603
    try:
        _await_answer(folder, process)
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise AuroramonError(f"the daemon did not stop within {PATIENCE_S:.0f} s; see {folder.log}") from None


def _await_answer(folder: DemoFolder, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while process.poll() is None and time.monotonic() < deadline:
        if page(folder, "/healthz"):
            return
        time.sleep(0.05)
    said = folder.log.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-1:] or ["nothing"]
    raise AuroramonError(f"the daemon does not run; it said: {said[0]}; see {folder.log}")


def page(folder: DemoFolder, path: str) -> bytes:
    """Give a page of the daemon; nothing while it does not answer."""
    host, _, port = folder.listen.rpartition(":")
    connection = HTTPConnection(host, int(port), timeout=2.0)
    try:
        connection.request("GET", path)
        return connection.getresponse().read()
    except (OSError, HTTPException):
        return b""
    finally:
        connection.close()
