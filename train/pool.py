"""The frames of a manifest, read once through auroramon's readers and kept as training needs them.

A pool folder holds `shape-HxW.u16`, the grey counts of all frames of one size, one after the other (`shape-HxWx3.u16`:
their colours, where the recipe looks at them), and `rows.npz` with where each row of the manifest lies. `index.json`
is written last.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from auroramon.disc import find_disc
from auroramon.errors import ConfigError, FrameError, NotReadyError
from auroramon.readers import read_frames
from auroramon.types import Disc, RawFrame, sentence
from train.frames import kept_counts, pixel_digest, read_index, write_index
from train.manifest import Manifest, Row

ROWS = "rows.npz"


@dataclass(frozen=True, slots=True, eq=False)
class Pool:
    """Where the frames of a manifest lie; N rows, in the manifest's order."""

    folder: Path
    digest: str  # of all that is in it: manifest and pixels
    shapes: NDArray[np.intp]  # (N,3) height, width, and 1 or 3 colours
    places: NDArray[np.intp]  # (N,) position among the frames of its shape
    discs: NDArray[np.float64]  # (N,3)
    digests: NDArray[np.uint64]  # (N,) of the pixels: two equal ones are copies

    def pixels(self, height: int, width: int, colours: int) -> NDArray[np.uint16]:
        """Give all frames of one shape, (N,H,W) or (N,H,W,3), memory-mapped."""
        counts = np.memmap(store_of(self.folder, height, width, colours), np.uint16, "r")
        return counts.reshape(-1, *_frame_shape(height, width, colours))


def store_of(folder: Path, height: int, width: int, colours: int) -> Path:
    """Give the file that holds the frames of one shape."""
    return folder / f"shape-{'x'.join(map(str, _frame_shape(height, width, colours)))}.u16"


def _frame_shape(height: int, width: int, colours: int) -> tuple[int, ...]:
    return (height, width) if colours == 1 else (height, width, colours)


def pool_of(work: Path, manifest: Manifest, colour: bool, progress: Callable[[int, int], None]) -> Pool:
    """Give the pool of a manifest, made if it is not there or a file has changed since.

    Args:
        work: folder for everything that can be made again.
        manifest: the frames.
        colour: whether colour frames are kept in colour, for a recipe that looks at it.
        progress: called with frames read and in all.

    Raises:
        FrameError: a file holds no frame that can be read.
        ConfigError: a row names a frame that its file does not have, or pixels that are not square.
    """
    folder = work / f"pool-{_key(manifest, colour)[:12]}"
    if read_index(folder) is None:
        folder.mkdir(parents=True, exist_ok=True)
        _Writing(folder, len(manifest.rows), colour).write(manifest, progress)
    with np.load(folder / ROWS, allow_pickle=False) as rows:
        index = read_index(folder)
        assert index is not None  # noqa: S101 - it was written above
        return Pool(folder, index["digest"], rows["shapes"], rows["places"], rows["discs"], rows["digests"])


def _key(manifest: Manifest, colour: bool) -> str:
    """Give a digest of the manifest and of size and mtime of its files."""
    key = hashlib.sha256(manifest.digest.encode() + (b" colours" if colour else b" grey"))
    for name in dict.fromkeys(row.file for row in manifest.rows):
        path = manifest.path.parent / name
        try:
            stat = path.stat()
        except OSError as error:
            raise ConfigError(f"{path}, listed in {manifest.path}, cannot be read: {error.strerror}") from error
        key.update(json.dumps([name, stat.st_size, stat.st_mtime_ns]).encode())
    return key.hexdigest()


class _Writing:
    """A pool while it is being written."""

    def __init__(self, folder: Path, count: int, colour: bool) -> None:
        self._folder, self._colour = folder, colour
        self._shapes = np.zeros((count, 3), dtype=np.intp)
        self._places = np.zeros(count, dtype=np.intp)
        self._discs = np.zeros((count, 3))
        self._digests = np.zeros(count, dtype=np.uint64)
        self._files: dict[tuple[int, int, int], IO[bytes]] = {}
        self._held: dict[tuple[int, int, int], int] = {}

    def write(self, manifest: Manifest, progress: Callable[[int, int], None]) -> None:
        count = len(manifest.rows)
        try:
            for done, (number, row, raw, disc) in enumerate(_frames(manifest), start=1):
                self._add(number, row, raw, row.disc or disc)
                progress(done, count)
        finally:
            for file in self._files.values():
                file.close()
        np.savez(
            self._folder / ROWS, shapes=self._shapes, places=self._places, discs=self._discs, digests=self._digests
        )
        digest = hashlib.sha256(manifest.digest.encode() + self._digests.tobytes()).hexdigest()
        write_index(self._folder, {"kind": "pool", "digest": digest, "frames": count})

    def _add(self, number: int, row: Row, raw: RawFrame, disc: Disc) -> None:
        counts = kept_counts(_in_range(raw.pixels), row.grey, self._colour)
        shape = (counts.shape[0], counts.shape[1], 3 if counts.ndim == 3 else 1)
        if shape not in self._files:
            self._files[shape], self._held[shape] = store_of(self._folder, *shape).open("wb"), 0
        self._files[shape].write(counts.tobytes())
        self._shapes[number], self._places[number] = shape, self._held[shape]
        self._discs[number] = disc.x, disc.y, disc.radius
        self._digests[number] = pixel_digest(counts)
        self._held[shape] += 1


def _in_range(pixels: NDArray[Any]) -> NDArray[Any]:
    """Give counts that 16 bits hold: those that would be cut off, or rounded to nothing, are scaled to all of them."""
    if pixels.dtype in (np.uint8, np.uint16):
        return pixels
    with np.errstate(invalid="ignore"):
        counts = np.maximum(np.nan_to_num(pixels.astype(np.float64), nan=0, posinf=0, neginf=0), 0)
    most = float(counts.max(initial=0))
    fraction = pixels.dtype.kind == "f" and most < 256
    return counts * (65535 / most) if most > 65535 or (fraction and most > 0) else counts


def _read(path: Path) -> Iterator[RawFrame]:
    """Read a file; what is wrong with it is said with its folder, for a manifest may name many."""
    try:
        yield from read_frames(path)
    except (FrameError, NotReadyError) as error:
        raise FrameError(sentence(str(path), str(error))) from error


def _frames(manifest: Manifest) -> Iterator[tuple[int, Row, RawFrame, Disc]]:
    """Give each row with its frame and the disc of its file, file by file."""
    order = sorted(range(len(manifest.rows)), key=lambda n: (manifest.rows[n].file, manifest.rows[n].index))
    for _, numbers in groupby(order, key=lambda n: manifest.rows[n].file):
        wanted = list(numbers)
        path = manifest.file_of(manifest.rows[wanted[0]])
        disc: Disc | None = None
        for raw in _read(path):
            if raw.pixel_aspect != 1.0:
                raise ConfigError(f"{path}: its pixels are not square, and training reads only square ones")
            if disc is None and manifest.rows[wanted[0]].disc is None:
                disc = find_disc(raw.pixels)
            while wanted and manifest.rows[wanted[0]].index == raw.index:
                number = wanted.pop(0)
                row = manifest.rows[number]
                yield number, row, raw, row.disc or disc or find_disc(raw.pixels)
            if not wanted:
                break
        if wanted:
            raise ConfigError(f"{path} has no frame {manifest.rows[wanted[0]].index}, which {manifest.path} lists")
