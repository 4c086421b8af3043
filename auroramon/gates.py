"""What is refused before the network sees it: no sky, no light, too much light, straight lines, or the Sun is up.

A network gives its best guess for anything (a spectrograph was once an arc at 81 %), so frames that cannot be judged
get the label `unknown` and one of the reasons below. A reason begins with its kind, a colon follows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from auroramon.preprocess import Sky, square_size

LARGEST_ASPECT = 2.0
"""Longer over shorter side in square pixels. Sky cameras reach 1.78 (16:9 video); the TREx spectrograph has 4."""

SMALLEST_SIDE = 32
"""Pixels. Half of the coarsest camera in use (64 pixels); below this an arc is no wider than a pixel."""

SATURATED_PART = 0.5
"""Part of the sky within a hundredth of its range of the highest value: a lamp, or the Sun. The most of any real frame
with a visible sky is 0.37 (NASCAM under bright cloud), of 5,760 simulated ones 0.24."""

NEAR_TOP = 0.01
"""Part of the sky's range below the highest value that still counts as saturated: noise and JPEG blur the edge."""

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

BLOCKS = 16
"""The sky is compared by blocks, 16 across: pixel noise averages out in them, even faint sky does not."""

LEAST_STRUCTURE = 4.0
"""Spread of the blocks (5 to 95 %) over the median step between neighbouring pixels. For inputs of 64 to 224 pixels
pure noise has 0.4-1.5, a real closed shutter 1.9-2.8, and the faintest real sky 7.6 or more."""

SAMPLES = 128
"""Pixels across the shorter side that the whole frame is judged by."""

LEAST_COUNTS = 1.0
"""Spread of the blocks in counts of an integer frame: less than one step of the camera is no picture."""


def shape(pixels: NDArray[Any], pixel_aspect: float) -> str:
    """Say that this is no sky image by its shape alone, or '' where it may be one.

    Args:
        pixels: (H,W) or (H,W,3).
        pixel_aspect: width / height of a pixel.
    """
    height, width = pixels.shape[:2]
    if min(height, width) < SMALLEST_SIDE:
        return f"too small: {width}x{height} pixels show no sky"
    square = square_size(pixels.shape, pixel_aspect)
    aspect = max(square) / min(square)
    if aspect > LARGEST_ASPECT:
        return f"no sky image: {width}x{height} pixels are {aspect:.1f}:1, a sky is at most {LARGEST_ASPECT:g}:1"
    return ""


def refuse(pixels: NDArray[Any], sky: Sky) -> str:
    """Say why the sky of this frame cannot be judged, or '' where it can.

    Args:
        pixels: (H,W) or (H,W,3), native counts: only their number type is looked at.
        sky: what `extract_sky` cut out of them.
    """
    values = sky.grey[sky.valid]
    if not values.size:
        return "no sky: disc and mask leave nothing of the frame"
    bad = values.size - int(np.isfinite(values).sum())
    if bad:
        return f"not finite: {bad / values.size:.1%} of the sky has no number"
    low, high = float(values.min()), float(values.max())
    if high - low <= 1e-5 * max(abs(high), abs(low)):
        return f"flat: every pixel of the sky is {high:g}"
    part = float(np.mean(values >= high - NEAR_TOP * (high - low)))
    if part > SATURATED_PART:
        return f"saturated: {part:.0%} of the sky is {high:g}"
    return _no_light(pixels, sky) or _straight_lines(sky)


def daylight(sun_altitude: float, sun_below_deg: float) -> str:
    """Say that the Sun is too high, or '' where it is low enough; both angles in degrees."""
    limit = 0.0 - sun_below_deg
    if sun_altitude <= limit:
        return ""
    return f"daylight: the Sun is at {sun_altitude:.1f}°, frames count while it is below {limit:.1f}°"


def _no_light(pixels: NDArray[Any], sky: Sky) -> str:
    """Refuse noise without a picture: a closed shutter, a covered lens, a camera that is switched off."""
    spread, noise = _structure(sky.grey, sky.valid)
    counts = pixels.dtype.kind in "iu"
    if counts and spread < LEAST_COUNTS:
        return f"no light: the sky varies by {spread:.2g} counts (is the shutter closed?)"
    if spread < LEAST_STRUCTURE * noise and _frame_is_noise(pixels):
        return f"no light: the sky varies by {spread:.3g} with a noise of {noise:.3g} (is the shutter closed?)"
    return ""


