"""Where a file lies: on a disk, or in an object store under an address such as s3://bucket/2024/03/10/frame.png.

Readers take a path and open it; of an address they get an object that opens the same way and fetches what is read,
without a copy on this machine's disk.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import cast

from auroramon.errors import MissingPartError

_ADDRESS = re.compile(r"[a-z][a-z0-9+.-]*://")


def is_remote(path: str) -> bool:
    """Say whether this is an address and no file name."""
    return _ADDRESS.match(path) is not None


def place(path: str) -> Path:
    """Give what a reader opens.

    Raises:
        MissingPartError: it is an address, and the library for object stores is not installed.
    """
    if not is_remote(path):
        return Path(path)
    try:
        from upath import UPath
    except ModuleNotFoundError as error:
        raise missing(path) from error
    return cast("Path", UPath(path))  # not a pathlib.Path by its class, but in all that a reader does with it


def missing(path: str) -> MissingPartError:
    """Give the error for an address that cannot be followed."""
    return MissingPartError(f"{path}: object stores need their library: pip install 'auroramon[s3]'")


def out_of_reach(*also: type[Exception]) -> tuple[type[Exception], ...]:
    """Give the errors by which disks and stores say that a file cannot be had now, and others besides."""
    if "botocore" not in sys.modules:  # whoever reads from disks never loads it
        return (OSError, *also)
    from botocore.exceptions import BotoCoreError

    return (OSError, BotoCoreError, *also)
