"""What a reader says when a file is no good: always one of its two errors, in one sentence with the file's name."""

from __future__ import annotations

import os
import stat
import struct
import zlib
from pathlib import Path
from typing import cast

from isal.igzip_lib import IsalError

from auroramon.errors import AuroramonError, FrameError, MissingPartError, NotReadyError

_ISAL_ERROR = cast("type[Exception]", IsalError)  # its stub says that it is an instance

BYTE_ERRORS: tuple[type[Exception], ...] = (EOFError, OSError, zlib.error, _ISAL_ERROR)
"""What fetching and decompressing can raise; `byte_fault` turns it into one of the two errors of a reader."""

MALFORMED: tuple[type[Exception], ...] = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    MemoryError,
    NotImplementedError,
    RuntimeError,
    SyntaxError,
    TypeError,
    ValueError,
    Warning,
    struct.error,
    *BYTE_ERRORS,
)
"""What the format libraries raise on malformed bytes: none of them promises a narrower list, and feeding each of them
mutated files brought these. Only calls into such a library are guarded with it, never code of our own."""


def cut_off(path: Path, frames: int, doubt: str = "") -> FrameError:
    """Say that a file ends in the middle of something, after so many whole frames."""
    return FrameError(f"{path.name}: cut off after {frames} frames{doubt}; copy it again if its source has it whole")


def broken(path: Path, what: str) -> FrameError:
    """Say that what is in the file will never be a frame."""
    return FrameError(f"{path.name}: {what}")


def missing_part(path: Path, library: str, extra: str) -> MissingPartError:
    """Say which library a file needs, and how to get it."""
    return MissingPartError(f"{path.name}: needs {library}; run pip install 'auroramon[{extra}]'")


def unreachable(path: Path, error: OSError) -> NotReadyError:
    """Say that the system could not give us the bytes now, which says nothing about the file."""
    why = os.strerror(error.errno) if error.errno else str(error)
    return NotReadyError(f"{path}: cannot be read now ({why}); check that it is there and readable")


def byte_fault(path: Path, frames: int, error: Exception) -> AuroramonError:
    """Give the error for what went wrong while bytes were fetched and decompressed, after so many whole frames."""
    if isinstance(error, OSError) and error.errno is not None:
        return unreachable(path, error)
    if isinstance(error, EOFError):
        return cut_off(path, frames)
    return broken(path, f"its compressed data are damaged after {frames} frames ({error})")


def size_of(path: Path) -> int:
    """Give the size of a file in bytes.

    Raises:
        NotReadyError: it is empty, or cannot be reached now.
        FrameError: it is no regular file (opening a pipe would wait for ever).
    """
    try:
        status = path.stat()
    except OSError as error:
        raise unreachable(path, error) from error
    except ValueError as error:  # a NUL in the name
        raise FrameError(f"{path!r}: not a file name ({error})") from error
    if not stat.S_ISREG(status.st_mode):
        raise FrameError(f"{path}: is not a regular file; name the files in it, or the folder to a command for folders")
    if status.st_size == 0:
        raise NotReadyError(f"{path.name} is empty")
    return status.st_size
