"""Every file of the real frames is read, with the right number of frames, times and values."""

from __future__ import annotations

import csv
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from auroramon.readers import read_frames
from auroramon.types import RawFrame
from tests.conftest import missing
from tests.readers import samples


def _utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


STACKS = {
    "themis/20140310_0600_gill_themis19_full.pgm.gz": (
        20, (256, 256), "2014-03-10 06:00:00.063119", "2014-03-10 06:00:57.006018", "gill", "themis19", ""),
    "rainbow/20130205_0500_rabb_rainbow-08_full.pgm.gz": (
        10, (256, 512), "2013-02-05 05:00:00.012687", "2013-02-05 05:00:54.017691", "rabb", "rainbow-08", ""),
    "trex/20220307_0600_gill_nir-216_8446.pgm.gz": (
        10, (256, 256), "2022-03-07 06:00:00", "2022-03-07 06:00:54", "gill", "nir-216", "8446"),
    "trex/20220308_0600_gill_blue-814_full.pgm.gz": (
        20, (270, 320), "2022-03-08 06:00:00.233598", "2022-03-08 06:00:57.231744", "gill", "blue-814", ""),
    "trex/20230503_0600_luck_spect-02_spectra.pgm.gz": (
        4, (1024, 256), "2023-05-03 06:00:00", "2023-05-03 06:00:45", "luck", "spect-02", ""),
    "nascam/20090209_0600_gill_nascam-iccd02.png.tar": (
        10, (256, 256), "2009-02-09 06:00:01", "2009-02-09 06:00:48", "gill", "nascam-iccd02", None),
    "themis/thg_l1_asf_gako_2011010617_v01.cdf": (
        23, (256, 256), "2011-01-06 17:00:00", "2011-01-06 17:01:06", "gako", "", ""),
    "dasc/PKR_DASC_0428_20151007_082355.961.FITS": (
        1, (512, 512), "2015-10-07 08:23:55.961", "2015-10-07 08:23:55.961", "pkr", "", "0428"),
    "dasc/PKR_DASC_0558_20151007_082351.743.FITS": (
        1, (512, 512), "2015-10-07 08:23:51.743", "2015-10-07 08:23:51.743", "pkr", "", "0558"),
    "lowell/000.fits.bz2": (
        1, (1040, 1392), "2018-07-29 04:08:29.014", "2018-07-29 04:08:29.014", "", "dct_allsky", ""),
}  # fmt: skip


@pytest.mark.parametrize("name", STACKS)
def test_a_dated_file_gives_its_frames_times_and_camera(real_data: Path, name: str) -> None:
    count, shape, first, last, site, imager, channel = STACKS[name]
    frames = list(read_frames(real_data / name))
    assert len(frames) == count
    assert {frame.pixels.shape for frame in frames} == {shape}
    assert {frame.pixels.dtype for frame in frames} == {np.dtype(np.uint16)}
    assert (frames[0].header_time, frames[-1].header_time) == (_utc(first), _utc(last))
    assert {(frame.site, frame.imager) for frame in frames} == {(site, imager)}
    assert channel is None or {frame.channel for frame in frames} == {channel}
    times = [frame.header_time for frame in frames]
    assert times == sorted(times)  # type: ignore[type-var]


def test_every_other_file_gives_one_frame(real_data: Path) -> None:
    with (real_data / "MANIFEST.csv").open() as file:
        names = [row["file"] for row in csv.DictReader(file) if not row["file"].endswith(".csv")]
    assert len(names) == 46
    for name in names:
        if name in STACKS:
            continue
        (frame,) = read_frames(real_data / name)
        assert min(frame.pixels.shape[:2]) >= 256, name
        assert frame.pixel_aspect == 1.0, name


def test_the_camera_clock_of_a_jpeg_is_read_without_a_zone(real_data: Path) -> None:
    (frame,) = read_frames(real_data / "kho/LYR-Sony-211121_170751.jpg")
    assert frame.pixels.shape == (2832, 2832, 3)
    assert frame.exif_time == _utc("2021-11-21 17:07:51").replace(tzinfo=None)
    assert frame.header_time is None


def test_oath_keeps_its_16_bits(real_data: Path) -> None:
    import png

    with (real_data / "oath/00001.png").open("rb") as file:
        width, height, rows, _ = png.Reader(file=file).asDirect()
        expected = np.array([list(row) for row in rows]).reshape(height, width, 3)
    (frame,) = read_frames(real_data / "oath/00001.png")
    np.testing.assert_array_equal(frame.pixels, expected)
    assert frame.pixels.dtype == np.uint16
    assert len(np.unique(frame.pixels[..., 1])) > 256
    assert not frame.pixels[..., [0, 2]].any()


def test_nascam_frames_name_their_wavelengths(real_data: Path) -> None:
    frames = list(read_frames(real_data / "nascam/20090209_0600_gill_nascam-iccd02.png.tar"))
    assert {"427.8 nm", "432.0 nm", "630.0 nm", "620.0 nm"} < {frame.channel for frame in frames}


