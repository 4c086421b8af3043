"""One simulated frame, as it travels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from auroramon.sim.camera import SimCamera
from auroramon.types import Disc


@dataclass(frozen=True, slots=True)
class SimFrame:
    """A simulated frame as the camera's file would hold it, with what is true of it."""

    pixels: NDArray[Any]  # (H,W) uint8 or uint16, or (H,W,3) uint8
    label: str  # a class, or `unknown`
    disc: Disc  # the true disc, in pixels of this frame
    camera: SimCamera
    truth: Mapping[str, float]  # measured contrast, Moon altitude, hidden share of the sky, ...
