"""What the network sees of a frame is right to the pixel, and depends on nothing but the frame."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from auroramon.errors import ConfigError
from auroramon.masks import load_mask
from auroramon.preprocess import (
    InputChannel,
    PreprocessSpec,
    extract_skies,
    extract_sky,
    to_input,
    to_inputs,
    whole_frame,
)
from auroramon.resample import ChannelRule
from auroramon.types import Disc

OATH = PreprocessSpec(224, 0.85, 0.5, 99.5, ("stretched",), (0.0,), (1.0,))
"""The preparation of the OATH images: 15 % cropped, stretched from the 0.5 to the 99.5 percentile, disc on black."""


def spec(
    size: int = 64, crop: float = 1.0, channels: tuple[InputChannel, ...] = ("stretched",), ends: tuple[float, ...] = ()
) -> PreprocessSpec:
    low, high = ends or (0.0, 100.0)
    return PreprocessSpec(size, crop, low, high, channels, (0.0,) * len(channels), (1.0,) * len(channels))


def ramp(height: int, width: int, kind: type = np.uint16) -> NDArray[Any]:
    """Give a frame whose value is its column."""
    return np.broadcast_to(np.arange(width), (height, width)).astype(kind)


def random_frame(seed: int, shape: tuple[int, ...] = (120, 160), kind: type = np.uint16) -> NDArray[Any]:
    return np.random.default_rng(seed).integers(0, np.iinfo(kind).max, shape).astype(kind)


def middle(frame: NDArray[Any]) -> Disc:
    return whole_frame(frame.shape, 1.0)


def test_a_gradient_is_sampled_where_it_lies() -> None:
    disc = Disc(100, 60, 40, "configured")
    sky = extract_sky(ramp(120, 200), 1.0, disc, spec(64))
    expected = 100 - 40 + (np.arange(64) + 0.5) * 80 / 64 - 0.5  # the value of a pixel belongs to its middle
    assert np.allclose(sky.grey[32], expected, atol=0.05)


@pytest.mark.parametrize("scale", [1, 3, 7, 16])
def test_frames_of_any_resolution_give_the_same_picture(scale: int) -> None:
    yy, xx = np.mgrid[: 100 * scale, : 130 * scale] / scale
    frame = (500 + 300 * np.sin(xx / 9) * np.cos(yy / 13)).astype(np.float32)
    disc = Disc(64 * scale, 51 * scale, 40 * scale, "configured")
    picture = extract_sky(frame, 1.0, disc, spec(48))
    yy, xx = np.mgrid[:100, :130] + 0.5 - 0.5 / scale
    fine = (500 + 300 * np.sin(xx / 9) * np.cos(yy / 13)).astype(np.float32)
    same = extract_sky(fine, 1.0, Disc(64, 51, 40, "configured"), spec(48))
    assert np.abs(picture.grey - same.grey)[picture.valid].max() < 8


def test_the_crop_keeps_the_inner_part_of_the_disc() -> None:
    frame = ramp(200, 200)
    sky = extract_sky(frame, 1.0, Disc(100, 100, 80, "configured"), spec(64, crop=0.5))
    assert sky.grey[32].min() == pytest.approx(60, abs=1)
    assert sky.grey[32].max() == pytest.approx(139, abs=1)


def test_outside_of_the_disc_is_black_and_does_not_move_the_stretch() -> None:
    frame = np.full((128, 128), 60000, np.uint16)
    yy, xx = np.mgrid[:128, :128] - 63.5
    sky = np.hypot(xx, yy) < 55
    frame[sky] = (1000 + xx[sky]).astype(np.uint16)
    plane = to_input(extract_sky(frame, 1.0, Disc(64, 64, 50, "configured"), spec(64)), spec(64))[0]
    assert plane[0, 0] == 0
    assert plane[32, 2] < 0.1
    assert plane[32, 61] > 0.9


def test_the_percentiles_become_black_and_white() -> None:
    frame = random_frame(1)
    recipe = spec(64, ends=(5, 90))
    sky = extract_sky(frame, 1.0, middle(frame), recipe)
    values = sky.grey[sky.valid]
    assert np.mean(values < sky.low) == pytest.approx(0.05, abs=0.002)
    assert np.mean(values > sky.high) == pytest.approx(0.10, abs=0.002)
    plane = to_input(sky, recipe)[0]
    assert plane.min() == 0
    assert plane.max() == 1


def test_the_oath_recipe_keeps_85_percent_of_the_radius() -> None:
    frame = random_frame(2, (256, 256))
    sky = extract_sky(frame, 1.0, Disc(128, 128, 128, "configured"), OATH)
    assert sky.grey.shape == (224, 224)
    assert sky.valid.mean() == pytest.approx(np.pi / 4, abs=0.01)
    plane = to_input(sky, OATH)
    assert plane.shape == (1, 224, 224)
    assert plane.dtype == np.float32
    assert np.mean(plane[0][sky.valid] == 0) == pytest.approx(0.005, abs=0.001)


def test_a_disc_beyond_the_frame_is_valid_only_inside_and_has_no_dark_rim() -> None:
    frame = np.full((100, 100), 500, np.uint16)
    sky = extract_sky(frame, 1.0, Disc(90, 50, 60, "configured"), spec(60))
    assert np.all(sky.grey == 500)
    assert not sky.valid[:, 36:].any()
    assert sky.valid[30, 2:35].all()


@pytest.mark.parametrize(
    "disc",
    [
        Disc(-500, 50, 60, "configured"),
        Disc(50, 1e7, 60, "configured"),
        Disc(50, 50, 1e9, "configured"),
        Disc(50.5, 50.5, 0.01, "configured"),
    ],
)
@pytest.mark.parametrize("size", [63, 64])
def test_a_disc_far_from_the_frame_costs_nothing_and_shows_nothing(disc: Disc, size: int) -> None:
    frame = random_frame(3, (100, 100))
    planes = to_input(extract_sky(frame, 1.0, disc, spec(size)), spec(size))
    assert planes.shape == (1, size, size)
    assert np.isfinite(planes).all()


def test_pixels_twice_as_high_as_wide_give_the_same_picture() -> None:
    frame = random_frame(4, (128, 128))
    disc = Disc(64, 64, 60, "configured")
    wide = np.repeat(frame, 2, axis=1)
    square = extract_sky(frame, 1.0, disc, spec(32))
    squeezed = extract_sky(wide, 0.5, disc, spec(32))
    assert np.allclose(square.grey, squeezed.grey, rtol=0.05)
    assert np.array_equal(square.valid, squeezed.valid)


def test_a_mask_hides_its_part_and_does_not_move_the_stretch() -> None:
    frame = ramp(128, 128)
    frame[:40] = 9999
    mask = np.ones((128, 128), np.bool_)
    mask[:40] = False
    sky = extract_sky(frame, 1.0, middle(frame), spec(64), mask=mask)
    assert not sky.valid[:20].any()
    assert sky.valid[21:].sum() > 1900
    assert sky.high < 200
    assert np.all(to_input(sky, spec(64))[0][:20] == 0)


def test_eight_bits_and_sixteen_give_the_same_input() -> None:
    small = random_frame(5, kind=np.uint8)
    large = small.astype(np.uint16) * 257
    for channels in (("stretched",), ("equalised",)):
        recipe = spec(64, channels=channels)
        one, other = (to_input(extract_sky(f, 1.0, middle(f), recipe), recipe) for f in (small, large))
        assert np.allclose(one, other, atol=1.1 / 1023)


def test_sixteen_bits_are_not_cut_to_eight() -> None:
    frame = (30000 + ramp(128, 128) // 4).astype(np.uint16)
    assert len(np.unique(to_input(extract_sky(frame, 1.0, middle(frame), spec(128)), spec(128)))) > 30


def test_a_constant_frame_gives_a_finite_input() -> None:
    frame = np.full((64, 64), 51, np.uint8)
    recipe = spec(32, channels=("stretched", "equalised"))
    planes = to_input(extract_sky(frame, 1.0, middle(frame), recipe), recipe)
    assert np.isfinite(planes).all()
    assert np.all(planes[0] == 0)


def test_pixels_without_a_number_give_a_finite_input() -> None:
    frame = random_frame(11).astype(np.float32)
    frame[50:60, 70:90] = np.nan
    frame[20, 80] = np.inf
    recipe = spec(32, channels=("stretched", "equalised"))
    assert np.isfinite(to_input(extract_sky(frame, 1.0, middle(frame), recipe), recipe)).all()


def test_equalising_gives_each_grey_the_same_share_and_keeps_the_order() -> None:
    frame = random_frame(6, (128, 128))
    frame = (frame.astype(np.float64) ** 4 / 65535**3).astype(np.uint16)
    recipe = spec(64, channels=("equalised",))
    sky = extract_sky(frame, 1.0, middle(frame), recipe)
    rank = to_input(sky, recipe)[0][sky.valid]
    counts = np.histogram(rank, bins=8, range=(0, 1))[0] / rank.size
    assert np.allclose(counts, 1 / 8, atol=0.02)
    order = np.argsort(sky.grey[sky.valid], kind="stable")
    assert np.all(np.diff(rank[order]) >= 0)


def test_equalising_does_not_mind_a_tone_curve() -> None:
    frame = random_frame(7, (96, 96), np.uint8)
    curve = np.rint(65535 * (np.arange(256) / 255) ** 0.8).astype(np.uint16)
    recipe = spec(96, channels=("equalised",))
    one, other = (
        to_input(extract_sky(f, 1.0, Disc(48, 48, 48, "whole"), recipe), recipe) for f in (frame, curve[frame])
    )
    assert np.abs(one - other).max() < 0.01


@pytest.mark.parametrize(
    ("rule", "expected"), [("red", 10), ("green", 100), ("blue", 50), ("luma", 0.299 * 10 + 0.587 * 100 + 0.114 * 50)]
)
@pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("side", [64, 600])
def test_colour_becomes_grey_by_the_rule(rule: ChannelRule, expected: float, kind: type, side: int) -> None:
    frame = np.empty((side, side, 3), kind)
    frame[:] = (10, 100, 50)
    sky = extract_sky(frame, 1.0, middle(frame), spec(32), rule)
    assert np.allclose(sky.grey, expected, atol=0.01)


def test_a_rule_for_colour_leaves_grey_frames_alone() -> None:
    frame = random_frame(8)
    assert np.array_equal(
        extract_sky(frame, 1.0, middle(frame), spec(), "red").grey, extract_sky(frame, 1.0, middle(frame), spec()).grey
    )


def test_mean_and_spread_are_taken_per_plane() -> None:
    frame = random_frame(9)
    plain = spec(32, channels=("stretched", "equalised"))
    recipe = PreprocessSpec(32, 1.0, 0.0, 100.0, plain.channels, (0.25, 0.5), (0.5, 2.0))
    sky = extract_sky(frame, 1.0, middle(frame), recipe)
    raw, scaled = to_input(sky, plain), to_input(sky, recipe)
    assert np.allclose(scaled[0], (raw[0] - 0.25) / 0.5)
    assert np.allclose(scaled[1], (raw[1] - 0.5) / 2)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([np.uint8, np.uint16]), st.booleans())
def test_a_frame_gives_the_same_input_whatever_came_before(seed: int, kind: type, colour: bool) -> None:
    rng = np.random.default_rng(seed)
    shape = (int(rng.integers(40, 300)), int(rng.integers(40, 300)), *((3,) if colour else ()))
    frame = rng.integers(0, np.iinfo(kind).max, shape).astype(kind)
    disc = Disc(*(float(v) for v in rng.uniform(10, 200, 3)), "configured")
    recipe = spec(48, channels=("stretched", "equalised"))
    first = to_input(extract_sky(frame, 1.0, disc, recipe), recipe)
    other = random_frame(1, (90, 70))
    to_input(extract_sky(other, 1.0, middle(other), recipe), recipe)
    assert np.array_equal(first, to_input(extract_sky(frame.copy(), 1.0, disc, recipe), recipe))
    assert np.array_equal(first, to_input(extract_sky(np.asfortranarray(frame), 1.0, disc, recipe), recipe))
    assert np.isfinite(first).all()


@pytest.mark.parametrize("shape", [(64, 64), (700, 900), (64, 64, 3), (700, 900, 3)])
def test_read_only_frames_are_accepted_and_never_written_to(shape: tuple[int, ...]) -> None:
    frame = random_frame(10, shape, np.uint8)
    before = frame.copy()
    frame.flags.writeable = False
    recipe = spec(64, channels=("stretched", "equalised"))
    sky = extract_sky(frame, 1.0, middle(frame), recipe, mask=np.ones(shape[:2], np.bool_))
    grey = sky.grey.copy()
    to_input(sky, recipe)
    assert np.array_equal(frame, before)
    assert np.array_equal(sky.grey, grey), "to_input changes the sky it was given"


def test_a_spec_survives_its_bundle() -> None:
    recipe = spec(96, 0.9, ("stretched", "equalised"), (0.5, 99.5))
    assert PreprocessSpec.from_json(recipe.to_json()) == recipe
    with pytest.raises(ValueError, match="exactly the keys"):
        PreprocessSpec.from_json(recipe.to_json() | {"gamma": 2})


@pytest.mark.parametrize(
    "wrong",
    [{"size": 4}, {"crop": 0}, {"low_percentile": 99.9}, {"channels": []}, {"channels": ["log"]}, {"std": [0.0]}],
)
def test_a_spec_out_of_range_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"range|percentiles|channels|mean and std"):
        PreprocessSpec.from_json(OATH.to_json() | wrong)


def write_mask(path: Path, mask: NDArray[Any]) -> Path:
    Image.fromarray(mask).save(path)
    return path


@pytest.mark.parametrize("mode", ["1", "L", "RGB", "RGBA", "P", "I;16"])
def test_a_mask_of_any_image_kind_hides_what_is_black(tmp_path: Path, mode: str) -> None:
    grey = np.full((20, 30), 255, np.uint8)
    grey[:5] = 0
    image = Image.fromarray(grey)
    image = Image.fromarray(grey.astype(np.uint16) * 257) if mode == "I;16" else image.convert(mode)
    image.save(tmp_path / "mask.png")
    mask = load_mask(tmp_path / "mask.png", (20, 30, 3))
    assert np.array_equal(mask, grey > 0)
    assert not mask.flags.writeable


def test_a_mask_of_another_size_names_both(tmp_path: Path) -> None:
    path = write_mask(tmp_path / "mask.png", np.full((20, 30), 255, np.uint8))
    with pytest.raises(ConfigError, match="is 30x20 pixels, but the frames of this camera are 256x128"):
        load_mask(path, (128, 256))


def test_a_mask_that_is_no_use_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such file"):
        load_mask(tmp_path / "gone.png", (20, 30))
    (tmp_path / "text.png").write_bytes(b"no image")
    with pytest.raises(ConfigError, match="cannot be read as an image"):
        load_mask(tmp_path / "text.png", (20, 30))
    with pytest.raises(ConfigError, match="hide the whole sky"):
        load_mask(write_mask(tmp_path / "black.png", np.zeros((20, 30), np.uint8)), (20, 30))


GREEN = spec(32, channels=("stretched", "green"))


def coloured(spot: tuple[float, ...], sky: tuple[float, ...] = (90, 90, 90), kind: type = np.uint8) -> NDArray[Any]:
    """A sky of one colour that grows brighter to the right, and a spot of another in its middle."""
    frame = np.linspace(0.5, 1, 64)[None, :, None] * np.broadcast_to(sky, (64, 64, 3))
    frame[26:38, 26:38] = spot
    return frame.astype(kind)


def green_of(frame: NDArray[Any], rule: ChannelRule = "luma") -> NDArray[np.float32]:
    plane: NDArray[np.float32] = to_input(extract_sky(frame, 1.0, middle(frame), GREEN, rule), GREEN)[1]
    return plane


@pytest.mark.parametrize(
    ("rgb", "least", "most"),
    [
        ((60, 160, 60), 0.6, 0.8),
        ((150, 150, 150), 0.499, 0.501),
        ((150, 110, 70), 0.45, 0.51),
        ((90, 110, 170), 0.4, 0.49),
    ],
    ids=["aurora", "grey cloud", "town-lit cloud", "dusk"],
)
@pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.float32])
def test_green_tells_aurora_from_what_is_grey_brown_or_blue(
    rgb: tuple[float, ...], least: float, most: float, kind: type
) -> None:
    plane = green_of(coloured(rgb, kind=kind))
    assert least < plane[16, 16] < most
    assert abs(plane[16, 4] - 0.5) < 0.02, "the sky around is what green is counted from"
    assert plane[0, 0] == 0.5, "outside the disc there is no colour"


@pytest.mark.parametrize("balance", [(0.55, 1, 0.55), (0.7, 1, 0.4), (1.3, 1, 1.5), (2, 1, 0.5)])
def test_the_white_balance_of_a_camera_is_none_of_the_sky(balance: tuple[float, ...]) -> None:
    """A raw sensor sees twice as much green: its clouds are not aurora, and its aurora still is."""
    cloud, aurora = (
        green_of(coloured(c, kind=np.float32) * np.array(balance)) for c in ((150, 150, 150), (60, 160, 60))
    )
    assert np.abs(cloud - 0.5).max() < 0.02
    assert aurora[16, 16] > 0.57


@given(tint=st.tuples(*(st.floats(0, 1),) * 3).filter(lambda t: sum(t) > 0.1), seed=st.integers(0, 99))
def test_a_frame_of_one_tint_has_no_colour(tint: tuple[float, ...], seed: int) -> None:
    """As rendered frames have it; the OATH images have a green plane only, those of a red line a red one."""
    grey = np.random.default_rng(seed).uniform(100, 1000, (64, 64, 1))
    assert np.abs(green_of((grey * tint).astype(np.float32)) - 0.5).max() < 1e-3


def test_green_does_not_change_with_the_exposure_but_fades_in_the_dark() -> None:
    short, long = (green_of(coloured((60, 160, 60), kind=np.float32) * f) for f in (1, 100))
    assert np.allclose(short, long, atol=1e-5)
    frame = coloured((200, 200, 200))
    frame[10:14, 26:38] = (1, 4, 1)  # a few counts, whose colour is noise
    assert abs(green_of(frame)[6, 16] - 0.5) < 0.08


def test_grey_frames_and_cameras_read_by_one_plane_have_no_colour() -> None:
    assert np.all(green_of(ramp(64, 64)) == 0.5)
    assert np.all(green_of(coloured((60, 160, 60)), "green") == 0.5)
    plain = spec(32, channels=("stretched", "equalised"))
    assert extract_sky(coloured((60, 160, 60)), 1.0, Disc(32, 32, 32, "configured"), plain).excess is None


def test_pixels_without_a_number_and_a_black_frame_have_no_colour() -> None:
    frame = coloured((60, 160, 60), kind=np.float32)
    frame[30:34, 30:34] = np.nan
    assert np.all(green_of(frame) == 0.5)
    assert np.all(green_of(np.zeros((64, 64, 3), np.uint8)) == 0.5)


def test_where_every_frame_was_refused_nothing_is_prepared() -> None:
    frame = coloured((60, 160, 60))
    skies = extract_skies([frame], 1.0, middle(frame), GREEN)
    assert to_inputs(skies.some([]), GREEN).shape == (0, 2, 32, 32)
