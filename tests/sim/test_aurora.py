"""The forms of aurora: where they stand, how high they reach, how they move."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from auroramon.sim.aurora import Curtain, Display, emission, glow, layer_weights
from auroramon.sim.camera import standard_camera
from auroramon.sim.displays import random_display
from auroramon.sim.geometry import sky_geometry

ARC = Curtain(
    brightness=5.0,
    offset_km=0.0,
    angle_deg=0.0,
    bend=0.0,
    width_km=12.0,
    tail=1.0,
    wander_km=0.0,
    fold=0.0,
    rays=0.0,
    ray_km=10.0,
    strands=0.0,
    strand_km=10.0,
    unevenness=0.0,
    centre_km=0.0,
    extent_km=900.0,
    seed=1,
    drift_km_s=0.0,
)
CAMERA = replace(
    standard_camera("s"), declination_deg=0.0, dip_from_zenith_deg=0.0, tilt_deg=0.0, rotation_deg=0.0, flip=False
)
GEOMETRY = sky_geometry(CAMERA, 128)


def test_an_arc_overhead_crosses_the_zenith_from_east_to_west() -> None:
    light = glow(GEOMETRY, Display((ARC,)))[0]
    row = int(GEOMETRY.disc.y)
    assert light[row].mean() > 20 * light[row - 25].mean()


def test_an_arc_to_the_north_is_seen_in_the_north_and_has_a_sharp_lower_and_a_soft_upper_edge() -> None:
    light = glow(GEOMETRY, Display((replace(ARC, offset_km=250.0, width_km=5.0),)))[0]
    column = light[:, int(GEOMETRY.disc.x)]  # north is up: from the horizon (row 0) to the zenith and beyond
    peak = int(column.argmax())
    assert GEOMETRY.altitude[peak, int(GEOMETRY.disc.x)] == pytest.approx(24, abs=5)
    below = np.abs(column[:peak][::-1] - column[peak] / 4).argmin()
    above = np.abs(column[peak:][:40] - column[peak] / 4).argmin()
    assert above > below


def test_rays_converge_towards_the_magnetic_zenith() -> None:
    camera = replace(CAMERA, dip_from_zenith_deg=15.0)
    geometry = sky_geometry(camera, 128)
    # A spot on the field line that leads through the magnetic zenith is seen as a spot there, not as a streak.
    foot = -110.0 * np.tan(np.radians(15.0))
    spot = replace(ARC, offset_km=foot, extent_km=15.0)
    light = glow(geometry, Display((spot,)))[0]
    row, col = np.unravel_index(int(light.argmax()), light.shape)
    assert geometry.altitude[row, col] == pytest.approx(75, abs=4)
    assert geometry.north[row, col] < 0, "in the north field lines lean south as they rise"
    assert (light > light.max() / 3).sum() < 120


def test_the_red_line_lies_higher_than_the_green_one_and_a_line_filter_sees_one_line_only() -> None:
    heights = tuple(float(h) for h in range(95, 400, 5))
    for band, expected in (("557.7", 114), ("630.0", 235), ("427.8", 108)):
        weights = layer_weights(band, heights, 0.5)[:, 0]
        assert heights[int(weights.argmax())] == pytest.approx(expected, abs=16)
        assert weights.sum() == pytest.approx(1, abs=0.05)
    colours = layer_weights("colour", heights, 0.2)
    green, red = colours[:, 1], colours[:, 0]
    assert (np.array(heights) * red).sum() / red.sum() > (np.array(heights) * green).sum() / green.sum() + 10


@pytest.mark.parametrize("label", ["arc", "diffuse", "discrete"])
def test_every_display_shines_somewhere_and_never_below_zero(label: str) -> None:
    rng = np.random.default_rng(8)
    for _ in range(25):
        map_ = emission(GEOMETRY.grid, random_display(rng, label), 10.0)
        assert map_.min() >= 0
        assert map_.max() > 0
        assert np.isfinite(map_).all()


def test_forms_move_a_little_in_a_second_and_much_in_ten_minutes() -> None:
    rng = np.random.default_rng(2)

    def alike(display: Display, seconds: float) -> float:
        first, later = (emission(GEOMETRY.grid, display, 0.0, t) for t in (0.0, seconds))
        return float(np.corrcoef(first, later)[0, 1])

    displays = [random_display(rng, "discrete") for _ in range(8)]
    assert np.mean([alike(display, 1.0) for display in displays]) > 0.9
    assert np.mean([alike(display, 600.0) for display in displays]) < 0.7
