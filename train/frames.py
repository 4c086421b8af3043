"""Labelled frames on disk, as training reads them: unstretched, camera by camera.

A cache folder holds one folder per split and camera with `pixels.npy` (N,H,W) or (N,H,W,3) uint16, memory-mapped when
read, and `rows.npz` with what is known of each frame; the frames of a manifest lie in a pool (`train/pool.py`), and
`rows.npz` says where. `index.json` is written last: a folder without it is not finished.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from auroramon.errors import ConfigError
from auroramon.resample import ChannelRule, to_grey
from auroramon.types import LABELS, UNKNOWN, Disc

INDEX = "index.json"
TARGETS = (*LABELS, UNKNOWN)
"""Names of the targets: a model's classes, then what it should refuse."""

SPLITS_LEARNT = ("train", "heads", "calibrate")
"""Splits that anything is learnt from; `evaluate` is the other."""


@dataclass(frozen=True, slots=True, eq=False)
class CameraFrames:
    """The frames of one camera, or of one block or night of it: what a split keeps together."""

    camera: str
    pixels: NDArray[np.uint16]  # (N,H,W) grey counts, or (N,H,W,3) colours; 8-bit frames times 257
    targets: NDArray[np.intp]  # (N,) position in TARGETS
    discs: NDArray[np.float64]  # (N,3) x, y, radius in pixels, as `Disc`
    groups: NDArray[np.intp]  # (N,) frames of one group are neighbours in time: never in two splits
    taken: NDArray[np.intp] | None = None  # (N,) position in pixels; None: all of them, in their order
    positions: NDArray[np.float64] | None = None  # (N,) grow with time; None: nothing is known
    digests: NDArray[np.uint64] | None = None  # (N,) of the pixels; None: to be worked out
    origin: str = ""  # the camera, where `camera` is a block or night of one
    sun: NDArray[np.float64] | None = None  # (N,) altitude, degrees; NaN where not known; None: nothing is known
    moon: NDArray[np.float64] | None = None  # (N,) the same of the Moon


@dataclass(frozen=True, slots=True, eq=False)
class FrameSet:
    """The frames of one split, addressed by one number."""

    cameras: tuple[CameraFrames, ...]

    def __len__(self) -> int:
        return sum(len(c.targets) for c in self.cameras)

    @property
    def targets(self) -> NDArray[np.intp]:
        """(N,) position in TARGETS."""
        return np.concatenate([c.targets for c in self.cameras])

    @property
    def camera_numbers(self) -> NDArray[np.intp]:
        """(N,) position in cameras."""
        return np.repeat(np.arange(len(self.cameras)), [len(c.targets) for c in self.cameras])

    def frame(self, number: int) -> tuple[NDArray[np.uint16], Disc]:
        """Give the (H,W) or (H,W,3) counts and the disc of one frame."""
        for camera in self.cameras:
            if number < len(camera.targets):
                x, y, radius = camera.discs[number].tolist()
                row = number if camera.taken is None else int(camera.taken[number])
                return camera.pixels[row], Disc(x, y, radius, origin="configured")
            number -= len(camera.targets)
        raise IndexError(number)

    def only(self, targets: Sequence[int]) -> NDArray[np.intp]:
        """Give the numbers of the frames that have one of these targets."""
        return np.flatnonzero(np.isin(self.targets, targets))


def kept_counts(pixels: NDArray[Any], rule: ChannelRule, colour: bool = False) -> NDArray[np.uint16]:
    """Give the uint16 counts of a frame that are kept; 8-bit frames times 257, so that luma keeps its fractions.

    Args:
        pixels: (H,W) or (H,W,3).
        rule: how colour becomes grey.
        colour: whether a frame whose rule is luma stays (H,W,3), for a recipe that looks at colours.
    """
    factor = np.float32(257 if pixels.dtype == np.uint8 else 1)
    plain = pixels if colour and rule == "luma" and pixels.ndim == 3 else np.asarray(to_grey(pixels, rule))
    return np.rint(plain * factor).astype(np.uint16)


