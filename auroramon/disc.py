"""Finds the circle of sky in a frame, without knowing the camera.

The edge of the sky is where a circle's rays step from bright to dark. Each pixel with a brightness gradient votes for
the circles whose edge it may be (a Hough transform with gradient directions: Kimme, Ballard & Sklansky 1975,
Communications of the ACM 18:120). The best are fitted to the steps along their rays by robust least squares, then
widened until no sky is left outside, since roofs and trees take from a disc and nothing adds to it. The circle with the
strongest and most complete edge wins. No random numbers: a frame always gives the same disc.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from auroramon.preprocess import square_size, whole_frame
from auroramon.types import Disc

Floats = NDArray[np.float32]

WORK = 128  # pixels of the longer side that the search works on: an error of one is 2 % of a usual radius
EDGES = 2000  # pixels with the strongest gradients that vote
LEAST_GRADIENT = 0.008  # of the tone's range over two pixels: less is noise
CELL = 4  # side of a cell of the accumulator, working pixels
SMALLEST, LARGEST = 0.30, 0.62  # radius: at least this part of the shorter side, at most this of the diagonal
CANDIDATES, FINALISTS = 10, 4  # circles that are fitted, and those of them that are widened
WIDENINGS = 3
CUT = 0.5  # the frame reaches this far from the centre, in radii: a circle farther out is an arc of aurora
RAYS = 90
MOST = np.float32(0.4)  # contrast beyond this makes an edge no surer: a lamp must not outvote a horizon
LEAK = np.float32(3)  # weight of a ray that leaves sky outside against one without an edge, which a roof explains
ENOUGH = 0.045
"""Score that makes a disc. Frames without one (noise, vignette, halo, spectrograph, the TREx blueline frame) have up to
0.024, the faintest disc of the real frames 0.077 (the Moon outshines a lens's inner ring)."""

# Where the tone is looked up along the rays, in radii.
REACH = np.linspace(-0.14, 0.14, 21, dtype=np.float32)  # about the edge, for fitting
HALF = 3  # samples on either side that a step is measured over
BEYOND = np.arange(0.84, 1.36, 0.02, dtype=np.float32)  # for widening
BANDS = np.array([0.92, 0.94, 0.96, 0.98, 1.02, 1.04, 1.05, 1.06, 1.08], dtype=np.float32)  # for scoring

_ANGLES = np.arange(RAYS) * (2 * np.pi / RAYS)
_UX, _UY = np.cos(_ANGLES).astype(np.float32), np.sin(_ANGLES).astype(np.float32)
_DESIGN = np.stack([_UX, _UY, np.ones_like(_UX)], axis=1)  # (RAYS,3): how far a move of x, y or radius carries an edge
_PRODUCTS = (_DESIGN[:, :, None] * _DESIGN[:, None, :]).reshape(RAYS, 9)


def find_disc(pixels: NDArray[Any], pixel_aspect: float = 1.0) -> Disc:
    """Give the circle of sky, or the largest circle in the middle of the frame (origin `whole`) where none shows.

    Args:
        pixels: (H,W) or (H,W,3), any number type.
        pixel_aspect: width / height of a pixel.
    """
    whole = whole_frame(pixels.shape, pixel_aspect)
    square = square_size(pixels.shape, pixel_aspect)
    if min(pixels.shape[:2]) < 16 or max(square) > 4 * min(square):
        return whole
    tone, scale = _reduce(pixels, pixel_aspect)
    circles = _vote(tone)
    if not len(circles):
        return whole
    circles = _fit(tone, circles, 1.0)
    circles = circles[np.argsort(-_score(tone, circles), kind="stable")[:FINALISTS]]
    circles = _fit(tone, circles, 0.6)
    wide = circles
    for _ in range(WIDENINGS):
        wide = _widen(tone, wide)
    circles = np.concatenate([circles, wide])
    scores = _score(tone, circles)
    best = int(np.argmax(scores))
    if not scores[best] >= ENOUGH:
        return whole
    x, y, radius = (float(v) / scale for v in circles[best])
    return Disc(x=x, y=y, radius=radius, origin="found")


def _reduce(pixels: NDArray[Any], pixel_aspect: float) -> tuple[Floats, float]:
    """Give the tone (0..1) of a small, smooth, square-pixel copy, and its size over that of the frame.

    The stretch is steep in the dark: the edge of a dim sky must not drown beside the Moon.
    """
    height, width = square_size(pixels.shape, pixel_aspect)
    scale = WORK / max(height, width)
    step = max(1, int(0.5 / scale))  # enough pixels are left to average two by two
    grey = pixels[::step, ::step].astype(np.float32)
    if grey.ndim == 3:
        grey = grey[..., 0] + grey[..., 1] + grey[..., 2]
    if pixels.dtype.kind == "f":
        grey = np.nan_to_num(grey, copy=False, nan=0.0, posinf=0.0, neginf=0.0)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    small = np.asarray(Image.fromarray(grey).resize(size, Image.Resampling.BOX))
    some = small[::2, ::2].ravel()
    ends = (int(0.003 * some.size), int(0.995 * (some.size - 1)))
    low, high = np.partition(some, ends)[list(ends)]
    root = np.sqrt(np.sqrt(np.clip((small - low) / max(high - low, np.float32(1e-9)), 0, 1)))
    return _smooth(root * np.sqrt(root)), scale  # the power 3/8


def _smooth(tone: Floats) -> Floats:
    """Take out stars and single letters (median of three along each axis), then average three by three."""
    for axis in (0, 1):
        before, here, after = _neighbours(tone, axis)
        tone = np.maximum(np.minimum(before, here), np.minimum(np.maximum(before, here), after))
    for axis in (0, 1):
        before, here, after = _neighbours(tone, axis)
        tone = (before + here + after) * np.float32(1 / 3)
    return tone


def _neighbours(tone: Floats, axis: int) -> tuple[Floats, Floats, Floats]:
    """Give each pixel's neighbours along an axis with the pixel itself; the frame's edge is its own neighbour."""
    first, last = tone.take([0], axis), tone.take([-1], axis)
    body = np.concatenate([first, tone, last], axis)
    length = tone.shape[axis]
    before, after = (body[k : k + length] if axis == 0 else body[:, k : k + length] for k in (0, 2))
    return before, tone, after


def _vote(tone: Floats) -> Floats:
    """Give (N,3) circles (x, y, radius) in working pixels that many edges agree on, best first."""
    height, width = tone.shape
    x, y, strength, ux, uy = _edges(tone)
    if not len(x):
        return np.zeros((0, 3), dtype=np.float32)
    radii = np.arange(SMALLEST * min(height, width), LARGEST * np.hypot(height, width), CELL, dtype=np.float32)
    i = ((x + radii[:, None] * ux) * np.float32(1 / CELL)).astype(np.int32)
    j = ((y + radii[:, None] * uy) * np.float32(1 / CELL)).astype(np.int32)
    shape = (len(radii), height // CELL + 1, width // CELL + 1)
    good = (i > 0) & (j > 0) & (i < shape[2]) & (j < shape[1])
    cells = (np.arange(shape[0])[:, None] * shape[1] + j) * shape[2] + i
    weights = np.broadcast_to(np.sqrt(strength.astype(np.float64)), cells.shape)
    votes = np.bincount(cells[good], weights[good], shape[0] * shape[1] * shape[2]).reshape(shape)
    votes = _spread(votes) / np.sqrt(radii)[:, None, None]
    circles = []
    for _ in range(CANDIDATES):
        k, b, a = (int(n) for n in np.unravel_index(int(votes.argmax()), shape))
        if votes[k, b, a] <= 0:
            break
        circles.append(((a + 0.5) * CELL, (b + 0.5) * CELL, float(radii[k])))
        votes[max(0, k - 1) : k + 2, max(0, b - 1) : b + 2, max(0, a - 1) : a + 2] = 0
    return np.array(circles, dtype=np.float32).reshape(-1, 3)


def _edges(tone: Floats) -> tuple[Floats, Floats, Floats, Floats, Floats]:
    """Give the strongest gradients: x, y, strength and unit direction to the bright side, in reading order."""
    gx = tone[1:-1, 2:] - tone[1:-1, :-2]
    gy = tone[2:, 1:-1] - tone[:-2, 1:-1]
    strength = np.sqrt(gx * gx + gy * gy).ravel()
    at = np.argpartition(strength, -min(EDGES, strength.size))[-EDGES:]
    at = np.sort(at[strength[at] > LEAST_GRADIENT])
    row, column = np.divmod(at, gx.shape[1])
    chosen = strength[at]
    half = np.float32(1.5)  # the frame's border was left out, and a pixel's middle counts
    return (
        column.astype(np.float32) + half,
        row.astype(np.float32) + half,
        chosen,
        gx.ravel()[at] / chosen,
        gy.ravel()[at] / chosen,
    )


def _spread(votes: NDArray[np.float64]) -> NDArray[np.float64]:
    """Add to each cell half of its neighbours along each axis: an edge's direction is never exact."""
    for axis in range(votes.ndim):
        line = np.moveaxis(votes, axis, 0)
        wide = line.copy()
        wide[1:] += line[:-1] / 2
        wide[:-1] += line[1:] / 2
        votes = np.moveaxis(wide, 0, axis)
    return votes


def _along(tone: Floats, circles: Floats, radii: Floats) -> tuple[Floats, NDArray[np.bool_]]:
    """Give the tone along the rays of each circle, (N,RAYS,len(radii)), and say which of it lies in the frame."""
    height, width = tone.shape
    distance = circles[:, 2, None, None] * radii
    x = circles[:, 0, None, None] + distance * _UX[:, None]
    y = circles[:, 1, None, None] + distance * _UY[:, None]
    inside = (x >= 1) & (y >= 1) & (x < width - 1) & (y < height - 1)
    place = np.clip(y, 0, height - 1).astype(np.int32) * np.int32(width) + np.clip(x, 0, width - 1).astype(np.int32)
    return tone.ravel()[place], inside


def _fit(tone: Floats, circles: Floats, spread: float) -> Floats:
    """Move each circle to where most of its rays step from bright to dark."""
    reach = REACH * np.float32(spread)
    values, inside = _along(tone, circles, 1 + reach)
    sums = np.cumsum(values, axis=2)
    middle = sums[:, :, HALF:-HALF]
    before = np.concatenate([np.zeros_like(sums[:, :, :1]), sums[:, :, : -2 * HALF - 1]], axis=2)
    step = (middle - before) / (HALF + 1) - (sums[:, :, 2 * HALF :] - middle) / HALF
    step *= inside[:, :, HALF:-HALF]
    place = step.argmax(axis=2)
    weight = np.take_along_axis(step, place[:, :, None], 2)[:, :, 0].clip(0, 0.3)
    target = circles[:, 2, None] * reach[HALF:-HALF][place]
    return circles + _least_squares(target, weight, circles[:, 2], reach=0.06, inward=0.6)


def _widen(tone: Floats, circles: Floats) -> Floats:
    """Move each circle to where the sky ends along the rays that have sky at 0.92 of its radius."""
    first = 4  # index of 0.92 in BEYOND
    values, inside = _along(tone, circles, BEYOND)
    sky, dark = _levels(values[:, :, 3:7], values[:, :, 12:16])
    bright = values[:, :, first:] > ((sky + dark) / 2)[:, None, None]
    length = np.logical_and.accumulate(bright, axis=2).sum(axis=2)
    last = np.minimum(length + first, len(BEYOND) - 1)
    known = (length > 0) & (length < bright.shape[2]) & np.take_along_axis(inside, last[:, :, None], 2)[:, :, 0]
    target = circles[:, 2, None] * (
        BEYOND[last] - np.float32(1.01)
    )  # between the last bright and the first dark sample
    return circles + _least_squares(target, known.astype(np.float32), circles[:, 2], reach=0.3, inward=0.3)


def _levels(inner: Floats, outer: Floats) -> tuple[Floats, Floats]:
    """Give the usual tone inside and outside the edge of each circle, (N,)."""
    return np.median(inner.mean(axis=2), axis=1), np.median(outer.mean(axis=2), axis=1)


def _least_squares(target: Floats, weight: Floats, radius: Floats, reach: float, inward: float) -> Floats:
    """Give the moves (x, y, radius) of circles that follow the edges of their rays, with Tukey's weights.

    Args:
        target: (N,RAYS) how far outside of its circle each ray's edge lies.
        weight: (N,RAYS).
        radius: (N,) of the circles.
        reach: edges farther than this part of the radius from the fit do not count.
        inward: weight of edges inside the fit, against those outside.
    """
    move = np.zeros((len(target), 3), dtype=np.float32)
    scale = np.float32(reach) * radius[:, None]
    still = np.float32(1e-3) * np.eye(3, dtype=np.float32)  # keeps a circle without edges where it is
    for _ in range(4):
        off = (target - move @ _DESIGN.T) / scale
        robust = weight * np.clip(1 - off * off, 0, None) ** 2 * np.where(off < 0, np.float32(inward), np.float32(1))
        normal = (robust @ _PRODUCTS).reshape(-1, 3, 3) + still
        move = np.linalg.solve(normal, ((robust * target) @ _DESIGN)[:, :, None])[:, :, 0]
        scale = np.maximum(scale * np.float32(0.7), np.float32(1.5))
    return move


def _score(tone: Floats, circles: Floats) -> Floats:
    """Say how strongly and completely the rays of each circle step from bright to dark, less the sky left outside.

    A ray whose edge lies beyond the frame counts as one without an edge.
    """
    values, inside = _along(tone, circles, BANDS)
    sky, dark = _levels(values[:, :, :3], values[:, :, 6:])
    contrast = np.clip(sky - dark, np.float32(0.02), MOST)[:, None]
    step = np.clip((values[:, :, 2:4].sum(axis=2) - values[:, :, 4:6].sum(axis=2)) / 2, -MOST / 2, MOST)
    bright = np.clip((values[:, :, 4:].min(axis=2) - dark[:, None]) / contrast * 2 - 1, 0, 1)
    score: Floats = (step * inside[:, :, 5] - LEAK * contrast * bright * inside[:, :, 8]).mean(axis=1)
    height, width = tone.shape
    x, y, radius = circles.T
    margin = np.minimum(np.minimum(x, width - x), np.minimum(y, height - y))
    possible = (margin > CUT * radius) & (radius < LARGEST * np.hypot(height, width))
    return np.where(possible, score, np.float32(-1))
