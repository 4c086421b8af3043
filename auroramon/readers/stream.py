"""Bytes of a file, decompressed on the way where it is gzip or bzip2, and never more than asked for."""

from __future__ import annotations

import bz2
import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, cast

import numpy as np
from isal import igzip_lib

from auroramon.errors import FrameError
from auroramon.readers.faults import BYTE_ERRORS, byte_fault, size_of, unreachable
from auroramon.readers.limits import MAX_FILE_BYTES, MIB

_PACKED_BYTES = 1 << 17  # read at once; more than that gains nothing

_ZERO = np.zeros(1, dtype=np.float32)


class _Unpacked(io.RawIOBase):
    """The content of a compressed file of one or several members.

    The standard library's readers are buffered, and lose what they hold when a file is cut off: whole frames, here.
    This one gives every byte that can be unpacked before it raises EOFError.
    """

    def __init__(self, file: IO[bytes], unpacker: Callable[[], Any]) -> None:
        self._file = file
        self._new_unpacker = unpacker
        self._unpacker = unpacker()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill a part of the buffer; 0 at the end. Raises BYTE_ERRORS."""
        view = memoryview(buffer).cast("B")
        while len(view):
            packed = b""
            if self._unpacker.eof:
                # gzip may be padded with zeros, and further members may follow
                packed = (self._unpacker.unused_data or self._file.read(_PACKED_BYTES)).lstrip(b"\0")
                if not packed:
                    return 0
                self._unpacker = self._new_unpacker()
            elif self._unpacker.needs_input:
                packed = self._file.read(_PACKED_BYTES)
                if not packed:
                    raise EOFError("the compressed data end too early")
            piece = self._unpacker.decompress(packed, len(view))
            _clear_vectors()
            if piece:
                view[: len(piece)] = piece
                return len(piece)
        return 0


def _clear_vectors() -> None:
    """Clear the upper halves of the processor's vector registers.

    isal's checksum leaves them in use, and until something clears them, SSE code waits for them at each instruction:
    on a processor with AVX-512, Pillow then resamples at a third of its pace. NumPy's exp clears them when it is done.
    """
    np.exp(_ZERO)


@contextmanager
def open_bytes(path: Path) -> Iterator[IO[bytes]]:
    """Open a file for reading from its start; the end of its name says what it is compressed with.

    Raises:
        NotReadyError: the file is empty or cannot be opened now. Reading from it raises BYTE_ERRORS.
    """
    size_of(path)
    try:
        file = path.open("rb")
    except OSError as error:
        raise unreachable(path, error) from error
    name = path.name.lower()
    with file:
        if name.endswith(".gz"):
            # isal unpacks a THEMIS minute in 6.7 ms where zlib takes 10.9
            yield cast("IO[bytes]", _Unpacked(file, lambda: igzip_lib.IgzipDecompressor(igzip_lib.DECOMP_GZIP)))
        elif name.endswith(".bz2"):
            yield cast("IO[bytes]", _Unpacked(file, bz2.BZ2Decompressor))
        else:
            yield file


def read_available(path: Path) -> tuple[bytes, Exception | None]:
    """Give the (decompressed) content of a file as far as it can be had, and what ended it early.

    Raises:
        FrameError: it is larger than any file of one frame that we accept.
        NotReadyError: it is empty or cannot be reached now.
    """
    data = bytearray()
    with open_bytes(path) as stream:
        try:
            while block := stream.read(MIB):
                data += block
                if len(data) > MAX_FILE_BYTES:
                    raise FrameError(
                        f"{path.name}: has more than {MAX_FILE_BYTES // MIB} MiB; scale it down or split it"
                    )
        except BYTE_ERRORS as error:
            return bytes(data), error
    return bytes(data), None


def read_bytes(path: Path) -> bytes:
    """Give the whole content of a file that is of no use in part; raises like `read_available`, and for a fault."""
    data, fault = read_available(path)
    if fault is not None:
        raise byte_fault(path, 0, fault) from fault
    return data
