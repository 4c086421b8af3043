"""A person sees at a glance which part of a frame the model gets, and why a frame is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from auroramon.disc import find_disc
from auroramon.preprocess import PreprocessSpec, whole_frame
from auroramon.preview import CROP, DISC, SIDE, WARNING, render
from auroramon.readers import read_frames
from auroramon.types import Disc

SPEC = PreprocessSpec(128, 0.9, 0.5, 99.5, ("stretched", "equalised"), (0.3, 0.5), (0.2, 0.3))


def has(picture: Image.Image, colour: tuple[int, int, int]) -> bool:
    return bool((np.asarray(picture) == colour).all(axis=2).any())


def moonless(height: int = 200, width: int = 300) -> np.ndarray[tuple[int, ...], np.dtype[np.uint16]]:
    yy, xx = np.mgrid[:height, :width]
    return (1000 + 4 * xx + 2 * yy).astype(np.uint16)


def test_it_shows_the_frame_and_each_input_plane_side_by_side() -> None:
    picture = render(moonless(), 1.0, Disc(150, 100, 90, "found"), None, SPEC, "luma", "night.png")
    assert picture.mode == "RGB"
    assert picture.width > 3 * SIDE
    assert has(picture, DISC)
    assert has(picture, CROP)
    assert not has(picture, WARNING)


def test_a_masked_part_is_tinted() -> None:
    mask = np.ones((200, 300), np.bool_)
    mask[:50] = False
    disc = Disc(150, 100, 90, "configured")
    plain, masked = (render(moonless(), 1.0, disc, m, SPEC, "luma", "night.png") for m in (None, mask))
    changed = (np.asarray(plain) != np.asarray(masked)).any(axis=2)
    assert changed[60:140, 20:500].mean() > 0.9


@pytest.mark.parametrize("value", [0, 51])
def test_a_refused_frame_and_a_missing_disc_are_said_in_yellow(value: int) -> None:
    pixels = np.full((200, 300), value, np.uint8)
    assert has(render(pixels, 1.0, whole_frame(pixels.shape, 1.0), None, SPEC, "luma", "flat.png"), WARNING)


def test_frames_with_numbers_that_are_not_finite_can_be_looked_at() -> None:
    pixels = moonless().astype(np.float32)
    pixels[90:110, 140:160] = np.nan
    assert has(render(pixels, 1.0, Disc(150, 100, 90, "found"), None, SPEC, "luma", "nan.fits"), WARNING)


def test_pixels_that_are_not_square_are_drawn_square() -> None:
    wide = np.repeat(moonless(200, 200), 2, axis=1)
    assert np.array_equal(
        np.asarray(render(moonless(200, 200), 1.0, Disc(100, 100, 90, "found"), None, SPEC, "luma", "x").size),
        np.asarray(render(wide, 0.5, Disc(100, 100, 90, "found"), None, SPEC, "luma", "x").size),
    )


def test_a_real_frame_of_each_shape_can_be_drawn(real_data: Path) -> None:
    for name in ("rainbow/20130205_0500_rabb_rainbow-08_full.pgm.gz", "kho_nipr/20140221192040.jpg"):
        raw = next(iter(read_frames(real_data / name)))
        disc = find_disc(raw.pixels, raw.pixel_aspect)
        picture = render(raw.pixels, raw.pixel_aspect, disc, None, SPEC, "luma", name)
        assert has(picture, DISC)
        assert not has(picture, WARNING)
