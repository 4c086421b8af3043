"""THEMIS all-sky images as NASA keeps them in CDF.

The few records that these files use are read here. cdflib would unpack a block to whatever size it grows to, and trusts
every count and pointer of a damaged file; it stays the oracle in the tests. Names and places of the fields are those of
NASA's "CDF Internal Format Description", version 3; all numbers are big-endian but the values themselves.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
from isal import isal_zlib
from numpy.typing import NDArray

from auroramon.errors import NotReadyError
from auroramon.readers.faults import BYTE_ERRORS, broken, cut_off, size_of
from auroramon.readers.limits import MAX_FRAME_BYTES, MAX_FRAMES, Budget
from auroramon.readers.pixels import native
from auroramon.readers.stream import open_bytes
from auroramon.types import RawFrame

_MAGIC = b"\xcd\xf3\x00\x01\x00\x00\xff\xff"  # version 3
_PACKED_MAGIC = b"\xcd\xf3\x00\x01\xcc\xcc\x00\x01"  # version 3, compressed as a whole
_CDR_AT = 8
_VXR, _VVR, _ZVDR, _CVVR = 6, 7, 8, 13  # kinds of records: index, values, variable, compressed values
_BIG_ENDIAN, _LITTLE_ENDIAN = {1, 2, 5, 7, 9, 11, 12, 18}, {4, 6, 13, 16, 17, 19}
_TYPES = {1: "i1", 2: "i2", 4: "i4", 11: "u1", 12: "u2", 14: "u4", 21: "f4", 22: "f8", 41: "i1", 44: "f4", 45: "f8"}
_MAX_ENTRIES = 1 << 16  # variables, or entries of an index; real files have some thousands
_MAX_DEPTH = 8  # levels of an index; real files have one or two

_FRAMES_NAME = re.compile(r"thg_asf_([a-z]{4})")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class _DamageError(Exception):
    """What is wrong inside the file; never leaves this module."""


class _Variable(NamedTuple):
    """One zVariable, as its descriptor says."""

    name: str
    dtype: np.dtype[Any]
    shape: tuple[int, ...]  # of one record
    records: int
    index_at: int  # offset of its first index record, 0 for none
    row_major: bool


class _Source:
    """The file, asked for pieces that must be there whole."""

    def __init__(self, file: IO[bytes], size: int) -> None:
        self._file = file
        self._size = size  # bytes

    def take(self, offset: int, size: int) -> bytes:
        if not 0 <= offset <= self._size - size or not 0 <= size <= MAX_FRAME_BYTES:
            raise _DamageError(f"has no {size} bytes at {offset}")
        self._file.seek(offset)
        return self._file.read(size)

    def numbers(self, layout: str, offset: int) -> tuple[Any, ...]:
        return struct.unpack(f">{layout}", self.take(offset, struct.calcsize(f">{layout}")))


class CdfReader:
    """`thg_asf_SITE` (frames) and `thg_asf_SITE_time` (seconds since 1970, start of exposure)."""

    name = "CDF"
    suffixes: tuple[str, ...] = (".cdf",)
    description = "THEMIS all-sky images of NASA (`thg_l1_asf_*.cdf`), an hour or part of one"
    requires = ""

    def claims(self, path: Path, head: bytes) -> bool:
        """Say whether name and first bytes are those of CDF version 3."""
        return path.name.lower().endswith(self.suffixes) and any(
            head.startswith(magic) or magic.startswith(head) for magic in (_MAGIC, _PACKED_MAGIC)
        )

    def read(self, path: Path) -> Iterator[RawFrame]:
        """Give the frames, a block of records in memory at a time; see `auroramon.ports.Reader`."""
        index = 0
        with open_bytes(path) as file:
            source = _Source(file, size_of(path))
            try:
                damage = ""
                try:
                    for frame in _frames(path, source):
                        yield frame
                        index += 1
                except _DamageError as error:
                    damage = str(error)
                if _is_short(source):
                    raise cut_off(path, index)
            except (OSError, struct.error) as error:  # struct: the file became shorter while it was read
                raise NotReadyError(f"{path.name}: cannot be read now ({error})") from error
        if damage or index == 0:
            raise broken(path, f"is a damaged CDF after {index} frames ({damage or 'without any'})")


def _frames(path: Path, source: _Source) -> Iterator[RawFrame]:
    """Give the frames with their times; without times there are none, for a name cannot date a thousand frames."""
    if source.take(0, len(_MAGIC)) == _PACKED_MAGIC:
        raise broken(path, "is compressed as a whole; unpack it with cdfconvert -compression cdf:none")
    budget = Budget(path)
    variables = {variable.name: variable for variable in _variables(source)}
    found = [match for name in variables if (match := _FRAMES_NAME.fullmatch(name))]
    if len(found) != 1 or f"{found[0][0]}_time" not in variables:
        raise broken(path, "is no CDF of THEMIS all-sky images (variables thg_asf_SITE and thg_asf_SITE_time)")
    name, site = found[0][0], found[0][1]
    if len(variables[name].shape) != 2:
        raise _DamageError(f"{name} has {len(variables[name].shape)} dimensions")
    times = [time for block in _blocks(source, variables[f"{name}_time"]) for time in block.reshape(-1).tolist()]
    index = 0
    for block in _blocks(source, variables[name]):
        for pixels in block:
            if index >= len(times):
                raise _DamageError(f"has {len(times)} times for more frames")
            budget.admit(pixels.shape[0], pixels.shape[1], pixels.itemsize)
            yield RawFrame(index=index, pixels=native(pixels, path), header_time=_time(times[index]), site=site)
            index += 1


def _time(seconds: float) -> datetime | None:
    """Give the UTC time so many seconds after 1970, None for a fill value."""
    try:
        return _EPOCH + timedelta(microseconds=round(seconds * 1e6))
    except (ValueError, OverflowError):
        return None


def _is_short(source: _Source) -> bool:
    """Say whether the file is shorter than it says that it is."""
    try:
        (gdr_at,) = source.numbers("q", _CDR_AT + 12)
        (stated,) = source.numbers("q", gdr_at + 36)
        source.take(stated - 1, 1)
    except _DamageError:
        return True
    return False


def _variables(source: _Source) -> Iterator[_Variable]:
    """Give the zVariables; the frames of THEMIS are no rVariables."""
    gdr_at, _, _, encoding, flags = source.numbers("qiiii", _CDR_AT + 12)
    if encoding not in _BIG_ENDIAN | _LITTLE_ENDIAN:
        raise _DamageError(f"has the encoding {encoding}, which is not read here")
    order = "<" if encoding in _LITTLE_ENDIAN else ">"
    (at,) = source.numbers("q", gdr_at + 20)
    for _ in range(_MAX_ENTRIES):
        if at == 0:
            return
        kind, following, data_type, last_record, index_at = source.numbers("iqiiq", at + 8)
        name, dimensions = source.numbers("256si", at + 84)
        if kind != _ZVDR or not 0 <= dimensions <= _MAX_DEPTH:
            raise _DamageError(f"has no variable at {at}")
        sizes = source.numbers(f"{dimensions}i", at + 344)
        varies = source.numbers(f"{dimensions}i", at + 344 + 4 * dimensions)
        if data_type in _TYPES:  # texts are none of ours
            yield _Variable(
                name=name.rstrip(b"\0 ").decode("ascii", "replace"),
                dtype=np.dtype(order + _TYPES[data_type]),
                shape=tuple(size for size, vary in zip(sizes, varies, strict=True) if vary),
                records=last_record + 1,
                index_at=index_at,
                row_major=bool(flags & 1),
            )
        at = following
    raise _DamageError("has variables without end")


def _blocks(source: _Source, variable: _Variable) -> Iterator[NDArray[Any]]:
    """Give the records of a variable from the first on, some at a time, as (n, *shape)."""
    if min(variable.shape, default=1) <= 0 or variable.records > MAX_FRAMES:
        raise _DamageError(f"{variable.name} says that it has {variable.records} records of {variable.shape}")
    record_bytes = variable.dtype.itemsize * int(np.prod(variable.shape, dtype=object))
    expected = 0
    for first, last, at in _leaves(source, variable.index_at, 0):
        count = min(last + 1, variable.records) - first
        if first != expected or count <= 0 or count * record_bytes > MAX_FRAME_BYTES:
            raise _DamageError(f"{variable.name} has records {first} to {last} where {expected} must follow")
        values = np.frombuffer(_values(source, at, count * record_bytes), variable.dtype)
        if variable.row_major:
            yield values.reshape(count, *variable.shape)
        else:
            yield values.reshape(count, *variable.shape[::-1]).transpose(0, *range(len(variable.shape), 0, -1))
        expected = first + count
        if expected == variable.records:
            return
    raise _DamageError(f"{variable.name} has {expected} of {variable.records} records")


def _leaves(source: _Source, at: int, depth: int) -> Iterator[tuple[int, int, int]]:
    """Give (first record, last record, offset) of each block of values below an index record and those after it."""
    for _ in range(_MAX_ENTRIES):
        if at == 0:
            return
        kind, following, entries, used = source.numbers("iqii", at + 8)
        if kind != _VXR or not 0 <= used <= entries <= _MAX_ENTRIES or depth > _MAX_DEPTH:
            raise _DamageError(f"has no index at {at}")
        firsts = source.numbers(f"{entries}i", at + 28)
        lasts = source.numbers(f"{entries}i", at + 28 + 4 * entries)
        offsets = source.numbers(f"{entries}q", at + 28 + 8 * entries)
        for first, last, offset in zip(firsts[:used], lasts[:used], offsets[:used], strict=True):
            if source.numbers("i", offset + 8)[0] == _VXR:
                yield from _leaves(source, offset, depth + 1)
            else:
                yield first, last, offset
        at = following
    raise _DamageError("has an index without end")


def _values(source: _Source, at: int, size: int) -> bytes:
    """Give so many bytes of values, unpacked no further than that."""
    (kind,) = source.numbers("i", at + 8)
    if kind == _VVR:
        return source.take(at + 12, size)
    if kind != _CVVR:
        raise _DamageError(f"has no values at {at}")
    (packed_size,) = source.numbers("q", at + 16)
    packed = source.take(at + 24, packed_size)
    try:
        values: bytes = isal_zlib.decompressobj(31).decompress(packed, size)
    except BYTE_ERRORS as error:
        raise _DamageError(f"its values at {at} are not gzip ({error})") from error
    if len(values) != size:
        raise _DamageError(f"has {len(values)} bytes of values at {at} where {size} belong")
    return values
