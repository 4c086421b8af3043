"""Folders of frames in the work folder that no run there refers to: sources and skies change, their frames stay.

A run refers to its frames by a note (`frames.txt`) or by the digest in its record; frames of a manifest refer to the
pool that holds their pixels. What is found here can be drawn or read again, but for the frames of a former sky.
"""

from __future__ import annotations

import json
import re
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from auroramon.errors import ConfigError
from train.record import RECORD
from train.runfile import SPLITS
from train.simulate import NOTE

FOLDER = re.compile(r"(frames|pool)-[0-9a-f]{12}(\.removed)?")
"""How this program names such folders; `.removed`: a removal was killed."""

REMOVED = ".removed"
LATELY = 3600.0
"""Seconds: a folder that was written to since then may be one that is being made."""

_OF_FRAMES = re.compile(rf"({'|'.join(SPLITS)})(/[^/]+(/[a-z.]+\.np[yz])?)?|index\.(json|tmp)")
_OF_POOL = re.compile(r"shape-[0-9x]+\.u16|rows\.npz|index\.(json|tmp)")


@dataclass(frozen=True, slots=True)
class Left:
    """A folder of frames that no run refers to."""

    folder: Path
    size: int  # bytes
    written: float  # last, seconds since 1970
    kept: str  # why it is not to be removed; empty where it may go


def unreferred(work: Path, now: float | None = None) -> tuple[Left, ...]:
    """Give the folders of frames in a work folder that none of its runs refers to, by name.

    Args:
        work: the folder.
        now: seconds since 1970; None: the clock's.

    Raises:
        ConfigError: there is no such folder, or it cannot be known what a run refers to.
    """
    if not work.is_dir():
        raise ConfigError(f"{work} is no folder: --work names the one that runs leave theirs in")
    now = time.time() if now is None else now
    found = sorted(path for path in work.iterdir() if FOLDER.fullmatch(path.name) and path.is_dir())
    frames = {name for run in work.iterdir() if run not in found and run.is_dir() for name in _frames_of(run)}
    pools = {name for path in found if path.name in frames for name in _pools_of(path)}
    return tuple(_left(path, now) for path in found if path.name not in frames | pools)


def remove(left: Left) -> None:
    """Remove such a folder; one that is killed meanwhile is no folder of frames any more, and found the next time."""
    if left.kept:
        raise ValueError(f"{left.folder} is to be kept: {left.kept}")
    going = left.folder
    if not going.name.endswith(REMOVED):
        going = going.with_name(going.name + REMOVED)
        if going.exists():  # of a removal that was killed
            shutil.rmtree(going)
        left.folder.rename(going)
    shutil.rmtree(going)


def _frames_of(run: Path) -> Iterator[str]:
    """Give the names of the folders that a run refers to."""
    if (run / NOTE).is_file():
        yield (run / NOTE).read_text(encoding="utf-8").strip()
    if (run / RECORD).is_file():
        try:
            digest = json.loads((run / RECORD).read_text(encoding="utf-8"))["data_digest"]
            yield f"frames-{digest[:12]}"
        except (ValueError, KeyError, TypeError) as error:
            raise ConfigError(f"{run / RECORD} cannot be read, so that it is not known which frames {run.name} has: "
                              f"mend it, or remove that run") from error  # fmt: skip


def _pools_of(frames: Path) -> Iterator[str]:
    """Give the names of the pools that a folder of frames refers to."""
    for path in frames.glob("*/*/rows.npz"):
        with np.load(path, allow_pickle=False) as rows:
            if "store" in rows:
                yield Path(str(rows["store"])).parent.name


def _left(folder: Path, now: float) -> Left:
    paths = [folder, *folder.rglob("*")]
    stats = [path.lstat() for path in paths]
    size = sum(stat.st_size for path, stat in zip(paths, stats, strict=True) if not path.is_dir())
    written = max(stat.st_mtime for stat in stats)
    return Left(folder, size, written, _why_kept(folder, now - written))


def _why_kept(folder: Path, age: float) -> str:
    if folder.is_symlink():
        return "a link"
    if folder.name.endswith(REMOVED):
        return ""
    own = _OF_FRAMES if folder.name.startswith("frames") else _OF_POOL
    inside = (path.relative_to(folder).as_posix() for path in folder.rglob("*"))
    strange = sorted(name for name in inside if not own.fullmatch(name))
    if strange:
        return f"holds {strange[0]}, which is not of this program"
    return "written to within the last hour: a command may be making it" if age < LATELY else ""