def _structure(grey: NDArray[np.float32], valid: NDArray[np.bool_]) -> tuple[float, float]:
    """Give the spread of the blocks that are valid all over, and the usual step between neighbouring pixels.

    Where there are too few such blocks to compare, the spread is infinite.
    """
    high, wide = grey.shape[0] // BLOCKS, grey.shape[1] // BLOCKS
    cut = np.s_[: high * BLOCKS, : wide * BLOCKS]
    parts = (BLOCKS, high, BLOCKS, wide)
    # One axis after the other: NumPy is several times as slow over both at once.
    both = np.logical_and.reduce
    full = both(both(valid[cut].reshape(parts), axis=1), axis=2) if high and wide else np.zeros(0, dtype=np.bool_)
    if full.sum() < BLOCKS:
        return float("inf"), 0.0
    blocks = np.sort(grey[cut].reshape(parts).mean(axis=1).mean(axis=2)[full])
    spread = blocks[int(0.95 * (blocks.size - 1))] - blocks[int(0.05 * (blocks.size - 1))]
    rows, seen = grey[::4], valid[::4]  # a quarter of the pixels gives the same median
    return float(spread), float(np.median(np.abs(rows[:, 1:] - rows[:, :-1])[seen[:, 1:] & seen[:, :-1]]))


def _straight_lines(sky: Sky) -> str:
    """Refuse what is made of lines along rows or columns: read-out stripes, a torn frame, a test card, a slit.

    Nothing in the sky follows the pixels, least of all through a fisheye. Compared are second differences, which know
    nothing of a dawn's slope.
    """
    if sky.grey.shape[0] < COARSEST_LINES:
        return ""
    margin = int(sky.grey.shape[0] * (1 - INNER) / 2)
    inner = np.s_[margin : sky.grey.shape[0] - margin, margin : sky.grey.shape[1] - margin]
    grey, valid = np.clip(sky.grey[inner], np.float32(sky.low), np.float32(sky.high)), sky.valid[inner]
    columns, rows = _lines(grey[::2], valid[::2]), _lines(grey.T[::2], valid.T[::2])  # every other line tells as much
    least = LEAST_BEND * (sky.high - sky.low)
    if columns is None or rows is None or max(columns.energy, rows.energy) < least**2:
        return ""
    for name, found in (("columns", columns), ("rows", rows)):
        if found.bend > SAME_BEND or found.place > SAME_PLACE:
            return f"no sky image: the frame is made of straight lines along its {name}"
    if max(columns.energy, rows.energy) > ONE_WAY * min(columns.energy, rows.energy):
        name = "columns" if columns.energy > rows.energy else "rows"
        return f"no sky image: neighbouring {name} of the frame do not belong together"
    return ""


@dataclass(frozen=True, slots=True)
class _Lines:
    """How alike the rows of a picture are in where they bend."""

    bend: float  # part of the curvature along a row that all rows share
    place: float  # part of the variance of its size that comes from the columns alone
    energy: float  # mean square of the curvature


def _lines(grey: NDArray[np.float32], valid: NDArray[np.bool_]) -> _Lines | None:
    """Say how far columns are lines; None where no curvature is left beside the strongest of them."""
    bend = grey[:, 2:] + grey[:, :-2] - 2 * grey[:, 1:-1]
    if not valid.all():
        bend = bend * (valid[:, 2:] & valid[:, 1:-1] & valid[:, :-2])
    energy = np.einsum("ij,ij->j", bend, bend) / np.float32(len(bend))
    strongest, reach = int(energy.argmax()), max(2, int(ONE_LINE / INNER * grey.shape[1]))
    kept = np.ones(len(energy), dtype=np.bool_)
    kept[max(0, strongest - reach) : strongest + reach + 1] = False
    total = float(energy[kept].mean()) if kept.any() else 0.0
    if not total > 0:
        return None
    shared = float((bend.mean(axis=0)[kept] ** 2).mean()) / total
    size = np.abs(bend).mean(axis=0)[kept]
    spread = total - float(size.mean()) ** 2
    return _Lines(shared, float(size.var()) / spread if spread > 0 else 0.0, total)


def _frame_is_noise(pixels: NDArray[Any]) -> bool:
    """Say that not even the edge of the sky shows: a noisy camera under a clear sky still has a dark surrounding."""
    step = max(1, min(pixels.shape[:2]) // SAMPLES)
    thin = pixels[::step, ::step].astype(np.float32)
    grey = thin if thin.ndim == 2 else thin[..., 0] + thin[..., 1] + thin[..., 2]
    spread, noise = _structure(grey, np.isfinite(grey))
    return spread < LEAST_STRUCTURE * noise
