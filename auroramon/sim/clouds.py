"""Clouds: fractal decks that hide what is above them and are lit from below and by the Moon; snow on the dome too."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from auroramon.sim.dice import pick
from auroramon.sim.fields import VARIANTS, FloatArray, Texture, f32, sample, smoothstep, tile
from auroramon.sim.geometry import SkyGeometry

CLOUD_KINDS: dict[str, float] = {
    "overcast": 0.20,
    "stratus": 0.18,
    "torn": 0.06,
    "cumulus": 0.17,
    "cirrus": 0.09,
    "fog": 0.13,
    "altocumulus": 0.08,
    "streets": 0.07,
    "snow": 0.02,
}
"""Kinds of cloud and how often they are drawn."""


@dataclass(frozen=True, slots=True)
class Clouds:
    """One deck of clouds."""

    kind: str  # one of CLOUD_KINDS
    cover: float  # share of the sky they fill, 0..1
    depth: float  # optical depth of full cloud
    scale: float  # size of a cloud, in deck heights
    stretch: float  # how much longer than wide
    stretch_deg: float
    roughness: float  # 0 soft edges .. 1 crisp
    parting: float  # how much the cover differs from one part of the sky to another, 0..1
    relief: float  # brightness structure inside the cloud, 0..1
    brightness: float  # of the lit underside, dark sky = 1
    warm: float  # 0 grey, 1 sodium orange
    east: float  # drift of the deck, in deck heights
    north: float
    seed: int


def random_clouds(rng: np.random.Generator, kind: str | None = None) -> Clouds:
    """Clouds of a kind, or of any."""
    chosen = kind if kind is not None else pick(rng, tuple(CLOUD_KINDS), tuple(CLOUD_KINDS.values()))
    cover, depth = {
        "overcast": (rng.uniform(0.95, 1.1), rng.uniform(2.5, 6)),
        "stratus": (rng.uniform(0.65, 1.0), rng.uniform(1.5, 5)),
        "torn": (rng.uniform(0.75, 1.0), rng.uniform(2, 6)),  # a closed deck but for ragged holes
        "cumulus": (rng.uniform(0.5, 0.9), rng.uniform(1.5, 6)),
        "cirrus": (rng.uniform(0.4, 0.9), rng.uniform(0.3, 1.6)),
        "fog": (1.3, rng.uniform(3, 7)),
        "altocumulus": (rng.uniform(0.5, 0.95), rng.uniform(0.8, 4)),
        "streets": (rng.uniform(0.5, 0.95), rng.uniform(0.8, 5)),
        "snow": (rng.uniform(0.7, 1.1), rng.uniform(1.5, 5)),
    }[chosen]
    low, high = {"altocumulus": (0.25, 0.8), "streets": (0.8, 3.0), "snow": (2.0, 6.0), "torn": (1.5, 6.0)}.get(
        chosen, (0.4, 7.0)
    )
    longer = {"cirrus": (3.0, 8.0), "streets": (4.0, 10.0)}.get(chosen, (1.0, 2.5))
    sharp = {"cumulus": (0.4, 1.0), "altocumulus": (0.3, 0.9), "streets": (0.1, 0.9), "torn": (0.6, 1.0)}
    return Clouds(
        kind=chosen,
        cover=float(cover),
        depth=float(depth),
        scale=float(np.exp(rng.uniform(np.log(low), np.log(high)))),
        stretch=float(rng.uniform(*longer)),
        stretch_deg=float(rng.uniform(0, 180)),
        roughness=float(rng.uniform(*sharp.get(chosen, (0.1, 0.6)))),
        parting=_parting(rng, chosen),
        relief=float(rng.uniform(0.0, 0.25) if chosen in ("fog", "snow") else 1.1 * rng.beta(1, 1.6)),
        brightness=float(10 ** rng.uniform(-0.6, 0.75)),
        warm=float(rng.beta(1, 1)),
        east=0.0,
        north=0.0,
        seed=int(rng.integers(1 << 30)),
    )


def _parting(rng: np.random.Generator, kind: str) -> float:
    if kind == "torn":
        return float(rng.uniform(0.4, 1))
    return float(rng.beta(1, 2)) if kind != "fog" else 0.0


def haze(rng: np.random.Generator) -> Clouds:
    """A sheet of thin cloud over all of the sky, through which the Moon shows as a spot and stars do not."""
    sheet = random_clouds(rng, pick(rng, ("fog", "overcast", "cirrus"), (0.5, 0.3, 0.2)))
    return replace(
        sheet,
        cover=1.25,
        parting=0.0,
        depth=float(rng.uniform(0.3, 3.5)),
        relief=sheet.relief * 0.6,
        brightness=min(sheet.brightness, 2.0),
    )


def optical_depth(geometry: SkyGeometry, clouds: Clouds) -> tuple[FloatArray, FloatArray]:
    """Optical depth along each line of sight, and the relief (mean 0) of the underside, both (H,W)."""
    c, s = np.float32(np.cos(np.radians(clouds.stretch_deg))), np.float32(np.sin(np.radians(clouds.stretch_deg)))
    k = np.float32(22.0 / clouds.scale)
    x, y, rate, slant = _deck(geometry, clouds, k)
    u, v = (x * c + y * s) * k / np.float32(clouds.stretch), (y * c - x * s) * k
    texture: Texture = "wisp" if clouds.kind in ("cirrus", "cumulus", "torn") and clouds.roughness > 0.5 else "cloud"
    variant, x0, y0 = clouds.seed % VARIANTS, np.float32(clouds.seed % 199), np.float32(clouds.seed % 211)
    # Towards the horizon texels pass faster than pixels: there only what a pixel can show is kept.
    fine = np.clip(2.2 - rate, 0, 1)
    coarse = np.clip(9.0 / np.maximum(rate, 0.1), 0, 1)
    soft = sample(tile(texture, variant, 4.0), u + x0, v + y0)
    field = soft * coarse + fine * (sample(tile(texture, variant), u + x0, v + y0) - soft)
    cut = 2.8 * (0.5 - clouds.cover)
    if clouds.parting:  # whole regions open or close
        wide = sample(tile("smooth", (variant + 1) % VARIANTS), u * np.float32(0.22) + y0, v * np.float32(0.22) + x0)
        field_cut = field - np.float32(1.3 * clouds.parting) * wide * np.clip(coarse * 2, 0, 1)
    else:
        field_cut = field
    edge = 0.12 + 1.3 * (1 - clouds.roughness)
    fill = smoothstep(field_cut, cut - edge, cut + edge)
    return fill * np.float32(clouds.depth) * slant, field


def _deck(
    geometry: SkyGeometry, clouds: Clouds, texels: np.float32
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray | np.float32]:
    """Place on the deck (two axes), texels from a pixel to its neighbour, and path through the deck, zenith 1."""
    if clouds.kind == "snow":  # it lies on the dome, a hand's breadth away: no perspective
        x, y = geometry.east * 2, geometry.north * 2
        step = np.full_like(x, np.radians(2 / geometry.pixel))
        return x, y, f32(step * texels), np.float32(1)
    x, y = geometry.cloud_east + np.float32(clouds.east), geometry.cloud_north + np.float32(clouds.north)
    return x, y, geometry.cloud_step * texels, np.minimum(1 / np.maximum(geometry.up, 0.2), 2.5)


def underside(geometry: SkyGeometry, clouds: Clouds, relief: FloatArray, horizon: FloatArray) -> FloatArray:
    """Brightness of a fully opaque cloud, (H,W): towns light it from below, most of all near them.

    `horizon` is the light of the town's dome at each pixel, (H,W).
    """
    shade = _shade(clouds, relief)
    return f32((np.float32(clouds.brightness) + horizon * np.float32(0.8 + 0.3 * clouds.brightness)) * shade)


def from_above(
    geometry: SkyGeometry, clouds: Clouds, depth: FloatArray, relief: FloatArray, sky: FloatArray
) -> FloatArray:
    """Light of a twilight sky (C,H,W) as it comes out of a fully opaque cloud below, (C,H,W).

    A cloud mixes light of all sides, and gives down the less the thicker it is (two streams, asymmetry 0.85). How much
    of the warm horizon reaches its top differs; the rest is the blue from overhead.
    """
    up = geometry.up * geometry.inside
    every = (sky * up).sum(axis=(1, 2), keepdims=True) / max(float(up.sum()), 1e-6)
    if len(every) == 3:
        blue = every.mean() * np.array([0.7, 0.95, 1.35], np.float32)[:, None, None]
        every = np.float32(clouds.warm) * every + np.float32(1 - clouds.warm) * blue
    return f32(
        (np.float32(0.75) * every + np.float32(0.25) * sky) * _shade(clouds, relief) / (1 + np.float32(0.11) * depth)
    )


def _shade(clouds: Clouds, relief: FloatArray) -> FloatArray:
    return f32(np.exp(np.float32(0.5 * clouds.relief) * np.clip(relief, -2.2, 2.2)))
