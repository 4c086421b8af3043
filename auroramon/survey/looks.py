"""What the first frames of a few files say."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from auroramon import gates
from auroramon.errors import AuroramonError, FrameError
from auroramon.readers import reader_for
from auroramon.times import time_of
from auroramon.types import FileStat, RawFrame, TimeSource

TIME_FROM: tuple[TimeSource, ...] = ("header", "exif", "name", "mtime")


@dataclass(frozen=True, slots=True)
class Look:
    """What the first frame of one file says."""

    file: FileStat
    format: str  # name of the reader
    site: str
    imager: str
    channel: str
    width: int  # pixels
    height: int  # pixels
    kind: str  # "8 bit grey", ...
    time: datetime  # aware UTC
    time_source: TimeSource
    gate: str  # why its shape is no sky image, or ""

    @property
    def name(self) -> str:
        """The camera's name as its header gives it, or ''."""
        return "_".join(part for part in (self.site, self.imager) if part)


def spread(files: Sequence[FileStat], number: int) -> list[FileStat]:
    """Choose files from all over a list, and the first of every folder as far as they go."""
    firsts = {os.path.dirname(file.path): file for file in reversed(files)}  # noqa: PTH120 - paths are plain strings here
    chosen = dict.fromkeys(evenly(list(firsts.values()), number // 2))
    chosen |= dict.fromkeys(evenly(files, number - len(chosen)))
    return sorted(chosen, key=lambda file: file.path)


def evenly(files: Sequence[FileStat], number: int) -> list[FileStat]:
    if len(files) <= number:
        return list(files)
    return [files[round(i * (len(files) - 1) / max(1, number - 1))] for i in range(number)]


def first_looks(files: Iterable[FileStat], problems: list[str]) -> Iterator[Look]:
    """Look into files; those that give nothing are told in `problems`."""
    for file in files:
        try:
            raw = first_frame(file)
            when = time_of(raw, file.path, file.mtime_ns, TIME_FROM)
        except (AuroramonError, OSError) as error:
            problems.append(str(error) if Path(file.path).name in str(error) else f"{file.path}: {error}")
            continue
        pixels = raw.pixels
        yield Look(
            file=file,
            format=reader_for(Path(file.path)).name,
            site=raw.site,
            imager=raw.imager,
            channel=raw.channel,
            width=pixels.shape[1],
            height=pixels.shape[0],
            kind=f"{8 * pixels.dtype.itemsize} bit {'colour' if pixels.ndim == 3 else 'grey'}",
            time=when.time,
            time_source=when.source,
            gate=gates.shape(pixels, raw.pixel_aspect),
        )


def first_frame(file: FileStat) -> RawFrame:
    """Read the first frame of a file and nothing more where the format allows it.

    Raises:
        FrameError: it has none.
        NotReadyError, MissingPartError: as the reader says.
    """
    frames = reader_for(Path(file.path)).read(Path(file.path))
    raw = next(frames, None)
    if raw is None:
        raise FrameError(f"{file.path}: holds no frame")
    return raw
