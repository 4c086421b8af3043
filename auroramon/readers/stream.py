"""Bytes of a file, decompressed on the way where it is gzip or bzip2, and never more than asked for."""

from __future__ import annotations

import bz2
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, cast

from isal import igzip

from auroramon.errors import FrameError
from auroramon.readers.faults import BYTE_ERRORS, byte_fault, size_of, unreachable
from auroramon.readers.limits import MAX_FILE_BYTES, MIB


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
            with igzip.open(file) as unpacked:  # type: ignore[no-untyped-call]
                yield cast("IO[bytes]", unpacked)
        elif name.endswith(".bz2"):
            with bz2.open(file) as unpacked:
                yield cast("IO[bytes]", unpacked)
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
