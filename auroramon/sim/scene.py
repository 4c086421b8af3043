"""One frame of a class: the scene is diced, drawn, measured after the detector, and diced again if it does not show."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from auroramon.sim import clouds as cloud
from auroramon.sim import detector
from auroramon.sim import moon as lunar
from auroramon.sim import sky as night_sky
from auroramon.sim.aurora import Display, glow
from auroramon.sim.camera import SimCamera
from auroramon.sim.clouds import Clouds
from auroramon.sim.displays import random_display
from auroramon.sim.fields import FloatArray
from auroramon.sim.frame import SimFrame
from auroramon.sim.geometry import SkyGeometry, sky_geometry
from auroramon.sim.moon import Moon
from auroramon.sim.sky import Sky, random_sky
from auroramon.sim.station import Station, station
from auroramon.sim.unknown import UNKNOWN_KINDS, draw_unknown
from auroramon.types import AURORA_LABELS, LABELS

__all__ = ["UNKNOWN_KINDS", "SimFrame", "draw", "draw_unknown"]

TRIES = 8
VISIBLE = {"arc": 0.22, "discrete": 0.25, "diffuse": 0.16, "moon": 0.45, "cloudy": 0.55, "clear": 0.0}
"""What a frame must show of its class at least: contrast for aurora and Moon, hidden share of the sky for clouds."""


@dataclass(frozen=True, slots=True)
class Scene:
    """Everything that is in the sky at one moment."""

    sky: Sky
    display: Display | None = None
    clouds: Clouds | None = None
    moon: Moon | None = None
    t: float = 0.0  # seconds, for what moves


@dataclass(frozen=True, slots=True)
class Drawn:
    """Light on the detector, (C,H,W), dark sky = 1; each part is contained in `total`."""

    total: FloatArray
    aurora: FloatArray | None
    moon: FloatArray | None
    hidden: float  # share of the sky behind clouds
    moon_clear: float  # transmission of clouds and landscape before the Moon


def draw(rng: np.random.Generator, label: str, camera: SimCamera, size: int | None = None) -> SimFrame:
    """One frame of a class as the camera's file would hold it; `size` is the shorter side in pixels.

    Raises ValueError for a label that is none of the six classes.
    """
    if label not in LABELS:
        raise ValueError(f"{label!r} is no class; the simulated sky has {', '.join(LABELS)}")
    geometry, place = sky_geometry(camera, size), station(camera, size)
    best: tuple[float, FloatArray, dict[str, float]] | None = None
    for _ in range(TRIES):
        scene = random_scene(rng, label, camera)
        x, truth = _shown(geometry, place, label, render(geometry, place, scene))
        if scene.moon:
            truth["moon_altitude_deg"] = scene.moon.altitude_deg
        if truth["saturated"] > 0.35:
            truth["visible"] = 0.0
        margin = truth["visible"] - VISIBLE[label]
        if best is None or margin > best[0]:
            best = (margin, x, truth)
        if margin >= 0:
            break
    assert best is not None  # noqa: S101 - TRIES is positive
    pixels = detector.write(geometry, place, detector.add_noise(rng, camera, place, best[1]))
    return SimFrame(pixels, label, geometry.disc, camera, best[2])


def random_scene(rng: np.random.Generator, label: str, camera: SimCamera) -> Scene:
    """The sky of a class with what else may be there, by the rules of docs/simulation.md."""
    sky = random_sky(rng, camera)
    if label in AURORA_LABELS:
        sky = replace(sky, sun_altitude_deg=min(sky.sun_altitude_deg, -10.5))
        thin = cloud.random_clouds(rng) if rng.random() < 0.12 else None
        if thin:
            thin = replace(
                thin, cover=min(thin.cover, 0.28), depth=min(thin.depth, 1.5), brightness=min(thin.brightness, 1.5)
            )
        faint = lunar.random_moon(rng) if rng.random() < 0.08 else None
        if faint:
            faint = replace(faint, phase=min(faint.phase, 0.5), altitude_deg=min(faint.altitude_deg, 25.0), haze=0.0)
        return Scene(sky, random_display(rng, label), thin, faint)
    if label == "cloudy":
        behind = lunar.random_moon(rng) if rng.random() < 0.3 else None
        return Scene(sky, None, cloud.random_clouds(rng), behind)
    if label == "moon":
        some = cloud.random_clouds(rng) if rng.random() < 0.3 else None
        if some:
            some = replace(some, cover=min(some.cover, 0.5), depth=min(some.depth, 2.0))
        return Scene(sky, None, some, lunar.random_moon(rng))
    return Scene(sky)


def render(geometry: SkyGeometry, place: Station, scene: Scene) -> Drawn:
    """The light of a scene on the detector."""
    camera = geometry.camera
    through = np.exp(np.float32(-0.92 * scene.sky.extinction) * np.minimum(geometry.airmass, 12))
    light = night_sky.space(geometry, scene.sky) * through
    aurora = glow(geometry, scene.display, scene.t) * through if scene.display else None
    if aurora is not None:
        light += aurora
    air = night_sky.air(geometry, scene.sky)
    moonlit = lunar.moonlit_sky(geometry, scene.moon) if scene.moon else None
    front = place.sky * place.shade
    hidden, moon_clear = 0.0, 1.0
    if scene.clouds:
        depth, relief = cloud.optical_depth(geometry, scene.clouds)
        clear = np.exp(-depth)
        lit = cloud.underside(geometry, scene.clouds, relief, air.mean(axis=0))
        warm = (0.8 + 0.7 * scene.clouds.warm, 1.0, 1.15 - 0.65 * scene.clouds.warm)
        cover = night_sky.tint(camera, warm) * (lit * (1 - clear))
        if moonlit is not None:
            cover += moonlit * ((1 - clear) * np.exp(-0.12 * depth) * 2.2)
            moonlit = moonlit * clear
        light = light * clear + cover
        aurora = aurora * clear if aurora is not None else None
        hidden = float((place.sky * (depth > 1)).sum() / max(place.sky.sum(), 1))
    light += air
    if moonlit is not None:
        light += moonlit
    ambient = float(light.mean())
    light = light * front + place.land * ambient * 0.6
    aurora = aurora * front if aurora is not None else None
    moon = None
    if scene.moon:
        moon_clear = _at_moon(geometry, scene.moon, front if not scene.clouds else front * clear)
        body, flare = lunar.disc_and_glare(geometry, scene.moon)
        moon = (body + flare * geometry.inside) * np.float32(moon_clear)
        light += moon
    light += night_sky.tint(camera, (1.3, 1.0, 0.6)) * place.lamps
    if scene.sky.satellites:
        light += night_sky.trails(geometry, scene.sky) * front
    return Drawn(light, aurora, moon, hidden, moon_clear)


def _at_moon(geometry: SkyGeometry, moon: Moon, clear: FloatArray) -> float:
    """The mean of a map around the Moon's place; 0 outside the frame."""
    col, row = geometry.project(*(np.float32([v]) for v in lunar.direction(moon)))
    c, r = int(col[0]), int(row[0])
    if not (0 <= c < clear.shape[1] and 0 <= r < clear.shape[0]):
        return 0.0
    return float(clear[max(r - 1, 0) : r + 2, max(c - 1, 0) : c + 2].mean())


