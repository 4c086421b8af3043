"""From light on the lens to the numbers in the file: blur, exposure, noise, tone curve, compression."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from auroramon.sim.camera import SimCamera
from auroramon.sim.fields import FloatArray, blur
from auroramon.sim.geometry import SkyGeometry
from auroramon.sim.station import Station


def focus(geometry: SkyGeometry, light: FloatArray) -> FloatArray:
    """Light (C,H,W) after the blur of the lens."""
    return blur(light, max(geometry.camera.psf * geometry.disc.radius, 0.45))


def expose(geometry: SkyGeometry, place: Station, light: FloatArray, factor: float = 1.0) -> FloatArray:
    """Focused light (C,H,W) as fraction of full scale, without noise and not yet cut at 1."""
    camera = geometry.camera
    x = light * np.float32(camera.exposure * factor)
    if camera.channels == 3:
        x *= np.asarray(camera.white_balance, np.float32)[:, None, None]
        grey = x.mean(axis=0, keepdims=True)
        x = np.maximum(grey + np.float32(camera.saturation) * (x - grey), 0)
    x += place.rim
    return _bloom(x) if camera.blooming else x


def exposure_factor(geometry: SkyGeometry, light: FloatArray) -> float:
    """1, or less where the camera shortens the exposure for a bright sky."""
    if not geometry.camera.auto_exposure:
        return 1.0
    mean = float((light.mean(axis=0) * geometry.inside).sum() / geometry.inside.sum()) * geometry.camera.exposure
    return min(1.0, 0.35 / max(mean, 1e-9))


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


def add_noise(rng: np.random.Generator, camera: SimCamera, place: Station, x: FloatArray) -> FloatArray:
    """Shot, read-out and pattern noise, hot pixels and the cut at full scale."""
    x = np.minimum(x, 1)
    sigma = np.sqrt(np.float32(camera.shot_noise**2) * np.maximum(x, 0) + np.float32(camera.read_noise**2))
    out = x + sigma * rng.standard_normal(x.shape, dtype=np.float32)
    if camera.pattern_noise:
        out += np.float32(camera.pattern_noise) * place.pattern
    if camera.hot_pixels:
        out += place.hot
    return np.clip(out + np.float32(camera.bias), 0, 1)


def noise_level(camera: SimCamera, x: float) -> float:
    """Standard deviation of the noise at a signal, fraction of full scale."""
    return float(np.sqrt(camera.shot_noise**2 * max(x, 0) + camera.read_noise**2))


def tone(camera: SimCamera, x: FloatArray) -> FloatArray:
    """The deterministic tone curve of the file, up to the stretch to the frame's own range."""
    return np.clip(x + np.float32(camera.bias), 0, 1) ** np.float32(camera.gamma)


def write(geometry: SkyGeometry, place: Station, x: FloatArray) -> NDArray[Any]:
    """Exposed frame (C,H,W), 0..1, as the file holds it: (H,W) uint8 or uint16, or (H,W,3) uint8."""
    camera = geometry.camera
    if camera.style == "cropped":
        return _cropped(geometry, x)
    if camera.style == "raw":
        return np.rint(x[0] * camera.full_scale).astype(np.uint16)
    if camera.style == "stretched":
        low, high = np.percentile(x.ravel()[::7], (0.5, 99.5))
        x = np.clip((x - low) / max(high - low, 1e-6), 0, 1)
    v = x ** np.float32(camera.gamma)
    v = np.maximum(v, place.caption * 0.9)
    pixels = np.rint(v * 255).astype(np.uint8)
    out: NDArray[Any] = np.ascontiguousarray(pixels.transpose(1, 2, 0)) if pixels.shape[0] == 3 else pixels[0]
    return through_jpeg(out, camera.jpeg_quality) if camera.jpeg_quality else out


def _cropped(geometry: SkyGeometry, x: FloatArray) -> NDArray[np.uint16]:
    """In the way of the OATH images: black outside the disc, stretched from the 0.5 to the 99.5 percentile."""
    inside = geometry.disc_radius <= 1
    low, high = np.percentile(x[0][inside][::5], (0.5, 99.5))
    v = np.clip((x[0] - low) / max(high - low, 1e-6), 0, 1) * inside
    return np.rint(v * 65535).astype(np.uint16)


def through_jpeg(pixels: NDArray[Any], quality: int) -> NDArray[Any]:
    """The pixels after a round through JPEG."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=quality)
    return np.array(Image.open(buffer))
