"""Frames that are no night sky: closed shutter, daylight, test card, frost, lamp, failures, a slit, a face."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from auroramon.sim import clouds as cloud
from auroramon.sim import detector
from auroramon.sim import sky as night_sky
from auroramon.sim.camera import SimCamera
from auroramon.sim.fields import VARIANTS, FloatArray, blur, f32, sample, smoothstep, tile
from auroramon.sim.frame import SimFrame
from auroramon.sim.geometry import SkyGeometry, sky_geometry
from auroramon.sim.station import Station, frost, station
from auroramon.types import UNKNOWN

Draw = Callable[[np.random.Generator, SkyGeometry, Station], FloatArray]


def draw_unknown(rng: np.random.Generator, kind: str, camera: SimCamera, size: int | None = None) -> SimFrame:
    """One frame that must be refused; raises ValueError for a kind not in UNKNOWN_KINDS."""
    if kind not in _DRAW:
        raise ValueError(f"{kind!r} is no kind of unknown frame; there are {', '.join(UNKNOWN_KINDS)}")
    geometry, place = sky_geometry(camera, size), station(camera, size)
    x = _DRAW[kind](rng, geometry, place)
    x = np.broadcast_to(x, (camera.channels, *geometry.shape)).astype(np.float32)
    pixels = detector.write(geometry, place, detector.add_noise(rng, geometry, place, x))
    return SimFrame(pixels, UNKNOWN, geometry.disc, camera, {"kind": float(UNKNOWN_KINDS.index(kind))})


def _axes(geometry: SkyGeometry) -> tuple[FloatArray, FloatArray]:
    """Column and row of each pixel, 0..1."""
    height, width = geometry.shape
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    return x / np.float32(width), y / np.float32(height)


def _closed(rng: np.random.Generator, geometry: SkyGeometry, place: Station) -> FloatArray:
    """A closed shutter or lens cap: bias, noise, at most a faint leak of light."""
    x, y = _axes(geometry)
    level = 10 ** rng.uniform(-4, -2)
    leak = level * np.exp(-(((x - rng.random()) ** 2 + (y - rng.random()) ** 2) / rng.uniform(0.05, 0.6)))
    return (leak * (rng.random() < 0.6))[None].astype(np.float32)


def _daylight(rng: np.random.Generator, geometry: SkyGeometry, place: Station) -> FloatArray:
    """A bright sky by day or in bright twilight, blue or clouded, exposed to fill the range."""
    camera = geometry.camera
    sun = float(rng.uniform(-6, 35))
    azimuth = float(rng.uniform(0, 360))
    if sun < 0:
        light = night_sky.twilight(geometry, sun, azimuth)
    else:
        a, h = np.radians(azimuth), np.radians(sun)
        cosine = (geometry.east * np.sin(a) + geometry.north * np.cos(a)) * np.cos(h) + geometry.up * np.sin(h)
        away = np.degrees(np.arccos(np.clip(cosine, -1, 1)))
        sky = 0.45 + 0.35 * (1 - np.maximum(geometry.up, 0)) ** 3 + 0.3 * cosine**2
        light = night_sky.tint(camera, (0.6, 0.9, 1.5)) * sky
        light = light + night_sky.tint(camera, (1, 1, 1)) * (2.5 * np.exp(-away / 12) + 80 * np.exp(-((away / 2) ** 2)))
    if rng.random() < 0.5:
        depth, relief = cloud.optical_depth(geometry, cloud.random_clouds(rng))
        clear = np.exp(-depth)
        white = night_sky.tint(camera, (1, 1, 1.03)) * float(np.median(light)) * np.exp(0.25 * np.clip(relief, -2, 2))
        light = light * clear + white * rng.uniform(0.8, 2.2) * (1 - clear)
    light = detector.focus(geometry, light * place.sky * place.shade + place.land * float(light.mean()) * 2)
    fill = float(rng.uniform(0.35, 1.3)) / max(float(np.percentile(light, 85)), 1e-6)
    return f32(light * fill)


def _test_card(rng: np.random.Generator, geometry: SkyGeometry, place: Station) -> FloatArray:
    """Bars, a grid, a ramp or a checkerboard, as cameras and grabbers send when they have no picture."""
    x, y = _axes(geometry)
    n = int(rng.integers(4, 14))
    kind = int(rng.integers(4))
    if kind == 0:
        grey = f32(np.floor(x * n) / n)
    elif kind == 1:
        grey = f32((np.minimum((x * n) % 1, (y * n) % 1) < 0.08) * 0.8 + 0.1)
    elif kind == 2:
        grey = x if rng.random() < 0.5 else y
    else:
        grey = f32(((np.floor(x * n) + np.floor(y * n)) % 2) * 0.7 + 0.15)
    colours = rng.uniform(0.4, 1, (geometry.camera.channels, 1, 1)).astype(np.float32)
    return f32(grey[None] * colours * rng.uniform(0.3, 1))


def _frost(rng: np.random.Generator, geometry: SkyGeometry, place: Station) -> FloatArray:
    """Frost, snow or drops over most of the dome, lit by a lamp or the Moon."""
    ice = frost(rng, geometry, float(rng.uniform(0.5, 1)))
    x, y = _axes(geometry)
    light = 0.4 + np.exp(-((x - rng.random()) ** 2 + (y - rng.random()) ** 2) / rng.uniform(0.1, 0.8))
    grey = (0.15 + ice) * light * geometry.inside
    if rng.random() < 0.5:  # snow lies on the lower side
        slope = (x - 0.5) * np.cos(a := rng.uniform(0, 6.28)) + (y - 0.5) * np.sin(a)
        edge = slope + 0.04 * sample(tile("cloud", int(rng.integers(VARIANTS))), x * 60, y * 60)
        grey = grey * 0.5 + smoothstep(edge.astype(np.float32), -0.1, 0.0) * 0.9 * light * geometry.inside
    return f32(grey[None] * rng.uniform(0.1, 0.7) * night_sky.tint(geometry.camera, (1, 1, 1.05)))


def _lamp(rng: np.random.Generator, geometry: SkyGeometry, place: Station) -> FloatArray:
    """A calibration lamp, head-torch or car light: a huge burnt-out blob that drowns the sky."""
    x, y = _axes(geometry)
    aspect = geometry.shape[1] / geometry.shape[0]
    r2 = ((x - rng.uniform(0.2, 0.8)) * aspect) ** 2 + (y - rng.uniform(0.2, 0.8)) ** 2
    size = rng.uniform(0.15, 0.5)
    blob = rng.uniform(1, 5) * np.exp(-r2 / size**2) + 0.4 * np.exp(-r2 / (2.5 * size) ** 2)
    rings = 1 + 0.3 * np.cos(np.sqrt(r2) * rng.uniform(20, 90)) * (rng.random() < 0.4)
    warm = (1.2, 1.0, float(rng.uniform(0.5, 1.1)))
    spill = geometry.inside + np.float32(rng.uniform(0, 0.5)) * (1 - geometry.inside)
    return (blob * rings * spill)[None].astype(np.float32) * night_sky.tint(geometry.camera, warm)


def _bands(rng: np.random.Generator, geometry: SkyGeometry, place: Station) -> FloatArray:
    """A failed read-out: stripes, a torn frame, half of it missing, or noise all over."""
    height, width = geometry.shape
    x, y = _axes(geometry)
    sky = geometry.inside * (0.2 + 0.15 * sample(tile("smooth", int(rng.integers(VARIANTS))), x * 20, y * 20))
    kind = int(rng.integers(4))
    if kind == 0:
        along = y if rng.random() < 0.5 else x
        out = sky * 0.4 + 0.5 * (np.sin(along * rng.uniform(15, 200) + rng.uniform(0, 6)) > rng.uniform(-0.5, 0.8))
    elif kind == 1:
        shift = rng.integers(0, width, height) * (np.arange(height) > rng.uniform(0, 0.6) * height)
        out = np.take_along_axis(sky, (np.arange(width)[None] + shift[:, None]) % width, axis=1)
    elif kind == 2:
        out = np.where(y > rng.uniform(0.2, 0.7), rng.uniform(0, 1), sky)
    else:
        out = rng.random((height, width)) ** rng.uniform(0.5, 4) * rng.uniform(0.3, 1)
    return f32(out[None])


def _spectrograph(rng: np.random.Generator, geometry: SkyGeometry, place: Station) -> FloatArray:
    """An image of a slit: bright lines along one axis, the sky's brightness along the other."""
    x, y = _axes(geometry)
    if rng.random() < 0.5:
        x, y = y, x
    along = 0.6 + 0.4 * sample(
        tile("smooth", int(rng.integers(VARIANTS))), y * 25, y * 0 + np.float32(rng.uniform(0, 99))
    )
    out = np.full(geometry.shape, 0.02, np.float32)
    for _ in range(int(rng.integers(2, 12))):
        bent = x - rng.random() - 0.03 * (y - 0.5) ** 2
        out += np.float32(10 ** rng.uniform(-1.6, 0)) * np.exp(-((bent / rng.uniform(0.003, 0.02)) ** 2)) * along
    ends = smoothstep(y, 0.02, 0.06) * smoothstep(1 - y, 0.02, 0.06)
    return (out * ends)[None].astype(np.float32)


