"""Where the Sun and the Moon stood in labelled frames, as far as it is known."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from train.frames import FrameSet


@dataclass(frozen=True, slots=True, eq=False)
class Conditions:
    """Sun and Moon in N frames."""

    sun: NDArray[np.float64]  # (N,) altitude, degrees; NaN where not known
    moon: NDArray[np.float64]  # (N,) altitude, degrees; -90 where no Moon was in the sky; NaN where not known


def unknown_conditions(count: int) -> Conditions:
    """Give the conditions of frames of which nothing is known."""
    return Conditions(np.full(count, np.nan), np.full(count, np.nan))


def conditions_of(frames: FrameSet) -> Conditions:
    """Give the conditions of frames: of a manifest as far as its rows say, of a simulated sky as it was drawn."""

    def known(count: int, given: NDArray[np.float64] | None) -> NDArray[np.float64]:
        return np.full(count, np.nan) if given is None else given

    parts = [(known(len(c.targets), c.sun), known(len(c.targets), c.moon)) for c in frames.cameras]
    return Conditions(np.concatenate([sun for sun, _ in parts]), np.concatenate([moon for _, moon in parts]))
