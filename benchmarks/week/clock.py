"""A clock that runs fast: for this program by arithmetic, for the daemon by a library that is loaded before others."""

from __future__ import annotations

import mmap
import os
import shutil
import subprocess
import time
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

SOURCE = Path(__file__).parent / "clock.c"


def compiler() -> str | None:
    """Give the C compiler of this machine, None where there is none."""
    return shutil.which("cc")


def built(folder: Path) -> Path:
    """Compile the library."""
    library = folder / "clock.so"
    cc = compiler()
    assert cc, "a C compiler is needed (apt install gcc)"
    subprocess.run([cc, "-O2", "-shared", "-fPIC", "-o", library, SOURCE, "-ldl", "-lpthread"], check=True)
    return library


def _monotonic_ns() -> int:
    return time.clock_gettime_ns(time.CLOCK_MONOTONIC)


@dataclass(frozen=True)
class Clock:
    """Simulated time. `speed` times as fast as life; what the daemon waits for and measures, `wait_speed` times.

    The two differ because a machine that is asked to live 400 times as fast has 400 times as little time to look after
    its folders and its database. With a twentieth of the speed its pauses last twenty times as long as at a station: it
    notices everything later, never sooner.
    """

    begin: datetime  # simulated, aware UTC
    speed: int
    wait_speed: int
    library: Path
    step_file: Path  # eight bytes: nanoseconds by which the daemon's wall clock was stepped
    anchor_ns: int = field(default_factory=_monotonic_ns)
    anchor_epoch: float = field(default_factory=time.time)  # the same moment by the real wall clock

    def __post_init__(self) -> None:
        self.step_file.write_bytes(bytes(8))

    def now(self) -> datetime:
        return self.at(_monotonic_ns())

    def at(self, monotonic_ns: int) -> datetime:
        return self.begin + timedelta(microseconds=(monotonic_ns - self.anchor_ns) * self.speed / 1000)

    def of_epoch(self, epoch: float) -> datetime:
        """Give the simulated time of a moment of the real wall clock, such as Prometheus's."""
        return self.begin + timedelta(seconds=(epoch - self.anchor_epoch) * self.speed)

    def wait_for(self, moment: datetime) -> None:
        time.sleep(max(0.0, (moment - self.now()).total_seconds() / self.speed))

    def step(self, by: timedelta) -> None:
        """Set the daemon's wall clock wrong by so much, while it runs."""
        with self.step_file.open("r+b") as file, mmap.mmap(file.fileno(), 8) as shared:
            shared[:] = round(by.total_seconds() * 1e9).to_bytes(8, "little", signed=True)

    def environment(self) -> dict[str, str]:
        """Give the environment of a process that lives by this clock."""
        begin = round(self.begin.timestamp() * 1e9)
        return os.environ | {
            "LD_PRELOAD": str(self.library),
            "SIM_CLOCK": f"{begin} {self.anchor_ns} {self.speed} {self.wait_speed}",
            "SIM_CLOCK_STEP": str(self.step_file),
            "TZ": "UTC",
        }
