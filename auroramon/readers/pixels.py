"""Arrays as formats store them, turned into the three kinds of counts that a frame may have."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from auroramon.readers.faults import broken


def native(stored: NDArray[Any], path: Path) -> NDArray[Any]:
    """Give the same counts as uint8, uint16 or float32 in the machine's byte order.

    Whole numbers that fit 16 bits without a sign become uint16 and lose nothing; others become float32. Pixels that
    are no number (NaN, infinite) become the smallest of the others.

    Raises:
        FrameError: no pixel is finite, or the values are no real numbers.
    """
    kind, size = stored.dtype.kind, stored.dtype.itemsize
    if kind == "u" and size <= 2:
        return np.ascontiguousarray(stored, stored.dtype.newbyteorder("="))
    if kind == "b":
        return np.ascontiguousarray(stored, np.uint8)
    if kind in "iu":
        if stored.size and stored.min() >= 0 and stored.max() <= 65535:
            return np.ascontiguousarray(stored, np.uint16)
        return np.ascontiguousarray(stored, np.float32)
    if kind != "f":
        raise broken(path, f"its pixels are {stored.dtype}, not counts")
    with np.errstate(over="ignore"):  # beyond float32 is infinite, and handled as such
        pixels = np.ascontiguousarray(stored, np.float32)
    finite = np.isfinite(pixels)
    if finite.all():
        return pixels
    if not finite.any():
        raise broken(path, "holds no finite pixel")
    return np.where(finite, pixels, pixels[finite].min())
