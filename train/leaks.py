"""The guard: no copy and no neighbour of a frame that was learnt from is judged. Every evaluation reads through it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from auroramon.errors import AuroramonError
from train.blocks import within
from train.frames import SPLITS_LEARNT, CameraFrames, FrameSet, pixel_digests, read_index, read_split


class LeakError(AuroramonError):
    """Frames are judged that the model has as good as seen: the figure would mean nothing."""


@dataclass(frozen=True, slots=True)
class Leaks:
    """How many judged frames the model has as good as seen."""

    frames: int  # judged
    copies: int  # with pixels of a frame that was learnt from
    neighbours: (
        int  # near in time to a frame of the same camera that was learnt from; of its block, where blocks are kept
    )

    @property
    def none(self) -> bool:
        return self.copies == self.neighbours == 0

    def __str__(self) -> str:
        return (
            f"of {self.frames} judged frames {self.copies} are copies and {self.neighbours} neighbours of learnt ones"
        )


def read_judged(folder: Path) -> FrameSet:
    """Open the frames that a model is judged by, if it may be judged by them.

    Raises:
        LeakError: a copy or neighbour of one was learnt from, and the split had promised otherwise.
        ConfigError: there are no finished frames.
    """
    checked_leaks(folder)
    return read_split(folder, "evaluate")


def checked_leaks(folder: Path) -> Leaks:
    """Count what leaks, where some of it may.

    Raises:
        LeakError: a copy or neighbour of a judged frame was learnt from, and the split had promised otherwise.
        ConfigError: there are no finished frames.
    """
    found = count_leaks(folder)
    if not found.none and promises(folder):
        raise LeakError(f"{folder}: {found}, though this split promises none: no figure is given")
    return found


def promises(folder: Path) -> bool:
    """Say whether the frames were divided so that nothing leaks; simulated cameras always are."""
    index = read_index(folder)
    return index is None or bool(index.get("apart", True))


def count_leaks(folder: Path) -> Leaks:
    """Compare the judged frames with all that anything was learnt from: network, head, temperature, threshold."""
    index = read_index(folder) or {}
    listed, apart = index.get("kind") == "manifest", promises(folder)
    judged = read_split(folder, "evaluate")
    learnt = FrameSet(tuple(camera for split in SPLITS_LEARNT for camera in read_split(folder, split).cameras))
    known = np.unique(np.concatenate([pixel_digests(camera) for camera in learnt.cameras]))
    groups = np.unique(np.concatenate([camera.groups for camera in learnt.cameras]))
    names = {camera.camera for camera in learnt.cameras}
    copies, neighbours = 0, 0
    for camera in judged.cameras:
        copies += int(np.isin(pixel_digests(camera), known).sum())
        near = np.zeros(len(camera.targets), dtype=np.bool_)
        if listed:
            near |= _near(camera, learnt, float(index["gap"]))
            near |= apart & np.isin(camera.groups, groups)
        else:
            near |= camera.camera in names
        neighbours += int(near.sum())
    return Leaks(len(judged), copies, neighbours)


def _near(camera: CameraFrames, learnt: FrameSet, gap: float) -> NDArray[np.bool_]:
    """Say which frames are near in time to a learnt one of the same camera."""
    others = [other.positions for other in learnt.cameras if other.origin == camera.origin]
    known = [positions for positions in others if positions is not None]
    if camera.positions is None or not known:
        return np.zeros(len(camera.targets), dtype=np.bool_)
    return within(camera.positions, np.concatenate(known), gap)
