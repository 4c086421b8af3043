"""Tar archives of pictures: NASCAM and TREx keep their minutes so. Members are read in memory, nothing is extracted."""

from __future__ import annotations

import re
import tarfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import IO

from auroramon.errors import FrameError
from auroramon.readers.faults import MALFORMED, broken, cut_off
from auroramon.readers.image import ImageReader, decode_picture
from auroramon.readers.limits import MAX_FILE_BYTES, MAX_FRAMES, Budget
from auroramon.readers.stream import open_bytes
from auroramon.readers.times import parse_time
from auroramon.types import RawFrame

_TAR_ERRORS: tuple[type[Exception], ...] = (tarfile.TarError, *MALFORMED)
_CUT_SIGNS = ("unexpected end of data", "truncated header", "empty header")  # tarfile has one class for all
_BLOCK = 512  # bytes; a tar ends with a block of zeros
_MAGIC = b"ustar"
_MAGIC_AT = 257

_MEMBER_NAME = re.compile(
    r"(\d{4})(\d\d)(\d\d)_(\d\d)(\d\d)(\d\d)(?:_(\d{6}))?_([A-Za-z]{3,5})_([A-Za-z]+-?[A-Za-z0-9]+)(?:_.*)?"
)
"""20200508_060500_122643_gill_rgb-04_320ms_full: start of exposure, microseconds, site, imager, what else."""


class TarReader:
    """Pictures in a tar archive, in its order."""

    name = "tar"
    suffixes: tuple[str, ...] = (".tar",)
    description = "Tar archives of PNG, JPEG or TIFF: NASCAM and TREx RGB minutes (.png.tar)"
    requires = ""

    def claims(self, path: Path, head: bytes) -> bool:
        """Say whether the name ends in .tar and the first header is one of a tar."""
        if not path.name.lower().endswith(self.suffixes):
            return False
        return head[_MAGIC_AT:].startswith(_MAGIC) or len(head) < _MAGIC_AT + len(_MAGIC)

    def read(self, path: Path) -> Iterator[RawFrame]:
        """Give the pictures; see `auroramon.ports.Reader`. A damaged one is left out, and named at the end."""
        budget = Budget(path)
        index = 0
        fault: FrameError | None = None
        with open_bytes(path) as file:
            for name, data in _pictures(path, file):
                if data is None:
                    raise cut_off(path, index)
                try:
                    frames = list(decode_picture(data, Path(name), budget))
                except FrameError as error:
                    fault = fault or error
                    continue
                for frame in frames:
                    yield _placed(frame, index, name)
                    index += 1
        if fault is not None:
            raise FrameError(f"{path.name}: after {index} good frames: {fault}") from fault
        if index == 0:
            raise broken(path, "holds no picture")


def _pictures(path: Path, file: IO[bytes]) -> Iterator[tuple[str, bytes | None]]:
    """Give name and content of each picture of a tar; None for the content where the archive breaks off."""
    try:
        with tarfile.open(fileobj=file, mode="r:") as archive:
            for count, member in enumerate(archive):
                if count >= 2 * MAX_FRAMES:
                    raise broken(path, f"has more than {2 * MAX_FRAMES} members; split it")
                name = PurePosixPath(member.name).name
                if not member.isreg() or not name.lower().endswith(ImageReader.suffixes):
                    continue
                if member.size > MAX_FILE_BYTES:
                    raise broken(path, f"its member {name} says that it has {member.size} bytes")
                content = archive.extractfile(member)
                if content is not None:
                    yield name, content.read()
            ended = archive.offset  # tarfile stops in silence at a damaged header too
        file.seek(ended)
        block = file.read(_BLOCK)
    except _TAR_ERRORS as error:
        if not any(sign in str(error) for sign in _CUT_SIGNS):
            raise broken(path, f"is a damaged tar ({error})") from error
        yield "", None
        return
    if len(block) < _BLOCK:
        yield "", None
    elif block.strip(b"\0"):
        raise broken(path, "is a damaged tar (no header where one must stand)")


def _placed(frame: RawFrame, index: int, name: str) -> RawFrame:
    """Give the frame its place in the archive, and what the member's name says where the picture itself is silent."""
    match = _MEMBER_NAME.fullmatch(PurePosixPath(name).stem)
    if match is None:
        return replace(frame, index=index)
    year, month, day, hour, minute, second, micro, site, imager = match.groups()
    time = parse_time(f"{year}-{month}-{day} {hour}:{minute}:{second}.{micro or 0}")
    return replace(frame, index=index, header_time=frame.header_time or time, site=site.lower(), imager=imager.lower())
