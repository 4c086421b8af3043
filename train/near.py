"""The second look of a model that is being made: how near a border it begins, and what it gives."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from auroramon.backends.second_look import look_again
from auroramon.borders import Borders
from auroramon.bundle import SecondLook
from auroramon.heads import Head
from auroramon.preprocess import PreprocessSpec
from train.data import plain_batches
from train.embed import BATCH, Embed
from train.frames import FrameSet

KEPT = 0.999
"""Least part of the frames of the calibration cameras on which int8 gives the label of float32 where it looks again."""

STEPS = 1000
"""Parts of a unit of distance that `near` is told in."""


@dataclass(frozen=True, slots=True, eq=False)
class Served:
    """N embeddings as a graph gives them alone, and as it is served."""

    alone: NDArray[np.float32]  # (N,D)
    served: NDArray[np.float32]  # (N,D)
    twice: NDArray[np.bool_]  # (N,) looked at again


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


def serve(
    quick: Embed, exact: Embed, head: Head, look: SecondLook | None, frames: FrameSet, spec: PreprocessSpec
) -> Served:
    """Embed all frames of a split as serving does.

    Args:
        quick: takes the first look.
        exact: takes the second.
        head: near whose borders there is a second look.
        look: None where the first look counts.
        frames: of the split.
        spec: how frames are prepared.
    """
    borders, alone, found, twice = Borders(head), [], [], []
    for inputs in plain_batches(frames, np.arange(len(frames)), spec, BATCH):
        alone.append(quick(inputs))
        if look is not None:
            looked = look_again(inputs, alone[-1], exact, look, borders)
            found.append(looked.embeddings)
            twice.append(looked.twice)
    first = np.concatenate(alone)
    if look is None:
        return Served(first, first, np.zeros(len(first), dtype=bool))
    return Served(first, np.concatenate(found), np.concatenate(twice))
