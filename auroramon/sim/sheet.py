"""Contact sheets of simulated frames, for the documentation: `python -m auroramon.sim.sheet docs/images`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from auroramon.sim.camera import random_camera, standard_camera
from auroramon.sim.frame import SimFrame
from auroramon.sim.night import night
from auroramon.sim.scene import UNKNOWN_KINDS, draw, draw_unknown
from auroramon.types import LABELS

TILE_PIXELS = 104
_TEXT_PIXELS = 12


def thumbnail(frame: SimFrame, side: int = TILE_PIXELS) -> Image.Image:
    """The frame as a person looks at it: counts stretched from their 0.5 to their 99.5 percentile."""
    picture = Image.fromarray(_displayed(frame.pixels)).convert("RGB")
    picture.thumbnail((side, side), Image.Resampling.BICUBIC)
    tile = Image.new("RGB", (side, side))
    tile.paste(picture, ((side - picture.width) // 2, (side - picture.height) // 2))
    return tile


def contact_sheet(rows: Sequence[Sequence[tuple[str, Image.Image]]]) -> Image.Image:
    """Tiles in rows, each with its caption below."""
    width, height = TILE_PIXELS, TILE_PIXELS + _TEXT_PIXELS
    sheet = Image.new("RGB", (width * max(len(row) for row in rows), height * len(rows)))
    pen = ImageDraw.Draw(sheet)
    for y, row in enumerate(rows):
        for x, (caption, tile) in enumerate(row):
            sheet.paste(tile, (x * width, y * height))
            pen.text((x * width + 2, y * height + TILE_PIXELS), caption, fill=(240, 220, 90))
    return sheet


def classes(seed: int, columns: int = 8) -> Image.Image:
    """The six classes (rows) seen by different simulated cameras (columns)."""
    rng = np.random.default_rng(seed)
    cameras = [random_camera(rng, f"camera {i}") for i in range(columns)]
    return contact_sheet(
        [[(f"{label}, {c.band}", thumbnail(draw(rng, label, c, TILE_PIXELS))) for c in cameras] for label in LABELS]
    )


def unknown(seed: int, columns: int = 8) -> Image.Image:
    """Frames that must be refused: kinds (rows) by different simulated cameras (columns)."""
    rng = np.random.default_rng(seed)
    cameras = [random_camera(rng, f"camera {i}") for i in range(columns)]
    return contact_sheet(
        [[(kind, thumbnail(draw_unknown(rng, kind, c, TILE_PIXELS))) for c in cameras] for kind in UNKNOWN_KINDS]
    )


def one_night(seed: int, columns: int = 10) -> Image.Image:
    """A simulated night, a frame every ten minutes, with the label of each."""
    frames = night(seed, standard_camera("demo"), datetime(2026, 1, 10, 17, tzinfo=UTC), 10, 600, TILE_PIXELS)
    tiles = [(f"{time:%H:%M} {label}", thumbnail(frame)) for time, label, frame in islice(frames, 60)]
    return contact_sheet([tiles[i : i + columns] for i in range(0, len(tiles), columns)])


def _displayed(pixels: NDArray[Any]) -> NDArray[np.uint8]:
    if pixels.dtype == np.uint8:
        return pixels
    low, high = np.percentile(pixels, (0.5, 99.5))
    shown: NDArray[np.uint8] = (np.clip((pixels - low) / max(high - low, 1), 0, 1) * 255).astype(np.uint8)
    return shown


def main(folder: Path) -> None:
    """Write the sheets of docs/simulation.md into a folder, each below 400 kB."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, sheet in (("classes", classes(8)), ("unknown", unknown(3))):
        palette = sheet.quantize(256, method=Image.Quantize.MAXCOVERAGE)
        sheet.quantize(palette=palette, dither=Image.Dither.FLOYDSTEINBERG).save(
            folder / f"sim_{name}.png", optimize=True
        )
    # Grey, and in steps of 8: noise in its last bits would make up most of the file.
    one_night(3).convert("L").point(lambda v: v & 0xF8).save(folder / "sim_night.png", optimize=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
