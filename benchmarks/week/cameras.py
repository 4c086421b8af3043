"""Ten cameras that write a frame a minute, each in its own manner, and know every name that they ever wrote."""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

from benchmarks.week.frames import Pictures
from benchmarks.week.plan import CAMERAS

Content = Callable[[], bytes]


class Camera:
    """One camera; `folder` may be away while it writes on."""

    def __init__(self, number: int, folder: Path, pictures: Pictures) -> None:
        self.name = CAMERAS[number]
        self.watched = folder / self.name  # by this name its files are known to the daemon
        self.really = self.watched  # where they lie now
        self.names: set[str] = set()  # every path under which a file was to be found when it was complete
        self.frames = 0  # whole files with a frame of their own
        self.broken: list[tuple[str, datetime, bytes]] = []  # half-written, with what they should have held
        self.mood = "quiet"
        self.ahead = timedelta()  # by how much its clock is wrong
        self._pictures = pictures
        self._dice = random.Random(number)
        self._write = (in_place, renamed, in_halves, linked)[(0, 0, 0, 1, 1, 1, 2, 2, 3, 0)[number]]
        self.watched.mkdir()

    def expose(self, now: datetime) -> None:
        """Write the frame of this minute, unless the camera is stopped."""
        if self.mood == "stopped":
            return
        at = now + self.ahead
        name = f"{at:%Y%m%d}/{at:%Y%m%d_%H%M%S}_{self.name}.png"
        content = self._content()
        if self.mood == "empty":
            self._put(name, b"", now)
            return
        if self.mood == "half" and self.frames % 2:
            self.broken.append((name, now, content))
            self._put(name, content[: len(content) // 2], now)
        else:
            self._put(name, content, now)
        self.frames += 1

    def mend(self, most: int, now: datetime) -> int:
        """Write half-written files again, whole."""
        mended, self.broken = self.broken[:most], self.broken[most:]
        for name, _, content in mended:
            in_place(self.really / name, content, now)
        return len(mended)

    def rename(self, most: int) -> int:
        """Give files another name in the same folder; to the daemon they are new files with frames that it knows."""
        files = sorted(self.really.rglob("*.png"))[:most]
        for file in files:
            new = file.with_name(f"{file.stem}_again.png")
            file.rename(new)
            self.names.add(str(self.watched / new.relative_to(self.really)))
        return len(files)

    def rename_day(self, day: datetime) -> int:
        """Give the folder of a day another name."""
        old = self.really / f"{day:%Y%m%d}"
        new = old.rename(old.with_name(f"{old.name}_checked"))
        names = [str(self.watched / file.relative_to(self.really)) for file in new.iterdir()]
        self.names.update(names)
        return len(names)

    def take_away(self) -> None:
        self.really = self.watched.rename(self.watched.with_name(f".{self.name}.away"))

    def bring_back(self) -> None:
        self.really = self.really.rename(self.watched)

    def _content(self) -> bytes:
        if self.mood == "ice":
            return self._pictures.flat
        return self._dice.choice(self._pictures.aurora if self.mood == "aurora" else self._pictures.quiet)

    def _put(self, name: str, content: bytes, now: datetime) -> None:
        file = self.really / name
        file.parent.mkdir(exist_ok=True)
        self._write(file, content, now)
        self.names.add(str(self.watched / name))


def in_place(file: Path, content: bytes, now: datetime) -> None:
    with file.open("wb") as written:
        written.write(content)
        written.flush()
        os.utime(written.fileno(), (now.timestamp(), now.timestamp()))


def in_halves(file: Path, content: bytes, now: datetime) -> None:
    with file.open("wb") as written:
        written.write(content[: len(content) // 2])
        written.flush()
        os.utime(written.fileno(), (now.timestamp(), now.timestamp()))
        written.write(content[len(content) // 2 :])
        written.flush()
        os.utime(written.fileno(), (now.timestamp(), now.timestamp()))


def renamed(file: Path, content: bytes, now: datetime) -> None:
    new = file.with_suffix(".png.tmp")
    in_place(new, content, now)
    new.rename(file)


def linked(file: Path, content: bytes, now: datetime) -> None:
    new = file.with_suffix(".png.part")
    in_place(new, content, now)
    file.hardlink_to(new)
    new.unlink()
