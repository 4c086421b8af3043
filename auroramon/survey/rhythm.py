"""How many frames a file holds, and how often one comes."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from statistics import median

from auroramon.errors import AuroramonError, FrameError
from auroramon.readers import reader_for
from auroramon.survey.looks import TIME_FROM
from auroramon.times import FrameTime, time_of
from auroramon.types import FileStat, RawFrame

NEIGHBOURS = 8  # files next to each other that the cadence is taken from
MOST_CADENCE_S = 3600.0


def neighbours(files: Sequence[FileStat]) -> list[FileStat]:
    """Choose files that follow each other, from the middle of the list."""
    start = max(0, len(files) // 2 - NEIGHBOURS // 2)
    return list(files[start : start + NEIGHBOURS])


def rhythm(files: Sequence[FileStat]) -> tuple[int | None, float | None]:
    """Give the usual number of frames in a file, and the seconds between frames of one channel."""
    counts: list[int] = []
    times: dict[str, set[datetime]] = {}
    for file in files:
        read = 0
        try:
            for raw in reader_for(Path(file.path)).read(Path(file.path)):
                read += 1
                when = _believed(raw, file)
                # A stack that only its name dates says nothing of the time between its frames.
                if when is not None and (when.source != "name" or raw.index == 0):
                    times.setdefault(raw.channel, set()).add(when.time)
        except (AuroramonError, OSError):
            continue
        counts.append(read)
        if sum(counts) > 60 and len(counts) > 1:
            break
    usual = max(times.values(), key=len, default=set())
    return max(counts, key=counts.count) if counts else None, _cadence(sorted(usual))


def _believed(raw: RawFrame, file: FileStat) -> FrameTime | None:
    """Give the time of a frame, None where only its file's mtime has one."""
    try:
        return time_of(raw, file.path, file.mtime_ns, TIME_FROM[:-1])
    except FrameError:
        return None


def _cadence(times: Sequence[datetime]) -> float | None:
    """Give the usual step between times, in seconds; None where there is no usual one."""
    steps = [(b - a) / timedelta(seconds=1) for a, b in pairwise(times)]
    if len(steps) < 2:
        return None
    step = median(steps)
    regular = sum(abs(other - step) < 0.2 * step for other in steps)
    if step > MOST_CADENCE_S or regular < 0.6 * len(steps):
        return None
    rounded = float(round(step) if step > 10 else round(step, 1))
    return rounded if rounded and abs(step - rounded) < 0.05 * step else round(step, 3)
