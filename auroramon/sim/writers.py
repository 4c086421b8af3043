"""Simulated frames as files, named and laid out as real stations do it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from auroramon.sim.frame import SimFrame

THEMIS_CADENCE_S = 3.0


def file_name(time: datetime, site: str, imager: str) -> str:
    """`YYYYMMDD_HHMMSS_<site>_<imager>.png`, in UTC."""
    return f"{time.astimezone(UTC):%Y%m%d_%H%M%S}_{site}_{imager}.png"


def write_png(path: Path, frame: SimFrame, time: datetime) -> None:
    """Write a frame losslessly; it appears under its name only when it is complete.

    The time of the exposure stands in the tEXt chunk `Creation Time`, and `Comment` says that the frame is simulated.
    """
    text = PngInfo()
    text.add_text("Creation Time", f"{time.astimezone(UTC):%Y-%m-%d %H:%M:%S.%f} UTC")
    text.add_text("Comment", f"simulated sky, {frame.label}")
    partial = path.with_name(path.name + ".tmp")
    try:
        Image.fromarray(frame.pixels).save(partial, "PNG", pnginfo=text, compress_level=1)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def themis_minute(frames: Sequence[SimFrame], start: datetime, site: str = "simu", imager: str = "themis99") -> bytes:
    """A minute file in the way of THEMIS: concatenated 16-bit P5 images, each behind its comment lines.

    Frames are three seconds apart. The first header is long, the others are short, as in the archive. Raises
    ValueError for frames that are not (H,W) uint16.
    """
    parts: list[bytes] = []
    for i, frame in enumerate(frames):
        if frame.pixels.ndim != 2 or frame.pixels.dtype != np.uint16:
            raise ValueError("a THEMIS minute holds grey frames of 16 bits; take a raw camera")
        height, width = frame.pixels.shape
        lines = _station_lines(frame, site, imager) if i == 0 else []
        lines += _exposure_lines(i, start + timedelta(seconds=THEMIS_CADENCE_S * i), width, height)
        header = "".join(f"{line}\n" for line in ["P5", *lines, f"{width} {height}", "65535"])
        parts += (header.encode("ascii"), frame.pixels.astype(">u2").tobytes())
    return b"".join(parts)


def _station_lines(frame: SimFrame, site: str, imager: str) -> list[str]:
    return [
        '#"Revised" 2006-05-22',
        '#"Project unique ID" simulated',
        f'#"Site unique ID" {site}',
        f'#"Imager unique ID" {imager}',
        '#"Imager model" simulated all-sky camera',
        '#"Imager comment" no real sky: drawn by auroramon.sim',
        '#"Pixel depth" 16 bits',
        '#"Optical type" simulated all-sky',
        f'#"Optical center" x0={frame.disc.x:.1f},y0={frame.disc.y:.1f}',
        f'#"Site name" {site}',
        f'#"Geodetic latitude" {frame.camera.latitude_deg:.4f}',
        '#"Geodetic Longitude" 0.0000',
        '#"Geodetic altitude" 0.0',
    ]


def _exposure_lines(index: int, time: datetime, width: int, height: int) -> list[str]:
    # Real exposures start some tens of milliseconds late, never twice the same.
    begin = time.astimezone(UTC) + timedelta(microseconds=20_000 + index * 7919 % 45_000)
    end = begin + timedelta(microseconds=985_040)
    return [
        '#"Mode unique ID" full',
        f'#"Mode sequence number" {index + 1}',
        '#"CCD device" /dev/simulated',
        f'#"Exposure options" WIDTH={width} HEIGHT={height} XBIN=1 YBIN=1 XOFFSET=0 YOFFSET=0 MSEC=999',
        f'#"Image request start" {begin:%Y-%m-%d %H:%M:%S.%f} UTC',
        f'#"Image readout start" {end:%Y-%m-%d %H:%M:%S.%f} UTC',
        '#"Exposure plus initial readout"    985.04 ms',
    ]
