"""What stands around and on a camera: skyline, masts, lamps, dirt on the dome, the lens's own shading."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from PIL import Image, ImageDraw

from auroramon.sim.camera import SimCamera
from auroramon.sim.fields import VARIANTS, FloatArray, blur, f32, sample, smoothstep, tile
from auroramon.sim.geometry import SkyGeometry, sky_geometry


@dataclass(frozen=True, slots=True)
class Station:
    """The fixed part of a camera's picture at one size; arrays are (H,W)."""

    sky: FloatArray  # share of the sky's light that arrives: 0 behind a tree or outside the disc
    shade: FloatArray  # vignetting and dirt of the optics, and 0 outside the disc
    land: FloatArray  # brightness of what hides the sky, in units of the light on it
    lamps: FloatArray  # light of lamps and lit windows, dark sky = 1
    rim: FloatArray  # stray light at the edge of the disc and outside, fraction of full scale
    hot: FloatArray  # hot pixels, fraction of full scale
    pattern: FloatArray  # fixed row and column offsets, in units of `pattern_noise`
    caption: FloatArray  # 1 where text is burnt in


@lru_cache(maxsize=48)
def station(camera: SimCamera, size: int | None = None) -> Station:
    """The surroundings of a camera at a size; always the same for the same camera."""
    geometry = sky_geometry(camera, size)
    rng = np.random.default_rng([1, camera.seed])
    hidden = _skyline(rng, geometry)
    height, width = geometry.shape
    free = geometry.inside * (1 - hidden)
    shade = _lens(rng, geometry)
    if camera.dirt > 0.05:
        shade = shade * _dirt(rng, geometry)
    texture = sample(tile("cloud", camera.seed % VARIANTS), geometry.azimuth * 0.9, geometry.altitude * 2)
    hot = (rng.random((height, width)) < camera.hot_pixels) * rng.uniform(0.05, 1, (height, width))
    hot *= min(height / camera.height * 1.5, 1)
    pattern = rng.normal(size=(1, width)) + rng.normal(size=(height, 1)) * rng.choice((0, 1))
    return Station(
        sky=free.astype(np.float32),
        shade=shade.astype(np.float32),
        land=(geometry.inside * hidden * np.maximum(0.12 + 0.04 * texture, 0)).astype(np.float32),
        lamps=_lamps(rng, geometry) + _reflexes(geometry),
        rim=_rim(geometry) + _amp_glow(geometry),
        hot=hot.astype(np.float32),
        pattern=pattern.astype(np.float32),
        caption=_caption(camera, height, width),
    )


def _lens(rng: np.random.Generator, geometry: SkyGeometry) -> FloatArray:
    """How much of the light the lens lets through towards its edge, and 0 outside the disc."""
    camera = geometry.camera
    height, width = geometry.shape
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    a, away = 2 * np.pi * (camera.seed % 360) / 360, camera.off_axis * geometry.disc.radius
    r = np.hypot(x + 0.5 - geometry.disc.x - away * np.cos(a), y + 0.5 - geometry.disc.y - away * np.sin(a))
    r = np.minimum(r / geometry.disc.radius, 1 + camera.off_axis)
    shade = np.maximum(1 - camera.vignetting * r**camera.vignetting_power, 0.04) * geometry.inside
    if rng.random() < 0.3:  # a lens that is brighter along a ring, as flat fields of wide lenses are
        ring = np.exp(-(((geometry.disc_radius - rng.uniform(0.3, 1.0)) / rng.uniform(0.05, 0.35)) ** 2))
        shade = shade * (1 + np.float32(rng.uniform(0.05, 0.5)) * ring)
    return f32(shade)


def _reflexes(geometry: SkyGeometry) -> FloatArray:
    """Crescents near the edge of the disc: what dome and lens make of lights at the horizon, always the same."""
    camera = geometry.camera
    rng = np.random.default_rng([19, camera.seed])
    out = np.zeros(geometry.shape, np.float32)
    for _ in range(camera.reflexes):
        off = np.abs((geometry.azimuth - rng.uniform(0, 360) + 180) % 360 - 180)
        inwards = np.maximum(np.float32(rng.uniform(0.8, 1.0)) - geometry.disc_radius, -0.5)
        shape = np.exp(-np.abs(inwards) / np.where(inwards > 0, rng.uniform(0.02, 0.12), 0.03))
        out += np.float32(10 ** rng.uniform(-0.5, 0.8)) * shape * np.exp(-((off / rng.uniform(12, 50)) ** 2))
    return f32(out * geometry.inside)