def _person(rng: np.random.Generator, geometry: SkyGeometry, place: Station) -> FloatArray:
    """Somebody bends over the dome: a large head and shoulders, out of focus, before a dim room or sky."""
    x, y = _axes(geometry)
    x = f32((x - np.float32(rng.uniform(0.35, 0.65))) * geometry.shape[1] / geometry.shape[0])
    y = y - np.float32(rng.uniform(0.35, 0.5))
    size = rng.uniform(0.18, 0.34)
    head = smoothstep((1 - (x / size) ** 2 - (y / (1.3 * size)) ** 2).astype(np.float32), -0.1, 0.15)
    body = smoothstep(
        (1 - (x / (2.2 * size)) ** 2 - ((y - 2.4 * size) / (1.3 * size)) ** 2).astype(np.float32), -0.1, 0.15
    )
    eyes = sum(np.exp(-(((x - s * 0.4 * size) ** 2 + (y + 0.15 * size) ** 2) / (0.13 * size) ** 2)) for s in (-1, 1))
    mouth = np.exp(-((x / (0.4 * size)) ** 2) - (((y - 0.6 * size) / (0.09 * size)) ** 2))
    face = head * (0.75 + 0.3 * x / size) * (1 - 0.6 * eyes - 0.4 * mouth)
    room = 0.15 + 0.1 * sample(tile("smooth", int(rng.integers(VARIANTS))), x * 12, y * 12)
    grey = np.maximum(room, 0) * (1 - np.maximum(head, body)) + face + body * (1 - head) * rng.uniform(0.05, 0.4)
    skin = night_sky.tint(geometry.camera, (1.25, 0.95, 0.8))
    return (
        blur((grey * (0.1 + geometry.inside))[None].astype(np.float32), 1.0) * skin * np.float32(rng.uniform(0.3, 0.9))
    )


_DRAW: dict[str, Draw] = {
    "closed": _closed,
    "daylight": _daylight,
    "test_card": _test_card,
    "frost": _frost,
    "lamp": _lamp,
    "bands": _bands,
    "spectrograph": _spectrograph,
    "person": _person,
}
UNKNOWN_KINDS: tuple[str, ...] = tuple(_DRAW)
"""What `draw_unknown` can draw."""
