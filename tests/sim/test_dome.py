"""Drops and light frost on the dome: the sky is still seen, its parts add up, and a clean dome changes nothing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from auroramon.sim import scene as scenes
from auroramon.sim.camera import random_camera, standard_camera
from auroramon.sim.dome import DOME_KINDS, Dome, Film, random_dome
from auroramon.sim.geometry import sky_geometry
from auroramon.sim.light import render
from auroramon.sim.scene import VISIBLE, draw, random_scene
from auroramon.sim.station import station

CAMERA = standard_camera("s")
GEOMETRY, PLACE = sky_geometry(CAMERA, 128), station(CAMERA, 128)


@pytest.mark.parametrize("kind", DOME_KINDS)
def test_parts_of_the_sky_seen_through_a_film_add_up_to_the_whole(kind: str) -> None:
    film = Film(GEOMETRY, Dome(kind, 0.8, 3))
    rng = np.random.default_rng(1)
    one, other = rng.random((2, CAMERA.channels, *GEOMETRY.shape)).astype(np.float32)
    assert np.allclose(film.through(one + other), film.through(one) + film.through(other), atol=1e-4)


@pytest.mark.parametrize("kind", DOME_KINDS)
def test_a_film_hides_a_part_of_the_sky_and_leaves_the_rest_as_it_is(kind: str) -> None:
    for seed in range(6):
        film = Film(GEOMETRY, Dome(kind, 0.6, seed))
        point = np.zeros((CAMERA.channels, *GEOMETRY.shape), np.float32)
        point[:, 40:90:10, 40:90:10] = 1000.0  # stars, so that the light around them is next to nothing
        kept = (film.through(point)[:, 40:90:10, 40:90:10] / 1000.0).ravel()
        assert kept.min() >= 0
        assert kept.max() > 0.8, "somewhere the dome is clean"


def test_no_two_domes_are_alike() -> None:
    light = np.random.default_rng(3).random((CAMERA.channels, *GEOMETRY.shape)).astype(np.float32)
    for kind in DOME_KINDS:
        one, other = (Film(GEOMETRY, Dome(kind, 0.8, seed)).through(light) for seed in (1, 2))
        assert np.abs(one - other).max() > 0.2


def test_the_same_dome_is_the_same_in_every_frame() -> None:
    sky = np.random.default_rng(2).random((CAMERA.channels, *GEOMETRY.shape)).astype(np.float32)
    first, again = (Film(GEOMETRY, Dome("drops", 0.7, 11)).through(sky) for _ in range(2))
    assert np.array_equal(first, again)


def test_domes_are_unclean_as_often_as_asked() -> None:
    rng = np.random.default_rng(4)
    found = [random_dome(rng, 0.2) for _ in range(2000)]
    assert sum(dome is not None for dome in found) / 2000 == pytest.approx(0.2, abs=0.03)
    assert {dome.kind for dome in found if dome} == set(DOME_KINDS)


@pytest.mark.parametrize("label", list(VISIBLE))
def test_through_drops_and_frost_a_frame_still_shows_its_class(label: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scenes, "UNCLEAN", 1.0)
    rng = np.random.default_rng(6)
    cameras = [random_camera(rng, f"c{i}") for i in range(8)]
    seen = [draw(rng, label, camera, 96).truth["visible"] >= VISIBLE[label] for camera in cameras for _ in range(2)]
    assert np.mean(seen) >= 0.9


def test_a_scene_with_a_clean_dome_is_drawn_as_before() -> None:
    scene = random_scene(np.random.default_rng(8), "discrete", GEOMETRY, PLACE)
    clean, dirty = (render(GEOMETRY, PLACE, replace(scene, dome=dome)) for dome in (None, Dome("frost", 0.9, 1)))
    assert clean.aurora is not None
    assert dirty.aurora is not None
    assert np.abs(clean.total - dirty.total).max() > 0.01
    assert (clean.hidden, clean.veiled) == (dirty.hidden, dirty.veiled)
