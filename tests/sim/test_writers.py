"""Simulated frames become files as real stations write them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from auroramon.readers.image import ImageReader
from auroramon.readers.pgm import PgmReader
from auroramon.sim.camera import random_camera, standard_camera
from auroramon.sim.frame import SimFrame
from auroramon.sim.scene import draw
from auroramon.sim.writers import file_name, themis_minute, write_png

TIME = datetime(2026, 1, 10, 18, 5, 9, 120000, tzinfo=UTC)


def grey_frames(count: int) -> list[SimFrame]:
    rng = np.random.default_rng(1)
    return [draw(rng, "arc", standard_camera("s"), 64) for _ in range(count)]


def test_a_name_says_when_where_and_which_imager() -> None:
    assert file_name(TIME, "simu", "asi01") == "20260110_180509_simu_asi01.png"


@pytest.mark.parametrize("seed", range(4))
def test_a_png_holds_the_pixels_without_loss_and_the_time(tmp_path: Path, seed: int) -> None:
    rng = np.random.default_rng(seed)
    frame = draw(rng, "clear", random_camera(rng, "c"), 64)
    path = tmp_path / file_name(TIME, "simu", "asi01")
    write_png(path, frame, TIME)
    (raw,) = ImageReader().read(path)
    assert np.array_equal(raw.pixels, frame.pixels)
    assert raw.header_time == TIME
    with Image.open(path) as image:
        assert image.info["Comment"] == "simulated sky, clear"
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def test_a_png_that_cannot_be_written_leaves_nothing_behind(tmp_path: Path) -> None:
    (taken := tmp_path / "taken.png").mkdir()
    with pytest.raises(OSError, match=r"taken\.png"):
        write_png(taken, grey_frames(1)[0], TIME)
    assert [p.name for p in tmp_path.iterdir()] == ["taken.png"]


def test_a_minute_reads_back_as_a_themis_minute(tmp_path: Path) -> None:
    frames = grey_frames(3)
    path = tmp_path / "20260110_1805_simu_themis99_full.pgm"
    path.write_bytes(themis_minute(frames, TIME.replace(second=0, microsecond=0)))
    read = list(PgmReader().read(path))
    assert len(read) == 3
    for i, (raw, frame) in enumerate(zip(read, frames, strict=True)):
        assert np.array_equal(raw.pixels, frame.pixels)
        assert (raw.site, raw.imager) == ("simu", "themis99")
        assert raw.header_time is not None
        late = raw.header_time - (TIME.replace(second=0, microsecond=0) + timedelta(seconds=3 * i))
        assert timedelta(0) < late < timedelta(seconds=0.1)


def test_a_minute_starts_like_the_real_ones() -> None:
    data = themis_minute(grey_frames(2), TIME)
    head = data[:2000].split(b"65535\n")[0].decode("ascii").splitlines()
    assert head[0] == "P5"
    assert head[-1] == "64 64"
    assert all(line.startswith('#"') for line in head[1:-1])
    assert '#"Site unique ID" simu' in head
    assert any("simulated" in line for line in head)
    assert data.count(b'#"Image request start" 2026-01-10 18:05:') == 2


def test_colour_or_8_bit_frames_are_no_themis_minute() -> None:
    rng = np.random.default_rng(3)
    camera = next(c for c in (random_camera(rng, "c") for _ in range(99)) if c.band == "colour")
    with pytest.raises(ValueError, match="grey frames of 16 bits"):
        themis_minute([draw(rng, "clear", camera, 64)], TIME)
