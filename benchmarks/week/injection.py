"""Does to the station what the plan says, and undoes it."""

from __future__ import annotations

import os
import signal
import sqlite3
from contextlib import closing, suppress
from datetime import datetime, timedelta
from pathlib import Path

from benchmarks.week.cameras import Camera
from benchmarks.week.clock import Clock
from benchmarks.week.plan import Fault
from benchmarks.week.station import Broker, Daemon

MOODS = {"half": "half", "empty": "empty", "aurora": "aurora", "ice": "ice", "stop": "stopped"}


class Injection:
    """Begins and ends faults. Each is undone by what it returned to `undo`."""

    def __init__(
        self,
        cameras: dict[str, Camera],
        daemon: Daemon,
        broker: Broker,
        clock: Clock,
        database: Path,
        configurations: tuple[Path, str],
    ) -> None:
        self.said: list[str] = []  # what was done, in figures
        self._cameras = cameras
        self._daemon = daemon
        self._broker = broker
        self._clock = clock
        self._database = database
        self._config, self._other = configurations  # the file, and what a reload shall find in it
        self._holder: sqlite3.Connection | None = None
        self._ballast = database.parent / "ballast"

    def begin(self, fault: Fault, now: datetime) -> None:
        self._act(fault, now, fault.kind)

    def end(self, fault: Fault, now: datetime) -> None:
        self._act(fault, now, f"end {fault.kind}")

    def _act(self, fault: Fault, now: datetime, what: str) -> None:
        for name in fault.cameras:
            self._at_camera(self._cameras[name], what, now)
        match what:
            case "lock":
                self._holder = sqlite3.connect(self._database, isolation_level=None, timeout=30)
                self._holder.execute("BEGIN IMMEDIATE")
            case "end lock" if self._holder is not None:
                self._holder.rollback()
                self._holder.close()
            case "disk":
                self._fill()
            case "end disk":
                self._ballast.unlink()
            case "broker":
                self._broker.stop()
            case "end broker":
                self._broker.begin()
            case _:
                self._at_daemon(what)

    def _at_daemon(self, what: str) -> None:
        match what:
            case "clock_back":
                self._clock.step(-timedelta(minutes=40))
            case "clock_ahead":
                self._clock.step(timedelta(hours=1))
            case "end clock_back" | "end clock_ahead":
                self._clock.step(timedelta())
            case "hup_wrong":
                self._reload("[model]\nno_such_key = 1\n")
            case "hup":
                self._reload(self._other)
            case "kill":
                self._daemon.signal(signal.SIGKILL)
            case "term":
                self._daemon.signal(signal.SIGTERM)

    def _at_camera(self, camera: Camera, what: str, now: datetime) -> None:
        kind = what.removeprefix("end ")
        if kind in MOODS:
            camera.mood = "quiet" if what.startswith("end ") else MOODS[kind]
        match what:
            case "mend":
                self.said.append(f"{camera.mend(10, now)} half-written files of {camera.name} were written again")
            case "rename":
                self.said.append(f"{camera.rename(60)} files of {camera.name} were renamed")
            case "rename_day":
                day = now - timedelta(days=1)
                self.said.append(f"{camera.rename_day(day)} files of {camera.name} were renamed with their folder")
            case "away":
                camera.take_away()
            case "end away":
                camera.bring_back()
            case "camera_clock":
                camera.ahead = timedelta(seconds=3607)
            case "end camera_clock":
                camera.ahead = timedelta()

    def _reload(self, text: str) -> None:
        self._config.write_text(text)
        self._daemon.signal(signal.SIGHUP)

    def _fill(self) -> None:
        """Leave not a byte on the disk of the database."""
        disk = os.statvfs(self._ballast.parent)
        # The daemon may take of the last pages meanwhile: then the disk is full as well.
        with self._ballast.open("wb") as file, suppress(OSError):
            os.posix_fallocate(file.fileno(), 0, disk.f_bavail * disk.f_frsize)
        with self._ballast.open("ab", buffering=0) as file, suppress(OSError):
            while file.write(bytes(4096)):
                pass
        with closing(sqlite3.connect(self._database, timeout=5)) as db:
            self.said.append(
                f"the disk of the database was full at {db.execute('PRAGMA page_count').fetchone()[0]} pages"
            )
