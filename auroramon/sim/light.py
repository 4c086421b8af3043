"""From what is in the sky to the light on the detector: what shines through what, in front of what."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from auroramon.sim import clouds as cloud
from auroramon.sim import moon as lunar
from auroramon.sim import sky as night_sky
from auroramon.sim.aurora import Display, glow
from auroramon.sim.clouds import Clouds
from auroramon.sim.dome import Dome, Film
from auroramon.sim.fields import FloatArray
from auroramon.sim.geometry import CROP, SkyGeometry
from auroramon.sim.moon import Moon
from auroramon.sim.sky import Sky
from auroramon.sim.station import Station


@dataclass(frozen=True, slots=True)
class Scene:
    """Everything that is in the sky at one moment."""

    sky: Sky
    display: Display | None = None
    clouds: Clouds | None = None
    moon: Moon | None = None
    t: float = 0.0  # seconds, for what moves
    dome: Dome | None = None  # what lies on it; None: clean


@dataclass(frozen=True, slots=True)
class Drawn:
    """Light on the detector, (C,H,W), dark sky = 1; each part is contained in `total`."""

    total: FloatArray
    aurora: FloatArray | None
    moon: FloatArray | None
    clouds: FloatArray | None
    stars: FloatArray
    hidden: float  # share of the sky behind clouds
    veiled: float  # share of the sky behind clouds, thin ones included
    moon_clear: float  # transmission of clouds and landscape before the Moon
    sun_altitude_deg: float


@dataclass(frozen=True, slots=True)
class _Deck:
    """What clouds do to the light of a moment."""

    clear: FloatArray | np.float32  # (H,W) transmission
    lit: FloatArray | None  # (C,H,W) light of the clouds themselves
    hidden: float  # share of the sky that they hide
    veiled: float  # share of the sky that they dim by two fifths at least


def render(geometry: SkyGeometry, place: Station, scene: Scene) -> Drawn:
    """The light of a scene on the detector."""
    camera = geometry.camera
    through = np.exp(np.float32(-0.92 * scene.sky.extinction) * np.minimum(geometry.airmass, 12))
    stars = night_sky.points(geometry, scene.sky) * through
    light = night_sky.space(geometry, scene.sky) * through + stars
    if scene.sky.satellites:
        light += night_sky.trails(geometry, scene.sky)
    air, dusk = night_sky.air(geometry, scene.sky), night_sky.dusk(geometry, scene.sky)
    if dusk is not None:
        light += dusk
    deck = _deck(geometry, place, scene, air, dusk)
    aurora = glow(geometry, scene.display, scene.t) * (through * deck.clear) if scene.display else None
    light *= deck.clear
    light += air
    for part in (aurora, deck.lit, lunar.moonlit_sky(geometry, scene.moon) * deck.clear if scene.moon else None):
        if part is not None:
            light += part
    front = place.sky * place.shade
    ambient = np.float32(0.6 * float(light.mean()))
    light *= front
    light += place.land * ambient
    light += night_sky.tint(camera, (1.3, 1.0, 0.6)) * place.lamps
    moon, moon_clear = None, 1.0
    if scene.moon:
        free, thin = _at_moon(geometry, scene.moon, front), 1.0
        if scene.clouds:
            thin = _at_moon(geometry, scene.moon, np.broadcast_to(deck.clear, geometry.shape))
        moon_clear = free * thin
        body, flare = lunar.disc_and_glare(geometry, scene.moon)
        moon = (body + flare * geometry.inside) * np.float32(moon_clear)
        if thin < 1:
            moon += lunar.aureole(geometry, scene.moon, thin) * front
        light += moon
    drawn = Drawn(
        total=light,
        aurora=aurora * front if aurora is not None else None,
        moon=moon,
        clouds=deck.lit * front if deck.lit is not None else None,
        stars=stars * (deck.clear * front),
        hidden=deck.hidden,
        veiled=deck.veiled,
        moon_clear=moon_clear,
        sun_altitude_deg=scene.sky.sun_altitude_deg,
    )
    return drawn if scene.dome is None else _through(drawn, Film(geometry, scene.dome))


def _through(drawn: Drawn, film: Film) -> Drawn:
    """The same light through what lies on the dome."""
    return replace(
        drawn,
        total=film.through(drawn.total),
        aurora=None if drawn.aurora is None else film.through(drawn.aurora),
        moon=None if drawn.moon is None else film.through(drawn.moon),
        clouds=None if drawn.clouds is None else film.through(drawn.clouds),
        stars=film.through(drawn.stars),
    )


def _deck(geometry: SkyGeometry, place: Station, scene: Scene, air: FloatArray, dusk: FloatArray | None) -> _Deck:
    if scene.clouds is None:
        return _Deck(np.float32(1), None, 0.0, 0.0)
    depth, relief = cloud.optical_depth(geometry, scene.clouds)
    clear = np.exp(-depth)
    underside = cloud.underside(geometry, scene.clouds, relief, air.mean(axis=0))
    warm = (0.8 + 0.7 * scene.clouds.warm, 1.0, 1.15 - 0.65 * scene.clouds.warm)
    lit = night_sky.tint(geometry.camera, warm) * underside
    if dusk is not None:
        lit = lit + cloud.from_above(geometry, scene.clouds, depth, relief, dusk)
    if scene.moon:
        lit = lit + lunar.moonlit_cloud(geometry, scene.moon, depth)
    kept = place.sky * (geometry.disc_radius < CROP)
    hidden, veiled = (float((kept * (depth > least)).sum() / max(kept.sum(), 1)) for least in (1.3, 0.5))
    return _Deck(clear, lit * (1 - clear), hidden, veiled)


def _at_moon(geometry: SkyGeometry, moon: Moon, clear: FloatArray) -> float:
    """The mean of a map around the Moon's place; 0 outside the frame."""
    col, row = geometry.project(*lunar.direction(moon))
    c, r = int(col[0]), int(row[0])
    if not (0 <= c < clear.shape[1] and 0 <= r < clear.shape[0]):
        return 0.0
    return float(clear[max(r - 1, 0) : r + 2, max(c - 1, 0) : c + 2].mean())
