"""One frame of a class: the scene is diced, drawn, measured after the detector, and diced again if it does not show."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from auroramon.sim import clouds as cloud
from auroramon.sim import detector
from auroramon.sim import moon as lunar
from auroramon.sim.camera import SimCamera
from auroramon.sim.clouds import Clouds
from auroramon.sim.dice import pick
from auroramon.sim.displays import ARC, DIFFUSE, DISCRETE, random_display
from auroramon.sim.dome import random_dome
from auroramon.sim.frame import SimFrame
from auroramon.sim.geometry import CROP, SkyGeometry, sky_geometry
from auroramon.sim.light import Drawn, Scene, render
from auroramon.sim.moon import Moon
from auroramon.sim.seen import Seen
from auroramon.sim.sky import random_sky
from auroramon.sim.station import Station, station
from auroramon.sim.unknown import UNKNOWN_KINDS, draw_unknown
from auroramon.types import AURORA_LABELS, LABELS

__all__ = ["UNKNOWN_KINDS", "SimFrame", "draw", "draw_unknown"]

TRIES = 12
VISIBLE = {"arc": 0.28, "discrete": 0.32, "diffuse": 0.25, "moon": 0.45, "cloudy": 0.55, "clear": 0.0}
"""What a frame must show of its class at least: contrast for aurora and Moon, hidden share of the sky for clouds."""


_CLOUD_FORM = 0.35
"""Contrast from which thin clouds count as clouds, too."""
_STARS = 4.0
"""Signal to noise of the tenth brightest pixel of starlight from which a clear sky is seen to be clear."""
UNCLEAN = 0.08
"""Share of the frames that are seen through drops or light frost."""
BURNT = {"arc": 0.05, "diffuse": 0.05, "discrete": 0.12}
"""Share of the sky that may be burnt out at most, where it is less than usual: diffuse aurora is faint."""


def draw(rng: np.random.Generator, label: str, camera: SimCamera, size: int | None = None) -> SimFrame:
    """One frame of a class as the camera's file would hold it; `size` is the shorter side in pixels.

    Raises ValueError for a label that is none of the six classes.
    """
    if label not in LABELS:
        raise ValueError(f"{label!r} is no class; the simulated sky has {', '.join(LABELS)}")
    geometry, place = sky_geometry(camera, size), station(camera, size)
    best: tuple[float, Drawn, dict[str, float]] | None = None
    kind = random_kind(rng, label)
    for tries in range(1, TRIES + 1):
        # A kind that shows more rarely than others would be rare among the frames, were it not tried again.
        scene = random_scene(rng, label, geometry, place, kind if tries <= TRIES * 2 // 3 else None)
        scene = replace(scene, dome=random_dome(rng, UNCLEAN))
        drawn, truth = _made_visible(geometry, place, label, render(geometry, place, scene))
        truth["tries"] = tries
        truth["moon_altitude_deg"] = scene.moon.altitude_deg if scene.moon else -90.0
        margin = truth["visible"] - VISIBLE[label]
        if best is None or margin > best[0]:
            best = (margin, drawn, truth)
        if margin >= 0:
            break
    assert best is not None  # noqa: S101 - TRIES is positive
    return finish(rng, geometry, place, label, best[1], best[2])


def finish(
    rng: np.random.Generator, geometry: SkyGeometry, place: Station, label: str, drawn: Drawn, truth: dict[str, float]
) -> SimFrame:
    """The file that the camera makes of the light."""
    light = detector.focus(geometry, drawn.total)
    x = detector.expose(geometry, place.rim, light, truth["exposure"])
    pixels = detector.write(geometry, place, detector.add_noise(rng, geometry, place, x))
    return SimFrame(pixels, label, geometry.disc, geometry.camera, truth)


def _made_visible(geometry: SkyGeometry, place: Station, label: str, drawn: Drawn) -> tuple[Drawn, dict[str, float]]:
    """The same sky with aurora as strong as it must be to show, and what shows.

    Aurora only adds light: a stronger one of the same form needs no new drawing.
    """
    truth = measure(geometry, place, label, drawn)
    for _ in range(3 if drawn.aurora is not None else 0):
        if not 0 < truth["visible"] < VISIBLE[label]:
            break
        more = np.float32(min(1.6 * VISIBLE[label] / truth["visible"], 6.0) - 1)
        assert drawn.aurora is not None  # noqa: S101 - see the loop
        drawn = replace(drawn, total=drawn.total + more * drawn.aurora, aurora=(1 + more) * drawn.aurora)
        truth = measure(geometry, place, label, drawn)
    return drawn, truth


def random_kind(rng: np.random.Generator, label: str) -> str | None:
    """What kind of sky of a class a frame shall show; None where a class has but one kind."""
    kinds: dict[str, Mapping[str, float]] = {
        "arc": ARC,
        "diffuse": DIFFUSE,
        "discrete": DISCRETE,
        "cloudy": cloud.CLOUD_KINDS,
    }
    if label not in kinds:
        return None
    return pick(rng, tuple(kinds[label]), tuple(kinds[label].values()))


def random_scene(
    rng: np.random.Generator, label: str, geometry: SkyGeometry, place: Station, kind: str | None = None
) -> Scene:
    """The sky of a class, and of a kind of it, with what else may be there, by the rules of docs/simulation.md."""
    sky = random_sky(rng, geometry.camera)
    if label in AURORA_LABELS:  # a bright dawn outshines it
        sky = replace(sky, sun_altitude_deg=min(sky.sun_altitude_deg, -12.0))
    if label in AURORA_LABELS:
        before = _thin_clouds(rng) if label != "diffuse" and rng.random() < 0.1 else _few_clouds(rng, 0.06)
        return Scene(sky, random_display(rng, label, kind), before, _low_moon(rng, 0.08))
    if label == "cloudy":
        behind = lunar.random_moon(rng) if rng.random() < 0.3 else None
        return Scene(sky, None, cloud.random_clouds(rng, kind), behind)
    if label == "moon":
        some = cloud.random_clouds(rng) if rng.random() < 0.3 else None
        if some:
            some = replace(some, cover=min(some.cover, 0.5), depth=min(some.depth, 2.0))
        elif rng.random() < 0.4:
            some = cloud.haze(rng)
        return Scene(sky, None, some, in_free_sky(rng, lunar.random_moon(rng), geometry, place))
    return Scene(sky, None, _few_clouds(rng, 0.1), _low_moon(rng, 0.12))


def _thin_clouds(rng: np.random.Generator) -> Clouds:
    """Thin clouds without sharp edges, through which aurora may still be seen."""
    some = cloud.random_clouds(rng)
    return replace(
        some,
        cover=float(rng.uniform(0.15, 0.55)),
        depth=min(some.depth, float(rng.uniform(0.3, 1.4))),
        roughness=min(some.roughness, 0.35),
        brightness=min(some.brightness, 1.2),
    )


def _few_clouds(rng: np.random.Generator, chance: float) -> Clouds | None:
    if rng.random() > chance:
        return None
    some = cloud.random_clouds(rng)
    cover, depth = float(rng.uniform(0, 0.16)), min(some.depth, 1.5)
    return replace(some, cover=cover, depth=depth, brightness=min(some.brightness, 1.5), parting=0.3 * some.parting)


def _low_moon(rng: np.random.Generator, chance: float) -> Moon | None:
    """Moonlight without much of the Moon: a crescent, or one that has just risen."""
    if rng.random() > chance:
        return None
    moon = lunar.random_moon(rng)
    return replace(moon, phase=min(moon.phase, 0.5), altitude_deg=float(rng.uniform(-0.5, 12)), haze=0.0)


def in_free_sky(
    rng: np.random.Generator, moon: Moon, geometry: SkyGeometry, place: Station, highest_deg: float = 90.0
) -> Moon:
    """The Moon moved to where the camera sees it."""
    high = (geometry.altitude > 4) & (geometry.altitude < highest_deg)
    free = np.flatnonzero((place.sky > 0.9) & high & (geometry.disc_radius < CROP + 0.02))
    if free.size == 0:
        return moon
    at = int(free[rng.integers(free.size)])
    return replace(
        moon,
        altitude_deg=float(geometry.altitude.flat[at]),
        azimuth_deg=float(geometry.azimuth.flat[at]),
    )


def measure(geometry: SkyGeometry, place: Station, label: str, drawn: Drawn) -> dict[str, float]:
    """What a frame shows after the detector: contrasts, shares of the sky, and `visible` for its class."""
    seen = Seen(geometry, place, drawn.total)
    truth = {
        "hidden": drawn.hidden,
        "moon_clear": drawn.moon_clear,
        "exposure": seen.factor,
        "saturated": seen.saturated(),
        "aurora": seen.structure(drawn.aurora) if drawn.aurora is not None else 0.0,
        "moon": seen.peak(drawn.moon) if drawn.moon is not None else 0.0,
        "lit": seen.strength(drawn.clouds) if drawn.clouds is not None and label == "cloudy" else 0.0,
        "veiled": drawn.veiled,
        "stars": seen.dots(drawn.stars) if label == "clear" else 0.0,
        "sun_altitude_deg": drawn.sun_altitude_deg,
        "cloud_form": seen.structure(drawn.clouds) if drawn.clouds is not None and label == "cloudy" else 0.0,
    }
    truth["visible"] = _visible(label, truth) if truth["saturated"] < BURNT.get(label, 0.3) else 0.0
    if label == "clear" and geometry.camera.band in ("white", "colour") and not _sky_shows(truth):
        truth["visible"] -= 0.5
    return truth


def _sky_shows(truth: dict[str, float]) -> bool:
    """Whether one can tell a clear sky from an overcast one: by its stars, or by dawn or dusk."""
    return truth["stars"] > _STARS or truth["sun_altitude_deg"] > -13


def _visible(label: str, truth: dict[str, float]) -> float:
    """How well the frame shows its class and nothing that would make it another; compared with VISIBLE."""
    blob = truth["moon"]
    if label in AURORA_LABELS:
        return truth["aurora"] if (blob < 0.3 or truth["aurora"] > 0.4) and truth["hidden"] < 0.4 else 0.0
    if label == "moon":
        return blob
    if label == "cloudy":
        # Thin clouds hide little, but where they make the picture they are what one sees.
        shown = truth["veiled"] if truth["cloud_form"] > _CLOUD_FORM else truth["hidden"]
        return shown if blob < 0.15 and truth["lit"] > 6 else 0.0
    return 0.0 if blob < 0.15 and truth["veiled"] < 0.2 else -1.0
