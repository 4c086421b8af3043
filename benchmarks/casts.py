"""What the white balance of a camera does to its labels: the same simulated frames with other weights of their colours.

    python -m benchmarks.casts [BUNDLE]

Red, green and blue are multiplied, as between a camera that balances its colours and a raw sensor, which sees about
twice as much green, or one whose night sky is red-brown. All frames are simulated, of colour cameras that no training
has seen. `green plane` is the same camera with `channel = "green"`, which shows no colour at all.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from auroramon.backends.second_look import open_on_processor
from auroramon.bundle import choose_precision, default_bundle, load_bundle
from auroramon.preprocess import extract_sky, to_input
from auroramon.resample import ChannelRule
from auroramon.sim.camera import SimCamera, random_camera
from auroramon.sim.scene import draw
from auroramon.types import AURORA_LABELS, LABELS, UNKNOWN
from benchmarks.machine import load, machine

SEED = 77  # training counts its cameras by (seed of the data, split, camera) and meets none of these
BALANCES = (
    (1, 0.7, 1),
    (1, 0.85, 1),
    (1, 1, 1),
    (1, 1.2, 1),
    (1, 1.5, 1),
    (1, 2, 1),
    (1.5, 1, 0.7),
    (2, 1, 0.5),
    (3, 1, 0.4),
)
"""Factors of red, green and blue."""


def colour_cameras(rng: np.random.Generator, count: int) -> list[SimCamera]:
    """Give random cameras that see colours."""
    found: list[SimCamera] = []
    while len(found) < count:
        camera = random_camera(rng, f"camera {len(found)}")
        found += [camera] if camera.band == "colour" else []
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("bundle", type=Path, nargs="?", default=default_bundle())
    parser.add_argument("--cameras", type=int, default=10)
    parser.add_argument("--frames", type=int, default=5, help="of each class and camera")
    parser.add_argument("--size", type=int, default=176, help="shorter side of a frame, pixels")
    args = parser.parse_args()
    bundle = load_bundle(args.bundle)
    backend = open_on_processor(bundle, choose_precision(bundle, "auto"), threads=1)
    rng = np.random.default_rng(SEED)
    frames = [
        (label, draw(rng, label, camera, args.size))
        for camera in colour_cameras(rng, args.cameras)
        for label in LABELS
        for _ in range(args.frames)
    ]
    aurora = np.array([label in AURORA_LABELS for label, _ in frames])

    def said(balance: tuple[float, ...], rule: ChannelRule) -> NDArray[np.str_]:
        inputs = []
        for _, frame in frames:
            balanced = frame.pixels.astype(np.float32) * np.array(balance, np.float32)
            sky = extract_sky(balanced, 1.0, frame.disc, bundle.preprocess, rule)
            inputs.append(to_input(sky, bundle.preprocess))
        return np.array([found.label for found in bundle.head.predict(backend.embed(np.stack(inputs)))])

    print(machine(), load(), "", sep="\n")
    print(f"model {bundle.name}; {len(frames)} simulated frames of {args.cameras} colour cameras, "
          f"{aurora.sum()} with aurora; gates are not asked\n")  # fmt: skip
    head = "right | aurora found | false alarms | unknown"
    print(f"| red : green : blue | {head} | green plane: {head} |\n|---|" + "---:|" * 8)
    truth = np.array([label for label, _ in frames])
    rules: tuple[ChannelRule, ...] = ("luma", "green")
    for balance in BALANCES:
        cells = []
        for rule in rules:
            labels = said(balance, rule)
            told = np.isin(labels, sorted(AURORA_LABELS))
            cells += [float((labels == truth).mean()), float(told[aurora].mean()), float(told[~aurora].mean())]
            cells += [float((labels == UNKNOWN).mean())]
        print(
            f"| {' : '.join(f'{part:g}' for part in balance)} | " + " | ".join(f"{cell:.1%}" for cell in cells) + " |"
        )


if __name__ == "__main__":
    main()