def _amp_glow(geometry: SkyGeometry) -> FloatArray:
    """Light of the read-out amplifier, brightest in one corner of the detector, fraction of full scale."""
    camera = geometry.camera
    if not camera.amp_glow:
        return np.zeros(geometry.shape, np.float32)
    rng = np.random.default_rng([21, camera.seed])
    height, width = geometry.shape
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    row, col = rng.choice((0, height)), rng.choice((0, width))
    away = np.hypot(x - col, y - row) / min(height, width)
    return f32(np.float32(camera.amp_glow * camera.exposure) * np.exp(-away / rng.uniform(0.15, 0.6)) * 2)


def _skyline(rng: np.random.Generator, geometry: SkyGeometry) -> FloatArray:
    """How much of each pixel trees, buildings, masts and wires hide, 0..1."""
    camera = geometry.camera
    azimuth = geometry.azimuth
    top = np.full(720, -5.0)
    grid = np.arange(720) * 0.5
    if camera.trees:
        k = np.fft.rfftfreq(720, 1 / 720)
        spectrum = np.exp(2j * np.pi * rng.random(k.size)) * np.where(k > 0, np.maximum(k, 1) ** -0.65, 0)
        skyline = np.fft.irfft(spectrum, 720)
        top = camera.trees * (0.35 + 0.5 * skyline / skyline.std())
        if rng.random() < 0.4:  # only to one side
            off = np.abs((grid - rng.uniform(0, 360) + 180) % 360 - 180)
            top = top - np.maximum(off - 60, 0) * 0.3
    for _ in range(camera.buildings):
        off = np.abs((grid - rng.uniform(0, 360) + 180) % 360 - 180)
        top = np.where(off < rng.uniform(6, 32), np.maximum(top, rng.uniform(6, 24)), top)
    for _ in range(camera.masts):
        off = np.abs((grid - rng.uniform(0, 360) + 180) % 360 - 180)
        top = np.where(off < rng.uniform(0.4, 1.4), np.maximum(top, rng.uniform(8, 32)), top)
    edge = np.interp(azimuth.ravel(), grid, top, period=360).reshape(azimuth.shape)
    hidden = np.clip((edge - geometry.altitude) * geometry.pixel + 0.5, 0, 1).astype(np.float32)
    for _ in range(camera.screens):
        a, offset = rng.uniform(0, 2 * np.pi), rng.uniform(0.72, 0.97)
        side = geometry.east * np.sin(a) + geometry.north * np.cos(a)
        hidden = np.maximum(hidden, np.clip((side - offset) * geometry.disc.radius + 0.5, 0, 1))
    if camera.masts and rng.random() < 0.5:  # a wire across part of the sky
        a, offset = rng.uniform(0, np.pi), rng.uniform(-0.9, 0.9)
        line = geometry.east * np.sin(a) + geometry.north * np.cos(a) - offset * (geometry.up + 0.05)
        hidden = np.maximum(hidden, 0.7 * np.exp(-((line * 57 * geometry.pixel / 0.7) ** 2)) * (geometry.up < 0.7))
    return f32(hidden)


def _dirt(rng: np.random.Generator, geometry: SkyGeometry) -> FloatArray:
    """Transmission of a dome with smears, spots and a flat field that is not flat."""
    camera = geometry.camera
    height, width = geometry.shape
    y, x = np.mgrid[0:height, 0:width].astype(np.float32) / np.float32(geometry.disc.radius)
    smear = sample(tile("smooth", camera.seed % VARIANTS), x * 9, y * 9)
    out = 1 - np.float32(0.05 * camera.dirt) * smoothstep(smear, -1, 2)
    rings = np.cos(geometry.disc_radius * np.float32(rng.uniform(10, 40))) * np.float32(0.03 * camera.dirt)
    out = out * (1 + rings * (rng.random() < 0.4))
    for _ in range(int(rng.integers(0, 1 + int(12 * camera.dirt)))):
        cx, cy, r = rng.uniform(-1, 1), rng.uniform(-1, 1), rng.uniform(0.01, 0.05)
        d = (
            np.hypot(x - geometry.disc.x / geometry.disc.radius - cx, y - geometry.disc.y / geometry.disc.radius - cy)
            / r
        )
        out = out * (1 - np.float32(rng.uniform(0.03, 0.3)) * np.exp(-(d**4)))
    return f32(out)


