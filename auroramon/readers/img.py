"""The .img files of the Keo Sentry cameras at the Kjell Henriksen Observatory, Longyearbyen."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from auroramon.readers.faults import broken, cut_off
from auroramon.readers.limits import Budget
from auroramon.readers.stream import read_bytes
from auroramon.types import RawFrame

_SIZES = struct.Struct("<HHH")  # columns, rows, bytes per value
_SIZES_AT = 60
_PIXELS_AT = _SIZES_AT + _SIZES.size


class ImgReader:
    """A header of 60 bytes (a text, then three numbers of unknown meaning), the sizes, then 16-bit counts.

    Some bytes may follow the counts. The time is in the file's name only.
    """

    name = "KHO img"
    suffixes: tuple[str, ...] = (".img",)
    description = "Raw 16-bit frames of the Keo Sentry cameras at the Kjell Henriksen Observatory"
    requires = ""

    def claims(self, path: Path, head: bytes) -> bool:
        """Say whether the name ends in .img and the sizes are in their place: disk images end so too."""
        if not path.name.lower().endswith(self.suffixes):
            return False
        if len(head) < _PIXELS_AT:
            return True
        columns, rows, width = _SIZES.unpack_from(head, _SIZES_AT)
        return bool(columns and rows and width == 2)

    def read(self, path: Path) -> Iterator[RawFrame]:
        """Give the one frame; see `auroramon.ports.Reader`."""
        data = read_bytes(path)
        if len(data) < _PIXELS_AT:
            raise cut_off(path, 0)
        columns, rows, width = _SIZES.unpack_from(data, _SIZES_AT)
        if width != 2:
            raise broken(path, f"has {width} bytes per value, where this format has 2")
        Budget(path).admit(rows, columns, width)
        if len(data) < _PIXELS_AT + columns * rows * width:
            raise cut_off(path, 0)
        stored = np.frombuffer(data, "<u2", columns * rows, _PIXELS_AT)
        yield RawFrame(index=0, pixels=stored.astype(np.uint16).reshape(rows, columns))
