"""Simulated cameras differ from each other, and each keeps its geometry."""

from __future__ import annotations

import numpy as np
import pytest

from auroramon.sim.camera import random_camera, standard_camera
from auroramon.sim.geometry import frame_shape, sky_geometry
from auroramon.sim.station import station


def cameras(count: int) -> list:
    rng = np.random.default_rng(3)
    return [random_camera(rng, f"cam{i}") for i in range(count)]


def test_the_same_seed_gives_the_same_camera() -> None:
    assert random_camera(np.random.default_rng(4), "a") == random_camera(np.random.default_rng(4), "a")
    assert random_camera(np.random.default_rng(4), "a") != random_camera(np.random.default_rng(5), "a")


def test_the_dice_give_every_kind_of_band_projection_and_file() -> None:
    many = cameras(300)
    assert {c.band for c in many} == {"white", "colour", "557.7", "630.0", "nir", "427.8"}
    assert {c.projection for c in many} == {"equidistant", "equisolid", "stereographic"}
    assert {c.style for c in many} == {"raw", "gamma", "stretched", "cropped"}
    assert any(c.radius > 0.5 for c in many), "some frames cut the disc"
    assert all(c.style in ("gamma", "stretched") for c in many if c.band == "colour")


def test_a_direction_projected_and_looked_up_again_is_the_same_pixel() -> None:
    for camera in cameras(12):
        geometry = sky_geometry(camera, 96)
        rows, cols = np.nonzero((geometry.disc_radius < 0.9) & (geometry.up > 0.05))
        col, row = geometry.project(geometry.east[rows, cols], geometry.north[rows, cols], geometry.up[rows, cols])
        assert np.abs(col - (cols + 0.5)).max() < 0.1
        assert np.abs(row - (rows + 0.5)).max() < 0.1


def test_the_zenith_stands_near_the_disc_centre_and_the_edge_at_the_stated_angle() -> None:
    camera = standard_camera("s")
    geometry = sky_geometry(camera)
    top = np.unravel_index(int(geometry.up.argmax()), geometry.shape)
    distance = np.hypot(top[1] + 0.5 - geometry.disc.x, top[0] + 0.5 - geometry.disc.y)
    assert distance < geometry.disc.radius * (camera.tilt_deg + 2) / camera.edge_zenith_deg
    rim = np.abs(geometry.disc_radius - 1) < 0.01
    assert geometry.altitude[rim].mean() == pytest.approx(90 - camera.edge_zenith_deg, abs=1.5)


def test_the_size_asked_for_is_the_shorter_side_and_the_disc_scales_with_it() -> None:
    for camera in cameras(8):
        assert frame_shape(camera, None) == (camera.height, camera.width)
        small, large = sky_geometry(camera, 64), sky_geometry(camera, 128)
        assert min(small.shape) == 64
        assert large.disc.radius == pytest.approx(2 * small.disc.radius, rel=0.02)


def test_nothing_of_the_sky_is_seen_outside_the_disc() -> None:
    for camera in cameras(8):
        geometry, place = sky_geometry(camera, 96), station(camera, 96)
        assert place.sky[geometry.disc_radius > 1 + 1.5 / geometry.disc.radius].max(initial=0) == 0
        assert place.sky.max() == 1
