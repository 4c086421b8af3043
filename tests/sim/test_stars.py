"""The fixed sky: how many stars of which brightness, and where the Milky Way lies."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from auroramon.sim.camera import standard_camera
from auroramon.sim.geometry import sky_geometry
from auroramon.sim.stars import Heaven, catalogue, milky_way, orientation, planets, stars

CAMERA = replace(standard_camera("s"), latitude_deg=40.0, rotation_deg=0.0, tilt_deg=0.0)
GEOMETRY = sky_geometry(CAMERA, 160)
HEAVEN = Heaven(
    stars=3.0,
    star_seed=1,
    sidereal_deg=100.0,
    milky_way=1.0,
    width=0.12,
    bulge=0.0,
    rift=0.0,
    mottle=0.0,
    planets=0,
    seed=5,
)


def test_of_each_magnitude_there_are_about_three_times_as_many_stars_as_of_the_one_before() -> None:
    _, flux = catalogue(0)
    magnitude = 2 - 2.5 * np.log10(flux)
    counts = [int(((magnitude > m) & (magnitude <= m + 1)).sum()) for m in (3, 4, 5)]
    assert counts[1] / counts[0] == pytest.approx(3.2, rel=0.35)
    assert counts[2] / counts[1] == pytest.approx(3.2, rel=0.35)
    assert (np.diff(flux) <= 0).all(), "brightest first"


def test_a_more_sensitive_camera_sees_more_stars() -> None:
    matrix = orientation(40.0, HEAVEN)
    few, many = (int((stars(GEOMETRY, replace(HEAVEN, stars=s), matrix) > 0).sum()) for s in (0.5, 8.0))
    assert many > 3 * few


def test_the_milky_way_is_a_band_whose_bulge_is_brighter_and_whose_rift_is_darker() -> None:
    matrix = orientation(40.0, HEAVEN)
    band = milky_way(GEOMETRY, HEAVEN, matrix)
    assert band.max() > 0.5
    assert np.median(band[GEOMETRY.up > 0]) < 0.2 * band.max(), "most of the sky lies beside it"
    narrow = milky_way(GEOMETRY, replace(HEAVEN, width=0.07), matrix)
    assert narrow.sum() < 0.75 * band.sum()
    assert milky_way(GEOMETRY, replace(HEAVEN, bulge=2.0), matrix).sum() > band.sum()
    assert milky_way(GEOMETRY, replace(HEAVEN, rift=0.9), matrix).sum() < band.sum()


def test_the_celestial_pole_stays_while_the_sky_turns_around_it() -> None:
    now, later = (orientation(40.0, replace(HEAVEN, sidereal_deg=s)) for s in (10.0, 130.0))
    assert now[:, 2] == pytest.approx(later[:, 2])
    assert np.degrees(np.arcsin(now[2, 2])) == pytest.approx(40.0, abs=0.01)
    assert not np.allclose(now[:, 0], later[:, 0])


def test_there_are_as_many_planets_as_asked_for() -> None:
    light = planets(GEOMETRY, replace(HEAVEN, planets=3))
    assert 3 <= int((light > 0).sum()) <= 12, "each is spread over four pixels"
