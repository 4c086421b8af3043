"""The sky without aurora: airglow, stars, Milky Way, planets, twilight, light domes, satellites."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from auroramon.sim.camera import SimCamera
from auroramon.sim.dice import pick
from auroramon.sim.fields import VARIANTS, FloatArray, enlarge, f32, sample, smoothstep, tile
from auroramon.sim.geometry import SkyGeometry

RGB = tuple[float, float, float]
# A line filter of 2 nm lets little of a continuum through, but the sky it sees is mostly line, too.
_CONTINUUM = {"white": 1.0, "557.7": 0.35, "630.0": 0.45, "nir": 0.8, "427.8": 0.5}
_GALACTIC_POLE = np.array([0.868, 0.198, -0.456]) / np.linalg.norm([0.868, 0.198, -0.456])
CATALOGUE = 2600
_FAINTEST = 0.05
"""Flux below which a star is not drawn, in pixels of dark sky."""


@dataclass(frozen=True, slots=True)
class Sky:
    """What fills the night sky of one frame apart from aurora, clouds and Moon. Brightness: dark zenith sky = 1."""

    airglow: float  # at the zenith
    gradient: float  # relative change across the sky, 0..1
    gradient_azimuth_deg: float
    waves: float  # relative depth of large structures in the airglow
    wave_km: float
    extinction: float  # per airmass
    stars: float  # flux of a star of magnitude 2, in pixels of dark sky at 128 px
    star_seed: int
    sidereal_deg: float
    milky_way: float  # brightness of the band at its brightest
    planets: int
    sun_altitude_deg: float
    sun_azimuth_deg: float
    city: float  # factor on the camera's light dome
    satellites: int
    seed: int


def random_sky(rng: np.random.Generator, camera: SimCamera) -> Sky:
    """A night sky as it may be on any night; twilight in one of seven."""
    twilight = rng.random() < 0.15
    clean = camera.band in ("white", "colour")
    return Sky(
        airglow=float(np.exp(rng.normal(0, 0.2))),
        gradient=float(rng.beta(1, 4) * 0.8),
        gradient_azimuth_deg=float(rng.uniform(0, 360)),
        waves=float(camera.oh_airglow * rng.beta(1.2, 3) * (0.3 if camera.band == "nir" else 0.12)),
        wave_km=float(np.exp(rng.uniform(np.log(30), np.log(400)))),
        extinction=float(rng.uniform(0.1, 0.4)),
        stars=float(np.exp(rng.normal(np.log(2.7), 0.7))) * (1.0 if clean else 0.35),
        star_seed=int(rng.integers(4)),
        sidereal_deg=float(rng.uniform(0, 360)),
        milky_way=float(rng.beta(1.3, 2.5) * 1.1) * (1.0 if clean else 0.35),
        planets=pick(rng, (0, 1, 2, 3), (0.4, 0.35, 0.2, 0.05)),
        sun_altitude_deg=float(rng.uniform(-15, -7.5)) if twilight else -25.0,
        sun_azimuth_deg=float(rng.uniform(0, 360)),
        city=float(np.exp(rng.normal(0, 0.4))),
        satellites=pick(rng, (0, 1, 2), (0.9, 0.08, 0.02)),
        seed=int(rng.integers(1 << 30)),
    )


def tint(camera: SimCamera, rgb: RGB) -> FloatArray:
    """How bright light of a colour is in each channel, (C,1,1); rgb is relative, 1 for grey light."""
    if camera.band == "colour":
        return np.asarray(rgb, np.float32)[:, None, None]
    return np.full((1, 1, 1), np.mean(rgb) * _CONTINUUM[camera.band], np.float32)


def space(geometry: SkyGeometry, sky: Sky) -> FloatArray:
    """Airglow, Milky Way, stars and planets above the air, (C,H,W)."""
    camera = geometry.camera
    glow = np.float32(sky.airglow) * np.minimum(geometry.van_rhijn, 3.5)
    if sky.waves > 0.01:
        k = np.float32(14 * 90 / sky.wave_km)
        x, y = geometry.cloud_east * k, geometry.cloud_north * k
        wave = sample(tile("smooth", sky.seed % VARIANTS), x * 0.45 + sky.seed % 97, y + sky.seed % 89)
        glow = glow * (1 + np.float32(sky.waves) * wave * np.minimum(geometry.up * 3, 1))
    if sky.gradient > 0.01:
        toward = np.radians(sky.gradient_azimuth_deg)
        slope = geometry.east * np.float32(np.sin(toward)) + geometry.north * np.float32(np.cos(toward))
        glow = glow * (1 + np.float32(sky.gradient) * slope)
    # An airglow sky is mostly line: a filter does not dim it as it dims a continuum.
    out = np.ones((camera.channels, 1, 1), np.float32) * glow
    if camera.band == "colour":
        out = np.asarray(camera.sky_colour, np.float32)[:, None, None] * glow
    pole, matrix = _orientation(camera, sky)
    if sky.milky_way > 0.02:
        out += tint(camera, (1.05, 1.0, 0.95)) * _milky_way(geometry, sky, pole, matrix)
    out += _stars(geometry, sky, matrix)
    return out


def air(geometry: SkyGeometry, sky: Sky) -> FloatArray:
    """Light scattered by the air below everything else: twilight and towns, (C,H,W)."""
    camera = geometry.camera
    out = np.zeros((camera.channels, *geometry.shape), np.float32)
    if camera.city * sky.city > 0.02:
        out += tint(camera, (1.45, 1.0, 0.55)) * np.float32(camera.city * sky.city) * geometry.light_dome
    if sky.sun_altitude_deg > -19:
        out += twilight(geometry, sky.sun_altitude_deg, sky.sun_azimuth_deg)
    return out


def twilight(geometry: SkyGeometry, sun_altitude_deg: float, sun_azimuth_deg: float) -> FloatArray:
    """The glow of a Sun below the horizon, (C,H,W): ten times fainter for each 2.6 degrees of depression."""
    low = np.maximum(geometry.altitude, 0)
    off = np.abs((geometry.azimuth - np.float32(sun_azimuth_deg) + 180) % 360 - 180)
    toward = np.exp(-((off / 62) ** 2))
    level = np.float32(10 ** ((sun_altitude_deg + 15.0) / 2.6))
    near = np.float32(9.0) * level * np.exp(-low / 13) * (0.06 + toward)
    # Overhead there is no azimuth: there the side of the Sun must not matter.
    side = np.minimum((90 - low) / 50, 1)
    overhead = level * (0.25 + 0.5 * (side * toward + 0.3 * (1 - side)) * np.exp(-low / 45))
    camera = geometry.camera
    return f32(tint(camera, (1.5, 0.95, 0.55)) * near + tint(camera, (0.55, 0.85, 1.6)) * overhead)


@lru_cache(maxsize=4)
def catalogue(seed: int) -> tuple[FloatArray, FloatArray]:
    """Unit vectors (3, n) and fluxes (n,) of invented stars, denser in the Milky Way."""
    rng = np.random.default_rng([11, seed])
    vectors = rng.normal(size=(3, CATALOGUE * 2))
    vectors /= np.linalg.norm(vectors, axis=0)
    latitude = np.degrees(np.arcsin(_GALACTIC_POLE @ vectors))
    keep = rng.random(CATALOGUE * 2) < 0.38 + 0.6 * np.exp(-((latitude / 14) ** 2))
    vectors = vectors[:, keep][:, :CATALOGUE]
    magnitude = 6.3 + 2 * np.log10(np.maximum(rng.random(vectors.shape[1]), 1e-7))
    flux = 10 ** (-0.4 * (np.maximum(magnitude, -1.2) - 2.0))
    order = np.argsort(-flux)  # brightest first, so that a faint sky needs only the first of them
    return vectors[:, order].astype(np.float32), flux[order].astype(np.float32)


def _orientation(camera: SimCamera, sky: Sky) -> tuple[FloatArray, FloatArray]:
    """The celestial pole's direction and the matrix from the catalogue's axes to east, north, up."""
    latitude, hour = np.radians(camera.latitude_deg), np.radians(sky.sidereal_deg)
    c, s = np.cos(hour), np.sin(hour)
    spin = np.array([[c, s, 0], [-s, c, 0], [0, 0, 1]])
    sl, cl = np.sin(latitude), np.cos(latitude)
    horizon = np.array([[0, 1, 0], [-sl, 0, cl], [cl, 0, sl]])
    matrix = (horizon @ spin).astype(np.float32)
    return matrix[:, 2], matrix


def _milky_way(geometry: SkyGeometry, sky: Sky, pole: FloatArray, matrix: FloatArray) -> FloatArray:
    g = matrix @ _GALACTIC_POLE.astype(np.float32)
    axis = np.cross(g, pole)
    axis /= np.linalg.norm(axis)
    third = np.cross(g, axis)
    # It is smooth: every second pixel of every second row will do.
    east, north, up = (v[::2, ::2] for v in (geometry.east, geometry.north, geometry.up))
    b, p, q = (east * v[0] + north * v[1] + up * v[2] for v in (g, axis, third))
    cloud = sample(tile("cloud", sky.star_seed), p * 55 + 3, q * 55 + b * 140)
    rift = np.exp(-(((b - 0.02 - 0.03 * cloud) / 0.035) ** 2)) * smoothstep(p, -0.3, 0.5)
    band = np.exp(-((b / 0.15) ** 2)) * (1 + 0.3 * cloud) * (0.55 + 0.45 * p)
    return enlarge(np.float32(sky.milky_way) * np.maximum(band * (1 - 0.75 * rift), 0), geometry.shape)


def _stars(geometry: SkyGeometry, sky: Sky, matrix: FloatArray) -> FloatArray:
    camera = geometry.camera
    vectors, flux = catalogue(sky.star_seed)
    shown = int(np.searchsorted(-flux, -_FAINTEST / sky.stars))
    seen, flux = matrix @ vectors[:, :shown], flux[:shown] * np.float32(sky.stars)
    if sky.planets:
        seen, flux = _with_planets(seen, flux, sky)
    above = seen[2] > 0.02
    seen, flux = seen[:, above], flux[above]
    col, row = geometry.project(seen[0], seen[1], seen[2])
    return tint(camera, (1, 1, 1)) * splat(geometry.shape, col, row, flux)


def _with_planets(seen: FloatArray, flux: FloatArray, sky: Sky) -> tuple[FloatArray, FloatArray]:
    rng = np.random.default_rng(sky.seed)
    azimuth, altitude = rng.uniform(0, 2 * np.pi, sky.planets), rng.uniform(0.15, 1.1, sky.planets)
    planets = np.stack((np.cos(altitude) * np.sin(azimuth), np.cos(altitude) * np.cos(azimuth), np.sin(altitude)))
    light = sky.stars * rng.uniform(2, 9, sky.planets)
    return (
        np.concatenate((seen, planets.astype(np.float32)), axis=1),
        np.concatenate((flux, light.astype(np.float32))),
    )


def splat(shape: tuple[int, int], col: FloatArray, row: FloatArray, flux: FloatArray) -> FloatArray:
    """Point sources spread over the four pixels around each place; those outside the frame are dropped."""
    height, width = shape
    x, y = col - 0.5, row - 0.5
    ok = (x > 0) & (y > 0) & (x < width - 1) & (y < height - 1)
    x, y, flux = x[ok], y[ok], np.broadcast_to(flux, ok.shape)[ok]
    x0, y0 = x.astype(np.int32), y.astype(np.int32)
    fx, fy = x - x0, y - y0
    index = np.concatenate([(y0 + j) * width + x0 + i for j in (0, 1) for i in (0, 1)])
    weight = np.concatenate([(fy if j else 1 - fy) * (fx if i else 1 - fx) * flux for j in (0, 1) for i in (0, 1)])
    return np.bincount(index, weight, height * width).astype(np.float32).reshape(height, width)


def trails(geometry: SkyGeometry, sky: Sky) -> FloatArray:
    """Satellites and aircraft: short straight streaks, (C,H,W)."""
    rng = np.random.default_rng([3, sky.seed])
    out = np.zeros((geometry.camera.channels, *geometry.shape), np.float32)
    for _ in range(sky.satellites):
        length = rng.uniform(0.02, 0.35) * geometry.disc.radius
        heading, r, a = (
            rng.uniform(0, 2 * np.pi),
            np.sqrt(rng.random()) * 0.85 * geometry.disc.radius,
            rng.uniform(0, 6.28),
        )
        steps = np.linspace(0, 1, max(4, int(length * 2)), dtype=np.float32) * np.float32(length)
        col = geometry.disc.x + np.float32(r * np.cos(a)) + steps * np.float32(np.cos(heading))
        row = geometry.disc.y + np.float32(r * np.sin(a)) + steps * np.float32(np.sin(heading))
        blink = 1.0 if rng.random() < 0.6 else (np.sin(steps * 1.5) > 0.6) * 2.5
        light = splat(
            geometry.shape, col, row, np.float32(sky.stars * rng.uniform(0.1, 0.6)) * blink * np.ones_like(col)
        )
        out += tint(geometry.camera, (1, 1, 1)) * light
    return out
