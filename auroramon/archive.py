"""Which files of an archive a backfill is about, listed ahead of the work."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path, PurePath

import numpy as np

from auroramon.cameras import Cameras
from auroramon.errors import AuroramonError
from auroramon.places import is_remote, out_of_reach, place
from auroramon.ports import StopFlag
from auroramon.readers import read_frames, suffixes
from auroramon.sources.arrivals import ArrivalRule, Problem, Report, printable, unstorable
from auroramon.sources.remote import look_remote, walk_remote
from auroramon.sources.walk import Memory, named_file, walk
from auroramon.sources.watch import Ownership, WatchedFolder, root_of
from auroramon.times import time_of
from auroramon.types import FileStat, RawFrame

NOTHING = np.zeros((0, 0), dtype=np.uint8)

LONGEST_FILE = timedelta(hours=1)
"""No file holds more than an hour: one that begins so much before `since` cannot reach into it."""


@dataclass(frozen=True, slots=True)
class Period:
    """From when to when frames are wanted, aware UTC; None is open."""

    since: datetime | None = None
    until: datetime | None = None

    @property
    def always(self) -> bool:
        return self.since is None and self.until is None

    def holds(self, begin: datetime) -> bool:
        """Say whether a file that begins then can hold a wanted frame."""
        after = self.since is None or begin > self.since - LONGEST_FILE
        return after and (self.until is None or begin < self.until)


def watched_folders(cameras: Cameras, poll: bool | None) -> list[WatchedFolder]:
    """Give the folder of each camera that has one, with the rule for its files."""
    return [
        WatchedFolder(camera.name, camera.folder, ArrivalRule(suffixes(), camera.patterns), poll)
        for camera in cameras.configured
        if camera.folder is not None
    ]


def owner_of_files(cameras: Cameras) -> Callable[[str], str]:
    """Give what says which camera's folder a file lies in, by its name, relative or not; "" where it is nobody's."""
    ownership = Ownership(watched_folders(cameras, None))

    def owner(path: str) -> str:
        return ownership.camera_of(os.path.abspath(path)) or ""  # noqa: PTH100 - as `walk` does

    return owner


@dataclass(frozen=True)
class Archive:
    """Files below some paths: those in a camera's folder by that camera's rule, all others by their format.

    A path may be an address in an object store. What `names` gives is taken as it is, without a look into any folder.
    """

    paths: Sequence[str]
    cameras: Cameras
    period: Period
    report: Report
    names: Iterable[str] = ()  # files, by name or address

    def files(self, stop: StopFlag, memory: Memory | None = None) -> Iterator[FileStat]:
        """List the files, each with its camera where its folder says so; folders that `memory` recalls are not read."""
        folders = watched_folders(self.cameras, None)
        ownership = Ownership(folders)
        roots = tuple(f"{root_of(watched.folder).rstrip('/')}/" for watched in folders)
        readable = ArrivalRule(suffixes())
        for path in self.paths:
            for found in self._below(path, stop, memory):
                camera = ownership.camera_of(found.path)
                elsewhere = camera is None and not found.path.startswith(roots)
                if camera is None and not (elsewhere and readable.wants(PurePath(found.path).name)):
                    if found.path == root_of(Path(path)):
                        self.report(_passed_over(found.path))
                    continue  # no frame by its name, or its camera's patterns leave it out
                file = replace(found, camera=camera) if camera else found
                if self.period.always or self.period.holds(self._begin(file)):
                    yield file
        for name in self.names:
            if stop.is_set():
                return
            named = self._named(name)
            if named is not None:
                file = replace(named, camera=ownership.camera_of(named.path) or "")
                if self.period.always or self.period.holds(self._begin(file)):
                    yield file

    def _below(self, path: str, stop: StopFlag, memory: Memory | None) -> Iterator[FileStat]:
        everything = ArrivalRule(patterns=("*",))  # a camera's patterns may name files of another ending
        since, until = self.period.since, self.period.until
        if is_remote(path):
            return walk_remote(path, everything, stop=stop, report=self.report, since=since, until=until)
        return walk(path, everything, stop=stop, report=self.report, since=since, until=until, memory=memory)

    def _named(self, name: str) -> FileStat | None:
        if problem := unstorable(name):
            self.report(problem)
            return None
        if is_remote(name):
            return look_remote(name, self.report)
        return named_file(name, "", self.report)

    def _begin(self, file: FileStat) -> datetime:
        """Give the time at which a file begins: by its name, else by its first frame, else by its mtime."""
        camera = self.cameras.named(file.camera or "default")
        empty = RawFrame(index=0, pixels=NOTHING)
        by_name = time_of(
            empty, file.path, file.mtime_ns, ("name", "mtime"), camera.time_pattern, camera.utc_offset_hours
        )
        if by_name.source == "name":
            return by_name.time
        try:
            first = next(read_frames(place(file.path)), empty)
        except out_of_reach(AuroramonError):
            first = empty  # it is offered like any other, and the labeller says what is wrong with it
        return time_of(
            first, file.path, file.mtime_ns, camera.time_from, camera.time_pattern, camera.utc_offset_hours
        ).time


def _passed_over(path: str) -> Problem:
    """Say that a file that was named is not taken; in a folder such files are passed over in silence."""
    shown = printable(path)
    why = "its name is that of no format that auroramon reads, or its camera's patterns leave it out"
    return Problem(shown, f"{shown} is passed over: {why}", lost=False)
