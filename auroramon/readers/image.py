"""PNG, JPEG and TIFF, without loss of depth: Pillow decodes, and is watched where it would cut 16 bits to 8."""

from __future__ import annotations

import re
import sys
import warnings
from collections.abc import Callable, Iterator
from datetime import datetime
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import ImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.TiffImagePlugin import TiffImageFile

from auroramon.readers.exif import exif_time
from auroramon.readers.faults import MALFORMED, broken, cut_off
from auroramon.readers.limits import Budget
from auroramon.readers.pixels import native
from auroramon.readers.stream import read_bytes
from auroramon.readers.tiff_pages import whole_pages
from auroramon.readers.times import parse_time
from auroramon.types import RawFrame

_PNG = b"\x89PNG\r\n\x1a\n"
_JPEG = b"\xff\xd8\xff"
_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_MAGICS = (_PNG, _JPEG, *_TIFF)

_WIDE = re.compile(r"(RGBA|RGBa|RGBX|RGB|CMYK|LA);16([BLN])")
"""Pillow's names for 16 bits a sample in several channels; all of them keep the high byte only."""

_PLANAR_CONFIGURATION = 284
_NEW_SUBFILE_TYPE = 254
_BITS_PER_SAMPLE = 258

_EXPOSURE_AT = re.compile(r"EXPOSURE_AT \w{3} (\w{3}) (\d{2}) (\d{2}:\d{2}:\d{2}) UTC (\d{4})")


class ImageReader:
    """Pictures as cameras and archives write them."""

    name = "image"
    suffixes: tuple[str, ...] = (".png", ".jpg", ".jpeg", ".tif", ".tiff")
    description = "PNG, JPEG and TIFF, grey or colour, 8 and 16 bit (TIFF also 32 bit and several pages)"
    requires = ""

    def __init__(self, jpeg_side: int | None = None) -> None:
        """Decode every pixel, or a JPEG at 1/2, 1/4 or 1/8: the smallest whose sides still have `jpeg_side` pixels.

        That takes a fifth of the time, but coordinates of the disc are then those of the smaller frame.
        """
        self.jpeg_side = jpeg_side

    def claims(self, path: Path, head: bytes) -> bool:
        """Say whether the name ends like a picture's and the first bytes are those of any of the three formats.

        Raw files of cameras (.dng, .nef, ...) start like TIFF too; their pictures would be thumbnails.
        """
        return path.name.lower().endswith(self.suffixes) and any(
            head.startswith(magic) or magic.startswith(head) for magic in _MAGICS
        )

    def read(self, path: Path) -> Iterator[RawFrame]:
        """Give the picture, or the pages of a TIFF; see `auroramon.ports.Reader`."""
        yield from decode_picture(read_bytes(path), path, Budget(path), jpeg_side=self.jpeg_side)


def decode_picture(data: bytes, path: Path, budget: Budget, *, jpeg_side: int | None = None) -> Iterator[RawFrame]:
    """Give the frames of an encoded picture, numbered from 0; `path` is for the messages.

    Warnings of Pillow are silenced while it works, for the whole process: what it warns of is repaired or raised here.

    Raises:
        FrameError: the picture is damaged, cut off or too large.
    """
    if data.startswith(_JPEG):
        yield _jpeg(data, path, budget, jpeg_side)
    elif data.startswith(_TIFF):
        yield from _tiff(data, path, budget)
    else:
        yield _png(data, path, budget)


def _png(data: bytes, path: Path, budget: Budget) -> RawFrame:
    """Give the one picture of a PNG; of an animation its still."""

    def open_png() -> ImageFile.ImageFile:
        return PngImageFile(BytesIO(data))

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            image = open_png()
            pixels = _pixels(image, open_png, path, budget)
            info = dict(image.info)
        except MALFORMED as error:
            if b"IEND" not in data[-12:]:
                raise cut_off(path, 0) from error
            raise broken(path, f"is a damaged PNG ({error})") from error
    return RawFrame(
        index=0,
        pixels=pixels,
        header_time=_text_time(info),
        exif_time=exif_time(_bytes(info.get("exif"))),
        channel=_text(info, "Wavelength").split(",")[0].strip(),
    )


def _jpeg(data: bytes, path: Path, budget: Budget, side: int | None) -> RawFrame:
    """Give the one picture of a JPEG. Half of one would decode to a grey lower part, so its end mark must stand.

    Coded data never hold the mark, so one behind the last start of a scan is the picture's own.
    """
    if data.rfind(b"\xff\xd9") <= data.rfind(b"\xff\xda"):
        raise cut_off(path, 0)

    def open_jpeg() -> ImageFile.ImageFile:
        image = JpegImageFile(BytesIO(data))
        if side is not None:
            image.draft(None, (side, side))
        return image

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            image = open_jpeg()
            pixels = _pixels(image, open_jpeg, path, budget)
        except MALFORMED as error:
            raise broken(path, f"is a damaged JPEG ({error})") from error
    return RawFrame(index=0, pixels=pixels, exif_time=exif_time(_bytes(image.info.get("exif"))))


def _tiff(data: bytes, path: Path, budget: Budget) -> Iterator[RawFrame]:
    """Give the pages of a TIFF, without the thumbnails among them."""
    time = exif_time(data)
    pages, ended = whole_pages(data)
    index = 0
    for page in range(pages):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                pixels = _tiff_page(data, page, path, budget)
            except MALFORMED as error:
                if "unknown pixel mode" in str(error):
                    raise broken(path, "is a kind of TIFF that is not read; save it with 8 or 16 bits") from error
                raise broken(path, f"is a damaged TIFF after {index} frames ({error})") from error
        if pixels is not None:
            yield RawFrame(index=index, pixels=pixels, exif_time=time if index == 0 else None)
            index += 1
    if not ended:
        raise cut_off(path, index)
    if index == 0:
        raise broken(path, "holds no picture but thumbnails")


