"""From light on the lens to the numbers in the file: blur, exposure, noise, tone curve, compression."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from auroramon.sim.camera import SimCamera
from auroramon.sim.fields import FloatArray, blur, f32
from auroramon.sim.geometry import SkyGeometry
from auroramon.sim.station import Station


def focus(geometry: SkyGeometry, light: FloatArray) -> FloatArray:
    """Light (C,H,W) after the blur of the lens."""
    return blur(light, max(geometry.camera.psf * geometry.disc.radius, 0.45))


def expose(geometry: SkyGeometry, rim: FloatArray, light: FloatArray, factor: float = 1.0) -> FloatArray:
    """Focused light (C,H,W) as fraction of full scale, without noise and not yet cut at 1."""
    camera = geometry.camera
    x = light * np.float32(camera.exposure * factor)
    if camera.channels == 3:
        x *= np.asarray(camera.white_balance, np.float32)[:, None, None]
        grey = x.mean(axis=0, keepdims=True)
        x = np.maximum(grey + np.float32(camera.saturation) * (x - grey), 0)
    x += rim
    return _bloom(x) if camera.blooming else x


def exposure_factor(camera: SimCamera, sky: FloatArray) -> float:
    """1, or less for a sky that would burn out: observers and automatic cameras both avoid that.

    `sky` holds the brightness of pixels of the sky, of any shape; dark sky is 1.
    """
    if sky.size == 0:
        return 1.0
    k = sky.size * 6 // 10
    level = float(np.partition(sky, k, axis=None).flat[k]) * camera.exposure
    return min(1.0, (0.2 if camera.auto_exposure else 0.45) / max(level, 1e-9))


def _bloom(x: FloatArray) -> FloatArray:
    """Charge of saturated pixels spills up and down their column."""
    excess = np.clip(x - 1.5, 0, 60).sum(axis=1, keepdims=True)
    if not (excess > 8).any():
        return x
    rows = np.arange(x.shape[1], dtype=np.float32)[None, :, None]
    weight = np.clip(x - 1.5, 0, 60)
    centre = (weight * rows).sum(axis=1, keepdims=True) / np.maximum(excess, 1)
    reach = np.maximum(x.shape[1] * 0.012 * np.sqrt(excess), 1)
    spill: FloatArray = x + np.float32(0.6) * (excess > 8) * np.exp(-np.abs(rows - centre) / reach)
    return spill


def add_noise(rng: np.random.Generator, geometry: SkyGeometry, place: Station, x: FloatArray) -> FloatArray:
    """Shot, read-out and pattern noise, hot pixels and the cut at full scale."""
    camera = geometry.camera
    x = np.minimum(x, 1)
    sigma = noise_level(geometry, x)
    out = x + sigma * rng.standard_normal(x.shape, dtype=np.float32)
    if camera.pattern_noise:
        out += np.float32(camera.pattern_noise) * place.pattern
    if camera.hot_pixels:
        out += place.hot
    return np.clip(out + np.float32(camera.bias), 0, 1)


def noise_level(geometry: SkyGeometry, x: FloatArray) -> FloatArray:
    """Standard deviation of the noise at each signal, fraction of full scale; smaller pixels are noisier."""
    camera = geometry.camera
    scale = float(np.clip(geometry.disc.radius / 64, 0.7, 3.0))
    variance = np.float32((scale * camera.shot_noise) ** 2) * np.maximum(x, 0)
    variance += np.float32((scale * camera.read_noise) ** 2)
    return np.sqrt(variance, out=variance)


def tone(camera: SimCamera, x: FloatArray) -> FloatArray:
    """The deterministic tone curve of the file, up to the stretch to the frame's own range."""
    return to_gamma(np.clip(x + np.float32(camera.bias), 0, 1), camera.gamma)


def to_gamma(x: FloatArray, gamma: float) -> FloatArray:
    """x ** gamma for 0..1, by a table: a power is slow and 4096 steps are finer than 8 bits."""
    if gamma == 1:
        return x
    table = f32((np.arange(4097) / 4096) ** (2 * gamma))
    return table.take((np.sqrt(x) * np.float32(4096)).astype(np.int32))


def write(geometry: SkyGeometry, place: Station, x: FloatArray) -> NDArray[Any]:
    """Exposed frame (C,H,W), 0..1, as the file holds it: (H,W) uint8 or uint16, or (H,W,3) uint8."""
    camera = geometry.camera
    if camera.style == "cropped":
        return _cropped(geometry, x)
    if camera.style == "raw":
        counts: NDArray[np.uint16] = np.rint(x[0] * camera.full_scale).astype(np.uint16)
        return counts
    if camera.style == "stretched":
        x = _stretch(x, x.ravel()[::7])
    v = to_gamma(x, camera.gamma)
    v = np.maximum(v, place.caption * 0.9)
    pixels = np.rint(v * 255).astype(np.uint8)
    out: NDArray[Any] = np.ascontiguousarray(pixels.transpose(1, 2, 0)) if pixels.shape[0] == 3 else pixels[0]
    if not camera.jpeg_quality:
        return out
    # Drawn smaller than the file, a frame shows less of the compression, too.
    shrink = min(geometry.shape) / min(camera.width, camera.height)
    return through_jpeg(out, round(100 - (100 - camera.jpeg_quality) * min(shrink, 1)))


def _cropped(geometry: SkyGeometry, x: FloatArray) -> NDArray[np.uint16]:
    """In the way of the OATH images: black outside the disc, stretched from the 0.5 to the 99.5 percentile."""
    inside = geometry.disc_radius <= 1
    counts: NDArray[np.uint16] = np.rint(_stretch(x[0], x[0][inside][::5]) * inside * 65535).astype(np.uint16)
    return counts


def _stretch(x: FloatArray, population: FloatArray) -> FloatArray:
    """From the 0.5 to the 99.5 percentile of a population to 0..1."""
    low, high = (float(v) for v in np.percentile(population, (0.5, 99.5)))
    return f32(np.clip((x - low) / max(high - low, 1e-6), 0, 1))


def through_jpeg(pixels: NDArray[Any], quality: int) -> NDArray[Any]:
    """The pixels after a round through JPEG."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=quality)
    return np.array(Image.open(buffer))