def test_rainbow_alone_has_pixels_that_are_not_square(real_data: Path) -> None:
    aspects = {name: {frame.pixel_aspect for frame in read_frames(real_data / name)} for name in STACKS}
    assert aspects.pop("rainbow/20130205_0500_rabb_rainbow-08_full.pgm.gz") == {0.5122}
    assert set().union(*aspects.values()) == {1.0}


def test_a_kho_frame_has_a_dark_rim_and_a_bright_sky(real_data: Path) -> None:
    (frame,) = read_frames(real_data / "kho/W8446B185_2017-12-18_03-14-57.img")
    assert frame.pixels.shape == (512, 512)
    assert frame.pixels[:8, :8].max() < 1200
    assert np.median(frame.pixels[200:300, 200:300]) > 10000


@pytest.mark.parametrize(
    ("name", "reader"),
    [
        ("themis/20140310_0600_gill_themis19_full.pgm.gz", "read_themis"),
        ("trex/20220307_0600_gill_nir-216_8446.pgm.gz", "read_trex_nir"),
        ("trex/20220308_0600_gill_blue-814_full.pgm.gz", "read_trex_blue"),
        ("trex/20230503_0600_luck_spect-02_spectra.pgm.gz", "read_trex_spectrograph"),
    ],
)
def test_values_are_those_of_the_university_of_calgarys_own_reader(
    real_data: Path, tmp_path: Path, name: str, reader: str
) -> None:
    oracle = _oracle(tmp_path)
    theirs = getattr(oracle, reader)(str(real_data / name), quiet=True)
    ours = list(read_frames(real_data / name))
    images = np.moveaxis(theirs.data, -1, 0)
    images = images[:, ::-1] if reader != "read_trex_spectrograph" else images
    np.testing.assert_array_equal(np.stack([frame.pixels for frame in ours]), images)
    assert [_naive(frame) for frame in ours] == list(theirs.timestamp)


def test_a_fabricated_trex_minute_is_one_for_the_university_of_calgarys_own_reader(tmp_path: Path) -> None:
    oracle = _oracle(tmp_path)
    rng = np.random.default_rng(0)
    pictures = [rng.integers(0, 256, (480, 553, 3), dtype=np.uint8) for _ in range(3)]
    path = tmp_path / "20230304_0506_gill_rgb-04_full.h5"
    path.write_bytes(samples.trex_rgb_minute(pictures, _utc("2023-03-04 05:06:00")))
    theirs = oracle.read_trex_rgb(str(path), quiet=True)
    ours = list(read_frames(path))
    np.testing.assert_array_equal(np.stack([f.pixels for f in ours]), np.moveaxis(theirs.data, -1, 0)[:, ::-1])
    assert [_naive(frame) for frame in ours] == list(theirs.timestamp)


def _naive(frame: RawFrame) -> datetime:
    assert frame.header_time is not None
    return frame.header_time.replace(tzinfo=None)


def _oracle(folder: Path) -> Any:
    try:
        import pyucalgarysrs
    except ImportError:
        missing("pyucalgarysrs is not installed (pip install 'auroramon[test]')")
    return pyucalgarysrs.PyUCalgarySRS(
        download_output_root_path=str(folder / "data"), read_tar_temp_path=str(folder / "tar")
    ).data.readers


def test_fabricated_minutes_have_the_headers_of_real_ones(real_data: Path) -> None:
    kinds = {
        "themis/20140310_0600_gill_themis19_full.pgm.gz": samples.themis_minute,
        "rainbow/20130205_0500_rabb_rainbow-08_full.pgm.gz": samples.rainbow_minute,
        "trex/20220307_0600_gill_nir-216_8446.pgm.gz": samples.nir_minute,
        "trex/20220308_0600_gill_blue-814_full.pgm.gz": samples.blueline_minute,
    }
    for name, make in kinds.items():
        real = _unpacked(real_data / name)
        frames = list(read_frames(real_data / name))[:2]
        assert frames[0].header_time is not None
        made = make([frame.pixels for frame in frames], frames[0].header_time)
        assert _keys(made) == _keys(real)
        assert abs(len(made) - real.index(b"P5\n#", len(made) - 1000)) < 20  # numbers differ by a digit here and there


def _unpacked(path: Path) -> bytes:
    import gzip

    return gzip.decompress(path.read_bytes())


def _keys(stack: bytes) -> list[bytes]:
    """Give what each header line of the first two images is."""
    second = stack.index(b"P5\n#", 10)
    lines = (stack[:4000].split(b"65535\n")[0] + stack[second : second + 4000].split(b"65535\n")[0]).split(b"\n")
    return [line.split(b'" ')[0] for line in lines]


def test_a_whole_minute_takes_less_than_its_own_time(real_data: Path) -> None:
    """Guard against a slip back to reading line by line; the measured figure is in the benchmarks."""
    import time

    path = real_data / "themis/20140310_0600_gill_themis19_full.pgm.gz"
    spent = []
    for _ in range(5):
        start = time.process_time()
        list(read_frames(path))
        spent.append(time.process_time() - start)
    assert timedelta(seconds=min(spent)) < timedelta(milliseconds=100)
