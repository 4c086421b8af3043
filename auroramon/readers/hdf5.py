"""HDF5 minute stacks as the University of Calgary writes them for TREx RGB and SMILE (h5py reads them)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from auroramon.errors import FrameError, NotReadyError
from auroramon.readers.faults import MALFORMED, broken, cut_off, missing_part, size_of, unreachable
from auroramon.readers.limits import MAX_FRAMES, Budget
from auroramon.readers.pixels import native
from auroramon.readers.times import parse_time
from auroramon.types import RawFrame

_IMAGES = "data/images"
_TIMES = "data/timestamp"
_FILE_FACTS = "metadata/file"
_MAGIC = b"\x89HDF\r\n\x1a\n"
_BLOCK_BYTES = 64 << 20  # of frames read at once; a minute of TREx RGB has 16 MiB


class Hdf5Reader:
    """`data/images` (H,W,3,N) or (H,W,N), `data/timestamp` one text a frame, facts as attributes of `metadata/file`."""

    name = "HDF5"
    suffixes: tuple[str, ...] = (".h5", ".hdf5")
    description = "Minute stacks in the layout of TREx RGB and SMILE"
    requires = "hdf5"

    def claims(self, path: Path, head: bytes) -> bool:
        """Say whether name and first bytes are those of HDF5."""
        return path.name.lower().endswith(self.suffixes) and (head.startswith(_MAGIC) or _MAGIC.startswith(head))

    def read(self, path: Path) -> Iterator[RawFrame]:
        """Give the frames; see `auroramon.ports.Reader`. The file is not locked, so that its writer never waits."""
        try:
            import h5py
        except ImportError as error:
            raise missing_part(path, "h5py", self.requires) from error
        size_of(path)
        try:
            file = h5py.File(path if isinstance(path, Path) else path.open("rb"), "r", locking=False)
        except MALFORMED as error:
            raise _open_fault(path, error) from error
        with closing(file):
            stack = _open_stack(path, file)
            for index in range(stack.frames):
                yield RawFrame(
                    index=index,
                    pixels=stack.pixels(index),
                    header_time=parse_time(stack.times[index]),
                    site=stack.site,
                    imager=stack.imager,
                )


class _Stack:
    """An opened minute: which frames there are, and their pixels a block at a time."""

    def __init__(self, path: Path, images: Any, times: list[str], facts: dict[str, str]) -> None:
        self._path = path
        self._images = images
        self._budget = Budget(path)
        self._block: NDArray[Any] = np.empty(0)
        self._block_start = 0
        self.frames = int(images.shape[-1])
        self.times = times
        self.site = facts.get("site_unique_id", "").lower()
        self.imager = facts.get("imager_unique_id", "").lower()

    def pixels(self, index: int) -> NDArray[Any]:
        """Give (H,W) or (H,W,3) native counts; to be asked in order. Raises FrameError."""
        height, width, *channels = self._images.shape[:-1]
        bytes_per_pixel = self._images.dtype.itemsize * int(np.prod(channels))
        self._budget.admit(height, width, bytes_per_pixel)
        # frames lie interleaved, so that reading one takes as long as reading all
        step = max(1, _BLOCK_BYTES // (height * width * bytes_per_pixel))
        if index % step == 0:
            try:
                self._block = self._images[..., index : index + step]
            except MALFORMED as error:
                raise cut_off(self._path, index, f" or damaged ({error})") from error
        return native(np.ascontiguousarray(self._block[..., index % step]), self._path)


def _open_stack(path: Path, file: Any) -> _Stack:
    """Give the minute in a file of the right layout, with a time for every frame. Raises FrameError."""
    try:
        images, times = file[_IMAGES], file[_TIMES]
        shape, kind = tuple(images.shape), images.dtype.kind
        stamps = times[: MAX_FRAMES + 1].ravel().tolist() if times.ndim <= 2 else []
        attributes = dict(file[_FILE_FACTS].attrs) if _FILE_FACTS in file else {}
    except MALFORMED as error:
        raise broken(path, f"is not a minute in the layout of TREx RGB, or damaged ({error})") from error
    grey = len(shape) == 3
    if kind not in "uif" or not (grey or (len(shape) == 4 and shape[2] == 3)) or shape[-1] < 1:
        raise broken(path, f"its {_IMAGES} has the shape {shape}, where (height, width, 3, frames) is read")
    if len(stamps) < shape[-1]:
        raise broken(path, f"has {len(stamps)} times for {shape[-1]} frames")
    facts = {str(key): _text(value) for key, value in attributes.items()}
    return _Stack(path, images, [_text(stamp) for stamp in stamps], facts)


def _text(value: object) -> str:
    """Give the text of a stored value: bytes, str, or an array of one of them."""
    if isinstance(value, np.ndarray) and value.size == 1:
        value = value.reshape(-1)[0]
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def _open_fault(path: Path, error: Exception) -> FrameError | NotReadyError:
    """Give the error for a file that HDF5 does not open. It checks the length, so half a file gives no frame."""
    if isinstance(error, OSError) and error.errno is not None and "HDF5" not in str(error):
        return unreachable(path, error)
    if "already open" in str(error):
        return NotReadyError(f"{path.name}: is being written; it is tried again later")
    if "truncated" in str(error):
        return cut_off(path, 0)
    return cut_off(path, 0, f" or damaged ({error})")
