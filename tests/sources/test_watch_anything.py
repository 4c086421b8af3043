"""Whatever happens in a folder: every complete file is offered, and no half-written one
before it stood still (the writer of a new folder's first file cannot be heard)."""

from __future__ import annotations

import os
import shutil
import tempfile
import threading
import time
from dataclasses import dataclass, field
from io import BufferedWriter
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from auroramon.sources.timing import Timing
from auroramon.sources.watch import FolderWatch, WatchedFolder
from tests.sources.conftest import RULE, until

TIMING = Timing(settle_s=0.15, held_s=60.0, reconcile_s=600.0, check_s=0.1, tick_s=0.02)
WHOLE = b"first half, second half"
HALF = len(WHOLE) // 2
FOLDERS = ("", "a", "a/b", "2024/03/10")
STEPS = st.lists(
    st.tuples(
        st.sampled_from(
            ["write", "open", "finish", "rename", "hard", "soft", "bring", "bring folder", "move folder", "delete"]
        ),
        st.integers(0, 7),
        st.sampled_from(FOLDERS),
    ),
    min_size=1,
    max_size=14,
)


@dataclass
class Scene:
    """A watched folder, what lies next to it, and which files somebody still writes to."""

    base: Path
    number: int = 0
    open: dict[Path, BufferedWriter] = field(default_factory=dict)
    written: dict[str, float] = field(default_factory=dict)  # when the first half of a file was complete

    @property
    def folder(self) -> Path:
        return self.base / "frames"

    def new(self, below: str, suffix: str = ".png") -> Path:
        self.number += 1
        path = self.folder / below / f"{self.number}{suffix}"
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def outside(self) -> Path:
        self.number += 1
        path = self.base / "outside" / f"{self.number}"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(WHOLE)
        return path

    def whole(self) -> list[Path]:
        found = [path for path in self.folder.rglob("*.png") if path.is_file()]
        return sorted(path for path in found if path not in self.open and path.stat().st_size == len(WHOLE))

    def step(self, what: str, which: int, below: str) -> None:
        whole, halves = self.whole(), sorted(self.open)
        match what:
            case "write":
                self.new(below).write_bytes(WHOLE)
            case "open":
                path = self.new(below)
                self.open[path] = path.open("wb")
                self.open[path].write(WHOLE[:HALF])
                self.open[path].flush()
                self.written[str(path)] = time.monotonic()
            case "finish" if halves:
                self.finish(halves[which % len(halves)])
            case "rename" if whole:
                whole[which % len(whole)].rename(self.new(below))
            case "hard":
                os.link(self.outside(), self.new(below))
            case "soft":
                self.new(below).symlink_to(self.outside())
            case "bring":
                self.outside().rename(self.new(below))
            case "bring folder":
                source = self.base / "elsewhere" / str(self.number)
                (source / "deep").mkdir(parents=True)
                (source / "deep" / "x.png").write_bytes(WHOLE)
                source.rename(self.new(below, ".night"))
            case "move folder":
                folders = sorted(path for path in self.folder.iterdir() if path.is_dir())
                if folders:
                    self.move(folders[which % len(folders)])
            case "delete" if whole:
                whole[which % len(whole)].unlink()

    def finish(self, path: Path) -> None:
        with self.open.pop(path) as stream:
            stream.write(WHOLE[HALF:])

    def move(self, source: Path) -> None:
        target = self.new("", ".moved")
        source.rename(target)
        for path in [path for path in self.open if source in path.parents]:
            moved = target / path.relative_to(source)
            self.open[moved] = self.open.pop(path)
            self.written[str(moved)] = self.written[str(path)]


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(STEPS)
def test_every_complete_file_is_offered_and_no_half_one_that_did_not_stand_still(
    steps: list[tuple[str, int, str]],
) -> None:
    base = Path(tempfile.mkdtemp())
    scene = Scene(base)
    scene.folder.mkdir()
    stop = threading.Event()
    watch = FolderWatch([WatchedFolder("sky", scene.folder, RULE)], TIMING)
    complete: set[str] = set()
    too_soon: list[str] = []

    def consume() -> None:
        for batch in watch.arrivals(stop):
            # A file of no bytes is told of so that it is known; nobody takes it for complete.
            for file in (arrival.file for arrival in batch if arrival.how != "empty"):
                if file.size == len(WHOLE):
                    complete.add(file.path)
                elif time.monotonic() - scene.written[file.path] < TIMING.settle_s:
                    too_soon.append(file.path)

    thread = threading.Thread(target=consume)
    thread.start()
    try:
        until(lambda: watch.state()[0].listings == 1, "the first listing")
        for step in steps:
            scene.step(*step)
        for path in list(scene.open)[::2]:
            scene.finish(path)
        whole = {str(path) for path in scene.whole()}
        until(lambda: whole <= complete, lambda: f"{whole - complete} after {steps}")
    finally:
        stop.set()
        thread.join(10)
        for stream in scene.open.values():
            stream.close()
        shutil.rmtree(base)
    assert too_soon == []
