"""From a frame to what the network sees: the one implementation, for training and for serving.

The recipe is a `PreprocessSpec`, which travels with the weights; nothing here has a default for any of its values.
The steps follow the preparation of the OATH images (Clausen & Nickisch 2018, JGR Space Physics 123, section 2):
crop against low elevations, resample, stretch between two percentiles, black outside the disc of sky.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from functools import lru_cache
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from auroramon.types import Disc

ChannelRule = Literal["luma", "red", "green", "blue"]
"""How a colour frame becomes grey: ITU-R BT.601 luma, or one of its planes."""

InputChannel = Literal["stretched", "equalised"]
"""`stretched`: linear between the percentiles. `equalised`: rank within the sky, so free of any tone curve."""

PLANES = ("red", "green", "blue")
FARTHEST = 8
"""A disc of more than so many frames is a mistake in the configuration, and would need the memory of as many."""

SEEN = 0.99
"""A sample is sky where at least this part of it is sky in the mask: a lamp behind the mask must not shine in."""

LEVELS = 1024
"""Steps of the rank equalisation: finer than any 8-bit file, and one bincount instead of a sort."""


@dataclass(frozen=True, slots=True)
class PreprocessSpec:
    """Everything that decides what the network sees of a frame."""

    size: int  # S: the input is S x S pixels
    crop: float  # part of the disc's radius that is kept, 0..1 (OATH: 0.85)
    low_percentile: float  # of the sky's pixels, becomes 0
    high_percentile: float  # becomes 1
    channels: tuple[InputChannel, ...]  # C input planes, in this order
    mean: tuple[float, ...]  # per plane, subtracted after the stretch
    std: tuple[float, ...]  # per plane, divided by

    def __post_init__(self) -> None:
        if not (8 <= self.size <= 1024 and 0 < self.crop <= 1):
            raise ValueError(f"size {self.size} or crop {self.crop} out of range")
        if not 0 <= self.low_percentile < self.high_percentile <= 100:
            raise ValueError("the percentiles must rise from 0 to 100")
        if not self.channels or not set(self.channels) <= set(get_args(InputChannel)):
            raise ValueError(f"unknown input channels {self.channels}")
        if not len(self.channels) == len(self.mean) == len(self.std) or min(self.std) <= 0:
            raise ValueError("mean and std need one (positive) value per channel")

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> PreprocessSpec:
        """Read what `to_json` gave.

        Raises:
            ValueError: a key is missing or unknown, or a value is out of range.
        """
        names = {f.name for f in fields(cls)}
        if set(values) != names:
            raise ValueError(f"preprocess needs exactly the keys {', '.join(sorted(names))}")
        plain: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}
        return cls(**plain)

    def to_json(self) -> dict[str, Any]:
        return {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(self).items()}


@dataclass(frozen=True, slots=True)
class Sky:
    """The cropped and resampled sky of one frame, before any stretch."""

    grey: NDArray[np.float32]  # (S,S) counts
    valid: NDArray[np.bool_]  # (S,S) True where there is sky: inside the disc, the frame and the mask
    low: float  # counts at the low percentile of the valid pixels
    high: float  # counts at the high percentile


def square_size(shape: tuple[int, ...], pixel_aspect: float) -> tuple[float, float]:
    """Give (height, width) of a frame in square pixels of its own row height."""
    return float(shape[0]), shape[1] * pixel_aspect


def whole_frame(shape: tuple[int, ...], pixel_aspect: float) -> Disc:
    """Give the largest circle in the middle of a frame: what is used where no disc was found."""
    height, width = square_size(shape, pixel_aspect)
    return Disc(x=width / 2, y=height / 2, radius=min(height, width) / 2, origin="whole")


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
    weights = np.array([0.299, 0.587, 0.114], dtype=np.float32)
    return Image.fromarray(pixels.astype(np.float32) @ weights)


@lru_cache(maxsize=64)
def _circle(size: int) -> NDArray[np.bool_]:
    centre = np.arange(size, dtype=np.float32) - (size - 1) / 2
    inside = centre[None, :] ** 2 + centre[:, None] ** 2 <= (size / 2) ** 2
    inside.flags.writeable = False
    return inside


Box = tuple[float, float, float, float]
"""Left, upper, right, lower edge in pixels of the frame."""


def _span(start: float, stop: float, limit: int, size: int) -> tuple[int, int, int]:
    """Give first pixel, number of blocks and pixels a block of one axis: at least two blocks a sample of the result."""
    scale = (stop - start) / size
    factor = min(max(1, int(scale / 2)), limit)
    margin = int(scale) + 1 + factor  # what the filter reaches beyond the box
    first = min(max(0, int(start) - margin), limit - factor)
    blocks = min(int(np.ceil((stop + margin - first) / factor)), (limit - first) // factor)
    return first, max(1, blocks), factor


def _cut(pixels: NDArray[Any], box: Box, size: int, rule: ChannelRule) -> tuple[Image.Image, Box]:
    """Give the part of a frame that a box needs, grey and averaged by whole blocks, and the box in its pixels.

    Rows are added before anything becomes grey: for a camera of eight megapixels that is several times as fast.
    """
    x, width, fx = _span(box[0], box[2], pixels.shape[1], size)
    y, height, fy = _span(box[1], box[3], pixels.shape[0], size)
    part = pixels[y : y + height * fy, x : x + width * fx]
    if fy > 1:
        exact = np.uint32 if part.dtype.kind in "iu" else np.float32
        part = part.reshape(height, fy, *part.shape[1:]).sum(axis=1, dtype=exact)
    grey = to_grey(part, rule)
    if fx * fy > 1:
        sums = np.asarray(grey).reshape(height, width, fx).sum(axis=2, dtype=np.float64)
        grey = Image.fromarray((sums / (fx * fy)).astype(np.float32))
    return grey, ((box[0] - x) / fx, (box[1] - y) / fy, (box[2] - x) / fx, (box[3] - y) / fy)


def _resample(image: Image.Image, box: Box, size: int) -> NDArray[np.float32]:
    """Resample a box of an image to size x size; beyond the edges its last pixels go on."""
    width, height = image.size
    left, upper = max(0, int(np.ceil(-box[0]))), max(0, int(np.ceil(-box[1])))
    right, lower = max(0, int(np.ceil(box[2] - width))), max(0, int(np.ceil(box[3] - height)))
    if left or upper or right or lower:
        image = Image.fromarray(np.pad(np.asarray(image), ((upper, lower), (left, right)), mode="edge"))
        box = (box[0] + left, box[1] + upper, box[2] + left, box[3] + upper)
    return np.asarray(image.resize((size, size), Image.Resampling.BILINEAR, box=box))


@lru_cache(maxsize=64)
def _inside(shape: tuple[int, ...], box: Box, size: int) -> NDArray[np.bool_]:
    """Say which of the size x size samples have their centre inside the disc and inside the frame."""
    steps = (np.arange(size) + 0.5) / size
    x = box[0] + steps * (box[2] - box[0])
    y = box[1] + steps * (box[3] - box[1])
    inside = ((y >= 0) & (y <= shape[0]))[:, None] & ((x >= 0) & (x <= shape[1]))[None, :] & _circle(size)
    inside.flags.writeable = False
    return inside


def extract_sky(
    pixels: NDArray[Any],
    pixel_aspect: float,
    disc: Disc,
    spec: PreprocessSpec,
    rule: ChannelRule = "luma",
    mask: NDArray[np.bool_] | None = None,
) -> Sky:
    """Cut the sky out of a frame and resample it.

    Args:
        pixels: (H,W) or (H,W,3), native counts.
        pixel_aspect: width / height of a pixel.
        disc: where the sky is.
        spec: the model's recipe.
        rule: how colour becomes grey.
        mask: (H,W), True where the camera sees sky; None where it sees sky everywhere.
    """
    reach = disc.radius * spec.crop
    box = ((disc.x - reach) / pixel_aspect, disc.y - reach, (disc.x + reach) / pixel_aspect, disc.y + reach)
    valid = _inside(pixels.shape[:2], box, spec.size)
    if not valid.any() or reach > FARTHEST * max(pixels.shape[:2]):
        nothing = np.zeros((spec.size, spec.size))
        return Sky(nothing.astype(np.float32), nothing.astype(np.bool_), 0.0, 0.0)
    grey = _resample(*_cut(pixels, box, spec.size, rule), spec.size)
    if mask is not None:
        valid = valid & (_resample(*_cut(mask.astype(np.uint8), box, spec.size, rule), spec.size) > SEEN)
    if not valid.any():
        return Sky(grey, valid, 0.0, 0.0)
    values = grey[valid]
    low, high = (round(p / 100 * (len(values) - 1)) for p in (spec.low_percentile, spec.high_percentile))
    values = np.partition(values, (low, high))
    return Sky(grey, valid, float(values[low]), float(values[high]))


def to_input(sky: Sky, spec: PreprocessSpec) -> NDArray[np.float32]:
    """Give the (C,S,S) float32 input of the network.

    A sky without any contrast, and pixels without a number, give zeros before the normalisation; the gates refuse
    such frames anyway.
    """
    spread = np.float32(sky.high - sky.low)
    with np.errstate(invalid="ignore"):
        stretched = np.clip((sky.grey - np.float32(sky.low)) / (spread if spread > 0 else np.float32(np.inf)), 0, 1)
    stretched[~(sky.valid & (stretched >= 0))] = 0  # also where the frame holds no number
    planes: list[NDArray[np.float32]] = [
        stretched if name == "stretched" else _equalise(stretched, sky.valid) for name in spec.channels
    ]
    result = np.stack(planes)
    result -= np.asarray(spec.mean, dtype=np.float32)[:, None, None]
    result /= np.asarray(spec.std, dtype=np.float32)[:, None, None]
    return result


def _equalise(stretched: NDArray[np.float32], valid: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Replace each value by its mid-rank among the valid pixels, 0..1."""
    level = (stretched * np.float32(LEVELS - 1)).astype(np.intp)
    count = np.bincount(level[valid], minlength=LEVELS)
    total = count.sum()
    if total == 0:
        return np.zeros_like(stretched)
    rank = ((np.cumsum(count) - count / 2) / total).astype(np.float32)
    equal: NDArray[np.float32] = rank[level]
    equal[~valid] = 0
    return equal
