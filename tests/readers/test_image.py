"""Pictures keep every bit of every sample, in whatever way the file holds them."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from PIL import Image

from auroramon.errors import FrameError
from auroramon.readers import read_frames
from auroramon.readers.image import ImageReader
from auroramon.types import RawFrame
from tests.readers import samples

PROPERTY = settings(
    max_examples=40, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
Deep = st.sampled_from([np.uint8, np.uint16])
Shapes = st.tuples(st.integers(1, 20), st.integers(1, 20), st.integers(1, 4))
Order = Literal["<", ">"]


def _read(folder: Path, name: str, data: bytes) -> list[RawFrame]:
    path = folder / name
    path.write_bytes(data)
    return list(read_frames(path))


def _without_alpha(picture: NDArray[Any]) -> NDArray[Any]:
    return picture[..., 0] if picture.shape[2] < 3 else picture[..., :3]


@PROPERTY
@given(data=st.data(), interlaced=st.booleans())
def test_a_png_of_any_kind_keeps_its_values(tmp_path: Path, data: st.DataObject, interlaced: bool) -> None:
    picture = data.draw(arrays(data.draw(Deep), data.draw(Shapes)))
    stored = picture[..., 0] if picture.shape[2] == 1 else picture
    (frame,) = _read(tmp_path, "a.png", samples.png(stored, interlaced=interlaced))
    assert frame.pixels.dtype == picture.dtype
    np.testing.assert_array_equal(frame.pixels, _without_alpha(picture))


@PROPERTY
@given(data=st.data(), order=st.sampled_from(["<", ">"]), deflated=st.booleans())
def test_a_tiff_of_any_kind_keeps_its_values(tmp_path: Path, data: st.DataObject, order: Order, deflated: bool) -> None:
    height, width = data.draw(st.integers(1, 20)), data.draw(st.integers(1, 20))
    shape = data.draw(st.sampled_from([(height, width), (height, width, 3), (height, width, 4)]))
    kinds = [np.uint8, np.uint16, np.float32] if len(shape) == 2 else [np.uint8, np.uint16]
    finite = {"allow_nan": False, "allow_infinity": False}
    dtype = data.draw(st.sampled_from(kinds))
    picture = data.draw(arrays(dtype, shape, elements=finite if dtype is np.float32 else None))
    (frame,) = _read(tmp_path, "a.tif", samples.tiff([picture], order=order, deflated=deflated))
    assert frame.pixels.dtype == picture.dtype
    np.testing.assert_array_equal(frame.pixels, picture if len(shape) == 2 else picture[..., :3])


def test_16_bits_are_not_cut_to_8(tmp_path: Path) -> None:
    picture = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    colour = np.dstack([np.zeros_like(picture), picture, np.zeros_like(picture)])
    (frame,) = _read(tmp_path, "a.png", samples.png(colour))
    np.testing.assert_array_equal(frame.pixels, colour)


@pytest.mark.parametrize("deflated", [False, True])
def test_planes_are_read_at_8_bits_and_refused_at_16(tmp_path: Path, deflated: bool) -> None:
    colour = np.random.default_rng(0).integers(0, 256, (9, 7, 3), dtype=np.uint8)
    (frame,) = _read(tmp_path, "a.tif", samples.tiff([colour], planar=True, deflated=deflated))
    np.testing.assert_array_equal(frame.pixels, colour)
    with pytest.raises(FrameError, match="separate planes; save it with the colours interleaved"):
        _read(tmp_path, "b.tif", samples.tiff([colour.astype(np.uint16)], planar=True, deflated=deflated))


def test_thumbnails_in_a_tiff_are_no_frames(tmp_path: Path) -> None:
    pages = samples.frames(3)
    frames = _read(tmp_path, "a.tif", samples.tiff(pages, thumbnail=True))
    assert [frame.index for frame in frames] == [0, 1]
    np.testing.assert_array_equal(frames[0].pixels, pages[1])


@pytest.mark.parametrize("mode", ["1", "P", "CMYK", "YCbCr", "LA", "I;16", "I", "F"])
def test_every_mode_of_a_picture_becomes_grey_or_colour(tmp_path: Path, mode: str) -> None:
    colour = Image.fromarray(np.random.default_rng(0).integers(0, 256, (8, 9, 3), dtype=np.uint8))
    picture = colour.convert("L").convert(mode) if mode in ("1", "LA", "I;16", "I", "F") else colour.convert(mode)
    name = "a.png" if mode in ("1", "P", "LA") else "a.tif"
    picture.save(tmp_path / name)
    (frame,) = read_frames(tmp_path / name)
    assert frame.pixels.shape == ((8, 9) if mode in ("1", "LA", "I;16", "I", "F") else (8, 9, 3))
    assert frame.pixels.dtype.name in ("uint8", "uint16", "float32")
    wanted = np.asarray(picture.convert("RGB" if frame.pixels.ndim == 3 else "F"))
    np.testing.assert_array_equal(frame.pixels.astype(np.float32), wanted.astype(np.float32))


def test_a_palette_with_transparent_colours_is_read_without_them(tmp_path: Path) -> None:
    picture = Image.fromarray(np.arange(16, dtype=np.uint8).reshape(4, 4)).convert("P")
    picture.save(tmp_path / "a.png", transparency=bytes([0, 255]))
    (frame,) = read_frames(tmp_path / "a.png")
    np.testing.assert_array_equal(frame.pixels[..., 0], np.arange(16).reshape(4, 4))


def test_nan_in_a_picture_becomes_the_smallest_value_and_all_nan_is_refused(tmp_path: Path) -> None:
    picture = np.array([[np.nan, 2.5], [np.inf, 1.5]], np.float32)
    (frame,) = _read(tmp_path, "a.tif", samples.tiff([picture]))
    np.testing.assert_array_equal(frame.pixels, [[1.5, 2.5], [1.5, 1.5]])
    with pytest.raises(FrameError, match="holds no finite pixel"):
        _read(tmp_path, "a.tif", samples.tiff([np.full((2, 2), np.nan, np.float32)]))


def test_a_jpeg_is_read_in_full_unless_less_is_asked_for(tmp_path: Path) -> None:
    grey = np.tile(np.arange(256, dtype=np.uint8), (256, 1))
    (frame,) = _read(tmp_path, "a.jpg", samples.jpeg(grey))
    assert frame.pixels.shape == (256, 256)
    assert np.abs(frame.pixels.astype(int) - grey).max() < 8
    reader = ImageReader(jpeg_side=60)
    (small,) = reader.read(tmp_path / "a.jpg")
    assert small.pixels.shape == (64, 64)


def test_half_a_jpeg_filled_up_with_zeros_is_cut_off(tmp_path: Path) -> None:
    data = samples.jpeg(np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8))
    with pytest.raises(FrameError, match="cut off after 0 frames"):
        _read(tmp_path, "a.jpg", data[: len(data) // 2] + bytes(len(data) - len(data) // 2))


@pytest.mark.parametrize("order", ["<", ">"])
def test_exif_gives_the_moment_of_exposure(tmp_path: Path, order: Order) -> None:
    grey = np.zeros((8, 8), np.uint8)
    naive = samples.exif("2021:11:21 17:07:51", order=order)
    aware = samples.exif("2021:11:21 17:07:51", subsecond="25", offset="+01:00", order=order)
    for name, make in (
        ("a.jpg", lambda e: samples.jpeg(grey, exif_block=e)),
        ("a.png", lambda e: samples.png(grey, exif=e)),
    ):
        (frame,) = _read(tmp_path, name, make(naive))
        assert frame.exif_time == datetime(2021, 11, 21, 17, 7, 51)  # noqa: DTZ001  # EXIF says no zone
        (frame,) = _read(tmp_path, name, make(aware))
        assert frame.exif_time == datetime(2021, 11, 21, 16, 7, 51, 250000, tzinfo=UTC)
        assert frame.header_time is None


def test_text_chunks_give_time_and_wavelength(tmp_path: Path) -> None:
    time = datetime(2009, 2, 9, 6, 0, 34, tzinfo=UTC)
    (frame,) = _read(tmp_path, "a.png", samples.png(np.zeros((4, 4), np.uint16), texts=samples.nascam_texts(time)))
    assert (frame.header_time, frame.channel) == (time, "427.8 nm")
    (frame,) = _read(
        tmp_path, "b.png", samples.png(np.zeros((4, 4), np.uint8), texts={"Creation Time": "2009-02-09 06:00:34"})
    )
    assert frame.header_time is None  # without a zone it may be the local time of who drew the picture


@pytest.mark.parametrize("name", ["raw.dng", "raw.nef", "picture"])
def test_raw_files_of_cameras_are_not_taken_for_tiff(tmp_path: Path, name: str) -> None:
    with pytest.raises(FrameError, match="not a format that auroramon reads"):
        _read(tmp_path, name, samples.tiff(samples.frames(1)))
