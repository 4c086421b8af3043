"""OATH v1.1 as it lies on disk (Clausen & Nickisch 2018; CC BY 4.0, images copyright NASA).

    classifications.csv     18 lines of text, then class2,class6,picNum,picType,rotAng
    train_test_split.csv    five permutations, counted from 0; the first 70 % are to be trained on
    images/cropped_scaled/NNNNN.png               256 x 256, 16-bit RGB, only green is not zero
    images/cropped_scaled_rotated/NNNNN_DDD.png   the same, each turned by DDD degrees

The two tables may also lie in `classifications/`, as in the published archive.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from auroramon.errors import ConfigError
from auroramon.readers import read_frames
from auroramon.types import LABELS, Disc
from train.manifest import Row

CLASSES, PERMUTATIONS = "classifications.csv", "train_test_split.csv"
PLAIN, TURNED = Path("images/cropped_scaled"), Path("images/cropped_scaled_rotated")
NOTE = "SIMULATED.txt"
TEXT_LINES = 18
HEADER = ["class2", "class6", "picNum", "picType", "rotAng"]
TRAINED = 0.7
"""First part of a published permutation, to train on (Clausen & Nickisch 2018, section 4)."""

CROP = 0.85
"""Part of the disc's radius that the published images show: they were cropped against low elevations."""


@dataclass(frozen=True, slots=True)
class OathImage:
    """One line of classifications.csv."""

    number: int  # from 1
    label: str  # class6 counts our labels in our order: arc, diffuse, discrete, cloudy, moon, no aurora
    angle: int  # degrees by which the rotated copy is turned

    def name(self, rotated: bool) -> Path:
        return TURNED / f"{self.number:05d}_{self.angle:03d}.png" if rotated else PLAIN / f"{self.number:05d}.png"


def oath_rows(folder: Path, rotated: bool = False) -> list[Row]:
    """Give the manifest rows of an OATH folder, files by their absolute paths.

    The disc is the whole image, said to be as much larger as the published crop took away: a model that is trained so
    asks for the same part of the sky of a camera's own frames.

    Args:
        folder: with the two tables and `images/`.
        rotated: take the published rotated copies instead.

    Raises:
        ConfigError: it is not laid out as OATH v1.1.
    """
    images = read_classes(folder)
    trained = _trained(read_permutations(folder, len(images)))
    first = folder / images[0].name(rotated)
    if not first.exists():
        raise ConfigError(f"{first} is not there: is {folder} a copy of OATH v1.1?")
    half = min(next(read_frames(first)).pixels.shape[:2]) / 2
    disc = Disc(half, half, half / CROP, origin="configured")
    return [
        Row(
            file=str((folder / image.name(rotated)).resolve()),
            label=image.label,
            camera="oath",
            position=float(image.number),
            disc=disc,
            grey="green",
            simulated=is_simulated(folder),
            published="".join("01"[int(flag)] for flag in flags),
        )
        for image, flags in zip(images, trained.T, strict=True)
    ]


def is_simulated(folder: Path) -> bool:
    """Say whether the images of such a folder are simulated, as `python -m train simulate-oath` writes them."""
    return (folder / NOTE).exists()


def read_classes(folder: Path) -> list[OathImage]:
    """Give the labels of an OATH folder.

    Raises:
        ConfigError: classifications.csv is not there, or not as published.
    """
    path = table_of(folder, CLASSES)
    with path.open(newline="", encoding="utf-8") as file:
        lines = list(csv.reader(islice(file, TEXT_LINES, None)))
    if not lines or lines[0] != HEADER:
        raise ConfigError(f"{path}: line {TEXT_LINES + 1} is not the header {','.join(HEADER)} of OATH v1.1")
    images = []
    for number, line in enumerate(lines[1:], start=TEXT_LINES + 2):
        try:
            _, class6, picture, _, angle = line
            images.append(OathImage(int(picture), dict(enumerate(LABELS))[int(class6)], int(angle)))
        except (ValueError, KeyError) as error:
            raise ConfigError(f"{path}, line {number}: {','.join(line)} is no line of OATH v1.1") from error
    if not images:
        raise ConfigError(f"{path} lists no image")
    return images


def read_permutations(folder: Path, count: int) -> NDArray[np.intp]:
    """Give the (P,N) published permutations of N images.

    Raises:
        ConfigError: a row is no permutation.
    """
    path = table_of(folder, PERMUTATIONS)
    try:
        found = np.loadtxt(path, delimiter=",", ndmin=2).astype(np.intp)
    except ValueError as error:
        raise ConfigError(f"{path} does not hold numbers only: {error}") from error
    if found.shape[1] != count or not (np.sort(found, axis=1) == np.arange(count)).all():
        raise ConfigError(f"{path}: each of its rows must hold the numbers 0 to {count - 1} once")
    return found


def _trained(permutations: NDArray[np.intp]) -> NDArray[np.bool_]:
    """Give (P,N): whether the published split P trains on an image."""
    flags = np.zeros(permutations.shape, dtype=np.bool_)
    for flag, order in zip(flags, permutations, strict=True):
        flag[order[: int(TRAINED * len(order))]] = True
    return flags


def table_of(folder: Path, name: str) -> Path:
    """Give one of the two tables of an OATH folder.

    Raises:
        ConfigError: it is not there.
    """
    for path in (folder / name, folder / "classifications" / name):
        if path.exists():
            return path
    raise ConfigError(f"{folder} holds no {name}: is it a copy of OATH v1.1?")
