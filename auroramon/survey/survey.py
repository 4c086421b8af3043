"""What a folder holds: its cameras, and what is known of each."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from threading import Event

from auroramon.cameras import Cameras
from auroramon.disc import find_disc
from auroramon.errors import AuroramonError
from auroramon.readers import ending_of, lacking, suffixes
from auroramon.sources.arrivals import ArrivalRule, Problem
from auroramon.sources.walk import walk
from auroramon.survey.division import Group, divided
from auroramon.survey.looks import Look, evenly, first_frame, first_looks, spread
from auroramon.survey.rhythm import neighbours, rhythm
from auroramon.types import Disc, FileStat

MOST_LISTED = 50_000  # files; enough to meet every camera of a station, and listed in seconds
FIRST_LOOKS = 60  # files of which the first frame is read, to find the cameras
DISC_LOOKS = 7  # files of a camera in which the disc is looked for
AGREE = 0.03  # discs are the same if centre and radius differ by less than this part of the radius


@dataclass(frozen=True, slots=True)
class DiscFound:
    """What the search for the disc of sky came to."""

    looked: int  # frames
    found: int  # of them with a disc
    agreed: int  # of them with nearly the same disc
    disc: Disc | None  # the median of those, where most agree


@dataclass(frozen=True, slots=True)
class CameraGuess:
    """One camera as its files show it."""

    name: str
    site: str
    imager: str
    folder: Path
    patterns: tuple[str, ...]
    files: int  # listed
    looks: tuple[Look, ...]  # in the order of their paths
    frames_per_file: int | None  # None: none could be read whole
    cadence_s: float | None
    disc: DiscFound
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Unread:
    """Files of one ending that gave nothing."""

    ending: str  # ".h5"
    files: int  # listed
    extra: str  # the pip extra whose library is missing; "" where that is not the reason
    problem: str  # what was said of the first of them


@dataclass(frozen=True, slots=True)
class Survey:
    """What a folder holds."""

    folder: Path
    listed: int
    complete: bool  # False: there are more files than were listed
    cameras: tuple[CameraGuess, ...]
    problems: tuple[str, ...]  # files that were looked at and gave nothing, as sentences
    unread: tuple[Unread, ...] = ()  # endings of which no file that was looked at gave a frame


def survey(folder: Path) -> Survey:
    """Look into a folder; nothing in it is changed.

    Raises:
        ConfigError: a pattern made here would lead out of the folder (it cannot).
    """
    folder = Path(os.path.abspath(folder))  # noqa: PTH100 - as `run` and `backfill` name files: links are not followed
    problems: list[str] = []
    files, complete = _listed(folder, problems)
    chosen = spread(files, FIRST_LOOKS)
    looks = list(first_looks(chosen, problems))
    cameras = []
    for group in divided(folder, looks):
        rule = ArrivalRule(suffixes(), group.patterns)
        base = str(group.folder) + os.sep
        own = [file for file in files if file.path.startswith(base) and rule.wants(file.path[len(base) :])]
        cameras.append(_guess(group, own))
    unread = tuple(_unread(files, chosen, looks, problems))
    return Survey(folder, len(files), complete, tuple(_distinct(cameras)), tuple(problems), unread)


def _unread(
    files: Sequence[FileStat], chosen: Sequence[FileStat], looks: Sequence[Look], problems: Sequence[str]
) -> Iterator[Unread]:
    """Give the endings of which every file that was looked at gave nothing."""
    listed = Counter(ending_of(file.path) for file in files)
    seen = {ending_of(look.file.path) for look in looks}
    first = {ending_of(file.path): file.path for file in reversed(chosen)}
    for ending in sorted(set(first) - seen):
        name = Path(first[ending]).name
        said = next((problem for problem in problems if name in problem), "gave nothing")
        yield Unread(ending, listed[ending], lacking(ending), said)


def _listed(folder: Path, problems: list[str]) -> tuple[list[FileStat], bool]:
    """List files, in the order of their paths, and say whether these are all."""
    enough = Event()
    files: list[FileStat] = []

    def report(problem: Problem) -> None:
        problems.append(problem.sentence)

    for file in walk(folder, ArrivalRule(suffixes()), stop=enough, report=report):
        files.append(file)
        if len(files) >= MOST_LISTED:
            enough.set()
            break
    return sorted(files, key=lambda file: file.path), not enough.is_set()


def _guess(group: Group, files: Sequence[FileStat]) -> CameraGuess:
    looks = tuple(group.looks)
    first = looks[0]
    names = {look.name for look in looks}
    frames, cadence = rhythm(neighbours(files))
    notes = list(group.notes)
    refused = sum(1 for look in looks if look.gate)
    if refused:
        notes.append(f"{refused} of {len(looks)} frames are no sky image: {next(k.gate for k in looks if k.gate)}")
    return CameraGuess(
        name=Cameras().named(first.name if len(names) == 1 and first.name else group.folder.name).name,
        site=first.site if len(names) == 1 else "",
        imager=first.imager if len(names) == 1 else "",
        folder=group.folder,
        patterns=group.patterns,
        files=len(files),
        looks=looks,
        frames_per_file=frames,
        cadence_s=cadence,
        disc=_common_disc([look.file for look in looks if not look.gate]),
        notes=tuple(notes),
    )


def _common_disc(files: Sequence[FileStat]) -> DiscFound:
    """Look for the disc in several files, and give the one that most of them share."""
    discs, shapes = [], set()
    looked = evenly(files, DISC_LOOKS)
    for file in looked:
        try:
            raw = first_frame(file)
        except (AuroramonError, OSError):
            continue
        shapes.add(raw.pixels.shape[:2])
        disc = find_disc(raw.pixels, raw.pixel_aspect)
        if disc.origin == "found":
            discs.append(disc)
    if not discs:
        return DiscFound(len(looked), 0, 0, None)
    x, y, radius = (median(getattr(disc, name) for disc in discs) for name in ("x", "y", "radius"))
    near = AGREE * radius
    agreed = [d for d in discs if max(abs(d.x - x), abs(d.y - y), abs(d.radius - radius)) <= near]
    sure = len(shapes) == 1 and len(agreed) >= 3 and len(agreed) > 0.6 * len(looked)
    usual = Disc(round(x, 1), round(y, 1), round(radius, 1), "configured") if sure else None
    return DiscFound(len(looked), len(discs), len(agreed), usual)


def _distinct(cameras: Sequence[CameraGuess]) -> Iterator[CameraGuess]:
    """Give cameras with names of their own."""
    taken: Counter[str] = Counter()
    for camera in cameras:
        taken[camera.name] += 1
        number = taken[camera.name]
        yield camera if number == 1 else replace(camera, name=f"{camera.name}-{number}")
