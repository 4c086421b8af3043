"""FITS: one image, a colour image or a stack of images in the first image of the file (astropy reads the header)."""

from __future__ import annotations

import contextlib
import importlib
import warnings
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from auroramon.errors import AuroramonError
from auroramon.readers.faults import MALFORMED, broken, byte_fault, cut_off, missing_part
from auroramon.readers.limits import Budget
from auroramon.readers.pixels import native
from auroramon.readers.stream import read_available
from auroramon.readers.times import parse_time
from auroramon.types import RawFrame

_ENDINGS = (".fits", ".fit", ".fts")
_STORED = {8: "u1", 16: ">i2", 32: ">i4", 64: ">i8", -32: ">f4", -64: ">f8"}
_MAGICS = (b"SIMPLE  =", b"\x1f\x8b", b"BZh")

_WHOLE_TIMES = ("DATE-OBS", "DATE-BEG", "TIMEUTC", "DATE_OBS")
"""Keywords that may hold date and time in one, best first."""

_SPLIT_TIMES = (
    ("OBSDATE", ("OBSSTART",)),  # Poker Flat
    ("DATE-OBS", ("TIME-OBS", "UTSTART", "TIME-BEG", "TIMEUTC", "UTC", "UT", "UTC-OBS")),
    ("DATE", ("TIMEUTC", "UT", "UTC")),
)
"""Keywords that hold the date alone, each with those that may hold its time."""


_KEYWORDS = (
    *("BITPIX", "BZERO", "BSCALE", "BLANK", "SITE", "INSTRUME", "FILTWAV", "FILTER", "XPIXSZ", "YPIXSZ"),
    *("KCT", "CYCLE", "EXPTIME", "EXPOSURE", "TIMESYS", *_WHOLE_TIMES),
    *(key for day, clocks in _SPLIT_TIMES for key in (day, *clocks)),
)


class _Image(NamedTuple):
    """Where the first image of a file is."""

    header: Mapping[str, Any]
    shape: tuple[int, ...]  # slowest axis first
    at: int  # byte offset of its values
    unpacked: NDArray[Any] | None  # of a tile-compressed image, which has no plain values


class FitsReader:
    """The first image of a FITS file: (H,W), (3,H,W) or (H,W,3) is a frame, (N,H,W) is N frames one after the other."""

    name = "FITS"
    suffixes: tuple[str, ...] = (
        *(ending + packing for ending in _ENDINGS for packing in ("", ".gz", ".bz2")),
        ".fits.fz",
        ".fit.fz",
    )
    description = "The first image of the file, grey, colour or a stack: Poker Flat DASC, Lowell, hobby cameras"
    requires = "fits"

    def claims(self, path: Path, head: bytes) -> bool:
        """Say whether the name is one of FITS and the first bytes are those of FITS, gzip or bzip2."""
        return path.name.lower().endswith(self.suffixes) and any(
            head.startswith(magic) or magic.startswith(head) for magic in _MAGICS
        )

    def read(self, path: Path) -> Iterator[RawFrame]:
        """Give the frames; see `auroramon.ports.Reader`. Rows come as they are stored."""
        data, fault = read_available(path)
        image = _find_image(path, data, fault)
        start, step = _start(image.header), _step(image.header)
        for index, stored in enumerate(_frames(path, image, data, fault)):
            yield RawFrame(
                index=index,
                pixels=native(stored, path),
                header_time=_frame_time(start, step, index),
                site=_text(image.header, "SITE").lower(),
                imager=_text(image.header, "INSTRUME").lower(),
                channel=_text(image.header, "FILTWAV") or _text(image.header, "FILTER"),
                pixel_aspect=1.0 if stored.shape[0] == stored.shape[1] else _aspect(image.header),
            )


def _find_image(path: Path, data: bytes, fault: Exception | None) -> _Image:
    """Give the first image of the file. astropy's warnings are silenced, for what they tell is checked here."""
    try:
        from astropy.io import fits
    except ImportError as error:
        raise missing_part(path, "astropy", FitsReader.requires) from error
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            with fits.open(BytesIO(data), memmap=False) as units:
                for unit in units:
                    if isinstance(unit, fits.CompImageHDU) and len(unit.shape) >= 2:
                        return _unpack(path, unit, _facts(unit.header, fits.VerifyError))
                    if isinstance(unit, (fits.PrimaryHDU, fits.ImageHDU)) and len(unit.shape) >= 2:
                        return _Image(
                            _facts(unit.header, fits.VerifyError), unit.shape, unit.fileinfo()["datLoc"], None
                        )
        except (*MALFORMED, fits.VerifyError, *_tile_errors()) as error:
            raise _cut(path, 0, fault, f" or damaged ({error})") from error
    if fault is not None:
        raise byte_fault(path, 0, fault) from fault
    raise broken(path, "holds no image")


def _tile_errors() -> tuple[type[Exception], ...]:
    """Give what astropy raises for damaged tiles: an error of its own that it keeps in private places."""
    errors: list[type[Exception]] = []
    for place in ("hdu.compressed._compression", "_tiled_compression._compression"):
        with contextlib.suppress(ImportError):
            errors.append(importlib.import_module(f"astropy.io.fits.{place}").CfitsioException)
    return tuple(errors)


def _facts(header: Any, verify_error: type[Exception]) -> dict[str, Any]:
    """Give the keywords that matter here, without those whose card cannot be read: one bad card costs no frame."""
    facts: dict[str, Any] = {}
    for key in _KEYWORDS:
        with contextlib.suppress(verify_error, *MALFORMED):
            facts[key] = header[key]
    return facts


