"""Finds the circle of sky in a frame, without knowing the camera.

The edge of the sky is where a circle's rays all step from bright to dark. Each pixel with a brightness gradient votes
for the circles whose edge it may be (a Hough transform with gradient directions: Kimme, Ballard & Sklansky 1975,
Communications of the ACM 18:120); the best few are fitted to the steps along their rays by robust least squares, and
compared by how strong and how complete their edge is. No random numbers: a frame always gives the same disc.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from auroramon.preprocess import square_size, whole_frame
from auroramon.types import Disc

Floats = NDArray[np.float32]

WORK = 128  # pixels of the longer side that the search works on: an error of one is 2 % of a usual radius
TONE = 0.35  # exponent of the stretch: the edge of a dim sky must not drown beside the Moon
EDGES = 2500  # pixels with the strongest gradients that vote
LEAST_GRADIENT = 0.004  # of the tone's range per pixel: one step of eight bits
CELL = 4  # side of a cell of the accumulator, working pixels
SMALLEST, LARGEST = 0.30, 0.62  # radius: at least this part of the shorter side, at most this of the diagonal
CANDIDATES, FINALISTS = 12, 4  # circles that are fitted once, and those that are fitted to the end
RAYS = 120
REACH = np.linspace(-0.14, 0.14, 29, dtype=np.float32)  # where steps are looked for, in radii from the circle
HALF = 4  # samples on either side that a step is measured over
ENOUGH = 0.10  # mean step of the tone, over the circle's whole circumference, that makes a disc

_ANGLES = np.arange(RAYS) * (2 * np.pi / RAYS)
_UX, _UY = np.cos(_ANGLES).astype(np.float32), np.sin(_ANGLES).astype(np.float32)
_DESIGN = np.stack([_UX, _UY, np.ones_like(_UX)], axis=1)  # (RAYS,3): how far a move of x, y or radius carries a ray


def find_disc(pixels: NDArray[Any], pixel_aspect: float = 1.0) -> Disc:
    """Give the circle of sky, or the largest circle in the middle of the frame (origin `whole`) where none shows.

    Args:
        pixels: (H,W) or (H,W,3), any number type.
        pixel_aspect: width / height of a pixel.
    """
    whole = whole_frame(pixels.shape, pixel_aspect)
    if min(pixels.shape[:2]) < 16:
        return whole
    tone, scale = _reduce(pixels, pixel_aspect)
    circles = _vote(tone)
    if not len(circles):
        return whole
    circles = _fit(tone, circles, 1.0)
    circles = circles[np.argsort(-_score(tone, circles), kind="stable")[:FINALISTS]]
    for spread in (0.6, 0.4):
        circles = _fit(tone, circles, spread)
    scores = _score(tone, circles)
    best = int(np.argmax(scores))
    if scores[best] < ENOUGH:
        return whole
    x, y, radius = (float(v) / scale for v in circles[best])
    return Disc(x=x, y=y, radius=radius, origin="found")


def _reduce(pixels: NDArray[Any], pixel_aspect: float) -> tuple[Floats, float]:
    """Give a small, smooth, stretched (0..1), square-pixel copy, and its size over that of the frame."""
    height, width = square_size(pixels.shape, pixel_aspect)
    scale = WORK / max(height, width)
    step = max(1, int(0.25 / scale))  # enough pixels are left to average four by four
    thin = pixels[::step, ::step]
    grey = thin.astype(np.float32) if thin.ndim == 2 else np.add.reduce([thin[..., c] for c in range(3)], dtype="f4")
    if grey.dtype.kind == "f":
        grey = np.nan_to_num(grey, copy=False, nan=0.0, posinf=0.0, neginf=0.0)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    small = np.asarray(Image.fromarray(grey).resize(size, Image.Resampling.BOX))
    order = np.sort(small, axis=None)
    low, high = order[int(0.003 * order.size)], order[int(0.995 * (order.size - 1))]
    tone = (np.clip((small - low) / max(high - low, np.float32(1e-9)), 0, 1)) ** np.float32(TONE)
    eight = Image.fromarray((tone * 255).astype(np.uint8))
    smooth = eight.filter(ImageFilter.MedianFilter(3)).filter(ImageFilter.BoxBlur(1))
    return np.asarray(smooth, dtype=np.float32) / np.float32(255), scale


def _vote(tone: Floats) -> Floats:
    """Give (N,3) circles (x, y, radius) in working pixels that many edges agree on, best first."""
    height, width = tone.shape
    strength, at, ux, uy = _edges(tone)
    radii = np.arange(SMALLEST * min(height, width), LARGEST * np.hypot(height, width), CELL, dtype=np.float32)
    py, px = np.divmod(at, width)
    i = ((px + np.float32(0.5) + radii[:, None] * ux) / CELL).astype(np.int32)
    j = ((py + np.float32(0.5) + radii[:, None] * uy) / CELL).astype(np.int32)
    shape = (len(radii), height // CELL + 1, width // CELL + 1)
    good = (i > 0) & (j > 0) & (i < shape[2]) & (j < shape[1])
    cells = (np.arange(shape[0], dtype=np.int32)[:, None] * shape[1] + j) * shape[2] + i
    weights = np.broadcast_to(np.sqrt(strength), cells.shape)
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


def _edges(tone: Floats) -> tuple[Floats, NDArray[np.intp], Floats, Floats]:
    """Give strength, flat index and unit direction to the bright side of the strongest gradients, in index order."""
    gy, gx = np.gradient(tone)
    strength = np.hypot(gx, gy)
    strength[[0, -1], :] = 0
    strength[:, [0, -1]] = 0
    flat = strength.ravel()
    at = np.argpartition(flat, -min(EDGES, flat.size))[-EDGES:]
    at = np.sort(at[flat[at] > LEAST_GRADIENT])
    return flat[at], at, gx.ravel()[at] / flat[at], gy.ravel()[at] / flat[at]


def _spread(votes: NDArray[np.float64]) -> NDArray[np.float64]:
    """Add to each cell half of its neighbours along each axis: an edge's direction is never exact."""
    for axis in range(votes.ndim):
        line = np.moveaxis(votes, axis, 0)
        wide = line.copy()
        wide[1:] += line[:-1] / 2
        wide[:-1] += line[1:] / 2
        votes = np.moveaxis(wide, 0, axis)
    return votes


