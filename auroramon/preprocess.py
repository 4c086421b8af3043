"""From a frame to what the network sees: the one implementation, for training and for serving.

The recipe is a `PreprocessSpec`, which travels with the weights; nothing here has a default for any of its values.
The steps follow the preparation of the OATH images (Clausen & Nickisch 2018, JGR Space Physics 123, section 2):
crop against low elevations, resample, stretch between two percentiles, black outside the disc of sky.

Frames of one camera are worked on together where they come together: a minute of twenty costs half of twenty single
frames. What comes out for a frame depends on that frame alone, to the last bit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from auroramon.resample import ChannelRule, inside, sample, sample_colour
from auroramon.types import Disc

InputChannel = Literal["stretched", "equalised", "green"]
"""`stretched`: linear between the percentiles. `equalised`: rank within the sky, so free of any tone curve. `green`:
how much greener than the darker half of the sky, 0 to 1: aurora is, clouds, Moon and dawn are not; 0.5: no colour."""

DARK = 0.1
"""Part of the high percentile that is added to the grey by which the excess is divided: in the dark it is noise."""

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

    @property
    def colour(self) -> bool:
        """Whether it looks at colours."""
        return "green" in self.channels

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
    excess: NDArray[np.float32] | None = None  # (S,S) counts of green beyond grey; None: no colour, or not asked for


@dataclass(frozen=True, slots=True)
class Skies:
    """The same of N frames of one camera."""

    grey: NDArray[np.float32]  # (N,S,S) counts
    valid: NDArray[np.bool_]  # (S,S) True where there is sky
    low: NDArray[np.float64]  # (N,) counts at the low percentile of each
    high: NDArray[np.float64]  # (N,) counts at the high percentile of each
    excess: NDArray[np.float32] | None = None  # (N,S,S) counts of green beyond grey; None: no colour, or not asked for

    def __len__(self) -> int:
        return len(self.grey)

    def __getitem__(self, k: int) -> Sky:
        excess = None if self.excess is None else self.excess[k]
        return Sky(self.grey[k], self.valid, float(self.low[k]), float(self.high[k]), excess)

    def some(self, which: Sequence[int]) -> Skies:
        """Give those of some frames, in this order."""
        if len(which) == len(self):
            return self
        excess = None if self.excess is None else self.excess[which]
        return Skies(self.grey[which], self.valid, self.low[which], self.high[which], excess)


def where(grey: NDArray[np.float32], valid: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Give the (N,V) values of (N,H,W) where (H,W) is true: grey[:, valid], and three times as fast."""
    values: NDArray[np.float32] = grey.reshape(len(grey), valid.size).take(np.flatnonzero(valid), axis=1)
    return values


def together(sky: Sky) -> Skies:
    """Give one frame's sky as those of one frame."""
    excess = None if sky.excess is None else sky.excess[None]
    return Skies(sky.grey[None], sky.valid, np.array([sky.low]), np.array([sky.high]), excess)


def square_size(shape: tuple[int, ...], pixel_aspect: float) -> tuple[float, float]:
    """Give (height, width) of a frame in square pixels of its own row height."""
    return float(shape[0]), shape[1] * pixel_aspect


def whole_frame(shape: tuple[int, ...], pixel_aspect: float) -> Disc:
    """Give the largest circle in the middle of a frame: what is used where no disc was found."""
    height, width = square_size(shape, pixel_aspect)
    return Disc(x=width / 2, y=height / 2, radius=min(height, width) / 2, origin="whole")


def extract_sky(
    pixels: NDArray[Any],
    pixel_aspect: float,
    disc: Disc,
    spec: PreprocessSpec,
    rule: ChannelRule = "luma",
    mask: NDArray[np.bool_] | None = None,
) -> Sky:
    """Cut the sky out of a frame and resample it; see `extract_skies`."""
    return extract_skies((pixels,), pixel_aspect, disc, spec, rule, mask)[0]


