"""The formats that auroramon reads: one module for each family, and the question which of them a file belongs to."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

from auroramon.errors import FrameError
from auroramon.ports import Reader
from auroramon.readers.cdf import CdfReader
from auroramon.readers.faults import size_of, unreachable
from auroramon.readers.fits import FitsReader
from auroramon.readers.hdf5 import Hdf5Reader
from auroramon.readers.image import ImageReader
from auroramon.readers.img import ImgReader
from auroramon.readers.pgm import PgmReader
from auroramon.readers.tar import TarReader
from auroramon.types import RawFrame

READERS: tuple[Reader, ...] = (
    PgmReader(),
    ImageReader(),
    FitsReader(),
    Hdf5Reader(),
    CdfReader(),
    TarReader(),
    ImgReader(),
)

LIBRARIES = {"fits": "astropy", "hdf5": "h5py"}
"""The module that each pip extra of a reader brings."""

_HEAD_BYTES = 512


def suffixes() -> tuple[str, ...]:
    """Give the endings of all files that can be read, lower case, with the dot."""
    return tuple(sorted({suffix for reader in READERS for suffix in reader.suffixes}))


def ending_of(path: str) -> str:
    """Give the longest ending of a file's name that a reader knows, lower case; "" where none does."""
    return max((suffix for suffix in suffixes() if path.lower().endswith(suffix)), key=len, default="")


def lacking(ending: str) -> str:
    """Give the pip extra that files of this ending need and that is not installed; "" where nothing is missing."""
    needed = {reader.requires for reader in READERS if ending in reader.suffixes and reader.requires}
    return next((extra for extra in needed if find_spec(LIBRARIES[extra]) is None), "")


def reader_for(path: Path) -> Reader:
    """Give the one reader that claims a file.

    Raises:
        FrameError: none claims it, or more than one.
        NotReadyError: it is empty, or cannot be reached now.
    """
    size_of(path)
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD_BYTES)
    except OSError as error:
        raise unreachable(path, error) from error
    claims = [reader for reader in READERS if reader.claims(path, head)]
    if len(claims) == 1:
        return claims[0]
    if claims:
        raise FrameError(f"{path.name}: is claimed by {' and '.join(reader.name for reader in claims)}; rename it")
    if path.name.lower().endswith(suffixes()):
        raise FrameError(
            f"{path.name}: not a format that auroramon reads: its first bytes {head[:8]!r} are not what its name says"
        )
    raise FrameError(f"{path.name}: not a format that auroramon reads: its name ends in none of {' '.join(suffixes())}")


def read_frames(path: Path) -> Iterator[RawFrame]:
    """Give the frames of a file, in file order; see `auroramon.ports.Reader.read` for what it raises."""
    yield from reader_for(path).read(path)


def table() -> str:
    """Give the list of formats for docs/formats.md, as a Markdown table."""
    rows = ["| format | files | holds | needs |", "|---|---|---|---|"]
    for reader in READERS:
        endings = " ".join(f"`{suffix}`" for suffix in reader.suffixes)
        needs = f"`auroramon[{reader.requires}]`" if reader.requires else "nothing more"
        rows.append(f"| {reader.name} | {endings} | {reader.description} | {needs} |")
    return "\n".join(rows) + "\n"
