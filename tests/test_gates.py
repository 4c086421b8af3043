"""Frames that cannot be judged are refused with a sentence; every sky passes."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from auroramon import gates
from auroramon.disc import find_disc
from auroramon.preprocess import PreprocessSpec, extract_sky, whole_frame
from auroramon.readers import read_frames
from auroramon.types import Disc

NO_SKY = {"kho_nipr/20140101062052.jpg", "trex/20230503_0600_luck_spect-02_spectra.pgm.gz"}


def spec(size: int = 128) -> PreprocessSpec:
    return PreprocessSpec(size, 0.9, 0.5, 99.5, ("stretched",), (0.0,), (1.0,))


def refusal(pixels: NDArray[Any], size: int = 128, mask: NDArray[np.bool_] | None = None, aspect: float = 1.0) -> str:
    disc = whole_frame(pixels.shape, aspect)
    return gates.shape(pixels, aspect) or gates.refuse(
        pixels, extract_sky(pixels, aspect, disc, spec(size), "luma", mask)
    )


def noise(shape: tuple[int, ...], level: float, sigma: float, kind: type = np.uint16) -> NDArray[Any]:
    top = np.iinfo(kind).max
    return np.clip(np.random.default_rng(3).normal(level, sigma, shape), 0, top).astype(kind)


def clear_sky(kind: type = np.uint16) -> NDArray[Any]:
    """Give a dim sky that brightens to the horizon, with as much noise as light."""
    yy, xx = np.mgrid[:256, :256] - 127.5
    light = 60 * (1 + 0.5 * (np.hypot(xx, yy) / 128) ** 2)
    return np.clip(light + np.random.default_rng(1).normal(0, 8, light.shape), 0, np.iinfo(kind).max).astype(kind)


@pytest.mark.parametrize("value", [0, 51, 65535])
def test_a_flat_frame_says_its_value(value: int) -> None:
    assert refusal(np.full((256, 256), value, np.uint16)) == f"flat: every pixel of the sky is {value}"


def test_a_flat_colour_frame_is_flat() -> None:
    assert refusal(np.full((120, 160, 3), 7, np.uint8)).startswith("flat: ")


def test_a_spectrograph_is_no_sky_image() -> None:
    pixels = noise((1024, 256), 400, 40)
    assert refusal(pixels) == "no sky image: 256x1024 pixels are 4.0:1, a sky is at most 2:1"


def test_the_shape_is_that_of_square_pixels() -> None:
    anamorphic = np.repeat(clear_sky(), 3, axis=1)
    assert refusal(anamorphic, aspect=1 / 3) == ""
    assert refusal(anamorphic).startswith("no sky image: ")


@pytest.mark.parametrize("shape", [(480, 852), (256, 512), (512, 512)])
def test_wide_screens_are_sky_images(shape: tuple[int, int]) -> None:
    assert gates.shape(np.zeros(shape, np.uint8), 1.0) == ""


def test_a_thumbnail_shows_no_sky() -> None:
    assert refusal(noise((31, 40), 100, 5)) == "too small: 40x31 pixels show no sky"


@pytest.mark.parametrize("size", [64, 96, 128, 224])
@pytest.mark.parametrize(
    "pixels",
    [
        noise((256, 256), 500, 8),
        noise((480, 640), 4, 1.5, np.uint8),
        noise((900, 1200, 3), 4, 1.5, np.uint8),
        noise((256, 256), 500, 8) + np.linspace(0, 4, 256).astype(np.uint16),
    ],
    ids=["16 bit", "8 bit", "colour", "with a bias gradient"],
)
def test_a_closed_shutter_shows_no_light(pixels: NDArray[Any], size: int) -> None:
    assert refusal(pixels, size).startswith("no light: ")


@pytest.mark.parametrize("size", [64, 96, 128, 224])
@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_a_dim_noisy_clear_sky_passes(kind: type, size: int) -> None:
    assert refusal(clear_sky(kind), size) == ""


def test_the_edge_of_a_featureless_sky_shows_that_the_shutter_was_open() -> None:
    yy, xx = np.mgrid[:256, :256] - 127.5
    disc = Disc(128, 128, 100, "configured")
    pixels = noise((256, 256), 300, 40) + np.where(np.hypot(xx, yy) < 100, 200, 0).astype(np.uint16)
    assert gates.refuse(pixels, extract_sky(pixels, 1.0, disc, spec())) == ""


def test_a_frame_that_is_nearly_all_white_is_saturated() -> None:
    pixels = clear_sky()
    pixels[: 256 * 9 // 10] = 4095
    assert refusal(pixels).startswith("saturated: ")
    assert refusal(pixels).endswith("% of the sky is 4095")


def test_a_lamp_that_fills_half_of_the_sky_is_saturated() -> None:
    yy, xx = np.mgrid[:256, :256] - 127.5
    lamp = clear_sky().astype(float) + 60000 * np.exp(-((np.hypot(xx, yy - 20) / 110) ** 6))
    assert refusal(np.clip(lamp, 0, 50000).astype(np.uint16)).startswith("saturated: ")


def lines(kind: str) -> NDArray[Any]:
    """Give a frame made of lines, with noise."""
    y, x = np.mgrid[:240, :320]
    rng = np.random.default_rng(2)
    pictures = {
        "bars": np.floor(x / 32) % 2,
        "colour bars": np.floor(x / 45) % 7 / 6,
        "checkerboard": (np.floor(x / 27) + np.floor(y / 27)) % 2,
        "read-out stripes": np.sin(y * 0.5) > 0.3,
        "a slit's spectrum": sum(np.exp(-(((x - c) / 3) ** 2)) for c in (90, 130, 170, 200)),
        "a torn frame": np.sin((x + 320 * rng.random((240, 1))) / 25) / 2 + 0.5,
    }
    return np.clip(30 + 150 * pictures[kind].astype(float) + rng.normal(0, 2, (240, 320)), 0, 255).astype(np.uint8)


@pytest.mark.parametrize("size", [96, 128, 224])
@pytest.mark.parametrize(
    "kind", ["bars", "colour bars", "checkerboard", "read-out stripes", "a slit's spectrum", "a torn frame"]
)
def test_straight_lines_along_the_pixels_are_no_sky(kind: str, size: int) -> None:
    for pixels in (lines(kind), np.ascontiguousarray(lines(kind).T), np.stack([lines(kind)] * 3, axis=-1)):
        # Lines across the direction in which noise is measured may look like noise
        assert refusal(pixels, size).startswith(("no sky image: ", "no light: "))


def test_lines_say_along_which_axis_they_run() -> None:
    assert refusal(lines("bars")) == "no sky image: the frame is made of straight lines along its columns"
    assert refusal(np.ascontiguousarray(lines("bars").T)).endswith("straight lines along its rows")


def test_the_charge_that_a_bright_moon_spills_along_its_column_is_no_frame_of_lines() -> None:
    pixels = clear_sky().astype(float)
    yy, xx = np.mgrid[:256, :256]
    pixels += 60000 * np.exp(-(((xx - 100) ** 2 + (yy - 140) ** 2) / 60)) + 9000 * np.exp(-(((xx - 100) / 1.5) ** 2))
    assert refusal(np.clip(pixels, 0, 65535).astype(np.uint16)) == ""


def test_an_arc_along_the_rows_is_a_sky() -> None:
    yy, xx = np.mgrid[:256, :256]
    arc = 400 * np.exp(-(((yy - 110 - 14 * ((xx - 128) / 128) ** 2) / 9) ** 2))
    assert refusal((clear_sky() + arc).astype(np.uint16)) == ""


def test_a_masked_edge_is_no_line() -> None:
    mask = np.ones((256, 256), np.bool_)
    mask[:, 150:] = False
    pixels = clear_sky()
    pixels[:, 150:] = 60000
    assert refusal(pixels, mask=mask) == ""


def test_a_bright_moon_is_not_saturated() -> None:
    pixels = clear_sky()
    pixels[100:150, 60:110] = 65535
    assert refusal(pixels) == ""


def test_numbers_that_are_not_finite_are_counted() -> None:
    pixels = clear_sky().astype(np.float32)
    pixels[:128] = np.nan
    assert refusal(pixels).startswith("not finite: 5")
    assert refusal(np.full((64, 64), np.nan, np.float32)) == "not finite: 100.0% of the sky has no number"


def test_what_lies_outside_of_the_sky_does_not_matter() -> None:
    pixels = clear_sky().astype(np.float32)
    pixels[:4, :4] = np.nan
    assert refusal(pixels) == ""


def test_a_mask_that_hides_the_disc_leaves_no_sky() -> None:
    hidden = np.zeros((256, 256), np.bool_)
    assert refusal(clear_sky(), mask=hidden) == "no sky: disc and mask leave nothing of the frame"


def test_a_small_hole_in_the_mask_is_judged_without_blocks() -> None:
    hole = np.zeros((256, 256), np.bool_)
    hole[120:136, 120:136] = True
    assert refusal(clear_sky(), mask=hole) == ""


def test_daylight_says_both_angles() -> None:
    assert gates.daylight(-3.2, 6.0) == "daylight: the Sun is at -3.2°, frames count while it is below -6.0°"
    assert gates.daylight(-6.0, 6.0) == ""
    assert gates.daylight(-20, 6.0) == ""
    assert gates.daylight(1.0, 0.0) == "daylight: the Sun is at 1.0°, frames count while it is below 0.0°"
    assert gates.daylight(40, -90) == ""


def test_exactly_the_real_files_without_a_sky_are_refused(real_data: Path) -> None:
    refused = set()
    with (real_data / "MANIFEST.csv").open(encoding="utf-8") as lines:
        names = [row["file"] for row in csv.DictReader(lines) if not row["file"].endswith(".csv")]
    for name in names:
        raw = next(iter(read_frames(real_data / name)))
        disc = find_disc(raw.pixels, raw.pixel_aspect)
        for size in (96, 128, 224):
            sky = extract_sky(raw.pixels, raw.pixel_aspect, disc, spec(size))
            if gates.shape(raw.pixels, raw.pixel_aspect) or gates.refuse(raw.pixels, sky):
                refused.add(name)
    assert refused == NO_SKY
