"""A simulated night at a station: one sky that moves and changes, frame after frame, and is labelled by what shows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import numpy as np

from auroramon.sim.aurora import Display
from auroramon.sim.camera import SimCamera
from auroramon.sim.clouds import Clouds, random_clouds
from auroramon.sim.displays import random_display
from auroramon.sim.frame import SimFrame
from auroramon.sim.geometry import SkyGeometry, sky_geometry
from auroramon.sim.light import Drawn, Scene, render
from auroramon.sim.moon import Moon, random_moon
from auroramon.sim.scene import BURNT, VISIBLE, finish, in_free_sky, measure
from auroramon.sim.sky import Sky, random_sky, turned
from auroramon.sim.station import Station, station

# Part of the night -> when it rises from 0 to 1 and falls back, as fractions of the night.
_STORY = {
    "arc": (0.10, 0.16, 0.30, 0.37),
    "discrete": (0.32, 0.37, 0.46, 0.53),
    "diffuse": (0.46, 0.53, 0.66, 0.74),
    "clouds": (0.66, 0.74, 0.81, 0.87),
    "moon": (0.80, 0.84, 9.0, 9.1),
}
_JUST, _FAINT = 0.6, 0.4
"""Share of what is asked of a training frame at which clouds, and aurora, still show in the course of a night."""
_AURORA = ("arc", "discrete", "diffuse")
_STRENGTH = 2.2
"""How far above the least that counts as visible each form of aurora stands at its best."""


@dataclass(frozen=True, slots=True)
class _Cast:
    """What appears in the course of the night, at full strength."""

    sky: Sky
    arc: Display
    discrete: Display
    diffuse: Display
    clouds: Clouds
    wind: tuple[float, float]  # deck heights per second, east and north
    moon: Moon
    story: dict[str, tuple[float, ...]]


def night(
    seed: int, camera: SimCamera, start: datetime, hours: float = 10.0, cadence_s: float = 60.0, size: int | None = None
) -> Iterator[tuple[datetime, str, SimFrame]]:
    """Time, label and frame of one night: clear, a quiet arc, breakup, recovery, clouds, and the Moon rises.

    The label says what the frame shows, measured as in `auroramon.sim.scene.draw`; frames between two parts of the
    night take whichever shows better. `size` is the shorter side in pixels, the camera's own when None. Raises
    ValueError for a start without time zone.
    """
    if start.utcoffset() is None:
        raise ValueError("the start of a simulated night needs a time zone")
    rng = np.random.default_rng([29, seed])
    geometry, place = sky_geometry(camera, size), station(camera, size)
    cast = _cast(rng, camera, geometry, place)
    count = max(int(hours * 3600 / cadence_s), 1)
    for i in range(count):
        t = i * cadence_s
        fraction = t / (hours * 3600)
        part = {name: _envelope(fraction, edges) for name, edges in cast.story.items()}
        drawn = render(geometry, place, _scene(cast, part, fraction, t))
        label, truth = _label(geometry, place, cast, part, drawn)
        yield start + timedelta(seconds=t), label, finish(rng, geometry, place, label, drawn, truth)


def _cast(rng: np.random.Generator, camera: SimCamera, geometry: SkyGeometry, place: Station) -> _Cast:
    sky = replace(random_sky(rng, camera), sun_altitude_deg=-25.0, satellites=0, gradient=0.1)
    clouds = random_clouds(rng, "stratus")
    heading = rng.uniform(0, 2 * np.pi)
    speed = rng.uniform(0.002, 0.006)
    shifts = {part: rng.normal(0, 0.008) for part in _STORY}
    moon = in_free_sky(rng, random_moon(rng), geometry, place, highest_deg=32.0)
    moon = replace(moon, phase=float(rng.uniform(0.6, 1.0)), haze=0.1, halo=0.0)
    return _Cast(
        sky=sky,
        arc=_strong(rng, "arc", sky, geometry, place),
        discrete=_strong(rng, "discrete", sky, geometry, place),
        diffuse=_strong(rng, "diffuse", sky, geometry, place),
        clouds=replace(clouds, cover=1.0, depth=4.0, brightness=max(clouds.brightness, 1.0)),
        wind=(float(speed * np.sin(heading)), float(speed * np.cos(heading))),
        moon=moon,
        story={part: tuple(edge + shifts[part] for edge in edges) for part, edges in _STORY.items()},
    )


def _strong(rng: np.random.Generator, label: str, sky: Sky, geometry: SkyGeometry, place: Station) -> Display:
    """A display of a class that this camera can show well without burning out, as bright as that needs."""
    best: tuple[float, Display] | None = None
    for _ in range(6):
        display, shown = _brightened(random_display(rng, label), label, sky, geometry, place)
        if best is None or shown > best[0]:
            best = (shown, display)
        if best[0] >= 1:
            break
    assert best is not None  # noqa: S101 - six were tried
    return best[1]


def _brightened(display: Display, label: str, sky: Sky, geometry: SkyGeometry, place: Station) -> tuple[Display, float]:
    """The display as bright as it must be, and its contrast: 1 where it is as high as wished."""
    shown = 0.0
    for _ in range(6):
        truth = measure(geometry, place, label, render(geometry, place, Scene(sky, display)))
        if truth["saturated"] >= BURNT[label]:
            return _dimmed(display, 0.4), shown
        shown = truth["visible"] / (_STRENGTH * VISIBLE[label])
        if shown >= 1:
            break
        display = _dimmed(display, min(1.2 / max(shown, 1e-3), 2.5))
    return display, shown


def _dimmed(display: Display, factor: float) -> Display:
    return replace(
        display,
        curtains=tuple(replace(c, brightness=c.brightness * factor) for c in display.curtains),
        veils=tuple(replace(v, brightness=v.brightness * factor) for v in display.veils),
        weaves=tuple(replace(w, brightness=w.brightness * factor) for w in display.weaves),
    )


def _scene(cast: _Cast, part: dict[str, float], fraction: float, t: float) -> Scene:
    """The sky at t seconds, a fraction of the night, with so much of each part."""
    sun = -11.5 - 14.0 * float(np.sin(np.pi * min(max(fraction, 0.0), 1.0)))
    sky = replace(turned(cast.sky, t), sun_altitude_deg=sun)
    clouds = None
    if part["clouds"] > 0.02:
        east, north = cast.wind[0] * t, cast.wind[1] * t
        clouds = replace(cast.clouds, cover=cast.clouds.cover * part["clouds"], east=east, north=north)
    moon = None
    if part["moon"] > 0:
        # It rises by some 8 degrees an hour at these latitudes, here as fast as the night is told.
        up = (fraction - cast.story["moon"][0]) / (1 - cast.story["moon"][0])
        azimuth = cast.moon.azimuth_deg + 25 * (up - 0.6)
        moon = replace(cast.moon, altitude_deg=-1 + 30 * up, azimuth_deg=azimuth)
    return Scene(sky, _display(cast, part), clouds, moon, t)


def _display(cast: _Cast, part: dict[str, float]) -> Display | None:
    """The aurora of the moment: what goes and what comes stand in the sky together, folded by one flow."""
    on = [_dimmed(display, part[name]) for name, display in _forms(cast).items() if part[name] > 0.02]
    if not on:
        return None
    breakup = part["discrete"]
    flow = cast.discrete.flow
    if flow:  # a quiet arc is hardly folded; as the breakup begins, the same folds grow on it
        flow = replace(flow, depth_km=flow.depth_km * (0.04 + 0.96 * breakup))
    return Display(
        curtains=tuple(c for display in on for c in display.curtains),
        veils=tuple(v for display in on for v in display.veils),
        weaves=tuple(w for display in on for w in display.weaves),
        vortices=tuple(replace(v, turn_deg=v.turn_deg * breakup) for v in cast.discrete.vortices) if breakup else (),
        flow=flow,
        hardness=cast.discrete.hardness,
    )


def _forms(cast: _Cast) -> dict[str, Display]:
    return {"arc": cast.arc, "discrete": cast.discrete, "diffuse": cast.diffuse}


def _brightest(display: Display) -> float:
    """Brightness of what one sees first: of the curtains and filaments, or of the veil where there is none."""
    sharp = [form.brightness for form in display.curtains] + [form.brightness for form in display.weaves]
    return max(sharp or [veil.brightness for veil in display.veils])


def _envelope(fraction: float, edges: tuple[float, ...]) -> float:
    """0, rising to 1 between the first two edges, falling between the last two."""
    return float(np.interp(fraction, edges, (0.0, 1.0, 1.0, 0.0)))


def _label(
    geometry: SkyGeometry, place: Station, cast: _Cast, part: dict[str, float], drawn: Drawn
) -> tuple[str, dict[str, float]]:
    """What the frame shows by the rules of docs/simulation.md, and the measurements."""
    truth = measure(geometry, place, "clear", drawn)
    shown = [form for form in _AURORA if part[form] > 0.1 and truth["aurora"] >= _FAINT * VISIBLE[form]]
    strength = {name: part[name] * _brightest(form) for name, form in _forms(cast).items()}
    if truth["moon"] >= VISIBLE["moon"] and truth["moon_clear"] > 0.02 and truth["aurora"] < 0.4:
        label, visible = "moon", truth["moon"]
    elif truth["hidden"] >= _JUST * VISIBLE["cloudy"]:
        label, visible = "cloudy", truth["hidden"]
    elif shown:
        label, visible = max(shown, key=lambda form: strength[form]), truth["aurora"]
    else:
        label, visible = "clear", 0.0
    truth["visible"] = visible
    return label, truth