def _shown(geometry: SkyGeometry, place: Station, label: str, drawn: Drawn) -> tuple[FloatArray, dict[str, float]]:
    """The exposed frame without noise, and what it shows of its class."""
    camera = geometry.camera
    light = detector.focus(geometry, drawn.total)
    factor = detector.exposure_factor(geometry, light)
    x = detector.expose(geometry, place, light, factor)
    truth = {"hidden": drawn.hidden, "moon_clear": drawn.moon_clear, "visible": 0.0}
    free = place.sky > 0.5
    truth["saturated"] = float((x.min(axis=0)[free] > 0.97).mean()) if free.any() else 1.0
    shown = tone(camera, x)
    low, high = np.percentile(shown.max(axis=0)[free], (0.5, 99.5)) if free.any() else (0.0, 1.0)
    span = max(float(high - low), 1e-4)
    if drawn.aurora is not None:
        truth["aurora"] = _contrast(geometry, place, x, shown, light, drawn.aurora, factor, free, 0.02) / span
    if drawn.moon is not None:
        truth["moon"] = _contrast(geometry, place, x, shown, light, drawn.moon, factor, free, 0.001)
    if label in AURORA_LABELS:
        truth["visible"] = truth["aurora"] if truth.get("moon", 0) < 0.6 or truth["aurora"] > 0.4 else 0.0
    elif label == "moon":
        truth["visible"] = truth["moon"] if drawn.moon_clear > 0.2 else 0.0
    elif label == "cloudy":
        truth["visible"] = drawn.hidden if truth.get("moon", 0) < 0.15 or drawn.moon_clear < 0.02 else 0.0
    return x, truth


def _contrast(
    geometry: SkyGeometry,
    place: Station,
    x: FloatArray,
    shown: FloatArray,
    light: FloatArray,
    part: FloatArray,
    factor: float,
    free: FloatArray,
    share: float,
) -> float:
    """What one part adds to the displayed frame where it is brightest, over at least `share` of the sky."""
    without = detector.expose(geometry, place, light - detector.focus(geometry, part), factor)
    change = (shown - tone(geometry.camera, without)).max(axis=0)[free]
    k = max(int(change.size * share), 1)
    return float(np.partition(change, -k)[-k])


tone = detector.tone
