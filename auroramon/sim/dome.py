"""What weather leaves on the dome, while the sky is still seen through it: drops, and light frost."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from auroramon.sim.dice import pick
from auroramon.sim.fields import FloatArray, blur, f32, smoothstep
from auroramon.sim.geometry import SkyGeometry
from auroramon.sim.station import frost


@dataclass(frozen=True, slots=True)
class Dome:
    """A dome that is not clean for a while."""

    kind: str  # one of DOME_KINDS
    strength: float  # 0 hardly anything .. 1 as much as the sky can still be seen through
    seed: int


DOME_KINDS: dict[str, float] = {"drops": 0.55, "frost": 0.45}
"""What lies on a dome, and how often."""

_SPREAD = 0.07
"""How far frost spreads light, in radii of the disc: a crystal is far out of focus."""


def random_dome(rng: np.random.Generator, chance: float) -> Dome | None:
    """Drops or frost with the given chance, else a clean dome."""
    if rng.random() > chance:
        return None
    kind = pick(rng, tuple(DOME_KINDS), tuple(DOME_KINDS.values()))
    return Dome(kind, float(rng.uniform(0.1, 1)), int(rng.integers(1 << 30)))


class Film:
    """The dome before a camera: how it changes light that comes through it.

    What it does is linear, so that the parts of a sky seen through it still add up to the whole.
    """

    def __init__(self, geometry: SkyGeometry, dome: Dome) -> None:
        rng = np.random.default_rng(dome.seed)
        self._inside = geometry.inside
        self._sigma = _SPREAD * geometry.disc.radius
        self._taken, self._given = (_drops if dome.kind == "drops" else _ice)(rng, geometry, dome.strength)

    def through(self, light: FloatArray) -> FloatArray:
        """Light of the sky as it arrives through the film, (C,H,W)."""
        spread = blur(light, self._sigma)
        around = light.mean(axis=(-2, -1), keepdims=True) / max(float(self._inside.mean()), 1e-3)
        return f32(light * (1 - self._taken) + (0.6 * spread + 0.4 * around * self._inside) * self._given)


def _ice(rng: np.random.Generator, geometry: SkyGeometry, strength: float) -> tuple[FloatArray, FloatArray]:
    """What feathers of ice take from straight light, and what of the light around they give in its place."""
    ice = f32(frost(rng, geometry, 0.12 + 0.3 * strength) * np.float32(rng.uniform(0.3, 0.75)))
    return ice, f32(ice * np.float32(rng.uniform(0.5, 1.3)))


def _drops(rng: np.random.Generator, geometry: SkyGeometry, strength: float) -> tuple[FloatArray, FloatArray]:
    """The same of drops: small round lenses that show no image, brighter on one side, with a dark edge."""
    radius = geometry.disc.radius
    height, width = geometry.shape
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    taken, given = np.zeros((height, width), np.float32), np.zeros((height, width), np.float32)
    toward = rng.uniform(0, 2 * np.pi)  # the side from which the most light comes
    for _ in range(1 + int(60 * strength * rng.random())):
        at, away = rng.uniform(0, 2 * np.pi), radius * np.sqrt(rng.random())
        size = max(radius * float(np.exp(rng.normal(np.log(0.022), 0.5))), 0.7)
        dx, dy = (
            x - np.float32(geometry.disc.x + away * np.cos(at)),
            y - np.float32(geometry.disc.y + away * np.sin(at)),
        )
        r = np.hypot(dx, dy) / np.float32(size)
        drop = smoothstep(-r, -1.1, -0.8) * np.float32(rng.uniform(0.4, 0.95))
        slope = (dx * np.float32(np.cos(toward)) + dy * np.float32(np.sin(toward))) / np.float32(size)
        bright = np.clip(0.9 + 0.7 * slope - 0.6 * smoothstep(r, 0.6, 1.0), 0, 2)
        given = np.where(drop > taken, drop * bright, given)
        taken = np.maximum(taken, drop)
    return taken, f32(given)
