"""Clouds: fractal decks that hide what is above them and are lit from below and by the Moon."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from auroramon.sim.dice import pick
from auroramon.sim.fields import VARIANTS, FloatArray, Texture, f32, sample, smoothstep, tile
from auroramon.sim.geometry import SkyGeometry

CloudKind = Literal["overcast", "stratus", "cumulus", "cirrus", "fog"]
CLOUD_KINDS: tuple[CloudKind, ...] = ("overcast", "stratus", "cumulus", "cirrus", "fog")


@dataclass(frozen=True, slots=True)
class Clouds:
    """One deck of clouds."""

    kind: CloudKind
    cover: float  # share of the sky they fill, 0..1
    depth: float  # optical depth of full cloud
    scale: float  # size of a cloud, in deck heights
    stretch: float  # how much longer than wide
    stretch_deg: float
    roughness: float  # 0 soft edges .. 1 crisp
    relief: float  # brightness structure inside the cloud, 0..1
    brightness: float  # of the lit underside, dark sky = 1
    warm: float  # 0 grey, 1 sodium orange
    east: float  # drift of the deck, in deck heights
    north: float
    seed: int


def random_clouds(rng: np.random.Generator, kind: CloudKind | None = None) -> Clouds:
    """Clouds of a kind, or of any."""
    chosen = kind if kind is not None else pick(rng, CLOUD_KINDS, (0.26, 0.26, 0.22, 0.06, 0.2))
    cover, depth = {
        "overcast": (rng.uniform(0.95, 1.1), rng.uniform(2.5, 6)),
        "stratus": (rng.uniform(0.65, 1.0), rng.uniform(1.5, 5)),
        "cumulus": (rng.uniform(0.5, 0.9), rng.uniform(1.5, 6)),
        "cirrus": (rng.uniform(0.4, 0.9), rng.uniform(0.3, 1.6)),
        "fog": (1.3, rng.uniform(3, 7)),
    }[chosen]
    return Clouds(
        kind=chosen,
        cover=float(cover),
        depth=float(depth),
        scale=float(np.exp(rng.uniform(np.log(0.4), np.log(5)))),
        stretch=float(rng.uniform(3, 8) if chosen == "cirrus" else rng.uniform(1, 2.5)),
        stretch_deg=float(rng.uniform(0, 180)),
        roughness=float(rng.uniform(0.1, 0.5) if chosen != "cumulus" else rng.uniform(0.4, 1)),
        relief=float(rng.uniform(0.0, 0.25) if chosen == "fog" else rng.uniform(0.05, 1.1)),
        brightness=float(10 ** rng.uniform(-0.6, 0.75)),
        warm=float(rng.beta(1, 1)),
        east=0.0,
        north=0.0,
        seed=int(rng.integers(1 << 30)),
    )


def haze(rng: np.random.Generator) -> Clouds:
    """A sheet of thin cloud over all of the sky, through which the Moon shows as a spot and stars do not."""
    sheet = random_clouds(rng, pick(rng, ("fog", "overcast", "cirrus"), (0.5, 0.3, 0.2)))
    return replace(
        sheet,
        cover=1.25,
        depth=float(rng.uniform(0.3, 3.5)),
        relief=sheet.relief * 0.6,
        brightness=min(sheet.brightness, 2.0),
    )


def optical_depth(geometry: SkyGeometry, clouds: Clouds) -> tuple[FloatArray, FloatArray]:
    """Optical depth along each line of sight, and the relief (mean 0) of the underside, both (H,W)."""
    c, s = np.float32(np.cos(np.radians(clouds.stretch_deg))), np.float32(np.sin(np.radians(clouds.stretch_deg)))
    x, y = geometry.cloud_east + np.float32(clouds.east), geometry.cloud_north + np.float32(clouds.north)
    k = np.float32(22.0 / clouds.scale)
    u, v = (x * c + y * s) * k / np.float32(clouds.stretch), (y * c - x * s) * k
    texture: Texture = "wisp" if clouds.kind in ("cirrus", "cumulus") and clouds.roughness > 0.5 else "cloud"
    variant, x0, y0 = clouds.seed % VARIANTS, np.float32(clouds.seed % 199), np.float32(clouds.seed % 211)
    # Towards the horizon texels pass faster than pixels: there only what a pixel can show is kept.
    rate = geometry.cloud_step * k
    fine = np.clip(2.2 - rate, 0, 1)
    coarse = np.clip(9.0 / np.maximum(rate, 0.1), 0, 1)
    soft = sample(tile(texture, variant, 4.0), u + x0, v + y0)
    field = soft * coarse + fine * (sample(tile(texture, variant), u + x0, v + y0) - soft)
    cut = 2.8 * (0.5 - clouds.cover)
    edge = 0.12 + 1.3 * (1 - clouds.roughness)
    fill = smoothstep(field, cut - edge, cut + edge)
    slant = np.minimum(1 / np.maximum(geometry.up, 0.2), 2.5)
    return fill * np.float32(clouds.depth) * slant, field


def underside(geometry: SkyGeometry, clouds: Clouds, relief: FloatArray, horizon: FloatArray) -> FloatArray:
    """Brightness of a fully opaque cloud, (H,W): towns light it from below, most of all near them.

    `horizon` is the light of the town's dome at each pixel, (H,W).
    """
    shade = np.exp(np.float32(0.5 * clouds.relief) * np.clip(relief, -2.2, 2.2))
    return f32((np.float32(clouds.brightness) + horizon * np.float32(0.8 + 0.3 * clouds.brightness)) * shade)
