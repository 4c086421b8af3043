"""What counts as a form: what a clear sky or a lens may do by itself is none."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from auroramon.sim.camera import standard_camera
from auroramon.sim.fields import FloatArray, f32
from auroramon.sim.geometry import sky_geometry
from auroramon.sim.scene import VISIBLE
from auroramon.sim.seen import Seen
from auroramon.sim.sky import twilight
from auroramon.sim.station import station

CAMERA = replace(standard_camera("s"), tilt_deg=0.0, vignetting=0.0, trees=0.0, masts=0, buildings=0, screens=0, dirt=0)
GEOMETRY, PLACE = sky_geometry(CAMERA, 160), station(CAMERA, 160)


def contrast(part: FloatArray) -> float:
    """The contrast of a part of the light before an even sky."""
    part = f32(np.broadcast_to(part, GEOMETRY.shape) * GEOMETRY.inside)[None]
    even = f32(np.minimum(GEOMETRY.slant, 2.5) * GEOMETRY.inside)[None]
    return Seen(GEOMETRY, PLACE, even + part).structure(part)


@pytest.mark.parametrize(
    "part",
    [
        np.minimum(GEOMETRY.van_rhijn, 3.5),
        1.5 + GEOMETRY.east,
        2 * GEOMETRY.disc_radius**2,
        twilight(GEOMETRY, -14.0, 200.0, 60.0, 14.0)[0],
    ],
    ids=["airglow", "slope", "lens", "dawn"],
)
def test_airglow_a_slope_a_lens_and_a_dawn_are_no_form(part: FloatArray) -> None:
    assert contrast(f32(part)) < VISIBLE["diffuse"]


@pytest.mark.parametrize("width", [0.08, 0.2, 0.35])
def test_a_band_across_the_sky_is_a_form(width: float) -> None:
    band = 3 * np.exp(-(((GEOMETRY.north - 0.2) / width) ** 2))
    assert contrast(f32(band)) > VISIBLE["discrete"]


def test_half_a_sky_is_a_form_where_its_edge_crosses_it() -> None:
    assert contrast(f32(3 / (1 + np.exp(GEOMETRY.north / 0.06)))) > VISIBLE["diffuse"]


def test_stars_are_seen_above_the_noise_only() -> None:
    rng = np.random.default_rng(3)
    dots = np.zeros(GEOMETRY.shape, np.float32)
    rows, cols = np.nonzero(GEOMETRY.disc_radius < 0.7)
    chosen = rng.integers(len(rows), size=60)
    dots[rows[chosen], cols[chosen]] = 1.0
    even = GEOMETRY.inside[None]
    bright, faint = (Seen(GEOMETRY, PLACE, even + k * dots[None]).dots(k * dots[None]) for k in (20.0, 0.02))
    assert bright > 4 > faint