def _tiff_page(data: bytes, page: int, path: Path, budget: Budget) -> NDArray[Any] | None:
    """Give the pixels of one page, None for a thumbnail. Raises what Pillow raises, and FrameError."""

    def open_page() -> TiffImageFile:
        image = TiffImageFile(BytesIO(data))
        image.seek(page)
        if image.tile and image.tile[0].codec_name == "libtiff":
            # libtiff has put the bytes into our order already; Pillow knows that of unsigned 16 bits only
            _set_raw_mode(image, re.sub(r";(\d+)B?([SF])$", r";\1N\2", _raw_mode(image)))
        return image

    image = open_page()
    if int(image.tag_v2.get(_NEW_SUBFILE_TYPE, 0)) & 1:
        return None
    if image.tag_v2.get(_PLANAR_CONFIGURATION, 1) == 2 and max(image.tag_v2.get(_BITS_PER_SAMPLE, (1,))) > 8:
        raise broken(path, "is a 16-bit TIFF with its colours in separate planes; save it with the colours interleaved")
    return _pixels(image, open_page, path, budget)


def _pixels(
    image: ImageFile.ImageFile, reopen: Callable[[], ImageFile.ImageFile], path: Path, budget: Budget
) -> NDArray[Any]:
    """Give the (H,W) or (H,W,3) native counts of an opened picture; alpha is dropped, palettes are resolved.

    Raises what Pillow raises, and FrameError for pictures that are too large or that it would decode wrongly.
    """
    wide = _WIDE.fullmatch(_raw_mode(image))
    channels = len(image.getbands())
    deep = wide or image.mode.startswith(("I", "F"))
    budget.admit(image.height, image.width, channels * (4 if image.mode in "IF" else 2 if deep else 1))
    if wide:
        return _wide_pixels(image, reopen, path, *wide.groups())
    if image.mode == "1":
        return np.asarray(image.convert("L"))
    if image.mode == "LA":
        return np.ascontiguousarray(np.asarray(image)[..., 0])
    if image.mode in ("RGBA", "RGBX"):
        return np.ascontiguousarray(np.asarray(image)[..., :3])
    if image.mode not in ("L", "RGB") and not deep:
        image.load()
        image.info.pop("transparency", None)  # Pillow would ask for alpha, which we drop
        return np.asarray(image.convert("RGB"))
    return native(np.asarray(image), path)


def _wide_pixels(
    image: ImageFile.ImageFile, reopen: Callable[[], ImageFile.ImageFile], path: Path, kind: str, order: str
) -> NDArray[np.uint16]:
    """Give (H,W) or (H,W,3) uint16 counts of a picture with 16 bits in each of several channels.

    Pillow keeps one byte of each sample, the high one. Told that the bytes are in the other order it keeps the low one,
    so decoding twice gives both; grey with alpha is four bytes a pixel, which pass for the channels of RGBA.
    """
    if kind == "LA":
        _set_raw_mode(image, "RGBA")
        return _join(np.asarray(image)[..., 0], np.asarray(image)[..., 1])
    if kind == "CMYK":
        raise broken(path, "is a 16-bit CMYK picture, which no camera writes; save it as RGB")
    if order == "N":
        order = "L" if sys.byteorder == "little" else "B"
    straight = "RGBA" if kind == "RGBa" else kind
    _set_raw_mode(image, f"{straight};16{order}")
    twin = reopen()
    _set_raw_mode(twin, f"{straight};16{'L' if order == 'B' else 'B'}")
    return _join(np.asarray(image)[..., :3], np.asarray(twin)[..., :3])


def _join(high: NDArray[np.uint8], low: NDArray[np.uint8]) -> NDArray[np.uint16]:
    """Give 256 * high + low."""
    joined = high.astype(np.uint16)
    joined <<= 8
    joined |= low
    return joined


def _raw_mode(image: ImageFile.ImageFile) -> str:
    """Give Pillow's name for how the samples lie in the file."""
    if not image.tile:
        return ""
    args = image.tile[0].args
    return str(args[0] if isinstance(args, tuple) else args)


def _set_raw_mode(image: ImageFile.ImageFile, raw_mode: str) -> None:
    """Make Pillow take the samples in the file for something else of the same size."""
    image.tile = [
        tile._replace(args=(raw_mode, *tile.args[1:]) if isinstance(tile.args, tuple) else raw_mode)
        for tile in image.tile
    ]


def _text_time(info: dict[Any, Any]) -> datetime | None:
    """Give the start of exposure out of the text chunks of a PNG.

    NASCAM writes EXPOSURE_AT into its description; other programs only `Creation Time`, which counts with a zone.
    """
    if match := _EXPOSURE_AT.search(_text(info, "Description")):
        month, day, clock, year = match.groups()
        return parse_time(f"{day} {month} {year} {clock} UTC")
    return parse_time(_text(info, "Creation Time"), zone_required=True)


def _text(info: dict[Any, Any], key: str) -> str:
    value = info.get(key, "")
    return value if isinstance(value, str) else ""


def _bytes(value: object) -> bytes:
    return value if isinstance(value, bytes) else b""