def _unpack(path: Path, unit: Any, facts: dict[str, Any]) -> _Image:
    """Give a tile-compressed image with its values. Raises what astropy raises, and FrameError."""
    frames, height, width, channels = _layout(path, unit.shape)
    Budget(path).admit(frames * height, width, channels * abs(int(facts["BITPIX"])) // 8)
    values = np.asarray(unit.data)
    return _Image(facts, unit.shape, 0, values)


def _layout(path: Path, shape: tuple[int, ...]) -> tuple[int, int, int, int]:
    """Give frames, height, width and channels of an image of this shape."""
    if len(shape) == 2:
        return 1, shape[0], shape[1], 1
    if len(shape) == 3 and shape[0] == 3:
        return 1, shape[1], shape[2], 3
    if len(shape) == 3 and shape[2] == 3:
        return 1, shape[0], shape[1], 3
    if len(shape) == 3:
        return shape[0], shape[1], shape[2], 1
    raise broken(path, f"its image has {len(shape)} axes, where 2 or 3 are read")


def _frames(path: Path, image: _Image, data: bytes, fault: Exception | None) -> Iterator[NDArray[Any]]:
    """Give each frame as (H,W) or (H,W,3), scaled as the header says."""
    count, height, width, channels = _layout(path, image.shape)
    values = height * width * channels
    stored = _stored_type(path, image)
    budget = Budget(path)
    for index in range(count):
        budget.admit(height, width, channels * stored.itemsize)
        if image.unpacked is not None:
            frame = image.unpacked.reshape(count, values)[index]
        else:
            at = image.at + index * values * stored.itemsize
            if at + values * stored.itemsize > len(data):
                raise _cut(path, index, fault)
            frame = _scaled(path, image.header, np.frombuffer(data, stored, values, at))
        if len(image.shape) == 3 and image.shape[0] == 3:
            yield np.moveaxis(frame.reshape(3, height, width), 0, -1)
        else:
            yield frame.reshape((height, width, 3) if channels == 3 else (height, width))


def _stored_type(path: Path, image: _Image) -> np.dtype[Any]:
    """Give the type of the values as they stand in the file, or as astropy unpacked them."""
    if image.unpacked is not None:
        return image.unpacked.dtype
    bits = image.header.get("BITPIX")
    if bits not in _STORED:
        raise broken(path, f"its BITPIX is {bits}, which FITS does not allow")
    return np.dtype(_STORED[bits])


def _cut(path: Path, frames: int, fault: Exception | None, doubt: str = "") -> AuroramonError:
    """Give the error for bytes that end too early, or for what made them end."""
    return byte_fault(path, frames, fault) if fault is not None else cut_off(path, frames, doubt)


def _scaled(path: Path, header: Mapping[str, Any], stored: NDArray[Any]) -> NDArray[Any]:
    """Give BZERO + BSCALE * value, NaN where the value is BLANK; unsigned 16 bits stay what they are."""
    try:
        zero, scale = float(header.get("BZERO", 0)), float(header.get("BSCALE", 1))
        blank = int(header["BLANK"]) if "BLANK" in header and stored.dtype.kind != "f" else None
    except (TypeError, ValueError) as error:
        raise broken(path, f"its BZERO, BSCALE or BLANK is no number ({error})") from error
    if stored.dtype.kind == "f" or blank is not None or scale != 1 or not zero.is_integer():
        counts = stored.astype(np.float64) * scale + zero
        if blank is not None:
            counts[stored == blank] = np.nan
        return counts
    return stored if zero == 0 else stored.astype(np.int64) + int(zero)


def _frame_time(start: datetime | None, step: timedelta | None, index: int) -> datetime | None:
    """Give the time of a frame of a stack, none where the header does not say how they follow each other."""
    if start is None or index == 0:
        return start
    return start + index * step if step is not None else None


def _start(header: Mapping[str, Any]) -> datetime | None:
    """Give the start of exposure in UTC; none where the header names another time system."""
    if _text(header, "TIMESYS").upper() not in ("", "UTC", "UT"):
        return None
    for key in _WHOLE_TIMES:
        if time := parse_time(_text(header, key)):
            return time
    for day, clocks in _SPLIT_TIMES:
        for clock in clocks:
            if time := parse_time(f"{_text(header, day)} {_text(header, clock)}"):
                return time
    return None


def _step(header: Mapping[str, Any]) -> timedelta | None:
    """Give the time from one frame of a stack to the next: its cycle time, or else its exposure time."""
    for key in ("KCT", "CYCLE", "EXPTIME", "EXPOSURE"):
        seconds = header.get(key)
        if isinstance(seconds, (int, float)) and 0 < seconds < 86400:
            return timedelta(seconds=float(seconds))
    return None


def _aspect(header: Mapping[str, Any]) -> float:
    """Give width divided by height of a pixel from its stated size, 1.0 where none is stated."""
    width, height = header.get("XPIXSZ"), header.get("YPIXSZ")
    if isinstance(width, (int, float)) and isinstance(height, (int, float)) and 0 < width < 10 * height < 100 * width:
        return float(width / height)
    return 1.0


def _text(header: Mapping[str, Any], key: str) -> str:
    value = header.get(key, "")
    return value.strip() if isinstance(value, str) else ""
