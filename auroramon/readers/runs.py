"""Frames of a file in runs that can be worked on together: of one shape, number type and pixel aspect."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from auroramon.errors import FrameError
from auroramon.types import RawFrame

RUN_BYTES = 4_000_000
"""A run ends where it would hold more: a THEMIS minute has 2.6 MB, and frames of megapixels come one by one."""


def runs(frames: Iterator[RawFrame]) -> Iterator[Sequence[RawFrame]]:
    """Give frames in their order, as many together as fit into one run.

    Where a file breaks off, its good frames come first. After any other error nothing of the file counts.
    """
    run: list[RawFrame] = []
    fault: FrameError | None = None
    while True:
        try:
            raw = next(frames, None)
        except FrameError as error:
            fault, raw = error, None
        if run and (raw is None or not _belongs(raw, run)):
            yield run
            run = []
        if raw is None:
            break
        run.append(raw)
    if fault is not None:
        raise fault


def _belongs(raw: RawFrame, run: Sequence[RawFrame]) -> bool:
    first = run[0]
    alike = raw.pixels.shape == first.pixels.shape and raw.pixels.dtype == first.pixels.dtype
    return alike and raw.pixel_aspect == first.pixel_aspect and (len(run) + 1) * first.pixels.nbytes <= RUN_BYTES