def _lamps(rng: np.random.Generator, geometry: SkyGeometry) -> FloatArray:
    """Lamps and lit windows low at the horizon, with a little glow each."""
    camera = geometry.camera
    out = np.zeros(geometry.shape, np.float32)
    y, x = np.mgrid[0 : geometry.shape[0], 0 : geometry.shape[1]].astype(np.float32)
    for _ in range(camera.lamps):
        a, r = rng.uniform(0, 2 * np.pi), geometry.disc.radius * rng.uniform(0.97, 1.05)
        d2 = (x - geometry.disc.x - r * np.cos(a)) ** 2 + (y - geometry.disc.y - r * np.sin(a)) ** 2
        d2 /= geometry.pixel**2
        power = 10 ** rng.uniform(0.3, 2.1)
        out += power * (np.exp(-d2 / 3) + 0.02 / (1 + d2 / 40))
    return out.astype(np.float32)


def _rim(geometry: SkyGeometry) -> FloatArray:
    """Light outside the disc: mostly none, a bright dome edge, or a soft spill."""
    camera = geometry.camera
    r = geometry.disc_radius
    out = np.float32(camera.outside) * (1 + 0.3 * (1 - np.minimum(r, 1.5)))
    if camera.rim == "bright":
        out = out + np.float32(camera.exposure * 0.8) * np.exp(-(((r - 1.03) / 0.012) ** 2))
    if camera.rim == "soft":
        out = out + np.float32(camera.exposure * 0.5) * np.exp(-np.maximum(r - 1, 0) / 0.05) * (1 - geometry.inside)
    return out.astype(np.float32)


def _caption(camera: SimCamera, height: int, width: int) -> FloatArray:
    if not camera.caption:
        return np.zeros((height, width), np.float32)
    # Drawn at the size it has in the file and scaled down with the rest.
    canvas = Image.new("L", (camera.width, camera.height))
    pen = ImageDraw.Draw(canvas)
    left, upper, right, lower = pen.textbbox((0, 0), camera.caption)
    x = 6 if camera.caption_corner in (0, 3) else camera.width - int(right - left) - 6
    y = 4 if camera.caption_corner in (0, 1) else camera.height - int(lower - upper) - 8
    pen.text((x, y), camera.caption, fill=255)
    if (height, width) != (camera.height, camera.width):
        canvas = canvas.resize((width, height), Image.Resampling.BOX)
    return f32(np.asarray(canvas, np.float32) / 255)


def frost(rng: np.random.Generator, geometry: SkyGeometry, strength: float) -> FloatArray:
    """How much of the light frost, snow or drops on the dome take and scatter, (H,W), 0..1."""
    height, width = geometry.shape
    y, x = np.mgrid[0:height, 0:width].astype(np.float32) / np.float32(geometry.disc.radius)
    seed = int(rng.integers(1 << 20))
    # Feathers of ice some degrees long, and finer grain that also lies where they are not.
    feathers = sample(tile("wisp", seed % VARIANTS), x * 42 + seed % 101, y * 95 + seed % 103)
    grain = sample(tile("wisp", (seed + 1) % VARIANTS), x * 170, y * 170 + seed % 59)
    drops = smoothstep(sample(tile("smooth", seed % VARIANTS), x * 110, y * 110), 1.3, 1.9)
    ice = smoothstep(feathers + np.float32(0.6) * grain, 1.4 - 3 * strength, 3.0 - 2 * strength)
    return blur(np.maximum(f32(ice * (1 + np.float32(0.25) * grain)), np.float32(0.7) * drops), 0.5)
