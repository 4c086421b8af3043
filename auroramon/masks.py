"""Loads the image that says where a camera sees no sky: black hides trees, masts and lamps."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from auroramon.errors import ConfigError

Mask = NDArray[np.bool_]


def load_mask(path: Path, shape: tuple[int, ...]) -> Mask:
    """Give the (H,W) mask of a camera, read-only: True where it sees sky. Each file is read once a process.

    Args:
        path: image in which hidden parts are black; anything brighter than a quarter of the scale is sky.
        shape: of the frame; only its first two numbers count.

    Raises:
        ConfigError: the image cannot be read, is not of the frame's size, or hides everything.
    """
    mask = _read(path)
    height, width = shape[:2]
    if mask.shape != (height, width):
        raise ConfigError(
            f"mask {path}: is {mask.shape[1]}x{mask.shape[0]} pixels, but the frames of this camera are "
            f"{width}x{height}; draw it over a frame as it comes from the camera"
        )
    return mask


@lru_cache(maxsize=64)
def _read(path: Path) -> Mask:
    try:
        with Image.open(path) as image:
            wide = image.mode.startswith(("I", "F"))
            grey = np.asarray(image if wide else image.convert("RGB").convert("L"))
    except FileNotFoundError:
        raise ConfigError(f"mask {path}: there is no such file") from None
    except (OSError, UnidentifiedImageError, Image.DecompressionBombError, SyntaxError, ValueError) as error:
        raise ConfigError(f"mask {path}: cannot be read as an image: {error}") from None
    mask = grey > (float(grey.max()) / 4 if wide else 63)
    if not mask.any():
        raise ConfigError(f"mask {path}: is black everywhere, so it would hide the whole sky")
    mask.flags.writeable = False
    return mask
