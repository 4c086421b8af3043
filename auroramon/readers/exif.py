"""The moment of exposure out of an EXIF block. Cameras write broken EXIF often, so nothing in here can raise."""

from __future__ import annotations

import re
import struct
from datetime import datetime

from auroramon.readers.times import parse_time

_EXIF_POINTER = 0x8769
_DATE_TIME_ORIGINAL = 0x9003
_OFFSET_ORIGINAL = 0x9011
_SUBSECOND_ORIGINAL = 0x9291
_LONGEST_TEXT = 64  # a date takes 20 bytes
_DATE = re.compile(r"(\d{4}):(\d{2}):(\d{2}) (\d{2}):(\d{2}):(\d{2})")


def exif_time(block: bytes) -> datetime | None:
    """Give DateTimeOriginal of an EXIF block or a whole TIFF file: aware UTC with an offset, naive without.

    Source: EXIF 2.32, sections 4.5 and 4.6 (a TIFF directory whose tag 0x8769 points to the EXIF directory).
    """
    block = block.removeprefix(b"Exif\0\0")
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(block[:4])
    if order is None or len(block) < 8:
        return None
    first = _directory(block, order, struct.unpack_from(f"{order}I", block, 4)[0])
    if _EXIF_POINTER not in first:
        return None
    tags = _directory(block, order, struct.unpack(f"{order}I", first[_EXIF_POINTER][1])[0])
    match = _DATE.fullmatch(_text(block, order, tags.get(_DATE_TIME_ORIGINAL)))
    if match is None:
        return None
    year, month, day, hour, minute, second = match.groups()
    subsecond = re.match(r"\d*", _text(block, order, tags.get(_SUBSECOND_ORIGINAL)))
    stamp = f"{year}-{month}-{day} {hour}:{minute}:{second}.{subsecond.group() if subsecond else ''}"
    offset = _text(block, order, tags.get(_OFFSET_ORIGINAL))
    aware = parse_time(stamp + offset, zone_required=True)
    if aware is not None:
        return aware
    naive = parse_time(stamp)
    return naive.replace(tzinfo=None) if naive is not None else None


def _directory(block: bytes, order: str, offset: int) -> dict[int, tuple[int, bytes]]:
    """Give tag -> (count, the four bytes of its value or offset) of one directory; empty where it is not whole."""
    if offset + 2 > len(block):
        return {}
    (count,) = struct.unpack_from(f"{order}H", block, offset)
    if offset + 2 + 12 * count > len(block):
        return {}
    entries = (struct.unpack_from(f"{order}HHI4s", block, offset + 2 + 12 * i) for i in range(count))
    return {tag: (length, value) for tag, _, length, value in entries}


def _text(block: bytes, order: str, entry: tuple[int, bytes] | None) -> str:
    """Give the ASCII value of an entry, empty where there is none."""
    if entry is None or entry[0] > _LONGEST_TEXT:
        return ""
    length, value = entry
    if length > 4:
        (offset,) = struct.unpack(f"{order}I", value)
        value = block[offset : offset + length]
    return value[:length].split(b"\0")[0].decode("ascii", "replace").strip()
