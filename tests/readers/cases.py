"""One sample of every format with what must come out of it: each reader fills in the same contract."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from auroramon.errors import FrameError, NotReadyError
from auroramon.readers import read_frames
from auroramon.types import RawFrame
from tests.readers import samples

START = datetime(2023, 3, 4, 5, 6, 7, 250000, tzinfo=UTC)
SECOND = START.replace(microsecond=0)


@dataclass(frozen=True)
class Case:
    """A file, and the frames that a reader must find in it."""

    name: str  # of the file
    data: bytes
    pixels: list[NDArray[Any]]
    times: list[datetime | None]  # header times


def _grey(count: int = 5) -> list[NDArray[Any]]:
    return samples.frames(count)


def _colour(count: int = 4) -> list[NDArray[Any]]:
    rng = np.random.default_rng(1)
    return [rng.integers(0, 256, (20, 24, 3), dtype=np.uint8) for _ in range(count)]


def _every(seconds: float, count: int, start: datetime = START) -> list[datetime | None]:
    return [start + timedelta(seconds=seconds * index) for index in range(count)]


@cache
def cases() -> dict[str, Case]:
    """Give the samples by the name of their file."""
    grey, colour = _grey(), _colour()
    wide = [frame[:12] for frame in grey]
    deep = [np.dstack([frame, frame[::-1], frame.T]) for frame in grey]
    stack = np.stack(grey)
    cube = {"DATE-OBS": "2023-03-04T05:06:07.25", "KCT": 3.0}
    return {
        case.name: case
        for case in (
            Case("minute.pgm", samples.themis_minute(grey, START), grey, _every(3, 5)),
            Case("minute.pgm.gz", samples.compressed(samples.themis_minute(grey, START), "gz"), grey, _every(3, 5)),
            Case("minute.pgm.bz2", samples.compressed(samples.nir_minute(grey, START), "bz2"), grey, _every(6, 5)),
            Case("rainbow.pgm", samples.rainbow_minute(wide, START), wide, _every(6, 5)),
            Case("blueline.pgm", samples.blueline_minute(wide, START), wide, _every(3, 5)),
            Case("single.pgm", samples.pgm(grey[0]), grey[:1], [None]),
            Case("grey16.png", samples.png(grey[0]), grey[:1], [None]),
            Case("colour16.png", samples.png(deep[0]), deep[:1], [None]),
            Case("colour8.png", samples.png(colour[0]), colour[:1], [None]),
            Case("pages.tif", samples.tiff(grey), grey, [None] * 5),
            Case("colour16.tiff", samples.tiff(deep, order=">", deflated=True), deep, [None] * 5),
            Case("dasc.FITS", samples.dasc_fits(grey[0] // 2, START), [grey[0] // 2], [START]),
            Case("lowell.fits.bz2", samples.compressed(samples.lowell_fits(grey[0], START), "bz2"), grey[:1], [START]),
            Case("cube.fits", samples.fits(stack, cube), grey, _every(3, 5)),
            Case("cube.fit.gz", samples.compressed(samples.fits(stack, cube), "gz"), grey, _every(3, 5)),
            Case("tiles.fits.fz", samples.fits(stack, cube, tiles=True), grey, _every(3, 5)),
            Case("minute.h5", samples.trex_rgb_minute(colour, START), colour, _every(3, 4)),
            Case("plain.h5", samples.trex_rgb_minute(colour, START, packed=False), colour, _every(3, 4)),
            Case("hour.cdf", samples.themis_cdf(grey * 3, START), grey * 3, _every(3, 15)),
            Case("plain.cdf", samples.themis_cdf(grey * 3, START, packed=0, encoding=6), grey * 3, _every(3, 15)),
            Case("nascam.png.tar", samples.nascam_minute(grey, START), grey, _every(5, 5, SECOND)),
            Case("trex.png.tar", samples.trex_rgb_tar(colour, START), colour, _every(3, 4)),
            Case("kho.img", samples.kho_img(grey[0]), grey[:1], [None]),
        )
    }


def read_until_fault(path: Path) -> tuple[list[RawFrame], str]:
    """Give the frames that came before the first of a reader's two errors, and its sentence; all else is raised."""
    found: list[RawFrame] = []
    try:
        for frame in read_frames(path):
            found.append(frame)
    except (FrameError, NotReadyError) as error:
        return found, str(error)
    return found, ""
