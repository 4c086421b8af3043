"""The fixed sky: stars down to faint ones, planets, and a Milky Way with bulge, rift and clouds."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from auroramon.sim.fields import FloatArray, enlarge, f32, sample, smoothstep, tile
from auroramon.sim.geometry import SkyGeometry

_GALACTIC_POLE = np.array([0.868, 0.198, -0.456]) / np.linalg.norm([0.868, 0.198, -0.456])
CATALOGUE = 9000
_FAINTEST = 0.05
"""Flux below which a star is not drawn, in pixels of dark sky."""


@dataclass(frozen=True, slots=True)
class Heaven:
    """Stars and Milky Way of a night. Brightness: dark zenith sky = 1."""

    stars: float  # flux of a star of magnitude 2, in pixels of dark sky at 128 px
    star_seed: int
    sidereal_deg: float
    milky_way: float  # brightness of the band at its brightest
    width: float  # half-width of the band, radians
    bulge: float  # how much brighter and wider it is towards the galaxy's centre, 0..2
    rift: float  # depth of the dark lanes, 0..1
    mottle: float  # depth of its bright and dark clouds, 0..1
    planets: int
    seed: int


@lru_cache(maxsize=4)
def catalogue(seed: int) -> tuple[FloatArray, FloatArray]:
    """Unit vectors (3, n) and fluxes (n,) of invented stars, the faint ones denser in the Milky Way."""
    rng = np.random.default_rng([11, seed])
    vectors = rng.normal(size=(3, CATALOGUE * 3))
    vectors /= np.linalg.norm(vectors, axis=0)
    # Of each magnitude there are three times as many as of the one before: 6.3 was the faintest of 2600.
    faintest = 6.3 + 2 * np.log10(CATALOGUE / 2600)
    magnitude = faintest + 2 * np.log10(np.maximum(rng.random(vectors.shape[1]), 1e-7))
    latitude = np.degrees(np.arcsin(_GALACTIC_POLE @ vectors))
    near = np.exp(-((latitude / 14) ** 2)) * np.clip(0.25 + 0.15 * magnitude, 0.3, 1.3)
    keep = rng.random(CATALOGUE * 3) < 0.3 + 0.55 * near
    vectors, magnitude = vectors[:, keep][:, :CATALOGUE], magnitude[keep][:CATALOGUE]
    flux = 10 ** (-0.4 * (np.maximum(magnitude, -1.2) - 2.0))
    order = np.argsort(-flux)  # brightest first, so that a faint sky needs only the first of them
    return vectors[:, order].astype(np.float32), flux[order].astype(np.float32)


def orientation(latitude_deg: float, heaven: Heaven) -> FloatArray:
    """The matrix from the catalogue's axes to east, north, up, (3,3); its last column points to the celestial pole."""
    latitude, hour = np.radians(latitude_deg), np.radians(heaven.sidereal_deg)
    c, s = np.cos(hour), np.sin(hour)
    spin = np.array([[c, s, 0], [-s, c, 0], [0, 0, 1]])
    sl, cl = np.sin(latitude), np.cos(latitude)
    horizon = np.array([[0, 1, 0], [-sl, 0, cl], [cl, 0, sl]])
    return f32(horizon @ spin)


def milky_way(geometry: SkyGeometry, heaven: Heaven, matrix: FloatArray) -> FloatArray:
    """The band of the Milky Way, (H,W)."""
    g = matrix @ _GALACTIC_POLE.astype(np.float32)
    axis = np.cross(g, matrix[:, 2])  # towards the centre of the galaxy, as far as this one has one
    axis /= np.linalg.norm(axis)
    third = np.cross(g, axis)
    # It is smooth: every second pixel of every second row will do.
    east, north, up = (v[::2, ::2] for v in (geometry.east, geometry.north, geometry.up))
    b, p, q = (east * v[0] + north * v[1] + up * v[2] for v in (g, axis, third))
    cloud = sample(tile("cloud", heaven.star_seed), p * 55 + 3, q * 55 + b * 140)
    bulge = np.float32(heaven.bulge) * np.exp(-((1 - p) / np.float32(0.12)))
    lane = b - np.float32(0.02) - np.float32(0.03) * cloud
    rift = np.exp(-((lane / 0.035) ** 2)) * smoothstep(p, -0.3, 0.5)
    width = np.float32(heaven.width) * (1 + np.float32(0.6) * bulge)
    level = (0.55 + 0.45 * p) * np.float32(1) + bulge
    band = np.exp(-((b / width) ** 2)) * (1 + np.float32(heaven.mottle) * cloud) * level
    band *= 1 - np.float32(heaven.rift) * rift
    return enlarge(np.float32(heaven.milky_way) * np.maximum(band, 0), geometry.shape)


def stars(geometry: SkyGeometry, heaven: Heaven, matrix: FloatArray) -> FloatArray:
    """The stars above the horizon, (H,W)."""
    vectors, flux = catalogue(heaven.star_seed)
    shown = int(np.searchsorted(-flux, -_FAINTEST / heaven.stars))
    seen, flux = matrix @ vectors[:, :shown], flux[:shown] * np.float32(heaven.stars)
    above = seen[2] > 0.02
    col, row = geometry.project(*seen[:, above])
    return splat(geometry.shape, col, row, flux[above])


def planets(geometry: SkyGeometry, heaven: Heaven) -> FloatArray:
    """A few lights brighter than stars, (H,W)."""
    rng = np.random.default_rng(heaven.seed)
    azimuth, altitude = rng.uniform(0, 2 * np.pi, heaven.planets), rng.uniform(0.15, 1.1, heaven.planets)
    place = np.stack((np.cos(altitude) * np.sin(azimuth), np.cos(altitude) * np.cos(azimuth), np.sin(altitude)))
    col, row = geometry.project(*place.astype(np.float32))
    light = heaven.stars * rng.uniform(2, 9, heaven.planets)
    return splat(geometry.shape, col, row, light.astype(np.float32))


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
