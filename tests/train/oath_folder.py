"""A folder as OATH v1.1 lies on disk, fabricated byte for byte, small enough to train on in a test."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import png

from auroramon.types import LABELS
from train.frames import TARGETS
from train.manifest import Manifest, Row, write_manifest
from train.oath_layout import oath_rows

TEXT = "".join(f"line {n} of the text: licence, credits, commas\n" for n in range(18))
NAMES = ("arc", "diffuse", "discrete", "cloudy", "moon", "noaurora")
SIDE = 32


def write_oath(folder: Path, runs: int = 48, length: int = 4, seed: int = 0) -> Path:
    """Write a folder with so many label runs of so many images; the class can be seen."""
    rng = np.random.default_rng(seed)
    labels = [k for run in range(runs) for k in [(run * 5 + run // 6) % 6] * length]
    angles = rng.integers(0, 360, len(labels))
    (folder / "images/cropped_scaled").mkdir(parents=True)
    (folder / "images/cropped_scaled_rotated").mkdir()
    images = list(enumerate(zip(labels, angles.tolist(), strict=True), start=1))
    lines = [f"{int(k > 2)},{k},{n:05d},{NAMES[k]},{angle:03d}\n" for n, (k, angle) in images]
    (folder / "classifications.csv").write_text(TEXT + "class2,class6,picNum,picType,rotAng\n" + "".join(lines))
    orders = np.stack([rng.permutation(len(labels)) for _ in range(5)])
    np.savetxt(folder / "train_test_split.csv", orders.astype(float), delimiter=",")
    for n, (k, angle) in images:
        green = picture(rng, LABELS[k])
        write_png(folder / f"images/cropped_scaled/{n:05d}.png", green)
        write_png(folder / f"images/cropped_scaled_rotated/{n:05d}_{angle:03d}.png", green.T)
    return folder


def picture(rng: np.random.Generator, label: str) -> np.ndarray:
    """(32,32) uint16 with a class that can be seen: stripes of its own width, on a black corner."""
    y, x = np.mgrid[:SIDE, :SIDE] / SIDE
    k = LABELS.index(label)
    wave = np.sin((2 + 3 * k) * (x if k % 2 else y) + rng.uniform(0, 6)) * (1 + k)
    counts = 30000 + 4000 * wave + rng.normal(0, 300, wave.shape)
    return np.where((x - 0.5) ** 2 + (y - 0.5) ** 2 < 0.25, counts, 0).clip(0, 65535).astype(np.uint16)


def write_png(path: Path, green: np.ndarray) -> None:
    """Write 16-bit RGB, only green not zero."""
    rgb = np.zeros((*green.shape, 3), dtype=np.uint16)
    rgb[..., 1] = green
    lines = rgb.reshape(len(rgb), -1).tolist()
    with path.open("wb") as file:
        png.Writer(green.shape[1], green.shape[0], greyscale=False, bitdepth=16).write(file, lines)


def oath_manifest(folder: Path, to: Path) -> Manifest:
    return write_manifest(to, oath_rows(folder))


def rows_of(labels: list[str], **more: object) -> tuple[Row, ...]:
    """Rows without files: enough for everything that does not read pixels."""
    assert set(labels) <= set(TARGETS)
    return tuple(Row(file=f"{n}.png", label=label, position=float(n), **more) for n, label in enumerate(labels))  # type: ignore[arg-type]
