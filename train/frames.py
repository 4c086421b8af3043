"""Labelled frames on disk, as training reads them: grey, unstretched, camera by camera.

A cache folder holds one folder per split and camera with `pixels.npy` (N,H,W) uint16, memory-mapped when read, and
`rows.npz` with what is known of each frame. `index.json` is written last: a folder without it is not finished.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from auroramon.errors import ConfigError
from auroramon.preprocess import ChannelRule, to_grey
from auroramon.types import LABELS, UNKNOWN, Disc

INDEX = "index.json"
TARGETS = (*LABELS, UNKNOWN)
"""Names of the targets: a model's classes, then what it should refuse."""


@dataclass(frozen=True, slots=True, eq=False)
class CameraFrames:
    """The frames of one camera."""

    camera: str
    pixels: NDArray[np.uint16]  # (N,H,W) grey counts; 8-bit frames times 257
    targets: NDArray[np.intp]  # (N,) position in TARGETS
    discs: NDArray[np.float64]  # (N,3) x, y, radius in pixels, as `Disc`
    groups: NDArray[np.intp]  # (N,) frames of one group are neighbours in time: never in two splits


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
        """Give the (H,W) counts and the disc of one frame."""
        for camera in self.cameras:
            if number < len(camera.targets):
                x, y, radius = camera.discs[number].tolist()
                return camera.pixels[number], Disc(x, y, radius, origin="configured")
            number -= len(camera.targets)
        raise IndexError(number)

    def only(self, targets: Sequence[int]) -> NDArray[np.intp]:
        """Give the numbers of the frames that have one of these targets."""
        return np.flatnonzero(np.isin(self.targets, targets))


def grey_counts(pixels: NDArray[Any], rule: ChannelRule) -> NDArray[np.uint16]:
    """Give (H,W) uint16 counts of a frame; 8-bit frames times 257, so that luma keeps its fractions."""
    factor = 257 if pixels.dtype == np.uint8 else 1
    return np.rint(np.asarray(to_grey(pixels, rule)) * np.float32(factor)).astype(np.uint16)


def write_camera(folder: Path, frames: CameraFrames) -> None:
    """Write the frames of one camera, complete or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    np.save(folder / "pixels.npy", frames.pixels)
    scratch = folder / "rows.tmp.npz"
    np.savez(scratch, targets=frames.targets, discs=frames.discs, groups=frames.groups)
    scratch.rename(folder / "rows.npz")


def is_written(folder: Path) -> bool:
    """Say whether `write_camera` came to its end here."""
    return (folder / "rows.npz").exists()


def write_index(folder: Path, description: dict[str, Any]) -> None:
    """Say that the cache is complete, and what it holds."""
    scratch = folder / "index.tmp"
    scratch.write_text(json.dumps(description, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    scratch.rename(folder / INDEX)


def read_index(folder: Path) -> dict[str, Any] | None:
    """Give what the cache holds; None where it is not finished."""
    path = folder / INDEX
    found: dict[str, Any] | None = json.loads(path.read_text(encoding="utf-8")) if path.exists() else None
    return found


def read_split(folder: Path, split: str) -> FrameSet:
    """Open the frames of one split.

    Raises:
        ConfigError: the cache is not there or not finished.
    """
    if read_index(folder) is None:
        raise ConfigError(f"{folder} holds no finished frames: run `python -m train simulate RUN` first")
    return FrameSet(tuple(_read_camera(path) for path in sorted((folder / split).iterdir()) if is_written(path)))


def _read_camera(folder: Path) -> CameraFrames:
    with np.load(folder / "rows.npz", allow_pickle=False) as rows:
        return CameraFrames(
            camera=folder.name,
            pixels=np.load(folder / "pixels.npy", mmap_mode="r", allow_pickle=False),
            targets=rows["targets"],
            discs=rows["discs"],
            groups=rows["groups"],
        )
