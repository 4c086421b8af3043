"""The sky without aurora: airglow, zodiacal light, twilight, light domes, satellites; stars are in stars.py."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from auroramon.sim.camera import SimCamera
from auroramon.sim.dice import pick, sometimes
from auroramon.sim.fields import VARIANTS, FloatArray, f32, rotated, sample, tile
from auroramon.sim.geometry import SkyGeometry
from auroramon.sim.stars import Heaven, milky_way, orientation, planets, splat, stars

RGB = tuple[float, float, float]
# A line filter of 2 nm lets little of a continuum through, but the sky it sees is mostly line, too.
_CONTINUUM = {"white": 1.0, "557.7": 0.35, "630.0": 0.45, "nir": 0.8, "427.8": 0.5}


@dataclass(frozen=True, slots=True)
class Sky:
    """What fills the night sky of one frame apart from aurora, clouds and Moon. Brightness: dark zenith sky = 1."""

    airglow: float  # at the zenith
    rim: float  # how steeply the airglow brightens towards the horizon: 1 as van Rhijn's factor
    gradient: float  # relative change across the sky, 0..1
    gradient_azimuth_deg: float
    waves: float  # relative depth of large structures in the airglow
    wave_km: float
    wave_stretch: float  # how much longer than wide: 1 patches .. 6 bands from horizon to horizon
    wave_deg: float  # direction of the bands
    extinction: float  # per airmass
    heaven: Heaven
    zodiacal: float  # brightness of the zodiacal light's cone at its foot
    sun_altitude_deg: float
    sun_azimuth_deg: float
    sun_spread_deg: float  # half-width of its glow along the horizon
    sun_height_deg: float  # how high the glow reaches
    city: float  # factor on the camera's light domes
    satellites: int
    seed: int


def random_sky(rng: np.random.Generator, camera: SimCamera) -> Sky:
    """A night sky as it may be: dawn or dusk in one of five, airglow in bands or patches in one of four."""
    line = camera.band not in ("white", "colour")
    seed = int(rng.integers(1 << 30))
    usual = camera.oh_airglow * rng.beta(1.2, 3) * (0.3 if camera.band == "nir" else 0.12)
    return Sky(
        airglow=float(np.exp(rng.normal(0, 0.3))),
        rim=float(rng.uniform(0.4, 1.5)),
        gradient=float(rng.beta(1, 2.5) * 0.9),
        gradient_azimuth_deg=float(rng.uniform(0, 360)),
        waves=float(max(usual, sometimes(rng, 0.25, 0.03, 0.22))),
        wave_km=float(np.exp(rng.uniform(np.log(40), np.log(700)))),
        wave_stretch=float(np.exp(rng.uniform(0, np.log(6)))),
        wave_deg=float(rng.uniform(0, 180)),
        extinction=float(rng.uniform(0.1, 0.4) if rng.random() < 0.75 else rng.uniform(0.4, 1.0)),
        heaven=_random_heaven(rng, seed, 0.35 if line else 1.0),
        zodiacal=sometimes(rng, 0.15, 0.1, 1.2) * (0.3 if line else 1.0),
        sun_altitude_deg=float(rng.uniform(-18.5, -7.5)) if rng.random() < 0.22 else -25.0,
        sun_azimuth_deg=float(rng.uniform(0, 360)),
        sun_spread_deg=float(rng.uniform(28, 90)),
        sun_height_deg=float(rng.uniform(5, 20)),
        city=float(np.exp(rng.normal(0, 0.5))),
        satellites=pick(rng, (0, 1, 2), (0.9, 0.08, 0.02)),
        seed=seed,
    )


def _random_heaven(rng: np.random.Generator, seed: int, share: float) -> Heaven:
    """Stars and Milky Way; `share` of their light passes the camera's filter.

    A camera that sees much of the Milky Way sees many stars.
    """
    milky_way = float(rng.beta(1.1, 1.6) * 2.0)
    return Heaven(
        stars=float(np.exp(rng.normal(np.log(1.6 + 2.4 * milky_way), 0.65))) * share,
        star_seed=int(rng.integers(4)),
        sidereal_deg=float(rng.uniform(0, 360)),
        milky_way=milky_way * share,
        width=float(np.exp(rng.uniform(np.log(0.07), np.log(0.22)))),
        bulge=sometimes(rng, 0.6, 0.3, 2.0),
        rift=float(rng.uniform(0.2, 0.95)),
        mottle=float(rng.uniform(0.1, 0.7)),
        planets=pick(rng, (0, 1, 2, 3), (0.4, 0.35, 0.2, 0.05)),
        seed=seed,
    )


def turned(sky: Sky, seconds: float) -> Sky:
    """The sky some seconds later: the stars go round by a degree in four minutes."""
    return replace(sky, heaven=replace(sky.heaven, sidereal_deg=sky.heaven.sidereal_deg + seconds / 240))


def tint(camera: SimCamera, rgb: RGB) -> FloatArray:
    """How bright light of a colour is in each channel, (C,1,1); rgb is relative, 1 for grey light."""
    if camera.band == "colour":
        return np.asarray(rgb, np.float32)[:, None, None]
    return np.full((1, 1, 1), np.mean(rgb) * _CONTINUUM[camera.band], np.float32)


def space(geometry: SkyGeometry, sky: Sky) -> FloatArray:
    """Airglow, zodiacal light and Milky Way above the air, (C,H,W)."""
    camera = geometry.camera
    glow = _airglow(geometry, sky)
    # An airglow sky is mostly line: a filter does not dim it as it dims a continuum.
    out = np.ones((camera.channels, 1, 1), np.float32) * glow
    if camera.band == "colour":
        out = np.asarray(camera.sky_colour, np.float32)[:, None, None] * glow
    if sky.heaven.milky_way > 0.02:
        matrix = orientation(camera.latitude_deg, sky.heaven)
        out += tint(camera, (1.05, 1.0, 0.95)) * milky_way(geometry, sky.heaven, matrix)
    if sky.zodiacal > 0.02:
        out += tint(camera, (1.05, 1.0, 0.95)) * _zodiacal(geometry, sky)
    return out


def points(geometry: SkyGeometry, sky: Sky) -> FloatArray:
    """Stars and planets above the air, (C,H,W)."""
    light = stars(geometry, sky.heaven, orientation(geometry.camera.latitude_deg, sky.heaven))
    if sky.heaven.planets:
        light += planets(geometry, sky.heaven)
    return tint(geometry.camera, (1, 1, 1)) * light


def _airglow(geometry: SkyGeometry, sky: Sky) -> FloatArray:
    """The glow of a layer at 95 km, brighter towards the horizon, uneven and in bands or patches, (H,W)."""
    glow = np.float32(sky.airglow) * np.minimum(geometry.van_rhijn, 3.5) ** np.float32(sky.rim)
    if sky.waves > 0.01:
        k = np.float32(14 * 90 / sky.wave_km)
        across, along = rotated(geometry.cloud_east * k, geometry.cloud_north * k, sky.wave_deg)
        along = along / np.float32(sky.wave_stretch)
        wave = sample(tile("smooth", sky.seed % VARIANTS), across + sky.seed % 97, along + sky.seed % 89)
        glow = glow * np.maximum(1 + np.float32(sky.waves) * wave * np.minimum(geometry.up * 3, 1), 0.3)
    if sky.gradient > 0.01:
        toward = np.radians(sky.gradient_azimuth_deg)
        slope = geometry.east * np.float32(np.sin(toward)) + geometry.north * np.float32(np.cos(toward))
        glow = glow * (1 + np.float32(sky.gradient) * slope)
    return f32(glow)


def _zodiacal(geometry: SkyGeometry, sky: Sky) -> FloatArray:
    """A leaning cone that tapers from its foot on the horizon upwards along the ecliptic, (H,W)."""
    rng = np.random.default_rng([17, sky.seed])
    foot, lean = rng.uniform(0, 2 * np.pi), np.radians(rng.uniform(-50, 50))
    ahead = geometry.east * np.float32(np.sin(foot)) + geometry.north * np.float32(np.cos(foot))
    side = geometry.east * np.float32(np.cos(foot)) - geometry.north * np.float32(np.sin(foot))
    c, s = np.float32(np.cos(lean)), np.float32(np.sin(lean))
    along, across = c * geometry.up + s * side, c * side - s * geometry.up  # sines of the angles
    away = np.degrees(np.arctan2(np.maximum(along, 0), ahead))  # from the foot along the ecliptic
    width = np.float32(0.15) + np.float32(0.2) * np.exp(-away / 25)
    return f32(np.float32(sky.zodiacal) * np.exp(-away / 32) * np.exp(-((across / width) ** 2)))


def air(geometry: SkyGeometry, sky: Sky) -> FloatArray:
    """Light of towns that the air scatters below everything else, (C,H,W)."""
    camera = geometry.camera
    out = np.zeros((camera.channels, *geometry.shape), np.float32)
    if camera.city * sky.city > 0.02:
        out += tint(camera, (1.45, 1.0, 0.55)) * np.float32(camera.city * sky.city) * geometry.light_dome
    return out


def dusk(geometry: SkyGeometry, sky: Sky) -> FloatArray | None:
    """Twilight, (C,H,W): the air above any cloud scatters it. None in the dark of night."""
    if sky.sun_altitude_deg <= -19:
        return None
    return twilight(geometry, sky.sun_altitude_deg, sky.sun_azimuth_deg, sky.sun_spread_deg, sky.sun_height_deg)


def twilight(
    geometry: SkyGeometry,
    sun_altitude_deg: float,
    sun_azimuth_deg: float,
    spread_deg: float = 62.0,
    height_deg: float = 13.0,
) -> FloatArray:
    """The glow of a Sun below the horizon, (C,H,W): ten times fainter for each 2.6 degrees of depression.

    How far it reaches along the horizon and up differs with haze and season.
    """
    low = np.maximum(geometry.altitude, 0)
    off = np.abs((geometry.azimuth - np.float32(sun_azimuth_deg) + 180) % 360 - 180)
    toward = np.exp(-((off / np.float32(spread_deg)) ** 2))
    level = np.float32(10 ** ((sun_altitude_deg + 15.0) / 2.6))
    near = np.float32(9.0) * level * np.exp(-low / np.float32(height_deg)) * (0.06 + toward)
    # Overhead there is no azimuth: there the side of the Sun must not matter.
    side = np.minimum((90 - low) / 50, 1)
    overhead = level * (0.25 + 0.5 * (side * toward + 0.3 * (1 - side)) * np.exp(-low / 45))
    camera = geometry.camera
    return f32(tint(camera, (1.5, 0.95, 0.55)) * near + tint(camera, (0.55, 0.85, 1.6)) * overhead)


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
            geometry.shape, col, row, np.float32(sky.heaven.stars * rng.uniform(0.1, 0.6)) * blink * np.ones_like(col)
        )
        out += tint(geometry.camera, (1, 1, 1)) * light
    return out
