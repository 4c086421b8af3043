"""HDF5, CDF, tar and img: what is particular to each."""

from __future__ import annotations

import re
import struct
from pathlib import Path

import cdflib
import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from auroramon.errors import FrameError
from auroramon.readers import read_frames
from tests.readers import samples
from tests.readers.cases import START, read_until_fault

COLOUR = [np.random.default_rng(seed).integers(0, 256, (8, 9, 3), dtype=np.uint8) for seed in range(3)]
PROPERTY = settings(
    max_examples=25, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def test_an_hdf5_minute_names_its_site_and_imager(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    path.write_bytes(samples.trex_rgb_minute(COLOUR, START, site="LUCK", imager="rgb-06"))
    assert {(frame.site, frame.imager) for frame in read_frames(path)} == {("luck", "rgb-06")}


def test_a_grey_hdf5_minute_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    grey = samples.frames(4)
    path.write_bytes(samples.trex_rgb_minute(grey, START))
    np.testing.assert_array_equal([frame.pixels for frame in read_frames(path)], grey)


def test_an_hdf5_file_that_its_writer_has_open_is_read_or_left_for_later(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    path.write_bytes(samples.trex_rgb_minute(COLOUR, START))
    with h5py.File(path, "a") as writer:  # holds the lock of the file
        frames, _ = read_until_fault(path)
        assert len(frames) in (0, 3)
        writer["data"].attrs["still"] = "writing"
    assert len(read_until_fault(path)[0]) == 3


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda f: f.__delitem__("data/images"), "not a minute in the layout of TREx RGB"),
        (lambda f: f.__delitem__("data/timestamp"), "not a minute in the layout of TREx RGB"),
        (lambda f: _replaced(f, "data/images", np.zeros((4, 4))), r"has the shape \(4, 4\)"),
        (lambda f: _replaced(f, "data/images", np.zeros((4, 4, 2, 3), np.uint8)), r"has the shape \(4, 4, 2, 3\)"),
        (lambda f: _replaced(f, "data/timestamp", np.array([b"2020"])), "has 1 times for 3 frames"),
        (lambda f: _replaced(f, "data/images", np.full((4, 4, 3), np.nan)), "holds no finite pixel"),
    ],
)
def test_an_hdf5_file_of_another_layout_is_refused(tmp_path: Path, change: object, reason: str) -> None:
    path = tmp_path / "a.h5"
    path.write_bytes(samples.trex_rgb_minute(COLOUR, START))
    with h5py.File(path, "a") as file:
        change(file)  # type: ignore[operator]
    with pytest.raises(FrameError, match=reason):
        list(read_frames(path))


def _replaced(file: h5py.File, name: str, values: np.ndarray) -> None:
    del file[name]
    file[name] = values


@PROPERTY
@given(
    count=st.integers(1, 20),
    height=st.integers(1, 12),
    width=st.integers(1, 12),
    encoding=st.sampled_from([1, 6]),
    majority=st.sampled_from(["row_major", "column_major"]),
    packed=st.sampled_from([0, 6]),
    block=st.integers(1, 9),
)
def test_a_cdf_is_read_as_cdflib_reads_it(tmp_path: Path, count: int, height: int, width: int, **kinds: object) -> None:
    path = tmp_path / "a.cdf"
    path.write_bytes(samples.themis_cdf(samples.frames(count, height, width), START, **kinds))  # type: ignore[arg-type]
    expected = cdflib.CDF(path).varget("thg_asf_gako").reshape(count, height, width)
    frames = list(read_frames(path))
    np.testing.assert_array_equal([frame.pixels for frame in frames], expected)
    assert {frame.site for frame in frames} == {"gako"}


def test_a_cdf_without_times_gives_no_frame(tmp_path: Path) -> None:
    path = tmp_path / "a.cdf"
    path.write_bytes(samples.themis_cdf(samples.frames(3), START).replace(b"_time", b"_tiim"))
    with pytest.raises(FrameError, match="is no CDF of THEMIS all-sky images"):
        list(read_frames(path))


def test_a_cdf_compressed_as_a_whole_is_refused_with_the_remedy(tmp_path: Path) -> None:
    path = tmp_path / "a.cdf"
    path.write_bytes(b"\xcd\xf3\x00\x01\xcc\xcc\x00\x01" + bytes(500))
    with pytest.raises(FrameError, match="unpack it with cdfconvert"):
        list(read_frames(path))


def test_pointers_in_a_circle_end(tmp_path: Path) -> None:
    data = bytearray(samples.themis_cdf(samples.frames(3), START))
    (gdr_at,) = struct.unpack_from(">q", data, 20)
    (variable_at,) = struct.unpack_from(">q", data, gdr_at + 20)
    struct.pack_into(">q", data, variable_at + 12, variable_at)
    path = tmp_path / "a.cdf"
    path.write_bytes(data)
    with pytest.raises(FrameError, match="variables without end"):
        list(read_frames(path))


def test_members_that_lead_out_of_the_tar_harm_nobody(tmp_path: Path) -> None:
    inside = tmp_path / "inside"
    inside.mkdir()
    path = inside / "a.png.tar"
    picture = samples.png(COLOUR[0])
    path.write_bytes(samples.tar({"../../evil.png": picture, "/etc/evil.png": picture, "ok.png": picture}))
    assert len(list(read_frames(path))) == 3
    assert sorted(child.name for child in tmp_path.rglob("*")) == ["a.png.tar", "inside"]


def test_one_damaged_picture_in_a_tar_costs_only_itself(tmp_path: Path) -> None:
    good = [samples.png(picture) for picture in COLOUR]
    path = tmp_path / "a.png.tar"
    path.write_bytes(samples.tar({"a.png": good[0], "b.png": good[1][:200], "readme.txt": b"hi", "c.png": good[2]}))
    frames, reason = read_until_fault(path)
    assert [frame.index for frame in frames] == [0, 1]
    np.testing.assert_array_equal(frames[1].pixels, COLOUR[2])
    assert re.search("after 2 good frames: b.png: cut off after 0 frames", reason)


def test_a_tar_without_pictures_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.tar"
    path.write_bytes(samples.tar({"readme.txt": b"hi"}))
    with pytest.raises(FrameError, match="holds no picture"):
        list(read_frames(path))


def test_names_of_members_say_what_the_pictures_do_not(tmp_path: Path) -> None:
    path = tmp_path / "a.png.tar"
    path.write_bytes(samples.trex_rgb_tar(COLOUR, START))
    frames = list(read_frames(path))
    assert frames[0].header_time == START
    assert {(frame.site, frame.imager) for frame in frames} == {("gill", "rgb-04")}


def test_a_disk_image_is_no_kho_frame(tmp_path: Path) -> None:
    path = tmp_path / "disk.img"
    path.write_bytes(bytes(4096))
    with pytest.raises(FrameError, match="not a format that auroramon reads"):
        list(read_frames(path))
