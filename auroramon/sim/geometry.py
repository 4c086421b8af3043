"""Where each pixel of a simulated camera looks, worked out once per camera and size."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from auroramon.sim.camera import Projection, SimCamera
from auroramon.sim.fields import FloatArray, f32
from auroramon.types import Disc

EARTH_KM = 6371.0
FOOT_KM = 110.0
"""Height of the map of emission; other heights are reached along the field line."""
CROP = 0.82
"""Part of the disc's radius in which a frame must show what it is: models cut the lowest elevations away."""
MAP_EDGE_DEG = 89.0
"""Zenith angle at the edge of that map."""


@dataclass(frozen=True, slots=True)
class EmissionGrid:
    """The points at which emission is evaluated: spaced like the pixels, given in km around the station."""

    side: int  # points across the sky
    east: FloatArray  # (points,) km east of the station at FOOT_KM
    north: FloatArray  # (points,) km north
    pixel_km: FloatArray  # (points,) distance of neighbouring points, km
    number: NDArray[np.int32]  # (side, side) which point lies there; 0 in the corners, which hold none


@dataclass(frozen=True, slots=True)
class SkyGeometry:
    """A camera's view of the sky at one frame size; arrays are (H,W) unless noted."""

    camera: SimCamera
    shape: tuple[int, int]
    disc: Disc  # in pixels of this size
    pixel: float  # pixels per degree of zenith angle, near the zenith
    disc_radius: FloatArray  # distance from the disc centre, in disc radii
    inside: FloatArray  # 1 in the disc, 0 outside, soft over a pixel
    east: FloatArray  # unit vector of the line of sight
    north: FloatArray
    up: FloatArray  # sine of the altitude
    altitude: FloatArray  # degrees
    azimuth: FloatArray  # degrees, from north by east
    airmass: FloatArray
    van_rhijn: FloatArray  # path through a layer at 95 km, zenith 1
    slant: FloatArray  # path through the auroral layer, zenith 1
    cloud_east: FloatArray  # place on a cloud deck, in deck heights
    cloud_north: FloatArray
    cloud_step: FloatArray  # deck heights from a pixel to its neighbour
    light_dome: FloatArray  # glow over the camera's town, 1 at its horizon
    grid: EmissionGrid
    heights: tuple[float, ...]  # km, layers of the aurora
    sky: NDArray[np.int32]  # (P,) index into the ravelled frame of the pixels in the disc
    footpoints: NDArray[np.int32]  # (layers, P) which point of the emission grid

    def project(self, east: FloatArray, north: FloatArray, up: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Column and row (pixel centres at half-integers) of unit vectors; far outside where up < 0."""
        e, n, u = _tilt(self.camera, east, north, up, inverse=True)
        zenith = np.degrees(np.arccos(np.clip(u, -1, 1)))
        r = _radius_of(zenith, self.camera.projection, self.camera.edge_zenith_deg) * np.float32(self.disc.radius)
        r = np.where(up < -0.02, np.float32(1e6), r)
        norm = np.maximum(np.hypot(e, n), 1e-6)
        turn = np.radians(self.camera.rotation_deg)
        c, s = np.float32(np.cos(turn)), np.float32(np.sin(turn))
        forward, side = (n * c + e * s) / norm, (e * c - n * s) / norm
        hand = np.float32(1 if self.camera.flip else -1)
        return f32(self.disc.x + hand * side * r), f32(self.disc.y - forward * r)


def frame_shape(camera: SimCamera, size: int | None) -> tuple[int, int]:
    """Height and width of a frame whose shorter side has `size` pixels; the camera's own when None."""
    if size is None:
        return camera.height, camera.width
    scale = size / min(camera.width, camera.height)
    return round(camera.height * scale), round(camera.width * scale)


@lru_cache(maxsize=48)
def sky_geometry(camera: SimCamera, size: int | None = None) -> SkyGeometry:
    """The geometry of a camera at a size (shorter side, pixels). Kept for the last 48 pairs."""
    height, width = frame_shape(camera, size)
    disc = Disc(camera.centre_x * width, camera.centre_y * height, camera.radius * min(height, width), "configured")
    cols = (np.arange(width, dtype=np.float32) + 0.5 - disc.x) / disc.radius
    rows = (np.arange(height, dtype=np.float32) + 0.5 - disc.y) / disc.radius
    x, y = np.meshgrid(cols, rows)
    r = np.hypot(x, y)
    zenith = np.radians(_zenith_of(np.minimum(r, 1.05), camera.projection, camera.edge_zenith_deg))
    hand = 1 if camera.flip else -1
    turn = np.radians(camera.rotation_deg)
    safe = np.maximum(r, 1e-6)
    forward, side = -y / safe, hand * x / safe
    e = (side * np.cos(turn) + forward * np.sin(turn)) * np.sin(zenith)
    n = (forward * np.cos(turn) - side * np.sin(turn)) * np.sin(zenith)
    east, north, up = _tilt(camera, f32(e), f32(n), f32(np.cos(zenith)), inverse=False)
    altitude = np.degrees(np.arcsin(np.clip(up, -1, 1)))
    low = np.maximum(up, 0.0)
    flat = np.maximum(np.hypot(east, north), 1e-6)
    spread = np.minimum(_ground_km(np.maximum(low, 0.01), 3.0) / 3.0, 40.0)
    cloud_east, cloud_north = f32(east / flat * spread), f32(north / flat * spread)
    step = np.hypot(*np.gradient(cloud_east)) + np.hypot(*np.gradient(cloud_north))
    grid = _emission_grid(max(48, int(2.0 * disc.radius)))
    heights = _heights(camera, disc.radius)
    sky = np.flatnonzero(r * disc.radius < disc.radius + 1).astype(np.int32)
    return SkyGeometry(
        camera=camera,
        shape=(height, width),
        disc=disc,
        pixel=disc.radius / camera.edge_zenith_deg,
        disc_radius=f32(r),
        inside=f32(np.clip((1 - r) * disc.radius + 0.5, 0, 1)),
        east=east,
        north=north,
        up=up,
        altitude=f32(altitude),
        azimuth=f32(np.degrees(np.arctan2(east, north)) % 360),
        airmass=f32(1 / (low + 0.15 * (np.degrees(np.arcsin(low)) + 3.885) ** -1.253)),
        van_rhijn=_path(low, 95.0),
        slant=_path(low, 115.0),
        cloud_east=cloud_east,
        cloud_north=cloud_north,
        cloud_step=f32(step / np.sqrt(2)),
        light_dome=_light_dome(camera, f32(altitude), f32(np.degrees(np.arctan2(east, north)))),
        grid=grid,
        heights=heights,
        sky=sky,
        footpoints=_footpoints(camera, grid, heights, sky, east, north, low),
    )


def _light_dome(camera: SimCamera, altitude: FloatArray, azimuth: FloatArray) -> FloatArray:
    """The glow over the camera's towns: the brightest where the camera says, smaller ones anywhere."""
    rng = np.random.default_rng([5, camera.seed])
    low = np.maximum(altitude, 0)
    dome = np.zeros_like(low)
    for town in range(int(rng.integers(1, 4))):
        towards = camera.city_azimuth_deg if town == 0 else rng.uniform(0, 360)
        off = np.abs((azimuth - towards + 180) % 360 - 180)
        height, width = np.exp(rng.uniform(np.log(5), np.log(20))), np.exp(rng.uniform(np.log(14), np.log(70)))
        dome += (1.0 if town == 0 else rng.uniform(0.1, 0.8)) * np.exp(-low / height) * np.exp(-((off / width) ** 2))
    return f32(dome + rng.uniform(0.02, 0.25) * np.exp(-low / 14))


def _zenith_of(r: FloatArray, projection: Projection, edge_deg: float) -> FloatArray:
    """Zenith angle in degrees at r disc radii."""
    edge = np.radians(edge_deg)
    if projection == "equidistant":
        return f32(r * edge_deg)
    if projection == "equisolid":
        return f32(np.degrees(2 * np.arcsin(np.clip(r * np.sin(edge / 2), 0, 1))))
    return f32(np.degrees(2 * np.arctan(r * np.tan(edge / 2))))


def _radius_of(zenith: FloatArray, projection: Projection, edge_deg: float) -> FloatArray:
    """Disc radii at a zenith angle in degrees: the inverse of `_zenith_of`."""
    if projection == "equidistant":
        return f32(zenith / edge_deg)
    half, edge = np.radians(zenith) / 2, np.radians(edge_deg) / 2
    if projection == "equisolid":
        return f32(np.sin(half) / np.sin(edge))
    return f32(np.tan(half) / np.tan(edge))


def _tilt(
    camera: SimCamera, east: FloatArray, north: FloatArray, up: FloatArray, *, inverse: bool
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Unit vectors from the camera's axes to the horizon's (or back): a turn about a horizontal line."""
    a = np.radians(camera.tilt_azimuth_deg)
    t = np.radians(camera.tilt_deg) * (-1 if inverse else 1)
    along = east * np.sin(a) + north * np.cos(a)
    moved = along * np.cos(t) + up * np.sin(t)
    raised = up * np.cos(t) - along * np.sin(t)
    shift = moved - along
    return f32(east + shift * np.sin(a)), f32(north + shift * np.cos(a)), f32(raised)


def _ground_km(up: FloatArray, height: float | NDArray[np.floating]) -> FloatArray:
    """Distance along the ground to the point below where a line of sight (sine of altitude) reaches a height."""
    cosine = np.sqrt(np.maximum(1 - up * up, 0))
    return f32(EARTH_KM * (np.arccos(np.clip(cosine * EARTH_KM / (EARTH_KM + height), -1, 1)) - np.arcsin(up)))


def _path(up: FloatArray, height: float) -> FloatArray:
    """Van Rhijn's factor: the path through a thin layer at `height` km against that at the zenith."""
    sine2 = (1 - up * up) * (EARTH_KM / (EARTH_KM + height)) ** 2
    return f32(1 / np.sqrt(1 - sine2))


@lru_cache(maxsize=8)
def _emission_grid(side: int) -> EmissionGrid:
    c = (np.arange(side, dtype=np.float32) + 0.5) / side * 2 - 1
    x, y = np.meshgrid(c, -c)
    r = np.maximum(np.hypot(x, y), 1e-6)
    up = np.cos(np.radians(np.minimum(r * MAP_EDGE_DEG, 89.9)))
    km = _ground_km(f32(up), FOOT_KM) * np.where(r > 1, r, 1)
    east, north = f32(x / r * km), f32(y / r * km)
    step = np.hypot(np.gradient(east, axis=1), np.gradient(north, axis=1))
    used = r < 1 + 3 / side
    number = np.where(used, np.cumsum(used).reshape(used.shape) - 1, 0).astype(np.int32)
    return EmissionGrid(side, east[used], north[used], f32(step)[used], number)


def _heights(camera: SimCamera, radius: float) -> tuple[float, ...]:
    """Layers, denser where the emission changes quickly; more of them for larger frames."""
    n = 14 if radius < 100 else 22
    if camera.band == "630.0":
        return tuple(np.linspace(180, 360, n).tolist())
    return tuple((96 + 194 * np.linspace(0, 1, n) ** 1.75).tolist())


def _footpoints(
    camera: SimCamera,
    grid: EmissionGrid,
    heights: tuple[float, ...],
    sky: NDArray[np.int32],
    east: FloatArray,
    north: FloatArray,
    up: FloatArray,
) -> NDArray[np.int32]:
    """Which point of the emission grid the field line through each pixel and layer stands on."""
    row_of, col_of = sky // east.shape[1], sky % east.shape[1]
    east, north, up = east.ravel()[sky], north.ravel()[sky], up.ravel()[sky]
    flat = np.maximum(np.hypot(east, north), 1e-6)
    lean = np.tan(np.radians(camera.dip_from_zenith_deg)) * (-1 if camera.latitude_deg > 0 else 1)
    lean_e = lean * np.sin(np.radians(camera.declination_deg))
    lean_n = lean * np.cos(np.radians(camera.declination_deg))
    # A place between two grid points goes to either of them by a fixed dither: no steps, and no slower. Likewise
    # pixels look at heights between two layers, neighbours at different ones; `glow` takes the mean of 3x3 pixels,
    # and a ray is no row of dots.
    dither = np.random.default_rng(7).random((2, *east.shape), dtype=np.float32) - 0.5
    between = np.array([[0, 5, 2], [7, 4, 8], [3, 1, 6]])[row_of % 3, col_of % 3] / 9 - 4 / 9
    gap = np.gradient(np.asarray(heights))
    index = np.empty((len(heights), *east.shape), np.int32)
    for i, layer in enumerate(heights):
        height = layer + between * gap[i]
        km = _ground_km(up, height)
        e = east / flat * km - (height - FOOT_KM) * lean_e
        n = north / flat * km - (height - FOOT_KM) * lean_n
        d = np.maximum(np.hypot(e, n), 1e-6)
        psi = d / EARTH_KM
        rise = (EARTH_KM + FOOT_KM) * np.cos(psi) - EARTH_KM
        zenith = np.degrees(np.arctan2((EARTH_KM + FOOT_KM) * np.sin(psi), rise))
        r = np.minimum(zenith / MAP_EDGE_DEG, 1.0) * grid.side / 2
        col = np.clip(grid.side / 2 + e / d * r + dither[0], 0, grid.side - 1).astype(np.int32)
        row = np.clip(grid.side / 2 - n / d * r + dither[1], 0, grid.side - 1).astype(np.int32)
        index[i] = grid.number[row, col]
    return index