def write_camera(folder: Path, frames: CameraFrames) -> None:
    """Write the frames of one camera, complete or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    np.save(folder / "pixels.npy", frames.pixels)
    _write_rows(folder, frames, {"digests": pixel_digests(frames), "sun": frames.sun, "moon": frames.moon})


def refer_to_camera(folder: Path, frames: CameraFrames, store: Path) -> None:
    """Write where the frames of one camera, block or night lie in a store of pixels (`train.pool`)."""
    folder.mkdir(parents=True, exist_ok=True)
    assert frames.taken is not None  # noqa: S101 - or there would be no store
    shape = np.array(frames.pixels.shape[1:])
    beside = os.path.relpath(store, folder)
    _write_rows(folder, frames, {
        "taken": frames.taken, "store": np.array(beside), "shape": shape, "origin": np.array(frames.origin),
        "positions": frames.positions, "digests": pixel_digests(frames), "sun": frames.sun, "moon": frames.moon,
    })  # fmt: skip


def _write_rows(folder: Path, frames: CameraFrames, more: dict[str, Any]) -> None:
    scratch = folder / "rows.tmp.npz"
    more = {name: values for name, values in more.items() if values is not None}
    np.savez(scratch, targets=frames.targets, discs=frames.discs, groups=frames.groups, **more)
    scratch.rename(folder / "rows.npz")


def pixel_digests(frames: CameraFrames) -> NDArray[np.uint64]:
    """Give (N,) digests of the pixels: frames that share one are copies."""
    if frames.digests is not None:
        return frames.digests
    rows = range(len(frames.targets)) if frames.taken is None else frames.taken.tolist()
    return np.array([pixel_digest(frames.pixels[row]) for row in rows], dtype=np.uint64)


def pixel_digest(counts: NDArray[np.uint16]) -> int:
    """Give a digest of a frame's counts."""
    return int.from_bytes(hashlib.blake2b(counts.tobytes(), digest_size=8).digest(), "little")


def is_written(folder: Path) -> bool:
    """Say whether `write_camera` came to its end here."""
    return (folder / "rows.npz").exists()


def write_index(folder: Path, description: dict[str, Any]) -> None:
    """Say that the cache is complete, and what it holds."""
    scratch = folder / "index.tmp"
    scratch.write_text(json.dumps(description, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    scratch.rename(folder / INDEX)


def read_index(folder: Path) -> dict[str, Any] | None:
    """Give what the cache holds; None where it is not finished.

    Raises:
        ConfigError: its index cannot be read.
    """
    path = folder / INDEX
    try:
        found: dict[str, Any] | None = json.loads(path.read_text(encoding="utf-8")) if path.exists() else None
    except ValueError as error:
        raise ConfigError(f"{path} is damaged: remove {folder}, and its frames are made again") from error
    return found


def read_split(folder: Path, split: str) -> FrameSet:
    """Open the frames of one split.

    Raises:
        ConfigError: the cache is not there, not finished or damaged.
    """
    if read_index(folder) is None:
        raise ConfigError(f"{folder} holds no finished frames: run `python -m train simulate RUN` first")
    inside = sorted((folder / split).iterdir()) if (folder / split).is_dir() else []
    try:
        return FrameSet(tuple(_read_camera(path) for path in inside if is_written(path)))
    except (ValueError, OSError, KeyError, BadZipFile) as error:
        raise ConfigError(f"frames in {folder} are damaged ({error}): remove it, and they are made again") from error


def _read_camera(folder: Path) -> CameraFrames:
    with (folder / "rows.npz").open("rb") as file, np.load(file, allow_pickle=False) as rows:
        pixels: NDArray[np.uint16]
        if "store" in rows:
            pixels = np.memmap(folder / str(rows["store"]), np.uint16, "r").reshape(-1, *rows["shape"])
        else:
            pixels = np.load(folder / "pixels.npy", mmap_mode="r", allow_pickle=False)
        return CameraFrames(
            camera=folder.name,
            pixels=pixels,
            targets=rows["targets"],
            discs=rows["discs"],
            groups=rows["groups"],
            taken=rows.get("taken"),
            positions=rows.get("positions"),
            digests=rows.get("digests"),
            origin=str(rows["origin"]) if "origin" in rows else folder.name,
            sun=rows.get("sun"),
            moon=rows.get("moon"),
        )
