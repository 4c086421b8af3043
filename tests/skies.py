"""Small files of frames for tests, in the formats of real cameras."""

from __future__ import annotations

import gzip
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

START = datetime(2025, 12, 21, 20, 0, tzinfo=UTC)


def sky(seed: int, size: int = 64, bits: int = 8) -> NDArray[np.uint8] | NDArray[np.uint16]:
    """Draw a disc with a bright band and noise: enough light and structure to pass every gate."""
    rng = np.random.default_rng(seed)
    axis = np.linspace(-1.1, 1.1, size)
    x, y = np.meshgrid(axis, axis)
    tilt, place = rng.uniform(0, np.pi), rng.uniform(-0.5, 0.5)
    band = np.exp(-(((x * np.cos(tilt) + y * np.sin(tilt) - place) / rng.uniform(0.1, 0.4)) ** 2))
    glow = 0.2 + 0.5 * band + 0.1 * y + rng.normal(0, 0.01, x.shape)
    inside = x**2 + y**2 <= 1
    counts = np.clip(np.where(inside, glow, 0.02), 0, 1)
    return (counts * 60000).astype(np.uint16) if bits == 16 else (counts * 230).astype(np.uint8)


def write_png(folder: Path, seed: int, camera: str = "test") -> Path:
    """Write one frame, renamed into place as a careful camera does; the name carries its time."""
    time = START + timedelta(seconds=3 * seed)
    path = folder / f"{time:%Y%m%d_%H%M%S}_{camera}.png"
    new = path.with_suffix(".png.tmp")
    Image.fromarray(sky(seed)).save(new, "PNG")
    new.rename(path)
    return path


def stack(seeds: Sequence[int], start: datetime = START + timedelta(hours=14)) -> bytes:
    """Give a gzipped minute of 16-bit frames as THEMIS writes them."""
    parts = []
    for number, seed in enumerate(seeds):
        time = start + timedelta(seconds=3 * number)
        head = f'#"Image request start" {time:%Y-%m-%d %H:%M:%S.%f} UTC\n#"Exposure plus initial readout" 985.07 ms\n'
        if number == 0:
            head = '#"Site unique ID" TEST\n#"Imager unique ID" themis99\n' + head
        pixels = sky(seed, bits=16)
        body = pixels.astype(">u2").tobytes()
        parts.append(f"P5\n{head}{pixels.shape[1]} {pixels.shape[0]}\n65535\n".encode() + body)
    return gzip.compress(b"".join(parts), mtime=0)
