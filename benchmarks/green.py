"""What it costs to look at colours: preparing a colour frame with and without its green plane, beside decoding it.

    python -m benchmarks.green [--rounds N]

A median of many rounds on one thread. A grey frame costs the same with the plane as without it.
"""

from __future__ import annotations

import argparse
import io
import time
from collections.abc import Callable
from dataclasses import replace
from statistics import median

import numpy as np
from PIL import Image

from auroramon.assemble import bundle_of
from auroramon.config import ModelSettings, Settings
from auroramon.preprocess import extract_sky, to_input, whole_frame
from auroramon.sim.camera import random_camera
from auroramon.sim.scene import draw
from benchmarks.machine import load, machine

SIZES = ((720, 480), (1920, 1080), (2832, 2832))


def milliseconds(work: Callable[[], object], rounds: int) -> float:
    """Give the median time of one call."""
    times = []
    for _ in range(rounds):
        begun = time.perf_counter()
        work()
        times.append(time.perf_counter() - begun)
    return 1e3 * median(times)


def main() -> None:
    parser = argparse.ArgumentParser(description="what it costs to look at colours")
    parser.add_argument("--rounds", type=int, default=60, help="of each figure")
    rounds = parser.parse_args().rounds
    print(machine(), load(), "", sep="\n")
    shipped = bundle_of(Settings(model=ModelSettings(path=None))).preprocess
    grey = replace(shipped, channels=("stretched", "equalised"), mean=(0.3, 0.4), std=(0.3, 0.35))
    green = replace(grey, channels=(*grey.channels, "green"), mean=(*grey.mean, 0.5), std=(*grey.std, 0.1))
    rng = np.random.default_rng(1)
    camera = random_camera(rng, "colour")
    while camera.band != "colour":
        camera = random_camera(rng, "colour")
    small = Image.fromarray(draw(rng, "arc", camera, 256).pixels)
    print("| frame | decode JPEG, ms | prepare without green, ms | with green, ms |\n|---|---:|---:|---:|")
    for width, height in SIZES:
        picture, file = small.resize((width, height), Image.Resampling.BICUBIC), io.BytesIO()
        picture.save(file, "JPEG", quality=90)
        pixels, coded = np.asarray(picture), file.getvalue()
        disc = whole_frame(pixels.shape, 1.0)
        decode = milliseconds(lambda coded=coded: np.asarray(Image.open(io.BytesIO(coded))), rounds)
        without, with_it = (
            milliseconds(lambda p=pixels, d=disc, s=spec: to_input(extract_sky(p, 1.0, d, s), s), rounds)
            for spec in (grey, green)
        )
        print(f"| {width}x{height} | {decode:.2f} | {without:.2f} | {with_it:.2f} |")


if __name__ == "__main__":
    main()
