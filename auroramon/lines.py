"""Frames that are made of lines along their rows or columns, which no sky is: one of the gates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from auroramon.preprocess import Skies

INNER = 0.7
"""Part of the sky's width that is looked at for lines: the largest square in the disc."""

ONE_LINE = 0.1
"""Part of the sky's width on either side of the strongest line that does not count: beneath a bright Moon the charge
of a CCD spills along one column."""

SAME_BEND, SAME_PLACE, ONE_WAY = 0.6, 0.7, 150.0
"""A frame is made of lines where rows (or columns) share this part of their curvature, or of its places, or where the
curvature along one axis is so many times that along the other. Of 2,160 simulated frames of the sky (36 cameras) none
has more than 0.37, 0.44 and 12, of 63 real ones none more than 0.43, 0.15 and 7.2; stripes, test cards and slits come
near 1 where they are not drowned in noise."""

LEAST_BEND = 0.005
"""Curvature (root mean square) over the sky's range: less is the smooth slope of a dawn and its rounding."""

COARSEST_LINES = 64
"""Pixels across the sky. Below this a smooth band along the pixels looks like a line: of 300 synthetic bands 40 were
refused at 32 pixels, none at 96."""


def straight_lines(_frames: Sequence[NDArray[Any]], skies: Skies) -> list[str]:
    """Refuse what is made of lines along rows or columns: read-out stripes, a torn frame, a test card, a slit.

    Nothing in the sky follows the pixels, least of all through a fisheye. Compared are second differences, which know
    nothing of a dawn's slope.
    """
    size = skies.grey.shape[1]
    if size < COARSEST_LINES:
        return [""] * len(skies)
    margin = int(size * (1 - INNER) / 2)
    inner = np.s_[..., margin : size - margin, margin : size - margin]
    low, high = (v.astype(np.float32)[:, None, None] for v in (skies.low, skies.high))
    grey, valid = np.clip(skies.grey[inner], low, high), skies.valid[inner]
    least = LEAST_BEND * (skies.high - skies.low)
    every = np.s_[..., ::2, :]  # every other line tells as much
    columns = _curvature(grey[every], valid[every])
    rows = _curvature(grey.swapaxes(1, 2)[every], valid.T[every])
    found = _lines(np.concatenate([columns, rows], axis=1))
    pairs = zip(found[: len(skies)], found[len(skies) :], least.tolist(), strict=True)
    return [_of_lines(*of_one) for of_one in pairs]


@dataclass(frozen=True, slots=True)
class _Lines:
    """How alike the rows of a picture are in where they bend."""

    bend: float  # part of the curvature along a row that all rows share
    place: float  # part of the variance of its size that comes from the columns alone
    energy: float  # mean square of the curvature


def _of_lines(columns: _Lines | None, rows: _Lines | None, least: float) -> str:
    if columns is None or rows is None or max(columns.energy, rows.energy) < least**2:
        return ""
    for name, found in (("columns", columns), ("rows", rows)):
        if found.bend > SAME_BEND or found.place > SAME_PLACE:
            return f"no sky image: the frame is made of straight lines along its {name}"
    if max(columns.energy, rows.energy) > ONE_WAY * min(columns.energy, rows.energy):
        name = "columns" if columns.energy > rows.energy else "rows"
        return f"no sky image: neighbouring {name} of the frame do not belong together"
    return ""


def _curvature(grey: NDArray[np.float32], valid: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Give of (N,R,W) pictures the curvature along their rows: (3,N,W-2) square of the mean, mean size, mean square."""
    with np.errstate(over="ignore", invalid="ignore"):  # counts beyond 1e18 have no curvature that float32 holds
        bend = grey[:, :, 2:] + grey[:, :, :-2] - 2 * grey[:, :, 1:-1]
        if not valid.all():
            bend = bend * (valid[:, 2:] & valid[:, 1:-1] & valid[:, :-2])
        energy = np.einsum("nij,nij->nj", bend, bend) / np.float32(bend.shape[1])
        return np.stack((bend.mean(axis=1) ** 2, np.abs(bend).mean(axis=1), energy))


def _lines(curvature: NDArray[np.float32]) -> list[_Lines | None]:
    """Say of N pictures how far columns are lines; None where no curvature is left beside the strongest of them."""
    energy = curvature[2]
    columns = energy.shape[1]
    strongest, reach = energy.argmax(axis=1), max(2, int(ONE_LINE / INNER * (columns + 2)))
    kept = np.abs(np.arange(columns) - strongest[:, None]) > reach
    found: list[_Lines | None] = [None] * len(energy)
    count = kept.sum(axis=1)
    for number in {*count.tolist()} - {0}:  # fewer where the strongest lies at the edge
        alike = np.flatnonzero(count == number)
        parts = curvature[:, alike][:, kept[alike]].reshape(3, -1, number)
        means, variances = parts.mean(axis=2).T.tolist(), parts[1].var(axis=1).tolist()
        for k, (shared, size, total), variance in zip(alike.tolist(), means, variances, strict=True):
            spread = total - size**2
            if total > 0:
                found[k] = _Lines(shared / total, variance / spread if spread > 0 else 0.0, total)
    return found
