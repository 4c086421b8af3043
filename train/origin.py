"""What the frames of a run are, in the words that reports and cards need."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from auroramon.errors import ConfigError
from train.frames import FrameSet, read_index

SIMULATED_CAMERAS = "Simulated cameras left out of training and calibration"


@dataclass(frozen=True, slots=True)
class Origin:
    """Where the frames of a run come from, and how they were divided."""

    simulated: bool  # whether no camera ever took them
    split: str  # what was held out, in words
    unit: str  # what intervals draw: camera, night or block
    apart: bool  # whether the split promises that no copy or neighbour of a learnt frame is judged
    digest: str  # of frames and split

    @property
    def data(self) -> str:
        """What was trained on and judged by, in words."""
        return f"{'simulated skies' if self.simulated else 'labelled frames'}; judged by: {self.split}"


def origin_of(folder: Path) -> Origin:
    """Give what a folder of frames says of itself.

    Raises:
        ConfigError: it is not there or not finished.
    """
    index = read_index(folder)
    if index is None:
        raise ConfigError(f"{folder} holds no finished frames: run `python -m train simulate RUN` first")
    if index["kind"] == "simulated":
        return Origin(True, SIMULATED_CAMERAS, "camera", apart=True, digest=index["digest"])
    return Origin(index["simulated"], index["split"], index["unit"], index["apart"], index["digest"])


def units_of(frames: FrameSet, unit: str) -> tuple[NDArray[np.intp], tuple[str, ...]]:
    """Give (N,) what belongs together, as positions among names, and the names; a night is one over all its cameras."""
    if unit == "camera":
        cameras = [c.origin or c.camera for c in frames.cameras for _ in range(len(c.targets))]
        names, units = np.unique(cameras, return_inverse=True)
        return units.astype(np.intp), tuple(str(name) for name in names)
    numbers, units = np.unique(np.concatenate([c.groups for c in frames.cameras]), return_inverse=True)
    return units.astype(np.intp), tuple(f"{unit} {number}" for number in numbers)
