"""What is refused before the network sees it: no sky, no light, too much light, straight lines, or the Sun is up.

A network gives its best guess for anything (a spectrograph was once an arc at 81 %), so frames that cannot be judged
get the label `unknown` and one of the reasons below. A reason begins with its kind, a colon follows.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from auroramon.lines import straight_lines
from auroramon.preprocess import Skies, Sky, square_size, together, where

LARGEST_ASPECT = 2.0
"""Longer over shorter side in square pixels. Sky cameras reach 1.78 (16:9 video); the TREx spectrograph has 4."""

SMALLEST_SIDE = 32
"""Pixels. Half of the coarsest camera in use (64 pixels); below this an arc is no wider than a pixel."""

SATURATED_PART = 0.5
"""Part of the sky within a hundredth of its range of the highest value: a lamp, or the Sun. The most of any real frame
with a visible sky is 0.37 (NASCAM under bright cloud), of 5,760 simulated ones 0.24."""

NEAR_TOP = 0.01
"""Part of the sky's range below the highest value that still counts as saturated: noise and JPEG blur the edge."""

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
    """Say why the sky of this frame cannot be judged, or '' where it can; see `refuse_each`."""
    return refuse_each((pixels,), together(sky))[0]


def refuse_each(frames: Sequence[NDArray[Any]], skies: Skies) -> list[str]:
    """Say of each frame why its sky cannot be judged, or '' where it can.

    Args:
        frames: (H,W) or (H,W,3) each, native counts: only their number type is looked at, and their noise if in doubt.
        skies: what `extract_skies` cut out of them.
    """
    reasons = [""] * len(frames)
    for gate in (_counts, _no_light, straight_lines):
        passed = [k for k, reason in enumerate(reasons) if not reason]
        if not passed:
            break
        found = gate([frames[k] for k in passed], skies.some(passed))
        for k, reason in zip(passed, found, strict=True):
            reasons[k] = reason
    return reasons


def daylight(sun_altitude: float, sun_below_deg: float) -> str:
    """Say that the Sun is too high, or '' where it is low enough; both angles in degrees."""
    limit = 0.0 - sun_below_deg
    if sun_altitude <= limit:
        return ""
    return f"daylight: the Sun is at {sun_altitude:.1f}°, frames count while it is below {limit:.1f}°"


def _counts(_frames: Sequence[NDArray[Any]], skies: Skies) -> list[str]:
    """Refuse by the counts alone: no sky at all, no number, one value, or too many at the top."""
    values = where(skies.grey, skies.valid)
    size = values.shape[1]
    if not size:
        return ["no sky: disc and mask leave nothing of the frame"] * len(values)
    bad = size - np.isfinite(values).sum(axis=1)
    lowest, highest = values.min(axis=1).astype(np.float64), values.max(axis=1).astype(np.float64)
    with np.errstate(invalid="ignore"):
        top = highest - NEAR_TOP * (highest - lowest)
        part = (values >= top.astype(np.float32)[:, None]).sum(axis=1) / size
    return [
        _of_counts(n / size, *of_one)
        for n, *of_one in zip(*(found.tolist() for found in (bad, lowest, highest, part)), strict=True)
    ]


def _of_counts(bad: float, low: float, high: float, part: float) -> str:
    if bad:
        return f"not finite: {bad:.1%} of the sky has no number"
    if high - low <= 1e-5 * max(abs(high), abs(low)):
        return f"flat: every pixel of the sky is {high:g}"
    if part > SATURATED_PART:
        return f"saturated: {part:.0%} of the sky is {high:g}"
    return ""


def _no_light(frames: Sequence[NDArray[Any]], skies: Skies) -> list[str]:
    """Refuse noise without a picture: a closed shutter, a covered lens, a camera that is switched off."""
    spreads, noises = _structure(skies.grey, skies.valid)
    reasons = []
    for pixels, spread, noise in zip(frames, spreads.tolist(), noises.tolist(), strict=True):
        reason = ""
        if pixels.dtype.kind in "iu" and spread < LEAST_COUNTS:
            reason = f"no light: the sky varies by {spread:.2g} counts (is the shutter closed?)"
        elif spread < LEAST_STRUCTURE * noise and _frame_is_noise(pixels):
            reason = f"no light: the sky varies by {spread:.3g} with a noise of {noise:.3g} (is the shutter closed?)"
        reasons.append(reason)
    return reasons


def _structure(grey: NDArray[np.float32], valid: NDArray[np.bool_]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Give the spread of the blocks that are valid all over, and the usual step between neighbouring pixels.

    Where there are too few such blocks to compare, the spread is infinite.

    Args:
        grey: (N,H,W).
        valid: (H,W).

    Returns:
        (N,) each.
    """
    high, wide = grey.shape[1] // BLOCKS, grey.shape[2] // BLOCKS
    cut = np.s_[..., : high * BLOCKS, : wide * BLOCKS]
    parts = (BLOCKS, high, BLOCKS, wide)
    # One axis after the other: NumPy is several times as slow over both at once.
    both = np.logical_and.reduce
    full = both(both(valid[cut].reshape(parts), axis=1), axis=2) if high and wide else np.zeros(0, dtype=np.bool_)
    if full.sum() < BLOCKS:
        return np.full(len(grey), np.inf), np.zeros(len(grey))
    blocks = np.sort(where(grey[cut].reshape(-1, *parts).mean(axis=2).mean(axis=3), full), axis=1)
    last = blocks.shape[1] - 1
    spread = blocks[:, int(0.95 * last)] - blocks[:, int(0.05 * last)]
    rows, seen = grey[:, ::4], valid[::4]  # a quarter of the pixels gives the same median
    steps = where(rows[:, :, 1:] - rows[:, :, :-1], seen[:, 1:] & seen[:, :-1])
    return spread, np.median(np.abs(steps), axis=1)


def _frame_is_noise(pixels: NDArray[Any]) -> bool:
    """Say that not even the edge of the sky shows: a noisy camera under a clear sky still has a dark surrounding."""
    step = max(1, min(pixels.shape[:2]) // SAMPLES)
    thin = pixels[::step, ::step].astype(np.float32)
    grey = thin if thin.ndim == 2 else thin[..., 0] + thin[..., 1] + thin[..., 2]
    ((spread,), (noise,)) = _structure(grey[None], np.isfinite(grey))
    return bool(spread < LEAST_STRUCTURE * noise)
