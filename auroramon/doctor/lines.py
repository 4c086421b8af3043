"""What the doctor says, and what it looks at."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal

from auroramon.care.copies import free_bytes
from auroramon.coordinator import utc_now
from auroramon.sources.answers import Probe
from auroramon.sources.mounts import filesystem_here

Level = Literal["ok", "warning", "failure"]


@dataclass(frozen=True, slots=True)
class Line:
    """One thing that was examined."""

    level: Level
    about: str  # "clock", "camera gill"
    sentence: str  # what was found
    remedy: str = ""  # what to do; empty where nothing is wrong


PATIENCE_S = 3.0


def answers(folder: Path) -> bool:
    """Say whether a folder's file system answers."""
    return Probe(folder).answers(PATIENCE_S)


@dataclass(frozen=True)
class Machine:
    """What the doctor asks; the defaults are this machine."""

    root: Path = Path("/")  # of proc, sys and run
    user: int = os.geteuid()
    now: Callable[[], datetime] = utc_now
    synchronised: Callable[[], bool | None] | None = None  # None: ask the kernel
    systemctl: str = "systemctl"
    answers: Callable[[Path], bool] = answers
    may: Callable[[str | Path, int], bool] = os.access
    filesystem: Callable[[str], str] = filesystem_here
    free: Callable[[Path], int] = free_bytes

    def number(self, setting: str) -> int | None:
        """Give a number of the kernel, such as "fs/inotify/max_user_watches"; None where it has none."""
        try:
            return int((self.root / "proc/sys" / setting).read_text())
        except (OSError, ValueError):
            return None