def extract_skies(
    frames: Sequence[NDArray[Any]],
    pixel_aspect: float,
    disc: Disc,
    spec: PreprocessSpec,
    rule: ChannelRule = "luma",
    mask: NDArray[np.bool_] | None = None,
) -> Skies:
    """Cut the sky out of frames of one shape and resample it.

    Args:
        frames: at least one; (H,W) or (H,W,3), native counts.
        pixel_aspect: width / height of a pixel.
        disc: where the sky is.
        spec: the model's recipe.
        rule: how colour becomes grey.
        mask: (H,W), True where the camera sees sky; None where it sees sky everywhere.
    """
    shape = frames[0].shape[:2]
    reach = disc.radius * spec.crop
    box = ((disc.x - reach) / pixel_aspect, disc.y - reach, (disc.x + reach) / pixel_aspect, disc.y + reach)
    valid = inside(shape, box, spec.size)
    zeros = np.zeros(len(frames))
    if not valid.any() or reach > FARTHEST * max(shape):
        nothing = np.zeros((len(frames), spec.size, spec.size), dtype=np.float32)
        return Skies(nothing, np.zeros(nothing.shape[1:], dtype=np.bool_), zeros, zeros)
    excess = None
    if spec.colour and rule == "luma" and frames[0].ndim == 3:
        grey, excess = map(np.stack, zip(*(sample_colour(pixels, box, spec.size) for pixels in frames), strict=True))
    else:
        grey = np.stack([sample(pixels, box, spec.size, rule) for pixels in frames])
    if mask is not None:
        valid = valid & (sample(mask.astype(np.uint8), box, spec.size, rule) > SEEN)
    values = where(grey, valid)
    if not values.size:
        return Skies(grey, valid, zeros, zeros)
    low, high = (round(p / 100 * (values.shape[1] - 1)) for p in (spec.low_percentile, spec.high_percentile))
    values.partition((low, high), axis=1)
    return Skies(grey, valid, values[:, low].astype(np.float64), values[:, high].astype(np.float64), excess)


def to_input(sky: Sky, spec: PreprocessSpec) -> NDArray[np.float32]:
    """Give the (C,S,S) float32 input of the network; see `to_inputs`."""
    planes: NDArray[np.float32] = to_inputs(together(sky), spec)[0]
    return planes


def to_inputs(skies: Skies, spec: PreprocessSpec) -> NDArray[np.float32]:
    """Give the (N,C,S,S) float32 inputs of the network.

    A sky without any contrast, and pixels without a number, give zeros before the normalisation; the gates refuse
    such frames anyway.
    """
    with np.errstate(invalid="ignore"):
        low, spread = (v.astype(np.float32)[:, None, None] for v in (skies.low, skies.high - skies.low))
        stretched = skies.grey - low
        stretched /= np.where(spread > 0, spread, np.float32(np.inf))
    np.clip(stretched, 0, 1, out=stretched)
    stretched[~(skies.valid & (stretched >= 0))] = 0  # also where the frame holds no number
    size = skies.grey.shape[1:]
    planes = np.empty((len(skies), len(spec.channels), *size), dtype=np.float32)
    for k, name in enumerate(spec.channels):
        if name == "green":
            planes[:, k] = _green(skies)
        else:
            planes[:, k] = stretched if name == "stretched" else _equalise(stretched, skies.valid)
    planes -= np.asarray(spec.mean, dtype=np.float32)[:, None, None]
    planes /= np.asarray(spec.std, dtype=np.float32)[:, None, None]
    return planes


def _green(skies: Skies) -> NDArray[np.float32] | np.float32:
    """Give how much greener than the darker half of its sky each pixel of (N,S,S) is, 0 to 1; 0.5 where it is not.

    What a camera adds of its own to all colours, by its white balance or a tint, is taken out with that half: a frame
    of one tint, or of one plane, has no colour at all.
    """
    half = np.float32(0.5)
    if skies.excess is None or not skies.valid.any():
        return half
    with np.errstate(invalid="ignore", divide="ignore"):
        grey = np.maximum(skies.grey, 0)
        dark, excess = where(grey, skies.valid), where(skies.excess, skies.valid)
        darker = dark <= np.partition(dark, dark.shape[1] // 2, axis=1)[:, dark.shape[1] // 2, None]
        tint = (excess * darker).sum(axis=1, dtype=np.float64) / (dark * darker).sum(axis=1, dtype=np.float64)
        own = skies.excess - grey * tint.astype(np.float32)[:, None, None]
        grey += (np.float32(DARK) * np.maximum(skies.high, 0).astype(np.float32))[:, None, None]
        green: NDArray[np.float32] = half + half * own / (3 * grey)
    np.clip(green, 0, 1, out=green)
    green[~(skies.valid & (green >= 0))] = half  # also where the frame holds no number
    return green


def _equalise(stretched: NDArray[np.float32], valid: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Replace each value of (N,S,S), which is 0 where not valid, by its mid-rank among the valid pixels, 0..1."""
    total = int(np.count_nonzero(valid))
    if total == 0:
        return np.zeros_like(stretched)
    level = (stretched * np.float32(LEVELS - 1)).astype(np.intp)
    level += LEVELS * np.arange(len(level))[:, None, None]  # one table of ranks for each frame
    count = np.bincount(level.ravel(), minlength=LEVELS * len(level)).reshape(-1, LEVELS)
    count[:, 0] -= valid.size - total
    rank = ((np.cumsum(count, axis=1) - count / 2) / total).astype(np.float32)
    equal: NDArray[np.float32] = rank.ravel()[level]
    equal *= valid
    return equal
