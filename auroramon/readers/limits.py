"""How much one file may ask for, so that no file can take the machine's memory with it."""

from __future__ import annotations

from pathlib import Path

from auroramon.errors import FrameError

MIB = 1 << 20

MAX_FRAME_BYTES = 192 * MIB
"""Decoded. 64 Mpixel of 8-bit colour or 96 Mpixel of 16-bit grey: the largest all-sky cameras give 12 Mpixel, the
largest camera bodies 61, and a decoder needs two or three times this while it works."""

MAX_TOTAL_BYTES = 512 * MIB
"""Decoded, all frames of a file together. An hour of THEMIS (1,200 frames) has 157 MB."""

MAX_FRAMES = 4096
"""An hour at one frame a second has 3,600; the archives keep minutes and hours."""

MAX_FILE_BYTES = 256 * MIB
"""Of a file that a decoder needs in memory as a whole, as it lies on the disk."""


class Budget:
    """Counts what a file has asked for so far, before memory is taken for it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._frames = 0
        self._bytes = 0

    def admit(self, height: int, width: int, bytes_per_pixel: int) -> None:
        """Take one more frame into account.

        Raises:
            FrameError: the frame has no pixels, or is more than the bounds above allow.
        """
        size = height * width * bytes_per_pixel
        self._frames += 1
        self._bytes += size
        if height <= 0 or width <= 0:
            raise FrameError(f"{self._path.name}: says that its frame is {width}x{height} pixels")
        if size > MAX_FRAME_BYTES:
            raise FrameError(
                f"{self._path.name}: a frame of {width}x{height} pixels would take {size // MIB} MiB, more than the "
                f"{MAX_FRAME_BYTES // MIB} that a sky camera needs; scale it down"
            )
        if self._frames > MAX_FRAMES:
            raise FrameError(f"{self._path.name}: holds more than {MAX_FRAMES} frames; split it")
        if self._bytes > MAX_TOTAL_BYTES:
            raise FrameError(
                f"{self._path.name}: holds more than {MAX_TOTAL_BYTES // MIB} MiB of frames; split it "
                f"(stopped after {self._frames - 1})"
            )
