"""PGM: Netpbm's definition, and what the University of Calgary writes into the comments."""

from __future__ import annotations

import bz2
import re
import zlib
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from auroramon.errors import FrameError
from auroramon.readers import read_frames
from tests.readers import samples
from tests.readers.cases import START, read_until_fault

PROPERTY = settings(
    max_examples=60, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
EARLIEST, LATEST = datetime(1990, 1, 1), datetime(2090, 1, 1)  # noqa: DTZ001  # hypothesis wants them naive
PIXELS = array_shapes(min_dims=2, max_dims=2, max_side=40)


def _read(folder: Path, data: bytes, name: str = "a.pgm") -> list[np.ndarray]:
    path = folder / name
    path.write_bytes(data)
    return [frame.pixels for frame in read_frames(path)]


@PROPERTY
@given(
    pictures=st.lists(st.one_of(arrays(np.uint16, PIXELS), arrays(np.uint8, PIXELS)), min_size=1, max_size=4),
    comments=st.lists(st.text(st.characters(codec="latin-1", exclude_characters="\r\n"), max_size=80), max_size=4),
)
def test_any_stack_comes_back_as_it_was(tmp_path: Path, pictures: list[np.ndarray], comments: list[str]) -> None:
    text = "".join(f"#{comment}\n" for comment in comments).encode("ascii", "replace").decode()
    found = _read(tmp_path, b"".join(samples.pgm(picture, text) for picture in pictures))
    assert len(found) == len(pictures)
    for left, right in zip(found, pictures, strict=True):
        assert left.dtype == right.dtype
        np.testing.assert_array_equal(left, right)


@PROPERTY
@given(data=st.binary(max_size=300))
def test_any_bytes_behind_p5_raise_only_the_two_errors(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "a.pgm"
    path.write_bytes(b"P5" + data)
    read_until_fault(path)


@pytest.mark.parametrize(
    "header",
    [
        b"P5 3 2 255 ",
        b"P5\t3\r\n2\x0b255\x0c",
        b"P5#a comment\n3#another\n2\n# P5 9 9 9\n255\n",
        b'P5\n#"key" value\n3 2\n#\n#\n255\n',
        b"P5\n# old Macintosh line ends\r3 2\r255\r",
        b"P5\n0003 002 00255\n",
    ],
)
def test_white_space_and_comments_stand_where_netpbm_allows(tmp_path: Path, header: bytes) -> None:
    (found,) = _read(tmp_path, header + bytes(range(6)))
    np.testing.assert_array_equal(found, [[0, 1, 2], [3, 4, 5]])


def test_only_one_white_space_stands_before_the_pixels(tmp_path: Path) -> None:
    (found,) = _read(tmp_path, b"P5 2 1 255\n\n ")
    np.testing.assert_array_equal(found, [[10, 32]])


def test_values_up_to_255_take_one_byte_and_others_two(tmp_path: Path) -> None:
    (small,) = _read(tmp_path, b"P5 2 1 255\n\x01\x02")
    (large,) = _read(tmp_path, b"P5 2 1 256\n\x01\x02\x00\xff")
    assert (small.dtype, large.dtype) == (np.uint8, np.uint16)
    np.testing.assert_array_equal(large, [[0x102, 0xFF]])


def test_a_line_end_behind_the_last_image_is_no_fault(tmp_path: Path) -> None:
    assert len(_read(tmp_path, samples.pgm(np.full((2, 2), 65, np.uint8)) + b"\n")) == 1


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        (b"P5 2 2 0\n", "largest value of 0"),
        (b"P5 2 2 65536\n", "largest value of 65536"),
        (b"P5 0 2 255\n", "0x2 pixels"),
        (b"P5 2 2 x", "no PGM header"),
        (b"P5 -2 2 255\n", "no PGM header"),
        (b"P5 2 2 ", "cut off after 0 frames"),
        (b'P5\n#"Site uni', "cut off after 0 frames"),
        (b"P5 99999 99999 255\n", "more than the 192 that a sky camera needs"),
        (b"P5 " + b"#" * 70000, "no PGM header"),
    ],
)
def test_an_impossible_header_is_refused_with_its_reason(tmp_path: Path, header: bytes, reason: str) -> None:
    with pytest.raises(FrameError, match=reason):
        _read(tmp_path, header + bytes(8 if header.endswith(b"\n") else 0))


