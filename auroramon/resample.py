"""From the pixels of a frame to samples of a square: what is cut out, how colour becomes grey or green, the filter."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

ChannelRule = Literal["luma", "red", "green", "blue"]
"""How a colour frame becomes grey: ITU-R BT.601 luma, or one of its planes."""

PLANES = ("red", "green", "blue")

Box = tuple[float, float, float, float]
"""Left, upper, right, lower edge in pixels of the frame."""


def to_grey(pixels: NDArray[Any], rule: ChannelRule) -> Image.Image:
    """Give a mode F image of the frame's counts, without rounding.

    Args:
        pixels: (H,W) or (H,W,3).
        rule: ignored for grey frames.
    """
    if pixels.ndim == 2:
        return Image.fromarray(np.ascontiguousarray(pixels, dtype=np.float32))
    if rule != "luma":
        plane = pixels[..., PLANES.index(rule)]
        return Image.fromarray(np.ascontiguousarray(plane, dtype=np.float32))
    if pixels.dtype == np.uint8:
        return Image.fromarray(np.ascontiguousarray(pixels)).convert("F")  # Pillow's own BT.601, not rounded
    return Image.fromarray(_weighed(pixels, (0.299, 0.587, 0.114)))


def to_excess(pixels: NDArray[Any]) -> Image.Image:
    """Give a mode F image of 2 green - red - blue, in counts, of (H,W,3) pixels: 0 where they are grey.

    Woebbecke et al. (1995, Transactions of the ASAE 38, 259) call it the excess green.
    """
    return Image.fromarray(_weighed(pixels, (-1, 2, -1)))


def _weighed(pixels: NDArray[Any], weights: tuple[float, float, float]) -> NDArray[np.float32]:
    """Give the (H,W) sums of red, green and blue, each times its weight."""
    with np.errstate(invalid="ignore"):  # of a pixel that holds no number comes none
        plain = pixels.astype(np.float32, order="C", copy=False)
        sums: NDArray[np.float32] = plain @ np.array(weights, dtype=np.float32)
    return sums  # BLAS adds up in an order of the layout's, which `order` fixes


def sample(pixels: NDArray[Any], box: Box, size: int, rule: ChannelRule) -> NDArray[np.float32]:
    """Give the (size,size) grey samples of a box in a frame; beyond the frame's edges its last pixels go on."""
    part = _cut(pixels, box, size)
    return _resample(to_grey(part.pixels, rule), part, size)


def sample_colour(pixels: NDArray[Any], box: Box, size: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Give what `sample` gives of the luma of a (H,W,3) frame, to the bit, and the same of its excess green."""
    part = _cut(pixels, box, size)
    return _resample(to_grey(part.pixels, "luma"), part, size), _resample(to_excess(part.pixels), part, size)


@lru_cache(maxsize=64)
def inside(shape: tuple[int, ...], box: Box, size: int) -> NDArray[np.bool_]:
    """Say which of the size x size samples have their centre inside the box's circle and inside the frame."""
    steps = (np.arange(size) + 0.5) / size
    x = box[0] + steps * (box[2] - box[0])
    y = box[1] + steps * (box[3] - box[1])
    seen = ((y >= 0) & (y <= shape[0]))[:, None] & ((x >= 0) & (x <= shape[1]))[None, :] & _circle(size)
    seen.flags.writeable = False
    return seen


@lru_cache(maxsize=64)
def _circle(size: int) -> NDArray[np.bool_]:
    centre = np.arange(size, dtype=np.float32) - (size - 1) / 2
    within = centre[None, :] ** 2 + centre[:, None] ** 2 <= (size / 2) ** 2
    within.flags.writeable = False
    return within


def _span(start: float, stop: float, limit: int, size: int) -> tuple[int, int, int]:
    """Give first pixel, number of blocks and pixels a block of one axis: at least two blocks a sample of the result."""
    scale = (stop - start) / size
    factor = min(max(1, int(scale / 2)), limit)
    margin = int(scale) + 1 + factor  # what the filter reaches beyond the box
    first = min(max(0, int(start) - margin), limit - factor)
    blocks = min(int(np.ceil((stop + margin - first) / factor)), (limit - first) // factor)
    return first, max(1, blocks), factor


@dataclass(frozen=True, slots=True)
class _Part:
    """What a box needs of a frame: rows added up by blocks of fy, columns yet to be added up by blocks of fx."""

    pixels: NDArray[Any]  # (rows, columns * fx) or (rows, columns * fx, 3); sums of fy rows
    fx: int
    fy: int
    box: Box  # in blocks


def _cut(pixels: NDArray[Any], box: Box, size: int) -> _Part:
    """Give the part of a frame that a box needs.

    Rows are added before planes are made of colours: for a camera of eight megapixels that is several times as fast.
    """
    x, width, fx = _span(box[0], box[2], pixels.shape[1], size)
    y, height, fy = _span(box[1], box[3], pixels.shape[0], size)
    part = pixels[y : y + height * fy, x : x + width * fx]
    if fy > 1:
        exact = np.uint32 if part.dtype.kind in "iu" else np.float32
        part = part.reshape(height, fy, *part.shape[1:]).sum(axis=1, dtype=exact).astype(np.float32, copy=False)
    return _Part(part, fx, fy, ((box[0] - x) / fx, (box[1] - y) / fy, (box[2] - x) / fx, (box[3] - y) / fy))


def _resample(plane: Image.Image, part: _Part, size: int) -> NDArray[np.float32]:
    """Average a plane of a part by whole blocks and resample its box; beyond the edges its last pixels go on."""
    if part.fx * part.fy > 1:
        sums = np.asarray(plane).reshape(plane.height, -1, part.fx).sum(axis=2, dtype=np.float64)
        plane = Image.fromarray((sums / (part.fx * part.fy)).astype(np.float32))
    box, (width, height) = part.box, plane.size
    left, upper = max(0, int(np.ceil(-box[0]))), max(0, int(np.ceil(-box[1])))
    right, lower = max(0, int(np.ceil(box[2] - width))), max(0, int(np.ceil(box[3] - height)))
    if left or upper or right or lower:
        plane = Image.fromarray(np.pad(np.asarray(plane), ((upper, lower), (left, right)), mode="edge"))
        box = (box[0] + left, box[1] + upper, box[2] + left, box[3] + upper)
    return np.asarray(plane.resize((size, size), Image.Resampling.BILINEAR, box=box))
