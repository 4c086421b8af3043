"""Aurora: maps of emission in km around the station, carried up along the field lines and seen through the lens.

One mechanism for all forms. A map gives the emission where the field line stands on 110 km; the sum over height
layers gives sharp lower and soft upper edges, rays, perspective and the corona by itself.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from auroramon.sim.fields import BLOCK, FloatArray, f32, mean3, noise, rotated, smoothstep
from auroramon.sim.geometry import EmissionGrid, SkyGeometry
from auroramon.sim.weave import Weave, weave


@dataclass(frozen=True, slots=True)
class Curtain:
    """An arc or a discrete form: a line across the sky with a width, folds and rays."""

    brightness: float  # at the zenith, in units of the dark sky
    offset_km: float  # of the line from the station, northward
    angle_deg: float  # of the line against magnetic east
    bend: float  # curvature: km of offset at 1000 km along the line
    width_km: float  # of the sharp (equatorward) side
    tail: float  # width of the other side, in units of width_km
    wander_km: float  # slow deviation from a straight line
    fold: float  # how far it follows the flow that folds it: 0 for a quiet arc, 1 fully
    rays: float  # 0 homogeneous .. 1 rays with gaps
    ray_km: float  # distance of rays
    strands: float  # parallel threads within the width, 0..1
    strand_km: float  # distance of threads
    unevenness: float  # slow change of brightness along the line, 0..1
    centre_km: float  # middle of the visible part along the line
    extent_km: float  # half-length of the visible part
    seed: int
    drift_km_s: float  # of rays along the line


@dataclass(frozen=True, slots=True)
class Flow:
    """The swirling that folds all curtains of a display together."""

    depth_km: float  # displacement
    scale_km: float  # size of a fold
    drift_km_s: float  # eastward
    change_s: float  # time in which folds change
    seed: int


@dataclass(frozen=True, slots=True)
class Veil:
    """Diffuse aurora: a broad band with soft edges, smooth, patchy or in faint stripes."""

    brightness: float
    offset_km: float
    angle_deg: float
    half_width_km: float
    edge_km: float
    wander_km: float
    patches: float  # 0 smooth .. 1 separate patches
    patch_km: float
    stretch: float  # of patches along the band
    sharpness: float  # of the patches' edges, 0..1
    pulse_s: float  # period of pulsation; 0: none
    seed: int
    drift_km_s: float


@dataclass(frozen=True, slots=True)
class Vortex:
    """A spiral or a surge head: the sky around a point is turned."""

    east_km: float
    north_km: float
    radius_km: float
    turn_deg: float


@dataclass(frozen=True, slots=True)
class Display:
    """All aurora of a moment."""

    curtains: tuple[Curtain, ...] = ()
    veils: tuple[Veil, ...] = ()
    vortices: tuple[Vortex, ...] = ()
    flow: Flow | None = None
    weaves: tuple[Weave, ...] = ()
    hardness: float = 0.5  # 0 soft precipitation (high, red) .. 1 hard (low, purple border)


_DIM = 2e-3
"""Share of a form's brightness below which it is not worked out further."""


def emission(grid: EmissionGrid, display: Display, declination_deg: float, t: float = 0.0) -> FloatArray:
    """The map of emission at t seconds, (points,), in units of the dark sky."""
    out = np.empty_like(grid.east)
    for i in range(0, out.size, BLOCK):
        part = slice(i, i + BLOCK)
        x, y = rotated(grid.east[part], grid.north[part], -declination_deg)
        out[part] = _forms(x, y, grid.pixel_km[part], display, t)
    return out


def _forms(x: FloatArray, y: FloatArray, pixel_km: FloatArray, display: Display, t: float) -> FloatArray:
    """All forms at places given in km east and north along the magnetic directions."""
    for vortex in display.vortices:
        x, y = _turn(x, y, vortex)
    shift = _flow(x, y, display.flow, t) if display.flow else None
    total = np.zeros_like(x)
    for curtain in display.curtains:
        if shift is None or curtain.fold == 0:
            total += _curtain(pixel_km, x, y, curtain, t)
        else:
            fold = np.float32(curtain.fold)
            total += _curtain(pixel_km, x + fold * shift[0], y + fold * shift[1], curtain, t)
    for veil in display.veils:
        total += _veil(x, y, veil, t)
    for form in display.weaves:
        east, north = (x + np.float32(form.fold) * d for x, d in zip((x, y), shift, strict=True)) if shift else (x, y)
        total += weave(pixel_km, east, north, form, t)
    return total


