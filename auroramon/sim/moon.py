"""The Moon: a saturated blob with glare, a halo, ghosts of the lens and a sky that it lights."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from auroramon.sim.dice import sometimes
from auroramon.sim.fields import FloatArray, f32
from auroramon.sim.geometry import SkyGeometry
from auroramon.sim.sky import tint
from auroramon.sim.stars import splat


@dataclass(frozen=True, slots=True)
class Moon:
    """Where the Moon stands and how much of it is lit."""

    altitude_deg: float
    azimuth_deg: float
    phase: float  # lit fraction, 0..1
    haze: float  # thin cloud around it, 0..1
    halo: float  # strength of the 22 degree ring, 0..1


def random_moon(rng: np.random.Generator) -> Moon:
    """A Moon above the horizon, bright enough to matter."""
    return Moon(
        altitude_deg=float(rng.uniform(6, 62)),
        azimuth_deg=float(rng.uniform(0, 360)),
        phase=float(rng.uniform(0.25, 1.0)),
        haze=float(rng.beta(1.2, 2)) if rng.random() < 0.5 else 0.0,
        halo=sometimes(rng, 0.07, 0.1, 0.6),
    )


def brightness(moon: Moon) -> float:
    """Moonlight against that of a full Moon overhead: falls steeply with phase, by extinction near the horizon."""
    altitude = max(moon.altitude_deg, 0.0)
    rise = min(max((moon.altitude_deg + 0.5) / 2, 0.0), 1.0)
    airmass = 1 / (np.sin(np.radians(altitude)) + 0.05)
    return float(moon.phase**2.2 * 10 ** (-0.1 * (airmass - 1)) * rise)


def direction(moon: Moon) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Unit vector east, north, up, each (1,)."""
    alt, az = np.radians([moon.altitude_deg]), np.radians([moon.azimuth_deg])
    vector = np.cos(alt) * np.sin(az), np.cos(alt) * np.cos(az), np.sin(alt)
    return vector[0].astype(np.float32), vector[1].astype(np.float32), vector[2].astype(np.float32)


def moonlit_sky(geometry: SkyGeometry, moon: Moon) -> FloatArray:
    """Moonlight scattered by air and thin cloud, (C,H,W); a full Moon makes the sky about 14 times as bright."""
    e, n, u = direction(moon)
    cosine = np.clip(geometry.east * e + geometry.north * n + geometry.up * u, -1, 1)
    away = np.degrees(np.arccos(cosine))
    level = np.float32(14 * brightness(moon))
    path = 1 - np.exp(-0.35 * np.minimum(geometry.airmass, 8))
    rayleigh = (1.06 + cosine * cosine) * path
    mie = (0.9 + 6 * moon.haze) * np.exp(-away / (9 + 10 * moon.haze)) + 5.0 * np.exp(-away / 2.5)
    if moon.halo > 0:
        mie = mie + np.float32(1.4 * moon.halo) * np.exp(-(((away - 22.0) / 1.3) ** 2))
    camera = geometry.camera
    return f32(tint(camera, (0.75, 0.95, 1.25)) * (level * rayleigh) + tint(camera, (1, 1, 1)) * (level * mie))


def moonlit_cloud(geometry: SkyGeometry, moon: Moon, depth: FloatArray) -> FloatArray:
    """The underside of a cloud with the Moon behind, (C,H,W): brightest where it is thin and near the Moon."""
    e, n, u = direction(moon)
    away = np.degrees(np.arccos(np.clip(geometry.east * e + geometry.north * n + geometry.up * u, -1, 1)))
    forward = 0.9 + 5.0 * np.exp(-away / 18 - np.minimum(depth, 12) / 6)  # thick cloud forgets where the Moon is
    through = np.exp(-0.28 * np.minimum(depth, 12)) + 0.1
    level = np.float32(16 * brightness(moon))
    return f32(tint(geometry.camera, (0.92, 1.0, 1.08)) * (level * forward * through))


def aureole(geometry: SkyGeometry, moon: Moon, thin: float) -> FloatArray:
    """The bright spot that thin cloud makes around the Moon, (C,H,W); `thin` is its transmission before the Moon.

    It outlives the Moon's own disc: what is scattered by a few degrees still comes through when the disc is gone.
    """
    e, n, u = direction(moon)
    away = np.degrees(np.arccos(np.clip(geometry.east * e + geometry.north * n + geometry.up * u, -1, 1)))
    level = np.float32(500 * brightness(moon) * (1 - thin) * thin**0.3)
    return f32(tint(geometry.camera, (1, 1, 1)) * (level * np.exp(-away / np.float32(2.6))))


def disc_and_glare(geometry: SkyGeometry, moon: Moon) -> tuple[FloatArray, FloatArray]:
    """The Moon itself, and what the lens makes of it, each (C,H,W) and to be dimmed by clouds before the Moon."""
    camera = geometry.camera
    e, n, u = direction(moon)
    col, row = geometry.project(e, n, u)
    flux = np.float32(9.0e4 * brightness(moon) * (geometry.pixel / 0.7) ** 2)
    point = splat(geometry.shape, col, row, np.array([flux]))
    y = np.arange(geometry.shape[0], dtype=np.float32)[:, None]
    x = np.arange(geometry.shape[1], dtype=np.float32)[None, :]
    x0, y0 = float(col[0]), float(row[0])
    scale = np.float32(geometry.pixel**2)
    r2 = (x + 0.5 - x0) ** 2 / scale + (y + 0.5 - y0) ** 2 / scale  # degrees squared
    level = np.float32(brightness(moon))
    wings = level * np.float32(70 + 900 * camera.glare**2) / (1 + r2 / 5.0) ** 1.25
    core = level * np.float32(9000 * camera.glare) * np.exp(-r2 / np.float32(2 * (0.7 + 2 * camera.glare) ** 2))
    shape = wings + core + _ghosts(geometry, x, y, x0, y0, float(level))
    white = tint(camera, (1.0, 0.98, 0.94))
    return f32(white * point), f32(white * shape)


def _ghosts(geometry: SkyGeometry, x: FloatArray, y: FloatArray, x0: float, y0: float, level: float) -> FloatArray:
    """Reflections lie on the line through the Moon and the optical axis."""
    camera = geometry.camera
    out = np.zeros(geometry.shape, np.float32)
    if camera.ghosts < 0.15:
        return out
    rng = np.random.default_rng([17, camera.seed])
    dx, dy = x0 - geometry.disc.x, y0 - geometry.disc.y
    for _ in range(int(1 + 3 * camera.ghosts)):
        place = rng.uniform(-1.1, 1.25)
        size = geometry.disc.radius * rng.uniform(0.02, 0.09)
        cx, cy = geometry.disc.x + place * dx, geometry.disc.y + place * dy
        rows = slice(max(int(cy - 3 * size), 0), max(int(cy + 3 * size) + 1, 0))
        cols = slice(max(int(cx - 3 * size), 0), max(int(cx + 3 * size) + 1, 0))
        r = f32(np.hypot(x[:, cols] - cx, y[rows] - cy)) / np.float32(size)
        ring = rng.random() < 0.3
        blob = np.exp(-((r - 0.8) ** 2) * 12) if ring else 1 / (1 + np.exp(np.clip((r - 1) * 6, -9, 9)))
        out[rows, cols] += np.float32(level * camera.ghosts * 10 ** rng.uniform(0, 1.3)) * blob
    return out
