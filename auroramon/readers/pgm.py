"""PGM: one image, or a stack of concatenated ones as the University of Calgary keeps its minutes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from auroramon.readers.faults import BYTE_ERRORS, broken, byte_fault, cut_off
from auroramon.readers.limits import Budget
from auroramon.readers.stream import open_bytes
from auroramon.readers.times import parse_time
from auroramon.types import RawFrame

# Netpbm's definition of P5: white space and comments between the fields, one white space after the last. Possessive
# quantifiers keep hostile headers from costing more than their length.
_GAP = rb"(?:\s|#[^\r\n]*+[\r\n])++"
_HEADER = re.compile(rb"P5" + _GAP + rb"(\d{1,9})" + _GAP + rb"(\d{1,9})" + _GAP + rb"(\d{1,9})\s")
_HALF_HEADER = re.compile(rb"P(?:5(?:\s|\d|#[^\r\n]*+(?:[\r\n]|\Z))*+)?")
_TIME = b"Image request start"
_FACT = re.compile(
    rb'#"(Image request start|Site unique ID|Imager unique ID|Mode unique ID|Pixel aspect ratio)"[ \t]*([^\r\n]*)'
)

_READ_AHEAD = 4096  # bytes; the longest header of the archives has 3,000
_LONGEST_HEADER = 1 << 16  # bytes; what is longer is no header
_EXTREME_ASPECT = 10.0  # no pixel is ten times as wide as high: the header is wrong


class _Facts(NamedTuple):
    """What the comments of one header say."""

    time: datetime | None
    site: str
    imager: str
    channel: str
    aspect: float


class PgmReader:
    """Stacks of P5 images, plain or compressed, 8 or 16 bit, each with its own header."""

    name = "PGM"
    suffixes: tuple[str, ...] = (".pgm", ".pgm.gz", ".pgm.bz2")
    description = (
        "One P5 image or a stack of them, 8 or 16 bit: THEMIS, REGO, TREx NIR, blueline and spectrograph, Rainbow"
    )
    requires = ""

    def claims(self, path: Path, head: bytes) -> bool:
        """Say whether the name ends in .pgm and the first bytes are those of P5, gzip or bzip2 as the name promises."""
        name = path.name.lower()
        magics = {".pgm": b"P5", ".pgm.gz": b"\x1f\x8b", ".pgm.bz2": b"BZh"}
        return any(
            name.endswith(suffix) and (head.startswith(magic) or magic.startswith(head))
            for suffix, magic in magics.items()
        )

    def read(self, path: Path) -> Iterator[RawFrame]:
        """Give the images of the stack; see `auroramon.ports.Reader`. Holds one frame in memory at a time."""
        budget = Budget(path)
        lines: dict[bytes, bytes] = {}  # only the first header of a stack names site, imager and aspect
        index = 0
        with open_bytes(path) as stream:
            pending = b""
            while True:
                try:
                    pending, header = _next_header(path, index, stream, pending)
                    if header is None:
                        break
                    pixels, pending = _pixels(path, index, stream, pending, header, budget)
                except BYTE_ERRORS as error:
                    raise byte_fault(path, index, error) from error
                height, width = pixels.shape
                lines.pop(_TIME, None)
                lines.update(_FACT.findall(header.group()))
                facts = _facts(lines, square=height == width)
                yield RawFrame(
                    index=index,
                    pixels=pixels,
                    header_time=facts.time,
                    site=facts.site,
                    imager=facts.imager,
                    channel=facts.channel,
                    pixel_aspect=facts.aspect,
                )
                index += 1
        if index == 0:
            raise broken(path, "holds no image")


def _next_header(path: Path, index: int, stream: IO[bytes], pending: bytes) -> tuple[bytes, re.Match[bytes] | None]:
    """Give what follows the next header, and the header; None for it at the end of the file."""
    ended = False
    while True:
        pending = pending.lstrip()  # a line end after the last image harms nobody
        if match := _HEADER.match(pending):
            return pending[match.end() :], match
        if ended or len(pending) > _LONGEST_HEADER:
            break
        more = stream.read(_READ_AHEAD)
        ended = not more
        pending += more
    if not pending:
        return b"", None
    if ended and _HALF_HEADER.fullmatch(pending):
        raise cut_off(path, index)
    raise broken(path, f"no PGM header where one must stand, after {index} frames")


def _pixels(
    path: Path, index: int, stream: IO[bytes], pending: bytes, header: re.Match[bytes], budget: Budget
) -> tuple[NDArray[Any], bytes]:
    """Give the (H,W) native uint8 or uint16 counts behind a header, and the bytes behind them."""
    width, height, maxval = (int(field) for field in header.groups())
    if not 0 < maxval < 65536:
        raise broken(path, f"its header says a largest value of {maxval}, which PGM does not allow")
    stored = np.dtype(np.uint8) if maxval < 256 else np.dtype(">u2")
    budget.admit(height, width, stored.itemsize)
    pixels = np.empty(height * width, stored)
    raw = pixels.view(np.uint8)
    at_hand = min(len(pending), raw.size)
    raw[:at_hand] = np.frombuffer(pending, np.uint8, at_hand)
    missing = raw.data[at_hand:]
    while missing:
        got = stream.readinto(missing)  # type: ignore[attr-defined]  # every stream we open has it
        if not got:
            raise cut_off(path, index)
        missing = missing[got:]
    return pixels.astype(stored.newbyteorder("="), copy=False).reshape(height, width), pending[at_hand:]


def _facts(lines: dict[bytes, bytes], *, square: bool) -> _Facts:
    """Give what the `#"key" value` lines say that matters to us."""

    def text(key: bytes) -> str:
        return str(lines.get(key, b"").decode("ascii", "replace")).strip()

    mode = text(b"Mode unique ID")
    return _Facts(
        time=parse_time(text(_TIME)),
        site=text(b"Site unique ID").lower(),
        imager=text(b"Imager unique ID").lower(),
        # narrow-band imagers run in a mode named after the wavelength in 0.1 nm (8446); others say `full`
        channel=mode if mode.isdigit() else "",
        # THEMIS states the aspect of its chip, but its frames are binned square
        aspect=1.0 if square else _aspect(text(b"Pixel aspect ratio")),
    )


def _aspect(text: str) -> float:
    """Give the width of a pixel divided by its height, 1.0 where none is stated that could be true."""
    try:
        aspect = float(text)
    except ValueError:
        return 1.0
    return aspect if 1 / _EXTREME_ASPECT < aspect < _EXTREME_ASPECT else 1.0