def test_what_follows_the_good_frames_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.pgm"
    path.write_bytes(samples.pgm(np.zeros((3, 3), np.uint16)) * 2 + b"PNG? no")
    frames, reason = read_until_fault(path)
    assert len(frames) == 2
    assert "no PGM header where one must stand, after 2 frames" in reason


@pytest.mark.parametrize("how", ["gz", "bz2"])
def test_a_cut_stack_gives_every_frame_that_can_still_be_unpacked(tmp_path: Path, how: Literal["gz", "bz2"]) -> None:
    stack = samples.themis_minute(samples.frames(8, 40, 40, top=900), START)
    ends = [stack.find(b"65535\n", at.start()) + 6 + 3200 for at in re.finditer(b"P5\n#", stack)]
    packed = samples.compressed(stack, how)
    path = tmp_path / f"a.pgm.{how}"
    for cut in range(50, len(packed), len(packed) // 40):
        path.write_bytes(packed[:cut])
        unpacker = zlib.decompressobj(31) if how == "gz" else bz2.BZ2Decompressor()
        at_hand = len(unpacker.decompress(packed[:cut]))
        frames, reason = read_until_fault(path)
        assert len(frames) == sum(end <= at_hand for end in ends)
        assert f"cut off after {len(frames)} frames" in reason


def test_a_stack_in_several_gzip_members_is_one_stack(tmp_path: Path) -> None:
    halves = [samples.compressed(samples.themis_minute(samples.frames(2), START), "gz") for _ in range(2)]
    assert len(_read(tmp_path, halves[0] + halves[1] + bytes(512), "a.pgm.gz")) == 4


def test_damaged_compression_is_named(tmp_path: Path) -> None:
    packed = bytearray(samples.compressed(samples.themis_minute(samples.frames(3, 64, 64), START), "gz"))
    packed[-6] ^= 0xFF  # in the checksum
    path = tmp_path / "a.pgm.gz"
    path.write_bytes(packed)
    frames, reason = read_until_fault(path)
    assert len(frames) == 2  # the third was unpacked together with the checksum
    assert "its compressed data are damaged after 2 frames" in reason


def test_site_imager_and_aspect_of_the_first_header_hold_for_the_whole_stack(tmp_path: Path) -> None:
    path = tmp_path / "a.pgm"
    path.write_bytes(samples.rainbow_minute(samples.frames(3, 12, 24), START, site="RABB"))
    for frame in read_frames(path):
        assert (frame.site, frame.imager, frame.pixel_aspect) == ("rabb", "rainbow-08", 0.5122)


def test_the_aspect_of_the_chip_is_not_applied_to_frames_binned_square(tmp_path: Path) -> None:
    path = tmp_path / "a.pgm"
    path.write_bytes(samples.themis_minute(samples.frames(2), START))
    assert {frame.pixel_aspect for frame in read_frames(path)} == {1.0}


def test_a_mode_that_is_a_wavelength_is_the_channel(tmp_path: Path) -> None:
    path = tmp_path / "a.pgm"
    for minute, channel in ((samples.nir_minute, "8446"), (samples.blueline_minute, "")):
        path.write_bytes(minute(samples.frames(2), START))
        assert {frame.channel for frame in read_frames(path)} == {channel}


def test_a_frame_without_time_has_none_and_not_that_of_the_one_before(tmp_path: Path) -> None:
    path = tmp_path / "a.pgm"
    path.write_bytes(samples.themis_minute(samples.frames(1), START) + samples.pgm(samples.frames(1)[0]))
    assert [frame.header_time for frame in read_frames(path)] == [START, None]


@PROPERTY
@given(start=st.datetimes(EARLIEST, LATEST), cadence=st.floats(0.1, 60), count=st.integers(1, 4))
def test_times_come_back_to_the_microsecond(tmp_path: Path, start: datetime, cadence: float, count: int) -> None:
    start = start.replace(tzinfo=UTC)
    path = tmp_path / "a.pgm"
    path.write_bytes(samples.themis_minute(samples.frames(count, 2, 2), start, cadence=cadence))
    expected = [start + timedelta(seconds=cadence * index) for index in range(count)]
    assert [frame.header_time for frame in read_frames(path)] == expected
