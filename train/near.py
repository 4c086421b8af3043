"""How near a border of the head float32 must look again at what int8 embedded, and what that gives."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from auroramon.borders import Borders
from auroramon.heads import Head

KEPT = 0.999
"""Least part of the frames of the calibration cameras on which int8 with its second look gives the label of float32."""

STEPS = 1000
"""Parts of a unit of distance that `near` is told in."""


@dataclass(frozen=True, slots=True, eq=False)
class Served:
    """What a head makes of N frames whose embeddings come from int8 with a second look by float32."""

    same: NDArray[np.bool_]  # (N,) the label is that of float32
    twice: NDArray[np.bool_]  # (N,) float32 looked again


def measure_near(head: Head, exact: NDArray[np.float32], quick: NDArray[np.float32]) -> float:
    """Give how near is near, in units of the head's distance.

    It is what float32 takes, at most, from the room that int8 leaves to its label, on `KEPT` of the frames: only where
    float32 takes more than all the room does it give another label, so where the room is larger, the label is kept on
    as many frames. Every frame tells of this, not only the few whose label changes.

    Args:
        head: with a threshold.
        exact: (N,D) embeddings by float32 of frames of the calibration cameras, those that are no sky too.
        quick: (N,D) embeddings by int8 of the same frames.
    """
    borders = Borders(head)
    taken = borders.room(quick) - borders.room(exact, borders.said(quick))
    taken = np.where(np.isnan(taken), 0, taken)  # float32 looks again at what is no number, however near is near
    most = float(np.quantile(taken, KEPT, method="higher"))
    return max(0, math.ceil(most * STEPS)) / STEPS


def served(head: Head, exact: NDArray[np.float32], quick: NDArray[np.float32], near: float) -> Served:
    """Say how int8 with a second look does on (N,D) embeddings by both graphs."""
    borders = Borders(head)
    twice = ~(borders.room(quick) > near)
    return Served(twice | (borders.said(quick) == borders.said(exact)), twice)
