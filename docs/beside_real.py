"""Draws docs/images/sim_beside_real.png: real frames and simulated ones, class by class, as a model sees them.

    python docs/beside_real.py FOLDER

FOLDER holds the real frames with MANIFEST.csv. The credits of those that are shown stand under the picture in
docs/simulation.md. The simulated frames are the first that come, from cameras the shipped model never saw.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from auroramon.assemble import make_labeller
from auroramon.config import ModelSettings, Settings
from auroramon.disc import find_disc
from auroramon.preprocess import PreprocessSpec, extract_sky, to_input
from auroramon.readers import read_frames
from auroramon.sim.camera import random_camera
from auroramon.sim.scene import draw
from auroramon.types import Disc

REAL = {
    "arc": ("oath/00004.png", "dasc/PKR_DASC_0558_20151007_082351.743.FITS", "ucalgary/rego_b.png"),
    "diffuse": ("oath/00008.png", "ucalgary/themis_atha.png", "ucalgary/smile_b.png"),
    "discrete": ("oath/00002.png", "ucalgary/themis_b.png", "ucalgary/rgb_burst.png"),
    "cloudy": ("kho_nipr/20140218171340.jpg", "kho_nipr/20140218235440.jpg", "lowell/003.fits.bz2"),
    "moon": ("themis/20140310_0600_gill_themis19_full.pgm.gz", "lowell/004.fits.bz2", "lowell/006.fits.bz2"),
    "clear": (
        "kho_nipr/20140203232942.jpg",
        "rainbow/20130205_0500_rabb_rainbow-08_full.pgm.gz",
        "lowell/005.fits.bz2",
    ),
}
SIMULATED, SEED, SIDE, GAP, TEXT = 5, 41, 112, 4, 14
GREEN, YELLOW = (140, 230, 160), (240, 220, 90)


def tile(pixels: NDArray[np.generic], aspect: float, disc: Disc, spec: PreprocessSpec) -> Image.Image:
    """Draw the first plane of a frame's input."""
    plane = to_input(extract_sky(pixels, aspect, disc, spec), spec)[0] * spec.std[0] + spec.mean[0]
    return Image.fromarray((np.clip(plane, 0, 1) * 255).astype(np.uint8)).resize((SIDE, SIDE))


def main() -> None:
    folder = Path(sys.argv[1])
    spec = make_labeller(Settings(model=ModelSettings(path=None)), threads=1).bundle.preprocess
    width = (3 + SIMULATED) * (SIDE + GAP) + 3 * GAP
    page = Image.new("RGB", (width, len(REAL) * (SIDE + TEXT + GAP)), (24, 24, 28))
    pen, font = ImageDraw.Draw(page), ImageFont.load_default(10)
    rng = np.random.default_rng(SEED)
    cameras = [random_camera(rng, f"camera {k}") for k in range(SIMULATED)]
    for row, (label, files) in enumerate(REAL.items()):
        y = row * (SIDE + TEXT + GAP)
        for column, name in enumerate(files):
            raw = next(iter(read_frames(folder / name)))
            disc = find_disc(raw.pixels, raw.pixel_aspect)
            page.paste(tile(raw.pixels, raw.pixel_aspect, disc, spec), (column * (SIDE + GAP), y))
            pen.text((column * (SIDE + GAP) + 2, y + SIDE), f"real: {label}", GREEN, font)
        for column, camera in enumerate(cameras, start=3):
            frame = draw(rng, label, camera, 160)
            x = column * (SIDE + GAP) + 3 * GAP
            page.paste(tile(frame.pixels, 1.0, frame.disc, spec), (x, y))
            pen.text((x + 2, y + SIDE), f"simulated: {label}", YELLOW, font)
    page.quantize(128, dither=Image.Dither.NONE).save(
        Path(__file__).parent / "images" / "sim_beside_real.png", optimize=True
    )


if __name__ == "__main__":
    main()
