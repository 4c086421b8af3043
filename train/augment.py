"""What differs from one sight of a frame to the next, done to the frame before it is prepared as in serving.

Nothing here prepares an input: the varied frame goes through auroramon/preprocess.py like any other.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from auroramon.preprocess import PreprocessSpec, extract_sky, to_input
from auroramon.resample import to_grey
from auroramon.types import Disc
from train.runfile import AugmentTable

Plane = NDArray[np.float32]
Picture = NDArray[np.float32]
"""(H,W), or (H,W,3) of a colour frame whose colours the network looks at."""

FINE = 1.4
"""Pixels of a varied frame for one of the input: fewer would show in what is turned."""

DARKEST = 0.7
"""Part of a colour frame's darkness that is taken away at most, as if its black had been set higher."""


def plain_input(counts: NDArray[np.uint16], disc: Disc, spec: PreprocessSpec) -> NDArray[np.float32]:
    """Give the (C,S,S) input of a frame as it is."""
    return to_input(extract_sky(counts, 1.0, disc, spec), spec)


def varied_input(
    counts: NDArray[np.uint16], disc: Disc, spec: PreprocessSpec, table: AugmentTable, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Give the (C,S,S) input of a frame turned, shifted, toned, blurred and hidden at random.

    Args:
        counts: (H,W) or (H,W,3).
        disc: where the sky is.
        spec: the model's recipe.
        table: how much may be varied.
        rng: decides.
    """
    counts, disc = _reduced(*_around(counts, disc), spec)
    if counts.ndim == 3 and rng.random() < table.colourless:
        counts = np.asarray(to_grey(counts, "luma"))
    if counts.ndim == 3:
        image = _normalised(counts, disc, rng.uniform(0, DARKEST)) * _white_balance(table, rng)
    else:
        image = _normalised(counts, disc, 1.0)
    seen = None
    if table.turn:
        angle = rng.uniform(0, 360)
        if _is_cut(disc, counts.shape):
            seen = _turn(np.ones(image.shape[:2], np.float32), angle, disc) > 0.5
        image = _turn(image, angle, disc)
        if rng.random() < 0.5:
            image, disc = image[:, ::-1], replace(disc, x=image.shape[1] - disc.x)
            seen = seen if seen is None else seen[:, ::-1]
    image = _blur(image, rng.uniform(0, table.blur))
    image = image ** np.float32(2.0 ** rng.uniform(*table.gamma))
    image = _slope(image, rng.uniform(0, table.gradient), rng.uniform(0, 2 * np.pi))
    if rng.random() < table.wedge:
        image = _hide_sector(image, disc, rng)
    deviation = np.float32(rng.uniform(0, table.noise))
    image = image + deviation * rng.standard_normal(image.shape, dtype=np.float32)
    moved = replace(
        disc,
        x=disc.x + rng.normal(0, table.shift) * disc.radius,
        y=disc.y + rng.normal(0, table.shift) * disc.radius,
        radius=disc.radius * rng.uniform(*table.scale),
    )
    recipe = replace(
        spec,
        low_percentile=rng.uniform(*table.low_percentile),
        high_percentile=rng.uniform(*table.high_percentile),
    )
    return to_input(extract_sky(image, 1.0, moved, recipe, mask=seen), recipe)


def _around(counts: NDArray[np.uint16], disc: Disc) -> tuple[NDArray[np.uint16], Disc]:
    """Cut away what lies more than a little outside the disc: it costs time and is never seen."""
    reach = disc.radius * 1.15
    left, upper = max(0, int(disc.x - reach)), max(0, int(disc.y - reach))
    right, lower = int(disc.x + reach) + 1, int(disc.y + reach) + 1
    return counts[upper:lower, left:right], replace(disc, x=disc.x - left, y=disc.y - upper)


def _reduced(counts: NDArray[np.uint16], disc: Disc, spec: PreprocessSpec) -> tuple[NDArray[Any], Disc]:
    """Give the frame no finer than half as fine again as the input will be: all that follows costs by the pixel."""
    scale = FINE * spec.size / (2 * disc.radius * spec.crop)
    if scale > 0.85:
        return counts, disc
    size = (max(1, round(counts.shape[1] * scale)), max(1, round(counts.shape[0] * scale)))
    small = _by_planes(counts.astype(np.float32), lambda plane: plane.resize(size, Image.Resampling.BILINEAR))
    across, down = size[0] / counts.shape[1], size[1] / counts.shape[0]
    return small, replace(disc, x=disc.x * across, y=disc.y * down, radius=disc.radius * across)


def _by_planes(image: Picture, change: Callable[[Image.Image], Image.Image]) -> Picture:
    """Change each plane of an image by Pillow."""
    if image.ndim == 2:
        return np.asarray(change(Image.fromarray(image)), dtype=np.float32)
    planes = [change(Image.fromarray(np.ascontiguousarray(image[..., k]))) for k in range(image.shape[2])]
    return np.stack([np.asarray(plane, dtype=np.float32) for plane in planes], axis=2)


def _white_balance(table: AugmentTable, rng: np.random.Generator) -> NDArray[np.float32]:
    """Give factors for red, green and blue."""
    red, blue = np.exp(rng.normal(0, table.cast, 2))
    return np.array([red, 1, blue], dtype=np.float32)


def _normalised(counts: NDArray[Any], disc: Disc, black: float) -> Picture:
    """Give the frame with most of its middle between 0 and 1, so that the strengths below mean what can be seen.

    `black` is the part of its darkness that becomes 0: taking away all of it would make colours of what is hardly any.
    """
    x, y, half = int(disc.x), int(disc.y), int(disc.radius * 0.6)
    middle = np.sort(counts[max(0, y - half) : y + half : 3, max(0, x - half) : x + half : 3], axis=None)
    low, high = black * float(middle[middle.size // 200]), float(middle[-1 - middle.size // 200])
    image: Picture = (counts - np.float32(low)) / np.float32(max(high - low, 1))
    return np.maximum(image, 0, out=image)


def _is_cut(disc: Disc, shape: tuple[int, ...]) -> bool:
    """Say whether the frame ends inside the disc, so that a turn brings in what the camera never saw."""
    height, width = shape[:2]
    return (
        min(disc.x, disc.y) < disc.radius - 1 or disc.x + disc.radius > width + 1 or disc.y + disc.radius > height + 1
    )


def _turn(image: Picture, angle: float, disc: Disc) -> Picture:
    """Turn about the middle of the disc, degrees counter-clockwise."""
    return _by_planes(image, lambda plane: plane.rotate(angle, Image.Resampling.BILINEAR, center=(disc.x, disc.y)))


def _blur(image: Picture, strength: float) -> Picture:
    """Blur with a kernel of three, its outer weights a third of the strength (at most twice)."""
    while strength > 0:
        outer = np.float32(min(strength, 1.0) / 3)
        image = _three(_three(image, outer, 0), outer, 1)
        strength -= 1.0
    return image


def _three(image: Picture, outer: np.float32, axis: int) -> Picture:
    ahead, behind = (slice(None),) * axis + (slice(1, None),), (slice(None),) * axis + (slice(None, -1),)
    result = image * (1 - 2 * outer)
    result[ahead] += outer * image[behind]
    result[behind] += outer * image[ahead]
    return result


def _slope(image: Picture, strength: float, azimuth: float) -> Picture:
    """Lay a plane over the sky, from 0 on one side to `strength` on the other."""
    rows = np.linspace(-1, 1, image.shape[0]) * (strength / np.sqrt(8) * np.sin(azimuth))
    columns = np.linspace(-1, 1, image.shape[1]) * (strength / np.sqrt(8) * np.cos(azimuth)) + strength / 2
    slope: Plane = rows.astype(np.float32)[:, None] + columns.astype(np.float32)[None, :]
    return image + (slope if image.ndim == 2 else slope[..., None])


def _hide_sector(image: Picture, disc: Disc, rng: np.random.Generator) -> Picture:
    """Hide a sector of the lower sky behind something of one brightness."""
    dy = np.arange(image.shape[0], dtype=np.float32)[:, None] - np.float32(disc.y)
    dx = np.arange(image.shape[1], dtype=np.float32)[None, :] - np.float32(disc.x)
    away = np.sqrt(dx * dx + dy * dy)
    azimuth, half = rng.uniform(-np.pi, np.pi), rng.uniform(0.05, 0.5)
    along = dx * np.float32(np.cos(azimuth)) + dy * np.float32(np.sin(azimuth))
    hidden = (along > away * np.float32(np.cos(half))) & (away > disc.radius * rng.uniform(0.3, 0.8))
    level: Any = np.quantile(image[::4, ::4], rng.choice([0.02, 0.3, 0.6]))
    return np.where(hidden if image.ndim == 2 else hidden[..., None], np.float32(level), image)