def glow(geometry: SkyGeometry, display: Display, t: float = 0.0) -> FloatArray:
    """What the aurora sends to each pixel outside the air, (C,H,W)."""
    camera = geometry.camera
    seen = emission(geometry.grid, display, camera.declination_deg, t)
    weights = layer_weights(camera.band, geometry.heights, display.hardness)
    light = np.zeros((weights.shape[1], geometry.sky.size), np.float32)
    layer = np.empty(geometry.sky.size, np.float32)
    # Not a matrix product: for that, BLAS would start threads that other workers need.
    for index, weight in zip(geometry.footpoints, weights, strict=True):
        seen.take(index, out=layer, mode="clip")
        for channel, w in enumerate(weight):
            if w > 1e-3:
                light[channel] += layer * w
    out = np.zeros((weights.shape[1], *geometry.shape), np.float32)
    out.reshape(len(light), -1)[:, geometry.sky] = light
    out = mean3(out)  # over the pattern of heights and places that neighbours look at, see `_footpoints`
    out *= geometry.slant
    return out


# Line -> height of the peak in km, width below and above it in km.
_LINES = {
    "557.7": (114.0, 8.0, 26.0),
    "630.0": (235.0, 45.0, 70.0),
    "427.8": (108.0, 6.0, 22.0),
    "pink": (97.0, 3.0, 5.0),
    "nir": (110.0, 7.0, 20.0),
}
# How the channels of a colour camera see each line (after white balance), and a white-light one.
_COLOURS = {
    "557.7": (0.26, 1.0, 0.30),
    "630.0": (1.0, 0.10, 0.06),
    "427.8": (0.16, 0.10, 0.80),
    "pink": (1.0, 0.25, 0.55),
}
_WHITE = {"557.7": 0.7, "630.0": 0.5, "427.8": 0.5, "pink": 0.6}


def layer_weights(band: str, heights: tuple[float, ...], hardness: float) -> FloatArray:
    """Share of each height layer in each channel, (layers, C); the sum over green layers is about 1."""
    h = np.asarray(heights)
    thickness = np.gradient(h)
    shift = 10.0 * (0.5 - hardness)
    shares = {"557.7": 1.0, "630.0": 0.30 * (1 - hardness) + 0.03, "427.8": 0.22, "pink": 0.25 * max(hardness - 0.7, 0)}

    def profile(line: str) -> FloatArray:
        peak, below, above = _LINES[line]
        away = (h - peak - shift) / np.where(h < peak + shift, below, above)
        # Steep below, a long tail above, as Chapman layers have.
        value = np.where(away < 0, np.exp(-(away**2)), np.exp(-(np.abs(away) ** 1.3))) * thickness
        return f32(value / max(float(value.sum()), 1e-9))

    if band == "colour":
        return sum(
            (
                profile(line)[:, None] * np.asarray(rgb, np.float32) * share
                for (line, share), rgb in zip(shares.items(), (_COLOURS[k] for k in shares), strict=True)
            ),
            np.zeros((h.size, 3), np.float32),
        )
    if band == "white":
        return sum(
            (profile(k)[:, None] * share * _WHITE[k] for k, share in shares.items()), np.zeros((h.size, 1), np.float32)
        )
    return profile(band)[:, None] * np.float32(0.6 if band == "nir" else 1.0)


def _turn(x: FloatArray, y: FloatArray, vortex: Vortex) -> tuple[FloatArray, FloatArray]:
    dx, dy = x - np.float32(vortex.east_km), y - np.float32(vortex.north_km)
    near = np.exp(-(dx * dx + dy * dy) / np.float32(vortex.radius_km**2))
    angle = near * np.float32(np.radians(vortex.turn_deg))
    c, s = np.cos(angle), np.sin(angle)
    return x + dx * (c - 1) - dy * s, y + dx * s + dy * (c - 1)


