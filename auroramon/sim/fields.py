"""Random fields: periodic tiles made once, sampled anywhere; small blurs; smooth steps."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

FloatArray = NDArray[np.float32]
Texture = Literal["smooth", "cloud", "wisp"]

TILE = 256
"""Texels along each side of a tile; a power of two, because wrapping is a bit mask."""
VARIANTS = 4
BLOCK = 8192
"""Elements worked on at a time: intermediate arrays stay in the cache, and in memory that needs no asking for."""

# Texture -> (lowest wave number, highest wave number, exponent of the amplitude spectrum).
_SPECTRA: dict[Texture, tuple[float, float, float]] = {
    "smooth": (4.0, 22.0, 0.0),
    "cloud": (3.0, 95.0, 1.5),
    "wisp": (5.0, 100.0, 1.35),
}


@lru_cache(maxsize=64)
def tile(texture: Texture, variant: int, smoothed: float = 0.0) -> FloatArray:
    """A periodic random field, mean 0, standard deviation 1 before it is smoothed by a Gaussian.

    `smoothed` is the Gaussian's sigma in texels. The field is the same in every process. It is (TILE + 1, TILE + 1):
    the first row and column come again at the end, so that `sample` need not wrap twice.
    """
    low, high, slope = _SPECTRA[texture]
    rng = np.random.default_rng([ord(texture[0]), variant])
    ky = np.fft.fftfreq(TILE, 1 / TILE)[:, None]
    kx = np.fft.rfftfreq(TILE, 1 / TILE)[None, :]
    k = np.hypot(kx, ky)
    amplitude = np.where(k > 0, np.maximum(k, 1e-3) ** -slope, 0.0)
    amplitude *= np.exp(-((k / high) ** 2)) * (1 - np.exp(-((k / low) ** 4)))
    if texture == "smooth":
        amplitude = np.exp(-((k / 15.0) ** 2)) * (1 - np.exp(-((k / 5.0) ** 2))) / np.maximum(k, 1.0) ** 0.7
    phase = np.exp(2j * np.pi * rng.random(k.shape))
    values = np.fft.irfft2(amplitude * phase, s=(TILE, TILE))
    spread = values.std()
    if smoothed:
        values = np.fft.irfft2(amplitude * phase * np.exp(-2 * (np.pi * k / TILE * smoothed) ** 2), s=(TILE, TILE))
    values = (values - values.mean()) / spread
    out: FloatArray = np.pad(values, (0, 1), mode="wrap").astype(np.float32)
    out.flags.writeable = False
    return out


def f32(values: NDArray[Any]) -> FloatArray:
    """The values as float32; not copied where they are already."""
    return values.astype(np.float32, copy=False)


def sample(values: FloatArray, x: FloatArray, y: FloatArray) -> FloatArray:
    """A tile at texel coordinates x, y (any shape, any range: the tile repeats), interpolated linearly."""
    if x.size > 2 * BLOCK:
        flat_x, flat_y, out = x.ravel(), y.ravel(), np.empty(x.size, np.float32)
        for i in range(0, x.size, BLOCK):
            out[i : i + BLOCK] = sample(values, flat_x[i : i + BLOCK], flat_y[i : i + BLOCK])
        return out.reshape(x.shape)
    x0, y0 = np.floor(x), np.floor(y)
    fx, fy = x - x0, y - y0
    at = y0.astype(np.int32)
    at &= TILE - 1
    at *= TILE + 1
    column = x0.astype(np.int32)
    column &= TILE - 1
    at += column
    flat = values.ravel()
    top, low = flat.take(at), flat.take(at + (TILE + 1))
    at += 1
    right = flat.take(at)
    right -= top
    right *= fx
    top += right
    at += TILE + 1
    right = flat.take(at)
    right -= low
    right *= fx
    low += right
    low -= top
    low *= fy
    low += top
    return low


def rotated(x: FloatArray, y: FloatArray, angle_deg: float) -> tuple[FloatArray, FloatArray]:
    """Coordinates along axes that are turned counter-clockwise by an angle."""
    c, s = np.float32(np.cos(np.radians(angle_deg))), np.float32(np.sin(np.radians(angle_deg)))
    return x * c + y * s, y * c - x * s


def noise(x: FloatArray, y: FloatArray, scale_km: float, seed: int) -> FloatArray:
    """Smooth noise whose features are about `scale_km` wide."""
    k = np.float32(14.0 / scale_km)
    return sample(tile("smooth", seed % VARIANTS), x * k + seed % 251, y * k + seed // 251 % 241)


def enlarge(values: FloatArray, shape: tuple[int, int]) -> FloatArray:
    """A smooth field at a greater size (H,W), interpolated linearly."""
    picture = Image.fromarray(f32(values)).resize((shape[1], shape[0]), Image.Resampling.BILINEAR)
    return np.asarray(picture, np.float32)


def smoothstep(values: FloatArray, low: float, high: float) -> FloatArray:
    """0 below `low`, 1 above `high`, smooth between."""
    t: FloatArray = np.clip((values - np.float32(low)) * np.float32(1 / (high - low)), 0, 1)
    return t * t * (3 - 2 * t)


def blur(values: FloatArray, sigma: float) -> FloatArray:
    """A Gaussian blur of the last two axes, sigma in pixels; edges are repeated. Below 0.3 px nothing changes."""
    if sigma < 0.3:
        return values
    passes = 1 if sigma < 1.2 else 3
    variance = sigma * sigma / passes
    out = values
    for _ in range(passes):
        out = _taps(_taps(out, variance, -1), variance, -2)
    return out


def mean3(values: FloatArray) -> FloatArray:
    """Means of 3x3 pixels over the last two axes; edges are repeated."""
    for axis in (-1, -2):
        n = values.shape[axis]
        padded = values.take(np.clip(np.arange(-1, n + 1), 0, n - 1), axis=axis)
        parts = [padded[..., i : i + n] if axis == -1 else padded[..., i : i + n, :] for i in range(3)]
        values = parts[0] + parts[1]
        values += parts[2]
        values *= np.float32(1 / 3)
    return values


def _taps(values: FloatArray, variance: float, axis: int) -> FloatArray:
    """One pass along one axis with three or five taps of the given variance (pixels squared)."""
    reach = 1 if variance <= 0.6 else max(2, int(np.ceil(np.sqrt(3 * variance))))
    weights = np.exp(-(np.arange(-reach, reach + 1) ** 2) / (2 * variance))
    if reach > 1 and variance > 2.5:
        weights[:] = 1.0  # a box: three of them make a Gaussian
    weights /= weights.sum()
    n = values.shape[axis]
    padded = values.take(np.clip(np.arange(-reach, n + reach), 0, n - 1), axis=axis)
    cut = [slice(None)] * values.ndim
    cut[axis] = slice(reach, reach + n)
    out = padded[tuple(cut)] * np.float32(weights[reach])
    for i in range(reach):  # both sides have the same weight
        cut[axis] = slice(i, i + n)
        pair = padded[tuple(cut)]
        cut[axis] = slice(2 * reach - i, 2 * reach - i + n)
        pair = pair + padded[tuple(cut)]
        pair *= np.float32(weights[i])
        out += pair
    return out
