"""Many filaments at once: the ridges of a random field, as in a breakup, a corona, or the streaks of diffuse aurora."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from auroramon.sim.fields import FloatArray, noise, rotated, smoothstep


@dataclass(frozen=True, slots=True)
class Weave:
    """A band of the sky that is full of filaments."""

    brightness: float  # at the zenith, in units of the dark sky
    offset_km: float  # of the band from the station, northward
    angle_deg: float  # of the band against magnetic east
    half_width_km: float
    edge_km: float  # over which the band fades on either side
    scale_km: float  # distance of filaments
    stretch: float  # how much longer than wide
    thin: float  # 0 broad waves .. 1 thin filaments
    fill: float  # glow between the filaments, 0..1
    unevenness: float  # how much of the band is dark, 0..1
    fold: float  # how far it follows the flow that folds the curtains
    seed: int
    drift_km_s: float


def weave(pixel_km: FloatArray, x: FloatArray, y: FloatArray, form: Weave, t: float) -> FloatArray:
    """The emission of a weave at places in km, of the shape of x; `pixel_km` is the distance of neighbouring places."""
    u, v = rotated(x, y, form.angle_deg)
    u = u + np.float32(form.drift_km_s * t)
    edge = v - np.float32(form.offset_km) + np.float32(0.35 * form.edge_km) * noise(u, v, 380.0, form.seed + 3)
    beyond = np.maximum(np.abs(edge) - np.float32(form.half_width_km), 0) / np.float32(form.edge_km)
    light = np.exp(-beyond * np.sqrt(beyond))
    out: FloatArray = np.zeros_like(light)
    lit = np.flatnonzero(light > 2e-3)
    light, u, v, spacing = light[lit], u[lit], v[lit], pixel_km[lit]
    along = u / np.float32(form.stretch)
    field = noise(along, v, form.scale_km, form.seed)
    field += np.float32(0.4) * noise(along * np.float32(1.7), v, 0.45 * form.scale_km, form.seed + 17)
    # No filament is thinner than the places it is drawn at: there it would break into dots.
    width = np.maximum(np.float32(0.75 - 0.6 * form.thin), np.float32(2.6 / form.scale_km) * spacing)
    ridge = np.exp(-np.abs(field) / width)
    bright = smoothstep(noise(u * np.float32(0.6), v, 3.2 * form.scale_km, form.seed + 29), -1.6, 1.2)
    light *= 1 - np.float32(form.unevenness) * (1 - bright)
    light *= np.float32(form.brightness) * (np.float32(form.fill) + np.float32(1 - form.fill) * ridge)
    out[lit] = light
    return out
