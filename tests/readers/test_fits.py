"""FITS: shapes, scaling and the many ways to write a time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from auroramon.errors import FrameError
from auroramon.readers import read_frames
from auroramon.types import RawFrame
from tests.readers import samples

GREY = samples.frames(1)[0]
TIME = datetime(2015, 10, 7, 8, 23, 55, 961000, tzinfo=UTC)


def _read(folder: Path, pixels: NDArray[Any], cards: dict[str, Any] | None = None) -> list[RawFrame]:
    path = folder / "a.fits"
    path.write_bytes(samples.fits(pixels, cards or {}))
    return list(read_frames(path))


@pytest.mark.parametrize(
    "cards",
    [
        {"DATE-OBS": "2015-10-07T08:23:55.961"},
        {"DATE-OBS": "2015-10-07", "TIME-OBS": "08:23:55.961"},
        {"DATE-OBS": "2015-10-07", "UTSTART": "08:23:55.961"},
        {"DATE-OBS": "2015-10-07", "UT": "08:23:55.961"},
        {"OBSDATE": "2015-10-07", "OBSSTART": "08:23:55.961"},
        {"TIMEUTC": "2015-10-07 08:23:55.961"},
        {"DATE": "2015-10-07", "TIMEUTC": "08:23:55.961"},
        {"DATE-BEG": "2015-10-07T08:23:55.961Z", "TIMESYS": "UTC"},
        {"DATE-OBS": "unknown", "DATE-BEG": "2015-10-07T08:23:55.961"},
    ],
)
def test_the_start_of_exposure_is_found(tmp_path: Path, cards: dict[str, Any]) -> None:
    assert [frame.header_time for frame in _read(tmp_path, GREY, cards)] == [TIME]


@pytest.mark.parametrize(
    "cards", [{}, {"DATE-OBS": "2015-10-07"}, {"DATE-OBS": "2015-10-07T08:23:55", "TIMESYS": "TAI"}, {"DATE-OBS": 7}]
)
def test_no_time_is_made_up(tmp_path: Path, cards: dict[str, Any]) -> None:
    assert [frame.header_time for frame in _read(tmp_path, GREY, cards)] == [None]


def test_a_stack_is_dated_by_its_cycle_time_or_else_its_exposure(tmp_path: Path) -> None:
    stack = np.stack(samples.frames(4))
    start = {"DATE-OBS": "2015-10-07T08:23:55.961"}
    for cards, seconds in (({"KCT": 3.0, "EXPTIME": 1.0}, 3), ({"EXPTIME": 1.5}, 1.5)):
        times = [frame.header_time for frame in _read(tmp_path, stack, start | cards)]
        assert times == [TIME + timedelta(seconds=seconds * index) for index in range(4)]
    assert [frame.header_time for frame in _read(tmp_path, stack, start)] == [TIME, None, None, None]


def test_three_planes_are_colours_and_others_are_frames(tmp_path: Path) -> None:
    planes = np.stack(samples.frames(3, 10, 12))
    (frame,) = _read(tmp_path, planes)
    np.testing.assert_array_equal(frame.pixels, np.moveaxis(planes, 0, -1))
    (frame,) = _read(tmp_path, np.moveaxis(planes, 0, -1).copy())
    np.testing.assert_array_equal(frame.pixels, np.moveaxis(planes, 0, -1))
    assert len(_read(tmp_path, planes[:2])) == 2
    with pytest.raises(FrameError, match="has 4 axes"):
        _read(tmp_path, planes[None])


@pytest.mark.parametrize(
    ("stored", "dtype"),
    [
        (np.array([[0, 255]], np.uint8), np.uint8),
        (np.array([[0, 65535]], np.uint16), np.uint16),
        (np.array([[0, 32767]], np.int16), np.uint16),
        (np.array([[-5, 32767]], np.int16), np.float32),
        (np.array([[0, 70000]], np.int32), np.float32),
        (np.array([[0.25, 7]], np.float32), np.float32),
        (np.array([[0.25, 7]], np.float64), np.float32),
    ],
)
def test_counts_keep_their_values(tmp_path: Path, stored: NDArray[Any], dtype: type) -> None:
    (frame,) = _read(tmp_path, stored)
    assert frame.pixels.dtype == dtype
    np.testing.assert_array_equal(frame.pixels, stored)


def test_scaled_and_blank_values_are_what_the_header_says(tmp_path: Path) -> None:
    path = tmp_path / "a.fits"
    data = bytearray(samples.fits(np.array([[1, 2, -7]], np.int16), {"ZERO1": 10.5, "SCALE1": 0.5, "BLANK": -7}))
    path.write_bytes(bytes(data).replace(b"ZERO1   ", b"BZERO   ").replace(b"SCALE1  ", b"BSCALE  "))
    (frame,) = read_frames(path)
    np.testing.assert_array_equal(frame.pixels, [[11.0, 11.5, 11.0]])  # the blank one becomes the smallest


def test_nan_becomes_the_smallest_value_and_all_nan_is_refused(tmp_path: Path) -> None:
    (frame,) = _read(tmp_path, np.array([[np.nan, 2.5], [np.inf, 1.5]], np.float32))
    np.testing.assert_array_equal(frame.pixels, [[1.5, 2.5], [1.5, 1.5]])
    with pytest.raises(FrameError, match="holds no finite pixel"):
        _read(tmp_path, np.full((3, 3), np.nan, np.float32))


def test_the_first_image_counts_wherever_it_is(tmp_path: Path) -> None:
    from astropy.io import fits

    path = tmp_path / "a.fits"
    fits.HDUList([fits.PrimaryHDU(), fits.ImageHDU(GREY), fits.ImageHDU(GREY[:5])]).writeto(path)
    (frame,) = read_frames(path)
    np.testing.assert_array_equal(frame.pixels, GREY)
    fits.HDUList([fits.PrimaryHDU()]).writeto(path, overwrite=True)
    with pytest.raises(FrameError, match="holds no image"):
        list(read_frames(path))


def test_site_instrument_filter_and_aspect_come_from_the_header(tmp_path: Path) -> None:
    cards = {"SITE": "PKR", "INSTRUME": "DASC", "FILTWAV": "0558", "XPIXSZ": 4.0, "YPIXSZ": 8.0}
    (frame,) = _read(tmp_path, GREY[:12], cards)
    assert (frame.site, frame.imager, frame.channel, frame.pixel_aspect) == ("pkr", "dasc", "0558", 0.5)
    (frame,) = _read(tmp_path, GREY, cards)
    assert frame.pixel_aspect == 1.0


def test_one_card_that_cannot_be_read_costs_no_frame(tmp_path: Path) -> None:
    path = tmp_path / "a.fits"
    data = samples.fits(GREY, {"DATE-OBS": "2015-10-07T08:23:55.961", "SITE": "PKR"})
    path.write_bytes(data.replace(b"SITE    = 'PKR     '", b"SITE    = 'PKR \x01\xff = "))
    (frame,) = read_frames(path)
    assert (frame.header_time, frame.site) == (TIME, "")
