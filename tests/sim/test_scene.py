"""Every class and every kind of unknown frame can be drawn for any camera, and shows what its label says."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from auroramon.sim.camera import SimCamera, random_camera, standard_camera
from auroramon.sim.clouds import haze
from auroramon.sim.displays import DIFFUSE
from auroramon.sim.frame import SimFrame
from auroramon.sim.geometry import CROP, frame_shape, sky_geometry
from auroramon.sim.light import Scene, render
from auroramon.sim.moon import random_moon
from auroramon.sim.scene import (
    UNKNOWN_KINDS,
    VISIBLE,
    draw,
    draw_unknown,
    in_free_sky,
    measure,
    random_kind,
    random_scene,
)
from auroramon.sim.sky import random_sky
from auroramon.sim.station import station
from auroramon.types import AURORA_LABELS, LABELS, UNKNOWN

SIZE = 96


def fleet(count: int, seed: int = 1) -> list[SimCamera]:
    rng = np.random.default_rng(seed)
    return [random_camera(rng, f"cam{i}") for i in range(count)]


def assert_like_a_file(frame: SimFrame, camera: SimCamera) -> None:
    height, width = frame_shape(camera, SIZE)
    shape = (height, width, 3) if camera.band == "colour" else (height, width)
    assert frame.pixels.shape == shape
    assert frame.pixels.dtype == (np.uint8 if camera.style in ("gamma", "stretched") else np.uint16)
    assert frame.disc == sky_geometry(camera, SIZE).disc


@pytest.mark.parametrize("label", LABELS)
def test_a_class_can_be_drawn_for_any_camera(label: str) -> None:
    rng = np.random.default_rng(10)
    for camera in fleet(10):
        frame = draw(rng, label, camera, SIZE)
        assert frame.label == label
        assert_like_a_file(frame, camera)
        assert all(np.isfinite(v) for v in frame.truth.values())


@pytest.mark.parametrize("label", [label for label in LABELS if label != "clear"])
def test_what_the_label_says_can_be_seen(label: str) -> None:
    """At least 97 of 100 frames reach the contrast of their class; the rest are the best of twelve tries."""
    rng = np.random.default_rng(11)
    seen = [draw(rng, label, camera, SIZE).truth["visible"] >= VISIBLE[label] for camera in fleet(10) for _ in range(3)]
    assert np.mean(seen) > 0.97


def test_aurora_leads_where_there_is_aurora_and_is_absent_elsewhere() -> None:
    rng = np.random.default_rng(12)
    for camera in fleet(6, seed=2):
        for label in LABELS:
            truth = draw(rng, label, camera, SIZE).truth
            assert (truth["aurora"] > 0) == (label in AURORA_LABELS)
            if label == "clear":
                assert truth["hidden"] < 0.3
                assert truth["moon"] < 0.15 or truth["moon_clear"] <= 0.02


def test_the_moon_is_a_compact_blob_brighter_than_the_rest() -> None:
    rng = np.random.default_rng(13)
    compact = []
    for camera in fleet(16, seed=4):
        if camera.channels == 3 or camera.lamps:
            continue
        frame = draw(rng, "moon", camera, SIZE)
        geometry = sky_geometry(camera, SIZE)
        sky = frame.pixels[geometry.disc_radius < 1].astype(float)
        bright = sky > np.median(sky) + 0.75 * (sky.max() - np.median(sky))
        compact.append(bright.mean() < 0.2)
    assert np.mean(compact) > 0.7, "the rest shine through haze"


def test_the_moon_stands_in_the_part_of_the_sky_that_models_keep() -> None:
    rng = np.random.default_rng(17)
    for camera in fleet(8, seed=6):
        truth = draw(rng, "moon", camera, SIZE).truth
        geometry = sky_geometry(camera, SIZE)
        place = np.abs(geometry.altitude - truth["moon_altitude_deg"]) < 1.5
        assert (place & (geometry.disc_radius < CROP + 0.03)).any()


def test_through_a_sheet_of_haze_the_moon_still_shows_as_a_spot() -> None:
    camera = standard_camera("s")
    geometry, place = sky_geometry(camera, SIZE), station(camera, SIZE)
    rng = np.random.default_rng(3)
    moon = replace(in_free_sky(rng, random_moon(rng), geometry, place, 60.0), phase=0.9)
    sheet = replace(haze(rng), depth=2.5)
    drawn = render(geometry, place, Scene(random_sky(rng, camera), None, sheet, moon))
    truth = measure(geometry, place, "moon", drawn)
    assert truth["moon_clear"] < 0.2
    assert truth["moon"] >= VISIBLE["moon"]


@pytest.mark.parametrize("kind", UNKNOWN_KINDS)
def test_frames_that_are_no_night_sky_can_be_drawn_for_any_camera(kind: str) -> None:
    rng = np.random.default_rng(14)
    for camera in fleet(10):
        frame = draw_unknown(rng, kind, camera, SIZE)
        assert frame.label == UNKNOWN
        assert_like_a_file(frame, camera)


def test_the_same_seed_draws_the_same_frame() -> None:
    camera = fleet(1)[0]
    for label in LABELS:
        first, again, other = (draw(np.random.default_rng(s), label, camera, SIZE).pixels for s in (5, 5, 6))
        assert np.array_equal(first, again)
        assert not np.array_equal(first, other)
    for kind in UNKNOWN_KINDS:
        first, again = (draw_unknown(np.random.default_rng(5), kind, camera, SIZE).pixels for _ in range(2))
        assert np.array_equal(first, again)


def test_a_camera_can_be_drawn_at_its_own_size() -> None:
    camera = fleet(1)[0]
    assert draw(np.random.default_rng(1), "arc", camera).pixels.shape[:2] == (camera.height, camera.width)


def test_an_unheard_of_class_or_kind_is_refused_by_name() -> None:
    rng, camera = np.random.default_rng(1), fleet(1)[0]
    with pytest.raises(ValueError, match="'corona' is no class"):
        draw(rng, "corona", camera, SIZE)
    with pytest.raises(ValueError, match="'cat' is no kind of unknown frame"):
        draw_unknown(rng, "cat", camera, SIZE)


def test_a_kind_that_shows_rarely_is_drawn_as_often_as_the_dice_say() -> None:
    rng = np.random.default_rng(18)
    kinds = [random_kind(rng, "diffuse") for _ in range(2000)]
    for kind, share in DIFFUSE.items():
        assert kinds.count(kind) / 2000 == pytest.approx(share, abs=0.035)
    assert random_kind(rng, "moon") is None


def test_a_clear_sky_of_a_broad_band_camera_shows_stars_or_a_dawn() -> None:
    """Without either it could as well be overcast."""
    rng = np.random.default_rng(19)
    told = []
    for camera in fleet(12, seed=8):
        if camera.band in ("white", "colour"):
            truth = draw(rng, "clear", camera, SIZE).truth
            told.append(truth["stars"] > 4 or truth["sun_altitude_deg"] > -13)
    assert np.mean(told) > 0.8


def test_a_lens_that_software_corrects_too_much_is_brighter_at_its_edge() -> None:
    camera = replace(standard_camera("s"), trees=0.0, masts=0, dirt=0.0)
    dark, bright = (station(replace(camera, vignetting=v), SIZE).shade for v in (0.5, -0.5))
    radius = sky_geometry(camera, SIZE).disc_radius
    edge, middle = (radius > 0.85) & (radius < 0.95), radius < 0.2
    assert dark[edge].mean() < 0.8 * dark[middle].mean()
    assert bright[edge].mean() > 1.2 * bright[middle].mean()


def test_an_amplifier_glows_in_a_corner_and_reflexes_stay_where_they_are() -> None:
    camera = replace(standard_camera("s"), lamps=0)
    plain = station(camera, SIZE)
    glowing = station(replace(camera, amp_glow=1.0, reflexes=2), SIZE)
    glow, reflex = glowing.rim - plain.rim, glowing.lamps - plain.lamps
    corners = [glow[r, c] for r in (0, -1) for c in (0, -1)]
    assert max(corners) > 3 * min(corners)
    radius = sky_geometry(camera, SIZE).disc_radius
    assert reflex.max() > 0.1
    assert reflex[radius < 0.5].max() < 0.05 * reflex.max()


@pytest.mark.parametrize("label", ["arc", "discrete"])
def test_low_aurora_stands_above_the_horizon_and_leaves_the_zenith_dark(label: str) -> None:
    camera = standard_camera("s")
    geometry, place = sky_geometry(camera, SIZE), station(camera, SIZE)
    rng = np.random.default_rng(21)
    overhead = geometry.altitude > 60
    for _ in range(12):
        aurora = render(geometry, place, random_scene(rng, label, geometry, place, "low")).aurora
        assert aurora is not None
        light = aurora.mean(axis=0) * geometry.inside
        assert geometry.altitude.flat[light.argmax()] < 50
        assert light[overhead].mean() < 0.25 * light.max()


def test_a_torn_deck_hides_most_of_the_sky_and_not_all_of_it() -> None:
    camera = standard_camera("s")
    geometry, place = sky_geometry(camera, SIZE), station(camera, SIZE)
    rng = np.random.default_rng(20)
    hidden = [render(geometry, place, random_scene(rng, "cloudy", geometry, place, "torn")).hidden for _ in range(30)]
    assert np.median(hidden) > 0.6
    assert np.mean(np.array(hidden) < 0.98) > 0.5