def _along(tone: Floats, circles: Floats, spread: float) -> tuple[Floats, NDArray[np.bool_]]:
    """Give the tone along the rays of each circle around its edge, (N,RAYS,len(REACH)), and what lies in the frame."""
    height, width = tone.shape
    distance = circles[:, 2, None] * (1 + REACH * np.float32(spread))
    x = circles[:, 0, None, None] + distance[:, None, :] * _UX[:, None]
    y = circles[:, 1, None, None] + distance[:, None, :] * _UY[:, None]
    inside = (x >= 1) & (y >= 1) & (x < width - 1) & (y < height - 1)
    row = np.clip(y, 0, height - 1).astype(np.int32)
    return tone.ravel()[row * np.int32(width) + np.clip(x, 0, width - 1).astype(np.int32)], inside


def _fit(tone: Floats, circles: Floats, spread: float) -> Floats:
    """Move each circle to where most of its rays step from bright to dark: least squares with Tukey's weights."""
    values, inside = _along(tone, circles, spread)
    sums = np.cumsum(values, axis=2)
    middle = sums[:, :, HALF:-HALF]
    before = np.concatenate([np.zeros_like(sums[:, :, :1]), sums[:, :, : -2 * HALF - 1]], axis=2)
    step = (middle - before) / (HALF + 1) - (sums[:, :, 2 * HALF :] - middle) / HALF
    step *= inside[:, :, HALF:-HALF]
    place = step.argmax(axis=2)
    weight = np.take_along_axis(step, place[:, :, None], 2)[:, :, 0].clip(0, 0.3)
    target = circles[:, 2, None] * (REACH * np.float32(spread))[HALF:-HALF][place]
    move = np.zeros_like(circles)
    scale = np.float32(0.06) * circles[:, 2, None]
    for _ in range(4):
        robust = weight * np.clip(1 - ((target - move @ _DESIGN.T) / scale) ** 2, 0, None) ** 2
        normal = np.einsum("nr,ri,rj->nij", robust, _DESIGN, _DESIGN) + np.float32(1e-3) * np.eye(3, dtype=np.float32)
        move = np.linalg.solve(normal, ((robust * target) @ _DESIGN)[:, :, None])[:, :, 0]
        scale = np.maximum(scale * np.float32(0.7), np.float32(1.5))
    return circles + move


def _score(tone: Floats, circles: Floats) -> Floats:
    """Say how strongly and how completely the rays of each circle step from bright to dark."""
    values, inside = _along(tone, circles, 1.0)
    step = values[:, :, 7:13].mean(axis=2) - values[:, :, 17:23].mean(axis=2)
    score: Floats = (np.clip(step, -0.2, 0.4) * inside[:, :, 20]).sum(axis=1) / np.float32(RAYS)
    return score
