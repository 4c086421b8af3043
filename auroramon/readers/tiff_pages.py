"""Which pages of a TIFF are there whole: where a file is cut off, Pillow gives black pixels or fewer pages."""

from __future__ import annotations

import struct
from typing import Any

from auroramon.readers.limits import MAX_FRAMES

_KINDS = {1: "B", 2: "B", 3: "H", 4: "I", 5: "Q", 6: "b", 8: "h", 9: "i", 11: "f", 12: "d", 16: "Q"}
_LAST_OF_TIFF = 347  # larger tags are private or extensions: none is needed for the pixels
_PIECES = ((273, 279), (324, 325))  # offsets and byte counts, of strips and of tiles


def whole_pages(data: bytes) -> tuple[int, bool]:
    """Give how many pages stand whole at the start of a TIFF or BigTIFF, and whether no other follows them.

    Source: TIFF 6.0, section 2 (a chain of directories of tags, each with the place of its pixels).
    """
    order = "<" if data[:1] == b"I" else ">"
    big = data[2:4] in (b"+\0", b"\0+")
    count_format, place_format = (f"{order}Q", f"{order}Q") if big else (f"{order}H", f"{order}I")
    entry_size = 20 if big else 12
    pages = 0
    seen: set[int] = set()
    try:
        (at,) = struct.unpack_from(place_format, data, 8 if big else 4)
        while at and at not in seen and pages < MAX_FRAMES:
            seen.add(at)
            (count,) = struct.unpack_from(count_format, data, at)
            first = at + struct.calcsize(count_format)
            if first + count * entry_size > len(data):
                return pages, False
            tags = {}
            for entry in range(first, first + count * entry_size, entry_size):
                tag, kind = struct.unpack_from(f"{order}HH", data, entry)
                if kind in _KINDS and tag <= _LAST_OF_TIFF:
                    tags[tag] = _numbers(data, entry + 4, order, _KINDS[kind], place_format)
            for offsets, sizes in _PIECES:
                pieces = zip(tags.get(offsets, ()), tags.get(sizes, ()), strict=False)
                if any(offset + size > len(data) for offset, size in pieces):
                    return pages, False
            (at,) = struct.unpack_from(place_format, data, first + count * entry_size)
            pages += 1
    except struct.error:
        return pages, False
    return pages, True


def _numbers(data: bytes, at: int, order: str, kind: str, place_format: str) -> tuple[Any, ...]:
    """Give the values of a tag, which stand in its entry where they fit there. Raises struct.error."""
    (count,) = struct.unpack_from(place_format, data, at)
    at += struct.calcsize(place_format)
    layout = f"{order}{count}{kind}"
    if struct.calcsize(layout) > struct.calcsize(place_format):
        (at,) = struct.unpack_from(place_format, data, at)
    return struct.unpack_from(layout, data, at)