def _flow(x: FloatArray, y: FloatArray, flow: Flow, t: float) -> tuple[FloatArray, FloatArray]:
    """Displacement east and north, km: large swirls with smaller ones on them."""
    depth, size = np.float32(flow.depth_km), flow.scale_km
    x = x + np.float32(flow.drift_km_s * t)
    change = np.float32(t / flow.change_s * size)
    north = depth * noise(x, y + change, size, flow.seed + 11)
    east = depth * noise(x, y - change, size, flow.seed + 23)
    north += np.float32(0.3) * depth * noise(x + east, y + north, 0.38 * size, flow.seed + 29)
    return east, north


def _curtain(pixel_km: FloatArray, x: FloatArray, y: FloatArray, form: Curtain, t: float) -> FloatArray:
    u, v = rotated(x, y, form.angle_deg)
    flow = np.float32(form.drift_km_s * t)
    v = v - np.float32(form.offset_km) - np.float32(form.bend) * (u * np.float32(1e-3)) ** 2
    if form.wander_km:
        v = v + np.float32(form.wander_km) * noise(u + flow * np.float32(0.3), v * np.float32(0.3), 600.0, form.seed)
    # No form is thinner than the spacing of the grid: there it would break into dots.
    width = np.maximum(np.float32(form.width_km), pixel_km * np.float32(0.55))
    across = np.abs(v) / np.where(v < 0, width, width * np.float32(form.tail))
    along = ((u - np.float32(form.centre_km)) / np.float32(form.extent_km)) ** 2
    light = np.exp(-across * np.sqrt(across) - along * along)
    out: FloatArray = np.zeros_like(light)
    lit = np.flatnonzero(light > _DIM)
    light, u, v, spacing = light[lit], u[lit], v[lit], pixel_km[lit]
    light *= np.float32(form.brightness) * np.sqrt(np.float32(form.width_km) / width[lit])
    if form.unevenness:
        slow = noise(u + flow * np.float32(0.5), v * np.float32(0.2), 260.0, form.seed + 37)
        light *= np.exp(np.float32(1.1 * form.unevenness) * (slow - np.float32(0.5)))
    if form.strands:
        thread = noise(u * np.float32(0.12), v, form.strand_km, form.seed + 53)
        visible = np.clip(np.float32(form.strand_km) / spacing - np.float32(0.8), 0, 1)
        light *= 1 - np.float32(form.strands) * visible * (1 - smoothstep(thread, -1.2, 1.4))
    if form.rays:
        fine = noise(u + flow, v * np.float32(0.15), form.ray_km * 2, form.seed + 41)
        visible = np.clip(np.float32(form.ray_km) / spacing - np.float32(1.3), 0, 1)
        light *= 1 - np.float32(form.rays) * visible * (1 - smoothstep(fine, -0.8, 1.2))
    out[lit] = light
    return out


def _veil(x: FloatArray, y: FloatArray, form: Veil, t: float) -> FloatArray:
    u, v = rotated(x, y, form.angle_deg)
    u = u + np.float32(form.drift_km_s * t)
    edge = v - np.float32(form.offset_km)
    if form.wander_km:
        edge = edge + np.float32(form.wander_km) * noise(u, v, 500.0, form.seed)
    beyond = np.maximum(np.abs(edge) - np.float32(form.half_width_km), 0) / np.float32(form.edge_km)
    light = np.exp(-beyond * np.sqrt(beyond))
    out: FloatArray = np.zeros_like(light)
    lit = np.flatnonzero(light > _DIM)
    light, u, v = light[lit], u[lit], v[lit]
    light *= np.float32(form.brightness) * np.exp(np.float32(0.25) * noise(u, v, 420.0, form.seed + 5))
    if form.patches:
        light *= 1 - np.float32(form.patches) * (1 - _patches(u, v, form, t))
    out[lit] = light
    return out


def _patches(u: FloatArray, v: FloatArray, form: Veil, t: float) -> FloatArray:
    """Brightness of the patches of a veil, 0..1."""
    along = u / np.float32(form.stretch)
    mottle = noise(along, v, form.patch_km, form.seed + 7)
    mottle += np.float32(0.5) * noise(along, v, form.patch_km * 0.45, form.seed + 9)
    soft = 1.6 - 1.2 * form.sharpness
    patch = smoothstep(mottle, 0.2 - soft, 0.2 + soft)
    if form.pulse_s:
        beat = np.float32(t / form.pulse_s % 1.0) + noise(u, v, form.patch_km * 2, form.seed + 13)
        patch *= np.float32(0.55) + np.float32(0.45) * np.cos(np.float32(2 * np.pi) * beat)
    return patch
